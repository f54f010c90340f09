"""The form: one box, and beside it what is rarer, folded away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from components.asked import LIMITS, Ingredient
from components.query_address import (
    day_end,
    day_start,
    last_day,
    read_clock,
    write_clock,
)
from components.query_state import (
    SEARCH_BOX,
    asked,
    begin,
    begun_with,
    change,
    complaints_kept,
    fill_search_box,
    widget_key,
)
from core import Filters, Library, Part

_STYLE = Path(__file__).with_name("search.css")
IMAGES = ("jpg", "jpeg", "png", "webp")
CLIPS = ("mp4", "mov", "m4v", "webm", "mkv")
OPTION_NAMES = {"visual": "Picture", "audio": "Sound", "transcription": "Speech"}
_UPLOAD_MB = 32
_IN_THE_MOMENT, _AFTER_IT = "In the moment", "After it, as “then”"
_HELP = (
    ("red car -night", "What stands behind a minus is not wanted."),
    ('"street market"^1.5 crowd', "Quotes keep words together; ^ gives them a weight up to 2."),
    ("a rocket then smoke within 10 s", "One thing after the other, in the same video."),
)


def search_box(library: Library) -> None:
    st.html(_STYLE)
    fill_search_box()
    st.text_input(
        "Search",
        key=SEARCH_BOX,
        type="search",
        placeholder="Describe the moment you are looking for",
        label_visibility="collapsed",
        on_change=_take_text,
        args=(library,),
    )


def add_popover(library: Library) -> None:
    """Where a picture or a clip is added to what is asked already."""
    # A new round closes it: it would lie on the answer.
    with st.popover("Add a part", icon=":material/add_photo_alternate:", key=widget_key("add")):
        st.file_uploader(
            "A picture or a short clip",
            type=[*IMAGES, *CLIPS],
            key=widget_key("upload"),
            max_upload_size=_UPLOAD_MB,
            on_change=_take_upload,
            args=(library,),
        )
        st.text_input(
            "or its address",
            key=widget_key("url"),
            placeholder="https://",
            on_change=_take_url,
            args=(library,),
        )
        st.caption("or paste a picture anywhere on the page.")
        with st.container(horizontal=True):
            st.text_input("Of a clip, only from", key=widget_key("clip_start"), placeholder="m:ss")
            st.text_input("to", key=widget_key("clip_end"), placeholder="m:ss")
        if asked().ingredients:
            st.segmented_control(
                "What it shows is",
                (_IN_THE_MOMENT, _AFTER_IT),
                default=_IN_THE_MOMENT,
                required=True,
                key=widget_key("where"),
            )


def add_picture(library: Library, content: bytes, suffix: str, name: str) -> None:
    """Adds a picture that came from elsewhere than the form, for a callback or before a rerun."""
    with complaints_kept():
        path = library.searches.keep_media(content, suffix)
        begin(library, asked().added(Ingredient(Part.image(path), name)))


def help_popover(library: Library) -> None:
    with st.popover("How to ask", icon=":material/help:", key=widget_key("help")):
        for query, meaning in _HELP:
            st.button(
                f"`{query}`",
                key=f"search_help_{query}",
                type="tertiary",
                icon=":material/search:",
                on_click=_ask,
                args=(library, query),
            )
            st.caption(meaning)


def choose_categories(library: Library, filters: Filters, *, key: str, **report: Any) -> None:
    """The categories there are, with those of the filters ticked; nothing when there is none."""
    categories = sorted({video.category for video in library.videos()} - {""})
    if categories:
        st.multiselect(
            "Categories",
            categories,
            default=[category for category in filters.categories if category in categories],
            key=key,
            placeholder="All categories",
            **report,
        )


def filters_popover(library: Library) -> None:
    begun, options = begun_with(), library.capabilities.options
    filters = begun.filters
    with st.popover("Filters", icon=":material/tune:", key=widget_key("filters")):
        report: dict[str, Any] = {"on_change": _take_filters, "args": (library,)}
        titles = {video.id: video.title for video in library.videos()}
        st.multiselect(
            "Videos",
            list(titles),
            default=[video for video in filters.video_ids if video in titles],
            key=widget_key("videos"),
            format_func=lambda video: titles.get(video, "A removed video"),
            placeholder="All videos",
            **report,
        )
        choose_categories(library, filters, key=widget_key("categories"), **report)
        if len(options) > 1:
            for option in options:
                st.slider(
                    f"Weight of {OPTION_NAMES.get(option, option).lower()}",
                    0.0,
                    2.0,
                    option_weight(filters, option),
                    0.1,
                    format="%.1f",
                    key=widget_key(f"option_{option}"),
                    **report,
                )
        with st.container(horizontal=True):
            for name, label, seconds in (
                ("start", "From, in the video", filters.start),
                ("end", "To", filters.end),
            ):
                st.text_input(
                    label,
                    write_clock(seconds),
                    key=widget_key(name),
                    placeholder="m:ss",
                    width=150,
                    **report,
                )
        after, before = filters.added_after, filters.added_before
        with st.container(horizontal=True):
            for name, label, day in (
                ("after", "Added from (UTC)", after.date() if after else None),
                ("before", "to", last_day(before) if before else None),
            ):
                st.date_input(
                    label, day, key=widget_key(name), format="YYYY-MM-DD", width=150, **report
                )
        st.number_input(
            "Lowest score",
            -1.0,
            1.0,
            filters.min_score,
            0.05,
            key=widget_key("min"),
            placeholder="Any",
            **report,
        )
        st.radio(
            "Moments on a page",
            LIMITS,
            index=LIMITS.index(begun.limit),
            key=widget_key("limit"),
            horizontal=True,
            **report,
        )


def option_weight(filters: Filters, option: str) -> float:
    """What an option weighs under these filters."""
    if filters.options and option not in filters.options:
        return 0.0
    return dict(filters.option_weights).get(option, 1.0)


def with_option_weights(filters: Filters, weights: Mapping[str, float]) -> Filters:
    """The filters with other weights of options, plain where they are."""
    left_out = [option for option, weight in weights.items() if not weight]
    return replace(
        filters,
        options=tuple(o for o in weights if o not in left_out) if left_out else (),
        option_weights=tuple((o, w) for o, w in weights.items() if w != 1),
    )


def _take_text(library: Library) -> None:
    begin(library, asked().retyped(st.session_state[SEARCH_BOX]))


def _ask(library: Library, query: str) -> None:
    begin(library, asked().retyped(query))


def _take_upload(library: Library) -> None:
    upload = st.session_state[widget_key("upload")]
    if upload is not None:
        _add(library, upload.name, upload.getvalue())


def _take_url(library: Library) -> None:
    url = st.session_state[widget_key("url")].strip()
    if url:
        _add(library, url, url)


def _add(library: Library, name: str, source: str | bytes) -> None:
    state = st.session_state
    path = Path(urlsplit(name).path if isinstance(source, str) else name)
    is_clip = path.suffix.lower().lstrip(".") in CLIPS
    start, end = (read_clock(state[widget_key(key)]) for key in ("clip_start", "clip_end"))
    after = state.get(widget_key("where")) == _AFTER_IT
    with complaints_kept():
        kept = (
            library.searches.keep_media(source, path.suffix)
            if isinstance(source, bytes)
            else source
        )
        part = Part.video(kept, start=start, end=end) if is_clip else Part.image(kept)
        begin(library, asked().added(Ingredient(part, path.name or Path(name).name, after=after)))


def _take_filters(library: Library) -> None:
    state = st.session_state
    weights = {
        option: state[widget_key(f"option_{option}")]
        for option in library.capabilities.options
        if widget_key(f"option_{option}") in state
    }
    after, before = state[widget_key("after")], state[widget_key("before")]
    filters = Filters(
        video_ids=tuple(state[widget_key("videos")]),
        categories=tuple(state.get(widget_key("categories"), ())),
        start=read_clock(state[widget_key("start")]),
        end=read_clock(state[widget_key("end")]),
        added_after=day_start(after) if after else None,
        added_before=day_end(before) if before else None,
        min_score=state[widget_key("min")],
    )
    question = asked().filtered(with_option_weights(filters, weights))
    change(library, question.at(1, state[widget_key("limit")]))
