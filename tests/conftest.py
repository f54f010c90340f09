from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.clock import Clock
from tests.web import Web

_OURS = ("SEEKPOINT_", "TWELVELABS_", "TWELVE_LABS_", "MILVUS_", "DATABASE_URL")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files go to one process each when there are several, so that what a file has set up is set up
    once; so does all of the browser's, because two browsers would take each other's time."""
    for item in items:
        group = "browser" if "browser" in item.path.parts else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


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
