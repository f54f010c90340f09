"""Records of every age are brought up to date, by one server or by several that start at once."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from core import migrations
from core.database import Database, VideoRow
from core.errors import ConfigurationError
from core.state import NewJob, State

FIRST_VERSION = (
    "CREATE TABLE jobs (id VARCHAR NOT NULL PRIMARY KEY, collection VARCHAR NOT NULL, "
    "position INTEGER NOT NULL, source VARCHAR NOT NULL, title VARCHAR NOT NULL, "
    "category VARCHAR NOT NULL, stage VARCHAR NOT NULL, fraction FLOAT, "
    "attempts INTEGER NOT NULL, error VARCHAR NOT NULL, hint VARCHAR NOT NULL, "
    "video_id VARCHAR NOT NULL, checkpoint JSON NOT NULL, created_at FLOAT NOT NULL, "
    "started_at FLOAT, finished_at FLOAT)"
)
ITS_JOB = (
    "INSERT INTO jobs VALUES ('j', 'c', 1, '/v', 'v', '', 'queued', NULL, 0, '', '', '', "
    "'{}', 1.0, NULL, NULL)"
)


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'records.db'}"
    address: str = request.getfixturevalue("postgres_url")
    return address


def test_the_steps_lead_from_the_first_version_to_the_tables_of_today(url: str) -> None:
    execute(url, FIRST_VERSION, ITS_JOB)
    database = Database(url)
    job = State(database, collection="c").claim_job()
    database.close()
    assert job is not None
    assert (job.id, job.held, job.stage_seconds) == ("j", "", {})
    assert differences(url) == []


def test_empty_records_get_the_tables_of_today_without_any_step(url: str) -> None:
    Database(url).close()
    assert differences(url) == []
    (version,) = execute(url, "SELECT version_num FROM alembic_version")
    assert version == (migrations.HEAD,)
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == version[0]


@pytest.mark.parametrize("before", [[], [FIRST_VERSION, ITS_JOB]], ids=["empty", "old"])
def test_servers_that_start_at_once_on_one_database_take_each_step_once(
    postgres_url: str, before: list[str]
) -> None:
    execute(postgres_url, *before)
    with ThreadPoolExecutor(4) as servers:
        databases = list(servers.map(Database, [postgres_url] * 4))
    for database in databases:
        State(database, collection="c").add_jobs([NewJob("/w", "w")])
        database.close()
    assert differences(postgres_url) == []


def test_records_of_a_later_version_are_refused_and_left_alone(url: str) -> None:
    Database(url).close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="later version"):
        Database(url)
    assert execute(url, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_step_that_is_cut_off_leaves_a_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with sqlite3.connect(path) as old:
        old.execute(FIRST_VERSION)
        # What the last step wants to make is there already, and is something else.
        old.execute("CREATE TABLE servers (id VARCHAR)")
    with pytest.raises(Exception, match="servers"):
        Database(f"sqlite:///{path}")
    with sqlite3.connect(path) as after:
        tables = {name for (name,) in after.execute("SELECT name FROM sqlite_master")}
    after.close()
    assert "videos" not in tables


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last statement, if it has any."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    rows: list[tuple[object, ...]] = []
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
            rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def differences(url: str) -> list[object]:
    """Between the tables that are there and those that the code describes."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    # SQLite keeps no types worth comparing.
    options = {"compare_type": engine.dialect.name != "sqlite"}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, VideoRow.metadata)
    engine.dispose()
    return list(found)
