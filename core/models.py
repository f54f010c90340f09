"""The nouns of Seekpoint: plain frozen values that every layer may hold.

Times are seconds from the start of the video, as floats. Vectors are float32 arrays of unit
length. Scores are cosines in [-1, 1]; higher is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.recipe import Recipe

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one video as one embedding_option saw it."""

    id: str
    video_id: str
    start_offset_sec: float
    end_offset_sec: float
    embedding_scope: str = "clip"
    embedding_option: str = "visual"


@dataclass(frozen=True, slots=True)
class EmbeddedSegment:
    """What an embedder makes of a video: a span, an option and its unit vector."""

    start_offset_sec: float
    end_offset_sec: float
    embedding_option: str
    vector: Vector
    embedding_scope: str = "clip"


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """What the store answers: a segment and its cosine with the query."""

    segment: Segment
    score: float


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a probe reads from a media file; `size` is in bytes, None where nobody said, as is the
    `frame_rate`, which is exact: 30000/1001 and not 29.97, and the time at which it was
    `recorded_at`."""

    duration: float
    width: int
    height: int
    has_audio: bool
    codec: str
    size: int | None = None
    frame_rate: Fraction | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the library. `video_url` is an http(s) address or a file: URI on the server.

    `frame_rate` is exact, None when unknown; `sha256` is that of a file's content, in hexadecimal,
    empty when unknown. It was `recorded_at` the time that its file names. A `removed` one is in the library no longer: this is what was kept of it.
    """

    id: str
    title: str
    video_url: str
    duration: float | None
    category: str
    model: str
    segments: int
    added_at: datetime
    width: int | None = None
    height: int | None = None
    frame_rate: Fraction | None = None
    sha256: str = ""
    recorded_at: datetime | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Which segments may answer; empty tuples and None mean no restriction.

    `start` and `end` bound the time inside the video: a segment passes when it overlaps them.
    `option_weights` are (embedding_option, weight from 0 to 2): a segment scores the most that
    weight times cosine comes to in any option. Options without a weight have 1; 0 leaves one out.
    """

    video_ids: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    min_score: float | None = None
    start: float | None = None
    end: float | None = None
    added_after: datetime | None = None
    added_before: datetime | None = None
    option_weights: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A scored segment; `score` is the best of `scores_by_option`, which are weighted as the
    filters say. `rank` counts from 1."""

    segment: Segment
    video: Video
    score: float
    scores_by_option: Mapping[str, float]
    rank: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Adjacent hits of one video that score alike, shown as one card. `rank` counts from 1.

    Of "A then B" it is one pair, from the start of A to the end of B: `hits` are both, `then` is B.
    `similar` are moments that look almost the same and are folded under this one.
    """

    video: Video
    start_offset_sec: float
    end_offset_sec: float
    hits: tuple[Hit, ...]
    rank: int
    then: Hit | None = None
    similar: tuple[Moment, ...] = ()

    @property
    def best(self) -> Hit:
        """The hit that scores most; of a pair A, where watching begins."""
        return self.hits[0] if self.then else max(self.hits, key=lambda hit: hit.score)

    @property
    def score(self) -> float:
        """That of the best hit; of a pair the geometric mean of both, which are positive."""
        if self.then is None:
            return self.best.score
        return math.sqrt(self.best.score * self.then.score)


@dataclass(frozen=True, slots=True)
class Heat:
    """How one segment of a video answers a recipe; `score` is the best of `scores_by_option`."""

    start_offset_sec: float
    end_offset_sec: float
    score: float
    scores_by_option: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relevance:
    """What a score means for this query in this library.

    `deviation` is how far it lies above the chance level, in robust standard deviations;
    `percentile` (0 to 100) is the share of the library's segments that score less.
    """

    level: Literal["strong", "likely", "weak"]
    deviation: float
    percentile: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an answer may end: behind the moment of rank `after` (0: before the first). The
    `reason` is a phrase, as "a clear gap after moment 14"."""

    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search looked through, its filters applied."""

    videos: int
    hours: float
    segments: int
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far an answer can be trusted.

    `relevances` are by the id of each moment's best segment; `best` is that of the best moment of
    the whole answer, also of one that a least score leaves nothing of; None when there is none.
    `found` is False when nothing in the library answers better than chance would. Without enough
    segments to tell (`reason` says so) there are no relevances, no cut, and `found` stays True.
    """

    relevances: Mapping[str, Relevance]
    best: Relevance | None
    cut: Cut | None
    found: bool
    searched: Searched
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a recipe, best first.

    `timings` are the seconds of embed, search and group; `cached` means that nothing had to be
    embedded. There are `more` moments behind the last one; `at_limit` when there may be more that
    cannot be had, because the engine gives no more rows or a "then" pairs no more segments. `notes`
    are sentences for the user on how the search was made.
    """

    hits: tuple[Hit, ...]
    moments: tuple[Moment, ...]
    recipe: Recipe
    filters: Filters
    model: str
    timings: Mapping[str, float] = field(default_factory=dict)
    cached: bool = False
    more: bool = False
    at_limit: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A moment to be taken away, with the search that found it.

    `id` is the same for the same stretch of the same video. `exported_at` is when it last left as a
    file.
    """

    id: str
    moment: Moment
    recipe: Recipe
    filters: Filters
    model: str
    relevance: Relevance | None = None
    note: str = ""
    tags: tuple[str, ...] = ()
    added_at: datetime | None = None
    exported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Segments that look alike. `number` counts from 1, the largest first.

    `share` (0 to 1) is that of all segments explored, `spread` their mean cosine distance from the
    centre. `nearest` are those nearest to it, the best example first; `videos` are video ids with
    how many segments each has here, most first.
    """

    number: int
    size: int
    share: float
    spread: float
    nearest: tuple[Segment, ...]
    videos: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """All segments of one embedding_option in `clusters` and on a map.

    `labels` (segments,) are cluster numbers, in the order of `segments`. `shown` (m,) are the places
    in it that are on the map, all of them unless there are very many, and `points` (m, 2) where:
    the nearer, the more alike, and the directions mean nothing. `silhouette` (-1 to 1) says how
    clearly the clusters are apart, None for one alone. It is of the library in this `version`.
    """

    option: str
    version: int
    segments: tuple[Segment, ...]
    labels: NDArray[np.int32]
    shown: NDArray[np.int64]
    points: NDArray[np.float32]
    clusters: tuple[Cluster, ...]
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Outlier:
    """A segment unlike the others: `score` is its mean cosine distance from those most like it."""

    segment: Segment
    video: Video
    score: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a video."""

    video: Video
    start_offset_sec: float
    end_offset_sec: float

    @property
    def duration(self) -> float:
        return self.end_offset_sec - self.start_offset_sec


@dataclass(frozen=True, slots=True)
class DuplicateRun:
    """The same or almost the same in two videos, moment by moment; `score` is the mean cosine.

    What is at second t of the first video is at t + `offset` in the second. Both stretches are
    whole segments, which may begin up to a segment away from where that puts them.

    `whole` says that it is nearly all of the shorter video. Then `keep` is the one of both that is
    worth more, and `reason` why; both are empty when neither is.
    """

    first: Stretch
    second: Stretch
    score: float
    offset: float
    whole: bool = False
    keep: Literal["first", "second", ""] = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Runs, the longest first; there are `more` than those. Of the library in this `version`."""

    version: int
    runs: tuple[DuplicateRun, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """How much of the videos of one period matches; `start` is its first day."""

    start: date
    matched_sec: float
    total_sec: float

    @property
    def share(self) -> float:
        return self.matched_sec / self.total_sec if self.total_sec else 0.0


@dataclass(frozen=True, slots=True)
class Trend:
    """Matches over time. `slope` is the change of the share from one period to the next. `turned`
    is the period from which on the level is another, None when there is none."""

    points: tuple[TrendPoint, ...]
    slope: float
    direction: Literal["rising", "falling", "steady"]
    turned: date | None


@dataclass(frozen=True, slots=True)
class TrendLine:
    """How much of the library matches a recipe or a cluster: over time, and `along` the videos, as
    the share of the matching seconds in each twentieth of their length.

    A segment matches from `min_score` on, None for a cluster, which has its members.
    """

    name: str
    over_time: Trend
    along: tuple[float, ...]
    segments: int
    matched_sec: float
    total_sec: float
    min_score: float | None


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How much there is of something: a category, a month."""

    name: str
    videos: int
    hours: float
    segments: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is in the library. `storage` are bytes by what they are for. `never_returned` are the
    videos that no search has shown since `counted_since`, None when there was none."""

    total: CoverageRow
    without_length: int
    options: tuple[CoverageRow, ...]
    categories: tuple[CoverageRow, ...]
    months: tuple[CoverageRow, ...]
    models: tuple[CoverageRow, ...]
    never_returned: tuple[Video, ...]
    counted_since: datetime | None
    storage: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RankPair:
    """A moment that two answers share, as each has it."""

    left: Moment
    right: Moment


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first `k` moments of two answers. `overlap` is the share of them in both, `rbo` their
    rank-biased overlap: 1 for the same in the same order, 0 for nothing in common."""

    k: int
    overlap: float
    rbo: float
    pairs: tuple[RankPair, ...]
    only_left: tuple[Moment, ...]
    only_right: tuple[Moment, ...]


class Stage(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    PROBING = "probing"
    UPLOADING = "uploading"
    WAITING = "waiting"
    EMBEDDING = "embedding"
    STORING = "storing"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in {Stage.READY, Stage.FAILED, Stage.CANCELLED}


@dataclass(frozen=True, slots=True)
class Job:
    """One video on its way in.

    `fraction` (0 to 1) counts within the stage, None when unknown; `remaining_sec` is for the whole
    job, guessed from those before it. `run` is shared by the jobs that were added together.
    `minutes` is the length of the video once it is known. `stage_seconds` are the seconds spent in
    each stage so far, but for the current one, which it is in since `stage_since`. `cost` is what was charged for it, None
    when that is unknown. `note` says what it waits for at the moment; `held` why its turn does not
    come. `must_confirm` means that a retry pays again for what was paid for before.
    """

    id: str
    source: str
    title: str
    category: str
    stage: Stage
    fraction: float | None
    attempts: int
    error: str
    hint: str
    video_id: str
    task_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cost: float | None = None
    run: str = ""
    priority: int = 0
    minutes: float | None = None
    note: str = ""
    held: str = ""
    must_confirm: bool = False
    stage_since: datetime | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    remaining_sec: float | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue as a whole.

    `paused` says who stopped it: nobody (empty), the user, the service (it refuses the key or the
    plan is used up) or the month's budget; `reason` and `hint` then say more. `counts` are jobs per
    stage. The current batch is what is unfinished, and what finished since the oldest of that was
    added: `done` of `total` jobs, a `fraction` from 0 to 1, and `remaining_sec`, None when unknown.
    """

    paused: Literal["", "user", "service", "budget"]
    reason: str
    hint: str
    counts: Mapping[Stage, int]
    done: int
    total: int
    fraction: float
    remaining_sec: float | None

    @property
    def active(self) -> bool:
        """Whether anything is waiting or running."""
        return self.total > self.done


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source as somebody listed it. `where` names the line or row it stood in; `problem` says
    what is wrong with that already."""

    source: str
    title: str = ""
    category: str = ""
    where: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SourceEstimate:
    """What adding one source would mean.

    `minutes`, `size` (bytes) and `price` are None when unknown. `known` is the title of the video
    in the library that it already is, so that nothing would be embedded. A `problem` keeps it from
    being added, a `warning` does not; `hint` says what to do about either. Nobody has looked at a
    `pending` one yet.
    """

    source: str
    minutes: float | None
    price: float | None
    known: str
    problem: str
    hint: str = ""
    warning: str = ""
    title: str = ""
    category: str = ""
    where: str = ""
    size: int | None = None
    video_id: str = ""
    pending: bool = False

    @property
    def costs(self) -> bool:
        """Whether adding it means embedding it."""
        return not self.known and not self.problem


@dataclass(frozen=True, slots=True)
class Estimate:
    """What adding a list of sources would mean, before anything is paid."""

    sources: tuple[SourceEstimate, ...]

    @property
    def minutes(self) -> float:
        """Minutes that would be embedded, as far as they are known."""
        return sum(s.minutes or 0.0 for s in self.sources if s.costs)

    @property
    def price(self) -> float:
        """What that would cost, as far as it is known."""
        return sum(s.price or 0.0 for s in self.sources if s.costs)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A paid call, or with `saved` one that did not have to be made. `price` is None when unknown."""

    id: str
    at: datetime
    kind: Literal["video", "clip", "image", "text"]
    what: str
    minutes: float | None
    calls: int
    price: float | None
    model: str
    job_id: str
    task_id: str
    saved: bool


@dataclass(frozen=True, slots=True)
class Spending:
    """Money, in `currency`. `planned` is for jobs that have not been paid for yet; the length of
    `planned_unknown` more of them, and so their price, is unknown. Of `unpriced` paid calls the
    price is unknown."""

    currency: str
    month: float
    total: float
    saved: float
    planned: float
    planned_unknown: int
    unpriced: int
    month_budget: float | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this library's embedder and engine can do, for screens that adapt to them."""

    embedder: str
    model: str
    dimension: int
    options: tuple[str, ...]
    engine: Literal["lite", "server"]
    remote: bool
