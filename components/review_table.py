"""The review: what adding a list of videos would mean, before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from components.feedback import errors_shown
from components.format import clock, count, length, price, size
from components.resources import may
from core import Library, SourceEstimate
from core.intake import default_title
from core.review import Review

_REFRESH_SEC = 1.0
_EDITABLE = ("Add", "Title", "Category")
_LONGEST = 420
_PROBLEMS = 50


def review_table(
    library: Library, review: Review, *, key: str, on_close: Callable[[bool], None]
) -> None:
    """Draws the table, which fills by itself while the review looks; what is being edited stays.

    `on_close` is told whether the videos were added or somebody went back.
    """
    # It goes on polling until the next run of the page: a rerun of its own at the end of the look
    # would come just when somebody presses Add.
    st.fragment(_table, run_every=None if review.done else _REFRESH_SEC)(
        library, review, key=key, on_close=on_close
    )


def _table(library: Library, review: Review, *, key: str, on_close: Callable[[bool], None]) -> None:
    rows = review.rows
    # Beside the heading, and the problems last: nothing moves under the pointer as rows fill.
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Review", width="content")
        if not review.done:
            st.caption(f"Looked at {review.looked_at:,} of {len(rows):,}", width="content")
    chosen = _chosen(rows, _editor(library, rows, key))
    st.markdown(_totals(library, rows, chosen))
    budget = _budget(library, key) if library.capabilities.remote else None
    with st.container(horizontal=True):
        add = st.button(
            f"Add {count(len(chosen), 'video')}",
            type="primary",
            icon=":material/add:",
            key=f"{key}_add",
            disabled=not chosen,
        )
        back = st.button("Back", key=f"{key}_back")
    _problems([row for row in rows if row.problem])
    if add:
        with errors_shown():
            library.add(chosen, max_cost=budget)
        st.toast(f"{count(len(chosen), 'video')} added to the queue", icon=":material/check:")
    if add or back:
        on_close(add)
        st.rerun()


def _editor(library: Library, rows: Sequence[SourceEstimate], key: str) -> pd.DataFrame:
    currency = library.settings.currency
    columns: dict[str, list[object]] = {
        "Add": [not row.problem for row in rows],
        "Title": [_title(row) for row in rows],
        "Category": [row.category for row in rows],
        "Length": ["" if row.pending else length(row.minutes) for row in rows],
        "Size": ["" if row.pending else size(row.size) for row in rows],
    }
    if library.capabilities.remote:
        columns["Price"] = [_price(row, currency) for row in rows]
    columns["Status"] = [_status(row) for row in rows]
    columns["Source"] = [row.source for row in rows]
    return st.data_editor(
        pd.DataFrame(columns),
        key=f"{key}_table",
        hide_index=True,
        height=min(_LONGEST, 38 + 35 * len(rows)),
        disabled=[name for name in columns if name not in _EDITABLE],
        column_config={
            "Add": st.column_config.CheckboxColumn(width=70),
            "Title": st.column_config.TextColumn(width=200, max_chars=200),
            "Category": st.column_config.TextColumn(width=120, max_chars=64),
            "Length": st.column_config.TextColumn(width=80, alignment="right"),
            "Size": st.column_config.TextColumn(width=80, alignment="right"),
            "Price": st.column_config.TextColumn(width=145, alignment="right"),
            "Status": st.column_config.TextColumn(width=320),
        },
        alt="The videos to be added. Titles, categories and the ticks can be changed.",
    )


def _title(row: SourceEstimate) -> str:
    return row.title or row.known or default_title(row.source)


def _price(row: SourceEstimate, currency: str) -> str:
    if row.pending or row.problem:
        return ""
    if row.price is None:
        return "unknown"
    return price(row.price, currency) if row.price else "nothing"


def _status(row: SourceEstimate) -> str:
    if row.problem:
        return f"Cannot be added: {row.problem}"
    if row.known:
        return "Already in the library: only its title and category are changed"
    if row.pending:
        return "Not looked at yet"
    return row.warning or "Ready to add"


def _chosen(rows: Sequence[SourceEstimate], edited: pd.DataFrame) -> list[SourceEstimate]:
    """The ticked rows that can be added, as they were edited."""
    columns = (edited[name] for name in _EDITABLE)
    return [
        replace(row, title=(title or "").strip(), category=(category or "").strip())
        for row, ticked, title, category in zip(rows, *columns, strict=True)
        if ticked and not row.problem
    ]


def _totals(
    library: Library, rows: Sequence[SourceEstimate], chosen: Sequence[SourceEstimate]
) -> str:
    """`12 videos, 34:10, about 1.43 USD, 2 already here, 1 cannot be added`."""
    new = [row for row in chosen if not row.known]
    words = [count(len(chosen), "video")]
    if minutes := sum(row.minutes or 0.0 for row in new):
        words.append(clock(minutes * 60))
    if library.capabilities.remote:
        words.append(price(sum(row.price or 0.0 for row in new), library.settings.currency))
    if unknown := sum(row.minutes is None and not row.pending for row in new):
        words.append(f"{unknown:,} of unknown length")
    if known := len(chosen) - len(new):
        words.append(f"{known:,} already here")
    if problems := sum(bool(row.problem) for row in rows):
        words.append(f"{problems:,} cannot be added")
    return ", ".join(words)


def _problems(rows: Sequence[SourceEstimate]) -> None:
    """The same as in the table, for narrow screens and for those who cannot see a table."""
    if not rows:
        return
    with st.expander("Why some cannot be added", icon=":material/error:", key="review_problems"):
        for row in rows[:_PROBLEMS]:
            where = row.where[:1].upper() + row.where[1:] or row.source
            st.text(f"{where}: {row.problem} {row.hint}".strip())
        if len(rows) > _PROBLEMS:
            st.caption(f"and {len(rows) - _PROBLEMS:,} more, see the table")


def _budget(library: Library, key: str) -> float | None:
    """What this run may cost; and what is left of the month."""
    with errors_shown():
        sums = library.spending()
    currency = library.settings.currency
    budget = st.number_input(
        f"Stop this run at, in {currency}",
        min_value=0.0,
        max_value=None if may("raise_run_budget") else library.settings.budget_per_run,
        value=library.settings.budget_per_run,
        step=1.0,
        format="%.2f",
        key=f"{key}_budget",
        placeholder="No limit",
        width=220,
        help="What would pass it waits until you raise it.",
    )
    if sums.month_budget is not None:
        left = max(0.0, sums.month_budget - sums.month - sums.planned)
        st.caption(f"Left of this month's budget: {price(left, currency)}")
    return budget
