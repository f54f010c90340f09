"""Another model: what a change of the settings means, how far it is, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from components.feedback import errors_shown
from components.format import clock, count, price
from core import ChangePlan, ChangeProgress, KnownModel, Library, ModelChange

_REFRESH_SEC = 1.0


def model_change(library: Library) -> None:
    """The change to the model that the settings name, or the models to go back to; draws nothing
    where there is but one model."""
    change = library.model_change
    if change is None:
        _known_models(library)
    elif change.begun:
        with st.container(border=True, key="model-change"):
            st.fragment(_under_way, run_every=_REFRESH_SEC)(library, change)
    else:
        with st.container(border=True, key="model-change"):
            _offer(library, change)


def _offer(library: Library, change: ModelChange) -> None:
    with errors_shown():
        plan = change.plan()
    st.markdown(
        f"**The settings name another model.** They say {_named(change)}; until you change, "
        f"{_now(library)} answers, as before."
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if not plan.videos:
            st.caption("It has embedded all videos already.", width="content")
            _finish(change, "Change now", primary=True)
            return
        st.caption(_words(plan), width="content")
        if st.button("Embed them and change", type="primary", icon=":material/model_training:"):
            _act(change.begin)
        with st.popover("Change without them", type="tertiary"):
            st.text("Searches will not find these videos until the new model has embedded them.")
            _finish(change, "Change now")


def _under_way(library: Library, change: ModelChange) -> None:
    if library.superseded or not change.begun:
        st.rerun()
    with errors_shown():
        progress = change.progress()
    done = f"{progress.ready:,} of {progress.total:,} videos"
    st.progress(
        progress.ready / max(1, progress.total),
        text=f"{_named(change)} embeds the library anew: {done}",
    )
    st.caption(f"{_now(library)} answers until all are ready.")
    if progress.paused:
        st.text(" ".join(filter(None, (progress.paused, progress.hint))))
    _failures(progress)
    with st.container(horizontal=True, vertical_alignment="center"):
        _steer(change, progress)


def _failures(progress: ChangeProgress) -> None:
    if not progress.failed:
        return
    with st.expander(f"{count(len(progress.failed), 'video')} could not be embedded"):
        for job in progress.failed:
            st.text(f"{job.title}: {job.error} {job.hint}".strip())


def _steer(change: ModelChange, progress: ChangeProgress) -> None:
    if progress.paused:
        if st.button("Go on", type="primary", icon=":material/play_arrow:"):
            _act(change.resume)
    elif st.button("Pause", icon=":material/pause:", key="model-change-pause"):
        _act(change.pause)
    if progress.failed:
        if st.button("Try the failed again", icon=":material/refresh:"):
            _act(change.retry_failed)
        with st.popover("Change without them", type="tertiary"):
            st.text("Searches will not find what is not ready yet.")
            _finish(change, "Change now")
    if st.button(
        "Stop",
        type="tertiary",
        help="Nothing more is embedded. What is ready is kept, and is not paid for again.",
    ):
        _act(change.stop)


def _finish(change: ModelChange, label: str, *, primary: bool = False) -> None:
    if st.button(label, type="primary" if primary else "secondary", key="model-change-now"):
        _act(change.finish)


def _known_models(library: Library) -> None:
    with errors_shown():
        known = library.known_models()
    if not known:
        return
    with st.expander("Other models", key="other-models"):
        st.caption("They have embedded videos here, too. To go back costs nothing.")
        for model in known:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(f"{_title(model)}, {count(model.videos, 'video')}", width="content")
                if st.button("Answer with it", key=f"answer-with-{model.collection}"):
                    _act(partial(library.answer_with, model))


def _act(act: Callable[[], None]) -> None:
    with errors_shown():
        act()
    st.rerun()


def _words(plan: ChangePlan) -> str:
    words = f"{count(plan.videos, 'video')} to embed anew, {clock(plan.minutes * 60)}"
    if plan.price:
        words += f", {price(plan.price, plan.currency)}"
    if plan.unknown:
        words += f", and {count(plan.unknown, 'video')} of unknown price"
    return words + "."


def _now(library: Library) -> str:
    return f"{library.embedder.model} ({library.embedder.dimension})"


def _named(change: ModelChange) -> str:
    return f"{change.embedder.model} ({change.embedder.dimension})"


def _title(model: KnownModel) -> str:
    return f"{model.model} ({model.dimension})"
