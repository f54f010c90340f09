"""What was spent, what is still to come, what was saved, and the budget of the month."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from components.budgets import month_budget
from components.feedback import errors_shown
from components.format import count, length, money, price
from core import LedgerEntry, Library, Spending

_SHOWN = 20
_KINDS = {"video": "Video", "clip": "Clip query", "image": "Picture query", "text": "Text query"}


def spending(library: Library) -> None:
    """The money; draws nothing where there is none: with an embedder of our own and no past."""
    with errors_shown():
        ledger = library.ledger()
        if not ledger and not library.capabilities.remote:
            return
        sums = library.spending()
    st.subheader("Spending")
    if ledger or sums.planned or sums.planned_unknown:
        _sums(sums)
    else:
        st.caption("Nothing was spent yet.")
    with st.container(horizontal=True, vertical_alignment="center"):
        month_budget(library, key="month_budget")
        if ledger:
            st.download_button(
                "Ledger as CSV",
                data=library.ledger_csv,
                file_name="seekpoint-ledger.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
    if ledger:
        with st.expander("Latest calls", key="ledger"):
            _latest(ledger, sums.currency)


def _sums(sums: Spending) -> None:
    currency = sums.currency
    spent = "no budget is set"
    if sums.month_budget is not None:
        spent = f"of {money(sums.month_budget, currency)}"
    if sums.unpriced:
        spent += f", and {count(sums.unpriced, 'call')} of unknown price"
    planned = "for what is in the queue"
    if sums.planned_unknown:
        planned = f"and {count(sums.planned_unknown, 'video')} of unknown length"
    with st.grid("auto", min_column_width=150) as grid:
        for label, amount, note in (
            ("Spent this month", sums.month, spent),
            ("Planned", sums.planned, planned),
            ("Saved", sums.saved, "by not asking twice"),
        ):
            with grid.cell(), st.container(gap="xxsmall"):
                st.caption(label)
                st.markdown(f"**{price(amount, currency)}**")
                st.caption(note)


def _latest(ledger: Sequence[LedgerEntry], currency: str) -> None:
    latest = ledger[:_SHOWN]
    st.dataframe(
        pd.DataFrame(
            {
                "When": [entry.at for entry in latest],
                "What": [entry.what for entry in latest],
                "Kind": [_KINDS[entry.kind] for entry in latest],
                "Amount": [_amount(entry) for entry in latest],
                "Price": [_price(entry, currency) for entry in latest],
            }
        ),
        hide_index=True,
        column_config={"When": st.column_config.DatetimeColumn(format="localized")},
    )
    if len(ledger) > _SHOWN:
        st.caption(f"and {len(ledger) - _SHOWN:,} more in the CSV")


def _amount(entry: LedgerEntry) -> str:
    return length(entry.minutes) if entry.kind == "video" else count(entry.calls, "call")


def _price(entry: LedgerEntry, currency: str) -> str:
    if entry.price is None:
        return "unknown"
    return f"saved, {price(entry.price, currency)}" if entry.saved else price(entry.price, currency)
