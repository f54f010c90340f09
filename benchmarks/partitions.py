"""Whether partitions by category or by month are worth it, beside those by embedding_option.

`python -m benchmarks.partitions [rows]` stores 100,000 rows, unless told otherwise, in three ways on
Milvus Lite and on a server: in a partition per option, per option and category, and per option and
month of adding. It prints as Markdown how long a search takes in each, in milliseconds, and how
much of the time in the first: what a search within one category or month gains, and what every
other search pays for it. The three take turns. The last line says whether that price is too high.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import (
    CATEGORIES,
    DIMENSION,
    MONTHS,
    OPTIONS,
    SEGMENT_SEC,
    MadeVideo,
    queries,
    videos,
)
from core.engines import LiteFile, Server, search_params
from tests.milvus_server import running_milvus

ROWS = 100_000
ROUNDS = 20
LIMIT = 10
# What a search without a filter may take longer, so that one with a filter takes less.
ACCEPTED = 1.1
DESIGNS = ("option", "category", "month")
SCALARS = ("start_offset_sec", "end_offset_sec", "added_at")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    made = list(videos(rows))
    with tempfile.TemporaryDirectory() as folder:
        compare("Lite", str(Path(folder) / "milvus.db"), made)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_milvus(Path(folder)) as address,
    ):
        compare("server", address, made)


def compare(engine: str, uri: str, made: list[MadeVideo]) -> None:
    from pymilvus import MilvusClient

    client = MilvusClient(uri)
    for design in DESIGNS:
        fill(client, design, made, profile=(LiteFile if engine == "Lite" else Server).indexes[0])
    index = client.describe_index(DESIGNS[0], "embedding")
    asked = queries(np.concatenate([v.vectors.reshape(-1, DIMENSION) for v in made]), ROUNDS)
    rows = sum(video.vectors.shape[0] * video.vectors.shape[1] for video in made)
    partitions = {design: set(client.list_partitions(design)) - {"_default"} for design in DESIGNS}
    print(f"\n{engine}, {rows:,} rows, partitions per option and …\n")
    print("| search within | nothing more | category | month |\n|---|---|---|---|")
    prices: dict[str, float] = {}
    for name, expression, option, part in cases(made):
        times: dict[str, list[float]] = {design: [] for design in DESIGNS}
        for query in asked:
            for design in DESIGNS:
                # Those of the whole collection where none is named after what is asked for.
                chosen = [p for p in partitions[design] if p.startswith(option) and part in p]
                begun = time.perf_counter()
                client.search(
                    design,
                    [query],
                    filter=expression,
                    limit=LIMIT,
                    partition_names=chosen or None,
                    search_params=search_params(index, LIMIT),
                    output_fields=["video_id"],
                )
                times[design].append(time.perf_counter() - begun)
        ratios = {design: _ratio(times, design) for design in DESIGNS}
        prices = prices or ratios  # of the first case, which has no filter
        print(
            f"| {name} | "
            + " | ".join(
                f"{1e3 * statistics.median(times[design]):.1f} ms, {ratios[design]:.2f}"
                for design in DESIGNS
            )
            + " |",
            flush=True,
        )
    counts = " | ".join(str(len(partitions[design])) for design in DESIGNS)
    print(f"| partitions | {counts} |\n")
    for design in DESIGNS[1:]:
        verdict = "worth it" if prices[design] <= ACCEPTED else "left out"
        print(
            f"By {design}: a search without a filter takes {prices[design]:.2f} times as long; "
            f"{ACCEPTED} is accepted: {verdict}."
        )
    client.close()


def _ratio(times: dict[str, list[float]], design: str) -> float:
    return statistics.median(b / a for a, b in zip(times[DESIGNS[0]], times[design], strict=True))


def cases(made: list[MadeVideo]) -> list[tuple[str, str, str, str]]:
    """What is searched within, as a Milvus expression, and by its partitions: how their names
    begin, and what they contain."""
    month = [video.added_at.timestamp() for video in made if month_of(video) == "_month_5"]
    return [
        ("nothing", "", "", ""),
        ("one option", "", OPTIONS[0], ""),
        ("one category", f'category == "{CATEGORIES[3]}"', "", "_category_3"),
        ("one month", f"added_at >= {min(month)!r} and added_at <= {max(month)!r}", "", "_month_5"),
        ("one video", f'video_id == "{made[0].id}"', "", ""),
    ]


def month_of(video: MadeVideo) -> str:
    return f"_month_{video.added_at.month % MONTHS}"


def partition_of(video: MadeVideo, option: str, design: str) -> str:
    match design:
        case "category":
            return f"{option}_{video.category.replace(' ', '_')}"
        case "month":
            return f"{option}{month_of(video)}"
        case _:
            return option


def fill(client: Any, design: str, made: list[MadeVideo], profile: dict[str, Any]) -> None:
    """A collection named after its design, stored video by video as the app stores them."""
    create(client, design, profile)
    known: set[str] = set()
    for video in made:
        for option, vectors in zip(OPTIONS, video.vectors, strict=True):
            partition = partition_of(video, option, design)
            if partition not in known:
                client.create_partition(design, partition)
                known.add(partition)
            client.upsert(design, rows_of(video, option, vectors), partition_name=partition)
        if profile is LiteFile.indexes[0]:
            client.flush(design)
    if profile is Server.indexes[0]:
        client.flush(design)
        wait_for_index(client, design)


def wait_for_index(client: Any, collection: str) -> None:
    """Until a server has built all that it can of an index."""
    before: dict[str, Any] = {}
    while True:
        now = client.describe_index(collection, "embedding")
        if now == before and now["pending_index_rows"] == 0 and now["state"] == "Finished":
            return
        before = now
        time.sleep(2)


def create(client: Any, collection: str, profile: dict[str, Any]) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=256, is_primary=True)
    for name in ("video_id", "category"):
        schema.add_field(name, DataType.VARCHAR, max_length=256)
    for name in SCALARS:
        schema.add_field(name, DataType.DOUBLE)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(collection, schema=schema)
    index = client.prepare_index_params()
    index.add_index("embedding", metric_type="COSINE", **profile)
    client.create_index(collection, index)
    client.load_collection(collection)


def rows_of(video: MadeVideo, option: str, vectors: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{video.id}:{option}:{place}",
            "video_id": video.id,
            "category": video.category,
            "start_offset_sec": place * SEGMENT_SEC,
            "end_offset_sec": (place + 1) * SEGMENT_SEC,
            "added_at": video.added_at.timestamp(),
            "embedding": vector,
        }
        for place, vector in enumerate(vectors)
    ]


if __name__ == "__main__":
    main()
