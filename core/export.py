"""Findings as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.models import Finding
from core.recipe import Recipe
from core.timecode import timecodes

CSV_COLUMNS = (
    "video_url",
    "title",
    "category",
    "start_offset_sec",
    "end_offset_sec",
    "start_timecode",
    "end_timecode",
    "embedding_scope",
    "embedding_option",
    "score",
    "relevance",
    "rank",
    "recipe",
    "model",
    "exported_at",
)
# Behind the others, and only where somebody wrote one.
REMARK_COLUMNS = ("note", "tags")
# A spreadsheet runs a cell that starts with one of these (OWASP, "CSV Injection"); the last four
# are the wide forms of the first.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(findings: Sequence[Finding], exported_at: datetime) -> bytes:
    """One row per finding, in the order given.

    Timecodes are those of the first frame and of the first one behind the last, empty where the
    frame rate is unknown.
    """
    with_remarks = any(finding.note or finding.tags for finding in findings)
    columns = CSV_COLUMNS + REMARK_COLUMNS * with_remarks
    recipes: dict[Recipe, str] = {}
    rows = [
        _row(finding, exported_at.isoformat(timespec="seconds"), recipes)[: len(columns)]
        for finding in findings
    ]
    return csv_file(columns, rows)


def csv_file(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A table as a file: UTF-8 with a mark that Excel understands, and no text that a spreadsheet
    would run."""
    import pandas as pd

    table = pd.DataFrame(
        [[inert(cell) if isinstance(cell, str) else cell for cell in row] for row in rows],
        columns=list(columns),
    )
    # The line ending also decides what is quoted: with "\n" alone a "\r" in a title splits its row.
    return table.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _row(finding: Finding, exported_at: str, recipes: dict[Recipe, str]) -> tuple[object, ...]:
    moment, video, segment = finding.moment, finding.moment.video, finding.moment.best.segment
    start, end = moment.start_offset_sec, moment.end_offset_sec
    if finding.recipe not in recipes:
        recipes[finding.recipe] = finding.recipe.to_text() or finding.recipe.to_json()
    return (
        video.video_url,
        video.title,
        video.category,
        start,
        end,
        *timecodes(start, end, video.frame_rate),
        segment.embedding_scope,
        segment.embedding_option,
        moment.score,
        "" if finding.relevance is None else finding.relevance.level,
        moment.rank,
        recipes[finding.recipe],
        finding.model,
        exported_at,
        finding.note,
        ", ".join(finding.tags),
    )


def inert(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
