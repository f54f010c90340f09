"""Search answers exactly what numpy answers, under every filter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import RecipeError, StoreError
from core.models import Filters, Hit, Segment, Vector, Video
from core.recipe import Part, Recipe, query_vector
from core.search import Ranking, find_pairs
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


# Recipes

RECORDED = {
    f"video-{n}": Video(f"video-{n}", "", "", None, "", "m-1", SEGMENTS, ADDED_AT)
    for n in range(VIDEOS)
}

weights = st.floats(-2, 2, allow_subnormal=False)
words = st.integers(0, 50).map(lambda n: f"word {n}")
ids = st.builds(
    lambda video, option, n: f"video-{video}:{option}:{n * 4000}",
    st.integers(0, VIDEOS - 1),
    st.sampled_from(OPTIONS),
    st.integers(0, SEGMENTS - 1),
)
parts = st.one_of(
    st.builds(Part.text, words, weight=weights),
    st.builds(Part.segment, ids, weight=weights),
    st.builds(Part.mark, ids, liked=st.booleans()),
)
recipes = st.lists(parts, min_size=1, max_size=8).map(tuple).map(Recipe)
days = st.none() | st.integers(0, VIDEOS).map(lambda n: ADDED_AT + timedelta(days=n))
option_weights = st.lists(
    st.tuples(st.sampled_from(OPTIONS), st.sampled_from([0.0, 0.5, 0.7, 1.0, 2.0])),
    unique_by=lambda pair: pair[0],
).map(tuple)
all_filters = st.builds(
    Filters,
    video_ids=st.sets(st.sampled_from(list(RECORDED)), max_size=4).map(tuple),
    categories=st.sets(st.sampled_from(CATEGORIES), max_size=3).map(tuple),
    options=st.sets(st.sampled_from(OPTIONS)).map(tuple),
    min_score=st.none() | st.floats(-0.2, 0.4),
    start=st.none() | st.floats(0, 150),
    end=st.none() | st.floats(50, 250),
    added_after=days,
    added_before=days,
    option_weights=option_weights,
)


def exact_weights(recipe: Recipe) -> list[float]:
    """What each part weighs, after Rocchio, with magnitudes that add up to 1."""
    said = sum(abs(part.weight) for part in recipe.parts if not part.marked)
    marks = [part.marked for part in recipe.parts]
    share = {
        "up": (0.75 * said if said else 1.0) / max(1, marks.count("up")),
        "down": -0.15 * (said or 1.0) / max(1, marks.count("down")),
    }
    weights = [share.get(part.marked, part.weight) for part in recipe.parts]
    total = sum(map(abs, weights))
    return [weight / total for weight in weights]


def exact_hits(table: Table, recipe: Recipe, filters: Filters) -> dict[tuple[str, float], float]:
    """The score of every segment that passes, by video and start, in float64 by the definition."""
    vectors = [part_vector(table, part).astype(np.float64) for part in recipe.parts]
    scores = sum(
        weight * (table.matrix @ vector)
        for weight, vector in zip(exact_weights(recipe), vectors, strict=True)
    )
    of_option = dict(filters.option_weights)
    hits: dict[tuple[str, float], float] = {}
    for segment, video, cosine in zip(table.segments, table.videos, scores, strict=True):
        weight = of_option.get(segment.embedding_option, 1.0)
        if weight and table.passes(segment, video, filters):
            key = segment.video_id, segment.start_offset_sec
            hits[key] = max(weight * float(cosine), hits.get(key, -math.inf))
    return hits


def part_vector(table: Table, part: Part) -> Vector:
    if part.kind == "text":
        return vector_of(str(part.source))
    return table.store.vectors([str(part.source)])[str(part.source)]


def ranking_of(table: Table, recipe: Recipe, filters: Filters) -> Ranking:
    """As the library makes it; assumes that the recipe can be searched for."""
    try:
        direction, length = query_vector(recipe, lambda part: part_vector(table, part))
        # Shorter ones magnify what float32 leaves out.
        assume(length > 0.01)
        return Ranking(
            table.store, RECORDED, direction, length=length, filters=filters, options=OPTIONS
        )
    except RecipeError:
        assume(False)
        raise


def place(hit: Hit) -> tuple[str, float]:
    return hit.segment.video_id, hit.segment.start_offset_sec


@given(recipes, all_filters, st.integers(1, 40))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_a_recipe_under_any_filters_ranks_as_its_definition_does(
    table: Table, recipe: Recipe, filters: Filters, count: int
) -> None:
    ranking = ranking_of(table, recipe, filters)
    found: list[Hit] = []
    for hits in ranking.growing(count):
        found = hits[:count]
        if len(hits) >= count:
            break
    exact = exact_hits(table, recipe, filters)
    least = -2.0 if filters.min_score is None else filters.min_score
    expected = sorted((score for score in exact.values() if score >= least), reverse=True)[:count]
    clear = sum(score > least + 1e-6 for score in expected)
    assert clear <= len(found) <= len(expected) + sum(abs(s - least) < 1e-6 for s in exact.values())
    # The same scores in the same order, and each is that of its segment: only ties may change places.
    shown = [hit.score for hit in found]
    np.testing.assert_allclose(shown[:clear], expected[:clear], atol=1e-6)
    np.testing.assert_allclose(shown, [exact[place(hit)] for hit in found], atol=1e-6)
    assert len({place(hit) for hit in found}) == len(found)


@given(recipes, recipes, all_filters, st.integers(0, 30))
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_a_then_finds_every_pair_that_the_definition_finds(
    table: Table, recipe: Recipe, then: Recipe, filters: Filters, within_sec: int
) -> None:
    of_hits = replace(filters, min_score=None)
    sides = ranking_of(table, recipe, of_hits), ranking_of(table, then, of_hits)
    page = find_pairs(
        *sides, within_sec=within_sec, min_score=filters.min_score, limit=1000, offset=0
    )
    first, second = exact_hits(table, recipe, of_hits), exact_hits(table, then, of_hits)
    pairs = sorted(
        (
            (math.sqrt(a * b), here, there)
            for here, a in first.items()
            for there, b in second.items()
            if a > 0 < b and here[0] == there[0] and 4 <= there[1] - here[1] <= within_sec + 4
        ),
        reverse=True,
    )
    expected: list[float] = []
    used: set[tuple[str, tuple[str, float]]] = set()
    for score, here, there in pairs:
        if used.isdisjoint({("a", here), ("b", there)}):
            used |= {("a", here), ("b", there)}
            expected.append(score)
    if filters.min_score is not None:
        least = filters.min_score
        assume(all(abs(score - least) > 1e-5 for score in expected))
        expected = [score for score in expected if score >= least]
    # The root magnifies what float32 leaves out of a score near 0.
    np.testing.assert_allclose([m.score for m in page.moments], expected, atol=1e-3)
    assert not page.at_limit
