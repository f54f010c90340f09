"""Records moved between SQLite and Postgres are the same records, whatever tables there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table, insert, select
from sqlalchemy.orm import Session

from core import Settings
from core.database import AuditRow, Database, VideoRow
from core.errors import StoreError
from core.move import move

TABLES = VideoRow.metadata.sorted_tables
# By what Python calls the type of a column, in two records.
VALUES: dict[type, tuple[Any, Any]] = {
    str: ("first", "zweitens \"'; 日本 🎬\n"),
    int: (1, 2**31 - 1),
    float: (0.1 + 0.2, 1792462245.123456),
    bool: (True, False),
    bytes: (b"\x00\xff", b""),
    object: ({"b": [1, 2.5, None], "a": "é"}, []),  # JSON
}


def value_of(column: Column[Any], number: int) -> Any:
    if column.nullable and number:
        return None
    return VALUES[column.type.python_type][number]


@contextmanager
def opened(url: str) -> Iterator[Session]:
    database = Database(url)
    try:
        with database.session() as session:
            yield session
    finally:
        database.close()


def records(url: str) -> dict[str, list[dict[str, Any]]]:
    with opened(url) as session:
        return {table.name: of_table(session, table) for table in TABLES}


def of_table(session: Session, table: Table) -> list[dict[str, Any]]:
    rows = session.execute(select(table).order_by(*table.primary_key)).mappings()
    return sorted((dict(row) for row in rows), key=repr)


def test_the_records_of_every_table_go_to_postgres_and_back(
    tmp_path: Path, postgres_url: str
) -> None:
    settings = Settings(data_dir=tmp_path)
    with opened(settings.database_url) as session:
        for table in TABLES:
            for number in (0, 1):
                values = {column.name: value_of(column, number) for column in table.columns}
                session.execute(insert(table).values(values))
    before = records(settings.database_url)
    assert all(len(rows) == 2 for rows in before.values())

    move(settings, to_database=postgres_url)
    assert records(postgres_url) == before
    back = f"sqlite:///{tmp_path}/back.db"
    move(settings, from_database=postgres_url, to_database=back)
    assert records(back) == before

    with pytest.raises(StoreError, match="has records") as told:
        move(settings, to_database=postgres_url)
    assert "empty database" in told.value.hint


def test_postgres_numbers_new_records_behind_those_that_were_moved(
    tmp_path: Path, postgres_url: str
) -> None:
    settings = Settings(data_dir=tmp_path)
    said = dict.fromkeys(("user", "role", "action", "subject", "detail"), "")
    with opened(settings.database_url) as session:
        session.add_all(AuditRow(id=number, at=0.0, **said) for number in (1, 2, 40))

    move(settings, to_database=postgres_url)

    with opened(postgres_url) as session:
        session.add(AuditRow(at=1.0, **said))
        session.flush()
        assert session.scalars(select(AuditRow.id).order_by(AuditRow.id)).all() == [1, 2, 40, 41]
