"""Jobs on the screen: a compact bar for the Search page, a full list for the Library page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import streamlit as st

from components.feedback import errors_shown
from components.format import count, time_left
from core import Job, Library, Stage

_REFRESH_SEC = 1.0
_WORDS = {
    Stage.QUEUED: "Waiting for its turn",
    Stage.PROBING: "Looking at the file",
    Stage.UPLOADING: "Transferring",
    Stage.WAITING: "Waiting for the service",
    Stage.EMBEDDING: "Embedding",
    Stage.STORING: "Storing",
    Stage.READY: "Ready",
    Stage.FAILED: "Failed",
    Stage.CANCELLED: "Cancelled",
}
# How much of a job is behind it when a stage begins, and when it ends.
_SHARE = {
    Stage.QUEUED: (0.0, 0.0),
    Stage.PROBING: (0.0, 0.05),
    Stage.UPLOADING: (0.05, 0.25),
    Stage.WAITING: (0.25, 0.35),
    Stage.EMBEDDING: (0.35, 0.95),
    Stage.STORING: (0.95, 1.0),
}


def overall_fraction(job: Job) -> float:
    """How much of the whole job is done, from 0 to 1."""
    begins, ends = _SHARE.get(job.stage, (1.0, 1.0))
    return begins + (ends - begins) * (job.fraction or 0.0)


def current_batch(jobs: Sequence[Job]) -> list[Job]:
    """The unfinished jobs and those that finished since the oldest of them was queued."""
    active = [job for job in jobs if not job.stage.finished]
    if not active:
        return []
    since = min(job.created_at for job in active)
    return [job for job in jobs if job.finished_at is None or job.finished_at >= since]


def batch_progress(batch: Sequence[Job], now: datetime) -> tuple[float, str]:
    """The fraction of a batch that is done, and that in words with the time left."""
    done = sum(overall_fraction(job) for job in batch) / len(batch)
    ready = sum(job.stage.finished for job in batch)
    words = f"Adding videos: {ready} of {len(batch)} done"
    begun = [job.started_at for job in batch if job.started_at is not None]
    elapsed = (now - min(begun)).total_seconds() if begun else 0.0
    if done > 0.05 and elapsed > 2:
        words += ", " + time_left(elapsed * (1 - done) / done)
    return done, words


def ingest_progress(library: Library) -> None:
    """One bar for everything on its way in; draws nothing when nothing is.

    Polls by itself and redraws the page when the first video can be searched and when all is done.
    """
    with errors_shown():
        active = bool(current_batch(library.jobs()))
    if active:
        was_empty = not library.videos()
        st.fragment(_bar, run_every=_REFRESH_SEC)(library, was_empty=was_empty)


def failures(library: Library) -> None:
    """Says how many videos could not be added, and leads to why; draws nothing when none."""
    with errors_shown():
        failed = sum(job.stage is Stage.FAILED for job in library.jobs())
    if failed:
        st.page_link(
            "library.py",
            label=f"{count(failed, 'video')} could not be added. See why",
            icon=":material/error:",
        )


def _bar(library: Library, *, was_empty: bool) -> None:
    with errors_shown():
        batch = current_batch(library.jobs())
    if not batch or (was_empty and library.videos()):
        st.rerun()
    fraction, words = batch_progress(batch, datetime.now(UTC))
    st.progress(fraction, text=words)


def job_list(library: Library) -> None:
    """Every job that is under way or needs attention, with what can be done about it."""
    with errors_shown():
        shown = _worth_showing(library.jobs())
    if shown:
        active = any(not job.stage.finished for job in shown)
        st.fragment(_rows, run_every=_REFRESH_SEC if active else None)(library, active=active)


def _worth_showing(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.stage is not Stage.READY]


def _rows(library: Library, *, active: bool) -> None:
    with errors_shown():
        shown = _worth_showing(library.jobs())
    if active and all(job.stage.finished for job in shown):
        st.rerun()
    waiting = [job for job in shown if job.stage is Stage.QUEUED]
    rest = [job for job in shown if job.stage is not Stage.QUEUED]
    for job in rest:
        _row(library, job)
    for job in waiting[:5]:
        _row(library, job)
    if len(waiting) > 5:
        st.caption(f"and {count(len(waiting) - 5, 'more video')} waiting")


def _row(library: Library, job: Job) -> None:
    with st.container(key=f"job-{job.id}", gap="xxsmall"):
        st.text(job.title)
        if job.stage.finished:
            _outcome(job)
            with st.container(horizontal=True):
                _action("Try again", "refresh", "secondary", library.retry, job)
                _action("Dismiss", "close", "tertiary", library.forget, job)
        else:
            with st.container(horizontal=True, vertical_alignment="center", wrap=False):
                st.progress(overall_fraction(job), text=_WORDS[job.stage])
                _action("Cancel", "close", "tertiary", library.cancel, job)


def _outcome(job: Job) -> None:
    if job.stage is Stage.CANCELLED:
        st.caption(_WORDS[job.stage])
        return
    # A name made from an address says too little about which one it was.
    for line in (job.source if "://" in job.source else "", job.error, job.hint):
        if line:
            st.text(line)


def _action(
    label: str,
    icon: str,
    style: Literal["secondary", "tertiary"],
    act: Callable[[str], None],
    job: Job,
) -> None:
    """A button that acts in the run it causes: a callback of a fragment could show no error."""
    if st.button(label, key=f"{label}-{job.id}", icon=f":material/{icon}:", type=style):
        with errors_shown():
            act(job.id)
        st.rerun()
