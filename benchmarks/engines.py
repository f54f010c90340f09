"""Our search, the bare pymilvus call and numpy, on Milvus Lite and on a server, under every filter.

`python -m benchmarks.engines [rows ...]` stores 10,000, 100,000 and 500,000 rows of 512 dimensions,
unless told otherwise, video by video as the app does, and prints a Markdown table for each engine:
the median time of a search for 10 hits, the medians of its ratios to the bare call with the same
filter and to numpy over all rows, and the share of the exact 10 that it finds. The three take turns.
Under each table stand that share under every combination of filters, the time of a count, and that
of opening in a new process until the first answer, with the memory that this process and the
server's hold then.
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpus import (
    CATEGORIES,
    DIMENSION,
    FIRST,
    OPTIONS,
    SEGMENT_SEC,
    SEGMENTS_OF_VIDEO,
    MadeVideo,
    queries,
    videos,
)
from benchmarks.partitions import wait_for_index
from core.engines import search_params
from core.models import Filters, Vector
from core.store import VectorStore, filter_expression, segment_id
from tests.milvus_server import running_milvus

SIZES = (10_000, 100_000, 500_000)
ROUNDS = 20
QUERIES_COMBINED = 10
LIMIT = 10
EMBEDDER, MODEL = "bench", "made"


@dataclass(frozen=True)
class Corpus:
    """All rows outside the store: their vectors, and of each what filters look at."""

    matrix: NDArray[np.float32]
    ids: NDArray[np.str_]
    video: NDArray[np.int64]
    option: NDArray[np.int64]
    start: NDArray[np.float64]
    category: NDArray[np.int64]
    day: NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    name: str
    filters: Filters
    passes: NDArray[np.bool_] | np.bool_  # one for each row, or one for all


def main() -> None:
    for rows in [int(rows) for rows in sys.argv[1:]] or SIZES:
        corpus = corpus_of(rows)
        for engine in ("Lite", "server"):
            with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
                if engine == "Lite":
                    uri = str(Path(folder) / "milvus.db")
                else:
                    uri = running.enter_context(running_milvus(Path(folder)))
                print(f"\n{engine}, {len(corpus.matrix):,} rows\n")
                measure(uri, rows, corpus)


def corpus_of(rows: int) -> Corpus:
    made = list(videos(rows))
    shape = len(made), len(OPTIONS), SEGMENTS_OF_VIDEO
    video, option, place = (axis.ravel() for axis in np.indices(shape))
    ids = [
        segment_id(v.id, name, start * SEGMENT_SEC)
        for v in made
        for name in OPTIONS
        for start in range(SEGMENTS_OF_VIDEO)
    ]
    categories = np.array([CATEGORIES.index(v.category) for v in made])
    days = np.array([(v.added_at - FIRST) / timedelta(days=1) for v in made])
    return Corpus(
        matrix=np.concatenate([v.vectors.reshape(-1, DIMENSION) for v in made]),
        ids=np.array(ids),
        video=video,
        option=option,
        start=place * SEGMENT_SEC,
        category=categories[video],
        day=days[video],
    )


def restrictions(corpus: Corpus) -> dict[str, Case]:
    """The kinds of filters, one of each."""
    began, ended = FIRST + timedelta(days=120), FIRST + timedelta(days=150)
    made = [
        Case("one option", Filters(options=("visual",)), corpus.option == OPTIONS.index("visual")),
        Case("one category", Filters(categories=(CATEGORIES[3],)), corpus.category == 3),
        Case(
            "one month",
            Filters(added_after=began, added_before=ended),
            (corpus.day >= 120) & (corpus.day < 150),
        ),
        Case(
            "a minute of each video",
            Filters(start=60.0, end=120.0),
            (corpus.start + SEGMENT_SEC > 60) & (corpus.start < 120),
        ),
        *(some_videos(corpus, number) for number in (1, 3, 100)),
    ]
    return {case.name: case for case in made}


def some_videos(corpus: Corpus, number: int) -> Case:
    chosen = np.random.default_rng(2).permutation(int(corpus.video[-1]) + 1)[:number]
    names = tuple(f"video{video:05}" for video in chosen)
    return Case(f"{number} of the videos", Filters(video_ids=names), np.isin(corpus.video, chosen))


def together(*chosen: Case) -> Case:
    """All of these filters at once; none lets everything pass."""
    given = {
        field.name: value
        for case in chosen
        for field in dataclasses.fields(Filters)
        if (value := getattr(case.filters, field.name))
    }
    passes = [case.passes for case in chosen]
    return Case(
        " and ".join(case.name for case in chosen) or "none",
        Filters(**given),
        np.logical_and.reduce(passes) if passes else np.True_,
    )


def cases(corpus: Corpus) -> list[Case]:
    kinds = restrictions(corpus)
    mixed = [kinds[name] for name in ("one option", "one category", "a minute of each video")]
    return [together(), *kinds.values(), together(*mixed)]


def combinations(corpus: Corpus) -> list[Case]:
    """Every way to set kinds of filters together, from none to all five."""
    kinds = restrictions(corpus)
    del kinds["1 of the videos"], kinds["3 of the videos"]
    return [
        together(*chosen)
        for number in range(len(kinds) + 1)
        for chosen in itertools.combinations(kinds.values(), number)
    ]


def measure(uri: str, rows: int, corpus: Corpus) -> None:
    with open_store(uri) as store:
        fill(store, videos(rows), corpus)
        print("| filter | rows | ours | over bare | over numpy | recall@10 |")
        print("|---|---|---|---|---|---|")
        asked = queries(corpus.matrix, ROUNDS)
        for case in cases(corpus):
            print(row_of_table(store, corpus, case, asked), flush=True)
        recalls = {
            case.name: recall(store, corpus, case, asked[:QUERIES_COMBINED])
            for case in combinations(corpus)
        }
        worst = min(recalls, key=lambda name: recalls[name])
        print(
            f"\nRecall@{LIMIT} under {len(recalls)} combinations of filters: "
            f"{recalls[worst]:.3f} at least ({worst}), "
            f"{statistics.mean(recalls.values()):.3f} on average.",
            flush=True,
        )
        begun = time.perf_counter()
        store.count()
        counting = time.perf_counter() - begun
    seconds, memory = opened_by_another(uri, asked[0])
    print(f"\nCount: {1e3 * counting:.0f} ms.", end=" ")
    print(f"Open until the first answer: {seconds:.1f} s, {memory:,.0f} MB", end="")
    if not uri.endswith(".db"):
        print(f", and {memory_below(os.getpid()):,.0f} MB of the server", end="")
    print(".", flush=True)


def open_store(uri: str) -> VectorStore:
    return VectorStore(uri, embedder=EMBEDDER, model=MODEL, dimension=DIMENSION)


def fill(store: VectorStore, made: Iterable[MadeVideo], corpus: Corpus) -> None:
    for video in made:
        store.upsert(video.id, video.category, video.added_at, video.embedded())
    assert store.count() == len(corpus.matrix)
    if store.engine == "server":
        client = store._client()
        client.flush(store.collection)
        wait_for_index(client, store.collection)


def row_of_table(store: VectorStore, corpus: Corpus, case: Case, asked: NDArray[np.float32]) -> str:
    client = store._client()
    expression = filter_expression(case.filters)
    partitions = list(case.filters.options) or None

    def ours(query: Vector) -> set[str]:
        return answer(store, case, query)

    def bare(query: Vector) -> set[str]:
        (hits,) = client.search(
            store.collection,
            [query],
            filter=expression,
            limit=LIMIT,
            partition_names=partitions,
            search_params=search_params(store._index, LIMIT),
            output_fields=["video_id", "start_offset_sec", "end_offset_sec"],
        )
        return {hit["id"] for hit in hits}

    def exact(query: Vector) -> set[str]:
        return exact_answer(corpus, case, query)

    calls: list[Callable[[Vector], set[str]]] = [ours, bare, exact]
    times: list[list[float]] = [[], [], []]
    recalls: list[float] = []
    for turn, query in enumerate(asked):
        found: dict[int, set[str]] = {}
        for step in range(3):
            which = (turn + step) % 3
            begun = time.perf_counter()
            found[which] = calls[which](query)
            times[which].append(time.perf_counter() - begun)
        recalls.append(len(found[0] & found[2]) / len(found[2]))
    over = [
        statistics.median(a / b for a, b in zip(times[0], other, strict=True))
        for other in times[1:]
    ]
    return (
        f"| {case.name} | {np.mean(case.passes):.1%} | {1e3 * statistics.median(times[0]):.1f} ms "
        f"| {over[0]:.2f} | {over[1]:.1f} | {statistics.mean(recalls):.3f} |"
    )


def recall(store: VectorStore, corpus: Corpus, case: Case, asked: NDArray[np.float32]) -> float:
    """The share of the exact answers that is found; all of them where there is none."""
    exact = [exact_answer(corpus, case, query) for query in asked]
    found = [answer(store, case, query) for query in asked]
    wanted = sum(len(ids) for ids in exact)
    return sum(len(a & b) for a, b in zip(exact, found, strict=True)) / wanted if wanted else 1.0


def answer(store: VectorStore, case: Case, query: Vector) -> set[str]:
    found = store.search(query, filters=case.filters, limit=LIMIT)
    return {scored.segment.id for scored in found}


def exact_answer(corpus: Corpus, case: Case, query: Vector) -> set[str]:
    scores = np.where(case.passes, corpus.matrix @ query, -2.0)
    least = min(LIMIT, int((scores > -2.0).sum()))
    best = np.argpartition(scores, -LIMIT)[-LIMIT:]
    return set(corpus.ids[best[np.argsort(scores[best])][LIMIT - least :]].tolist())


def opened_by_another(uri: str, query: Vector) -> tuple[float, float]:
    """Seconds until a new process has its first answer, and the megabytes it holds then."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_first_answer, (uri, query))


def _first_answer(uri: str, query: Vector) -> tuple[float, float]:
    begun = time.perf_counter()
    with open_store(uri) as store:
        assert store.search(query, limit=LIMIT)
        return time.perf_counter() - begun, resident(os.getpid())


def memory_below(process_id: int) -> float:
    """Megabytes that the processes hold together which this one has started, and theirs."""
    children = [
        int(child)
        for listed in Path(f"/proc/{process_id}/task").glob("*/children")
        for child in listed.read_text().split()
    ]
    return sum(resident(child) + memory_below(child) for child in children)


def resident(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


if __name__ == "__main__":
    main()
