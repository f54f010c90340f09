from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO, StringIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.export import CSV_COLUMNS, REMARK_COLUMNS, inert, to_csv
from core.findings import finding_id
from core.models import Filters, Finding, Hit, Moment, Relevance, Segment, Video
from core.recipe import Part, Recipe

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


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def findings(*titles: str) -> list[Finding]:
    """A finding in a video of each title, at 25 frames a second."""
    found = []
    for rank, title in enumerate(titles, start=1):
        video = Video(
            *("v", title, f"file:///{rank}.mp4", 9, "cats", "m-1", 1, NOW), frame_rate=Fraction(25)
        )
        segment = Segment("v:visual:1500", "v", 1.5, 5.25)
        hit = Hit(segment, video, 0.5, {"visual": 0.5}, rank)
        moment = Moment(video, 1.5, 9.0, (hit,), rank)
        likely = Relevance("likely", 4.0, 99.0)
        found.append(
            Finding(finding_id(moment), moment, Recipe.parse("red car"), Filters(), "m-1", likely)
        )
    return found


def rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(to_csv(findings, NOW).decode("utf-8-sig"), newline="")))


def test_the_columns_are_exactly_these_and_hold_what_is_shown() -> None:
    (row,) = rows(findings("A cat"))
    assert row == {
        "video_url": "file:///1.mp4",
        "title": "A cat",
        "category": "cats",
        "start_offset_sec": "1.5",
        "end_offset_sec": "9.0",
        "start_timecode": "00:00:01:12",
        "end_timecode": "00:00:09:00",
        "embedding_scope": "clip",
        "embedding_option": "visual",
        "score": "0.5",
        "relevance": "likely",
        "rank": "1",
        "recipe": "red car",
        "model": "m-1",
        "exported_at": "2026-01-02T03:04:05+00:00",
    }
    assert tuple(row) == CSV_COLUMNS


def test_pandas_reads_every_column_as_what_it_is() -> None:
    frame = pd.read_csv(BytesIO(to_csv(findings("A cat", "A dog"), NOW)))
    assert frame.columns.tolist() == list(CSV_COLUMNS)
    numbers = frame.select_dtypes("number").columns.tolist()
    assert numbers == ["start_offset_sec", "end_offset_sec", "score", "rank"]
    assert pd.to_datetime(frame["exported_at"]).tolist() == [NOW, NOW]


def test_no_moments_are_a_file_with_columns_only() -> None:
    assert pd.read_csv(BytesIO(to_csv([], NOW))).columns.tolist() == list(CSV_COLUMNS)


def test_the_file_begins_with_the_mark_that_excel_looks_for() -> None:
    assert to_csv(findings("日本"), NOW).startswith(b"\xef\xbb\xbfvideo_url,")


@pytest.mark.parametrize(
    ("rate", "start", "end"),
    [
        (None, "", ""),
        (Fraction(24_000, 1001), "00:59:56:10", "01:01:59:06"),
        (Fraction(25), "01:00:00:01", "01:02:03:00"),
        (Fraction(30_000, 1001), "01:00:00;01", "01:02:03;00"),
        (Fraction(60_000, 1001), "01:00:00;03", "01:02:03;00"),
        (Fraction(15), "01:00:00:00", "01:02:03:00"),
    ],
)
def test_timecodes_count_the_frames_of_the_video_itself(
    rate: Fraction | None, start: str, end: str
) -> None:
    (finding,) = findings("A film")
    video = replace(finding.moment.video, frame_rate=rate)
    moment = replace(finding.moment, video=video, start_offset_sec=3600.05, end_offset_sec=3723.0)
    (row,) = rows([replace(finding, moment=moment)])
    assert (row["start_timecode"], row["end_timecode"]) == (start, end)


def test_notes_and_tags_are_columns_when_somebody_wrote_one() -> None:
    plain, noted = findings("A cat", "A dog")
    noted = replace(noted, note='=1, "x"\nsecond line', tags=("one", "two"))
    both = rows([plain, noted])
    assert tuple(both[0]) == CSV_COLUMNS + REMARK_COLUMNS
    assert [(row["note"], row["tags"]) for row in both] == [
        ("", ""),
        ('\'=1, "x"\nsecond line', "one, two"),
    ]


def test_a_question_that_cannot_be_typed_is_written_as_what_it_is_made_of() -> None:
    (finding,) = findings("A cat")
    recipe = Recipe((Part.segment("v:visual:0"), Part.text("-1", weight=-0.5)))
    (row,) = rows([replace(finding, recipe=recipe)])
    assert Recipe.from_json(row["recipe"]) == recipe


def test_a_typed_question_that_a_spreadsheet_would_run_is_made_inert() -> None:
    (finding,) = findings("A cat")
    (row,) = rows([replace(finding, recipe=Recipe.parse("-night car"))])
    assert row["recipe"] == "'-night car"


def titles_read_back(*titles: str) -> list[str]:
    file = BytesIO(to_csv(findings(*titles), NOW))
    frame = pd.read_csv(file, keep_default_na=False, dtype=str)
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


def test_16384_moments_leave_in_one_table() -> None:
    frame = pd.read_csv(BytesIO(to_csv(findings(*["A cat"] * 16_384), NOW)))
    assert frame["rank"].tolist() == list(range(1, 16_385))
