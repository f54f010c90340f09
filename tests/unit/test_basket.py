from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from core.basket import Basket
from core.database import Database
from core.models import Filters, Finding, Video
from core.recipe import Part, Recipe
from core.searches import Searches
from tests.found import film, finding, noted

FILM = film(rate=Fraction(30_000, 1001))


class Shop:
    """Baskets of several collections over one database, and the videos that are in the library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.videos = {FILM.id: FILM}
        self.database = Database(f"sqlite:///{folder / 'state.db'}")

    def basket(self, collection: str = "c") -> Basket:
        searches = Searches(self.database, self.folder, collection=collection)
        return Basket(
            self.database,
            collection=collection,
            videos=lambda: self.videos,
            as_kept=searches.as_kept,
            as_usable=searches.as_usable,
        )

    def restart(self) -> None:
        self.database.close()
        self.database = Database(f"sqlite:///{self.folder / 'state.db'}")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    opened = Shop(tmp_path)
    yield opened
    opened.database.close()


def some(count: int, video: Video = FILM) -> list[Finding]:
    return [finding(video, n * 6.0, n * 6.0 + 5.0, rank=n + 1) for n in range(count)]


def as_put_in(found: Finding) -> Finding:
    """Without what the basket adds."""
    return replace(found, added_at=None, exported_at=None)


def test_findings_come_out_as_they_were_put_in_and_in_that_order(shop: Shop) -> None:
    found = [noted(some(3)[2], "a note", "one", "two"), *some(2)]
    found[1] = replace(found[1], recipe=Recipe.parse("door then dog"), filters=Filters(start=2.0))
    assert shop.basket().add(found) == 3
    assert [as_put_in(item) for item in shop.basket().items()] == found


def test_it_outlives_a_restart_and_searches(shop: Shop) -> None:
    shop.basket().add(some(3))
    before = shop.basket().items()
    shop.restart()
    assert shop.basket().items() == before
    now = datetime.now(UTC)
    assert all(item.added_at and now - item.added_at < timedelta(minutes=5) for item in before)


def test_what_is_in_it_already_stays_as_it_is(shop: Shop) -> None:
    basket = shop.basket()
    basket.add(some(2))
    basket.note("film:0-5000", "mine")
    assert basket.add([noted(some(1)[0], "another"), *some(4)[3:], *some(4)[3:]]) == 1
    assert [(item.id, item.note) for item in basket.items()] == [
        ("film:0-5000", "mine"),
        ("film:6000-11000", ""),
        ("film:18000-23000", ""),
    ]
    assert basket.ids() == {item.id for item in basket.items()}


def test_the_video_of_an_item_says_when_it_was_removed(shop: Shop) -> None:
    shop.basket().add(some(1))
    shop.videos = {}
    (item,) = shop.basket().items()
    assert item.moment.video == replace(FILM, removed=True)
    shop.videos = {FILM.id: replace(FILM, title="Back again")}
    (item,) = shop.basket().items()
    assert item.moment.video == replace(FILM, title="Back again")


def test_notes_and_tags_are_kept_clean(shop: Shop) -> None:
    basket = shop.basket()
    basket.add(some(1))
    (item,) = basket.items()
    basket.note(item.id, "  two\nlines  ")
    basket.tag(item.id, [" night  shot ", "", "night shot", "x" * 300])
    (item,) = basket.items()
    assert (item.note, item.tags) == ("two\nlines", ("night shot", "x" * 100))
    basket.note(item.id, "")
    basket.tag(item.id, [])
    assert (basket.items()[0].note, basket.items()[0].tags) == ("", ())


def test_a_note_with_half_a_character_is_kept_as_text(shop: Shop) -> None:
    basket = shop.basket()
    basket.add(some(1))
    basket.note("film:0-5000", "a\ud800b")
    basket.tag("film:0-5000", ["a\ud800b"])
    (item,) = basket.items()
    assert (item.note, item.tags) == ("a?b", ("a?b",))


def test_items_are_taken_out_and_unknown_ones_need_nothing(shop: Shop) -> None:
    basket = shop.basket()
    basket.add(some(3))
    basket.remove(["film:6000-11000", "unknown"])
    assert [item.id for item in basket.items()] == ["film:0-5000", "film:12000-17000"]
    basket.note("unknown", "x")
    basket.clear()
    assert basket.items() == []


def test_what_was_exported_is_marked_also_outside_the_basket_and_after_it_is_cleared(
    shop: Shop,
) -> None:
    basket = shop.basket()
    basket.add(some(2))
    ids = [found.id for found in some(3)]
    basket.mark_exported(ids[1:])
    assert basket.exported(ids) == set(ids[1:])
    assert basket.exported([]) == set()
    first, second = basket.items()
    assert first.exported_at is None
    assert second.exported_at is not None
    basket.clear()
    shop.restart()
    assert shop.basket().exported(ids) == set(ids[1:])
    shop.basket().mark_exported([ids[1], ids[1]])
    assert shop.basket().exported(ids) == set(ids[1:])


def test_each_collection_has_its_own(shop: Shop) -> None:
    shop.basket("a").add(some(2))
    shop.basket("a").mark_exported(["film:0-5000"])
    assert shop.basket("b").items() == []
    assert shop.basket("b").exported(["film:0-5000"]) == set()
    shop.basket("b").clear()
    assert len(shop.basket("a").items()) == 2


def test_a_picture_that_was_asked_with_is_kept_as_long_as_the_item(
    shop: Shop, tmp_path: Path
) -> None:
    recipe = Recipe((Part.image(b"a picture", text="red"),))
    shop.basket().add([replace(some(1)[0], recipe=recipe)])
    searches = Searches(shop.database, tmp_path, collection="c")
    (kept,) = (tmp_path / "searches").iterdir()
    os.utime(kept, (0, 0))
    searches.drop_unused_media()
    (item,) = shop.basket().items()
    assert isinstance(item.recipe.parts[0].source, Path)
    assert item.recipe.parts[0].source.read_bytes() == b"a picture"
    shop.basket().clear()
    searches.drop_unused_media()
    assert not kept.exists()


def test_an_item_that_cannot_be_read_hides_no_other(shop: Shop, tmp_path: Path) -> None:
    shop.basket().add(some(2))
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("UPDATE basket SET finding = '{}' WHERE id = 'film:0-5000'")
    assert [item.id for item in shop.basket().items()] == ["film:6000-11000"]


def test_two_who_put_in_the_same_at_once_put_it_in_once(shop: Shop) -> None:
    basket = shop.basket()
    added: list[int] = []
    threads = [
        threading.Thread(target=lambda: added.append(basket.add(some(200)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [0, 0, 0, 200]
    assert len(basket.items()) == 200


def test_16384_findings_go_in_and_come_out(shop: Shop) -> None:
    basket = shop.basket()
    found = [finding(FILM, n * 0.2, n * 0.2 + 5.0, rank=n + 1) for n in range(16_384)]
    begun = time.process_time()
    assert basket.add(found) == 16_384
    basket.mark_exported([one.id for one in found])
    assert len(basket.exported([one.id for one in found])) == 16_384
    assert len(basket.items()) == 16_384
    basket.remove([one.id for one in found])
    assert basket.items() == []
    assert time.process_time() - begun < 60
