"""Clips to search with that are longer than the service takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import Library, Part, Recipe, RecipeError, Settings, open_library
from tests.contract.conftest import KEY
from tests.contract.standin import StandIn
from tests.media import make_video
from tests.web import Page, Web

EMBED = "POST /embed-v2"


@pytest.fixture
def settings(service: StandIn, tmp_path: Path) -> Settings:
    return Settings(
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        data_dir=tmp_path / "data",
        price_per_minute=1.0,
        allow_private_urls=True,
    )


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with open_library(settings) as opened:
        yield opened


def test_a_long_clip_is_read_in_pieces_and_the_user_is_told(
    library: Library, service: StandIn, long_video: Path
) -> None:
    result = library.search(Recipe((Part.video(long_video),)))
    assert len(service.asked(EMBED)) == 2
    assert result.notes == (
        "The clip of 36 s was read in 2 pieces, as marengo3.5 takes 30 s at a time.",
    )
    assert not result.cached
    minutes = sum(entry.minutes or 0.0 for entry in library.ledger())
    assert minutes == pytest.approx(36 / 60, abs=0.001)


def test_the_pieces_are_not_asked_for_again_even_after_a_restart(
    settings: Settings, service: StandIn, long_video: Path
) -> None:
    recipe = Recipe((Part.video(long_video, weight=0.5),))
    with open_library(settings) as library:
        first = library.search(recipe)
        assert library.search(recipe).cached
    with open_library(settings) as library:
        again = library.search(recipe)
    assert (again.cached, again.notes) == (True, first.notes)
    assert len(service.asked(EMBED)) == 2


def test_the_direction_of_a_long_clip_is_that_of_its_pieces_together(
    library: Library, long_video: Path
) -> None:
    library.wait(library.add(["https://media.example/red-car-on-street.mp4"]), timeout=60)
    whole = library.search(Recipe((Part.video(long_video),)))
    halves = (
        Part.video(long_video, start=0.0, end=17.999),
        Part.video(long_video, start=18.0, end=35.999),
    )
    both = library.search(Recipe(halves))
    assert both.cached
    assert whole.moments
    assert [m.best.segment for m in whole.moments] == [m.best.segment for m in both.moments]


def test_of_a_very_long_clip_the_first_ten_pieces_count(
    library: Library, service: StandIn, tmp_path: Path
) -> None:
    film = make_video(tmp_path / "film.mp4", seconds=330, fps=1, size=(160, 160), audio=False)
    result = library.search(Recipe((Part.video(film, start=10),)))
    assert len(service.asked(EMBED)) == 10
    (note,) = result.notes
    assert note.startswith("Only the first 300 s of the clip's 320 s count, in 10 pieces")


def test_a_stretch_that_fits_is_one_piece(
    library: Library, service: StandIn, long_video: Path
) -> None:
    assert library.search(Recipe((Part.video(long_video, start=4, end=34),))).notes == ()
    assert library.search(Recipe((Part.video(long_video, start=10),))).notes == ()
    assert len(service.asked(EMBED)) == 2


def test_a_long_clip_at_an_address_is_cut_too_and_one_that_cannot_be_read_goes_as_it_is(
    library: Library, service: StandIn, web: Web, long_video: Path
) -> None:
    url = web.put("/long.mp4", Page(long_video.read_bytes()))
    assert library.search(Recipe((Part.video(url),))).notes
    assert len(service.asked(EMBED)) == 2
    unread = "https://media.example/long-road.mp4"
    assert library.search(Recipe((Part.video(unread),))).notes == ()
    assert len(service.asked(EMBED)) == 3


def test_a_stretch_without_length_is_refused_before_anything_is_asked(
    library: Library, service: StandIn, long_video: Path
) -> None:
    with pytest.raises(RecipeError, match="nothing between"):
        library.search(Recipe((Part.video(long_video, start=5, end=5),)))
    assert not service.asked(EMBED)
