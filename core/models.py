"""The nouns of Seekpoint: plain frozen values that every layer may hold.

Times are seconds from the start of the video, as floats. Vectors are float32 arrays of unit
length. Scores are cosines in [-1, 1]; higher is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
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
    """What a probe reads from a media file; `size` is in bytes, None where nobody said."""

    duration: float
    width: int
    height: int
    has_audio: bool
    codec: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the library. `video_url` is an http(s) address or a file: URI on the server."""

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


@dataclass(frozen=True, slots=True)
class Filters:
    """Which segments may answer; empty tuples and None mean no restriction.

    `start` and `end` bound the time inside the video: a segment passes when it overlaps them.
    """

    video_ids: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    min_score: float | None = None
    start: float | None = None
    end: float | None = None
    added_after: datetime | None = None
    added_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A scored segment; `score` is the best of `scores_by_option`. `rank` counts from 1."""

    segment: Segment
    video: Video
    score: float
    scores_by_option: Mapping[str, float]
    rank: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Adjacent hits of one video that score alike, shown as one card. `rank` counts from 1."""

    video: Video
    start_offset_sec: float
    end_offset_sec: float
    hits: tuple[Hit, ...]
    rank: int

    @property
    def best(self) -> Hit:
        return max(self.hits, key=lambda hit: hit.score)

    @property
    def score(self) -> float:
        return self.best.score


@dataclass(frozen=True, slots=True)
class Heat:
    """How one segment of a video answers a recipe."""

    start_offset_sec: float
    end_offset_sec: float
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a recipe, best first. `timings` are seconds per stage."""

    hits: tuple[Hit, ...]
    moments: tuple[Moment, ...]
    recipe: Recipe
    filters: Filters
    model: str
    timings: Mapping[str, float] = field(default_factory=dict)
    cached: bool = False


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
    """One video on its way in. `fraction` (0 to 1) counts within the stage, None when unknown."""

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


@dataclass(frozen=True, slots=True)
class SourceEstimate:
    """What adding one source would mean. `minutes` and `price` are None when unknown."""

    source: str
    minutes: float | None
    price: float | None
    known: bool
    problem: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What adding a list of sources would mean, before anything is paid."""

    sources: tuple[SourceEstimate, ...]

    @property
    def minutes(self) -> float:
        """Minutes that would be embedded, as far as they are known."""
        return sum(s.minutes or 0.0 for s in self.sources if not s.known and not s.problem)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this library's embedder and engine can do, for screens that adapt to them."""

    embedder: str
    model: str
    dimension: int
    options: tuple[str, ...]
    engine: Literal["lite", "server"]
    remote: bool
