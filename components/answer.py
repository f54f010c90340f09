"""The answer to a question: the search itself, its moments, what is done with them, and the pages."""

from __future__ import annotations

import logging
from dataclasses import replace

import streamlit as st

from components import resources
from components.asked import UNLIKE_WEIGHT, Asked, Ingredient
from components.feedback import show_error
from components.format import clock
from components.marks import agreement, marks_of, sentence
from components.query_form import add_picture
from components.query_state import asked, begin, change, complaints_kept, is_saved
from components.recipe_chips import literal, part_name
from components.results_grid import GridEvent, next_event, results_grid
from core import (
    Filters,
    Library,
    MediaError,
    Moment,
    Part,
    Recipe,
    RecipeError,
    SearchResult,
    SeekpointError,
    UnsupportedMedia,
)

logger = logging.getLogger(__name__)

_KEPT = "search_kept"


def show_answer(library: Library, recipe: Recipe) -> None:
    """Searches, unless this is a redraw, and shows what was found."""
    question = asked()
    result, why = _search(library, recipe, question)
    for note in result.notes:
        st.text(note)
    if result.moments:
        _results(library, question, result, why)
    elif question.page > 1:
        st.markdown(f"There is no page {question.page:,} of this search.")
        st.button("Go to the first page", on_click=change, args=(library, question.at(1)))
    elif question.filters != Filters():
        st.markdown("No moment passes these filters.")
        st.button("Clear the filters", on_click=begin, args=(library, question.filtered(Filters())))
    else:
        st.markdown("Nothing was found.")


def take_events(library: Library) -> None:
    """Does what was asked of the cards that are shown; to be called before anything is drawn."""
    while (event := next_event()) is not None:
        kept = st.session_state.get(_KEPT)
        moments = kept[1].moments if kept else ()
        moment = next((m for m in moments if m.best.segment.id == event.segment_id), None)
        _answer(library, asked(), event, moment)


def _search(
    library: Library, recipe: Recipe, question: Asked
) -> tuple[SearchResult, dict[str, str]]:
    """The answer and why each moment is in it, kept for redraws of the same search."""
    key = (recipe, question.filters, question.limit, question.page, library.version)
    if st.session_state.get(_KEPT, (None,))[0] != key:
        try:
            with st.spinner("Searching"):
                result = library.search(
                    recipe,
                    filters=question.filters,
                    limit=question.limit,
                    offset=(question.page - 1) * question.limit,
                )
                why = library.why(result)
        except SeekpointError as error:
            _explain(library, question, error)
            st.stop()
        logger.info("searched: %s", _timings(result))
        if not is_saved():
            with complaints_kept():
                library.searches.keep(recipe, question.filters)
        st.session_state[_KEPT] = (key, result, why)
    _, result, why = st.session_state[_KEPT]
    return result, why


def _explain(library: Library, question: Asked, error: SeekpointError) -> None:
    """Shows what went wrong, with the part it is about and a way to go on without it."""
    culprits = _culprits(library, question, error)
    if not culprits:
        show_error(error)
    for index, problem in culprits.items():
        ingredient = question.ingredients[index]
        name = "A marked moment" if ingredient.mark else part_name(library, ingredient)
        with st.container(gap="small", key=f"search_culprit_{index}"):
            st.text(name)
            show_error(problem)
            with st.container(horizontal=True):
                st.button(
                    f"Remove {literal(name)}",
                    key=f"search_culprit_remove_{index}",
                    icon=":material/close:",
                    on_click=begin,
                    args=(library, question.without(index)),
                )
                st.button(
                    "Leave it out for now",
                    key=f"search_culprit_mute_{index}",
                    icon=":material/visibility_off:",
                    on_click=begin,
                    args=(library, question.changed(index, muted=True)),
                )
    # Enter on unchanged words reports nothing, so the box alone cannot ask again.
    st.button("Try again", icon=":material/refresh:")


def _culprits(
    library: Library, question: Asked, error: SeekpointError
) -> dict[int, SeekpointError]:
    """The parts that cannot be searched with even alone."""
    if not isinstance(error, MediaError | UnsupportedMedia | RecipeError):
        return {}
    found: dict[int, SeekpointError] = {}
    for index, ingredient in enumerate(question.ingredients):
        if ingredient.counts and ingredient.part.kind != "text":
            try:
                library.search(Recipe((ingredient.alone,)), limit=1)
            except SeekpointError as problem:
                found[index] = problem
    return found


def _results(library: Library, question: Asked, result: SearchResult, why: dict[str, str]) -> None:
    marks = marks_of(library, question, result.moments)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(_span(question, result).capitalize(), width="content")
        st.download_button(
            "Export",
            data=lambda: library.export(result, "csv"),
            file_name="seekpoint-moments.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="The moments below as CSV",
        )
    if question.marks:
        st.caption(sentence(agreement(question, result.moments, marks)))
    results_grid(
        result.moments,
        links=resources.links(),
        why=why,
        marks={best: list(thumbs.values())[-1] for best, thumbs in marks.items()},
        footnote=_timings(result),
    )
    _paging(library, question, result)


def _answer(library: Library, question: Asked, event: GridEvent, moment: Moment | None) -> None:
    """Does what was asked of the card of a moment, None when it is no longer shown."""
    segment_id = event.segment_id
    match event.action:
        case "similar":
            similar = Ingredient(Part.segment(segment_id))
            begin(library, replace(question, text="", ingredients=()).added(similar))
        case "unlike":
            unlike = Ingredient(Part.segment(segment_id, weight=UNLIKE_WEIGHT))
            begin(library, question.added(unlike))
        case "frame" if moment is not None and event.second is not None:
            with complaints_kept():
                picture = library.frame(moment.video.id, event.second)
                name = f"{moment.video.title}, {clock(event.second, tenths=True)}"
                add_picture(library, picture, ".png", name)
        case "liked" | "disliked" | "unmarked":
            thumbs = marks_of(library, question, [] if moment is None else [moment])
            question = question.unmarked({segment_id, *thumbs.get(segment_id, ())})
            if event.action != "unmarked":
                question = question.marked(segment_id, event.action == "liked")
            begin(library, question)


def _paging(library: Library, question: Asked, result: SearchResult) -> None:
    if result.at_limit:
        st.caption(
            "This is as far as the search engine reaches; there may be more. Filters bring other "
            "moments into its reach."
        )
    if question.page == 1 and not result.more:
        return
    with st.container(
        horizontal=True, horizontal_alignment="center", vertical_alignment="center", key="paging"
    ):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=question.page == 1,
            on_click=change,
            args=(library, question.at(question.page - 1)),
        )
        st.caption(f"Page {question.page:,}, {_span(question, result)}", width="content")
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=not result.more,
            on_click=change,
            args=(library, question.at(question.page + 1)),
        )


def _span(question: Asked, result: SearchResult) -> str:
    """Which moments of the whole answer are shown."""
    before = (question.page - 1) * question.limit
    first, last = before + 1, before + len(result.moments)
    return f"moment {first:,}" if first == last else f"moments {first:,} to {last:,}"


def _timings(result: SearchResult) -> str:
    said = [f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in result.timings.items()]
    return ", ".join(said + ["cached"] * result.cached)
