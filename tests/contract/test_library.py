"""The whole library over the Twelve Labs service: add, search, restart, search again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core import Library, Moment, Part, Recipe, Settings, Stage, open_library
from tests.contract.conftest import KEY
from tests.contract.standin import StandIn
from tests.found import alike

URLS = [
    "https://media.example/red-car-on-street.mp4",
    "https://media.example/blue-sea-at-night.mp4",
]


def answers(library: Library, half_minute: Path, picture: bytes) -> list[tuple[Moment, ...]]:
    """What the library answers to words, to a picture and to a clip."""
    recipes = [
        Recipe.parse("red car"),
        Recipe((Part.image(picture),)),
        Recipe((Part.image(picture, text="blue sea"),)),
        Recipe((Part.video(half_minute, start=2.0, end=8.0),)),
    ]
    return [library.search(recipe).moments for recipe in recipes]


@pytest.mark.parametrize("model", ["marengo3.5", "marengo3.0"])
def test_two_urls_and_a_file_are_found_and_a_restart_gives_the_same_answers(
    service: StandIn, tmp_path: Path, half_minute: Path, picture: bytes, model: str
) -> None:
    settings = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        twelvelabs_model=model,
        data_dir=tmp_path / "data",
    )
    with open_library(settings) as library:
        jobs = library.wait(library.add([*URLS, half_minute], category="trial"), timeout=90)
        assert [(job.stage, job.error) for job in jobs] == [(Stage.READY, "")] * 3
        assert all(job.task_id for job in jobs)
        before = answers(library, half_minute, picture)
    assert [found[0].video.title for found in (before[0], before[2])] == [
        "red-car-on-street",
        "blue-sea-at-night",
    ]
    for found in before:
        assert list(found) == sorted(found, key=lambda moment: -moment.score)

    tasks = len(service.tasks)
    with open_library(settings) as library:
        assert {video.model for video in library.videos()} == {model}
        assert answers(library, half_minute, picture) == [alike(found) for found in before]
    assert len(service.tasks) == tasks == 3


def test_a_wrong_key_pauses_the_queue_once_and_the_right_one_goes_on(
    service: StandIn, tmp_path: Path
) -> None:
    wrong = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key="tlk_wrong",
        twelvelabs_base_url=service.url,
        data_dir=tmp_path / "data",
    )
    with open_library(wrong) as library:
        jobs = library.wait(library.add(URLS), timeout=60)
        assert [job.stage for job in jobs] == [Stage.QUEUED] * 2
        queue = library.queue()
        assert queue.paused == "service"
        assert "key" in f"{queue.reason} {queue.hint}"
        assert "tlk_wrong" not in f"{queue.reason} {queue.hint}"
    with open_library(replace(wrong, twelvelabs_api_key=KEY)) as library:
        assert [job.stage for job in library.wait(timeout=60)] == [Stage.READY] * 2
        assert library.queue().paused == ""
    assert len(service.tasks) == 2
