"""The library's videos: poster, facts, and a removal that asks first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from components.feedback import errors_shown
from components.format import clock, count
from components.labels import named
from components.links import Links
from components.resources import may
from core import Library, Video

_PER_PAGE = 20
_REMOVING = "library_removing"  # the id of the video whose removal is being asked about


def video_list(library: Library, links: Links) -> None:
    """The videos, newest first, with a filter by title once there are many."""
    videos = library.videos()
    if len(videos) > _PER_PAGE:
        wanted = st.text_input(
            "Find a video", key="library_find", type="search", placeholder="Title or category"
        )
        videos = _matching(videos, wanted or "")
        if not videos:
            st.caption("No video has that in its title or category.")
            return
    page = 1
    if len(videos) > _PER_PAGE:
        page = st.pagination(math.ceil(len(videos) / _PER_PAGE), key="library_page")
    for video in videos[(page - 1) * _PER_PAGE : page * _PER_PAGE]:
        _row(library, links, video)


def _matching(videos: Sequence[Video], wanted: str) -> list[Video]:
    words = wanted.casefold().split()
    return [
        video
        for video in videos
        if all(word in f"{video.title} {video.category}".casefold() for word in words)
    ]


def _row(library: Library, links: Links, video: Video) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", wrap=False, key=f"video-{video.id}"
    ):
        middle = (video.duration or 0.0) / 2
        # The address is ours and signed; nothing a visitor wrote stands in this markup.
        st.html(
            f'<img src="{links.poster_url(video, middle)}" alt="" loading="lazy" width="112" '
            'height="63" style="object-fit:cover;border-radius:6px;display:block">',
            width=112,
        )
        with st.container(gap="xxsmall"):
            st.text(video.title)
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.caption(_facts(video), width="content")
                if video.category:
                    st.text(video.category)
        if may("remove") and st.button(
            named("Remove", video.title),
            key=f"remove-{video.id}",
            icon=":material/delete:",
            type="tertiary",
        ):
            st.session_state[_REMOVING] = video.id
    if st.session_state.get(_REMOVING) == video.id:
        _confirm_removal(library, video)


def _facts(video: Video) -> str:
    length = "unknown length" if video.duration is None else clock(video.duration)
    return f"{length}, {count(video.segments, 'segment')}"


def _close() -> None:
    st.session_state.pop(_REMOVING, None)


@st.dialog("Remove this video?", on_dismiss=_close)
def _confirm_removal(library: Library, video: Video) -> None:
    st.text(video.title)
    st.markdown(
        "It is no longer found, and our copy of an uploaded file is deleted; a video on the web "
        "stays where it is. Adding it again means embedding it again."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        kept = st.button("Keep it")
        removed = st.button("Remove", type="primary", key="confirm-removal")
    if removed:
        with errors_shown():
            library.remove(video.id)
        st.toast("Removed", icon=":material/check:")
    if kept or removed:
        _close()
        st.rerun()
