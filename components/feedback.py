"""The one way an error is shown: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core import Library, SeekpointError


def show_error(error: SeekpointError) -> None:
    """Message and hint as plain text: both may quote a title, an address or a file name."""
    with st.container(border=True, horizontal=True):
        st.markdown(":red[:material/error:]", width="content")
        with st.container(gap="xxsmall"):
            st.text(error.message)
            if error.hint:
                st.text(error.hint)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows an error raised inside and ends the page there."""
    try:
        yield
    except SeekpointError as error:
        show_error(error)
        st.stop()


def opened_library() -> Library:
    """The library as whoever is here may use it, or the reason why it does not open, with a way to
    try again."""
    from components import resources
    from components.guarded import guarded

    try:
        with st.spinner("Opening the library"):
            library = guarded(resources.library(), resources.visitor())
    except SeekpointError as error:
        show_error(error)
        st.button("Try again", icon=":material/refresh:")
        st.stop()
    if library.warning:
        with st.container(border=True, key="warning"):
            st.text(library.warning)
    return library
