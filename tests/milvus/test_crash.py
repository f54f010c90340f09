"""What was acknowledged survives a killed process and a full disk."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from milvus_lite.engine.collection import Collection

from core.errors import StoreUnavailable
from core.store import VectorStore, segment_id
from tests.full_disk import files_no_larger_than
from tests.milvus import adder
from tests.milvus.adder import OPTIONS, segments_of
from tests.milvus.rows import ADDED_AT, SEGMENT_SEC, embedded, open_store, vector_of

KILLS = 20
# Each process is forked from one that has imported everything: a fresh one would spend longer on
# that than on the store, which is what is looked at here.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.milvus.adder"])


def test_twenty_killed_processes_lose_no_acknowledged_row(lite_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: list[str] = []
    for round_number in range(KILLS):
        fresh = killed_after(chance.randint(1, 6), lite_path, f"r{round_number}")
        acknowledged += fresh
        with open_store(lite_path) as store:
            check_rows(store, fresh)
    with open_store(lite_path) as store:
        check_rows(store, acknowledged)


def killed_after(videos: int, path: Path, name: str) -> list[str]:
    """Lets a process add until it acknowledged so many videos, kills it, and says which."""
    said, saying = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=adder.add, args=(str(path), name, saying), daemon=True)
    process.start()
    saying.close()  # else the end of the process would not be the end of what it says
    with said:
        try:
            acknowledged = [said.recv() for _ in range(videos)]
        finally:
            process.kill()
            process.join()
        with suppress(EOFError):
            while True:
                acknowledged.append(said.recv())
    return acknowledged


def check_rows(store: VectorStore, acknowledged: list[str]) -> None:
    expected = {
        segment_id(video, option, number * SEGMENT_SEC): vector_of(
            f"{video}/{option}/{number * SEGMENT_SEC}"
        )
        for video in acknowledged
        for number in range(segments_of(video))
        for option in OPTIONS
    }
    stored = store.vectors(list(expected))
    assert expected.keys() == stored.keys()
    for key, vector in expected.items():
        np.testing.assert_array_equal(stored[key], vector)
    found = [scored.segment.id for scored in store.search(vector_of("q"), limit=16_384)]
    assert expected.keys() <= set(found)
    assert len(found) == len(set(found)) == store.count()


def refused_for_want_of_space(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailable as error:
        refusal = error
    else:
        return False
    assert "full" in refusal.message
    assert refusal.hint
    return True


def test_a_write_that_fails_for_want_of_space_loses_nothing_stored_before(
    lite_path: Path,
) -> None:
    before = embedded("before", 40, options=OPTIONS)
    large = embedded("large", 300, options=OPTIONS)
    raw = len(large) * large[0].vector.nbytes
    failures = 0
    with open_store(lite_path) as store:
        kept = store.upsert("before", "", ADDED_AT, before)
        # From "the log cannot be written" to "the log can, the data file cannot" to "all can".
        for share in (0.02, 0.1, 0.3, 0.5, 0.6, 0.8, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5):
            with files_no_larger_than(int(raw * share)):
                failures += refused_for_want_of_space(
                    lambda: store.upsert("large", "", ADDED_AT, large)
                )
            assert set(store.segments([s.id for s in kept])) == set(kept)
            more = f"after-{share}"
            kept += store.upsert(more, "", ADDED_AT, embedded(more, 5, options=OPTIONS))
        again = store.upsert("large", "", ADDED_AT, large)
        assert store.count() == len(kept) + len(again)
    assert failures > 3
    with open_store(lite_path) as store:
        assert store.count() == len(kept) + len(again)
        assert set(store.segments([s.id for s in kept])) == set(kept)


def test_what_goes_on_in_the_background_ends_before_the_file_is_opened_again(
    lite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lite merges files of a size after it has answered. Beside another that has the file open, both
    # remove what the other counts on.
    refused, opened_again = threading.Event(), threading.Event()
    beside_another: list[bool] = []
    merge, recover = Collection._bg_compact_and_index, Collection.__init__

    def late_merge(collection: Any) -> None:
        refused.wait()
        beside_another.append(opened_again.wait(0.5))
        merge(collection)

    def noted_recovery(*args: Any, **kwargs: Any) -> None:
        recover(*args, **kwargs)
        opened_again.set()

    large = embedded("large", 300, options=OPTIONS)
    # Room for the log of one option and for its rows, but not for the log of both: Lite then fails
    # to close the file as well, after it has written the rows it has.
    room = int(0.9 * len(large) * large[0].vector.nbytes)
    with open_store(lite_path) as store:
        monkeypatch.setattr(Collection, "_bg_compact_and_index", late_merge)
        monkeypatch.setattr(Collection, "__init__", noted_recovery)
        kept = [
            segment
            for name in "abcd"
            for segment in store.upsert(name, "", ADDED_AT, embedded(name, 5, options=OPTIONS))
        ]
        with files_no_larger_than(room):
            refused.set()
            assert refused_for_want_of_space(lambda: store.upsert("large", "", ADDED_AT, large))
        assert set(store.segments([s.id for s in kept])) == set(kept)
        assert opened_again.is_set()
        assert len(beside_another) >= 4
        assert not any(beside_another[:4])
    with open_store(lite_path) as store:
        assert set(store.segments([s.id for s in kept])) == set(kept)


def test_while_the_disk_is_full_calls_fail_with_the_reason_and_not_with_wrong_answers(
    lite_path: Path,
) -> None:
    with open_store(lite_path) as store:
        kept = store.upsert("before", "", ADDED_AT, embedded("before", 300, options=OPTIONS))
        with files_no_larger_than(1000):
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="full"):
                    store.upsert("large", "", ADDED_AT, embedded("large", 300, options=OPTIONS))
                found: list[int] = []
                if not refused_for_want_of_space(
                    lambda found=found: found.append(len(store.search(vector_of("q"), limit=5000)))
                ):
                    assert found == [len(kept)]
        assert store.count() == len(kept)


def test_a_disk_with_too_little_room_is_reported_before_anything_is_written(
    lite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(lite_path) as store:
        kept = store.upsert("v", "", ADDED_AT, embedded("v", 3))
        usage = shutil.disk_usage(lite_path)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 * 2**20))
            with pytest.raises(StoreUnavailable, match="only 5 MB left"):
                store.upsert("w", "", ADDED_AT, embedded("w", 3))
            assert store.count() == len(kept)
            store.delete([kept[0].id])
        assert store.count() == len(kept) - 1
