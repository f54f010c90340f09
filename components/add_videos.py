"""Adding videos: addresses one per line, and uploads.

Paths on the server are for scripts, not for visitors: they would let anybody look around its disk.
"""

from __future__ import annotations

import streamlit as st

from components.feedback import show_error
from components.format import count
from core import Library, MediaError, SeekpointError

_VIDEO_TYPES = ("mp4", "mov", "m4v", "webm", "mkv", "avi", "mpg", "mpeg", "ts", "ogv")


def add_videos(library: Library) -> None:
    """One form for both ways in; what is added joins the queue at once."""
    st.text_area(
        "Addresses of video files, one per line",
        key="add_sources",
        placeholder="https://example.org/film.mp4",
        height=110,
    )
    # A new key after each round empties the uploader.
    uploads = f"add_uploads_{st.session_state.setdefault('add_round', 0)}"
    st.file_uploader(
        "Or video files of yours",
        type=list(_VIDEO_TYPES),
        accept_multiple_files=True,
        key=uploads,
    )
    st.text_input(
        "Category",
        key="add_category",
        max_chars=64,
        placeholder="Optional: a name to group these videos under",
    )
    st.button(
        "Add",
        key="add",
        type="primary",
        icon=":material/add:",
        on_click=_add,
        args=(library, uploads),
    )


def _add(library: Library, uploads_key: str) -> None:
    state = st.session_state
    sources = [line.strip() for line in state["add_sources"].splitlines() if line.strip()]
    uploads = state[uploads_key] or []
    if not sources and not uploads:
        st.toast("Paste an address or choose a file first.", icon=":material/info:")
        return
    try:
        for source in sources:
            if "://" not in source:
                raise MediaError(
                    f"{source} is no address.", "Addresses begin with https://; files are uploaded."
                )
        kept = [library.keep_upload(upload.name, upload) for upload in uploads]
        jobs = library.add([*sources, *kept], category=state["add_category"])
    except SeekpointError as error:
        show_error(error)  # nothing was queued, and the form keeps what was typed
        return
    st.toast(f"{count(len(jobs), 'video')} added to the queue", icon=":material/check:")
    state["add_sources"] = ""
    state["add_round"] += 1
