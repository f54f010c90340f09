"""What an embedder is: the one protocol that Twelve Labs, the local model and the next one share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import EmbedderUnavailable, RecipeError
from core.models import EmbeddedSegment, MediaInfo, Stage, Vector
from core.recipe import Media


@dataclass(frozen=True, slots=True)
class Limits:
    """What an embedder accepts; None where nothing is known. Sizes in bytes, times in seconds."""

    text_tokens: int | None = None
    image_bytes: int | None = None
    image_min_side: int | None = None
    clip_sec: float | None = None
    clip_bytes: int | None = None
    video_min_sec: float | None = None
    video_max_sec: float | None = None
    video_min_side: int | None = None
    parallel_videos: int = 1


@dataclass(frozen=True, slots=True)
class Prices:
    """What calls cost, in the currency of the settings. Nothing, for an embedder of our own."""

    per_minute: float = 0.0  # of video
    per_image: float = 0.0
    per_text: float = 0.0


@dataclass(frozen=True, slots=True)
class Charge:
    """A call for a video that will be billed.

    Reported before the call leaves, so that the budget can refuse it and the ledger knows of it
    whatever happens next; again with its `task_id`; as `void` when the service refused it, so that
    nothing is billed; and as `fruitless` when its task failed, so that it has no result to fetch.
    """

    id: str
    task_id: str = ""
    void: bool = False
    fruitless: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far embed_video has come.

    `checkpoint` is all it needs to go on later without doing (or paying for) anything twice.
    Checkpoint and `charge` are on disk when the callback returns. `note` says what it waits for
    when that is not the work itself, in words for users.
    """

    stage: Stage
    fraction: float | None = None
    checkpoint: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    charge: Charge | None = None


OnProgress = Callable[[Progress], None]


class Embedder(Protocol):
    """Texts, pictures, clips and videos as unit vectors of one space.

    Every method raises only members of the SeekpointError family.
    """

    name: str
    model: str
    dimension: int
    options: tuple[str, ...]
    limits: Limits
    # What it cannot do, in words for users; empty when there is nothing to warn of.
    limits_text: str
    # False when `explain` has never anything to say.
    explains: bool
    # True when a service does the work: it fetches URLs by itself, and it costs money.
    remote: bool
    prices: Prices

    def embed_text(self, text: str) -> Vector: ...

    def embed_image(self, source: Media, text: str = "") -> Vector:
        """One picture, read together with a text when there is one."""
        ...

    def embed_clip(
        self, source: Media, start: float | None = None, end: float | None = None
    ) -> Vector:
        """A short clip, or the stretch of it from `start` to `end` seconds, as one vector.

        A stretch without length is a RecipeError; see `check_span`.
        """
        ...

    def embed_video(
        self,
        source: str | Path,
        *,
        info: MediaInfo | None,
        resume: Mapping[str, str],
        on_progress: OnProgress,
    ) -> list[EmbeddedSegment]:
        """Every segment of a video, in order of start, each option by itself.

        `info` is the probe of our own side, None when the source could not be reached from here.
        `resume` is the last checkpoint of an earlier, interrupted run, or empty.
        An exception raised by `on_progress` ends the work and passes through.
        """
        ...

    def tidy(self, resume: Mapping[str, str]) -> None:
        """Deletes what a finished embed_video left elsewhere; called once its segments are stored."""
        ...

    def share_limits(self, servers: int) -> None:
        """So many app servers use the same account from now on, and each keeps to its part."""
        ...

    def explain(self, query: Vector, segment: Vector) -> str:
        """A few words on why a segment answers a query; empty when nothing is known."""
        ...

    def check(self) -> None:
        """Raises an EmbedderError when nothing can be embedded at the moment. Costs nothing."""
        ...


def check_span(start: float | None, end: float | None) -> None:
    """Raises RecipeError unless there is something between `start` and `end` seconds."""
    begin = 0.0 if start is None else start
    finish = inf if end is None else end
    if not 0 <= begin < finish:
        raise RecipeError(
            f"There is nothing between {start} and {end} s.", "Choose an end after the start."
        )


def unit_vector(values: object, dimension: int) -> Vector:
    """`values` as a float32 vector of unit length.

    Raises:
        EmbedderUnavailable: wrong length, NaN, infinite, or all zero. Such a vector must not
            reach the store: Milvus Lite would keep it and answer wrongly for ever.
    """
    try:
        vector: NDArray[np.float32] = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.empty(0, dtype=np.float32)
    problem = ""
    if vector.shape != (dimension,):
        problem = f"a vector of shape {vector.shape} instead of ({dimension},)"
    elif not np.isfinite(vector).all():
        problem = "a vector with values that are not numbers"
    else:
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if length > 0 and np.isfinite(length):
            return (vector / np.float64(length)).astype(np.float32)
        problem = "a vector of zeros"
    raise EmbedderUnavailable(
        f"The embedder answered with {problem}.", "Try again; nothing of this answer was stored."
    )
