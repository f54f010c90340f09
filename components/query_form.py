"""The form: one box, a picture or clip beside it, and filters folded away."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from components.format import count
from components.query_state import (
    CLIPS,
    IMAGES,
    LIMITS,
    SEARCH_BOX,
    Asked,
    Attached,
    asked,
    begin,
    begun_with,
    change,
    follow_address,
    widget_key,
)
from core import Library

_OPTION_NAMES = {"visual": "Picture", "audio": "Sound", "transcription": "Speech"}
_UPLOAD_MB = 32


def query_form(library: Library) -> Asked:
    """Draws the form. Returns what is asked for."""
    options = library.capabilities.options
    titles = {video.id: video.title for video in library.videos()}
    follow_address(titles, options)
    st.text_input(
        "Search",
        key=SEARCH_BOX,
        type="search",
        placeholder="Describe the moment you are looking for",
        label_visibility="collapsed",
        on_change=_take_text,
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _attach_popover()
        _filter_popover(titles, options)
        _chips()
    return asked()


def reset_filters() -> None:
    """Back to every video and every option. For a callback."""
    begin(replace(asked(), videos=(), option=None))


def _attach_popover() -> None:
    attached = begun_with().attached
    # A new round closes it: it would lie on the answer.
    with st.popover("Picture or clip", icon=":material/image_search:", key=widget_key("attach")):
        st.file_uploader(
            "A picture or a short clip",
            type=[*IMAGES, *CLIPS],
            key=widget_key("upload"),
            max_upload_size=_UPLOAD_MB,
            on_change=_take_upload,
        )
        st.text_input(
            "or its address",
            attached.media_url if attached is not None else "",
            key=widget_key("url"),
            placeholder="https://",
            on_change=_take_url,
        )


def _filter_popover(titles: dict[str, str], options: tuple[str, ...]) -> None:
    begun = begun_with()
    with st.popover("Filters", icon=":material/tune:"):
        st.multiselect(
            "Videos",
            list(titles),
            default=[video for video in begun.videos if video in titles],
            key=widget_key("videos"),
            format_func=lambda video: titles.get(video, "A removed video"),
            placeholder="All videos",
            on_change=_take_filters,
        )
        if len(options) > 1:
            st.selectbox(
                "Match in",
                options,
                index=options.index(begun.option) if begun.option in options else None,
                key=widget_key("option"),
                format_func=lambda option: _OPTION_NAMES.get(option, option),
                placeholder="Everything",
                on_change=_take_filters,
            )
        st.radio(
            "Results",
            LIMITS,
            index=LIMITS.index(begun.limit),
            key=widget_key("limit"),
            horizontal=True,
            on_change=_take_filters,
        )


def _chips() -> None:
    question = asked()
    if question.attached is not None:
        with st.container(
            horizontal=True, width="content", gap="xxsmall", vertical_alignment="center"
        ):
            st.text(question.attached.name)
            st.button(
                "Remove",
                key="search_detach",
                icon=":material/close:",
                type="tertiary",
                on_click=_detach,
            )
    active = len(question.videos) + bool(question.option)
    if active:
        st.button(
            f"Clear {count(active, 'filter')}",
            key="search_clear",
            icon=":material/filter_alt_off:",
            type="tertiary",
            on_click=reset_filters,
        )


def _take_text() -> None:
    change(replace(asked(), text=st.session_state[SEARCH_BOX].strip()))


def _take_filters() -> None:
    state = st.session_state
    change(
        replace(
            asked(),
            videos=tuple(state[widget_key("videos")]),
            option=state.get(widget_key("option")),
            limit=state[widget_key("limit")],
        )
    )


def _take_upload() -> None:
    upload = st.session_state[widget_key("upload")]
    if upload is not None:
        begin(replace(asked(), attached=Attached.file(upload.name, upload.getvalue())))


def _take_url() -> None:
    url = st.session_state[widget_key("url")].strip()
    if url:
        begin(replace(asked(), attached=Attached.url(url)))


def _detach() -> None:
    begin(replace(asked(), attached=None))
