"""Recipes over the service, whose vectors are bags of words: what they find, and what they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core import Filters, Library, Part, Recipe, Settings, Stage, open_library
from tests.contract.conftest import KEY
from tests.contract.standin import Medium, StandIn, vector
from tests.found import alike

EMBED = "POST /embed-v2"
MODEL = "marengo3.5"
SEGMENT_SEC = 6


@pytest.fixture
def settings(service: StandIn, tmp_path: Path) -> Settings:
    return Settings(
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        twelvelabs_model=MODEL,
        data_dir=tmp_path / "data",
        segment_sec=SEGMENT_SEC,
    )


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with open_library(settings) as opened:
        yield opened


def fill(library: Library, service: StandIn, videos: dict[str, Medium]) -> None:
    """Adds silent videos of these titles, in which the service finds what is given."""
    addresses = {f"https://media.example/{title}.mp4": medium for title, medium in videos.items()}
    service.media.update(addresses)
    jobs = library.wait(library.add(list(addresses)), timeout=60)
    assert [(job.stage, job.error) for job in jobs] == [(Stage.READY, "")] * len(videos)


def about(*words: str) -> Medium:
    return Medium(words, SEGMENT_SEC, has_audio=False)


def showing(*scenes: str) -> Medium:
    """A video with one thing after the other."""
    each = tuple((scene,) for scene in scenes)
    return Medium((), SEGMENT_SEC * len(scenes), has_audio=False, scenes=each)


def scores(library: Library, recipe: Recipe | str) -> dict[str, float]:
    """The score of each video, best first."""
    return {moment.video.title: moment.score for moment in library.search(recipe).moments}


def test_a_minus_part_puts_what_has_it_last(library: Library, service: StandIn) -> None:
    fill(
        library,
        service,
        {"red": about("red", "car"), "blue": about("blue", "car"), "green": about("green", "car")},
    )
    assert list(scores(library, "car -red"))[-1] == "red"
    assert next(iter(scores(library, "red car -blue -green"))) == "red"


def test_weights_count_as_computed(library: Library, service: StandIn) -> None:
    videos = {"red boat": ("red", "boat"), "blue car": ("blue", "car"), "both": ("red", "car")}
    fill(library, service, {title.replace(" ", "-"): about(*w) for title, w in videos.items()})

    def cosine(words: tuple[str, ...], word: str) -> float:
        a, b = vector((*words, "segment0", "visual"), MODEL), vector((word,), MODEL)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    for query, red, car, order in (
        ("red^2 car", 2, 1, ["both", "red-boat", "blue-car"]),
        ("red car^2", 1, 2, ["both", "blue-car", "red-boat"]),
    ):
        found = scores(library, query)
        assert list(found) == order
        expected = {
            title.replace(" ", "-"): (red * cosine(words, "red") + car * cosine(words, "car")) / 3
            for title, words in videos.items()
        }
        assert found == pytest.approx(expected, abs=1e-5)


def test_then_finds_only_what_comes_in_this_order(library: Library, service: StandIn) -> None:
    fill(
        library,
        service,
        {
            "fetches": showing("dog", "park", "ball"),
            "waits": showing("ball", "park", "dog"),
            "no-ball": showing("dog", "park", "cat"),
            "much-later": showing("dog", *["park"] * 6, "ball"),
        },
    )
    matching = Filters(min_score=0.5)
    (pair,) = library.search("dog then ball", filters=matching).moments
    assert pair.then is not None
    assert (pair.video.title, pair.start_offset_sec, pair.then.segment.start_offset_sec) == (
        "fetches",
        0.0,
        2 * SEGMENT_SEC,
    )
    wide = library.search("dog then ball within 60 s", filters=matching).moments
    assert {moment.video.title for moment in wide} == {"fetches", "much-later"}


def test_a_picture_and_words_lie_between_both(
    library: Library, service: StandIn, picture: bytes
) -> None:
    pictured = hashlib.sha256(picture).hexdigest()
    fill(
        library,
        service,
        {"seen": about(pictured), "said": about("car"), "both": about(pictured, "car")},
    )
    image, text = Part.image(picture), Part.text("car")
    seen, said = scores(library, Recipe((image,))), scores(library, Recipe((text,)))
    assert (list(seen), list(said)) == (["seen", "both", "said"], ["said", "both", "seen"])

    for mixed in (Recipe((image, text)), Recipe((Part.image(picture, text="car"),))):
        found = scores(library, mixed)
        assert next(iter(found)) == "both"
        for title in ("seen", "said"):
            low, high = sorted((seen[title], said[title]))
            assert low < found[title] < high


def test_a_part_is_asked_for_once_whatever_its_weight_and_also_after_a_restart(
    settings: Settings, service: StandIn, picture: bytes, half_minute: Path
) -> None:
    def asked() -> int:
        return len(service.asked(EMBED))

    def recipe(weight: float) -> Recipe:
        (known,) = library.search("red car", limit=1).moments
        return Recipe(
            (
                Part.text("red car"),
                Part.text("night", weight=-weight),
                Part.image(picture, weight=weight),
                Part.video(half_minute, start=2.0, end=8.0),
                Part.segment(known.best.segment.id),
                Part.mark(known.best.segment.id, liked=True),
            )
        )

    with open_library(settings) as library:
        fill(library, service, {"red-car": about("red", "car"), "sea": about("blue", "sea")})
        first = library.search(recipe(0.5))
        assert asked() == 4, (
            "the words twice, the picture, the clip; a stored segment costs nothing"
        )
        assert not first.cached
        assert library.search(recipe(0.5)).cached
        other = library.search(recipe(1.5))
        assert asked() == 4
        assert other.cached
        assert [m.score for m in other.moments] != [m.score for m in first.moments]
    with open_library(settings) as library:
        again = library.search(recipe(0.5))
    assert (asked(), again.cached, again.moments) == (4, True, alike(first.moments))
