"""What is asked for: kept in the session, mirrored in the address, taken from it again.

The widgets of the form begin with what is asked for and report changes; nothing else is read from
them. A round ends whenever the question comes from elsewhere (a link, Back, an example, a card):
the widgets of the popovers are left behind and new ones begin with the new question, because what
lies in a closed popover never hears of a value that is set later. The search box stays and is told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from core import Filters, Part, Recipe

LIMITS = (12, 24, 48, 96)
IMAGES = ("jpg", "jpeg", "png", "webp")
CLIPS = ("mp4", "mov", "m4v", "webm", "mkv")
_DEFAULT_LIMIT = 24
# The names of the address, then those of the session.
_TEXT, _LIKE, _VIDEOS, _OPTION, _LIMIT = "q", "like", "video", "option", "n"
_ASKED, _BEGUN_WITH, _ROUND, _ADDRESS = (
    "search_asked",
    "search_begun_with",
    "search_round",
    "search_address",
)
# Longer words stay in the session alone: servers refuse addresses of this order.
_ADDRESS_CHARS = 2000
SEARCH_BOX = "search_text"

Address = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Attached:
    """A picture, a clip or a moment beside the words."""

    part: Part
    name: str

    @classmethod
    def file(cls, name: str, content: bytes) -> Attached:
        return cls._of_media(name, content)

    @classmethod
    def url(cls, url: str) -> Attached:
        path = urlsplit(url).path
        return cls._of_media(path if Path(path).name else url, url)

    @classmethod
    def moment(cls, segment_id: str) -> Attached:
        return cls(Part.segment(segment_id), "Moments like the one you picked")

    @classmethod
    def _of_media(cls, name: str, source: str | bytes) -> Attached:
        if Path(name).suffix.lower().lstrip(".") in CLIPS:
            return cls(Part.video(source), f"Clip: {Path(name).name}")
        return cls(Part.image(source), f"Picture: {Path(name).name}")

    @property
    def segment_id(self) -> str:
        """The id of a moment; empty for a picture or a clip, which no address can hold."""
        return str(self.part.source) if self.part.kind == "segment" else ""

    @property
    def media_url(self) -> str:
        """The address of a picture or a clip; empty for an upload or a moment."""
        source = self.part.source
        return source if isinstance(source, str) and self.part.kind != "segment" else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its filters."""

    text: str = ""
    attached: Attached | None = None
    videos: tuple[str, ...] = ()
    option: str | None = None
    limit: int = _DEFAULT_LIMIT

    @property
    def filters(self) -> Filters:
        return Filters(video_ids=self.videos, options=(self.option,) if self.option else ())

    def recipe(self) -> Recipe | None:
        """The recipe to search for, None while there is nothing to look for.

        Raises:
            RecipeError: when the words cannot be searched for.
        """
        typed = Recipe.parse(self.text) if self.text else None
        if self.attached is None:
            return typed
        if typed is None:
            return Recipe((self.attached.part,))
        if self.attached.part.kind == "image":
            return Recipe((replace(self.attached.part, text_with=self.text),))
        return Recipe((*typed.parts, self.attached.part))


def asked() -> Asked:
    """What is asked for now."""
    question: Asked = st.session_state[_ASKED]
    return question


def begun_with() -> Asked:
    """What the widgets of this round begin with; the same through the whole round."""
    question: Asked = st.session_state[_BEGUN_WITH]
    return question


def widget_key(name: str) -> str:
    """The key of a popover's widget in this round."""
    return f"search_{name}_{st.session_state[_ROUND]}"


def change(question: Asked) -> None:
    """Takes over what a widget reports."""
    st.session_state[_ASKED] = question
    _write_address(question)


def begin(question: Asked) -> None:
    """Asks something from outside the form: the widgets begin anew with it."""
    st.session_state[_BEGUN_WITH] = question
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    change(question)


def follow_address(videos: Collection[str], options: Collection[str]) -> None:
    """Begins anew when the address has changed: a link, Back or Forward.

    A menu leads back here without the address, and the last question goes on. To be called before
    the widgets are drawn.
    """
    state = st.session_state
    was_elsewhere = SEARCH_BOX not in state
    if _ASKED not in state:
        begin(_read_address(Asked(), videos, options))
    elif _address() != state[_ADDRESS] and not (was_elsewhere and not _address()):
        begin(_read_address(asked(), videos, options))
    elif was_elsewhere:
        begin(asked())
    if state.get(SEARCH_BOX, "").strip() != asked().text or was_elsewhere:
        state[SEARCH_BOX] = asked().text


def _read_address(before: Asked, videos: Collection[str], options: Collection[str]) -> Asked:
    """The question of the address; what it says of unknown things is dropped."""
    params = st.query_params
    like, limit, option = params.get(_LIKE), params.get(_LIMIT), params.get(_OPTION)
    attached = before.attached
    if like:
        attached = Attached.moment(like)
    elif attached is not None and attached.segment_id:
        attached = None
    return Asked(
        text=params.get(_TEXT, "").strip(),
        attached=attached,
        videos=tuple(video for video in params.get_all(_VIDEOS) if video in videos),
        option=option if option in options else None,
        limit=next((n for n in LIMITS if str(n) == limit), _DEFAULT_LIMIT),
    )


def _write_address(question: Asked) -> None:
    """One entry in the browser's history for each new question."""
    attached = question.attached
    values: dict[str, Sequence[str]] = {
        _TEXT: [question.text] if 0 < len(question.text) <= _ADDRESS_CHARS else [],
        _LIKE: [attached.segment_id] if attached is not None and attached.segment_id else [],
        _VIDEOS: question.videos,
        _OPTION: [question.option] if question.option else [],
        _LIMIT: [] if question.limit == _DEFAULT_LIMIT else [str(question.limit)],
    }
    wanted = {name: list(value) for name, value in values.items() if value}
    if wanted != _address():
        st.query_params.from_dict(wanted)
    st.session_state[_ADDRESS] = wanted


def _address() -> Address:
    return {name: st.query_params.get_all(name) for name in st.query_params}
