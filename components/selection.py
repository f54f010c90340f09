"""The ticked moments of an answer, through its pages, until something else is asked."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Sequence

import streamlit as st

from components.format import count
from components.resources import may
from core import Cut, Finding, Library, SeekpointError

logger = logging.getLogger(__name__)

_SELECTED = "search_selected"


def selected(answer: Hashable) -> Sequence[Finding]:
    """What is ticked of this answer, best first."""
    of, findings = st.session_state.get(_SELECTED, (None, ()))
    return findings if of == answer else ()


def select(answer: Hashable, findings: Iterable[Finding], shown: Sequence[Finding]) -> None:
    """Ticks these moments of an answer and no others. Those of the page keep the order in which
    they are `shown`, as moments of many searches have ranks that say nothing together."""
    ticked = {finding.id: finding for finding in findings}
    here = [finding for finding in shown if ticked.pop(finding.id, None)]
    elsewhere = sorted(ticked.values(), key=_rank)
    first = _rank(shown[0]) if shown else 0
    before = [finding for finding in elsewhere if _rank(finding) < first]
    st.session_state[_SELECTED] = (answer, (*before, *here, *elsewhere[len(before) :]))


def selection_bar(
    library: Library, answer: Hashable, shown: Sequence[Finding], cut: Cut | None
) -> None:
    """What is ticked and what to do with it; without ticks a way to set all of them."""
    ticked = selected(answer)
    ids = {finding.id for finding in ticked}
    above = [f for f in shown if cut is None or f.moment.rank <= cut.after]
    if ticked:
        st.text(f"{count(len(ticked), 'moment')} selected", width="content")
        if may("basket.add"):
            st.button(
                "Add to basket",
                key="search_selection_keep",
                icon=":material/bookmark:",
                on_click=keep,
                args=(library, ticked),
            )
        st.button(
            "Clear",
            key="search_selection_clear",
            type="tertiary",
            icon=":material/close:",
            on_click=select,
            args=(answer, (), shown),
        )
    if any(finding.id not in ids for finding in above):
        st.button(
            "Select all" if len(above) == len(shown) else "Select all above the cut",
            key="search_selection_all",
            type="tertiary",
            icon=":material/select_all:",
            on_click=select,
            args=(answer, [*ticked, *above], shown),
        )


def kept(library: Library, findings: Sequence[Finding]) -> list[str] | None:
    """The cards, by their best segments, of those in the basket; None offers no basket."""
    if not may("basket.add"):
        return None
    ids = library.basket.ids()
    return [finding.moment.best.segment.id for finding in findings if finding.id in ids]


def keep(library: Library, findings: Sequence[Finding]) -> None:
    """Puts moments into the basket, and says what became of them."""
    new = library.basket.add(findings)
    there = len(findings) - new
    said = [f"{count(new, 'moment')} added to the basket"] if new else []
    if there:
        said.append(f"{there:,} {'was' if there == 1 else 'were'} there already")
    st.toast(", ".join(said), icon=":material/bookmark:")


def mark_exported(library: Library, ids: Sequence[str]) -> None:
    """Marks moments that leave; a file without the marks is better than none."""
    try:
        library.basket.mark_exported(ids)
    except SeekpointError as error:
        logger.warning("exported moments could not be marked: %s", error)


def _rank(finding: Finding) -> int:
    return finding.moment.rank
