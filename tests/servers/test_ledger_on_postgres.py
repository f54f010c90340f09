"""Every test of the ledger again, with PostgreSQL in place of a file."""

from __future__ import annotations

import pytest

from tests.unit.test_ledger import *


@pytest.fixture
def url(emptied_postgres_url: str) -> str:
    return emptied_postgres_url
