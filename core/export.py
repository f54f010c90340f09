"""Results as files."""

from __future__ import annotations

from core.models import SearchResult

CSV_COLUMNS = (
    "video_url",
    "title",
    "category",
    "start_offset_sec",
    "end_offset_sec",
    "embedding_scope",
    "embedding_option",
    "score",
    "rank",
    "model",
)
# A spreadsheet runs a cell that starts with one of these (OWASP, "CSV Injection"); the last four
# are the wide forms of the first.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(result: SearchResult) -> bytes:
    """One row per shown moment, in the order shown; UTF-8 with a mark that Excel understands."""
    import pandas as pd

    rows = [
        (
            inert(moment.video.video_url),
            inert(moment.video.title),
            inert(moment.video.category),
            moment.start_offset_sec,
            moment.end_offset_sec,
            moment.best.segment.embedding_scope,
            moment.best.segment.embedding_option,
            moment.score,
            moment.rank,
            result.model,
        )
        for moment in result.moments
    ]
    # The line ending also decides what is quoted: with "\n" alone a "\r" in a title splits its row.
    text = pd.DataFrame(rows, columns=list(CSV_COLUMNS)).to_csv(index=False, lineterminator="\r\n")
    return text.encode("utf-8-sig")


def inert(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
