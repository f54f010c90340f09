"""Where the store tests run: on a fresh Lite file, and on a server when its address is given."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.milvus.rows import EMBEDDER

SERVER = os.environ.get("SEEKPOINT_TEST_MILVUS_URI", "")
ENGINES = ["lite", *(["server"] if SERVER else [])]


@pytest.fixture(scope="session", autouse=True)
def quiet_libraries() -> None:
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@pytest.fixture
def lite_path(tmp_path: Path) -> Path:
    return tmp_path / "milvus.db"


@pytest.fixture(params=ENGINES)
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place to keep vectors in, for each engine."""
    yield from _empty_place(request.param, tmp_path)


@pytest.fixture(scope="module", params=ENGINES)
def shared_uri(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """As store_uri, once for all tests of a file."""
    yield from _empty_place(request.param, tmp_path_factory.mktemp("store"))


def _empty_place(engine: str, folder: Path) -> Iterator[str]:
    if engine == "lite":
        yield str(folder / "milvus.db")
        return
    _drop_test_collections()
    yield SERVER
    _drop_test_collections()


def _drop_test_collections() -> None:
    from pymilvus import MilvusClient

    client = MilvusClient(SERVER, timeout=10)
    for name in client.list_collections():
        if name.startswith(f"seekpoint_{EMBEDDER}_"):
            client.drop_collection(name)
    client.close()
