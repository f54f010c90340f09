from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from core.database import Database
from tests.clock import Clock
from tests.milvus_server import running_milvus
from tests.web import Web

pytest_plugins = ["tests.leaks"]

# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_OURS = ("SEEKPOINT_", "TWELVELABS_", "TWELVE_LABS_", "MILVUS_", "DATABASE_URL")


# Files that share what is slow to set up: the app with the samples, the page with nothing but the
# grid, a browser, a Milvus server.
_GROUPS = {
    f"tests/{folder}/test_{name}.py": group
    for group, folder, names in (
        ("samples", "browser", "accessibility explore journeys keyboard operation policy recipe"),
        ("grid", "browser", "grid_tools results_grid timecode"),
        ("browser", "browser", "explore_views ingest login overtaken uploads"),
        ("milvus", "browser", "server_engine"),
        ("milvus", "milvus", "explorer move rows search server text"),
        ("milvus", "servers", "two_servers"),
    )
    for name in names.split()
}


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return _GROUPS.get(file, file)


class _ByGroup(LoadScopeScheduling):
    """Gives each file, and files that share something, to one process: what they have set up is set
    up once."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByGroup:
    return _ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process works on while the others have finished."""
    items.sort(key=lambda item: _group(item.nodeid) not in _GROUPS.values())


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
def database(tmp_path: Path) -> Iterator[Database]:
    """Empty records, in a file."""
    opened = Database(f"sqlite:///{tmp_path / 'records.db'}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server that all tests of this process share."""
    with running_milvus(tmp_path_factory.mktemp("milvus")) as address:
        yield address
