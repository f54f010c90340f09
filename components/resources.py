"""The one seam where core objects become cached Streamlit resources."""

from __future__ import annotations

import logging
from collections.abc import Callable

import streamlit as st

from components.links import Links, Questions
from core import Filters, Library, Recipe, SeekpointError, Settings, Video, open_library
from core.log import configure_logging

logger = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings of this process. Raises ConfigurationError, which is not cached."""
    read = Settings.from_env()
    configure_logging(read)
    return read


@st.cache_resource(show_spinner=False, on_release=Library.close)
def library() -> Library:
    """The open library of this process. Raises what `open_library` raises; a failure is tried
    again on the next call."""
    return open_library(settings())


@st.cache_resource(show_spinner=False)
def links() -> Links:
    """Signs and reads the addresses of media."""
    return Links(settings())


@st.cache_resource(show_spinner=False)
def questions() -> Questions:
    """What is asked on all screens of this process."""
    return Questions()


def heat_links(recipe: Recipe, filters: Filters) -> Callable[[Video], str]:
    """Writes where the browser loads the scores of all segments of a video for this question."""
    return questions().links(recipe, filters)


def warm() -> None:
    """Opens the library before the first visitor asks for it; pages show what goes wrong."""
    try:
        library().warm()
    except SeekpointError as error:
        logger.warning("the library did not open: %s", error)


def close() -> None:
    """Closes the library if it is open."""
    library.clear()
