"""What an answer is worth as a whole: the report that nothing here answers, and what was searched."""

from __future__ import annotations

import math

import streamlit as st

from components.format import clock, count
from components.query_form import OPTION_NAMES
from components.recipe_chips import filter_chips
from core import Calibration, Library, Relevance, Searched, SearchResult


def not_in_the_archive(library: Library, result: SearchResult, calibration: Calibration) -> None:
    """The report over the nearest misses: what was searched, and how near the best one came."""
    searched = calibration.searched
    filters = [label for label, _ in filter_chips(library, result.filters)]
    with st.container(border=True, gap="small", key="search_verdict"):
        st.subheader("Probably not in the archive", anchor=False)
        st.markdown(
            "Nothing that was searched answers this better than chance would, though the nearest "
            "misses may hold it all the same. Other words, a picture of it"
            f"{', or fewer filters' if filters else ', or videos still to be added'} may find it."
        )
        with st.container(gap="xxsmall"):
            _fact("Searched", what_was_searched(searched))
            _fact("Looked at", ", ".join(OPTION_NAMES.get(o, o) for o in searched.options))
            _fact("Filters", ", ".join(filters) or "None")
            if calibration.best is not None:
                _fact("Best score", _best(result.moments[0].score, calibration.best))
    st.markdown("**The nearest misses**")


def what_was_searched(searched: Searched) -> str:
    """As in "18 videos, 5:33 in all, 92 segments"."""
    length = clock(3600 * searched.hours)
    return (
        f"{count(searched.videos, 'video')}, {length} in all, {count(searched.segments, 'segment')}"
    )


def _best(score: float, relevance: Relevance) -> str:
    # Never rounded up: nothing scores more than all segments, itself among them.
    percentile = math.floor(10 * min(relevance.percentile, 99.9)) / 10
    return f"{score:z.2f}; {percentile:g} % of the segments score less"


def _fact(name: str, value: str) -> None:
    with st.container(horizontal=True, gap="small", wrap=False):
        st.caption(name, width=90)
        st.markdown(value)
