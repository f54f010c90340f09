"""Adding videos: addresses or server paths one per line, and uploads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from components.feedback import errors_shown
from components.format import count
from core import Library

_VIDEO_TYPES = ("mp4", "mov", "m4v", "webm", "mkv", "avi", "mpg", "mpeg", "ts", "ogv")


def add_videos(library: Library) -> None:
    """Two ways in, one category for both."""
    st.text_input(
        "Category",
        key="add_category",
        max_chars=64,
        placeholder="Optional: a name to group these videos under",
    )
    addresses, files = st.tabs(["By address", "By file"])
    with addresses:
        st.text_area(
            "Addresses of video files, or paths on the server, one per line",
            key="add_sources",
            placeholder="https://example.org/film.mp4",
            height=120,
        )
        st.button(
            "Add",
            key="add_by_address",
            type="primary",
            icon=":material/add:",
            on_click=_add_addresses,
            args=(library,),
        )
    with files:
        key = f"add_uploads_{st.session_state.setdefault('add_round', 0)}"
        uploads = st.file_uploader(
            "Video files", type=list(_VIDEO_TYPES), accept_multiple_files=True, key=key
        )
        if st.button(
            "Add",
            key="add_by_file",
            type="primary",
            icon=":material/add:",
            disabled=not uploads,
        ):
            with errors_shown(), st.spinner("Keeping the files"):
                kept = [library.keep_upload(upload.name, upload) for upload in uploads]
                _add(library, kept, [_stem(upload.name) for upload in uploads])
            st.session_state["add_round"] += 1
            st.rerun()


def _add_addresses(library: Library) -> None:
    lines = [line.strip() for line in st.session_state["add_sources"].splitlines()]
    sources = [line for line in lines if line]
    if not sources:
        st.toast("Type or paste at least one address.", icon=":material/info:")
        return
    with errors_shown():
        _add(library, sources, None)
    st.session_state["add_sources"] = ""


def _add(library: Library, sources: Sequence[str | Path], titles: list[str] | None) -> None:
    jobs = library.add(sources, category=st.session_state["add_category"], titles=titles)
    st.toast(f"{count(len(jobs), 'video')} added to the queue", icon=":material/check:")


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]
