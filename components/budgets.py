"""Setting the two budgets: of the month, and of one run of additions."""

from __future__ import annotations

import math
from collections.abc import Callable

import streamlit as st

from components.feedback import errors_shown
from components.resources import may
from core import Library, Stage


def month_budget(library: Library, *, key: str) -> None:
    """A popover that sets the budget of every month, or takes it away; for those who may."""
    if not may("set_month_budget"):
        return
    budget = library.spending().month_budget
    label = "Set a month's budget" if budget is None else "Change the month's budget"
    with st.popover(label, icon=":material/savings:"):
        _editor(
            f"At most, in {library.settings.currency} a month",
            value=budget,
            unlimited="Remove it" if budget is not None else "",
            act=library.set_month_budget,
            key=key,
        )


def run_budget(library: Library, run: str) -> None:
    """A popover that raises what the jobs of one run may cost together; for those who may."""
    if not may("raise_run_budget"):
        return
    per_minute = library.embedder.prices.per_minute
    jobs = library.jobs(run=run)
    charged = sum(job.cost or 0.0 for job in jobs)
    to_come = sum((job.minutes or 0.0) * per_minute for job in jobs if job.stage is Stage.QUEUED)
    with st.popover("Raise the budget of this run", icon=":material/savings:"):
        _editor(
            f"At most, in {library.settings.currency}",
            value=math.ceil((charged + to_come) * 100) / 100,
            unlimited="No limit",
            act=lambda amount: library.raise_run_budget(run, amount),
            key=f"run-budget-{run}",
        )


def _editor(
    label: str,
    *,
    value: float | None,
    unlimited: str,
    act: Callable[[float | None], object],
    key: str,
) -> None:
    amount = st.number_input(
        label, min_value=0.0, value=value, step=1.0, format="%.2f", key=key, placeholder="No limit"
    )
    with st.container(horizontal=True):
        chosen = st.button("Set", type="primary", key=f"{key}-set", disabled=amount is None)
        removed = bool(unlimited) and st.button(unlimited, key=f"{key}-none")
    if chosen or removed:
        with errors_shown():
            act(None if removed else amount)
        st.rerun()
