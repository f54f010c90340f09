"""All vectors of one option: read once, kept on disk, and never a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import JobCancelled
from core.models import Segment, Vector
from core.state import StoredVideo
from core.table import Tables
from tests.found import film

DIMENSION = 8


class Store:
    """Vectors by id, and how many were asked for."""

    def __init__(self) -> None:
        self.vectors: dict[str, Vector] = {}
        self.read = 0

    def video(self, name: str, starts: Sequence[float], option: str = "visual") -> StoredVideo:
        segments = tuple(
            Segment(f"{name}:{option}:{start}", name, start, start + 4, "clip", option)
            for start in starts
        )
        for segment in segments:
            seed = np.random.default_rng(abs(hash(segment.id)))
            self.vectors[segment.id] = seed.normal(size=DIMENSION).astype(np.float32)
        return StoredVideo(film(name), None, segments)

    def __call__(self, ids: Sequence[str]) -> dict[str, Vector]:
        self.read += len(ids)
        return {key: self.vectors[key] for key in ids if key in self.vectors}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def tables(store: Store, tmp_path: Path) -> Tables:
    return Tables(store, tmp_path / "explore", DIMENSION)


def test_rows_stand_by_video_and_start_with_their_vectors(store: Store, tables: Tables) -> None:
    stored = [store.video("b", [0.0]), store.video("a", [8.0, 0.0, 4.0])]
    table = tables.of(stored, "visual")
    ids = ["a:visual:0.0", "a:visual:4.0", "a:visual:8.0", "b:visual:0.0"]
    assert [segment.id for segment in table.segments] == ids
    assert np.array_equal(table.vectors, np.stack([store.vectors[key] for key in ids]))
    assert (table.video_ids, table.videos.tolist()) == (("a", "b"), [0, 0, 0, 1])
    assert table.starts.tolist() == [0.0, 4.0, 8.0, 0.0]
    assert table.ends.tolist() == [4.0, 8.0, 12.0, 4.0]


def test_other_options_are_left_out(store: Store, tables: Tables) -> None:
    stored = [store.video("a", [0.0]), store.video("b", [0.0, 4.0], "audio")]
    assert len(tables.of(stored, "audio").segments) == 2
    assert len(tables.of(stored, "transcription").segments) == 0


def test_nothing_is_read_twice_and_of_a_changed_library_only_what_is_new(
    store: Store, tables: Tables
) -> None:
    stored = [store.video("a", [0.0, 4.0])]
    tables.of(stored, "visual")
    tables.of(stored, "visual")
    assert store.read == 2
    stored.append(store.video("b", [0.0, 4.0, 8.0]))
    table = tables.of(stored, "visual")
    assert store.read == 5
    assert np.array_equal(table.vectors[3], store.vectors["b:visual:4.0"])
    assert len(tables.of(stored[1:], "visual").segments) == 3
    assert store.read == 5


def test_another_process_finds_what_this_one_has_read(
    store: Store, tables: Tables, tmp_path: Path
) -> None:
    stored = [store.video("a", [0.0, 4.0])]
    first = tables.of(stored, "visual")
    second = Tables(store, tmp_path / "explore", DIMENSION).of(stored, "visual")
    assert store.read == 2
    assert np.array_equal(first.vectors, second.vectors)


def test_a_damaged_file_is_read_again_from_the_store(
    store: Store, tables: Tables, tmp_path: Path
) -> None:
    stored = [store.video("a", [0.0, 4.0])]
    tables.of(stored, "visual")
    (path,) = (tmp_path / "explore").glob("*.npy")
    for damage in (b"", b"nonsense", path.read_bytes()[:-5]):
        path.write_bytes(damage)
        table = Tables(store, tmp_path / "explore", DIMENSION).of(stored, "visual")
        assert np.array_equal(table.vectors[1], store.vectors["a:visual:4.0"])


def test_without_room_on_the_disk_it_works_from_memory(store: Store, tmp_path: Path) -> None:
    (tmp_path / "explore").write_text("a file where the folder would be")
    tables = Tables(store, tmp_path / "explore", DIMENSION)
    stored = [store.video("a", [0.0, 4.0])]
    assert len(tables.of(stored, "visual").segments) == 2
    tables.of(stored, "visual")
    assert store.read == 2


def test_rows_that_the_store_has_lost_are_left_out(store: Store, tables: Tables) -> None:
    stored = [store.video("a", [0.0, 4.0, 8.0])]
    del store.vectors["a:visual:4.0"]
    table = tables.of(stored, "visual")
    assert [segment.start_offset_sec for segment in table.segments] == [0.0, 8.0]
    assert np.array_equal(table.vectors[1], store.vectors["a:visual:8.0"])


def test_reading_tells_how_far_it_is_and_can_be_cancelled(store: Store, tables: Tables) -> None:
    stored = [store.video("a", [float(start) for start in range(0, 12_000, 4)])]
    fractions: list[float] = []
    tables.of(stored, "visual", fractions.append)
    assert fractions == sorted(fractions)
    assert len(fractions) == 3

    def cancelled(_: float) -> None:
        raise JobCancelled("no", "no")

    with pytest.raises(JobCancelled):
        tables.of([replace(stored[0]), store.video("b", [0.0])], "visual", cancelled)
    assert len(tables.of(stored, "visual").segments) == 3000


def test_dropped_tables_leave_nothing_behind(store: Store, tables: Tables, tmp_path: Path) -> None:
    stored = [store.video("a", [0.0])]
    tables.of(stored, "visual")
    tables.drop()
    assert list((tmp_path / "explore").iterdir()) == []
    assert len(tables.of(stored, "visual").segments) == 1
    assert store.read == 2


def test_what_is_dropped_while_it_is_read_is_not_kept(
    store: Store, tables: Tables, tmp_path: Path
) -> None:
    stored = [store.video("a", [0.0, 4.0])]
    table = tables.of(stored, "visual", on_progress=lambda _: tables.drop())
    assert len(table.segments) == 2
    assert not list((tmp_path / "explore").glob("*"))
    tables.of(stored, "visual")
    assert store.read == 4
