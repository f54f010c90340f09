"""The queue on the screen: one bar for the Search page, everything about it for the Library page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from components import job_row
from components.budgets import month_budget, run_budget
from components.feedback import errors_shown
from components.format import count, time_left
from components.resources import may
from core import Job, Library, QueueState, Stage

_REFRESH_SEC = 1.0
_ROWS = 25
_FILTER = "queue_filter"
_SHOWN = "queue_shown"
_RUNNING = frozenset(
    {Stage.PROBING, Stage.UPLOADING, Stage.WAITING, Stage.EMBEDDING, Stage.STORING}
)
# In the order of the list: what moves, what needs somebody, what will move, what is over.
_STATES: Mapping[str, frozenset[Stage]] = {
    "Running": _RUNNING,
    "Failed": frozenset({Stage.FAILED}),
    "Waiting": frozenset({Stage.QUEUED}),
    "Cancelled": frozenset({Stage.CANCELLED}),
    "Done": frozenset({Stage.READY}),
}
_ALL = "All"


def queue_words(state: QueueState) -> str:
    """`7 of 12 done, about 3 min left`; no time where none can be guessed or nothing moves."""
    words = f"{state.done:,} of {state.total:,} done"
    if state.remaining_sec is not None and not state.paused:
        words += ", " + time_left(state.remaining_sec)
    return words


# For the Search page


def ingest_progress(library: Library) -> None:
    """One bar for everything on its way in; draws nothing when nothing is.

    Polls by itself and redraws the page when the first video can be searched and when all is done.
    """
    with errors_shown():
        state = library.queue()
    if state.active:
        polling = _moves(state)
        was_empty = not library.videos()
        st.fragment(_bar, run_every=_REFRESH_SEC if polling else None)(
            library, polling=polling, was_empty=was_empty
        )


def _bar(library: Library, *, polling: bool, was_empty: bool) -> None:
    with errors_shown():
        state = library.queue()
    if _moves(state) != polling or (was_empty and library.videos()):
        st.rerun()
    verb = "Adding videos is paused" if state.paused else "Adding videos"
    st.progress(state.fraction, text=f"{verb}: {queue_words(state)}")
    if state.paused:
        st.page_link("library.py", label="See why, and go on", icon=":material/pause_circle:")


def failures(library: Library) -> None:
    """Says how many videos could not be added, and leads to why; draws nothing when none."""
    with errors_shown():
        failed = library.queue().counts.get(Stage.FAILED, 0)
    if failed:
        st.page_link(
            "library.py",
            label=f"{count(failed, 'video')} could not be added. See why",
            icon=":material/error:",
        )


# For the Library page


def job_list(library: Library) -> None:
    """The whole queue, with what can be done about it; draws nothing when nothing was added."""
    with errors_shown():
        state = library.queue()
    if any(state.counts.values()):
        job_row.asked_about(library)
        polling = _moves(state)
        st.fragment(_queue, run_every=_REFRESH_SEC if polling else None)(
            library, polling=polling, version=library.version
        )


def _moves(state: QueueState) -> bool:
    """Whether anything may change without anybody doing anything."""
    return _running(state) > 0 or (state.active and not state.paused)


def _running(state: QueueState) -> int:
    return sum(state.counts.get(stage, 0) for stage in _RUNNING)


def _queue(library: Library, *, polling: bool, version: int) -> None:
    with errors_shown():
        state = library.queue()
    if _moves(state) != polling or library.version != version:
        st.rerun()  # the videos below have changed too, or there is nothing more to wait for
    if set(state.counts) == {Stage.READY}:
        with st.expander(f"{count(state.counts[Stage.READY], 'video')} added", key="queue_done"):
            _rows(library, state, _STATES["Done"])
            _for_all(library, state, _STATES["Done"])
        return
    st.subheader("Queue")
    if state.active:
        _totals(library, state)
    stages = _filter(state)
    _rows(library, state, stages)
    _for_all(library, state, stages)


def _totals(library: Library, state: QueueState) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.progress(state.fraction, text=queue_words(state))
        if (
            not state.paused
            and may("pause")
            and st.button(
                "Pause",
                icon=":material/pause:",
                help="What is running finishes; nothing new begins.",
            )
        ):
            with errors_shown():
                library.pause()
            st.rerun()
    if state.paused:
        _paused(library, state)


def _paused(library: Library, state: QueueState) -> None:
    with st.container(border=True, key="queue-paused", gap="small"):
        st.text(state.reason or "The queue is paused.")
        if state.hint:
            st.text(state.hint)
        if running := _running(state):
            st.caption(f"{count(running, 'video')} under way will be finished.")
        with st.container(horizontal=True, vertical_alignment="center"):
            if state.paused == "budget":
                month_budget(library, key="queue_month_budget")  # more of it goes on by itself
            elif may("resume") and st.button("Go on", type="primary", icon=":material/play_arrow:"):
                with errors_shown():
                    library.resume()
                st.rerun()


def _filter(state: QueueState) -> frozenset[Stage]:
    counts = {name: _count(state, stages) for name, stages in _STATES.items()}
    chosen = st.session_state.get(_FILTER)
    wanted = st.segmented_control(
        "Show",
        [_ALL, *(name for name in _STATES if counts[name] or name == chosen)],
        default=_ALL,
        required=True,
        key=_FILTER,
        format_func=lambda name: f"{name} {counts.get(name, sum(counts.values())):,}",
        label_visibility="collapsed",
        on_change=_show_first,
    )
    return _STATES.get(wanted or _ALL, frozenset(Stage))


def _count(state: QueueState, stages: frozenset[Stage]) -> int:
    return sum(state.counts.get(stage, 0) for stage in stages)


def _show_first() -> None:
    st.session_state.pop(_SHOWN, None)


def _rows(library: Library, state: QueueState, stages: frozenset[Stage]) -> None:
    limit: int = st.session_state.get(_SHOWN, _ROWS)
    with errors_shown():
        jobs = _first(library, stages, limit)
    for run, of_run in _held(jobs).items():
        with st.container(border=True, key=f"held-{run}", gap="small"):
            st.text(of_run[0].held)
            run_budget(library, run)
    for job in jobs:
        job_row.job_row(library, job)
    if not jobs:
        st.caption("None.")
    more = _count(state, stages) - limit
    if more > 0:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"and {more:,} more", width="content")
            if st.button("Show more", type="tertiary", icon=":material/expand_more:"):
                st.session_state[_SHOWN] = limit + _ROWS
                st.rerun()


def _first(library: Library, stages: frozenset[Stage], limit: int) -> list[Job]:
    """The first jobs in the order of the states, and then of the queue."""
    # By id, because one may move on between two of the looks.
    jobs: dict[str, Job] = {}
    for state in _STATES.values():
        if stages >= state and len(jobs) < limit:
            found = library.jobs(state, limit=limit - len(jobs))
            for job in sorted(found, key=lambda job: -job.priority):
                jobs.setdefault(job.id, job)
    return list(jobs.values())


def _held(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    """What waits because the budget of its run is used up, by run."""
    runs: dict[str, list[Job]] = {}
    for job in jobs:
        if job.held and job.stage is Stage.QUEUED:
            runs.setdefault(job.run, []).append(job)
    return runs


def _for_all(library: Library, state: QueueState, stages: frozenset[Stage]) -> None:
    over = frozenset(stage for stage in stages if stage.finished)
    failed = state.counts.get(Stage.FAILED, 0) if Stage.FAILED in stages else 0
    if not may("retry_failed"):
        return
    with st.container(horizontal=True):
        if failed > 1 and st.button("Try all failed again", icon=":material/refresh:"):
            with errors_shown():
                library.retry_failed()
            st.rerun()
        if _count(state, over) > 1 and st.button(
            "Dismiss all",
            type="tertiary",
            icon=":material/clear_all:",
            help="Takes what has finished, failed or was cancelled off this list. "
            "The videos of the library stay.",
        ):
            with errors_shown():
                library.forget_all(over)
            st.rerun()
