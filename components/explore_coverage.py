"""Coverage: what is in the library, with which model, and what no search has shown yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import streamlit as st

from components.explore import kept_task, task_shown
from components.explore_cards import cards
from components.feedback import errors_shown
from components.format import clock, count, size
from components.query_form import OPTION_NAMES
from core import Coverage, CoverageRow, Library, Segment, Video

_PER_PAGE = 12
_BARS = 12
_PAGE = "coverage_page"


def show_coverage(library: Library, option: str) -> None:
    """The library in figures; of all embedding options, whichever is explored."""
    del option
    task = kept_task(library, ("coverage",), library.explorer.coverage)
    found = task_shown(task)
    if found is None:
        return
    _totals(found)
    with st.grid("auto", min_column_width=320, gap="large") as grid:
        for heading, rows in (
            (
                "Matches in",
                [_named(row, OPTION_NAMES.get(row.name, row.name)) for row in found.options],
            ),
            ("Categories", [_named(row, row.name or "No category") for row in found.categories]),
            ("Added in", [_named(row, _month(row.name)) for row in found.months[::-1]]),
            ("Model", found.models),
        ):
            if rows:
                with grid.cell():
                    _bars(heading, rows)
        with grid.cell():
            _storage(found)
    _never_returned(library, found)


def _totals(found: Coverage) -> None:
    total = found.total
    length = clock(3600 * total.hours)
    said = f"{count(total.videos, 'video')}, {length} in all, {count(total.segments, 'segment')}."
    if found.without_length:
        said += f" The length of {count(found.without_length, 'video')} is unknown."
    st.markdown(said)


def _bars(heading: str, rows: Sequence[CoverageRow]) -> None:
    """What each row comes to, over a bar by its time."""
    st.markdown(f"**{heading}**")
    most = max(row.hours for row in rows) or 1.0
    with st.container(gap="small"):
        for row in rows[:_BARS]:
            with st.container(gap=None):
                with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
                    st.text(row.name, width="content")
                    st.caption(_figures(row), width="content")
                # Nothing a visitor wrote stands in this markup.
                st.html(
                    f'<div style="width:{100 * row.hours / most:.1f}%;height:6px;min-width:2px;'
                    'border-radius:3px;background:currentColor;opacity:.35"></div>'
                )
        if len(rows) > _BARS:
            st.caption(f"and {len(rows) - _BARS:,} more")


def _named(row: CoverageRow, name: str) -> CoverageRow:
    return CoverageRow(name, row.videos, row.hours, row.segments)


def _month(name: str) -> str:
    return f"{date.fromisoformat(f'{name}-01'):%B %Y}"


def _figures(row: CoverageRow) -> str:
    length = clock(3600 * row.hours)
    return f"{length}, {count(row.videos, 'video')}, {count(row.segments, 'segment')}"


def _storage(found: Coverage) -> None:
    st.markdown(f"**On the disk, {size(sum(found.storage.values()))}**")
    with st.container(gap="xxsmall"):
        for name, taken in found.storage.items():
            with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
                st.text(name, width="content")
                st.caption(size(taken), width="content")


def _never_returned(library: Library, found: Coverage) -> None:
    st.subheader("Never found", anchor=False)
    since = "" if found.counted_since is None else f" since {found.counted_since:%-d %B %Y}"
    never: Sequence[Video] = found.never_returned
    if found.counted_since is None:
        st.markdown("No search has been made yet, so none of the videos has been found by one.")
        return
    if not never:
        st.markdown(f"Every video has been among the moments of a search{since}.")
        return
    st.markdown(
        f"{count(len(never), 'video')} of {found.total.videos:,} have not been among the moments of "
        f"any search{since}."
    )
    pages = math.ceil(len(never) / _PER_PAGE)
    page = min(pages, st.session_state.get(_PAGE, 1))
    middles = [
        _middle(library.segments(video.id))
        for video in never[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    ]
    with errors_shown():
        answer = library.explorer.answer([segment.id for segment in middles if segment])
    cards(library, answer, name="coverage", scored=False)
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key=_PAGE)


def _middle(segments: Sequence[Segment]) -> Segment | None:
    """What stands for a video: its middle. None for one that was removed meanwhile."""
    return segments[len(segments) // 2] if segments else None
