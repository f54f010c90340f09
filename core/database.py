"""The SQL database of the app's own records: its tables, its connection, its transactions.

Times are kept as seconds since the epoch, so that every database returns what it was given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import JSON, Engine, Index, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateColumn

from core.errors import ConfigurationError, StoreUnavailable
from core.models import Stage

logger = logging.getLogger(__name__)

# Of jobs, as the table has them.
UNFINISHED = [stage.value for stage in Stage if not stage.finished]


class _Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012
        dict[str, str]: JSON,
        dict[str, float]: JSON,
        list[list[Any]]: JSON,
        list[str]: JSON,
    }


class VideoRow(_Base):
    __tablename__ = "videos"

    collection: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    video_url: Mapped[str]
    path: Mapped[str]  # empty for a remote video
    duration: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    category: Mapped[str]
    model: Mapped[str]
    segments: Mapped[list[list[Any]]]  # [id, option, scope, start, end] of every stored row
    row_count: Mapped[int]
    added_at: Mapped[float]
    segment_sec: Mapped[int | None]  # None for videos stored before it was kept
    frame_rate: Mapped[str | None]  # as 30000/1001
    sha256: Mapped[str] = mapped_column(default="", server_default="")
    recorded_at: Mapped[float | None]
    removing: Mapped[bool] = mapped_column(default=False, server_default="0")


class ReturnedRow(_Base):
    """A video that a search has shown."""

    __tablename__ = "returned"

    collection: Mapped[str] = mapped_column(primary_key=True)
    video_id: Mapped[str] = mapped_column(primary_key=True)
    first_at: Mapped[float]


class JobRow(_Base):
    __tablename__ = "jobs"
    # The page asks every second how far the queue is: with these no row has to be read for it.
    __table_args__ = (
        Index("jobs_by_stage", "collection", "stage", "created_at", "started_at"),
        Index("jobs_by_end", "collection", "finished_at", "started_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    collection: Mapped[str]
    position: Mapped[int]  # order of arrival; two jobs may share a clock tick
    source: Mapped[str]
    title: Mapped[str]
    category: Mapped[str]
    stage: Mapped[str]
    fraction: Mapped[float | None]
    attempts: Mapped[int]
    error: Mapped[str]
    hint: Mapped[str]
    video_id: Mapped[str]
    checkpoint: Mapped[dict[str, str]]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    run: Mapped[str] = mapped_column(default="", server_default="")
    max_cost: Mapped[float | None]  # of the whole run
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    minutes: Mapped[float | None]
    note: Mapped[str] = mapped_column(default="", server_default="")
    held: Mapped[str] = mapped_column(default="", server_default="")
    must_confirm: Mapped[bool] = mapped_column(default=False, server_default="0")
    cancel_asked: Mapped[str] = mapped_column(
        default="", server_default=""
    )  # "keep" or "drop" its result
    stage_since: Mapped[float | None]
    stage_seconds: Mapped[dict[str, float]] = mapped_column(default=dict, server_default="{}")


class LedgerRow(_Base):
    __tablename__ = "ledger"

    id: Mapped[str] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(index=True)
    at: Mapped[float] = mapped_column(index=True)
    kind: Mapped[str]
    what: Mapped[str]
    minutes: Mapped[float | None]
    calls: Mapped[int]
    price: Mapped[float | None]
    model: Mapped[str]
    saved: Mapped[bool]
    job_id: Mapped[str] = mapped_column(index=True)
    run: Mapped[str]
    task_id: Mapped[str]
    # What another job of the same video needs to fetch the result instead of paying again; empty
    # when there is no such result (any more).
    video_id: Mapped[str] = mapped_column(index=True)
    segment_sec: Mapped[int]
    resume: Mapped[dict[str, str]]


class QueryVectorRow(_Base):
    """The vector of a query's part, under a digest of what it was made from."""

    __tablename__ = "query_vectors"

    collection: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes]  # little-endian float32
    added_at: Mapped[float] = mapped_column(index=True)


class SearchRow(_Base):
    """A search that was made: a step of the history, or kept under a name."""

    __tablename__ = "searches"

    collection: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    recipe: Mapped[str]  # JSON
    filters: Mapped[str]  # JSON
    name: Mapped[str]  # empty for one that was only made
    used_at: Mapped[float] = mapped_column(index=True)


class BasketRow(_Base):
    """A moment that somebody put aside, with all that is needed to show it without its video."""

    __tablename__ = "basket"

    collection: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(index=True)
    finding: Mapped[str]  # JSON
    note: Mapped[str]
    tags: Mapped[list[str]]
    added_at: Mapped[float]


class ExportRow(_Base):
    """When a moment last left as a file."""

    __tablename__ = "exports"

    collection: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float]


class PreferenceRow(_Base):
    """What is set from the screen and must outlive the process."""

    __tablename__ = "preferences"

    collection: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class AuditRow(_Base):
    """Something that somebody did, or was refused."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float] = mapped_column(index=True)
    user: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]


class Database:
    """One engine for all records. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._closed = False
        try:
            self._engine = _create_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise ConfigurationError(
                "DATABASE_URL cannot be used: " + str(error).splitlines()[0],
                "Use sqlite:///path/to/file.db or postgresql+psycopg://user@host/name.",
            ) from error
        with _translated():
            _Base.metadata.create_all(self._engine)
            _bring_up_to_date(self._engine)

    def close(self) -> None:
        """Closes the connections. A worker that comes too late is refused, not let in again."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction, committed at the end.

        Raises:
            StoreUnavailable: when the database cannot be read or written, or is closed.
        """
        if self._closed:
            raise StoreUnavailable("The library is closed.", "Open it again.")
        with _translated(), Session(self._engine, expire_on_commit=False) as session:
            yield session
            session.commit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        logger.error("database: %s", cause)
        raise StoreUnavailable(
            f"The app's own records cannot be read or written: {cause}.",
            "Check DATABASE_URL, the disk's free space and the permissions of the data folder.",
        ) from error


def _create_engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _(connection: Any, _record: Any) -> None:
            # Readers never wait for the worker that writes progress.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=10000")

    return engine


def _bring_up_to_date(engine: Engine) -> None:
    """Gives tables of an earlier version what they lack: columns and indexes are only ever added."""
    known = inspect(engine)
    with engine.begin() as connection:
        for table in _Base.metadata.sorted_tables:
            there = {column["name"] for column in known.get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    definition = CreateColumn(column).compile(dialect=engine.dialect)
                    connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))
            for index in table.indexes:
                index.create(connection, checkfirst=True)
