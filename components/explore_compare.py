"""Side by side: two questions to the same library, what their answers share and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import streamlit as st

from components.explore_cards import cards
from components.explore_questions import (
    Question,
    current_question,
    made_lately,
    offer_questions,
    typed,
)
from components.feedback import show_error
from components.format import clock, count
from components.query_form import OPTION_NAMES, choose_categories
from components.recipe_chips import filter_chips
from core import (
    Comparison,
    Filters,
    Library,
    Moment,
    RecipeError,
    SearchResult,
    SeekpointError,
)

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
_OTHER: Mapping[Side, Side] = {"left": "right", "right": "left"}
_LENGTHS, _USUAL, _K = (5, 10, 20), 10, "compare_k"
_SHOWN = ("All", "In both", "On one side only")
# From the top; below the last one there is nothing in common worth a word.
_ALIKE = (
    (0.9999, "and in the same order"),
    (0.95, "and in almost the same order"),
    (0.7, "and mostly in the same order"),
    (0.4, "in a rather different order"),
    (0.0, "far apart from each other"),
)
_COLOURS = {"up": "#0f8f86", "down": "#d1603d", "the same": "#8a8f93"}
_ROW_PX = 26


def show_compare(library: Library, option: str) -> None:
    """Two questions, their answers in two columns, and how far these agree."""
    del option
    _begin(library)
    k: int = st.session_state.get(_K) or _USUAL
    results: dict[Side, SearchResult] = {}
    for side, column in zip(SIDES, st.columns(2, gap="medium"), strict=True):
        with column:
            result = _asked(library, side, k)
        if result is not None:
            results[side] = result
    if len(results) < len(SIDES):
        if not any(_of(side).question for side in SIDES):
            st.markdown("Ask something on both sides to see what the answers share.")
        return
    found = library.explorer.compare(results["left"], results["right"], k=k)
    _verdict(found, results["left"], results["right"])
    with st.container(horizontal=True):
        shown = _controls()
    # With this gap two cards fit beside each other on either side.
    for side, column in zip(SIDES, st.columns(2, gap="medium"), strict=True):
        with column:
            _answer(library, side, results[side], found, shown)


# --- what is asked --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one side asks, and which embedder's vectors: empty for those of the library. `text` is
    what stands in its box, `problem` why that is no question."""

    question: Question | None = None
    text: str = ""
    problem: SeekpointError | None = None
    embedder: str = ""


def _begin(library: Library) -> None:
    """At first the current search, and the one before it."""
    if _key("left") in st.session_state:
        return
    lately = made_lately(library)
    left = current_question(library) or next(iter(lately), None)
    others = (q for q in lately if left is None or q.recipe != left.recipe)
    for side, question in zip(SIDES, (left, next(others, None)), strict=True):
        _take(side, question)


def _key(side: Side) -> str:
    return f"compare_{side}"


def _take(side: Side, question: Question | None) -> None:
    """Another question; the widgets begin anew with it, and what is open closes."""
    state = st.session_state
    embedder = state[_key(side)].embedder if _key(side) in state else ""
    text = "" if question is None else question.text
    state[_key(side)] = _Asked(question, text, embedder=embedder)
    state[f"{_key(side)}_round"] = state.get(f"{_key(side)}_round", 0) + 1


def _of(side: Side) -> _Asked:
    asked: _Asked = st.session_state[_key(side)]
    return asked


def _widget(side: Side, name: str) -> str:
    return f"compare_{side}_{name}_{st.session_state[f'{_key(side)}_round']}"


def _controls() -> str:
    """Which moments are shown, and of how many first ones of each answer."""
    shown: str = st.segmented_control(
        "Show",
        _SHOWN,
        default=_SHOWN[0],
        required=True,
        key="compare_shown",
        label_visibility="collapsed",
        persist_state="session",
    )
    st.segmented_control(
        "How many of each",
        _LENGTHS,
        default=_USUAL,
        required=True,
        format_func=lambda k: f"First {k}",
        key=_K,
        label_visibility="collapsed",
        persist_state="session",
    )
    return shown


def _asked(library: Library, side: Side, k: int) -> SearchResult | None:
    """The question of a side, and its answer unless there is none to be had, which is said."""
    now = _of(side)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            f"Question on the {side}",
            now.text,
            key=_widget(side, "box"),
            type="search",
            placeholder="Describe a moment",
            on_change=_take_text,
            args=(side,),
        )
        with st.popover("Earlier", icon=":material/history:", key=_widget(side, "others")):
            offer_questions(
                library,
                key=_widget(side, "offer"),
                take=lambda question: _take(side, question),
            )
        _filters_popover(library, side, now)
    if now.problem is not None:
        show_error(now.problem)
    if now.question is None or now.problem is not None:
        return None
    question = now.question
    if not question.text:
        st.text(question.name)
    if chips := [label for label, _ in filter_chips(library, question.filters)]:
        st.caption(f"Only {', '.join(chips)}")
    try:
        with st.spinner("Searching"):
            answers = library.model(now.embedder) if now.embedder else library
            found = answers.search(question.recipe, filters=question.filters, limit=k)
    except SeekpointError as error:
        show_error(error)
        st.button("Try again", key=_widget(side, "again"), icon=":material/refresh:")
        return None
    for note in found.notes:
        st.text(note)
    return found


def _take_text(side: Side) -> None:
    now = _of(side)
    text = st.session_state[_widget(side, "box")].strip()
    filters = now.question.filters if now.question else Filters()
    try:
        question, problem = typed(text, filters) if text else None, None
    except RecipeError as error:
        question, problem = now.question, error
    st.session_state[_key(side)] = replace(now, question=question, text=text, problem=problem)


def _filters_popover(library: Library, side: Side, now: _Asked) -> None:
    """The few filters that make the same question another one."""
    if now.question is None:
        return
    filters, options = now.question.filters, library.capabilities.options
    report: dict[str, Any] = {"on_change": _take_filters, "args": (side,)}
    with st.popover("Filters", icon=":material/tune:", key=_widget(side, "filters")):
        if others := library.other_models():
            models = {"": library.embedder.name} | {name: name for name in others}
            st.segmented_control(
                "Embedded by",
                list(models),
                default=now.embedder,
                required=True,
                format_func=models.__getitem__,
                key=_widget(side, "embedder"),
                **report,
            )
        if len(options) > 1:
            st.multiselect(
                "Matches in",
                options,
                default=[option for option in filters.options if option in options],
                format_func=lambda option: OPTION_NAMES.get(option, option),
                key=_widget(side, "options"),
                placeholder="All",
                **report,
            )
        choose_categories(library, filters, key=_widget(side, "categories"), **report)
        st.number_input(
            "Lowest score",
            -1.0,
            1.0,
            filters.min_score,
            0.05,
            key=_widget(side, "min"),
            placeholder="Any",
            **report,
        )


def _take_filters(side: Side) -> None:
    state = st.session_state
    now = _of(side)
    if now.question is None:
        return
    filters = replace(
        now.question.filters,
        options=tuple(state.get(_widget(side, "options"), ())),
        categories=tuple(state.get(_widget(side, "categories"), ())),
        min_score=state[_widget(side, "min")],
    )
    state[_key(side)] = replace(
        now,
        question=replace(now.question, filters=filters),
        embedder=state.get(_widget(side, "embedder"), now.embedder),
    )


# --- how far the answers agree --------------------------------------------------------------------


def _verdict(found: Comparison, left: SearchResult, right: SearchResult) -> None:
    """How far both answers agree, in words and as a picture of the ranks."""
    asked = [(side.recipe, side.filters, side.model) for side in (left, right)]
    if asked[0] == asked[1]:
        st.caption("Both sides ask the same. Change the words or the filters of one of them.")
    st.markdown(
        in_words(found),
        help=f"Overlap of the first {found.k}: {found.overlap:.0%}. Rank-biased overlap, in which "
        f"the first ranks count most: {found.rbo:.2f} of 1.",
    )
    if left.moments or right.moments:
        st.altair_chart(_slopes(found), alt=_slopes_in_words(found))


def in_words(found: Comparison) -> str:
    """As in "7 of the first 10 are in both answers, and mostly in the same order." """
    longer = max(len(found.pairs) + len(only) for only in (found.only_left, found.only_right))
    if not longer:
        return "Nothing was found on either side."
    if not found.pairs:
        return f"None of the first {longer} are in both answers."
    order = next(words for least, words in _ALIKE if found.rbo >= least)
    are = "is" if len(found.pairs) == 1 else "are"
    return f"{len(found.pairs)} of the first {longer} {are} in both answers, {order}."


def _slopes(found: Comparison) -> Any:
    """The ranks on both sides, joined where the moment is the same."""
    import altair as alt
    import pandas as pd

    lines = pd.DataFrame(
        [
            {
                "pair": number,
                "side": side,
                "rank": moment.rank,
                "goes": _goes(pair.left.rank, pair.right.rank),
                "moment": _moment_name(moment),
            }
            for number, pair in enumerate(found.pairs)
            for side, moment in (("Left", pair.left), ("Right", pair.right))
        ],
        columns=["pair", "side", "rank", "goes", "moment"],
    )
    alone = pd.DataFrame(
        [
            {"side": side, "rank": moment.rank, "moment": _moment_name(moment)}
            for side, moments in (("Left", found.only_left), ("Right", found.only_right))
            for moment in moments
        ],
        columns=["side", "rank", "moment"],
    )
    deepest = max([*lines["rank"], *alone["rank"]])
    x = alt.X(
        "side:N",
        title=None,
        scale=alt.Scale(domain=["Left", "Right"], padding=0.2),
        axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, grid=False),
    )
    y = alt.Y(
        "rank:Q",
        title="Rank",
        scale=alt.Scale(domain=[deepest + 0.5, 0.5], nice=False, zero=False),
        axis=alt.Axis(values=list(range(1, deepest + 1)), format="d", grid=False),
    )
    tooltip = [alt.Tooltip("moment:N", title="Moment"), alt.Tooltip("rank:Q", title="Rank")]
    goes = alt.Color(
        "goes:N",
        scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())),
        legend=alt.Legend(title="To the right", orient="bottom"),
    )
    shared = alt.Chart(lines).encode(x=x, y=y, color=goes, detail="pair:N", tooltip=tooltip)
    dots = alt.Chart(alone).encode(x=x, y=y, tooltip=tooltip)
    return (
        shared.mark_line(strokeWidth=2)
        + shared.mark_point(filled=True, size=70, opacity=1)
        + dots.mark_point(size=60, color=_COLOURS["the same"], opacity=1)
    ).properties(height=60 + _ROW_PX * deepest)


def _goes(left: int, right: int) -> str:
    if left == right:
        return "the same"
    return "up" if right < left else "down"


def _moment_name(moment: Moment) -> str:
    start, end = clock(moment.start_offset_sec), clock(moment.end_offset_sec)
    return f"{moment.video.title or 'Untitled video'}, {start} to {end}"


def _slopes_in_words(found: Comparison) -> str:
    moves = [
        f"{_moment_name(pair.left)}: {pair.left.rank} on the left, {pair.right.rank} on the right"
        for pair in found.pairs
    ]
    return "Ranks. " + "; ".join(moves or ["No moment is on both sides"])


# --- the answers ----------------------------------------------------------------------------------


def _answer(
    library: Library, side: Side, result: SearchResult, found: Comparison, shown: str
) -> None:
    """The moments of a side, each with where it stands on the other one."""
    ranks = {
        _id(getattr(pair, side)): (getattr(pair, side).rank, getattr(pair, _OTHER[side]).rank)
        for pair in found.pairs
    }
    moments = [
        moment
        for moment in result.moments
        if shown == _SHOWN[0] or (_id(moment) in ranks) == (shown == _SHOWN[1])
    ]
    if not moments:
        st.markdown(
            "No moment passes these filters."
            if result.filters != Filters() and not result.moments
            else "Nothing was found."
            if not result.moments
            else "None on this side."
        )
        return
    st.caption(f"{count(len(moments), 'moment')} on the {side}")
    cards(
        library,
        replace(result, moments=tuple(moments)),
        name=_key(side),
        grid=f"{_key(side)}_moments",
        why={_id(moment): _standing(ranks.get(_id(moment)), _OTHER[side]) for moment in moments},
    )


def _standing(ranks: tuple[int, int] | None, other: Side) -> str:
    if ranks is None:
        return f"Not among the first on the {other}"
    here, there = ranks
    if here == there:
        return f"The same rank on the {other}"
    return f"Rank {there} on the {other}, {abs(here - there)} {'up' if there < here else 'down'}"


def _id(moment: Moment) -> str:
    return moment.best.segment.id
