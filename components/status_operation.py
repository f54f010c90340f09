"""How the app is doing, for whoever runs it: what needs a look, the store, the queue, the times."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
import streamlit as st

from components.feedback import errors_shown
from components.format import clock, count, price, size, time_taken
from components.sessions import open_sessions
from core import Library, QueueState, Spending, Stage
from core.metrics import Metrics, Spread, Status, resident_bytes
from core.version import VERSION

_PACKAGES = ("streamlit", "twelvelabs", "pymilvus", "milvus-lite", "SQLAlchemy", "av")
_ENGINES = {"lite": "Milvus Lite file", "server": "Milvus server"}
# Of the disk of the data folder; below that a look is due.
_LITTLE_ROOM = 0.05
_CALLS = {
    "search": "Search",
    "calibrate": "What scores mean",
    "heat": "Heat of a video",
    "poster": "Picture made",
}
_SEARCH_STAGES = {"embed": "embedding", "search": "store", "group": "grouping"}


def facts(rows: Mapping[str, str]) -> None:
    """Names and values, one a line."""
    with st.container(gap="xxsmall"):
        for name, value in rows.items():
            with st.container(horizontal=True, wrap=False, gap="small"):
                st.caption(name, width=110)
                st.text(value, width="stretch")


def operation(library: Library) -> None:
    """All that only whoever runs the app needs to know."""
    with errors_shown():
        status, queue = library.status(), library.queue()
        spending = library.spending()
    _warnings(library, status, queue)
    st.subheader("Operation")
    facts(
        {
            "Running for": clock(library.metrics.uptime_sec),
            "Open pages": f"{open_sessions():,}",
            "Memory": size(resident_bytes()),
            "Store": _ENGINES[library.capabilities.engine],
            "Collection": library.collection,
            "Rows": f"{status.rows:,} stored, {status.expected_rows:,} on record",
            "Data folder": str(library.settings.data_dir),
            "Disk": f"{size(status.free_bytes)} free of {size(status.disk_bytes)}",
            "Queue": _queue(queue),
            "Cache": _cache(library.metrics),
            **_money(spending),
        }
    )
    st.subheader("Times")
    _times(library.metrics, status)
    with st.expander("Versions"):
        facts({"seekpoint": VERSION, **{package: _version(package) for package in _PACKAGES}})


def _warnings(library: Library, status: Status, queue: QueueState) -> None:
    """What needs a look; `library.warning` stands above every page already."""
    found: list[str] = []
    if queue.paused:
        found.append(f"The queue is paused by the {queue.paused}. {queue.reason} {queue.hint}")
    if failed := queue.counts.get(Stage.FAILED, 0):
        found.append(f"{count(failed, 'video')} could not be added. The Library page says why.")
    if status.free_bytes < _LITTLE_ROOM * status.disk_bytes:
        found.append(
            f"The disk of the data folder is nearly full: {size(status.free_bytes)} left. "
            "Free some space, or move the folder."
        )
    if status.rows < status.expected_rows and not library.warning:
        found.append(
            f"{status.expected_rows - status.rows:,} rows are missing in the store. Restore it "
            "from a backup, or remove and add the videos again."
        )
    for text in found:
        with st.container(border=True, horizontal=True):
            st.markdown(":orange[:material/warning:]", width="content")
            st.text(text.strip())


def _queue(queue: QueueState) -> str:
    there = [f"{queue.counts[stage]:,} {stage}" for stage in Stage if queue.counts.get(stage)]
    return ", ".join(there) or "empty"


def _money(spending: Spending) -> dict[str, str]:
    """Nothing where nothing is paid for."""
    if not (spending.total or spending.saved):
        return {}
    return {
        "Spent": f"{price(spending.month, spending.currency)} this month",
        "Saved": f"{price(spending.saved, spending.currency)} by not asking twice",
    }


def _cache(metrics: Metrics) -> str:
    cached, embedded = metrics.searches()
    if not cached + embedded:
        return "nothing was searched yet"
    share = cached / (cached + embedded)
    return f"{share:.0%} of {count(cached + embedded, 'question')} needed no new vector"


def _times(metrics: Metrics, status: Status) -> None:
    rows: dict[str, Spread] = {}
    stages, calls = metrics.stages(), metrics.calls()
    for name, label in _CALLS.items():
        if name in calls:
            rows[label] = calls[name].recent
        if name == "search":
            rows |= {
                f"Search: {label}": stages[stage].recent
                for stage, label in _SEARCH_STAGES.items()
                if stage in stages
            }
    rows |= {f"Adding: {stage}": spread for stage, spread in status.stages.items()}
    if not rows:
        st.caption("Nothing was searched or added yet.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "What": list(rows),
                "Half": [_seconds(spread.p50) for spread in rows.values()],
                "95 %": [_seconds(spread.p95) for spread in rows.values()],
                "Count": [spread.count for spread in rows.values()],
            }
        ),
        hide_index=True,
        # Short headings: all of it is seen on a phone.
        column_config={
            "Half": st.column_config.Column(help="Half of them took this long at most."),
            "95 %": st.column_config.Column(help="95 of 100 took this long at most."),
            "Count": st.column_config.Column(help="How many of the latest were looked at."),
        },
    )


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 0.9995 else time_taken(seconds)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
