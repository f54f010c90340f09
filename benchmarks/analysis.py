"""What Explore finds where it is known what is there, and how long it takes where there is much.

`python -m benchmarks.analysis [segments ...]` prints, over the planted libraries of 20 seeds, how
well the clusters agree with the topics (adjusted Rand index, without the outliers, which have no
topic), how many outliers are among the first 10, how many of the copied stretches are found with
their offset right within a segment and how many runs are something else, and in how many libraries
the cluster of the rising topic rises, and from the right week on. Then, for 10,000, 30,000 and
100,000 segments of 512 dimensions unless told otherwise, the seconds of map, clusters and outliers,
by themselves and together, and of the copies, the most memory the process has held so far, and the
exponents of these times in n.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.planted import SEGMENT_SECS, Copy, Planted, planted
from core import analysis
from core.duplicates import Run, find_runs
from core.trends import Period, over_time

SEEDS = range(20)
FIRST = 10
RAND_TARGET = 0.95
MIN_SEC = 3.0

SIZES = (10_000, 30_000, 100_000)
SECONDS_TARGET, MB_TARGET = 60.0, 2048
DIMENSION = 512
SEGMENTS_OF_VIDEO, SEGMENTS_OF_SCENE, TOPICS = 200, 8, 24
# Squares of the strengths of what a segment is made of, as in a planted library.
COMMON, TOPIC, LOOK, DRIFT = 0.10, 0.40, 0.10, 0.40
KEPT = 0.7

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
ANALYSES: dict[str, Callable[[Floats], object]] = {
    "map": analysis.project,
    "clusters": analysis.cluster,
    "outliers": analysis.outliers,
}


def main() -> None:
    print(f"Planted libraries of {len(SEEDS)} seeds")
    libraries = [planted(seed) for seed in SEEDS]
    labels = [analysis.cluster(library.vectors).labels for library in libraries]
    print(f"  clusters   {clusters(libraries, labels)}")
    print(f"  outliers   {outliers(libraries)}")
    print(f"  copies     {copies(libraries)}")
    print(f"  trends     {trends(libraries, labels)}")
    print_times([int(size) for size in sys.argv[1:]] or list(SIZES))


# --- what is found --------------------------------------------------------------------------------


def clusters(libraries: list[Planted], labels: list[Labels]) -> str:
    agreement = []
    for library, found in zip(libraries, labels, strict=True):
        inside = library.topics >= 0
        agreement.append(float(adjusted_rand_score(library.topics[inside], found[inside])))
    return (
        f"adjusted Rand index {min(agreement):.3f} at least, {statistics.mean(agreement):.3f} on "
        f"average; target {RAND_TARGET}"
    )


def outliers(libraries: list[Planted]) -> str:
    first = sum(
        np.isin(library.outliers, analysis.outliers(library.vectors)[0][:FIRST]).sum()
        for library in libraries
    )
    return f"{first} of {sum(len(library.outliers) for library in libraries)} in the first {FIRST}"


def copies(libraries: list[Planted]) -> str:
    found = others = planted_copies = 0
    for library in libraries:
        runs, _ = find_runs(
            library.vectors, library.videos, library.starts, library.ends, min_sec=MIN_SEC
        )
        right = [any(is_copy(run, copy) for run in runs) for copy in library.copies]
        found += sum(right)
        others += len(runs) - sum(right)
        planted_copies += len(right)
    return f"{found} of {planted_copies} with their offset within a segment, {others} other runs"


def is_copy(run: Run, copy: Copy) -> bool:
    """Whether a run is of these stretches, at their offset; at most a segment apart."""
    overlap = all(
        max(mine.start, theirs.start) < min(mine.stop, theirs.stop)
        for mine, theirs in ((run.first, copy.first), (run.second, copy.second))
    )
    return overlap and abs(run.offset - copy.offset) <= min(SEGMENT_SECS)


def trends(libraries: list[Planted], labels: list[Labels]) -> str:
    rising = turned = 0
    for library, found in zip(libraries, labels, strict=True):
        cluster = int(np.bincount(found[library.topics == library.rising]).argmax())
        seconds = library.ends - library.starts
        trend = over_time(library.dates, library.videos, found == cluster, seconds, by=Period.WEEK)
        rising += trend.direction == "rising" and trend.slope > 0
        turned += trend.turned == library.onset
    return f"rising in {rising} of {len(libraries)}, from the planted week on in {turned}"


# --- how long it takes ----------------------------------------------------------------------------


def print_times(sizes: list[int]) -> None:
    print(f"Seconds; map and clusters should take {SECONDS_TARGET:.0f} and {MB_TARGET} MB at most")
    columns = (*ANALYSES, "together", "copies")
    print(f"{'segments':>10}{''.join(f'{name:>10}' for name in columns)}{'peak MB':>10}")
    rows = []
    for size in sizes:
        vectors = segments(size)
        taken = [seconds(run, vectors) for run in ANALYSES.values()]
        rows.append([*taken, sum(taken), seconds(copies_among, vectors)])
        print(f"{size:>10,}{''.join(f'{s:>10.1f}' for s in rows[-1])}{peak_mb():>10.0f}")
    if len(sizes) > 1:
        exponents = np.polyfit(np.log(sizes), np.log(rows), 1)[0]
        print(f"{'exponent':>10}{''.join(f'{e:>10.2f}' for e in exponents)}")


def copies_among(vectors: Floats) -> object:
    """The copies in a library of such segments, of 4 seconds each."""
    videos, places = np.divmod(np.arange(len(vectors)), SEGMENTS_OF_VIDEO)
    starts = 4.0 * places
    return find_runs(vectors, videos.astype(np.int32), starts, starts + 4.0, min_sec=MIN_SEC)


def segments(count: int) -> Floats:
    """Unit vectors by video and start: scenes of topics of any size, each video with its look,
    neighbours alike."""
    random = np.random.default_rng(count)
    videos = -(-count // SEGMENTS_OF_VIDEO)
    common, topics = directions(random, 1), directions(random, TOPICS)
    sizes = 1 / np.arange(3, 3 + TOPICS)
    look, drift = directions(random, videos), directions(random, videos)
    topic = random.choice(TOPICS, videos, p=sizes / sizes.sum())
    made = np.empty((videos, SEGMENTS_OF_VIDEO, DIMENSION), np.float32)
    for place in range(SEGMENTS_OF_VIDEO):
        cut = random.random(videos) < 1 / SEGMENTS_OF_SCENE
        topic[cut] = random.choice(TOPICS, np.count_nonzero(cut), p=sizes / sizes.sum())
        drift = KEPT * drift + np.sqrt(1 - KEPT**2) * directions(random, videos)
        strengths = np.sqrt([COMMON, TOPIC, LOOK, DRIFT])
        parts = (common, topics[topic], look, drift)
        made[:, place] = unit(sum(s * part for s, part in zip(strengths, parts, strict=True)))
    return made.reshape(-1, DIMENSION)[:count]


def directions(random: np.random.Generator, count: int) -> Floats:
    return unit(random.normal(size=(count, DIMENSION)))


def unit(vectors: NDArray[np.floating]) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def seconds(run: Callable[[Floats], object], vectors: Floats) -> float:
    begun = time.perf_counter()
    run(vectors)
    return time.perf_counter() - begun


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
