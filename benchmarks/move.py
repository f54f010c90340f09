"""A library on its way to a Milvus server and back: `python -m benchmarks.move [rows]`.

Moves 100,000 rows of 512 numbers, unless told otherwise, from a file to a server and from there to
another file. Each way is killed once in its middle and goes on. Prints how long each took, and
whether what came back is the same: ids, fields, the bytes of all vectors, and the answers.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpus
from core import Settings
from core.models import Vector
from core.move import move
from core.store import Row, VectorStore
from tests.milvus_server import running_milvus

ROWS = 100_000
QUERIES = 50
LIMIT = 10


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with (
        tempfile.TemporaryDirectory() as folder,
        running_milvus(Path(folder) / "server") as server,
    ):
        settings = Settings(data_dir=Path(folder) / "data")
        rows = fill(settings.milvus_uri, rows)
        back = str(settings.data_dir / "back.db")
        print(f"{rows:,} rows of {corpus.DIMENSION} numbers, one kill on each way")
        for way, source, target in (
            ("file to server", settings.milvus_uri, server),
            ("server to file", server, back),
        ):
            first, second = move_with_a_kill(settings, source, target, rows // 2)
            print(f"{way}: {first:.0f} s until it was killed, then {second:.0f} s to its end")
        compare(settings.milvus_uri, back, "the file that came back")
        compare(settings.milvus_uri, server, "the server")


def fill(uri: str, rows: int) -> int:
    """Stores a library of about so many rows; says how many they are."""
    with opened(uri) as store:
        for video in corpus.videos(rows):
            store.upsert(video.id, video.category, video.added_at, video.embedded())
        return store.count()


def opened(uri: str) -> VectorStore:
    return VectorStore(uri, embedder="bench", model="move", dimension=corpus.DIMENSION)


def move_with_a_kill(
    settings: Settings, source: str, target: str, kill_at: int
) -> tuple[float, float]:
    """Moves, and kills the first try once `kill_at` rows are copied. Seconds of that try, and what
    the second one took."""
    begun = time.perf_counter()
    process = multiprocessing.get_context("spawn").Process(
        target=move, args=(settings,), kwargs={"source": source, "to": target}, daemon=True
    )
    process.start()
    while copied(settings) < kill_at:
        if not process.is_alive():
            raise SystemExit("The move ended before it could be killed.")
        time.sleep(0.01)
    process.kill()
    process.join()
    killed = time.perf_counter()
    move(settings, source=source, to=target)
    return killed - begun, time.perf_counter() - killed


def copied(settings: Settings) -> int:
    notes = (json.loads(path.read_text()) for path in settings.data_dir.glob("move-*.json"))
    return sum(rows for note in notes for _, rows in note.values())


def compare(before: str, after: str, name: str) -> None:
    """Prints whether two places hold the same rows and give the same answers."""
    rows, others = rows_of(before), rows_of(after)
    same = rows.keys() == others.keys() and all(
        row["embedding"].tobytes() == others[key]["embedding"].tobytes()
        and without_vector(row) == without_vector(others[key])
        for key, row in rows.items()
    )
    print(f"{name} holds the same {len(rows):,} ids, fields and vectors: {same}")
    queries = [row["embedding"] for row in list(rows.values())[:: len(rows) // QUERIES]]
    answers, other_answers = answers_of(before, queries), answers_of(after, queries)
    shared = sum(len(set(a) & set(b)) for a, b in zip(answers, other_answers, strict=True))
    print(f"{name} gives the same first {LIMIT}: {shared / sum(map(len, answers)):.4f}")


def rows_of(uri: str) -> dict[str, Row]:
    with opened(uri) as store:
        return {row["id"]: row for page in store.pages() for row in page}


def without_vector(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "embedding"}


def answers_of(uri: str, queries: Sequence[Vector]) -> list[list[str]]:
    with opened(uri) as store:
        return [
            [scored.segment.id for scored in store.search(query, limit=LIMIT)] for query in queries
        ]


if __name__ == "__main__":
    main()
