"""Moments as files, in every format: for the editing room, for a spreadsheet, for the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import streamlit as st

from components import clips
from components.selection import mark_exported
from core import Cut, Finding, Library

_DAY_SEC = 86_400


class _Format(NamedTuple):
    name: Literal["csv", "json", "edl", "otio", "html"]
    label: str
    file_name: str
    mime: str
    icon: str
    help: str


_FORMATS = (
    _Format(
        "csv",
        "Table (CSV)",
        "seekpoint-moments.csv",
        "text/csv",
        ":material/table:",
        "One line for each moment, with timecodes, for a spreadsheet",
    ),
    _Format(
        "json",
        "Evidence (JSON)",
        "seekpoint-evidence.json",
        "application/json",
        ":material/verified:",
        "All of it, to be opened here again: under Searches",
    ),
    _Format(
        "edl",
        "Cut list (EDL)",
        "seekpoint.edl",
        "text/plain",
        ":material/content_cut:",
        "CMX 3600, which every editing program reads",
    ),
    _Format(
        "otio",
        "Timeline (OTIO)",
        "seekpoint.otio",
        "application/json",
        ":material/view_timeline:",
        "OpenTimelineIO, with names, notes and several frame rates",
    ),
    _Format(
        "html",
        "Contact sheet (HTML)",
        "seekpoint-contact-sheet.html",
        "text/html",
        ":material/photo_library:",
        "One page with a picture of each moment, to look at and to print",
    ),
)


def export_menu(library: Library, findings: Sequence[Finding], *, what: str, key: str) -> None:
    """A button that opens the formats; `what` says what is exported."""
    with (
        st.popover("Export", icon=":material/download:", key=f"{key}_menu"),
        st.container(gap=None),
    ):
        st.caption(what)
        for format in _FORMATS:
            too_long = format.name == "edl" and _seconds(findings) >= _DAY_SEC
            st.download_button(
                format.label,
                data=_writer(library, findings, format),
                file_name=format.file_name,
                mime=format.mime,
                icon=format.icon,
                help="These moments last more than 24 hours together, which is all that a cut list "
                "can count. A timeline can hold them."
                if too_long
                else format.help,
                type="tertiary",
                disabled=too_long,
                key=f"{key}_{format.name}",
                # To draw the page now would take the file's name away while it is fetched.
                on_click="ignore",
            )
        if st.button(
            "Clips (ZIP)",
            icon=":material/movie:",
            type="tertiary",
            help="Each moment as a video of its own",
            key=f"{key}_clips",
        ):
            clips.begin(library, findings)
            st.rerun()  # the whole page, which shows how far they are


def what_is_exported(findings: Sequence[Finding], cut: Cut | None, *, selected: bool) -> str:
    """As in "The 3 selected moments"."""
    number = len(findings)
    if selected:
        return "The selected moment" if number == 1 else f"The {number:,} selected moments"
    below = sum(cut is not None and finding.moment.rank > cut.after for finding in findings)
    said = "The moment" if number == 1 else f"The {number:,} moments"
    return f"{said} of this page" + (f", {below:,} of them below the cut" if below else "")


def _writer(library: Library, findings: Sequence[Finding], format: _Format) -> Callable[[], bytes]:
    """Writes the file when it is asked for, and marks its moments: the page shows that when it is
    next drawn."""

    def write() -> bytes:
        content = library.export(findings, format.name)
        mark_exported(library, [finding.id for finding in findings])
        return content

    return write


def _seconds(findings: Sequence[Finding]) -> float:
    return sum(f.moment.end_offset_sec - f.moment.start_offset_sec for f in findings)
