"""From a query's direction to hits and moments.

Milvus answers with rows, one per segment and embedding_option. Rows of one segment become a hit;
neighbouring hits that score alike become a moment. Grouping is done here because Milvus Lite's own
looks only at the first few hits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.models import Filters, Hit, Moment, ScoredSegment, Vector, Video
from core.store import VectorStore

# Neighbours join a moment only while they answer about as well as its best segment: a video in
# which everything matches a little must not become one moment from start to end.
MERGE_RATIO = 0.8
MAX_GAP_SEC = 0.5
MAX_MOMENT_SEC = 30.0
# Rows asked for per wanted moment; enough for two options and some merging in one round trip.
ROWS_PER_MOMENT = 4
MAX_ROWS = 16384  # Milvus' own ceiling for limit + offset


def find_moments(
    store: VectorStore,
    videos: Mapping[str, Video],
    direction: Vector,
    *,
    length: float,
    filters: Filters,
    limit: int,
    offset: int,
) -> tuple[Moment, ...]:
    """The moments from `offset` to `offset + limit`, best first.

    `direction` is a unit vector; every score is its cosine times `length`. Asks the store again
    with twice the rows while merging leaves too few moments.
    """
    if filters.min_score is not None and length > 0:
        filters = replace(filters, min_score=filters.min_score / length)
    wanted = offset + limit
    asked = min(max(ROWS_PER_MOMENT * wanted, 64), MAX_ROWS)
    while True:
        rows = store.search(direction, filters=filters, limit=asked)
        moments = merge_hits(group_rows(rows, videos, length))
        if len(moments) >= wanted or len(rows) < asked or asked == MAX_ROWS:
            return tuple(moments[offset:wanted])
        asked = min(2 * asked, MAX_ROWS)


def group_rows(
    rows: Sequence[ScoredSegment], videos: Mapping[str, Video], length: float = 1.0
) -> list[Hit]:
    """Rows (best first) as hits: one per segment, with its score under each option.

    Rows of a video that is not recorded are left out: it is being added or removed right now.
    """
    best: dict[tuple[str, int, int], ScoredSegment] = {}
    scores: dict[tuple[str, int, int], dict[str, float]] = {}
    for row in rows:
        segment = row.segment
        if segment.video_id not in videos:
            continue
        span = (
            segment.video_id,
            round(segment.start_offset_sec * 1000),
            round(segment.end_offset_sec * 1000),
        )
        best.setdefault(span, row)
        scores.setdefault(span, {}).setdefault(segment.embedding_option, row.score * length)
    return [
        Hit(row.segment, videos[row.segment.video_id], row.score * length, scores[span], rank)
        for rank, (span, row) in enumerate(best.items(), start=1)
    ]


def merge_hits(hits: Sequence[Hit]) -> list[Moment]:
    """Hits (best first) as moments, in the order of their best hits."""
    moments: list[list[Hit]] = []
    of_video: dict[str, list[list[Hit]]] = {}
    for hit in hits:
        siblings = of_video.setdefault(hit.video.id, [])
        home = next((moment for moment in siblings if _belongs(hit, moment)), None)
        if home is not None:
            home.append(hit)
            continue
        moment = [hit]
        moments.append(moment)
        siblings.append(moment)
    return [_moment(members, rank) for rank, members in enumerate(moments, start=1)]


def _belongs(hit: Hit, moment: Sequence[Hit]) -> bool:
    peak = moment[0].score
    if peak <= 0 or hit.score < MERGE_RATIO * peak:
        return False
    start, end = _span(moment)
    gap = max(hit.segment.start_offset_sec - end, start - hit.segment.end_offset_sec)
    longest = max(hit.segment.end_offset_sec, end) - min(hit.segment.start_offset_sec, start)
    return gap <= MAX_GAP_SEC and longest <= MAX_MOMENT_SEC


def _moment(members: Sequence[Hit], rank: int) -> Moment:
    start, end = _span(members)
    return Moment(members[0].video, start, end, tuple(members), rank)


def _span(hits: Sequence[Hit]) -> tuple[float, float]:
    return (
        min(hit.segment.start_offset_sec for hit in hits),
        max(hit.segment.end_offset_sec for hit in hits),
    )
