"""What is shown in place of a search, until something is asked or it is closed."""

from __future__ import annotations

import streamlit as st

from components.query_state import widget_key

_INSTEAD = "search_instead"


def show_instead(shown: object) -> None:
    """Shows this from the next run on, as long as the form is in the same round."""
    st.session_state[_INSTEAD] = (widget_key("instead"), shown)


def shown_instead() -> object | None:
    """What is shown in place of the search; None for the search itself."""
    during, shown = st.session_state.get(_INSTEAD, ("", None))
    return shown if during == widget_key("instead") else None


def back_to_search() -> None:
    st.session_state.pop(_INSTEAD, None)
