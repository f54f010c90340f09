"""Search answers exactly what numpy answers, under every filter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import StoreError
from core.models import Filters, Segment
from core.store import MAX_LIMIT, VectorStore
from tests.milvus.rows import ADDED_AT, DIMENSION, embedded, open_store, vector_of

OPTIONS = ("visual", "audio", "transcription")
CATEGORIES = ("news", "sport", "", "zoo & co")
VIDEOS = 16
SEGMENTS = 50

ONE_FILTER = {
    "videos": {"video_ids": ("video-5", "video-10", "video-15", "no such video")},
    "categories": {"categories": ("sport", "")},
    "options": {"options": ("visual", "transcription")},
    "start": {"start": 30.0},
    "end": {"end": 90.5},
    "added after": {"added_after": ADDED_AT + timedelta(days=4)},
    "added before": {"added_before": ADDED_AT + timedelta(days=12, seconds=0.5)},
    "score": {"min_score": 0.05},
}
FILTERS = {
    " and ".join(names): Filters(**{k: v for name in names for k, v in ONE_FILTER[name].items()})
    for size in (0, 1, 2, len(ONE_FILTER))
    for names in combinations(ONE_FILTER, size)
}


@dataclass(frozen=True)
class Table:
    """The same rows outside the store, in plain sight."""

    store: VectorStore
    segments: list[Segment]
    videos: list[int]
    matrix: NDArray[np.float64]

    def passes(self, segment: Segment, video: int, filters: Filters) -> bool:
        added_at = ADDED_AT + timedelta(days=video)
        return (
            (not filters.video_ids or segment.video_id in filters.video_ids)
            and (not filters.categories or CATEGORIES[video % 4] in filters.categories)
            and (not filters.options or segment.embedding_option in filters.options)
            and (filters.start is None or segment.end_offset_sec > filters.start)
            and (filters.end is None or segment.start_offset_sec < filters.end)
            and (filters.added_after is None or added_at >= filters.added_after)
            and (filters.added_before is None or added_at < filters.added_before)
        )

    def best(self, query: NDArray[np.float32], filters: Filters) -> list[tuple[Segment, float]]:
        scores = self.matrix @ query.astype(np.float64)
        least = -2.0 if filters.min_score is None else filters.min_score
        rows = [
            (segment, float(score))
            for segment, video, score in zip(self.segments, self.videos, scores, strict=True)
            if self.passes(segment, video, filters) and score >= least
        ]
        return sorted(rows, key=lambda row: -row[1])


@pytest.fixture(scope="module")
def table(shared_uri: str) -> Iterator[Table]:
    with open_store(shared_uri) as store:
        segments: list[Segment] = []
        videos: list[int] = []
        for video in range(VIDEOS):
            stored = store.upsert(
                f"video-{video}",
                CATEGORIES[video % 4],
                ADDED_AT + timedelta(days=video),
                embedded(f"video-{video}", SEGMENTS, options=OPTIONS),
            )
            segments += stored
            videos += [video] * len(stored)
        matrix = [
            vector_of(f"{s.video_id}/{s.embedding_option}/{s.start_offset_sec}") for s in segments
        ]
        assert len(segments) == VIDEOS * SEGMENTS * len(OPTIONS) >= 2000
        yield Table(store, segments, videos, np.array(matrix, dtype=np.float64))


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
def test_the_ranking_is_the_exact_one_under(table: Table, filters: Filters) -> None:
    for number in range(3):
        query = vector_of(f"query {number}")
        expected = table.best(query, filters)[:50]
        found = table.store.search(query, filters=filters, limit=50)
        assert [scored.segment for scored in found] == [segment for segment, _ in expected]
        scores = [score for _, score in expected]
        np.testing.assert_allclose([scored.score for scored in found], scores, atol=1e-5)


def test_the_filters_of_this_file_let_some_rows_through_and_hold_some_back(table: Table) -> None:
    for filters in FILTERS.values():
        assert table.best(vector_of("query 0"), filters)
    for name in ONE_FILTER:
        assert len(table.best(vector_of("query 0"), FILTERS[name])) < len(table.segments)


def test_a_limit_above_all_rows_gives_all_rows_once(table: Table) -> None:
    found = table.store.search(vector_of("query"), limit=MAX_LIMIT + 1)
    assert sorted(scored.segment.id for scored in found) == sorted(s.id for s in table.segments)


def test_a_stored_vector_finds_itself_first_with_a_score_of_one(table: Table) -> None:
    for segment in table.segments[::199]:
        vector = table.store.vectors([segment.id])[segment.id]
        best = table.store.search(vector, limit=1)[0]
        assert best.segment == segment
        assert best.score == pytest.approx(1.0, abs=1e-5)
        assert best.score <= 1.0


def test_a_limit_of_nothing_gives_nothing(table: Table) -> None:
    assert table.store.search(vector_of("query"), limit=0) == []


def test_an_option_nobody_stored_gives_nothing(table: Table) -> None:
    assert table.store.search(vector_of("q"), filters=Filters(options=("smell",)), limit=5) == []


def test_an_empty_collection_gives_nothing(store_uri: str) -> None:
    with open_store(store_uri) as store:
        assert store.search(vector_of("query"), limit=10) == []
        assert store.count() == 0
        assert store.segments(["a:visual:0"]) == []
        assert store.vectors([]) == {}


def test_equal_scores_come_in_the_order_of_their_ids(store_uri: str) -> None:
    same = embedded("x", 1)
    with open_store(store_uri) as store:
        for name in ("c", "a", "d", "b"):
            store.upsert(name, "", ADDED_AT, same)
        found = store.search(same[0].vector, limit=10)
    assert [scored.segment.video_id for scored in found] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "vector",
    [
        np.full(DIMENSION, math.nan, dtype=np.float32),
        np.full(DIMENSION, math.inf, dtype=np.float32),
        np.zeros(DIMENSION, dtype=np.float32),
        np.ones(DIMENSION + 1, dtype=np.float32),
        np.ones((1, DIMENSION), dtype=np.float32),
    ],
    ids=["nan", "infinite", "zero", "too long", "nested"],
)
def test_a_query_that_is_no_direction_is_refused(table: Table, vector: NDArray[np.float32]) -> None:
    with pytest.raises(StoreError):
        table.store.search(vector, limit=5)
