"""Another model, on the Library page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import resources
from core import Library, ModelChange
from tests.app.conftest import labelled, open_page, served, texts
from tests.contract.standin import StandIn
from tests.media import make_video

FOR_EVER_SEC = 3600.0


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn(key="right") as running:
        monkeypatch.setenv("TWELVELABS_BASE_URL", running.url)
        monkeypatch.setenv("TWELVELABS_API_KEY", "right")
        yield running


@pytest.fixture
def other_model(
    service: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Library]:
    """A library of one film, after the settings have come to name another model."""
    with served(tmp_path / "data", monkeypatch) as library:
        library.add([make_video(tmp_path / "Film.mp4", seconds=6.0)], titles=["Film"])
        assert [job.error for job in library.wait(timeout=120)] == [""]
    with served(tmp_path / "data", monkeypatch, EMBEDDER="twelvelabs") as library:
        yield library


def buttons(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def change_of(library: Library) -> ModelChange:
    assert library.model_change is not None
    return library.model_change


def test_the_page_offers_the_change_with_its_price_makes_it_and_leads_back(
    other_model: Library, service: StandIn
) -> None:
    app = open_page("library")
    assert "The settings name another model." in texts(app)
    assert "1 video to embed anew, 0:06, less than 0.01 USD." in texts(app)

    service.task_seconds = FOR_EVER_SEC
    labelled(app, "Embed them and change").click().run()
    assert "answers until all are ready" in texts(app)
    assert {"Pause", "Stop"} <= buttons(app)

    service.task_seconds = 0.0
    change_of(other_model).wait(timeout=60)
    app = open_page("library")
    assert resources.library().embedder.name == "twelvelabs"
    assert "The settings name another model." not in texts(app)

    labelled(app, "Answer with it").click().run()
    assert resources.library().embedder.name == "local"
    assert "It has embedded all videos already." in texts(app)
    labelled(app, "Change now").click().run()
    assert resources.library().embedder.name == "twelvelabs"
    assert not app.exception


def test_the_page_says_why_a_video_was_not_embedded_and_goes_on_without_it(
    other_model: Library, service: StandIn
) -> None:
    service.task_failure = "The service cannot read it."
    change_of(other_model).begin()
    change_of(other_model).wait(timeout=60)
    app = open_page("library")
    assert "The service cannot read it." in texts(app)
    assert {"Try the failed again", "Change now"} <= buttons(app)
    labelled(app, "Stop").click().run()
    assert "The settings name another model." in texts(app)
    labelled(app, "Change now").click().run()
    assert resources.library().embedder.name == "twelvelabs"
    assert not app.exception
