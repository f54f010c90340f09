"""The audit log on the screen, for administrators: what was done, by whom, and all of it as a table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components import resources
from components.feedback import errors_shown
from core import Library
from core.audit import ACTIONS, COLUMNS

_SHOWN = 200


def audit_log(library: Library) -> None:
    """The newest acts of the kinds and with the words that were asked for."""
    st.subheader("Audit log")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        actions = st.multiselect("What was done", ACTIONS, key="audit_actions", placeholder="All")
        words = st.text_input(
            "By whom, or what about", key="audit_words", type="search", placeholder="All"
        )
    with errors_shown():
        entries = library.audit.entries(actions=actions, words=words, limit=_SHOWN)
    if not entries:
        st.caption("Nothing of that kind was noted.")
        return
    who = resources.visitor().who

    def table() -> bytes:
        library.audit.note(who, "downloaded the audit log")
        return library.audit.to_csv(actions=actions, words=words)

    st.dataframe(
        pd.DataFrame(
            [[getattr(entry, column) for column in COLUMNS] for entry in entries],
            columns=[column.capitalize() for column in COLUMNS],
        ),
        hide_index=True,
        height=min(420, 38 + 35 * len(entries)),
        column_config={"At": st.column_config.DatetimeColumn(format="localized")},
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(entries) == _SHOWN:
            st.caption(f"The newest {_SHOWN}", width="content")
        st.download_button(
            "Audit log as CSV",
            data=table,
            file_name="seekpoint-audit.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
