"""Where the store tests run: on a Lite file and on a real server, each empty at first.

Tests that take a `lite_path` are about files: their damage, their lock, a killed process.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pymilvus import MilvusClient

ENGINES = ["lite", "server"]


@pytest.fixture(scope="session", autouse=True)
def quiet_libraries() -> None:
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@pytest.fixture
def lite_path(tmp_path: Path) -> Path:
    return tmp_path / "milvus.db"


@pytest.fixture(params=ENGINES)
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place to keep vectors in, for each engine."""
    if request.param == "lite":
        return str(tmp_path / "milvus.db")
    return emptied(request.getfixturevalue("milvus_server"), "for_one_test")


@pytest.fixture(scope="module", params=ENGINES)
def shared_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """As store_uri, once for all tests of a file."""
    if request.param == "lite":
        return str(tmp_path_factory.mktemp("store") / "milvus.db")
    return emptied(request.getfixturevalue("milvus_server"), "for_one_file")


def emptied(server: str, database: str) -> str:
    """The address of a database without rows. Its collections stay: making one takes seconds."""
    admin = MilvusClient(server)
    if database not in admin.list_databases():
        admin.create_database(database)
    client = MilvusClient(f"{server}/{database}")
    for name in client.list_collections():
        # Not by a filter: such a deletion overlooks what was stored a moment ago.
        rows = client.query(name, 'id != ""', ["id"], consistency_level="Session", limit=16_384)
        if rows:
            client.delete(name, ids=[row["id"] for row in rows])
            client.get(name, ids=["-"], consistency_level="Strong")
    return f"{server}/{database}"
