from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.database import Database
from core.errors import MediaError
from core.media_store import MediaStore
from core.models import Filters
from core.recipe import Part, Recipe
from core.searches import HISTORY, Searches

RED = Recipe((Part.text("red car"),))
BLUE = Recipe((Part.text("blue car", weight=1.5), Part.text("night", weight=-1.0)))
FILTERS = Filters(
    video_ids=("a", "b"),
    option_weights=(("visual", 1.0), ("audio", 0.5)),
    min_score=0.2,
    added_after=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.fixture
def searches(database: Database, tmp_path: Path) -> Searches:
    return Searches(database, tmp_path, collection="c")


def test_a_search_comes_back_as_it_was_made(searches: Searches) -> None:
    recipe = Recipe(
        (Part.image(b"picture", weight=0.5), Part.mark("v:visual:0", liked=True)),
        then=Recipe((Part.text("a dog"),)),
        within_sec=12.0,
    )
    saved = searches.get(searches.keep(recipe, FILTERS))
    assert saved is not None
    assert saved.filters == FILTERS
    assert (saved.recipe.then, saved.recipe.within_sec) == (recipe.then, 12.0)
    assert saved.recipe.parts[1:] == recipe.parts[1:]
    picture = saved.recipe.parts[0].source
    assert isinstance(picture, Path)
    assert picture.read_bytes() == b"picture"


def test_the_same_search_has_one_short_id(searches: Searches) -> None:
    first = searches.keep(RED, Filters())
    assert searches.keep(RED, Filters()) == first
    assert len(first) == 10
    assert searches.keep(RED, FILTERS) != first
    assert searches.keep(BLUE, Filters()) != first
    assert len(searches.history()) == 3


def test_an_unknown_id_is_no_search(searches: Searches) -> None:
    assert searches.get("nothing") is None


def test_the_history_is_newest_first_and_a_search_made_again_is_the_newest(
    searches: Searches,
) -> None:
    red, blue = searches.keep(RED, Filters()), searches.keep(BLUE, Filters())
    assert [search.id for search in searches.history()] == [blue, red]
    searches.keep(RED, Filters())
    assert [search.id for search in searches.history()] == [red, blue]


def test_the_history_ends_after_its_last_steps_and_named_ones_stay(searches: Searches) -> None:
    named = searches.keep(RED, Filters())
    searches.rename(named, "  Red   cars ")
    for number in range(HISTORY + 5):
        searches.keep(Recipe((Part.text(str(number)),)), Filters())
    assert len([search for search in searches.history() if not search.name]) == HISTORY
    assert [search.name for search in searches.named()] == ["Red cars"]


def test_a_search_is_renamed_forgotten_and_the_history_cleared(searches: Searches) -> None:
    red, blue = searches.keep(RED, Filters()), searches.keep(BLUE, Filters())
    searches.rename(red, "red")
    searches.forget_history()
    assert [search.id for search in searches.history()] == [red]
    assert searches.get(blue) is None
    searches.forget(red)
    assert searches.history() == []


def test_collections_have_searches_of_their_own(
    searches: Searches, database: Database, tmp_path: Path
) -> None:
    kept = searches.keep(RED, Filters())
    other = Searches(database, tmp_path, collection="other")
    assert (other.get(kept), other.history()) == (None, [])


def test_media_are_kept_once_and_move_with_the_data_folder(
    searches: Searches, database: Database, tmp_path: Path
) -> None:
    picture = searches.keep_media(b"picture", ".PNG")
    assert searches.keep_media(b"picture", ".PNG") == picture
    assert picture.suffix == ".png"
    kept = searches.keep(Recipe((Part.image(picture),)), Filters())
    moved = tmp_path / "moved"
    moved.mkdir()
    picture.parent.rename(moved / "searches")
    saved = Searches(database, moved, collection="c").get(kept)
    assert saved is not None
    assert saved.recipe.parts[0].source == moved / "searches" / picture.name


def test_media_that_no_search_asks_with_are_dropped_after_a_day(searches: Searches) -> None:
    wanted, fresh, old = (searches.keep_media(name, ".png") for name in (b"1", b"2", b"3"))
    searches.keep(Recipe((Part.image(wanted),)), Filters())
    for path in (wanted, old):
        os.utime(path, (0.0, time.time() - 2 * 24 * 3600))
    searches.drop_unused_media()
    assert (wanted.exists(), fresh.exists(), old.exists()) == (True, True, False)


def test_a_disk_that_takes_no_media_says_so(database: Database, tmp_path: Path) -> None:
    (tmp_path / "searches").write_text("in the way")
    with pytest.raises(MediaError, match="could not be kept"):
        Searches(database, tmp_path, collection="c").keep_media(b"1", ".png")


def test_a_record_that_cannot_be_read_is_left_out_of_the_history(
    searches: Searches, database: Database
) -> None:
    red = searches.keep(RED, Filters())
    searches.keep(BLUE, Filters())
    with database.session() as session:
        session.connection().exec_driver_sql(
            "UPDATE searches SET recipe = 'nonsense' WHERE id != ?", (red,)
        )
    assert [search.id for search in searches.history()] == [red]


def test_what_a_search_asks_with_is_had_from_the_media_store_by_another_server(
    database: Database, tmp_path: Path
) -> None:
    def server(name: str) -> Searches:
        return Searches(database, tmp_path / name, collection="c", shared=MediaStore(shared))

    shared = tmp_path / "shared"
    kept = server("first").keep(Recipe((Part.image(b"picture"),)), Filters())
    saved = server("second").get(kept)
    assert saved is not None
    picture = saved.recipe.parts[0].source
    assert isinstance(picture, Path)
    assert (picture.parent, picture.read_bytes()) == (tmp_path / "second/searches", b"picture")
    first = server("first")
    first.forget(kept)
    (old,) = (tmp_path / "first" / "searches").iterdir()
    os.utime(old, (0.0, time.time() - 2 * 24 * 3600))
    first.drop_unused_media()
    assert [path for path in shared.rglob("*") if path.is_file()] == []


def test_a_search_is_shown_though_its_picture_is_nowhere(
    database: Database, tmp_path: Path
) -> None:
    kept = Searches(database, tmp_path / "first", collection="c").keep(
        Recipe((Part.image(b"picture"),)), Filters()
    )
    store = MediaStore(tmp_path / "shared")
    saved = Searches(database, tmp_path / "second", collection="c", shared=store).get(kept)
    assert saved is not None
    assert not saved.recipe.parts[0].source.exists()  # type: ignore[union-attr]
