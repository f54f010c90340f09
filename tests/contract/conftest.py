from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.embedders.base import Progress
from tests.contract.standin import StandIn
from tests.media import make_video

KEY = "tlk_0123456789ABCDEF"


class Recorder:
    """Takes progress as the job queue does, and can end the work at a moment of its choosing."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)

    @property
    def checkpoint(self) -> dict[str, str]:
        return dict(self.seen[-1].checkpoint) if self.seen else {}


@pytest.fixture(autouse=True)
def _no_base_url_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWELVELABS_BASE_URL", raising=False)


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn(key=KEY) as running:
        yield running


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def half_minute(folder: Path) -> Path:
    """30 s with sound."""
    return make_video(folder / "green boat.mp4", seconds=30, fps=10)


@pytest.fixture(scope="session")
def silent(folder: Path) -> Path:
    """8 s without sound."""
    return make_video(folder / "quiet lake.mp4", seconds=8, fps=10, audio=False)


@pytest.fixture(scope="session")
def long_video(folder: Path) -> Path:
    """36 s, longer than any model takes as a clip query."""
    return make_video(folder / "long road.mp4", seconds=36, fps=5, audio=False)


@pytest.fixture(scope="session")
def picture() -> bytes:
    return encoded((320, 200), "JPEG")


def encoded(size: tuple[int, int], kind: str) -> bytes:
    """A picture with a gradient, as the bytes of a file."""
    width, height = size
    values = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()
