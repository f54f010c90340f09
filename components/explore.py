"""The frame of the Explore page: which view is open, of what, and long work on its way.

The view and the embedding option stand in the address, so that a link and Back lead to them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import streamlit as st

from components.feedback import show_error
from components.format import time_left
from components.query_form import OPTION_NAMES
from core import Library, Overview, SeekpointError, Task

View = Literal["map", "clusters", "outliers", "duplicates", "trends", "coverage", "side-by-side"]
VIEWS: Mapping[View, str] = {
    "map": "Map",
    "clusters": "Clusters",
    "outliers": "Outliers",
    "duplicates": "Near-duplicates",
    "trends": "Trends",
    "coverage": "Coverage",
    "side-by-side": "Side by side",
}
# These look at whatever was embedded.
OF_ALL_OPTIONS: frozenset[View] = frozenset({"coverage", "side-by-side"})
CLUSTERS_WANTED = "explore_clusters_wanted"
_STYLE = Path(__file__).with_name("explore.css")
_VIEW, _OPTION = "view", "option"
_REFRESH_SEC = 0.5
# Most libraries are small: their answer is there before a progress bar could be read.
_PATIENCE_SEC = 0.2


class Work(Protocol):
    """A task, or several as one."""

    @property
    def running(self) -> bool:
        """Whether it is under way."""


T = TypeVar("T")
W = TypeVar("W", bound=Work)


def open_view() -> View:
    """The view that is open, under the row of all of them."""
    named = st.query_params.get(_VIEW)
    view = cast(View, named) if named in VIEWS else "map"
    st.html(_STYLE)
    st.session_state["explore_view"] = view
    st.segmented_control(
        "View",
        list(VIEWS),
        required=True,
        format_func=VIEWS.__getitem__,
        label_visibility="collapsed",
        key="explore_view",
        on_change=_take,
        args=(_VIEW, "explore_view"),
    )
    return view


def show_view(view: View) -> None:
    """Opens a view, for a callback."""
    st.query_params[_VIEW] = view


def chosen_option(library: Library, *, offered: bool = True) -> str:
    """The embedding option to explore, with a choice when there are several unless it is not to be
    `offered`; empty when nothing has been embedded."""
    options = library.explorer.options()
    named = st.query_params.get(_OPTION, "")
    option = named if named in options else next(iter(options), "")
    if offered and len(options) > 1:
        st.session_state["explore_option"] = option
        st.segmented_control(
            "What is compared",
            options,
            required=True,
            format_func=lambda option: OPTION_NAMES.get(option, option),
            label_visibility="collapsed",
            key="explore_option",
            on_change=_take,
            args=(_OPTION, "explore_option"),
        )
    return option


def overview_shown(library: Library, option: str) -> Overview | None:
    """Map and clusters, in the number that was wished for; None while they are being made."""
    wanted: int | None = st.session_state.get(CLUSTERS_WANTED)
    task = kept_task(
        library,
        ("overview", option, wanted),
        lambda: library.explorer.overview(option, clusters=wanted),
    )
    return task_shown(task)


def kept_task(library: Library, name: Hashable, begin: Callable[[], W]) -> W:
    """The task of this name that the page shows, with a note when the library has changed since.

    It is begun once and stays until somebody wants it anew: a library that is being filled would
    otherwise take away every second what one is looking at.
    """
    place = f"explore_kept_{name[0] if isinstance(name, tuple) else name}"
    kept_name, version, task = st.session_state.get(place, (None, 0, None))
    if kept_name != name or task is None:
        version, task = library.version, begin()
        st.session_state[place] = (name, version, task)
    if version != library.version and not task.running:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("The library has changed since this was made.", width="content")
            st.button(
                "Make it anew",
                key=f"{place}_anew",
                icon=":material/refresh:",
                type="tertiary",
                on_click=st.session_state.pop,
                args=(place, None),
            )
    return cast("W", task)


def task_shown(task: Task[T]) -> T | None:
    """The result of a task. None while it is on its way, which is shown, and when there is none,
    with the reason and a way to begin again."""
    with suppress(TimeoutError, SeekpointError):
        task.wait(_PATIENCE_SEC)
    if task.running:
        st.fragment(_progress, run_every=_REFRESH_SEC)(task)
    elif task.state != "ready":
        if task.error is not None:
            show_error(task.error)
        else:
            st.markdown("This was cancelled.")
        st.button(
            "Try again" if task.error is not None else "Begin again",
            icon=":material/refresh:",
            key=f"explore_again_{id(task)}",
            on_click=task.again,
        )
    return task.result if task.state == "ready" else None


def _progress(task: Task[T]) -> None:
    if not task.running:
        st.rerun()  # the whole page, which shows what became of it
    left = task.remaining_sec
    words = [task.doing or "Beginning", *([] if left is None else [time_left(left)])]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(task.fraction, text=", ".join(words))
        st.button("Cancel", key=f"explore_cancel_{id(task)}", on_click=task.cancel)


def _take(name: str, key: str) -> None:
    st.query_params[name] = st.session_state[key]
