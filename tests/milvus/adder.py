"""Adds videos from several threads until it is killed, and says which ones were acknowledged."""

from __future__ import annotations

import os
import sys
import threading

from core.store import VectorStore
from tests.milvus.rows import ADDED_AT, embedded, open_store

THREADS = 4
OPTIONS = ("visual", "audio")


def segments_of(video_id: str) -> int:
    return 3 + sum(map(ord, video_id)) % 40


def add(store: VectorStore, name: str) -> None:
    for number in range(10_000):
        video_id = f"{name}-{number}"
        store.upsert(
            video_id, "", ADDED_AT, embedded(video_id, segments_of(video_id), options=OPTIONS)
        )
        os.write(sys.stdout.fileno(), f"{video_id}\n".encode())


if __name__ == "__main__":
    opened = open_store(sys.argv[1])
    threads = [
        threading.Thread(target=add, args=(opened, f"{sys.argv[2]}-{number}"))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
