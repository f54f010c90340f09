from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.database import Database
from core.models import Vector
from core.query_vectors import QueryVectors
from core.recipe import Part


class Counting:
    """Makes vectors and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[Part] = []

    def __call__(self, part: Part) -> Vector:
        self.asked.append(part)
        return np.array([len(self.asked), 0.5, -1.0], dtype=np.float32)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def embed() -> Counting:
    return Counting()


@pytest.fixture
def vectors(database: Database, embed: Counting) -> QueryVectors:
    return QueryVectors(database, collection="c", embed=embed)


def test_a_part_is_embedded_once_whatever_its_weight(
    vectors: QueryVectors, embed: Counting
) -> None:
    asked: list[Part] = []
    first = vectors.of(Part.text("a red car"), asked=asked)
    again = vectors.of(Part.text("a red car", weight=-1.5), asked=asked)
    assert np.array_equal(first, again)
    assert embed.asked == asked == [Part.text("a red car")]


def test_a_vector_is_there_after_a_restart(
    url: str, vectors: QueryVectors, embed: Counting
) -> None:
    before = vectors.of(Part.image(b"picture"))
    later = Database(url)
    again = QueryVectors(later, collection="c", embed=embed).of(Part.image(b"picture"))
    later.close()
    assert again.dtype == np.float32
    assert np.array_equal(before, again)
    assert len(embed.asked) == 1


def test_another_model_shares_no_vector(
    database: Database, vectors: QueryVectors, embed: Counting
) -> None:
    vectors.of(Part.text("red"))
    QueryVectors(database, collection="other", embed=embed).of(Part.text("red"))
    assert len(embed.asked) == 2


def test_parts_that_differ_in_anything_else_are_embedded_each(
    vectors: QueryVectors, embed: Counting, tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"one")
    different = [
        Part.text("x"),
        Part.image(b"x"),
        Part.image("x"),
        Part.image(b"x", text="y"),
        Part.video(b"x"),
        Part.video(b"x", start=1.0),
        Part.video(b"x", start=1.0, end=2.0),
        Part.video(file),
    ]
    for part in different:
        vectors.of(part)
    file.write_bytes(b"other")
    vectors.of(Part.video(file))
    assert len(embed.asked) == len(different) + 1


def test_a_stored_segment_is_asked_for_each_time(vectors: QueryVectors, embed: Counting) -> None:
    for _ in range(2):
        vectors.of(Part.segment("v:visual:0"))
    assert len(embed.asked) == 2


def test_only_the_newest_are_kept(
    database: Database, embed: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_IN_MEMORY", 2), ("_ON_DISK", 4), ("_LOOK_EVERY", 1)):
        monkeypatch.setattr(f"core.query_vectors.{name}", value)
    vectors = QueryVectors(database, collection="c", embed=embed)
    texts = [Part.text(str(number)) for number in range(6)]
    for text in texts:
        vectors.of(text)
    embed.asked.clear()
    for text in texts[2:]:
        vectors.of(text)
    assert embed.asked == []
    vectors.of(texts[0])
    assert embed.asked == [texts[0]]


def test_a_vector_that_cannot_be_kept_is_still_the_answer(
    database: Database, vectors: QueryVectors, embed: Counting
) -> None:
    with database.session() as session:
        session.connection().exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON query_vectors "
            "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
    assert vectors.of(Part.text("red")).shape == (3,)
    assert len(embed.asked) == 1
