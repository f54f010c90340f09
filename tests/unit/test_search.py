from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from core.models import EmbeddedSegment, Filters, Hit, ScoredSegment, Segment, Vector, Video
from core.search import MAX_MOMENT_SEC, MERGE_RATIO, find_moments, group_rows, merge_hits
from core.store import VectorStore

ADDED = datetime(2026, 1, 1, tzinfo=UTC)


def video(video_id: str) -> Video:
    return Video(video_id, video_id, f"file:///{video_id}.mp4", 60, "", "m", 1, ADDED)


VIDEOS: Mapping[str, Video] = {name: video(name) for name in ("a", "b")}


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


def test_scores_are_multiplied_by_the_length_of_the_recipe() -> None:
    (hit,) = group_rows([row(0.8, 0, 4)], VIDEOS, length=0.5)
    assert (hit.score, dict(hit.scores_by_option)) == (0.4, {"visual": 0.4})


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


def found(
    store: VectorStore,
    *,
    limit: int,
    offset: int = 0,
    length: float = 1.0,
    filters: Filters | None = None,
) -> list[tuple[int, str, float]]:
    """Rank, video and score of each moment."""
    moments = find_moments(
        store,
        VIDEOS,
        QUERY,
        length=length,
        filters=filters or Filters(),
        limit=limit,
        offset=offset,
        options=1,
    )
    return [(m.rank, m.video.id, round(m.score, 2)) for m in moments]


def test_the_store_is_asked_again_when_merging_leaves_too_few(store: VectorStore) -> None:
    assert [entry[1] for entry in found(store, limit=6)] == ["a", "a", "a", "b", "b", "b"]


def test_a_page_goes_on_where_the_last_one_ended(store: VectorStore) -> None:
    whole = found(store, limit=8)
    assert [rank for rank, _, _ in whole] == list(range(1, 9))
    assert found(store, limit=3) + found(store, limit=5, offset=3) == whole
    assert found(store, limit=5, offset=100) == []


def test_the_least_score_means_the_score_that_is_shown(store: VectorStore) -> None:
    shown = found(store, limit=20, length=0.5, filters=Filters(min_score=0.19))
    assert [score for _, video_id, score in shown if video_id == "b"] == [0.3, 0.25, 0.2]
