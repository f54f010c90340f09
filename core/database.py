"""The SQL database of the app's own records: its tables, its connection, its transactions.

A file belongs to one process. A PostgreSQL server may be shared by several app servers, which then
tell each other through it who does what. Times are kept as seconds since the epoch, so that every
database returns what it was given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Float,
    Index,
    MetaData,
    String,
    Table,
    TypeDecorator,
    cast,
    create_engine,
    event,
    extract,
    func,
    insert,
    inspect,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from core import migrations
from core.errors import ConfigurationError, StoreUnavailable
from core.models import Stage

logger = logging.getLogger(__name__)

_CONNECT_SEC = 10
# Enough for the workers and for the pages that many people have open.
_CONNECTIONS = 20
# Of jobs, as the table has them.
UNFINISHED = [stage.value for stage in Stage if not stage.finished]


def valid_text(text: str) -> str:
    """Text that every database keeps: with ? for a NUL, and for halves of characters, which come
    along in the names of files and in JSON."""
    return text.encode(errors="replace").decode().replace("\0", "?")


class _Text(TypeDecorator[str]):
    impl = String
    cache_ok = True
    python_type = str

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return None if value is None else valid_text(value)


class _Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012
        str: _Text,
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
    # That of its collection when this row was changed last.
    revision: Mapped[int] = mapped_column(default=0, server_default="0")


class RevisionRow(_Base):
    """How often the videos of a collection were changed."""

    __tablename__ = "revisions"

    collection: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]


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
    server: Mapped[str] = mapped_column(default="", server_default="")  # that runs it
    # Whether it is the one of those that run that may work on its video.
    has_video: Mapped[bool] = mapped_column(default=False, server_default="0")


class ServerRow(_Base):
    """An app server that runs jobs of a collection, alive until its lease ends."""

    __tablename__ = "servers"

    id: Mapped[str] = mapped_column(primary_key=True)
    collection: Mapped[str]
    lease_until: Mapped[float]  # by the clock of the database


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


_version = Table("alembic_version", MetaData(), Column("version_num", String, primary_key=True))


class Database:
    """One engine for all records. Threads may share it.

    Raises:
        ConfigurationError: for an address that cannot be used, or records of a later version.
        StoreUnavailable: when the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._closed = False
        try:
            self._engine = _create_engine(_usable(make_url(url)))
        except ImportError as error:
            raise ConfigurationError(
                f"DATABASE_URL cannot be used: {error}.",
                "Install what a server needs: pip install -r requirements-server.txt.",
            ) from error
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            raise ConfigurationError(
                "DATABASE_URL cannot be used: " + str(error).splitlines()[0],
                "Use sqlite:///path/to/file.db or postgresql+psycopg://user@host/name.",
            ) from error
        self._shared = self._engine.dialect.name == "postgresql"
        with _translated():
            self._bring_up_to_date()

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the same records."""
        return self._shared

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
    def alone(self, what: str) -> Iterator[None]:
        """Keeps other processes out of a short piece of work; threads of this one take care of
        themselves. Whoever dies lets the next one in."""
        if not self._shared:
            yield
            return
        with self.session() as session:
            _keep_others_out(session.connection(), what)
            yield

    def now(self) -> ColumnElement[float]:
        """The time by the clock of the database, which all app servers share."""
        if self._shared:
            return cast(extract("epoch", func.clock_timestamp()), Float)
        return literal(time.time())

    def _bring_up_to_date(self) -> None:
        with self._engine.connect() as connection:
            if _version_of(connection) == migrations.HEAD:
                return
        with self._engine.begin() as connection:
            # One after the other: whoever comes second finds it done.
            if self._shared:
                _keep_others_out(connection, "migrations")
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            if not inspect(connection).get_table_names():
                _Base.metadata.create_all(connection)
                _version.create(connection)
                connection.execute(insert(_version).values(version_num=migrations.HEAD))
            elif _version_of(connection) != migrations.HEAD:
                migrations.upgrade(connection)


def upsert(session: Session, row: _Base, changes: Mapping[str, Any] | None = None) -> None:
    """Writes a row, or if there is one with its key makes these changes to that; all that the new
    one has, unless they are given. Unlike a look before it, this cannot meet somebody who writes
    the same row at the same time."""
    values = dict(inspect(row).dict)
    values.pop("_sa_instance_state", None)
    keys = {column.name for column in inspect(type(row)).primary_key}
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    if changes is None:
        changes = {name: value for name, value in values.items() if name not in keys}
    session.execute(
        dialect.insert(type(row))
        .values(values)
        .on_conflict_do_update(index_elements=sorted(keys), set_=changes)
    )


def _version_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.scalar(select(_version.c.version_num))


def _keep_others_out(connection: Connection, what: str) -> None:
    """Until the transaction ends."""
    key = func.hashtextextended(f"seekpoint {what}", 0)
    connection.execute(select(func.pg_advisory_xact_lock(key)))


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


def _usable(url: URL) -> URL:
    """An address with the driver that we bring.

    Raises ValueError for a kind of database that was never tried.
    """
    match url.get_backend_name():
        case "sqlite":
            return url
        case "postgresql" | "postgres":
            driven = "+" in url.drivername
            return url if driven else url.set(drivername="postgresql+psycopg")
    raise ValueError(f"{url.drivername} is not known.")


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return _create_postgres_engine(url)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        # Readers never wait for the worker that writes progress.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=10000")

    return engine


def _create_postgres_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        # The server may have been restarted since a connection was used last.
        pool_pre_ping=True,
        max_overflow=_CONNECTIONS,
        connect_args={"connect_timeout": _CONNECT_SEC},
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        # What a machine that vanished has locked is free again after half a minute.
        with connection.cursor() as cursor:
            cursor.execute(
                "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5;"
                "SET tcp_keepalives_count = 3"
            )
        connection.commit()

    return engine
