"""The settings name another model: the library answers as before until everything is embedded anew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core import (
    Filters,
    Library,
    ModelChange,
    SeekpointError,
    Settings,
    Stage,
    open_library,
)
from tests.contract.conftest import KEY
from tests.contract.standin import StandIn

CREATE = "POST /embed-v2/tasks"
TIMEOUT = 60
FOR_EVER_SEC = 3600.0


@pytest.fixture
def before(tmp_path: Path) -> Settings:
    return Settings(embedder="local", data_dir=tmp_path / "data")


@pytest.fixture
def after(before: Settings, service: StandIn) -> Settings:
    return replace(
        before,
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        price_per_minute=6.0,
    )


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, silent: Path, half_minute: Path) -> Path:
    """The data folder of a library that the built-in model has embedded, with something kept from
    a search; made once."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    with open_library(Settings(embedder="local", data_dir=folder)) as library:
        add(library, silent, category="water")
        add(library, half_minute, category="boats")
        result = library.search("a lake")
        library.searches.rename(library.searches.keep(result.recipe, Filters()), "Lakes")
        library.basket.add(library.findings(result)[:1])
    return folder


@pytest.fixture
def old(before: Settings, embedded: Path) -> Settings:
    """Such a library, which a test may change."""
    shutil.copytree(embedded, before.data_dir)
    return before


def add(library: Library, *paths: Path, category: str = "") -> None:
    jobs = library.wait(library.add(paths, category=category), timeout=TIMEOUT)
    assert [(job.stage, job.error) for job in jobs] == [(Stage.READY, "")] * len(paths)


def change_of(library: Library) -> ModelChange:
    assert library.model_change is not None
    return library.model_change


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_the_plan_says_what_a_change_costs_and_nothing_is_paid_before_it_begins(
    old: Settings, after: Settings, service: StandIn
) -> None:
    with open_library(after) as library:
        assert library.embedder.name == "local"
        plan = change_of(library).plan()
        assert (plan.videos, plan.unknown, plan.currency) == (2, 0, "USD")
        assert plan.minutes == pytest.approx(38 / 60, abs=0.02)
        assert plan.price == pytest.approx(6.0 * 38 / 60, abs=0.1)
        assert library.search("a lake").moments
        assert not library.superseded
    assert service.requests == []


def test_the_old_model_answers_until_the_new_one_has_embedded_everything(
    old: Settings, after: Settings, service: StandIn, long_video: Path
) -> None:
    with open_library(after) as library:
        was = {video.id: video for video in library.videos()}
        service.task_seconds = FOR_EVER_SEC
        change_of(library).begin()
        until(lambda: len(service.asked(CREATE)) == 2)
        assert not library.superseded
        assert library.search("a lake").model == library.embedder.model
        add(library, long_video, category="roads")
        was |= {video.id: video for video in library.videos()}
        service.task_seconds = 0.0
        until(lambda: library.superseded)
    assert len(service.asked(CREATE)) == 3

    with open_library(after) as library:
        assert library.model_change is None
        assert library.embedder.name == "twelvelabs"
        now = {video.id: video for video in library.videos()}
        assert {(v.id, v.title, v.category, v.added_at) for v in now.values()} == {
            (v.id, v.title, v.category, v.added_at) for v in was.values()
        }
        in_category = library.search("a road", filters=Filters(categories=("roads",)))
        assert {moment.video.title for moment in in_category.moments} == {"long road"}
        assert [saved.name for saved in library.searches.named()] == ["Lakes"]
        assert len(library.basket.items()) == 1


def test_the_way_back_costs_nothing_and_takes_along_what_was_kept(
    old: Settings, after: Settings, service: StandIn
) -> None:
    with open_library(after) as library:
        change_of(library).begin()
        until(lambda: library.superseded)
    with open_library(after) as library:
        (former,) = library.known_models()
        assert (former.name, former.videos) == ("local", 2)
        paid = len(service.requests)
        library.answer_with(former)
        assert library.superseded
    with open_library(after) as library:
        assert library.embedder.name == "local"
        assert library.search("a lake").moments
        assert [saved.name for saved in library.searches.named()] == ["Lakes"]
        assert change_of(library).plan().videos == 0
        assert len(service.requests) == paid
        change_of(library).finish()
        assert library.superseded


def test_a_change_that_was_cut_off_goes_on_after_a_restart_and_pays_nothing_twice(
    old: Settings, after: Settings, service: StandIn
) -> None:
    service.task_seconds = FOR_EVER_SEC
    with open_library(after) as library:
        change_of(library).begin()
        until(lambda: len(service.asked(CREATE)) == 2)
    service.task_seconds = 0.0
    with open_library(after) as library:
        assert library.embedder.name == "local"
        until(lambda: library.superseded)
    assert len(service.asked(CREATE)) == 2


def test_a_removed_video_does_not_come_back_with_the_new_model(
    old: Settings, after: Settings, service: StandIn
) -> None:
    with open_library(after) as library:
        service.task_seconds = FOR_EVER_SEC
        change_of(library).begin()
        until(lambda: len(service.asked(CREATE)) == 2)
        gone = next(video for video in library.videos() if video.title == "green boat")
        library.remove(gone.id)
        service.task_seconds = 0.0
        until(lambda: library.superseded)
    with open_library(after) as library:
        assert [video.title for video in library.videos()] == ["quiet lake"]


def test_another_title_and_category_given_meanwhile_are_taken_along(
    old: Settings, after: Settings, service: StandIn, silent: Path
) -> None:
    with open_library(after) as library:
        service.task_seconds = FOR_EVER_SEC
        change_of(library).begin()
        until(lambda: len(service.asked(CREATE)) == 2)
        library.wait(library.add([silent], titles=["The lake"], category="lakes"), timeout=TIMEOUT)
        service.task_seconds = 0.0
        until(lambda: library.superseded)
    with open_library(after) as library:
        assert {(video.title, video.category) for video in library.videos()} == {
            ("The lake", "lakes"),
            ("green boat", "boats"),
        }
    assert len(service.asked(CREATE)) == 2


def test_a_video_that_fails_holds_the_change_until_somebody_goes_on_without_it(
    old: Settings, after: Settings, service: StandIn
) -> None:
    service.task_failure_of["green boat"] = "The service cannot read it."
    with open_library(after) as library:
        change = change_of(library)
        change.begin()
        until(lambda: change.progress().failed and change.progress().ready == 1)
        assert not library.superseded
        assert [job.title for job in change.progress().failed] == ["green boat"]
        change.finish()
        assert library.superseded
    with open_library(after) as library:
        assert [video.title for video in library.videos()] == ["quiet lake"]


def test_a_stopped_change_begins_nothing_more_and_pays_nothing_again_when_it_goes_on(
    old: Settings, after: Settings, service: StandIn
) -> None:
    service.task_seconds = FOR_EVER_SEC
    with open_library(after) as library:
        change = change_of(library)
        change.begin()
        until(lambda: len(service.asked(CREATE)) == 2)
        change.stop()
        service.task_seconds = 0.0
        assert not change.begun
        assert not library.superseded
        change.begin()
        until(lambda: library.superseded)
    assert len(service.asked(CREATE)) == 2


def test_a_change_waits_for_videos_that_are_still_on_their_way_in(
    old: Settings, after: Settings, long_video: Path
) -> None:
    with open_library(after) as library:
        library.pause()
        library.add([long_video])
        with pytest.raises(SeekpointError, match="still being added"):
            change_of(library).finish()
        assert not library.superseded


def test_a_budget_pauses_the_change_and_says_so(
    old: Settings, after: Settings, service: StandIn
) -> None:
    with open_library(replace(after, budget_per_month=0.01)) as library:
        change = change_of(library)
        change.begin()
        until(lambda: change.progress().paused)
        assert service.asked(CREATE) == []
        library.set_month_budget(None)
        until(lambda: library.superseded)


def test_videos_of_a_model_that_cannot_be_used_any_more_are_spoken_of(
    before: Settings, after: Settings, silent: Path
) -> None:
    with open_library(after) as library:
        add(library, silent)
    with open_library(before) as library:
        assert "1 video here was embedded by a model" in library.warning
        assert library.videos() == []
        assert not library.superseded
    with open_library(after) as library:
        assert library.warning == ""
        assert library.search("a lake").moments


def test_another_dimension_of_the_same_model_is_another_model(
    after: Settings, service: StandIn, silent: Path
) -> None:
    with open_library(after) as library:
        add(library, silent)
    with open_library(replace(after, twelvelabs_dimension=256)) as library:
        assert library.embedder.dimension == 512
        change_of(library).begin()
        until(lambda: library.superseded)
    with open_library(replace(after, twelvelabs_dimension=256)) as library:
        assert library.embedder.dimension == 256
        assert library.search("a lake").moments
