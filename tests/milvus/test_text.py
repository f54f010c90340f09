"""Text is text: whatever a category or a video is called, a filter finds it and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StoreError
from core.models import Filters
from core.store import MAX_TEXT_BYTES, VectorStore, literal
from tests.milvus.rows import ADDED_AT, embedded, open_store, vector_of

HOSTILE = [
    "",
    " ",
    "plain",
    "Plain",
    "plain ",
    "it's",
    'say "hi"',
    '" or 1==1 or "',
    "' or 1==1 or '",
    '"] or video_id != "',
    '\\" or 1==1 or \\"',
    "back\\slash",
    "ends with a backslash\\",
    "\\n",
    "line\nbreak",
    "line\r\nbreak",
    "tab\tbed",
    "100%",
    "pl%",
    "pl_in",
    "*",
    "{x}",
    "{{x}}",
    "$meta",
    "null",
    "true",
    "1",
    "1.0",
    "[1, 2]",
    "a, b",
    "<script>alert(1)</script>",
    "<b>&amp;</b>",
    "../../etc/passwd",
    "東京の夜",
    "\u05e9\u05dc\u05d5\u05dd \u202eabc",
    "مرحبا",
    "🎬 film 👨‍👩‍👧",
    "e\u0301",
    "\u00e9",
    "ﬁ",
    "zero\u200bwidth",
    "line\u2028separator",
    "\ufeffmark",
    "\U0010ffff",
    "and",
    "in",
    "=SUM(A1)",
    "x" * 300,
    "x" * 301,
    "漢" * 300,
]
CONTROLS = ["nul\0", "\x1b[31m", "bell\x07", "\x7f", "\x85", "\ud83d"]
TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\r\t\"'\\%{}[]$/"),
    max_size=80,
)


@pytest.fixture(scope="module")
def store(shared_uri: str) -> Iterator[VectorStore]:
    with open_store(shared_uri, dimension=8) as store:
        yield store


@pytest.fixture(scope="module")
def hostile_store(shared_uri: str) -> Iterator[VectorStore]:
    with open_store(shared_uri, model="m-hostile", dimension=8) as store:
        for text in HOSTILE:
            store.upsert(text, text, ADDED_AT, embedded("v", 1, dimension=8))
        assert store.count() == len(HOSTILE)
        yield store


def videos_of(store: VectorStore, **filters: tuple[str, ...]) -> list[str]:
    found = store.search(vector_of("q", 8), filters=Filters(**filters), limit=1000)
    return sorted(scored.segment.video_id for scored in found)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_matches_itself_and_nothing_else(
    hostile_store: VectorStore, text: str
) -> None:
    other = "plain" if text != "plain" else "it's"
    assert videos_of(hostile_store, categories=(text,)) == [text]
    assert videos_of(hostile_store, video_ids=(text,)) == [text]
    assert videos_of(hostile_store, video_ids=(text,), categories=(other,)) == []
    assert videos_of(hostile_store, categories=(text, other)) == sorted([text, other])


def test_all_hostile_texts_together_match_all(hostile_store: VectorStore) -> None:
    assert videos_of(hostile_store, categories=tuple(HOSTILE)) == sorted(HOSTILE)


@settings(max_examples=40)
@given(text=TEXT, other=TEXT)
def test_any_text_matches_itself_and_nothing_else(
    store: VectorStore, text: str, other: str
) -> None:
    rows = embedded("v", 1, dimension=8)
    store.upsert("one", text, ADDED_AT, rows)
    store.upsert("two", other, ADDED_AT, rows)
    expected = ["one", "two"] if text == other else ["one"]
    assert videos_of(store, categories=(text,)) == expected


@settings(max_examples=40)
@given(second=st.floats(-1e6, 1e6) | st.integers(0, 200).map(float) | st.just(5e-324))
def test_any_number_bounds_the_time(hostile_store: VectorStore, second: float) -> None:
    # Every row spans 0 to 4 seconds.
    def found(**filters: float) -> bool:
        limits = Filters(video_ids=("plain",), **filters)
        return bool(hostile_store.search(vector_of("q", 8), filters=limits, limit=1))

    assert found(start=second) == (second < 4)
    assert found(end=second) == (second > 0)


@pytest.mark.parametrize("text", CONTROLS, ids=range(len(CONTROLS)))
def test_control_characters_are_refused_everywhere(store: VectorStore, text: str) -> None:
    rows = embedded("v", 1, dimension=8)
    before = store.count()
    for attempt in (
        lambda: literal(text),
        lambda: literal(["fine", text]),
        lambda: store.upsert(text, "", ADDED_AT, rows),
        lambda: store.upsert("v", text, ADDED_AT, rows),
        lambda: videos_of(store, categories=(text,)),
    ):
        with pytest.raises(StoreError, match="control characters"):
            attempt()
    assert store.count() == before


def test_a_text_too_long_in_bytes_is_refused_with_both_sizes(store: VectorStore) -> None:
    rows = embedded("v", 1, dimension=8)
    fits = "漢" * (MAX_TEXT_BYTES // 3)
    store.upsert("long", fits, ADDED_AT, rows)
    assert videos_of(store, categories=(fits,)) == ["long"]
    with pytest.raises(StoreError, match=r"1,026 bytes; 1,024"):
        store.upsert("long", fits + "漢", ADDED_AT, rows)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1])
def test_numbers_milvus_cannot_hold_are_refused(number: float) -> None:
    with pytest.raises(StoreError):
        literal(number)


def test_literals_read_as_milvus_reads_them() -> None:
    assert literal("a'b") == '"a\'b"'
    assert literal(True) == "true"
    assert literal(-3) == "-3"
    assert literal(0.5) == "0.5"
    assert literal(("a", 1)) == '["a", 1]'


@pytest.mark.parametrize("key", ['" or id != "', "a b", "x'", "\\", "日本:visual:0", "", "\0"])
def test_a_made_up_id_reads_and_deletes_nothing(store: VectorStore, key: str) -> None:
    store.upsert("kept", "", ADDED_AT, embedded("kept", 2, dimension=8))
    before = store.count()
    assert store.segments([key]) == []
    assert store.vectors([key]) == {}
    store.delete([key])
    assert store.count() == before
