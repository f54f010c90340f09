"""From a query's direction to hits and moments.

Milvus answers with rows, one per segment and embedding_option. Rows of one segment become a hit;
neighbouring hits that score alike become a moment. Grouping is done here because Milvus Lite's own
looks only at the first few hits. For "A then B" the best hits of both become pairs.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import RecipeError
from core.models import Filters, Hit, Moment, ScoredSegment, Vector, Video
from core.recipe import MAX_WEIGHT
from core.store import MAX_LIMIT, VectorStore

# Neighbours join a moment only while they answer about as well as its best segment: a video in
# which everything matches a little must not become one moment from start to end.
MERGE_RATIO = 0.8
MAX_GAP_SEC = 0.5
MAX_MOMENT_SEC = 30.0
# Rows asked for beyond one per wanted moment and option, for those that merge. Every row costs
# Milvus Lite time, so a second question in the rarer case is cheaper than many rows in every case.
SPARE_ROWS = 0.25
# The best segments of either side that a "then" pairs.
PAIRED_SEGMENTS = 1000
# Pictures of one shot a few seconds apart, and copies of a film, have cosines above this.
SIMILAR_COSINE = 0.97
# Segments of a video that follow each other may overlap by what rounding leaves.
_OVERLAP_MS = 1


@dataclass(frozen=True, slots=True)
class Found:
    """A page of moments. There are `more` behind it; `at_limit` when there may be more that cannot
    be had. `store_sec` is how long the store took."""

    moments: tuple[Moment, ...]
    more: bool
    at_limit: bool
    store_sec: float


class Ranking:
    """The hits of one direction under filters, best first.

    `direction` is a unit vector; a score is the cosine times `length`, times the option's weight.
    `options` are those that a segment may have. `store_sec` grows by what the store takes. `cut`
    tells that the engine had no more rows to give although there are more.

    Raises:
        RecipeError: a weight that is no number from 0 to 2, or that leaves no option.
    """

    def __init__(
        self,
        store: VectorStore,
        videos: Mapping[str, Video],
        direction: Vector,
        *,
        length: float,
        filters: Filters,
        options: Sequence[str],
    ) -> None:
        self.store_sec = 0.0
        self.cut = False
        self._store = store
        self._videos = videos
        self._direction = direction
        self._least = -math.inf if filters.min_score is None else filters.min_score
        self._options = len(filters.options or options)
        self._questions = [
            (question, length * weight) for question, weight in _questions(filters, options)
        ]
        self._closed: set[str] = set()

    def close(self, video_ids: Collection[str]) -> None:
        """Lets the next lists have no other hits of these videos than the last one had."""
        self._closed.update(video_ids)

    def growing(self, segments: int) -> Iterator[list[Hit]]:
        """The best hits, first about as many as `segments`, then ever more, at last all.

        What is ranked once stays in its place: of rows that score the same as the last one there
        may be others, which come before it, so these wait for the next list.
        """
        asked = min(math.ceil(segments * self._options * (1 + SPARE_ROWS)), MAX_LIMIT)
        ranked: list[ScoredSegment] = []
        while True:
            rows = self._rows(asked)
            complete = len(rows) < asked or rows[-1].score < self._least
            self.cut = asked == MAX_LIMIT and not complete
            if not complete and not self.cut:
                rows = [row for row in rows if row.score > rows[-1].score]
            ranked = [row for row in ranked if row.segment.video_id in self._closed]
            ranked += [row for row in rows if row.score >= self._least]
            ranked.sort(key=_best_first)
            yield group_rows(ranked, self._videos)
            if complete or self.cut:
                return
            asked = min(2 * asked, MAX_LIMIT)

    def _rows(self, limit: int) -> list[ScoredSegment]:
        """The best `limit` rows with their final scores. The best of all options together are among
        the best of each."""
        begun = time.perf_counter()
        rows = [
            ScoredSegment(row.segment, row.score * factor)
            for question, factor in self._questions
            for row in self._store.search(
                self._direction, filters=question, without=self._closed, limit=limit
            )
        ]
        if len(self._questions) > 1:
            rows.sort(key=_best_first)
            del rows[limit:]
        self.store_sec += time.perf_counter() - begun
        return rows


def _best_first(row: ScoredSegment) -> tuple[float, str]:
    return -row.score, row.segment.id


def option_weights(filters: Filters, options: Sequence[str]) -> dict[str, float]:
    """The weight of each option that is searched; `options` are those that a segment may have.

    Raises:
        RecipeError: a weight that is no number from 0 to 2, or that leaves no option.
    """
    given = dict(filters.option_weights)
    if not all(0 <= weight <= MAX_WEIGHT for weight in given.values()):
        raise RecipeError(
            "The weight of an option is not a number from 0 to 2.", "Set it to one in the filters."
        )
    weights = {option: given.get(option, 1.0) for option in filters.options or options}
    weighed = {option: weight for option, weight in weights.items() if weight > 0}
    if not weighed:
        raise RecipeError(
            "Nothing of the videos is searched: every option has the weight 0.",
            "Give one of them a weight in the filters.",
        )
    return weighed


def _questions(filters: Filters, options: Sequence[str]) -> list[tuple[Filters, float]]:
    """What to ask the store, and the weight of the answers; once for all options that weigh the
    same. The score is left to us: the store knows of no weights."""
    weights = option_weights(filters, options)
    plain = replace(filters, min_score=None, option_weights=())
    if len(set(weights.values())) > 1:
        return [(replace(plain, options=(o,)), weight) for o, weight in weights.items()]
    weight = next(iter(weights.values()))
    all_of_them = weights.keys() == set(filters.options or options)
    return [(plain if all_of_them else replace(plain, options=tuple(weights)), weight)]


def find_moments(
    ranking: Ranking, *, limit: int, offset: int, per_video: int | None = None
) -> Found:
    """The moments from `offset` to `offset + limit`, best first; the best `per_video` of each video
    where that is given, and ranked among those.

    Every moment is on exactly one page. Asks the store again while merging leaves too few; hits
    behind those of the last page asked for may still join a moment that was shown.
    """
    first, end = _page(limit, offset)
    moments: list[Moment] = []
    for hits in ranking.growing(end + 1):
        moments = merge_hits(hits)
        if per_video is not None:
            moments, full = _at_most(per_video, moments)
            ranking.close(full)
        if len(moments) > end:
            break
    more = len(moments) > end
    return Found(tuple(moments[first:end]), more, ranking.cut and not more, ranking.store_sec)


def find_pairs(
    ranking: Ranking,
    then: Ranking,
    *,
    within_sec: float,
    min_score: float | None,
    limit: int,
    offset: int,
    per_video: int | None = None,
) -> Found:
    """The pairs of one hit of `ranking` and one of `then` that follows it, best first; the best
    `per_video` of each video where that is given, and ranked among those.

    The best PAIRED_SEGMENTS of either side are paired; see `pair_hits`. `min_score` is for the
    score of the pair.
    """
    first, end = _page(limit, offset)
    hits, hits_are_cut = _best_hits(ranking)
    followers, followers_are_cut = _best_hits(then)
    least = -math.inf if min_score is None else min_score
    pairs = [p for p in pair_hits(hits, followers, within_sec=within_sec) if p.score >= least]
    if per_video is not None:
        pairs, _ = _at_most(per_video, pairs)
    more = len(pairs) > end
    at_limit = not more and (hits_are_cut or followers_are_cut)
    return Found(tuple(pairs[first:end]), more, at_limit, ranking.store_sec + then.store_sec)


def _at_most(number: int, moments: Sequence[Moment]) -> tuple[list[Moment], set[str]]:
    """The first `number` moments of each video, ranked anew, and the videos that have so many."""
    counts: Counter[str] = Counter()
    kept: list[Moment] = []
    for moment in moments:
        counts[moment.video.id] += 1
        if counts[moment.video.id] <= number:
            kept.append(replace(moment, rank=len(kept) + 1))
    return kept, {video_id for video_id, count in counts.items() if count >= number}


def _page(limit: int, offset: int) -> tuple[int, int]:
    """The first place on a page and the first behind it."""
    first = max(0, offset)
    return first, first + max(0, limit)


def _best_hits(ranking: Ranking) -> tuple[list[Hit], bool]:
    """The best hits that answer at all, and whether there are more of them."""
    found: list[Hit] = []
    for hits in ranking.growing(PAIRED_SEGMENTS + 1):
        found = [hit for hit in hits if hit.score > 0]
        if len(found) > PAIRED_SEGMENTS or len(found) < len(hits):
            break
    complete = len(found) <= PAIRED_SEGMENTS and not ranking.cut
    return found[:PAIRED_SEGMENTS], not complete


def group_rows(rows: Sequence[ScoredSegment], videos: Mapping[str, Video]) -> list[Hit]:
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
            _ms(segment.start_offset_sec),
            _ms(segment.end_offset_sec),
        )
        best.setdefault(span, row)
        scores.setdefault(span, {}).setdefault(segment.embedding_option, row.score)
    return [
        Hit(row.segment, videos[row.segment.video_id], row.score, scores[span], rank)
        for rank, (span, row) in enumerate(best.items(), start=1)
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


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


def pair_hits(hits: Sequence[Hit], then: Sequence[Hit], *, within_sec: float) -> list[Moment]:
    """Pairs of a hit and one of `then` in the same video, which starts when the first has ended, at
    most `within_sec` later; all of them score above 0. Best first by the geometric mean of both.

    A hit is the first of one pair at most, and the second of one: those of the best pairs it is in.
    """
    candidates = _candidates(hits, then, round(within_sec * 1000))
    taken: set[tuple[str, str]] = set()
    pairs: list[Moment] = []
    for first, second in candidates:
        ends = {("first", first.segment.id), ("second", second.segment.id)}
        if taken.isdisjoint(ends):
            taken |= ends
            start, end = first.segment.start_offset_sec, second.segment.end_offset_sec
            rank = len(pairs) + 1
            pairs.append(Moment(first.video, start, end, (first, second), rank, then=second))
    return pairs


def _candidates(hits: Sequence[Hit], then: Sequence[Hit], within_ms: int) -> list[tuple[Hit, Hit]]:
    """Every pair in reach, best first."""
    of_video: dict[str, list[Hit]] = {}
    for hit in sorted(then, key=lambda hit: hit.segment.start_offset_sec):
        of_video.setdefault(hit.video.id, []).append(hit)
    starts = {
        video_id: [_ms(hit.segment.start_offset_sec) for hit in followers]
        for video_id, followers in of_video.items()
    }
    found: list[tuple[Hit, Hit]] = []
    for hit in hits:
        followers, at = of_video.get(hit.video.id, []), starts.get(hit.video.id, [])
        end = _ms(hit.segment.end_offset_sec)
        reach = followers[bisect_left(at, end - _OVERLAP_MS) : bisect_right(at, end + within_ms)]
        found += [(hit, follower) for follower in reach]
    # The product orders as its root, the geometric mean, does.
    return sorted(
        found, key=lambda pair: (-pair[0].score * pair[1].score, pair[0].rank, pair[1].rank)
    )


def fold_similar(moments: Sequence[Moment], vectors: Mapping[str, Vector]) -> list[Moment]:
    """Moments (best first) with those that look almost like a better one as its `similar`.

    Two are alike when the cosine of their best segments is at least SIMILAR_COSINE; of pairs that
    of either half. `vectors` are unit vectors by segment id; a moment without one stays by itself.
    """
    heads: list[Moment] = []
    under: dict[int, list[Moment]] = {}
    for moment in moments:
        like = next((n for n, head in enumerate(heads) if _alike(head, moment, vectors)), None)
        if like is None:
            heads.append(moment)
        else:
            under.setdefault(like, []).append(moment)
    return [replace(head, similar=tuple(under.get(n, ()))) for n, head in enumerate(heads)]


def _alike(one: Moment, other: Moment, vectors: Mapping[str, Vector]) -> bool:
    return all(
        a in vectors and b in vectors and float(vectors[a] @ vectors[b]) >= SIMILAR_COSINE
        for a, b in zip(shown_segments(one), shown_segments(other), strict=True)
    )


def shown_segments(moment: Moment) -> list[str]:
    """The ids of what a moment stands for: its best segment, or both of a pair."""
    then = [] if moment.then is None else [moment.then.segment.id]
    return [moment.best.segment.id, *then]
