"""Moments found by looking instead of asking: as cards that play, and the ways on from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from components import resources
from components.asked import UNLIKE_WEIGHT, Asked, Ingredient
from components.export_menu import export_menu
from components.feedback import show_error
from components.format import clock, count
from components.query_state import hand_over, last_asked
from components.results_grid import GridEvent, next_event, results_grid
from components.selection import keep, kept
from core import Filters, Finding, Library, Moment, Part, SearchResult, SeekpointError

_PER_PAGE = 12
# As many as a question can have parts of this kind and still be understood by who reads it.
_MOST_PARTS = 5
# They all stand in the address.
_MOST_VIDEOS = 50
_GRID, _KEPT = "explore_moments", "explore_answer"


def answer_of(
    library: Library, segment_ids: Sequence[str], *, like: str | None = None
) -> SearchResult:
    """Segments as an answer; kept for redraws of the same ones.

    Raises what `Explorer.answer` raises.
    """
    key = (tuple(segment_ids), like, library.version)
    if st.session_state.get(_KEPT, (None,))[0] != key:
        st.session_state[_KEPT] = (key, library.explorer.answer(segment_ids, like=like))
    answer: SearchResult = st.session_state[_KEPT][1]
    return answer


def cards(
    library: Library,
    result: SearchResult,
    *,
    name: str,
    why: Mapping[str, str] | None = None,
    scores: Mapping[str, float] | None = None,
    play: str = "",
    scored: bool = True,
    grid: str = _GRID,
) -> None:
    """The moments of an answer as cards, page by page. What leads to a search opens the Search page.

    Args:
        name: tells the pages of different answers apart.
        why: what each card says below its title, by segment id.
        scores: what cards show in place of the cosine with the answer's recipe.
        play: the moment that begins to play at once.
        scored: False where cosines with the answer's recipe mean nothing, which are not shown then.
        grid: tells several grids on one page apart.
    """
    while (event := next_event(grid)) is not None:
        try:
            _do(library, result, event)
        except SeekpointError as error:
            show_error(error)
    pages = math.ceil(len(result.moments) / _PER_PAGE)
    key = f"explore_page_{name}"
    page = min(pages, st.session_state.get(key, 1))
    moments = result.moments if scores is None else [_scored(m, scores) for m in result.moments]
    of_recipe = result.recipe, result.filters
    knows_scores = scored and scores is None and result.model == library.embedder.model
    findings = library.findings(result)
    exported = library.basket.exported([finding.id for finding in findings])
    results_grid(
        moments[(page - 1) * _PER_PAGE : page * _PER_PAGE],
        links=resources.links(),
        why=why,
        top_score=max(moment.score for moment in moments),
        heat_url=resources.heat_links(*of_recipe) if knows_scores else None,
        kept=kept(library, findings),
        exported=[_card_of(finding) for finding in findings if finding.id in exported],
        scored=scored,
        play=play,
        key=grid,
    )
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key=key)


def ways_on(library: Library, result: SearchResult, *, name: str) -> None:
    """What can be done with all moments of an answer together."""
    moments, findings = result.moments, library.findings(result)
    video_ids = tuple(dict.fromkeys(moment.video.id for moment in moments))
    alike = sorted(moments, key=lambda moment: -moment.score)[:_MOST_PARTS]
    question = last_asked() or Asked()
    few = len(alike) == len(moments)
    these = "these" if few else f"the {_MOST_PARTS} nearest to their middle"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            f"Search in {'this video' if len(video_ids) == 1 else f'these {len(video_ids):,} videos'}",
            key=f"explore_within_{name}",
            icon=":material/filter_alt:",
            type="primary",
            disabled=len(video_ids) > _MOST_VIDEOS,
            help=f"A search takes {_MOST_VIDEOS} videos at most: pick fewer."
            if len(video_ids) > _MOST_VIDEOS
            else "Goes on with your last search, in these videos only",
        ):
            within = replace(question.filters, video_ids=video_ids)
            hand_over(library, question.filtered(within))
        if st.button(
            "Search more like these",
            key=f"explore_more_{name}",
            icon=":material/search:",
            help=f"Searches for what {these} have in common",
        ):
            hand_over(library, _with(Asked(), alike, 1.0))
        if st.button(
            "Less like these",
            key=f"explore_less_{name}",
            icon=":material/search_off:",
            disabled=not question.ingredients,
            help=f"Your last search, without what is like {these}"
            if question.ingredients
            else "There is no search yet to make less like these",
        ):
            hand_over(library, _with(question, alike, UNLIKE_WEIGHT))
        if resources.may("basket.add") and st.button(
            "Add to basket", key=f"explore_keep_{name}", icon=":material/bookmark:"
        ):
            keep(library, findings)
        export_menu(library, findings, what=what_is_shown(result), key=f"explore_export_{name}")


def what_is_shown(result: SearchResult) -> str:
    """As in "24 moments of 3 videos"."""
    videos = len({moment.video.id for moment in result.moments})
    return f"{count(len(result.moments), 'moment')} of {count(videos, 'video')}"


def _with(question: Asked, moments: Sequence[Moment], weight: float) -> Asked:
    for moment in moments:
        part = Part.segment(moment.best.segment.id, weight=weight)
        question = question.added(Ingredient(part))
    return question


def _do(library: Library, result: SearchResult, event: GridEvent) -> None:
    """Does what was asked of a card."""
    moments = {moment.best.segment.id: moment for moment in result.moments}
    moment = moments.get(event.segment_id)
    if moment is None:
        return
    like = Ingredient(Part.segment(event.segment_id))
    match event.action:
        case "similar":
            hand_over(library, Asked().added(like))
        case "unlike":
            hand_over(library, _with(last_asked() or Asked(), [moment], UNLIKE_WEIGHT))
        case "more_of_video":
            of_video = Filters(video_ids=(moment.video.id,))
            hand_over(library, Asked().added(like).filtered(of_video))
        case "frame" if event.second is not None:
            picture = library.frame(moment.video.id, event.second)
            path = library.searches.keep_media(picture, ".png")
            name = f"{moment.video.title}, {clock(event.second, tenths=True)}"
            hand_over(library, Asked().added(Ingredient(Part.image(path), name)))
        case "basket":
            for finding in library.findings(result, only=[event.segment_id]):
                if finding.id in library.basket.ids():
                    library.basket.remove([finding.id])
                    st.toast("Taken out of the basket", icon=":material/bookmark:")
                else:
                    keep(library, [finding])


def _scored(moment: Moment, scores: Mapping[str, float]) -> Moment:
    score = scores[moment.best.segment.id]
    return replace(moment, hits=(replace(moment.best, score=score, scores_by_option={}),))


def _card_of(finding: Finding) -> str:
    """What the grid calls the card of a moment."""
    return finding.moment.best.segment.id
