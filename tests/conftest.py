from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.clock import Clock
from tests.milvus_server import running_milvus
from tests.web import Web

pytest_plugins = ["tests.leaks"]

# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_OURS = ("SEEKPOINT_", "TWELVELABS_", "TWELVE_LABS_", "MILVUS_", "DATABASE_URL")


# What is slow to set up, by the fixtures that do it: files that use the same go to one process. The
# longest come first, so that no process has the others wait for it at the end.
_SHARED = {
    "milvus": {"milvus_server", "store_uri", "shared_uri"},
    "samples": {"sampled"},
    "browser": {"browser"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each file to one process, so that what it has set up is set up once."""
    uses: dict[str, set[str]] = {}
    for item in items:
        uses.setdefault(_file(item), set()).update(getattr(item, "fixturenames", ()))
    groups = {
        file: next((name for name, shared in _SHARED.items() if shared & used), file)
        for file, used in uses.items()
    }
    items.sort(key=lambda item: groups[_file(item)] not in _SHARED)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[_file(item)]))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find the settings, or spend the key, of whoever runs it."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)


@pytest.fixture
def own_loggers() -> Iterator[None]:
    """Loggers that may be set up as the app does, and are afterwards as they were."""
    loggers = [logging.getLogger(name) for name in ("core", "components", "app")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    logging.setLogRecordFactory(logging.LogRecord)


@pytest.fixture
def web() -> Iterator[Web]:
    """An empty web server on this machine."""
    with Web() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server that all tests of this process share."""
    with running_milvus(tmp_path_factory.mktemp("milvus")) as address:
        yield address
