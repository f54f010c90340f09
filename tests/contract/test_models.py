"""Two models in one library: what both have embedded can be asked side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import ConfigurationError, Library, SeekpointError, Settings, Stage, open_library
from tests.contract.conftest import KEY
from tests.contract.standin import StandIn

TIMEOUT = 60


@pytest.fixture(scope="module")
def service() -> Iterator[StandIn]:
    with StandIn(key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def settings(service: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        data_dir=tmp_path_factory.mktemp("two_models"),
    )


@pytest.fixture(scope="module")
def library(settings: Settings, silent: Path, long_video: Path) -> Iterator[Library]:
    """One video by the built-in embedder; the same and another one by the service."""
    with open_library(replace(settings, embedder="local")) as local:
        assert local.other_models() == ()
        add(local, silent)
    with open_library(settings) as opened:
        assert opened.model_change is not None
        opened.model_change.finish()
    with open_library(settings) as opened:
        add(opened, silent, long_video)
        yield opened


def add(library: Library, *paths: Path) -> None:
    jobs = library.wait(library.add(paths), timeout=TIMEOUT)
    assert [(job.stage, job.error) for job in jobs] == [(Stage.READY, "")] * len(paths)


def test_the_other_model_answers_with_what_it_has_embedded(library: Library) -> None:
    assert library.other_models() == ("local",)
    answer = library.model("local").search("a lake")
    assert answer.model != library.embedder.model
    assert {moment.video.title for moment in answer.moments} == {"quiet lake"}


def test_answers_of_two_models_are_compared_by_their_moments(library: Library) -> None:
    left = library.search("a lake")
    right = library.model("local").search("a lake")
    comparison = library.explorer.compare(left, right, k=5)
    assert {pair.left.video.id for pair in comparison.pairs} == {
        pair.right.video.id for pair in comparison.pairs
    }
    assert {moment.video.title for moment in comparison.only_left} >= {"long road"}


def test_asking_the_built_in_model_costs_nothing(library: Library, service: StandIn) -> None:
    before = len(service.requests)
    library.model("local").search("a lake")
    assert len(service.requests) == before


def test_a_model_that_has_embedded_nothing_here_is_no_model_of_it(library: Library) -> None:
    with pytest.raises(ConfigurationError, match="nothing here"):
        library.model("nonsense")


def test_a_model_whose_key_is_missing_says_so(library: Library, settings: Settings) -> None:
    library.close()
    with (
        open_library(replace(settings, embedder="local", twelvelabs_api_key="")) as local,
        pytest.raises(SeekpointError, match="key"),
    ):
        local.model("twelvelabs").search("a river")
