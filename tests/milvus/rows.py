"""Rows for the store tests: every vector follows from the names, so any process can check it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from core.models import EmbeddedSegment, Vector
from core.store import VectorStore

EMBEDDER = "test"
MODEL = "m-1"
DIMENSION = 64
SEGMENT_SEC = 4.0
ADDED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def open_store(uri: object, *, model: str = MODEL, dimension: int = DIMENSION) -> VectorStore:
    return VectorStore(str(uri), embedder=EMBEDDER, model=model, dimension=dimension)


def vector_of(name: str, dimension: int = DIMENSION) -> Vector:
    """The unit vector that belongs to a name."""
    values = np.random.default_rng(zlib.crc32(name.encode())).normal(size=dimension)
    return (values / np.linalg.norm(values)).astype(np.float32)


def embedded(
    video_id: str,
    count: int,
    *,
    options: Sequence[str] = ("visual",),
    dimension: int = DIMENSION,
) -> list[EmbeddedSegment]:
    """`count` segments of a video, one after the other, each in every option."""
    return [
        EmbeddedSegment(
            start := number * SEGMENT_SEC,
            start + SEGMENT_SEC,
            option,
            vector_of(f"{video_id}/{option}/{start}", dimension),
        )
        for number in range(count)
        for option in options
    ]
