"""The same or almost the same in two videos: re-uploads, re-cuts, intros, bumpers.

Two segments are the same when their cosine is high enough. A picture that stands still must have
more in common, as it is like itself at any offset and so does not say which second belongs to
which: either the pair is clearly nearer to each other than to what lies two segments away in its
own video, or it has nearly the highest cosine and the picture is in few videos. Without this rule
a black screen would fill the list. What does not pass is part of a run all the same when something
beside it fixes the offset.

The search is exact: every segment meets every segment of every other video, in blocks, so that
memory stays bounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis import OnProgress, ignore

Floats = NDArray[np.float32]
Times = NDArray[np.float64]
Rows = NDArray[np.int64]

# Measured with the local embedder on the sample clips, encoded anew, cut at another second, a third
# as large, cropped by a tenth, brighter, mirrored or with a logo: 19 of 20 segments of each kind have
# this in common with what the original shows; segments of different clips 0.72 at most. Copies in
# black and white are below.
MIN_SCORE = 0.85
# The same for pictures that stand still, and in how many videos they may be. Of the same copies,
# those that stand still have this but for the smallest ones and the most cropped.
STILL_SCORE = 0.93
FEW_VIDEOS = 6
# How much nearer: of the distance (1 - cosine) to what lies two segments away.
CLEARLY_NEARER = 0.5
# So many segments of a run may differ before it goes on: a caption, a flash.
MAX_GAP = 1

# Rows that meet at once; a video that is longer has a block of its own.
_BLOCK_ROWS = 2048
_COSINES_AT_ONCE = 2**22
# Where rows have more partners than this in one video, as in a loop, only some rows are seeds.
_MANY_PARTNERS = 64
# Of the work, what it takes to know the still pictures that are in many videos.
_FIRST_SHARE = 0.3
# Offsets that are tried around that on which rows agree, in segments.
_AROUND = np.linspace(-0.5, 0.5, 9)
_ROUNDING = 1e-6


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
    on_progress: OnProgress = ignore,
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
    for block, other, done in library.tiles():
        on_progress(_FIRST_SHARE * done)
        library.count_still(block, other)
    for block, other, done in library.tiles():
        fraction = _FIRST_SHARE + (1 - _FIRST_SHARE) * done
        on_progress(fraction)
        for seeds in library.seeds(block, other, longest):
            on_progress(fraction)  # where much is the same, this is the longest step
            for run in library.runs(seeds):
                longest.add(run, library.seconds(run))
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
    """Pairs of rows of different videos that are the same, from which runs grow."""

    first: Rows
    second: Rows
    scores: Floats

    def __len__(self) -> int:
        return len(self.first)

    def where(self, chosen: NDArray[np.bool_] | Rows | slice) -> _Seeds:
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
        stops = np.append(begins, len(videos))[1:]
        self._rows_of_video = list(zip(begins.tolist(), stops.tolist(), strict=True))
        self._video = np.repeat(np.arange(len(begins)), stops - begins)
        self._seconds = (ends[stops - 1] - starts[begins])[self._video]
        self._clear = _clearly_nearer(_moved(vectors, self._video))
        # In how many videos each still picture is, its own as well; past FEW_VIDEOS no matter.
        self._still_in = np.zeros(len(vectors), dtype=np.int64)

    def tiles(self) -> Iterator[tuple[range, range, float]]:
        """Every two blocks of rows, of whole videos each, the earlier one first; and the fraction
        of all pairs of rows that came before."""
        blocks, begin = [], 0
        for _, stop in self._rows_of_video:
            if stop - begin >= _BLOCK_ROWS or stop == len(self._vectors):
                blocks.append(range(begin, stop))
                begin = stop
        done = 0
        for n, block in enumerate(blocks):
            for other in blocks[n:]:
                yield block, other, done / len(self._vectors) ** 2
                done += len(block) * len(other) * (1 if other is block else 2)

    def seconds(self, run: Run) -> float:
        """The length of the shorter stretch."""
        return min(
            float(self._ends[rows.stop - 1] - self._starts[rows.start])
            for rows in (run.first, run.second)
        )

    # --- seeds ------------------------------------------------------------------------------------

    def count_still(self, block: range, other: range) -> None:
        """Counts for each still picture of two blocks the videos of the other block that show it."""
        left, right = self._still(block), self._still(other)
        videos_left, place = np.unique(self._video[left], return_inverse=True)
        shown = np.zeros((len(videos_left), len(right)), dtype=np.bool_)
        for begin, cosines in self._cosines(left, right):
            alike = cosines >= self._min_score
            rows = slice(begin, begin + len(alike))
            in_videos = np.logical_or.reduceat(alike, _changes(self._video[right]), axis=1)
            self._still_in[left[rows]] += in_videos.sum(axis=1)
            changes = _changes(place[rows])
            shown[place[rows][changes]] |= np.logical_or.reduceat(alike, changes, axis=0)
        if other is not block:
            self._still_in[right] += shown.sum(axis=0)

    def _still(self, block: range) -> Rows:
        """The rows of a block for which it matters in how many videos they are."""
        rows = _sliced(block)
        still = self._clear[rows] > max(STILL_SCORE, self._min_score)
        return block.start + np.flatnonzero(still & (self._still_in[rows] <= FEW_VIDEOS))

    def seeds(self, block: range, other: range, longest: _Longest) -> Iterator[_Seeds]:
        """Those of every pair of videos of two blocks that may have a run worth keeping."""
        left, right = self._telling(block, longest), self._telling(other, longest)
        found = [self._thinned(seeds) for seeds in self._alike(left, right)]
        if found:
            yield from self._by_pair(_joined(found), longest)

    def _telling(self, block: range, longest: _Longest) -> Rows:
        """The rows of a block that may say where a run is."""
        rows = _sliced(block)
        may_be = (self._least(rows) <= 1) & (self._seconds[rows] >= longest.least_sec)
        return block.start + np.flatnonzero(may_be)

    def _least(self, rows: Rows | slice) -> Floats:
        """The cosines from which on these rows are the same as others."""
        return np.maximum(self._doubtless(rows), self._min_score)

    def _doubtless(self, rows: Rows | slice) -> Floats:
        """The cosines from which on these rows are no chance of a picture that stands still."""
        few = self._still_in[rows] <= FEW_VIDEOS
        return np.where(few, np.minimum(self._clear[rows], STILL_SCORE), self._clear[rows])

    def _alike(self, left: Rows, right: Rows) -> Iterator[_Seeds]:
        """The rows of the left that are the same as one of the right, which is of a later video."""
        least_left, least_right = self._least(left), self._least(right)
        for begin, cosines in self._cosines(left, right):
            rows = slice(begin, begin + len(cosines))
            places = np.flatnonzero(cosines >= least_left[rows, None])
            first, second = np.divmod(places, len(right))
            seeds = _Seeds(left[rows][first], right[second], cosines.ravel()[places])
            later = self._video[seeds.first] < self._video[seeds.second]
            yield seeds.where(later & (seeds.scores >= least_right[second]))

    def _cosines(self, left: Rows, right: Rows) -> Iterator[tuple[int, Floats]]:
        """Those of some rows of the left with all of the right, from which place of the left on."""
        if len(left) and len(right) and self._video[left[0]] < self._video[right[-1]]:
            targets = self._vectors[right].T
            step = max(1, _COSINES_AT_ONCE // len(right))
            for begin in range(0, len(left), step):
                yield begin, self._vectors[left[begin : begin + step]] @ targets

    def _thinned(self, seeds: _Seeds) -> _Seeds:
        """Where rows have many partners in one video, only every second row, or third, and so on."""
        begins = _changes(seeds.first, self._video[seeds.second])
        counts = np.diff(begins, append=len(seeds))
        every = np.repeat(-(-counts // _MANY_PARTNERS), counts)
        return seeds.where(seeds.first % every == 0)

    def _by_pair(self, seeds: _Seeds, longest: _Longest) -> Iterator[_Seeds]:
        order = np.lexsort((self._video[seeds.second], self._video[seeds.first]))
        seeds = seeds.where(order)
        begins = _changes(self._video[seeds.first], self._video[seeds.second])
        shorter = np.minimum(
            self._seconds[seeds.first[begins]], self._seconds[seeds.second[begins]]
        )
        stops = np.append(begins, len(seeds))[1:]
        for begin, stop, seconds in zip(begins, stops, shorter, strict=True):
            if seconds >= longest.least_sec:
                yield seeds.where(slice(begin, stop))

    # --- runs -------------------------------------------------------------------------------------

    def runs(self, seeds: _Seeds) -> list[Run]:
        """The runs of two videos, by their seeds: of those that overlap in both, the strongest."""
        one, two = self._stream(seeds.first[0]), self._stream(seeds.second[0])
        runs: list[Run] = []
        while len(seeds):
            offsets, agree = self._offsets(seeds)
            for run in self._runs_at(offsets, one, two, seeds.where(agree)):
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

    def _offsets(self, seeds: _Seeds) -> tuple[Times, NDArray[np.bool_]]:
        """By how many seconds the second video may be later, and which seeds say so: those that
        agree within a segment.

        Each seed votes with what its cosine has above the least one: of many offsets at which a
        slow shot is like itself, the true one has the highest cosines.
        """
        offsets = self._middles[seeds.second] - self._middles[seeds.first]
        votes = seeds.scores.astype(np.float64) - self._min_score + _ROUNDING
        segment = max(self._segment(seeds.first), self._segment(seeds.second))
        order = np.argsort(offsets)
        reached = np.searchsorted(offsets[order], offsets[order] + segment, side="right")
        total = np.append(0.0, np.cumsum(votes[order]))
        begin = int(np.argmax(total[reached] - total[:-1]))
        agree = np.zeros(len(seeds), dtype=np.bool_)
        agree[order[begin : reached[begin]]] = True
        mean = float(np.average(offsets[agree], weights=votes[agree]))
        highest = offsets[np.argmax(np.where(agree, votes, 0.0))]
        return np.append(mean + segment * _AROUND, highest), agree

    def _segment(self, rows: Rows) -> float:
        return float(np.median(self._ends[rows] - self._starts[rows]))

    def _runs_at(self, offsets: Times, one: _Stream, two: _Stream, seeds: _Seeds) -> Iterator[Run]:
        """The stretches around these seeds in which the videos are the same, at the best offset."""
        turned = one.segment_sec < two.segment_sec
        if turned:
            one, two, offsets = two, one, -offsets
        known = np.unique(seeds.second if turned else seeds.first) - one.begin
        offset = one.best_offset(two, offsets, known)
        scores = one.scores(two, offset, np.arange(len(one.starts)))
        same = np.flatnonzero(scores >= self._min_score)
        for chosen in np.split(same, np.flatnonzero(np.diff(same) > MAX_GAP + 1) + 1):
            if not np.isin(chosen, known).any():
                continue
            begin, end = one.starts[chosen[0]], one.ends[chosen[-1]]
            mine = one.rows_between(begin, end)
            theirs = two.rows_between(begin + offset, end + offset)
            score = float(scores[chosen].mean())
            if all(score >= self._doubtless(_sliced(rows)).mean() for rows in (mine, theirs)):
                first, second = (theirs, mine) if turned else (mine, theirs)
                yield Run(first, second, score, -offset if turned else offset)


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

    def best_offset(self, other: _Stream, offsets: Times, rows: Rows) -> float:
        """The offset at which these rows are most like what the other one shows."""
        scores = self.scores(other, np.repeat(offsets, len(rows)), np.tile(rows, len(offsets)))
        means = scores.reshape(len(offsets), -1).mean(axis=1)
        return float(offsets[np.argmax(means > means.max() - _ROUNDING)])

    def scores(self, other: _Stream, offset: float | Times, rows: Rows) -> Times:
        """The cosines of these rows with what the other one shows `offset` seconds later; -1 where
        it does not show anything for half of the time."""
        starts, ends = self.starts[rows], self.ends[rows]
        shown, seconds = other.shown(starts + offset, ends + offset)
        lengths = np.maximum(np.linalg.norm(shown, axis=1), _ROUNDING)
        scores = np.einsum("nd,nd->n", self.vectors[rows], shown) / lengths
        return np.where(seconds >= (ends - starts) / 2, scores, -1.0)

    def shown(self, starts: Times, ends: Times) -> tuple[Floats, Times]:
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
        covered: Times = np.bincount(stretch, seconds, len(starts)).astype(np.float64)
        return np.asarray(overlaps @ self.vectors, dtype=np.float32), covered

    def rows_between(self, start: float, end: float) -> range:
        """The rows, counted in the library, whose middle lies there; the nearest when none does."""
        middles = (self.starts + self.ends) / 2
        first, last = np.searchsorted(middles, (start, end)).tolist()
        if first == last:
            first = int(np.argmin(np.abs(middles - (start + end) / 2)))
            last = first + 1
        return range(self.begin + first, self.begin + last)


def _moved(vectors: Floats, video: Rows) -> Floats:
    """How far rows of a video that are two apart are from each other, for each row the nearest of
    those at or around it; infinite in videos of one or two rows."""
    distances = 1 - np.einsum("nd,nd->n", vectors[:-2], vectors[2:])
    distances[video[:-2] != video[2:]] = np.inf
    moved = np.full(len(vectors), np.inf, dtype=np.float32)
    for begin in range(3):
        rows = moved[begin : begin + len(distances)]
        np.minimum(rows, distances, out=rows)
    return moved


def _clearly_nearer(moved: Floats) -> Floats:
    return 1 + _ROUNDING - CLEARLY_NEARER * moved


def _changes(*columns: Rows) -> Rows:
    """Where one of the columns is another than in the row before; the first row as well."""
    changed = [np.diff(column, prepend=-1) != 0 for column in columns]
    return np.flatnonzero(np.any(changed, axis=0))


def _sliced(rows: range) -> slice:
    return slice(rows.start, rows.stop)


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
