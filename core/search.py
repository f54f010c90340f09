"""From a query's direction to hits and moments.

Milvus answers with rows, one per segment and embedding_option. Rows of one segment become a hit;
neighbouring hits that score alike become a moment. Grouping is done here because Milvus Lite's own
looks only at the first few hits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.models import Filters, Hit, Moment, ScoredSegment, Vector, Video
from core.store import MAX_LIMIT, VectorStore

# Neighbours join a moment only while they answer about as well as its best segment: a video in
# which everything matches a little must not become one moment from start to end.
MERGE_RATIO = 0.8
MAX_GAP_SEC = 0.5
MAX_MOMENT_SEC = 30.0
# Rows asked for beyond one per wanted moment and option, for those that merge. Every row costs
# Milvus Lite time, so a second question in the rarer case is cheaper than many rows in every case.
SPARE_ROWS = 0.25


def find_moments(
    store: VectorStore,
    videos: Mapping[str, Video],
    direction: Vector,
    *,
    length: float,
    filters: Filters,
    limit: int,
    offset: int,
    options: int,
) -> tuple[Moment, ...]:
    """The moments from `offset` to `offset + limit`, best first.

    `options` is how many rows, one per embedding_option, a segment may have.
    `direction` is a unit vector; every score is its cosine times `length`. Asks the store again
    with twice the rows while merging leaves too few moments.
    """
    if filters.min_score is not None and length > 0:
        filters = replace(filters, min_score=filters.min_score / length)
    offset = max(0, offset)
    wanted = offset + limit
    asked = min(math.ceil(wanted * options * (1 + SPARE_ROWS)), MAX_LIMIT)
    while True:
        rows = store.search(direction, filters=filters, limit=asked)
        moments = merge_hits(group_rows(rows, videos, length))
        if len(moments) >= wanted or len(rows) < asked or asked == MAX_LIMIT:
            return tuple(moments[offset:wanted])
        asked = min(2 * asked, MAX_LIMIT)


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


@dataclass(slots=True)
class _Growing:
    """A moment that still takes in neighbours; its first hit is its best."""

    start: float
    end: float
    hits: list[Hit]

    def takes(self, hit: Hit) -> bool:
        peak = self.hits[0].score
        start, end = hit.segment.start_offset_sec, hit.segment.end_offset_sec
        return (
            peak > 0
            and hit.score >= MERGE_RATIO * peak
            and max(start - self.end, self.start - end) <= MAX_GAP_SEC
            and max(end, self.end) - min(start, self.start) <= MAX_MOMENT_SEC
        )

    def add(self, hit: Hit) -> None:
        self.start = min(self.start, hit.segment.start_offset_sec)
        self.end = max(self.end, hit.segment.end_offset_sec)
        self.hits.append(hit)


def merge_hits(hits: Sequence[Hit]) -> list[Moment]:
    """Hits (best first) as moments, in the order of their best hits."""
    growing: list[_Growing] = []
    of_video: dict[str, list[_Growing]] = {}
    for hit in hits:
        siblings = of_video.setdefault(hit.video.id, [])
        home = next((moment for moment in siblings if moment.takes(hit)), None)
        if home is None:
            home = _Growing(hit.segment.start_offset_sec, hit.segment.end_offset_sec, [])
            growing.append(home)
            siblings.append(home)
        home.add(hit)
    return [
        Moment(moment.hits[0].video, moment.start, moment.end, tuple(moment.hits), rank)
        for rank, moment in enumerate(growing, start=1)
    ]
