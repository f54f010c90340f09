"""The pages in Streamlit's own test runner, on a real library in a temporary folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from components import resources
from core import Library
from tests.media import make_video

FRAME = str(Path(__file__).parent.parent.parent / "pages" / "_frame.py")

# Streamlit's test runner adds the script's folder to the path for each run and takes it away after,
# and a worker that imports something at that moment may miss the folder after it. On a server the
# folder stays, as it does here.
sys.path.append(str(Path(FRAME).parent))


@pytest.fixture(scope="session", autouse=True)
def _installed_components() -> Iterator[None]:
    """Streamlit's test runner reads the description of every installed package in every run; they
    stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        once = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@contextmanager
def served(data: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Iterator[Library]:
    """The library that the pages open, on this data folder and with these settings."""
    monkeypatch.setenv("SEEKPOINT_DATA_DIR", str(data))
    monkeypatch.setenv("SEEKPOINT_EMBEDDER", "local")
    for name, value in settings.items():
        monkeypatch.setenv(f"SEEKPOINT_{name}", value)
    st.cache_resource.clear()
    yield resources.library()
    st.cache_resource.clear()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library the pages will open, empty."""
    with served(tmp_path / "data", monkeypatch) as opened:
        yield opened


@pytest.fixture
def filled(library: Library, tmp_path: Path) -> Library:
    """The library with two short films in two categories."""
    for title, colour in (("Red film", (200, 30, 30)), ("Blue film", (30, 30, 200))):
        path = make_video(tmp_path / f"{title}.mp4", seconds=6.0, frame=_plain(colour))
        library.add([path], titles=[title], category=title.split()[0])
    jobs = library.wait(timeout=120)
    assert [job.error for job in jobs] == ["", ""]
    return library


def _plain(colour: tuple[int, int, int]) -> Callable[[float], object]:
    import numpy as np

    def frame(_second: float) -> np.ndarray:
        return np.full((360, 640, 3), colour, dtype=np.uint8)

    return frame


def open_page(name: str = "search", **address: str) -> AppTest:
    """A page as a visitor gets it, at this address."""
    app = AppTest.from_file(FRAME, default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    if name == "search":
        return app.run()
    return app.run().switch_page(f"{name}.py").run()


def texts(app: AppTest) -> str:
    """Every word of the page that is plain text, markdown or a caption."""
    return "\n".join(
        element.value for kind in ("text", "markdown", "caption") for element in app.get(kind)
    )


def grid(app: AppTest) -> dict[str, Any]:
    """What the results grid was given; empty when there is no grid."""
    data = [json.loads(component.proto.json) for component in app.get("bidi_component")]
    return next((given for given in data if "cards" in given), {})


def cards(app: AppTest) -> list[dict[str, Any]]:
    """The cards of the results grid; none when there is no grid."""
    return grid(app).get("cards", [])


def titles(app: AppTest) -> list[str]:
    return [card["title"] for card in cards(app)]


def ask(app: AppTest, text: str) -> AppTest:
    return app.text_input(key="search_text").set_value(text).run()


def labelled(app: AppTest, label: str) -> Button:
    return next(button for button in app.button if button.label == label)
