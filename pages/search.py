"""Search: ask, see moments, play, take them away."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

import samples
from components import resources
from components.feedback import errors_shown, opened_library, show_error
from components.format import count
from components.job_list import failures, ingest_progress
from components.query_form import query_form, reset_filters
from components.query_state import Asked, Attached, asked, begin
from components.results_grid import results_grid
from core import Library, Recipe, SearchResult, SeekpointError

_EXAMPLES = ("a person walking", "a car on a street", "a city at night", "water", "a dog")


def _empty_library(library: Library) -> None:
    with st.container(horizontal_alignment="center", gap="medium", key="empty-library"):
        st.space("large")
        st.markdown(
            "Add videos, describe a moment in your own words, and play it from the second it starts.",
            text_alignment="center",
        )
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
    st.pills("Try one of these", examples, key="search_example", on_change=_ask_example)


def _ask_example() -> None:
    chosen = st.session_state["search_example"]
    if chosen:
        st.session_state["search_example"] = None
        begin(Asked(text=chosen))


def _search(
    library: Library, recipe: Recipe, question: Asked
) -> tuple[SearchResult, dict[str, str]]:
    """The answer and why each moment is in it, kept for redraws of the same search."""
    key = (recipe, question.filters, question.limit, library.version)
    if st.session_state.get("search_kept", (None,))[0] != key:
        try:
            with st.spinner("Searching"):
                result = library.search(recipe, filters=question.filters, limit=question.limit)
                st.session_state["search_kept"] = (key, result, library.why(result))
        except SeekpointError as error:
            show_error(error)
            # Enter on unchanged words reports nothing, so the box alone cannot ask again.
            st.button("Try again", icon=":material/refresh:")
            st.stop()
    _, result, why = st.session_state["search_kept"]
    return result, why


def _results(library: Library, result: SearchResult, why: dict[str, str]) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        seconds = sum(result.timings.values())
        st.caption(f"{count(len(result.moments), 'closest moment')} in {seconds:.2f} s")
        st.download_button(
            "Export",
            data=lambda: library.export(result, "csv"),
            file_name="seekpoint-moments.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="The moments below as CSV",
        )
    event = results_grid(result.moments, links=resources.links(), why=why)
    if event is not None and event.action == "similar":
        begin(replace(asked(), text="", attached=Attached.moment(event.segment_id)))
        st.rerun()


library = opened_library()
if not library.videos():
    if not any(not job.stage.finished for job in library.jobs()):
        _empty_library(library)
    ingest_progress(library)
    failures(library)
    st.stop()

question = query_form(library)
ingest_progress(library)
with errors_shown():
    recipe = question.recipe()
if recipe is None:
    _suggestions(library)
    failures(library)
    st.stop()

result, why = _search(library, recipe, question)
if result.moments:
    _results(library, result, why)
else:
    st.markdown("No moment passes these filters.")
    st.button("Clear the filters", on_click=reset_filters)
