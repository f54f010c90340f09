"""Videos, categories and weeks of a made-up library, for the benchmarks of the store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.models import EmbeddedSegment

DIMENSION = 512
OPTIONS = ("visual", "audio", "transcription")
CATEGORIES = tuple(f"category {number}" for number in range(8))
SEGMENTS_OF_VIDEO = 100
ROWS_OF_VIDEO = SEGMENTS_OF_VIDEO * len(OPTIONS)
SEGMENT_SEC = 4.0
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = 12


@dataclass(frozen=True)
class MadeVideo:
    """`vectors` are unit vectors (options, segments, dimension)."""

    id: str
    category: str
    added_at: datetime
    vectors: NDArray[np.float32]

    def embedded(self) -> list[EmbeddedSegment]:
        return [
            EmbeddedSegment(place * SEGMENT_SEC, (place + 1) * SEGMENT_SEC, option, vector)
            for option, vectors in zip(OPTIONS, self.vectors, strict=True)
            for place, vector in enumerate(vectors)
        ]


def videos(rows: int) -> Iterator[MadeVideo]:
    """Videos of at least so many rows together, evenly over the categories and the months of a year.

    A video has a look of its own, and its scenes resemble those of others.
    """
    random = np.random.default_rng(11)
    topics = random.normal(size=(64, DIMENSION))
    count = math.ceil(rows / ROWS_OF_VIDEO)
    for number in range(count):
        look = 0.5 * random.normal(size=DIMENSION)
        shape = len(OPTIONS), SEGMENTS_OF_VIDEO
        scenes = topics[random.integers(len(topics), size=shape)]
        vectors = scenes + look + 0.8 * random.normal(size=(*shape, DIMENSION))
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        yield MadeVideo(
            id=f"video{number:05}",
            category=CATEGORIES[number % len(CATEGORIES)],
            added_at=FIRST + timedelta(days=365 * number / count),
            vectors=vectors.astype(np.float32),
        )


def queries(matrix: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Unit vectors near rows of `matrix`, (count, dimension)."""
    random = np.random.default_rng(5)
    near = matrix[random.integers(len(matrix), size=count)]
    noisy = near + 0.5 / np.sqrt(DIMENSION) * random.normal(size=near.shape)
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), dtype=np.float32)
