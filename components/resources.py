"""The one seam where core objects become cached Streamlit resources."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components.access import Policy, Visitor, login_is_set_up
from components.links import Links, secret_of
from core import Filters, Library, Recipe, SeekpointError, Settings, Video, open_library
from core.log import configure_logging

logger = logging.getLogger(__name__)

_reopening = threading.Lock()


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings of this process. Raises ConfigurationError, which is not cached."""
    read = Settings.from_env()
    configure_logging(read, whose=page_drawn)
    return read


def page_drawn() -> dict[str, str]:
    """Whose page this thread is drawing, as the log names it; empty where it draws none."""
    drawing = get_script_run_ctx(suppress_warning=True)
    return {} if drawing is None else {"session": drawing.session_id[:8]}


@st.cache_resource(show_spinner=False, on_release=Library.close)
def _library() -> Library:
    return open_library(settings())


def library() -> Library:
    """The open library of this process, opened anew when another model answers. Raises what
    `open_library` raises; a failure is tried again on the next call."""
    opened = _library()
    if opened.superseded:
        with _reopening:
            # Another visitor may have opened it anew meanwhile.
            if _library() is opened:
                _library.clear()
    return _library()


@st.cache_resource(show_spinner=False)
def policy() -> Policy:
    """Who may do what in this process: login and roles are read once. Raises ConfigurationError."""
    return Policy(settings(), login=login_is_set_up())


def visitor() -> Visitor:
    """Whoever this page is drawn for."""
    return policy().visitor(st.user.to_dict())


def may(action: str) -> bool:
    """Whether whoever this page is drawn for may do what the library calls so, as in
    `searches.rename`. What they may not do is not drawn, and refused all the same."""
    return visitor().may(action)


@st.cache_resource(show_spinner=False)
def links_of_nobody() -> Links:
    """Signs and reads the addresses of media; `of` says for whom."""
    return Links(secret_of(settings()))


def links() -> Links:
    """Signs the addresses of media for whoever this page is drawn for."""
    return links_of_nobody().of(visitor().user)


def heat_links(recipe: Recipe, filters: Filters) -> Callable[[Video], str]:
    """Writes where the browser loads the scores of all segments of a video for this question."""
    # Nothing else of the filters counts for a strip, and an address should not be long.
    counting = Filters(options=filters.options, option_weights=filters.option_weights)
    question = library().searches.to_text(recipe, counting)
    return partial(links().heat_url, question)


def warm() -> None:
    """Opens the library before the first visitor asks for it; pages show what goes wrong."""
    try:
        policy()
        library().warm()
    except SeekpointError as error:
        logger.warning("the library did not open: %s", error)


def close() -> None:
    """Closes the library if it is open."""
    _library.clear()
