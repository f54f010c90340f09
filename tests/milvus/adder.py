"""Adds videos from several threads until it is killed, and says which ones were acknowledged."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection

from core.store import VectorStore
from tests.milvus.rows import ADDED_AT, embedded, open_store

THREADS = 4
OPTIONS = ("visual", "audio")


def segments_of(video_id: str) -> int:
    return 3 + sum(map(ord, video_id)) % 40


def add(path: str, name: str, acknowledged: Connection) -> None:
    saying = threading.Lock()

    def add_videos(store: VectorStore, name: str) -> None:
        for number in range(10_000):
            video_id = f"{name}-{number}"
            segments = embedded(video_id, segments_of(video_id), options=OPTIONS)
            store.upsert(video_id, "", ADDED_AT, segments)
            with saying:
                acknowledged.send(video_id)

    with open_store(path) as store:
        threads = [
            threading.Thread(target=add_videos, args=(store, f"{name}-{number}"))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
