"""What only the browser can do for the page: take a picture from the clipboard, copy the address of
the page, put the address right, and go back to the top.

Mounted once on a page that wants these; shows a button, and hears a paste anywhere on the page.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from components.format import size
from components.links import under_base
from core import MediaError

MAX_PASTE_BYTES = 10_000_000
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
_FOLDER = Path(__file__).parent


def _asset(ending: str) -> str:
    return (_FOLDER / f"browser.{ending}").read_text(encoding="utf-8")


_component = st.components.v2.component(
    "seekpoint.browser", html=_asset("html"), css=_asset("css"), js=_asset("js")
)


@dataclass(frozen=True, slots=True)
class Pasted:
    """A picture from the clipboard, with the suffix of its format."""

    content: bytes
    suffix: str


def browser(
    *, address: str = "", view: str = "", can_copy: bool = True, key: str = "browser"
) -> Pasted | None:
    """Shows "Copy link"; returns the picture that was pasted since the last run.

    Args:
        address: the query the page's address should have and does not, as in "?q=car"; set without
            an entry in the history.
        view: a page of results; when it changes the browser goes to the top.
        can_copy: whether there is anything to link to.

    Raises:
        MediaError: for a picture that is too large or of an unknown format.
    """
    result = _component(
        key=key,
        data={
            "address": address,
            "home": under_base("/"),
            "view": view,
            "can_copy": can_copy,
            "most": MAX_PASTE_BYTES,
        },
        on_picture_change=_do_nothing,
    )
    return _pasted(result.picture)


def _pasted(message: Any) -> Pasted | None:
    """The browser's message as a picture.

    Raises:
        MediaError: when it is none that can be used.
    """
    match message:
        case None:
            return None
        case {"type": str(kind)} if kind not in _SUFFIXES:
            raise MediaError(
                "The pasted picture is of a format that cannot be read.",
                "Copy it as PNG or JPEG, or add it as a file.",
            )
        case {"size": int(length)} if length > MAX_PASTE_BYTES:
            raise MediaError(
                f"The pasted picture has {size(length)}; {size(MAX_PASTE_BYTES)} is the most.",
                "Paste a smaller one, or add it as a file.",
            )
        case {"type": str(kind), "base64": str(text)} if len(text) <= 2 * MAX_PASTE_BYTES:
            try:
                return Pasted(base64.b64decode(text, validate=True), _SUFFIXES[kind])
            except binascii.Error:
                return None
        case _:
            return None


def _do_nothing() -> None:
    """Streamlit delivers a trigger only where a callback is given."""
