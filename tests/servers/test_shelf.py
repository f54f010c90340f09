"""What one server changes, the others show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from core.database import Database
from core.models import Segment, Video
from core.shelf import Shelf
from core.state import State, StoredVideo

WAIT_SEC = 20.0


@pytest.fixture(scope="module")
def databases(postgres_url_of_module: str) -> Iterator[list[Database]]:
    """One for each of two servers."""
    with (
        closing(Database(postgres_url_of_module)) as first,
        closing(Database(postgres_url_of_module)) as second,
    ):
        yield [first, second]


@pytest.fixture
def shelves(request: pytest.FixtureRequest, databases: list[Database]) -> list[Shelf]:
    return [Shelf(State(database, collection=request.node.name)) for database in databases]


def stored(video_id: str, title: str = "") -> StoredVideo:
    added_at = datetime(2026, 1, 1, tzinfo=UTC)
    video = Video(video_id, title, f"https://a.example/{video_id}", 1.0, "", "m", 1, added_at)
    segment = Segment(f"{video_id}:visual:0", video_id, 0.0, 1.0)
    return StoredVideo(video, None, (segment,))


def titles(shelf: Shelf) -> dict[str, str]:
    return {id_: video.title for id_, video in shelf.videos.items()}


def test_what_is_added_renamed_and_removed_is_seen_on_the_other_server(
    shelves: list[Shelf],
) -> None:
    here, there = shelves
    here.put(stored("a", "one"))
    here.put(stored("b", "two"))
    wait_until(lambda: titles(there) == {"a": "one", "b": "two"})
    before = there.version
    there.put(stored("a", "first"))
    wait_until(lambda: titles(here)["a"] == "first")
    here.remove("b")
    wait_until(lambda: titles(there) == {"a": "first"})
    assert there.version > before
    assert there.stored == here.stored


def test_a_video_whose_removal_has_begun_is_shown_nowhere(
    databases: list[Database], shelves: list[Shelf], request: pytest.FixtureRequest
) -> None:
    here, there = shelves
    here.put(stored("a"))
    wait_until(lambda: "a" in there.videos)
    State(databases[0], collection=request.node.name).begin_removal("a")
    wait_until(lambda: "a" not in there.videos)


def test_servers_that_change_videos_at_once_end_with_the_same(shelves: list[Shelf]) -> None:
    def change(number: int) -> None:
        shelf = shelves[number % 2]
        shelf.put(stored(str(number % 5), str(number)))
        if number % 3 == 0:
            shelf.remove(str((number + 1) % 5))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(change, range(40)))
    wait_until(lambda: titles(shelves[0]) == titles(shelves[1]))
    assert titles(shelves[0]) == titles(Shelf(shelves[0]._state))


def test_a_change_waits_for_that_of_another_server_and_then_sees_it(shelves: list[Shelf]) -> None:
    here, there = shelves
    here.put(stored("a", "one"))
    seen: list[str] = []

    def complete() -> None:
        there.complete("a", frame_rate=Fraction(25))
        with there.changing("a"):
            seen.extend(titles(there).values())

    with here.changing("a"):
        other = threading.Thread(target=complete)
        other.start()
        here.put(replace(stored("a"), video=replace(stored("a").video, title="two")))
        other.join(0.3)
        assert other.is_alive()
    other.join(WAIT_SEC)
    assert seen == ["two"]
    wait_until(lambda: here.videos["a"].frame_rate == 25)
    assert titles(here) == {"a": "two"}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
