"""Library.search over the bare pymilvus call, on the same collection, filter and limit.

`python -m benchmarks.search [segments ...]` prints, for each filter, the median of both and the
median of the rounds' ratios; for 10,000 and 100,000 segments unless told otherwise. The two take
turns, and turns at going first, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core import Filters, Library, Settings, Video, open_library
from core.models import EmbeddedSegment, Vector
from core.recipe import Part, Recipe, query_vector
from core.state import StoredVideo

VIDEOS = 100
SIZES = (10_000, 100_000)
SEGMENT_SEC = 4.0
LIMIT = 24
ROUNDS = 60
TARGET = 1.15


def main() -> None:
    for size in [int(size) for size in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            compare_at(size, Settings(data_dir=Path(folder)))


def compare_at(size: int, settings: Settings) -> None:
    with open_library(settings) as library:
        fill(library, size // VIDEOS)
        print(f"Library.search / bare pymilvus, {size:,} segments")
        print(f"{'filter':<16}{'bare ms':>10}{'ours ms':>10}{'ratio':>8}   target {TARGET}")
        for name, filters, expression in cases():
            bare, ours = compare(library, filters, expression)
            ratio = statistics.median(b / a for a, b in zip(bare, ours, strict=True))
            milliseconds = (f"{1e3 * statistics.median(taken):>10.2f}" for taken in (bare, ours))
            print(f"{name:<16}{''.join(milliseconds)}{ratio:>8.2f}")


def cases() -> list[tuple[str, Filters, str]]:
    """Name, our filters, and the same as a Milvus expression."""
    few = tuple(f"video{number:03}" for number in range(30))
    listed = ", ".join(f'"{video_id}"' for video_id in few)
    return [
        ("none", Filters(), ""),
        ("one category", Filters(categories=("even",)), 'category in ["even"]'),
        ("30 videos", Filters(video_ids=few), f"video_id in [{listed}]"),
    ]


def fill(library: Library, segments_per_video: int) -> None:
    """Unit vectors in no order: what answers a query lies scattered over the videos."""
    random = np.random.default_rng(7)
    dimension = library.capabilities.dimension
    for number in range(VIDEOS):
        embedded = [
            EmbeddedSegment(
                i * SEGMENT_SEC,
                (i + 1) * SEGMENT_SEC,
                "visual",
                _unit(random.normal(size=dimension)),
            )
            for i in range(segments_per_video)
        ]
        _add(library, f"video{number:03}", "even" if number % 2 == 0 else "odd", embedded)


def _unit(vector: np.ndarray) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _add(library: Library, video_id: str, category: str, embedded: list[EmbeddedSegment]) -> None:
    """Stores vectors that no video was decoded for, the way a job does."""
    now = datetime.now(UTC)
    segments = library._store.upsert(video_id, category, now, embedded)
    duration = embedded[-1].end_offset_sec
    url = f"https://example.org/{video_id}.mp4"
    video = Video(video_id, video_id, url, duration, category, "bench", len(segments), now)
    library._shelf.put(StoredVideo(video, None, tuple(segments)))


def compare(library: Library, filters: Filters, expression: str) -> tuple[list[float], list[float]]:
    """Seconds of the bare call and of ours in each round."""
    from pymilvus import MilvusClient

    client = MilvusClient(library.settings.milvus_uri)

    def bare(recipe: Recipe) -> None:
        client.search(
            library.collection,
            [vectors[recipe]],
            filter=expression,
            limit=LIMIT,
            output_fields=["video_id", "start_offset_sec", "end_offset_sec"],
        )

    def ours(recipe: Recipe) -> None:
        library.search(recipe, filters=filters, limit=LIMIT)

    # Another direction each round, because answers are remembered; its parts are too, so that the
    # search is compared and not the embedder.
    vectors = {
        recipe: query_vector(recipe, library._answers._vectors.of)[0].tolist()
        for recipe in recipes()
    }
    times: dict[Callable[[Recipe], None], list[float]] = {bare: [], ours: []}
    for turn, recipe in enumerate(vectors):
        for call in (bare, ours) if turn % 2 else (ours, bare):
            begun = time.perf_counter()
            call(recipe)
            times[call].append(time.perf_counter() - begun)
    return times[bare], times[ours]


def recipes() -> list[Recipe]:
    car, sea = Part.text("a car on a street"), Part.text("the sea")
    return [
        Recipe((car, replace(sea, weight=2 * number / ROUNDS))) for number in range(1, ROUNDS + 1)
    ]


if __name__ == "__main__":
    main()
