"""Search: ask, see moments, play, judge, take them away."""

from __future__ import annotations

import streamlit as st

import samples
from components import resources
from components.answer import show_answer, take_events
from components.basket import ShownBasket, basket_button, show_basket
from components.browser import browser
from components.clips import clips
from components.evidence import OpenedEvidence, show_evidence
from components.feedback import errors_shown, opened_library, show_error
from components.instead import shown_instead
from components.job_list import failures, ingest_progress
from components.query_form import (
    add_picture,
    add_popover,
    filters_popover,
    help_popover,
    search_box,
)
from components.query_state import (
    asked,
    begin,
    complaint,
    follow_address,
    pending_address,
)
from components.recipe_chips import recipe_chips
from components.saved_searches import searches_button
from core import Library, MediaError, SeekpointError

_EXAMPLES = ("a person walking", "a car on a street", "a city at night", "water", "a dog")


def _empty_library(library: Library) -> None:
    with st.container(horizontal_alignment="center", gap="medium", key="empty-library"):
        st.space("large")
        st.markdown(
            "Add videos, describe a moment in your own words, and play it from the second it starts.",
            text_alignment="center",
        )
        if not resources.may("add"):
            st.markdown("There are no videos yet.", text_alignment="center")
            return
        if library.capabilities.remote:
            minutes = samples.minutes()
            st.caption(
                f"The samples use {minutes:.0f} minutes of your Twelve Labs plan.",
                text_alignment="center",
            )
        if st.button("Load the sample library", type="primary", icon=":material/play_circle:"):
            samples.load(library)
            st.rerun()
        st.page_link("library.py", label="or add your own videos")


def _suggestions(library: Library) -> None:
    sample_titles = {sample.title for sample in samples.sample_sources()}
    has_samples = any(video.title in sample_titles for video in library.videos())
    examples = samples.suggested_queries() if has_samples else _EXAMPLES
    st.pills(
        "Try one of these",
        examples,
        key="search_example",
        on_change=_ask_example,
        args=(library,),
    )


def _ask_example(library: Library) -> None:
    chosen = st.session_state["search_example"]
    if chosen:
        st.session_state["search_example"] = None
        begin(library, asked().retyped(chosen))


def _form(library: Library) -> None:
    """The box, what is beside it, and the chips."""
    problem: SeekpointError | None = None
    try:
        follow_address(library)
    except SeekpointError as error:
        problem = error
    take_events(library)
    search_box(library)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="search_bar"):
        add_popover(library)
        filters_popover(library)
        searches_button(library)
        basket_button(library)
        help_popover(library)
        question = asked()
        try:
            pasted = browser(
                address=pending_address(),
                view=f"{question.page}",
                can_copy=bool(question.text or question.ingredients),
            )
        except MediaError as error:
            pasted, problem = None, error
    if pasted is not None:
        add_picture(library, pasted.content, pasted.suffix, "pasted")
        st.rerun()
    recipe_chips(library)
    problem = problem or complaint()
    if problem is not None:
        show_error(problem)


library = opened_library()
if not library.videos():
    if not library.queue().active:
        _empty_library(library)
    ingest_progress(library)
    failures(library)
    st.stop()

_form(library)
ingest_progress(library)
clips(library)
match shown_instead():
    case OpenedEvidence() as opened:
        show_evidence(library, opened)
        st.stop()
    case ShownBasket():
        show_basket(library)
        st.stop()
with errors_shown():
    recipe = asked().recipe()
if recipe is None:
    _suggestions(library)
    failures(library)
else:
    show_answer(library, recipe)
