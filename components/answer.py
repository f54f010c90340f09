"""The answer to a question: the search itself, its moments, what is done with them, and the pages."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from components import resources
from components.asked import UNLIKE_WEIGHT, Asked, Ingredient, Layout
from components.export_menu import export_menu, what_is_exported
from components.feedback import show_error
from components.format import clock
from components.marks import agreement, marks_of, sentence
from components.query_form import add_picture
from components.query_state import (
    asked,
    begin,
    begun_with,
    change,
    complaints_kept,
    is_saved,
    widget_key,
)
from components.recipe_chips import literal, part_name
from components.results_grid import GridEvent, next_event, results_grid
from components.selection import keep, kept, select, selected, selection_bar
from components.verdict import not_in_the_archive, what_was_searched
from core import (
    Calibration,
    Cut,
    Filters,
    Finding,
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

_KEPT, _FIRST, _ON_SCREEN = "search_kept", "search_first_page", "search_on_screen"
# What can be done only while the video is there; the basket takes its moments all the same.
_OF_THE_VIDEO = {"similar", "unlike", "liked", "disliked", "frame", "more_of_video"}
_VIEWS: Mapping[Layout, str] = {"cards": "Cards", "table": "Table"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Moments on the screen.

    `question` is what their buttons go on from, `name` tells answers apart whose ticks are not to
    be mixed. `moments` are those of the result as they are shown: similar ones may be folded.
    `findings` are all of them, to be taken away. `top_score` is that of the best one of all pages.
    """

    question: Asked
    name: Hashable
    result: SearchResult
    moments: tuple[Moment, ...]
    findings: Sequence[Finding]
    why: Mapping[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    top_score: float | None = None


def show_answer(library: Library, recipe: Recipe) -> None:
    """Searches, unless this is a redraw, and shows what was found."""
    question = asked()
    answer = _search(library, recipe, question)
    result, calibration = answer.result, answer.calibration
    for note in result.notes:
        st.text(note)
    if calibration is not None and _is_missing(question, result, calibration):
        not_in_the_archive(library, result, calibration)
    if result.moments:
        show_moments(library, answer)
        _paging(library, question, result)
    elif question.page > 1:
        st.markdown(f"There is no page {question.page:,} of this search.")
        st.button("Go to the first page", on_click=change, args=(library, question.at(1)))
    elif question.filters != Filters():
        st.markdown("No moment passes these filters.")
        st.button("Clear the filters", on_click=begin, args=(library, question.filtered(Filters())))
    else:
        st.markdown("Nothing was found.")


def show_moments(library: Library, answer: Answer) -> None:
    """The moments of an answer and all that can be done with them."""
    st.session_state[_ON_SCREEN] = answer
    question, result, calibration = answer.question, answer.result, answer.calibration
    findings = answer.findings
    marks = marks_of(library, question, result.moments)
    cut = _cut(calibration)
    _bar(library, answer, cut)
    if question.marks:
        st.caption(sentence(agreement(question, result.moments, marks)))
    if cut is not None and result.moments[0].rank > cut.after:
        st.caption(f"All moments of this page are below the cut: {cut.reason}.")
        cut = None
    exported = library.basket.exported([finding.id for finding in findings])
    knows_scores = bool(result.recipe.parts) and result.model == library.embedder.model
    results_grid(
        answer.moments,
        links=resources.links(),
        why=answer.why,
        marks={best: list(thumbs.values())[-1] for best, thumbs in marks.items()},
        top_score=answer.top_score,
        footnote=_footnote(answer),
        relevances=None if calibration is None else calibration.relevances,
        cut=cut,
        heat_url=resources.heat_links(result.recipe, result.filters) if knows_scores else None,
        selected=[_card_of(finding) for finding in selected(answer.name)],
        kept=kept(library, findings),
        exported=[_card_of(finding) for finding in findings if finding.id in exported],
        layout=asked().layout,
        grouped=asked().grouped,
    )


def show_in_pages(library: Library, answer: Answer, *, key: str) -> None:
    """The moments of an answer that is all there, however many they are, page by page."""
    per_page = asked().limit
    pages = math.ceil(len(answer.moments) / per_page)
    page = min(pages, st.session_state.get(key, 1))
    here = slice((page - 1) * per_page, page * per_page)
    moments = answer.moments[here]
    shown = replace(
        answer,
        question=answer.question.at(page, per_page),
        result=replace(answer.result, moments=moments),
        moments=moments,
        findings=answer.findings[here],
    )
    show_moments(library, shown)
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key=key)


def take_events(library: Library) -> None:
    """Does what was asked of the cards that are shown; to be called before anything is drawn."""
    while (event := next_event()) is not None:
        answer: Answer | None = st.session_state.get(_ON_SCREEN)
        if answer is not None:
            _do(library, answer, event)


def _search(library: Library, recipe: Recipe, question: Asked) -> Answer:
    """The answer, with why each moment is in it and what its score means; kept for redraws of the
    same search."""
    key = (*_pages(library, recipe, question), question.page)
    if st.session_state.get(_KEPT, (None,))[0] != key:
        try:
            with st.spinner("Searching"):
                found = _searched(library, recipe, question)
        except SeekpointError as error:
            _explain(library, question, error)
            st.stop()
        logger.info("searched: %s", _timings(found.result))
        if not is_saved():
            with complaints_kept():
                library.searches.keep(recipe, question.filters)
        st.session_state[_KEPT] = (key, found)
    answer: Answer = st.session_state[_KEPT][1]
    return replace(answer, question=question)


def _pages(library: Library, recipe: Recipe, question: Asked) -> tuple[Hashable, ...]:
    """Stays the same through the pages of one answer."""
    return (recipe, question.filters, question.limit, question.grouped, library.version)


def _searched(library: Library, recipe: Recipe, question: Asked) -> Answer:
    result = _page(library, recipe, question)
    # A moment that looks like one of another video would leave its own.
    moments = result.moments if question.grouped else library.fold(result.moments)
    begun = time.perf_counter()
    calibration = _calibrated(library, result)
    timings = {**result.timings, "calibrate": time.perf_counter() - begun}
    if question.page == 1:
        _keep_first(library, question, result, calibration)
    top_score, cut = _first_page(library, recipe, question)
    if calibration is not None and cut is not None:
        calibration = replace(calibration, cut=cut)
    return Answer(
        question=question,
        name=(recipe, question.filters),
        result=replace(result, timings=timings),
        moments=tuple(moments),
        findings=library.findings(result, calibration),
        why=library.why(result),
        calibration=calibration,
        top_score=top_score,
    )


def _page(library: Library, recipe: Recipe, question: Asked) -> SearchResult:
    return library.search(
        recipe,
        filters=question.filters,
        limit=question.limit,
        offset=(question.page - 1) * question.limit,
        per_video=question.per_video,
    )


def _first_page(
    library: Library, recipe: Recipe, question: Asked
) -> tuple[float | None, Cut | None]:
    """The best score of an answer and where its first page says that it ends: on later pages both
    are the same, though these would say otherwise by themselves."""
    pages = _pages(library, recipe, question)
    if st.session_state.get(_FIRST, (None,))[0] != pages:
        first = _page(library, recipe, question.at(1))
        _keep_first(library, question, first, _calibrated(library, first))
    _, top_score, cut = st.session_state[_FIRST]
    return top_score, cut


def _keep_first(
    library: Library, question: Asked, first: SearchResult, calibration: Calibration | None
) -> None:
    pages = _pages(library, first.recipe, question)
    top_score = first.moments[0].score if first.moments else None
    st.session_state[_FIRST] = (pages, top_score, calibration.cut if calibration else None)


def _calibrated(library: Library, result: SearchResult) -> Calibration | None:
    """What the scores mean; an answer without that is better than none."""
    try:
        return library.calibrate(result)
    except SeekpointError as error:
        logger.warning("what the scores mean is unknown: %s", error)
        return None


def _is_missing(question: Asked, result: SearchResult, calibration: Calibration) -> bool:
    """Whether the whole answer is known to be no better than chance; one whose moments all score
    too little for the filters may have been better."""
    return not calibration.found and question.page == 1 and bool(result.moments)


def _cut(calibration: Calibration | None) -> Cut | None:
    """Where the answer may end. The nearest misses of one without any stay in sight."""
    return calibration.cut if calibration is not None and calibration.found else None


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


def _bar(library: Library, answer: Answer, cut: Cut | None) -> None:
    """What is shown or selected, how it is laid out, and the way out."""
    ticked = selected(answer.name)
    with st.container(
        horizontal=True,
        vertical_alignment="center",
        gap="small",
        key="search_bar_selected" if ticked else "search_bar_shown",
    ):
        if not ticked:
            st.caption(_span(answer.question, answer.result).capitalize(), width="content")
        selection_bar(library, answer.name, answer.findings, cut)
        st.space("stretch")
        with st.container(
            horizontal=True,
            vertical_alignment="center",
            width="content",
            gap="small",
            key="search_view",
        ):
            _view_control(library)
        out = ticked or answer.findings
        what = what_is_exported(out, cut, selected=bool(ticked))
        export_menu(library, out, what=what, key="search_export")


def _view_control(library: Library) -> None:
    st.segmented_control(
        "View",
        ("cards", "table"),
        default=begun_with().layout,
        required=True,
        format_func=_VIEWS.__getitem__,
        label_visibility="collapsed",
        key=widget_key("layout"),
        on_change=_take_layout,
        args=(library,),
    )
    st.toggle(
        "By video",
        begun_with().grouped,
        key=widget_key("grouped"),
        on_change=_take_grouped,
        args=(library,),
    )


def _take_layout(library: Library) -> None:
    change(library, asked().laid_out(st.session_state[widget_key("layout")]))


def _take_grouped(library: Library) -> None:
    change(library, asked().by_video(st.session_state[widget_key("grouped")]))


def _do(library: Library, answer: Answer, event: GridEvent) -> None:
    """Does what was asked of a card, which is shown no longer when its moment is unknown."""
    question, segment_id = answer.question, event.segment_id
    moments = {moment.best.segment.id: moment for moment in answer.result.moments}
    moment = moments.get(segment_id)
    if event.action in _OF_THE_VIDEO and moment is not None and _is_gone(library, moment):
        with complaints_kept():
            raise MediaError(
                "The video of this moment is no longer in the library.", "Search again."
            )
        return
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
        case "more_of_video" if moment is not None:
            of_video = replace(question.filters, video_ids=(moment.video.id,))
            begin(library, question.filtered(of_video).by_video(False))
        case "select":
            known = (*selected(answer.name), *answer.findings)
            ticked = [finding for finding in known if _card_of(finding) in event.segment_ids]
            select(answer.name, ticked, answer.findings)
        case "basket":
            for finding in answer.findings:
                if _card_of(finding) == segment_id:
                    _turn_over(library, finding)


def _is_gone(library: Library, moment: Moment) -> bool:
    """Whether the video was removed while its moment was on the screen."""
    return all(video.id != moment.video.id for video in library.videos())


def _card_of(finding: Finding) -> str:
    """What the grid calls the card of a moment."""
    return finding.moment.best.segment.id


def _turn_over(library: Library, finding: Finding) -> None:
    """Into the basket, or out of it."""
    with complaints_kept():
        if finding.id in library.basket.ids():
            library.basket.remove([finding.id])
            st.toast("Taken out of the basket", icon=":material/bookmark:")
        else:
            keep(library, [finding])


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


def _footnote(answer: Answer) -> str:
    said = [_timings(answer.result)]
    if answer.calibration is not None:
        said = [what_was_searched(answer.calibration.searched), *said, answer.calibration.reason]
    return " · ".join(filter(None, said))


def _timings(result: SearchResult) -> str:
    said = [f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in result.timings.items()]
    return ", ".join(said + ["cached"] * result.cached)
