"""What a score is said to mean, against what is known, and what that costs.

`python -m benchmarks.calibration [segments]` first makes libraries in which answers to a query are
planted or are not. Then it asks the sample library, with the built-in embedder, its labelled
questions, and questions about what is certainly not in it. Last it times Library.calibrate with
10,000 segments unless told otherwise.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search import VIDEOS as FILLED_VIDEOS
from benchmarks.search import fill
from core import Hit, Library, Part, SearchResult, Segment, Settings, Video, open_library
from core.background import Rows, Sample
from core.calibration import chance_of
from core.models import Vector
from samples.evaluate import EVERYTHING, evaluate, loaded_library, moments_of

TRIALS = 200
TARGET = 0.95
DIMENSION = 512
VIDEOS, SEGMENTS = 40, 60
TOPICS, TOPIC_SPACE = 12, 40
PLANTED = 5
# The cosines of planted segments with the query, which are drawn evenly. Chance has a median of
# about 0.08 here and a standard deviation of 0.05, and its best is about 0.23.
CLEAR, FAINT = (0.40, 0.55), (0.28, 0.40)

ABSENT = (
    *("a giraffe in the savannah", "a surgeon in an operating room", "a wedding in a church"),
    *("a bowl of noodle soup", "an elephant bathing", "a motorcycle race", "penguins on ice"),
    *("a subway train", "a tennis player serving", "a supermarket shelf", "a violin concert"),
    *("a helicopter", "a desert with camels", "a spider in its web", "a boxing match"),
    *("people eating at a restaurant", "a polar bear", "an airplane landing", "a cup of coffee"),
    *("a man shaving", "a zebra crossing", "a bowling alley", "a butterfly on a thistle"),
    *("a tractor ploughing", "a game of billiards"),
)


# --- made libraries -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A library of one option, of unit vectors (rows, dimension), and a query."""

    vectors: NDArray[np.float32]
    query: Vector


def made(random: np.random.Generator, *, heavy: bool) -> Made:
    """Segments resemble those of their video and of its topic, and all of them share a direction.
    The query is a text: it lies apart from all of them, and touches the topics by chance.

    Topics have very different sizes; `heavy` ones also show very differently in their videos, which
    gives chance a heavy tail.
    """
    common = _unit(random.normal(size=DIMENSION))
    space = random.normal(size=(TOPIC_SPACE, DIMENSION))
    topics = _unit(random.normal(size=(TOPICS, TOPIC_SPACE)) @ space)
    sizes = 1 / np.arange(1, TOPICS + 1)
    of_video = random.choice(TOPICS, size=VIDEOS, p=sizes / sizes.sum())
    shows = np.abs(random.standard_t(2, size=VIDEOS)).clip(0, 4) if heavy else np.ones(VIDEOS)
    videos = (
        0.5 * common
        + 0.45 * shows[:, None] * topics[of_video]
        + 0.4 * _unit(random.normal(size=(VIDEOS, DIMENSION)))
    )
    noise = _unit(random.normal(size=(VIDEOS, SEGMENTS, DIMENSION)))
    query = (
        0.15 * common
        + 0.5 * _unit(random.normal(size=TOPIC_SPACE) @ space)
        + 0.85 * _unit(random.normal(size=DIMENSION))
    )
    return Made(_unit(videos[:, None] + 0.6 * noise).reshape(-1, DIMENSION), _unit(query))


def plant(random: np.random.Generator, library: Made, cosines: tuple[float, float]) -> list[int]:
    """Turns a few segments towards the query; says which."""
    places: list[int] = random.choice(len(library.vectors), size=PLANTED, replace=False).tolist()
    for place in places:
        vector = library.vectors[place]
        aside = _unit(vector - (vector @ library.query) * library.query)
        cosine = random.uniform(*cosines)
        library.vectors[place] = cosine * library.query + np.sqrt(1 - cosine**2) * aside
    return places


def _unit(vectors: np.ndarray) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def levels(library: Made, places: Sequence[int]) -> list[str]:
    """What the library says of the segments in these places."""
    rows = Rows(library.vectors, np.repeat(np.arange(VIDEOS), SEGMENTS).astype(str))
    segments = {"visual": len(library.vectors)}
    parts = [(Part.text("query"), 1.0)]
    chance = chance_of(Sample({"visual": rows}), parts, library.query, 1.0, segments=segments)
    assert chance is not None
    scores = library.vectors @ library.query
    return [chance.relevance(_hit(float(scores[place])), {}).level for place in places]


def _hit(score: float) -> Hit:
    video = Video("v", "v", "", None, "", "", 1, datetime.now(UTC))
    return Hit(Segment("v:visual:0", "v", 0, 4), video, score, {"visual": score}, 1)


def planted(cosines: tuple[float, float], *, heavy: bool) -> str:
    """In how many trials all that was planted is strong, and how much of it altogether."""
    random = np.random.default_rng(11)
    of_trial: list[list[str]] = []
    for _ in range(TRIALS):
        library = made(random, heavy=heavy)
        of_trial.append(levels(library, plant(random, library, cosines)))
    all_strong = sum(set(found) == {"strong"} for found in of_trial) / TRIALS
    share = Counter(level for found in of_trial for level in found)
    each = ", ".join(
        f"{name} {share[name] / share.total():.1%}" for name in ("strong", "likely", "weak")
    )
    return f"all {PLANTED} strong in {all_strong:.1%} of {TRIALS} trials; of each: {each}"


def nothing_planted(*, heavy: bool) -> str:
    random = np.random.default_rng(12)
    best: Counter[str] = Counter()
    for _ in range(TRIALS):
        library = made(random, heavy=heavy)
        best.update(levels(library, [int(np.argmax(library.vectors @ library.query))]))
    return f"not in the archive in {best['weak'] / TRIALS:.1%} of {TRIALS} trials"


# --- the sample library ---------------------------------------------------------------------------


def labelled(library: Library) -> list[str]:
    """How the best right moment of every labelled question is called, suggested ones apart."""
    of_all: Counter[str] = Counter()
    of_suggested: Counter[str] = Counter()
    for row in evaluate(moments_of(library)).rows:
        result = library.search(row.label.query, limit=EVERYTHING)
        level = "missed"
        if row.rank is not None:
            best = result.moments[row.rank - 1].best
            level = library.calibrate(result).relevances[best.segment.id].level
        of_all[level] += 1
        of_suggested[level] += row.label.suggested
    return [
        f"{name:<10} {found.total():>3}: "
        + ", ".join(f"{level} {found[level]}" for level in LEVELS)
        for name, found in (("suggested", of_suggested), ("all", of_all))
    ]


LEVELS = ("strong", "likely", "weak", "missed")


# --- what it costs --------------------------------------------------------------------------------


def cost(segments: int) -> str:
    """Seconds of the first call, which reads the sample, and milliseconds of those after it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_library(Settings(data_dir=Path(folder))) as library,
    ):
        fill(library, segments // FILLED_VIDEOS)
        first, *others = (_seconds(library, library.search(query)) for query in ABSENT)
    return f"first call {first:.2f} s, then {1e3 * statistics.median(others):.1f} ms"


def _seconds(library: Library, result: SearchResult) -> float:
    begun = time.perf_counter()
    library.calibrate(result)
    return time.perf_counter() - begun


def main() -> None:
    print(f"Made libraries of {VIDEOS * SEGMENTS:,} segments; the target is {TARGET:.0%}")
    for name, heavy in (("even tails", False), ("heavy tails", True)):
        print(f"{name}: {nothing_planted(heavy=heavy)}")
        for cosines in (CLEAR, FAINT):
            text = f"planted at {cosines[0]:.2f} to {cosines[1]:.2f}"
            print(f"{name}, {text}: {planted(cosines, heavy=heavy)}")
    with loaded_library() as library:
        print("The sample library: what its best right moment is called, of labelled questions")
        print(*labelled(library), sep="\n")
        found = [query for query in ABSENT if library.calibrate(library.search(query)).found]
    missing = len(ABSENT) - len(found)
    print(f"not in the archive: {missing} of {len(ABSENT)} questions about what is not there")
    print(f"found all the same: {', '.join(found) or 'none'}")
    segments = int(sys.argv[1]) if sys.argv[1:] else 10_000
    print(f"Library.calibrate, {segments:,} segments: {cost(segments)}")


if __name__ == "__main__":
    main()
