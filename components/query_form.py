"""The query: one box, a picture or clip beside it, filters, and all of it in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from components.feedback import errors_shown
from core import Filters, Library, Part, Recipe

LIMITS = (12, 24, 48, 96)
_DEFAULT_LIMIT = 24
_IMAGES = ("jpg", "jpeg", "png", "webp")
_CLIPS = ("mp4", "mov", "m4v", "webm", "mkv")
_OPTION_NAMES = {"visual": "Picture", "audio": "Sound", "transcription": "Speech"}
# The address's names for what the widgets hold.
_TEXT, _LIKE, _VIDEOS, _OPTION, _LIMIT = "q", "like", "video", "option", "n"


@dataclass(frozen=True, slots=True)
class Query:
    """What the visitor asks for."""

    recipe: Recipe
    filters: Filters
    limit: int


@dataclass(frozen=True, slots=True)
class _Attached:
    """A picture, a clip or a moment beside the words."""

    part: Part
    name: str


def ask(text: str) -> None:
    """Searches for these words alone. For a callback: it writes widget states."""
    st.session_state["search_text"] = text
    st.session_state["search_attached"] = None
    _to_address()


def more_like(segment_id: str) -> None:
    """Searches for moments like this one, under the same filters, and draws the page anew."""
    kept = {name: st.query_params.get_all(name) for name in st.query_params if name != _TEXT}
    st.query_params.from_dict({**kept, _LIKE: segment_id})
    st.rerun()


def reset_filters() -> None:
    """Back to every video and every option. For a callback: it writes widget states."""
    st.session_state["search_videos"] = []
    st.session_state["search_option"] = None
    _to_address()


def query_form(library: Library) -> Query | None:
    """Draws the form. Returns what is asked for, None while there is nothing to look for."""
    _from_address(library)
    st.text_input(
        "Search",
        key="search_text",
        type="search",
        placeholder="Describe the moment you are looking for",
        label_visibility="collapsed",
        on_change=_to_address,
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _attach_popover()
        _filter_popover(library)
        _chips()
    return _query()


def _query() -> Query | None:
    state = st.session_state
    with errors_shown():
        recipe = _recipe(state["search_text"].strip(), state["search_attached"])
    if recipe is None:
        return None
    option = state["search_option"]
    filters = Filters(video_ids=tuple(state["search_videos"]), options=(option,) if option else ())
    return Query(recipe, filters, state["search_limit"])


def _recipe(text: str, attached: _Attached | None) -> Recipe | None:
    if attached is None:
        return Recipe.parse(text) if text else None
    if not text:
        return Recipe((attached.part,))
    if attached.part.kind == "image":
        return Recipe((replace(attached.part, text_with=text),))
    return Recipe((*Recipe.parse(text).parts, attached.part))


def _attach_popover() -> None:
    with st.popover("Picture or clip", icon=":material/image_search:"):
        # A new key after each pick empties the uploader: what was picked is kept as a chip.
        key = f"search_upload_{st.session_state.setdefault('search_uploads', 0)}"
        st.file_uploader(
            "A picture or a short clip",
            type=[*_IMAGES, *_CLIPS],
            key=key,
            max_upload_size=32,
            on_change=_attach_upload,
            args=(key,),
        )
        st.text_input(
            "or its address",
            key="search_media_url",
            type="url",
            placeholder="https://",
            on_change=_attach_url,
        )


def _filter_popover(library: Library) -> None:
    with st.popover("Filters", icon=":material/tune:"):
        titles = {video.id: video.title for video in library.videos()}
        st.multiselect(
            "Videos",
            list(titles),
            key="search_videos",
            format_func=lambda video_id: titles.get(video_id, "a removed video"),
            placeholder="All videos",
            on_change=_to_address,
        )
        if len(library.capabilities.options) > 1:
            st.selectbox(
                "Match in",
                library.capabilities.options,
                index=None,
                key="search_option",
                format_func=lambda option: _OPTION_NAMES.get(option, option),
                placeholder="Picture and sound",
                on_change=_to_address,
            )
        st.radio("Results", LIMITS, key="search_limit", horizontal=True, on_change=_to_address)


def _chips() -> None:
    attached: _Attached | None = st.session_state["search_attached"]
    if attached is not None:
        with st.container(
            horizontal=True, width="content", gap="xxsmall", vertical_alignment="center"
        ):
            st.text(attached.name)
            st.button(
                "Remove",
                key="search_detach",
                icon=":material/close:",
                type="tertiary",
                on_click=_detach,
            )
    filtered = len(st.session_state["search_videos"]) + bool(st.session_state["search_option"])
    if filtered:
        st.button(
            f"Clear {filtered} filter{'s' if filtered > 1 else ''}",
            icon=":material/filter_alt_off:",
            type="tertiary",
            on_click=reset_filters,
        )


def _attach_upload(key: str) -> None:
    upload = st.session_state[key]
    if upload is None:
        return
    st.session_state["search_uploads"] += 1
    st.session_state["search_attached"] = _attached(upload.name, upload.getvalue())
    _to_address()


def _attach_url() -> None:
    url = st.session_state["search_media_url"].strip()
    if url:
        st.session_state["search_attached"] = _attached(urlsplit(url).path or url, url)
        st.session_state["search_media_url"] = ""
        _to_address()


def _attached(name: str, source: str | bytes) -> _Attached:
    if Path(name).suffix.lower().lstrip(".") in _CLIPS:
        return _Attached(Part.video(source), f"Clip: {Path(name).name}")
    return _Attached(Part.image(source), f"Picture: {Path(name).name}")


def _like(segment_id: str) -> _Attached:
    return _Attached(Part.segment(segment_id), "Moments like the one you picked")


def _detach() -> None:
    st.session_state["search_attached"] = None
    _to_address()


def _to_address() -> None:
    """Writes the state into the address: one entry in the browser's history per search."""
    state = st.session_state
    attached: _Attached | None = state["search_attached"]
    like = attached is not None and attached.part.kind == "segment"
    wanted: dict[str, str | Sequence[str]] = {
        _TEXT: state["search_text"].strip(),
        _LIKE: str(attached.part.source) if attached is not None and like else "",
        _VIDEOS: state["search_videos"],
        _OPTION: state["search_option"] or "",
        _LIMIT: "" if state["search_limit"] == _DEFAULT_LIMIT else str(state["search_limit"]),
    }
    st.query_params.from_dict({name: value for name, value in wanted.items() if value})
    state["search_address"] = _address()


def _from_address(library: Library) -> None:
    """Takes the state from the address when that has changed: a link, Back or Forward."""
    state = st.session_state
    state.setdefault("search_attached", None)
    returning = "search_text" not in state and "search_address" in state
    if returning and not st.query_params:
        # The menu leads back here without the address; go on with the last search.
        st.query_params.from_dict(dict(state["search_address"]))
    asked = _address()
    if asked == state.get("search_address") and not returning:
        return
    params = st.query_params
    known = {video.id for video in library.videos()}
    state["search_text"] = params.get(_TEXT, "")
    state["search_videos"] = [id_ for id_ in params.get_all(_VIDEOS) if id_ in known]
    option = params.get(_OPTION)
    state["search_option"] = option if option in library.capabilities.options else None
    limit = params.get(_LIMIT, "")
    state["search_limit"] = int(limit) if limit in {str(n) for n in LIMITS} else _DEFAULT_LIMIT
    _attach_from_address(params.get(_LIKE, ""))
    state["search_address"] = asked


def _attach_from_address(like: str) -> None:
    """A moment is in the address; a picture or clip is not, and stays while this session lasts."""
    attached: _Attached | None = st.session_state["search_attached"]
    if like:
        st.session_state["search_attached"] = _like(like)
    elif attached is not None and attached.part.kind == "segment":
        st.session_state["search_attached"] = None


def _address() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted((name, tuple(st.query_params.get_all(name))) for name in st.query_params))
