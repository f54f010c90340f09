"""The uploader: one Streamlit component that sends files of any size to our own `/upload`.

The browser does the sending (uploader.js). Python hears of a file when all of it is there, and of
none that this server does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from components.links import Links, under_base
from components.routes import MediaShelf
from core.media_store import Location
from core.uploads import MAX_UPLOAD_BYTES

_FOLDER = Path(__file__).parent


def _asset(ending: str) -> str:
    return (_FOLDER / f"uploader.{ending}").read_text(encoding="utf-8")


_component = st.components.v2.component(
    "seekpoint.uploader", html=_asset("html"), css=_asset("css"), js=_asset("js")
)


def uploader(
    library: MediaShelf,
    links: Links,
    *,
    key: str = "uploads",
    label: str = "Or video files of yours",
) -> list[Location]:
    """Shows where files are dropped and how far they are; returns our copies of those that are here.

    A copy is in the list until its job is queued or its line is removed. Uploads go on through
    reruns and on other pages, and a new key changes nothing: there is one uploader on a page.
    """
    reported = _reported(st.session_state.get(key))
    copies = {upload_id: library.uploads.copy(upload_id) for upload_id in reported}
    _component(
        key=key,
        data={
            "address": under_base("/upload"),
            "token": links.upload_token(),
            "label": label,
            "most": MAX_UPLOAD_BYTES,
            "reported": reported,
            "gone": [upload_id for upload_id, copy in copies.items() if copy is None],
        },
        default={"files": []},
        on_files_change=_do_nothing,
    )
    return list(dict.fromkeys(copy for copy in copies.values() if copy is not None))


def _reported(state: Any) -> list[str]:
    """The ids of the files that the browser says are here, whatever else it says."""
    match state:
        case {"files": [*files]}:
            ids = [file.get("id") for file in files if isinstance(file, dict)]
            return [upload_id for upload_id in ids if isinstance(upload_id, str)]
        case _:
            return []


def _do_nothing() -> None:
    """Streamlit keeps a state only where a callback is given."""
