"""Labels that a screen reader can tell apart, though on the screen they are one short word each."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_STYLE = Path(__file__).with_name("labels.css")


def names_for_readers() -> None:
    """Hides the second half of every `named` label; once per page that has any."""
    st.html(_STYLE)


def named(words: str, title: str) -> str:
    """A label that shows `words` and is called `words title`, as in "Remove red car".

    The title is somebody's text: as inline code it is never read as Markdown.
    """
    plain = " ".join(title.replace("`", "'").split())
    return f"{words} `{plain}`" if plain else words
