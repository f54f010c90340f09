from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RecipeError
from core.models import (
    EmbeddedSegment,
    Filters,
    Hit,
    Moment,
    ScoredSegment,
    Segment,
    Vector,
    Video,
)
from core.search import (
    MAX_MOMENT_SEC,
    MERGE_RATIO,
    PAIRED_SEGMENTS,
    Found,
    Ranking,
    find_moments,
    find_pairs,
    fold_similar,
    group_rows,
    merge_hits,
    pair_hits,
)
from core.store import VectorStore

ADDED = datetime(2026, 1, 1, tzinfo=UTC)


def video(video_id: str) -> Video:
    return Video(video_id, video_id, f"file:///{video_id}.mp4", 60, "", "m", 1, ADDED)


# Numbered ones belong to small libraries of their own, further down.
LIBRARIES = 12
NAMES = ["a", "b", "endless", *(f"{name}{number}" for number in range(LIBRARIES) for name in "ab")]
VIDEOS: Mapping[str, Video] = {name: video(name) for name in NAMES}
EVERYTHING = Filters()


def row(
    score: float, start: float, end: float, *, of: str = "a", option: str = "visual"
) -> ScoredSegment:
    key = f"{of}:{option}:{round(start * 1000)}"
    return ScoredSegment(Segment(key, of, start, end, "clip", option), score)


def spans(hits: Sequence[Hit]) -> list[tuple[str, float, float]]:
    """The moments these hits become: video, start and end of each."""
    return [(m.video.id, m.start_offset_sec, m.end_offset_sec) for m in merge_hits(hits)]


def hits(*rows: ScoredSegment) -> list[Hit]:
    return group_rows(sorted(rows, key=lambda scored: -scored.score), VIDEOS)


# Rows become hits


def test_rows_of_one_segment_are_one_hit_with_a_score_for_each_option() -> None:
    found = group_rows(
        [row(0.9, 0, 4, option="audio"), row(0.8, 4, 8), row(0.7, 0, 4, option="visual")], VIDEOS
    )
    assert [(hit.rank, hit.score, dict(hit.scores_by_option)) for hit in found] == [
        (1, 0.9, {"audio": 0.9, "visual": 0.7}),
        (2, 0.8, {"visual": 0.8}),
    ]
    assert found[0].segment.embedding_option == "audio"


def test_the_same_span_of_two_videos_is_two_hits() -> None:
    assert len(group_rows([row(0.9, 0, 4), row(0.8, 0, 4, of="b")], VIDEOS)) == 2


def test_rows_of_a_video_that_is_not_recorded_are_left_out() -> None:
    found = group_rows([row(0.9, 0, 4, of="gone"), row(0.8, 0, 4)], VIDEOS)
    assert [(hit.video.id, hit.rank) for hit in found] == [("a", 1)]


# Hits become moments


def test_neighbours_that_score_alike_become_one_moment_on_either_side() -> None:
    found = hits(row(0.9, 4, 8), row(0.88, 8, 12), row(0.86, 0, 4))
    (moment,) = merge_hits(found)
    assert (moment.start_offset_sec, moment.end_offset_sec, moment.score) == (0, 12, 0.9)
    assert moment.best.segment.start_offset_sec == 4
    assert len(moment.hits) == 3


def test_a_gap_keeps_hits_apart_and_a_rounding_gap_does_not() -> None:
    assert spans(hits(row(0.9, 0, 4), row(0.9, 4.4, 8))) == [("a", 0, 8)]
    assert len(spans(hits(row(0.9, 0, 4), row(0.9, 4.6, 8)))) == 2


def test_a_neighbour_that_answers_clearly_worse_stays_apart() -> None:
    assert len(spans(hits(row(0.9, 0, 4), row(0.9 * MERGE_RATIO - 0.01, 4, 8)))) == 2
    assert len(spans(hits(row(0.9, 0, 4), row(0.9 * MERGE_RATIO + 0.01, 4, 8)))) == 1


def test_a_neighbour_is_measured_against_the_peak_and_not_against_the_last_that_joined() -> None:
    fading = [row(0.9 * 0.93**n, 4 * n, 4 * n + 4) for n in range(6)]
    assert len(spans(hits(*fading))) > 1


def test_hits_that_do_not_answer_at_all_are_never_merged() -> None:
    assert len(spans(hits(row(0.0, 0, 4), row(0.0, 4, 8)))) == 2
    assert len(spans(hits(row(-0.5, 0, 4), row(-0.5, 4, 8)))) == 2


def test_a_moment_never_grows_beyond_its_longest() -> None:
    alike = [row(0.9, 4 * n, 4 * n + 4) for n in range(20)]
    moments = merge_hits(hits(*alike))
    assert all(m.end_offset_sec - m.start_offset_sec <= MAX_MOMENT_SEC for m in moments)
    assert sum(len(m.hits) for m in moments) == 20


def test_moments_never_reach_across_videos() -> None:
    assert spans(hits(row(0.9, 0, 4), row(0.89, 4, 8, of="b"))) == [("a", 0, 4), ("b", 4, 8)]


def test_moments_stand_in_the_order_of_their_best_hits() -> None:
    moments = merge_hits(hits(row(0.5, 0, 4), row(0.9, 40, 44), row(0.7, 20, 24, of="b")))
    assert [m.score for m in moments] == [0.9, 0.7, 0.5]
    assert [m.rank for m in moments] == [1, 2, 3]


# Pairs of hits, one after the other


def moments_of(pairs: Sequence[Moment]) -> list[tuple[float, float]]:
    return [(pair.start_offset_sec, pair.end_offset_sec) for pair in pairs]


def test_a_pair_is_shown_from_its_first_to_its_second_with_the_score_of_both() -> None:
    (pair,) = pair_hits(hits(row(0.9, 4, 8)), hits(row(0.4, 10, 14)), within_sec=5)
    assert (pair.start_offset_sec, pair.end_offset_sec, pair.rank) == (4, 14, 1)
    assert pair.score == pytest.approx(0.6)
    assert pair.then is not None
    assert pair.hits == (pair.best, pair.then)
    assert (pair.best.score, pair.then.score) == (0.9, 0.4)


def test_the_second_follows_the_first_within_the_time_and_in_the_same_video() -> None:
    dog = hits(row(0.9, 10, 14))
    for start, of, expected in (
        (14, "a", 1),
        (13.9995, "a", 1),  # what rounding leaves
        (13.9, "a", 0),
        (2, "a", 0),
        (10, "a", 0),
        (19, "a", 1),
        (19.1, "a", 0),
        (14, "b", 0),
    ):
        found = pair_hits(dog, hits(row(0.9, start, start + 4, of=of)), within_sec=5)
        assert len(found) == expected, (start, of)


def test_the_time_between_is_counted_in_milliseconds() -> None:
    assert 32.2 - 2.2 > 30
    assert pair_hits(hits(row(0.9, 0, 2.2)), hits(row(0.9, 32.2, 38)), within_sec=30)


def test_every_hit_is_the_first_of_one_pair_at_most_and_the_second_of_one() -> None:
    alike = hits(*(row(0.9 - n / 100, 4 * n, 4 * n + 4) for n in range(4)))
    found = pair_hits(alike, alike, within_sec=30)
    assert moments_of(found) == [(0, 8), (4, 12), (8, 16)]


spot = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 4), st.integers(1, 20))


@given(
    st.lists(spot, max_size=30, unique_by=lambda s: s[:2]),
    st.lists(spot, max_size=30, unique_by=lambda s: s[:2]),
    st.integers(0, 20),
)
def test_the_pairs_are_those_that_looking_at_all_of_them_finds(
    first: list[tuple[str, int, int, int]], second: list[tuple[str, int, int, int]], within: int
) -> None:
    def hits_of(spots: list[tuple[str, int, int, int]]) -> list[Hit]:
        return hits(*(row(score / 20, at, at + long, of=of) for of, at, long, score in spots))

    dogs, balls = hits_of(first), hits_of(second)
    reachable = [
        (dog, ball)
        for dog in dogs
        for ball in balls
        if dog.video == ball.video
        and 0 <= ball.segment.start_offset_sec - dog.segment.end_offset_sec <= within
    ]
    expected: list[tuple[Hit, Hit]] = []
    while reachable:
        best = min(reachable, key=lambda p: (-p[0].score * p[1].score, p[0].rank, p[1].rank))
        expected.append(best)
        reachable = [p for p in reachable if p[0] is not best[0] and p[1] is not best[1]]
    assert [pair.hits for pair in pair_hits(dogs, balls, within_sec=within)] == expected


# The whole way, on a real store


def towards(score: float) -> Vector:
    """A unit vector whose cosine with the query is `score`."""
    return np.array([score, np.sqrt(1 - score**2), 0, 0], dtype=np.float32)


QUERY = np.array([1, 0, 0, 0], dtype=np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    """Video a: 40 neighbours that score alike. Video b: 5 that stand apart and score less."""
    path = tmp_path_factory.mktemp("search") / "milvus.db"
    with VectorStore(str(path), embedder="test", model="m", dimension=4) as opened:
        alike = [
            EmbeddedSegment(2 * n, 2 * n + 2, "visual", towards(0.95 - n / 1000)) for n in range(40)
        ]
        apart = [
            EmbeddedSegment(10 * n, 10 * n + 2, "visual", towards(0.6 - n / 10)) for n in range(5)
        ]
        opened.upsert("a", "", ADDED, alike)
        opened.upsert("b", "", ADDED, apart)
        yield opened


def ranking(
    store: VectorStore,
    filters: Filters = EVERYTHING,
    *,
    towards: Vector = QUERY,
    length: float = 1.0,
    options: Sequence[str] = ("visual",),
) -> Ranking:
    return Ranking(store, VIDEOS, towards, length=length, filters=filters, options=options)


def found(
    store: VectorStore,
    *,
    limit: int,
    offset: int = 0,
    length: float = 1.0,
    filters: Filters = EVERYTHING,
) -> list[tuple[int, str, float]]:
    """Rank, video and score of each moment."""
    page = find_moments(ranking(store, filters, length=length), limit=limit, offset=offset)
    return [(m.rank, m.video.id, round(m.score, 2)) for m in page.moments]


def test_the_store_is_asked_again_when_merging_leaves_too_few(store: VectorStore) -> None:
    assert [entry[1] for entry in found(store, limit=6)] == ["a", "a", "a", "b", "b", "b"]


def test_a_page_goes_on_where_the_last_one_ended(store: VectorStore) -> None:
    whole = found(store, limit=8)
    assert [rank for rank, _, _ in whole] == list(range(1, 9))
    assert found(store, limit=3) + found(store, limit=5, offset=3) == whole
    assert found(store, limit=5, offset=100) == []


def test_a_page_says_whether_there_is_another(store: VectorStore) -> None:
    for limit, more in ((0, True), (1, True), (7, True), (8, False), (20, False)):
        page = find_moments(ranking(store), limit=limit, offset=0)
        assert (page.more, page.at_limit) == (more, False)


def test_scores_are_multiplied_by_the_length_of_the_recipe(store: VectorStore) -> None:
    for factor in (1.0, 0.5):
        page = find_moments(ranking(store, length=factor), limit=1, offset=0)
        assert page.moments[0].score == pytest.approx(0.95 * factor, abs=1e-6)
        assert page.moments[0].best.scores_by_option == {"visual": page.moments[0].score}


def test_the_least_score_means_the_score_that_is_shown(store: VectorStore) -> None:
    shown = found(store, limit=20, length=0.5, filters=Filters(min_score=0.19))
    assert [score for _, video_id, score in shown if video_id == "b"] == [0.3, 0.25, 0.2]


@pytest.mark.parametrize("weight", [-0.1, 2.1, math.nan, math.inf])
def test_the_weight_of_an_option_is_a_number_from_0_to_2(store: VectorStore, weight: float) -> None:
    with pytest.raises(RecipeError, match="weight of an option"):
        ranking(store, Filters(option_weights=(("visual", weight),)))


def test_when_no_option_has_a_weight_there_is_nothing_to_search(store: VectorStore) -> None:
    with pytest.raises(RecipeError, match="every option has the weight 0"):
        ranking(store, Filters(option_weights=(("visual", 0.0),)))


def test_the_least_score_of_a_then_is_that_of_the_pair(store: VectorStore) -> None:
    def pairs(least: float | None) -> list[float]:
        page = find_pairs(
            ranking(store, Filters(video_ids=("b",))),
            ranking(store, Filters(video_ids=("b",))),
            within_sec=10,
            min_score=least,
            limit=10,
            offset=0,
        )
        return [moment.score for moment in page.moments]

    # 0.6, 0.5, 0.4, 0.3 and 0.2 follow each other, 8 s apart.
    assert pairs(None) == pytest.approx(np.sqrt([0.3, 0.2, 0.12, 0.06]), abs=1e-5)
    assert pairs(0.4) == pytest.approx(np.sqrt([0.3, 0.2]), abs=1e-5)


# Many segments, and many that score the same

LEVELS = (0.3, 0.5, 0.7, 0.75, 0.9)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    """Small libraries, a category each, whose neighbours often merge and whose scores are few."""
    path = tmp_path_factory.mktemp("crowd") / "milvus.db"
    random = np.random.default_rng(5)
    with VectorStore(str(path), embedder="test", model="m", dimension=4) as opened:
        for number in range(LIBRARIES):
            for name in ("a", "b"):
                segments = [
                    EmbeddedSegment(
                        4 * n, 4 * n + 4, option, towards(LEVELS[random.integers(len(LEVELS))])
                    )
                    for n in range(random.integers(1, 40))
                    for option in ("visual", "audio")
                ]
                opened.upsert(f"{name}{number}", f"library {number}", ADDED, segments)
        endless = [EmbeddedSegment(n, n + 1, "visual", towards(1 - n / 1200)) for n in range(1150)]
        opened.upsert("endless", "endless", ADDED, endless)
        yield opened


@given(
    st.integers(0, LIBRARIES - 1),
    st.integers(3, 12),
    st.sampled_from([None, 0.5, 0.6]),
    st.sampled_from([(), (("audio", 0.5),), (("audio", 0.0),)]),
)
@settings(max_examples=20)
def test_paging_repeats_and_loses_no_moment(
    crowd: VectorStore,
    number: int,
    size: int,
    least: float | None,
    weights: tuple[tuple[str, float], ...],
) -> None:
    filters = Filters(categories=(f"library {number}",), min_score=least, option_weights=weights)

    def page(limit: int, offset: int) -> Found:
        hits_first = ranking(crowd, filters, options=("visual", "audio"))
        return find_moments(hits_first, limit=limit, offset=offset)

    whole = page(1000, 0)
    assert not whole.more
    shown: list[Moment] = []
    more = True
    while more:
        found = page(size, len(shown))
        assert len(found.moments) == size or not found.more
        shown += found.moments
        more = found.more
    assert [m.best.segment.id for m in shown] == [m.best.segment.id for m in whole.moments]
    assert [m.rank for m in shown] == list(range(1, len(shown) + 1))


@given(
    st.integers(0, LIBRARIES - 1),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([None, 0.5]),
    st.sampled_from([(), (("audio", 0.5),)]),
)
@settings(max_examples=20)
def test_pages_with_so_many_of_each_video_are_those_that_counting_all_moments_gives(
    crowd: VectorStore,
    number: int,
    per_video: int,
    size: int,
    least: float | None,
    weights: tuple[tuple[str, float], ...],
) -> None:
    categories = (f"library {number}", f"library {(number + 1) % LIBRARIES}")
    filters = Filters(categories=categories, min_score=least, option_weights=weights)

    def page(limit: int, offset: int, per_video: int | None) -> Found:
        hits_first = ranking(crowd, filters, options=("visual", "audio"))
        return find_moments(hits_first, limit=limit, offset=offset, per_video=per_video)

    expected: list[str] = []
    left = dict.fromkeys(VIDEOS, per_video)
    for moment in page(1000, 0, None).moments:
        left[moment.video.id] -= 1
        if left[moment.video.id] >= 0:
            expected.append(moment.best.segment.id)
    shown: list[Moment] = []
    more = True
    while more:
        found = page(size, len(shown), per_video)
        assert len(found.moments) == size or not found.more
        shown += found.moments
        more = found.more
    assert [m.best.segment.id for m in shown] == expected
    assert [m.rank for m in shown] == list(range(1, len(shown) + 1))


def test_one_video_that_answers_everywhere_does_not_use_up_what_the_engine_can_give(
    crowd: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.search.MAX_LIMIT", 100)
    filters = Filters(categories=("endless", "library 0"), options=("visual",))
    every = find_moments(ranking(crowd, filters), limit=50, offset=0)
    assert {moment.video.id for moment in every.moments} == {"endless"}
    found = find_moments(ranking(crowd, filters), limit=50, offset=0, per_video=2)
    assert [moment.video.id for moment in found.moments][:2] == ["endless", "endless"]
    assert {moment.video.id for moment in found.moments} == {"endless", "a0", "b0"}
    assert (found.more, found.at_limit) == (False, False)


def test_of_a_then_so_many_pairs_of_each_video_are_given(store: VectorStore) -> None:
    def pairs(per_video: int | None, offset: int = 0) -> list[tuple[int, str, float]]:
        page = find_pairs(
            ranking(store),
            ranking(store),
            within_sec=10,
            min_score=None,
            limit=3,
            offset=offset,
            per_video=per_video,
        )
        return [(m.rank, m.video.id, m.start_offset_sec) for m in page.moments]

    assert pairs(None) == [(1, "a", 0), (2, "a", 2), (3, "a", 4)]
    assert pairs(2) == [(1, "a", 0), (2, "a", 2), (3, "b", 0)]
    assert pairs(2, offset=3) == [(4, "b", 10)]


# Moments that look almost the same


def folded(moments: Sequence[Moment], vectors: Mapping[str, Vector]) -> list[tuple[int, list[int]]]:
    """The rank of each that stays, with those of the ones under it."""
    return [(m.rank, [s.rank for s in m.similar]) for m in fold_similar(moments, vectors)]


def test_moments_that_look_almost_the_same_fold_under_the_best_of_them() -> None:
    moments = merge_hits(hits(*(row(0.9 - n / 10, 20 * n, 20 * n + 4) for n in range(5))))
    # In turns: two bunches, an eighth of a turn apart.
    turns = (0.0, 0.125, 0.01, 0.13, 0.02)
    vectors = {
        m.best.segment.id: np.array([np.cos(a), np.sin(a)], dtype=np.float32)
        for m, a in zip(moments, 2 * np.pi * np.array(turns), strict=True)
    }
    assert folded(moments, vectors) == [(1, [3, 5]), (2, [4])]
    assert folded(moments, {}) == [(n, []) for n in range(1, 6)]


def test_likeness_is_measured_with_the_best_and_does_not_run_on_from_one_to_the_next() -> None:
    moments = merge_hits(hits(*(row(0.9 - n / 10, 20 * n, 20 * n + 4) for n in range(3))))
    step = np.arccos(0.98)
    vectors = {
        m.best.segment.id: np.array([np.cos(n * step), np.sin(n * step)], dtype=np.float32)
        for n, m in enumerate(moments)
    }
    assert folded(moments, vectors) == [(1, [2]), (3, [])]


def test_pairs_fold_only_when_both_halves_look_the_same() -> None:
    firsts = hits(*(row(0.9 - n / 100, 100 * n, 100 * n + 4) for n in range(3)))
    seconds = hits(*(row(0.9 - n / 100, 100 * n + 5, 100 * n + 9) for n in range(3)))
    pairs = pair_hits(firsts, seconds, within_sec=5)
    vectors = {hit.segment.id: towards(1.0) for hit in (*firsts, *seconds)}
    vectors[seconds[2].segment.id] = towards(0.0)
    assert folded(pairs, vectors) == [(1, [2]), (3, [])]


def test_the_last_page_that_the_engine_can_give_says_so(
    crowd: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real limit would take minutes to fill.
    monkeypatch.setattr("core.search.MAX_LIMIT", 200)
    filters = Filters(categories=("endless",))
    shown: list[Moment] = []
    more = True
    while more:
        page = find_moments(ranking(crowd, filters), limit=2, offset=len(shown))
        assert page.at_limit == (not page.more)
        shown += page.moments
        more = page.more
    assert sum(len(moment.hits) for moment in shown) <= 200
    assert [moment.start_offset_sec for moment in shown] == list(range(0, 200, 30))
    clear = Filters(categories=("endless",), min_score=0.9)
    assert not find_moments(ranking(crowd, clear), limit=50, offset=0).at_limit


def test_a_then_pairs_the_best_thousand_of_either_side_and_says_so(crowd: VectorStore) -> None:
    def pairs(filters: Filters, offset: int) -> Found:
        sides = (ranking(crowd, filters), ranking(crowd, filters))
        return find_pairs(*sides, within_sec=0, min_score=None, limit=600, offset=offset)

    filters = Filters(categories=("endless",))
    first, second = pairs(filters, 0), pairs(filters, 600)
    assert (first.more, first.at_limit) == (True, False)
    assert (second.more, second.at_limit) == (False, True)
    shown = [pair.start_offset_sec for pair in first.moments + second.moments]
    assert shown == list(range(PAIRED_SEGMENTS - 1))
    assert not pairs(replace(filters, end=900.0), 600).at_limit


def test_segments_that_do_not_answer_at_all_are_never_paired(crowd: VectorStore) -> None:
    filters = Filters(categories=("library 0",))
    sides = (ranking(crowd, filters), ranking(crowd, filters, towards=-QUERY))
    page = find_pairs(*sides, within_sec=60, min_score=None, limit=10, offset=0)
    assert (page.moments, page.more, page.at_limit) == ((), False, False)
