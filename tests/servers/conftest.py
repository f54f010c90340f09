from __future__ import annotations

from collections.abc import Iterator

import pytest

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
