"""The heat of a whole video: every segment's score in each option, `python -m benchmarks.heat`.

For one hour and for four, in segments of 4 seconds, two options of 512 dimensions: the first call,
which reads the vectors from Milvus Lite, what the bare store takes of it, the calls after it, and
the floor, which is numpy on a matrix that is already there.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from core import Library, Part, Recipe, Settings, Video, open_library
from core.models import EmbeddedSegment
from core.state import StoredVideo

HOURS = (1, 4)
SEGMENT_SEC = 4.0
OPTIONS = ("visual", "audio")
ROUNDS = 30
TARGET_MS = 50.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # The key is never used: the question is a stored segment.
        settings = Settings(embedder="twelvelabs", twelvelabs_api_key="none", data_dir=Path(folder))
        with open_library(settings) as library:
            print(f"Library.heat, ms; the target for 1 h is {TARGET_MS:.0f}")
            print(f"{'':6}{'segments':>10}{'first':>9}{'of it store':>13}{'then':>9}{'floor':>9}")
            for hours in HOURS:
                print(f"{hours} h   {row(library, hours)}")


def row(library: Library, hours: int) -> str:
    video_id = f"hours{hours}"
    segments = fill(library, video_id, round(hours * 3600 / SEGMENT_SEC))
    recipes = [Recipe((Part.segment(segment_id),)) for segment_id in segments[:ROUNDS]]
    first, *then = (milliseconds(partial(library.heat, recipe, video_id)) for recipe in recipes)
    store = milliseconds(partial(library._store.vectors, segments))
    matrix = np.stack(list(library._store.vectors(segments).values()))
    floor = [milliseconds(partial(np.dot, matrix, query)) for query in matrix[:ROUNDS]]
    figures = f"{len(segments):>10,}{first:>9.1f}{store:>13.1f}"
    return f"{figures}{statistics.median(then):>9.2f}{statistics.median(floor):>9.2f}"


def fill(library: Library, video_id: str, count: int) -> list[str]:
    """Stores unit vectors that no video was decoded for, the way a job does; returns their ids."""
    random = np.random.default_rng(count)
    vectors = random.normal(size=(len(OPTIONS), count, library.capabilities.dimension))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    embedded = [
        EmbeddedSegment(n * SEGMENT_SEC, (n + 1) * SEGMENT_SEC, option, vector.astype(np.float32))
        for option, of_option in zip(OPTIONS, vectors, strict=True)
        for n, vector in enumerate(of_option)
    ]
    now = datetime.now(UTC)
    segments = library._store.upsert(video_id, "", now, embedded)
    url = f"https://example.org/{video_id}.mp4"
    video = Video(video_id, video_id, url, count * SEGMENT_SEC, "", "bench", len(segments), now)
    library._shelf.put(StoredVideo(video, None, tuple(segments)))
    return [segment.id for segment in segments]


def milliseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
