from __future__ import annotations

import csv
from datetime import UTC, datetime
from io import BytesIO, StringIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.export import CSV_COLUMNS, inert, to_csv
from core.models import Filters, Hit, Moment, SearchResult, Segment, Video
from core.recipe import Recipe

AWKWARD = [
    "=cmd()",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝cmd()",
    'He said "no"',
    "one, two; three",
    "two\nlines",
    "two\r\nlines",
    "one\rreturn",
    "<script>alert(1)</script>",
    "赤い車が走る",
    "مرحبا",
    "x" * 300,
    "  spaces  ",
    "NA",
    "'quoted'",
    "\ufeffmark",
]


def result(*titles: str) -> SearchResult:
    moments = []
    for rank, title in enumerate(titles, start=1):
        video = Video("v", title, f"file:///{rank}.mp4", 9, "cats", "m-1", 1, datetime.now(UTC))
        segment = Segment("v:visual:1500", "v", 1.5, 5.25)
        hit = Hit(segment, video, 0.5, {"visual": 0.5}, rank)
        moments.append(Moment(video, 1.5, 9.0, (hit,), rank))
    return SearchResult(
        hits=(), moments=tuple(moments), recipe=Recipe.parse("x"), filters=Filters(), model="m-1"
    )


def test_the_columns_are_exactly_these_and_hold_what_is_shown() -> None:
    (header, row) = csv.reader(StringIO(to_csv(result("A cat")).decode("utf-8-sig")))
    assert tuple(header) == CSV_COLUMNS
    assert dict(zip(header, row, strict=True)) == {
        "video_url": "file:///1.mp4",
        "title": "A cat",
        "category": "cats",
        "start_offset_sec": "1.5",
        "end_offset_sec": "9.0",
        "embedding_scope": "clip",
        "embedding_option": "visual",
        "score": "0.5",
        "rank": "1",
        "model": "m-1",
    }


def test_no_moments_are_a_file_with_columns_only() -> None:
    assert pd.read_csv(BytesIO(to_csv(result()))).columns.tolist() == list(CSV_COLUMNS)


def test_the_file_begins_with_the_mark_that_excel_looks_for() -> None:
    assert to_csv(result("日本")).startswith(b"\xef\xbb\xbfvideo_url,")


def titles_read_back(*titles: str) -> list[str]:
    frame = pd.read_csv(BytesIO(to_csv(result(*titles))), keep_default_na=False, dtype=str)
    assert frame["rank"].tolist() == [str(rank) for rank in range(1, len(titles) + 1)]
    return frame["title"].tolist()


def test_pandas_reads_every_awkward_title_back() -> None:
    assert titles_read_back(*AWKWARD) == [inert(title) for title in AWKWARD]


@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1)
)
def test_pandas_reads_any_title_back(titles: list[str]) -> None:
    assert titles_read_back(*titles) == [inert(title) for title in titles]


@pytest.mark.parametrize("title", AWKWARD[:9])
def test_a_cell_that_a_spreadsheet_would_run_begins_with_an_apostrophe(title: str) -> None:
    assert inert(title) == "'" + title


@pytest.mark.parametrize("title", ["", "a=b", "1-2", "cat @ home", "'=1", " =1"])
def test_a_harmless_cell_stays_as_it_is(title: str) -> None:
    assert inert(title) == title
