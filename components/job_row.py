"""One job on the screen: what it is, how far it is, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from components.feedback import errors_shown
from components.format import length, price, time_left, time_taken
from components.labels import named
from components.resources import may
from core import Job, Library, Stage

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
# What is being asked about: ("cancel" or "pay", the job's id).
_ASKING = "queue_asking"
_KEEP, _DROP = "Keep its result for later", "Drop it"


def overall_fraction(job: Job) -> float:
    """How much of the whole job is done, from 0 to 1."""
    begins, ends = _SHARE.get(job.stage, (1.0, 1.0))
    return begins + (ends - begins) * (job.fraction or 0.0)


def job_row(library: Library, job: Job) -> None:
    """Draws a job. For a fragment: what is pressed is done in the run that it causes."""
    with st.container(key=f"job-{job.id}", gap="xxsmall"):
        if job.stage.finished:
            _finished(library, job)
        else:
            _unfinished(library, job)


def _unfinished(library: Library, job: Job) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        with st.container(gap="xxsmall"):
            st.text(job.title)
            if job.stage is Stage.QUEUED:
                st.caption(_waiting(job))
            else:
                st.progress(overall_fraction(job), text=_under_way(job))
        if not may("cancel"):
            return
        if job.stage is Stage.QUEUED and not job.held:
            _action("Do next", "vertical_align_top", library.prioritise, job)
        _cancel(library, job)


def _waiting(job: Job) -> str:
    words = "On hold" if job.held else _WORDS[job.stage]
    return words if job.minutes is None else f"{words}, {length(job.minutes)}"


def _under_way(job: Job) -> str:
    words = job.note or _WORDS[job.stage]
    return words if job.remaining_sec is None else f"{words}, {time_left(job.remaining_sec)}"


def _finished(library: Library, job: Job) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        with st.container(gap="xxsmall"):
            st.text(job.title)
            st.caption(_outcome(library, job))
        if may("retry") and job.stage is not Stage.READY:
            _again(library, job)
        if may("forget"):
            _action("Dismiss", "close", library.forget, job)
    for line in (job.error, job.hint):
        if line:
            st.text(line)
    with st.expander(named("Details", job.title), type="compact", key=f"details-{job.id}"):
        _details(job)


def _outcome(library: Library, job: Job) -> str:
    words = _WORDS[job.stage]
    if job.minutes is not None:
        words += f", {length(job.minutes)}"
    if job.cost:
        words += f", {price(job.cost, library.settings.currency)}"
    return words


def _details(job: Job) -> None:
    stages = [
        f"{_WORDS[Stage(stage)].lower()} {time_taken(seconds)}"
        for stage, seconds in job.stage_seconds.items()
    ]
    lines = {
        "From": job.source,
        "Time": ", ".join(stages),
        "Attempts": f"{job.attempts:,}",
        "Task": job.task_id,
    }
    for name, value in lines.items():
        if value:
            st.text(f"{name}: {value}")


def _again(library: Library, job: Job) -> None:
    if not job.must_confirm:
        _action("Try again", "refresh", library.retry, job, type="secondary")
    elif _pressed(_paying_again(library, job), "payments", job, type="secondary"):
        st.session_state[_ASKING] = ("pay", job.id)
        st.rerun()


def _paying_again(library: Library, job: Job) -> str:
    if job.minutes is None:
        return "Embed again"
    again = job.minutes * library.embedder.prices.per_minute
    return f"Embed again for {price(again, library.settings.currency)}"


def _cancel(library: Library, job: Job) -> None:
    if not job.task_id:
        _action("Cancel", "close", library.cancel, job)
    elif _pressed("Cancel", "close", job):
        st.session_state[_ASKING] = ("cancel", job.id)
        st.rerun()


def _action(
    words: str,
    icon: str,
    act: Callable[[str], object],
    job: Job,
    type: Literal["secondary", "tertiary"] = "tertiary",
) -> None:
    """A button that acts in the run it causes: a callback of a fragment could show no error."""
    if _pressed(words, icon, job, type):
        with errors_shown():
            act(job.id)
        st.rerun()


def _pressed(
    words: str, icon: str, job: Job, type: Literal["secondary", "tertiary"] = "tertiary"
) -> bool:
    return st.button(
        named(words, job.title), key=f"{words}-{job.id}", icon=f":material/{icon}:", type=type
    )


# Questions


def asked_about(library: Library) -> None:
    """The dialog that a button of a row asked for.

    Drawn by the page, not by the fragment of the rows, whose redraws it must not notice.
    """
    kind, job_id = st.session_state.get(_ASKING, ("", ""))
    if not kind:
        return
    with errors_shown():
        job = library.job(job_id)
    if job is None or (kind == "cancel") == job.stage.finished:
        _close()  # it came to its end meanwhile
    elif kind == "cancel":
        _confirm_cancel(library, job)
    else:
        _confirm_payment(library, job)


def _close() -> None:
    st.session_state.pop(_ASKING, None)


@st.dialog("Cancel this video?", on_dismiss=_close)
def _confirm_cancel(library: Library, job: Job) -> None:
    st.text(job.title)
    st.markdown("The service is already at work on it. That cannot be stopped, and it is billed.")
    choice = st.radio(
        "What becomes of its result?",
        [_KEEP, _DROP],
        captions=[
            "Adding this video again within a few days then costs nothing more.",
            "Adding it again is paid for again.",
        ],
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        kept = st.button("Go on with it")
        cancelled = st.button("Cancel it", type="primary", key="confirm-cancel")
    if cancelled:
        with errors_shown():
            library.cancel(job.id, drop=choice == _DROP)
    if kept or cancelled:
        _close()
        st.rerun()


@st.dialog("Pay for this video again?", on_dismiss=_close)
def _confirm_payment(library: Library, job: Job) -> None:
    st.text(job.title)
    st.markdown(
        "It was embedded and paid for before, but the result can no longer be had. "
        "Embedding it again is paid for again."
    )
    if job.minutes is None:
        st.markdown("How long it is, and so what it costs, is unknown.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        left = st.button("Leave it")
        paid = st.button(_paying_again(library, job), type="primary", key="confirm-payment")
    if paid:
        with errors_shown():
            library.retry(job.id, pay_again=True)
    if left or paid:
        _close()
        st.rerun()
