"""The same or almost the same in two videos: re-uploads, re-cuts, intros, bumpers.

Two segments are the same when their cosine is high enough, and when they are clearly nearer to each
other than either is to what lies two segments away in its own video. The second rule is for
pictures that stand still: a black screen is like itself at any offset, so it does not say which
second belongs to which. Such a stretch is part of a run when something beside it fixes the offset,
and never a run by itself.

The search is exact: every segment meets every segment of every other video once, in blocks, so
that memory stays bounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Times = NDArray[np.float64]
Rows = NDArray[np.int64]

MIN_SCORE = 0.9
# How much nearer: of the distance (1 - cosine) to what lies two segments away.
CLEARLY_NEARER = 0.7
# So many segments of a run may differ before it goes on: a caption, a flash.
MAX_GAP = 1

# Rows that meet at once; a video that is longer has a block of its own.
_BLOCK_ROWS = 2048
_COSINES_AT_ONCE = 2**23
# What repeats within a video, as a loop does, has this many partners there at most.
_MOST_PARTNERS = 64
# Offsets that are tried around the one that rows agree on, in segments.
_AROUND = np.linspace(-0.5, 0.5, 9)
_ROUNDING = 1e-6


def ignore(_: float) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one video and rows of a later one that show the same.

    `score` is the mean cosine of what lies at the same place of both. What is at second t of the
    first video is at t + `offset` in the second.
    """

    first: range
    second: range
    score: float
    offset: float


def find_runs(
    vectors: Floats,
    videos: NDArray[np.int32],
    starts: Times,
    ends: Times,
    *,
    min_score: float = MIN_SCORE,
    min_sec: float,
    limit: int = 500,
    on_progress: Callable[[float], None] = ignore,
) -> tuple[list[Run], bool]:
    """The longest runs of at least `min_sec` seconds, longest first, at most `limit` of them; and
    whether there are more.

    Rows are sorted by video, then start; `vectors` (n, d) have unit length, times are in seconds.
    Rows belong together by time, so each video may be cut into segments in its own way. Of runs
    between the same two videos that overlap in both, the one with the most in common is there.
    What `on_progress` raises passes through.
    """
    library = _Library(vectors, videos, starts, ends, min_score)
    longest = _Longest(limit, min_sec)
    blocks = library.blocks()
    done, all_pairs = 0, len(vectors) * (len(vectors) + 1) // 2
    for n, block in enumerate(blocks):
        for other in blocks[n:]:
            on_progress(done / all_pairs)
            for seeds in library.seeds(block, other, longest):
                for run in library.runs(seeds):
                    longest.add(run, library.seconds(run))
            size = len(block)
            done += size * (size + 1) // 2 if other is block else size * len(other)
    on_progress(1.0)
    return longest.runs, longest.more


class _Longest:
    """The longest runs so far, and one more, which tells that there are more."""

    def __init__(self, limit: int, min_sec: float) -> None:
        self._limit = limit
        self._min_sec = min_sec
        self._kept: list[tuple[float, int, int, Run]] = []

    @property
    def least_sec(self) -> float:
        """From how many seconds on a run is kept."""
        if len(self._kept) > self._limit:
            return float(np.nextafter(self._kept[0][0], np.inf))
        return self._min_sec

    def add(self, run: Run, seconds: float) -> None:
        if seconds >= self.least_sec:
            heapq.heappush(self._kept, (seconds, -run.first.start, -run.second.start, run))
        if len(self._kept) > self._limit + 1:
            heapq.heappop(self._kept)

    @property
    def runs(self) -> list[Run]:
        return [run for *_, run in sorted(self._kept, reverse=True)][: self._limit]

    @property
    def more(self) -> bool:
        return len(self._kept) > self._limit


@dataclass(frozen=True, slots=True, eq=False)
class _Seeds:
    """Rows of one video and rows of another that are the same beyond doubt, pair by pair."""

    first: Rows
    second: Rows
    scores: Floats

    def __len__(self) -> int:
        return len(self.first)

    def where(self, chosen: NDArray[np.bool_]) -> _Seeds:
        return _Seeds(self.first[chosen], self.second[chosen], self.scores[chosen])


class _Library:
    """The rows of all videos, and what follows from them."""

    def __init__(
        self,
        vectors: Floats,
        videos: NDArray[np.int32],
        starts: Times,
        ends: Times,
        min_score: float,
    ) -> None:
        self._vectors, self._starts, self._ends = vectors, starts, ends
        self._min_score = min_score
        self._middles = (starts + ends) / 2
        begins = np.flatnonzero(np.diff(videos, prepend=-1))
        stops = np.append(begins[1:], len(videos))
        self._rows_of_video = list(zip(begins.tolist(), stops.tolist(), strict=True))
        self._video = np.repeat(np.arange(len(begins)), stops - begins)
        self._seconds = (ends[stops - 1] - starts[begins])[self._video]
        # The cosine from which on a row is the same as one of another video.
        moved = _moved(vectors, self._video)
        self._least = np.maximum(min_score, 1 + _ROUNDING - CLEARLY_NEARER * moved)

    def blocks(self) -> list[range]:
        """All rows, in ranges of whole videos."""
        blocks, begin = [], 0
        for _, stop in self._rows_of_video:
            if stop - begin >= _BLOCK_ROWS or stop == len(self._vectors):
                blocks.append(range(begin, stop))
                begin = stop
        return blocks

    def seconds(self, run: Run) -> float:
        """The length of the shorter stretch."""
        return min(
            float(self._ends[rows.stop - 1] - self._starts[rows.start])
            for rows in (run.first, run.second)
        )

    # --- seeds ------------------------------------------------------------------------------------

    def seeds(self, block: range, other: range, longest: _Longest) -> Iterator[_Seeds]:
        """Those of every pair of videos of two blocks that may have a run worth keeping."""
        left, right = self._moving(block, longest), self._moving(other, longest)
        if not len(left) or not len(right) or self._video[left[0]] == self._video[right[-1]]:
            return
        targets = self._vectors[right].T
        found = []
        step = max(1, _COSINES_AT_ONCE // len(right))
        for begin in range(0, len(left), step):
            rows = left[begin : begin + step]
            cosines = self._vectors[rows] @ targets
            places = np.flatnonzero(cosines >= self._min_score)
            first, second = rows[places // len(right)], right[places % len(right)]
            seeds = _Seeds(first, second, cosines.ravel()[places])
            found.append(self._beyond_doubt(seeds))
        for seeds in self._by_pair(_joined(found)):
            shorter = min(self._seconds[seeds.first[0]], self._seconds[seeds.second[0]])
            if shorter >= longest.least_sec:
                yield seeds

    def _moving(self, block: range, longest: _Longest) -> Rows:
        """The rows of a block that may be seeds."""
        rows = slice(block.start, block.stop)
        may_be = (self._least[rows] <= 1) & (self._seconds[rows] >= longest.least_sec)
        return block.start + np.flatnonzero(may_be)

    def _beyond_doubt(self, seeds: _Seeds) -> _Seeds:
        """Of pairs that are sorted, those of two videos, the earlier one first, that count."""
        least = np.maximum(self._least[seeds.first], self._least[seeds.second])
        apart = self._video[seeds.first] < self._video[seeds.second]
        seeds = seeds.where(apart & (seeds.scores >= least))
        # Counts the partners of each row in each video.
        begins = _changes(seeds.first, self._video[seeds.second])
        place = np.arange(len(seeds)) - np.repeat(begins, np.diff(begins, append=len(seeds)))
        return seeds.where(place < _MOST_PARTNERS)

    def _by_pair(self, seeds: _Seeds) -> Iterator[_Seeds]:
        one, two = self._video[seeds.first], self._video[seeds.second]
        order = np.lexsort((two, one))
        begins = _changes(one[order], two[order])
        for chosen in np.split(order, begins[1:]) if len(order) else []:
            yield _Seeds(seeds.first[chosen], seeds.second[chosen], seeds.scores[chosen])

    # --- runs -------------------------------------------------------------------------------------

    def runs(self, seeds: _Seeds) -> list[Run]:
        """The runs of two videos, by their seeds: of those that overlap in both, the strongest."""
        one, two = self._stream(seeds.first[0]), self._stream(seeds.second[0])
        runs: list[Run] = []
        while len(seeds):
            offset, agree = self._offset(seeds)
            for run in self._runs_at(offset, one, two, seeds.where(agree)):
                if not any(_overlap(run, known) for known in runs):
                    runs.append(run)
                agree |= _beside(run.first, seeds.first) & _beside(run.second, seeds.second)
            seeds = seeds.where(~agree)
        return runs

    def _stream(self, row: int) -> _Stream:
        """The video that a row is of."""
        begin, stop = self._rows_of_video[self._video[row]]
        rows = slice(begin, stop)
        return _Stream(begin, self._vectors[rows], self._starts[rows], self._ends[rows])

    def _offset(self, seeds: _Seeds) -> tuple[float, NDArray[np.bool_]]:
        """By how many seconds the second video is later, and which seeds say so within a segment.

        Each seed votes with what its cosine has above the least one: of many offsets at which a
        slow shot is like itself, the true one has the highest cosines.
        """
        offsets = self._middles[seeds.second] - self._middles[seeds.first]
        votes = seeds.scores.astype(np.float64) - self._min_score + _ROUNDING
        segment = max(self._segment(seeds.first), self._segment(seeds.second))
        order = np.argsort(offsets)
        reached = np.searchsorted(offsets[order], offsets[order] + segment, side="right")
        total = np.append(0.0, np.cumsum(votes[order]))
        best = int(np.argmax(total[reached] - total[:-1]))
        agree = np.zeros(len(seeds), dtype=np.bool_)
        agree[order[best : reached[best]]] = True
        return float(np.average(offsets[agree], weights=votes[agree])), agree

    def _segment(self, rows: Rows) -> float:
        return float(np.median(self._ends[rows] - self._starts[rows]))

    def _runs_at(self, offset: float, one: _Stream, two: _Stream, seeds: _Seeds) -> Iterator[Run]:
        """The stretches around these seeds in which the videos are the same, about this offset."""
        turned = one.segment_sec < two.segment_sec
        if turned:
            one, two, offset = two, one, -offset
        rows = (seeds.second if turned else seeds.first) - one.begin
        around = offset + one.segment_sec * _AROUND
        seen = np.unique(rows)
        offset = float(max(around, key=lambda each: one.scores(two, each, seen).sum()))
        scores = one.scores(two, offset, np.arange(len(one.starts)))
        same = np.flatnonzero(scores >= self._min_score)
        for chosen in np.split(same, np.flatnonzero(np.diff(same) > MAX_GAP + 1) + 1):
            if not np.isin(chosen, rows).any():
                continue
            first, last = chosen[0], chosen[-1]
            mine = range(one.begin + int(first), one.begin + int(last) + 1)
            theirs = two.rows_between(one.starts[first] + offset, one.ends[last] + offset)
            score = float(scores[chosen].mean())
            yield Run(theirs, mine, score, -offset) if turned else Run(mine, theirs, score, offset)


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """One video: what it shows when. Its rows begin with `begin`; here they count from 0."""

    begin: int
    vectors: Floats
    starts: Times
    ends: Times

    @property
    def segment_sec(self) -> float:
        return float(np.median(self.ends - self.starts))

    def scores(self, other: _Stream, offset: float, rows: Rows) -> Times:
        """The cosines of these rows with what the other one shows `offset` seconds later; -1 where
        it does not show anything for half of the time."""
        shown, seconds = other.shown(self.starts[rows] + offset, self.ends[rows] + offset)
        lengths = np.maximum(np.linalg.norm(shown, axis=1), _ROUNDING)
        scores = np.einsum("nd,nd->n", self.vectors[rows], shown) / lengths
        return np.where(seconds >= (self.ends[rows] - self.starts[rows]) / 2, scores, -1.0)

    def shown(self, starts: Times, ends: Times) -> tuple[Times, Times]:
        """Between each start and end: the sum of the vectors by their seconds, and those seconds."""
        from scipy.sparse import csr_array

        first = np.searchsorted(self.ends, starts, side="right")
        counts = np.maximum(np.searchsorted(self.starts, ends, side="left") - first, 0)
        stretch = np.repeat(np.arange(len(starts)), counts)
        begins = np.append(0, np.cumsum(counts))
        row = np.arange(begins[-1]) - np.repeat(begins[:-1] - first, counts)
        seconds = np.minimum(ends[stretch], self.ends[row]) - np.maximum(
            starts[stretch], self.starts[row]
        )
        overlaps = csr_array((seconds, row, begins), shape=(len(starts), len(self.starts)))
        return overlaps @ self.vectors, overlaps.sum(axis=1)

    def rows_between(self, start: float, end: float) -> range:
        """The rows, counted in the library, whose middle lies there; the nearest when none does."""
        middles = (self.starts + self.ends) / 2
        first, last = np.searchsorted(middles, (start, end)).tolist()
        if first == last:
            first = int(np.argmin(np.abs(middles - (start + end) / 2)))
            last = first + 1
        return range(self.begin + first, self.begin + last)


def _moved(vectors: Floats, video: Rows) -> Floats:
    """The distance from each row to what lies two rows away in its video, the nearer of both;
    infinite where the video has no such row."""
    distances = 1 - np.einsum("nd,nd->n", vectors[:-2], vectors[2:])
    distances[video[:-2] != video[2:]] = np.inf
    moved = np.full(len(vectors), np.inf, dtype=np.float32)
    moved[:-2] = distances
    moved[2:] = np.minimum(moved[2:], distances)
    return moved


def _changes(one: Rows, two: Rows) -> Rows:
    """Where either of two columns is another than in the row before; the first row as well."""
    changed = (np.diff(one, prepend=-1) != 0) | (np.diff(two, prepend=-1) != 0)
    return np.flatnonzero(changed)


def _joined(parts: list[_Seeds]) -> _Seeds:
    return _Seeds(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _overlap(one: Run, other: Run) -> bool:
    return all(
        max(a.start, b.start) < min(a.stop, b.stop)
        for a, b in ((one.first, other.first), (one.second, other.second))
    )


def _beside(rows: range, others: Rows) -> NDArray[np.bool_]:
    """Which of the others are in the range, or next to it."""
    return (rows.start - 1 <= others) & (others <= rows.stop)
