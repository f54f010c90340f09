from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.clock import Clock
from tests.web import Web

_OURS = ("SEEKPOINT_", "TWELVELABS_", "TWELVE_LABS_", "MILVUS_", "DATABASE_URL")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find the settings, or spend the key, of whoever runs it."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)


@pytest.fixture
def web() -> Iterator[Web]:
    """An empty web server on this machine."""
    with Web() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()
