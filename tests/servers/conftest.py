from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from core.database import Database, VideoRow
from tests.postgres_server import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the tests of this process share."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The address of an empty database."""
    return postgres.url()


@pytest.fixture(scope="module")
def postgres_url_of_module(postgres: Postgres) -> str:
    """The same for all tests of a file."""
    return postgres.url()


@pytest.fixture
def emptied_postgres_url(postgres_url_of_module: str) -> str:
    """The address of a database without rows: to empty one takes less than to make one."""
    Database(postgres_url_of_module).close()
    with psycopg.connect(postgres_url_of_module) as connection:
        tables = ", ".join(f'"{name}"' for name in VideoRow.metadata.tables)
        connection.execute(f"TRUNCATE {tables}".encode())
    return postgres_url_of_module
