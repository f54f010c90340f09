"""Moves a library: `python -m core.move --to URI [--to-database URL]`.

Copies every collection with its vectors between Milvus Lite files and servers, and every record
between SQLite and Postgres; nothing is embedded again. Rows go in the order of their ids, and a
note in the data folder says how far they are, so that a move that was ended, however it was ended,
goes on. What counts is read back from the target and must be, row for row, what was read. The
source stays as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import Table, delete, func, insert, make_url, select
from sqlalchemy.orm import Session

from core.console import Meter, run
from core.database import Database, VideoRow
from core.errors import ConfigurationError, StoreError
from core.lock import DataDirLock
from core.settings import Settings
from core.store import Space, VectorStore, stored_spaces

# So many rows at most are copied twice when a move goes on.
_BATCH_ROWS = 1000
_BATCH_RECORDS = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A Milvus Lite file or server; the settings have what a server wants beside its address."""

    uri: str
    settings: Settings

    def __str__(self) -> str:
        return without_login(self.uri)

    def spaces(self) -> list[Space]:
        if "://" not in self.uri and not Path(self.uri).expanduser().exists():
            return []  # to look into a file would make it
        return stored_spaces(self.uri, **self._access())

    def open(self, space: Space) -> VectorStore:
        return VectorStore(
            self.uri,
            **self._access(),
            embedder=space.embedder,
            model=space.model,
            dimension=space.dimension,
        )

    def _access(self) -> dict[str, Any]:
        return {
            "token": self.settings.milvus_token,
            "database": self.settings.milvus_database,
            "ca_file": self.settings.milvus_ca_file,
        }


@dataclass
class Sum:
    """A checksum of rows in whatever order: two are equal when the rows were."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            digest = hashlib.blake2b(digest_size=16)
            for name in sorted(row):
                digest.update(_bytes(name) + _bytes(row[name]))
            self.rows += 1
            self.total = (self.total + int.from_bytes(digest.digest())) % 2**128


def _bytes(value: Any) -> bytes:
    """A value so that no two rows read alike: with its length, and a number with all its digits."""
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    plain = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return len(plain).to_bytes(8) + plain


class Notes:
    """How far a move between two ends is, in a file that outlives the process.

    While it is there, what the target holds is our own half-done copy.
    """

    def __init__(self, data_dir: Path, ends: Sequence[str]) -> None:
        name = hashlib.sha256("\n".join(ends).encode()).hexdigest()[:16]
        self._path = data_dir / f"move-{name}.json"
        self.begun = self._path.exists()
        self._copied: dict[str, Sequence[Any]] = (
            json.loads(self._path.read_text()) if self.begun else {}
        )

    def begin(self) -> None:
        self._write()

    def copied(self, collection: str) -> tuple[str, int]:
        """The id of the last row that is in the target, and how many are."""
        last, rows = self._copied.get(collection, ("", 0))
        return str(last), int(rows)

    def set_copied(self, collection: str, last: str, rows: int) -> None:
        self._copied[collection] = (last, rows)
        self._write()

    def end(self) -> None:
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._copied))
        draft.replace(self._path)


# --- the move -------------------------------------------------------------------------------------


def move(
    settings: Settings,
    *,
    to: str = "",
    source: str = "",
    to_database: str = "",
    from_database: str = "",
) -> str:
    """Moves the vectors to the address `to`, the records `to_database`, or both, from where the
    settings have them unless told otherwise. Returns what was done and what is left to do.

    Raises:
        ConfigurationError: nowhere to move to, or to where everything is.
        StoreLocked: the app is running.
        StoreError: the target holds something else, or in the end not what was read.
    """
    source = source or settings.milvus_uri
    from_database = from_database or settings.database_url
    if not (to or to_database):
        raise ConfigurationError(
            "There is nowhere to move to.",
            "Say --to for the vectors, --to-database for the records, or both.",
        )
    if to == source or to_database == from_database:
        raise ConfigurationError(
            "The library is to be moved to where it is.",
            "Give another --to or --to-database, or say --from where it comes from.",
        )
    done: list[str] = []
    with ExitStack() as opened:
        opened.callback(DataDirLock(settings.data_dir).release)
        notes = Notes(settings.data_dir, (source, to, from_database, to_database))
        vectors = _Vectors(Place(source, settings), Place(to, settings), notes) if to else None
        records = _Records(from_database, to_database, opened) if to_database else None
        if not notes.begun:
            if vectors is not None:
                vectors.check_target()
            if records is not None:
                records.check_target()
            notes.begin()
        if vectors is not None:
            done.append(vectors.copy())
        # The records come last: a library that is not complete has none yet.
        if records is not None:
            done.append(records.copy())
        notes.end()
    return "\n".join([*done, *_what_is_left(settings, to, to_database)])


class _Vectors:
    """The collections of one place on their way to another."""

    def __init__(self, source: Place, target: Place, notes: Notes) -> None:
        self._source = source
        self._target = target
        self._notes = notes
        self._spaces = source.spaces()
        if not self._spaces:
            raise StoreError(
                f"There is no collection of Seekpoint at {source}.",
                "Say --from where the library is.",
            )

    def check_target(self) -> None:
        """Refuses a target with rows, which nobody may mix with ours."""
        for space in set(self._target.spaces()).intersection(self._spaces):
            with self._target.open(space) as store:
                if store.count():
                    raise self._filled(store)

    def copy(self) -> str:
        return "\n".join(self._copy(space) for space in self._spaces)

    def _copy(self, space: Space) -> str:
        with self._source.open(space) as source, self._target.open(space) as target:
            read = self._copy_rows(source, target)
            if _sum_of(target) != read:
                self._notes.end()
                raise StoreError(
                    f"The collection {target.collection} at {self._target} is not what was read: "
                    "one of the two was changed while the move was interrupted.",
                    "Empty the target, then run the same command again.",
                )
            return (
                f"{read.rows:,} rows of {target.collection} are at {self._target}, read back and "
                "the same."
            )

    def _copy_rows(self, source: VectorStore, target: VectorStore) -> Sum:
        """Copies what is not in the target yet. The sum is of all that the source holds now: it
        may have changed since the move was begun."""
        name = source.collection
        last, copied = self._notes.copied(name)
        there = target.count()
        if there > copied + _BATCH_ROWS:
            raise self._filled(target)
        if there < copied:  # the target's disk was not as far as the notes, or somebody emptied it
            last, copied = "", 0
        meter = Meter(f"{name}: copied", source.count(), done=copied)
        read = Sum()
        for page in source.pages():
            read.add(page)
            new = [row for row in page if row["id"] > last]
            for first in range(0, len(new), _BATCH_ROWS):
                batch = new[first : first + _BATCH_ROWS]
                target.put(batch)
                copied += len(batch)
                self._notes.set_copied(name, batch[-1]["id"], copied)
                meter.add(len(batch))
        target.settle()
        return read

    def _filled(self, store: VectorStore) -> StoreError:
        return StoreError(
            f"{self._target} has rows in the collection {store.collection} that are no half-done "
            "copy of this library.",
            "Choose an empty target, or drop that collection there first.",
        )


class _Records:
    """All tables of one database on their way to another, in one transaction."""

    def __init__(self, source: str, target: str, opened: ExitStack) -> None:
        self._source = opened.enter_context(closing(Database(source)))
        self._target = opened.enter_context(closing(Database(target)))
        self._where = make_url(target).render_as_string(hide_password=True)
        self._tables = VideoRow.metadata.sorted_tables

    def check_target(self) -> None:
        """Refuses a target with records, which nobody may mix with ours."""
        with self._target.session() as session:
            for table in self._tables:
                if _count(table, session):
                    raise StoreError(
                        f"The database {self._where} has records in the table {table.name} that "
                        "are no half-done copy of this library.",
                        "Choose an empty database.",
                    )

    def copy(self) -> str:
        with self._source.session() as source, self._target.session() as target:
            for table in reversed(self._tables):
                target.execute(delete(table))
            records = sum(_count(table, source) for table in self._tables)
            meter = Meter("Records copied", records)
            for table in self._tables:
                self._copy(table, source, target, meter)
        return f"{records:,} records are at {self._where}, read back and the same."

    def _copy(self, table: Table, source: Session, target: Session, meter: Meter) -> None:
        read, written = Sum(), Sum()
        for batch in _records_of(table, source):
            target.execute(insert(table), batch)
            read.add(batch)
            meter.add(len(batch))
        for batch in _records_of(table, target):
            written.add(batch)
        if written != read:
            raise StoreError(
                f"The table {table.name} at {self._where} is not what was read.",
                "Nothing was written there; run the same command again.",
            )
        _number_on(table, target)


def _sum_of(store: VectorStore) -> Sum:
    held = Sum()
    meter = Meter(f"{store.collection}: read back", store.count())
    for page in store.pages():
        held.add(page)
        meter.add(len(page))
    return held


def _count(table: Table, session: Session) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _records_of(table: Table, session: Session) -> Iterator[list[dict[str, Any]]]:
    found = session.execute(select(table), execution_options={"yield_per": _BATCH_RECORDS})
    for batch in found.mappings().partitions():
        yield [dict(record) for record in batch]


def _number_on(table: Table, session: Session) -> None:
    """Lets Postgres number new rows from the highest number on; it knows only those it gave."""
    column = table.autoincrement_column
    if column is not None and session.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        session.execute(select(func.setval(sequence, func.max(column))))


def _what_is_left(settings: Settings, to: str, to_database: str) -> list[str]:
    new = [f"MILVUS_URI={without_login(to)}"] if to else []
    if to_database:
        new.append(f"DATABASE_URL={make_url(to_database).render_as_string(hide_password=True)}")
    return [
        f"Set {' and '.join(new)}, then start the app.",
        f"Videos, pictures and saved media stay in the data folder {settings.data_dir}, which the "
        + "app still needs. `python -m core.backup` carries it to another machine.",
        "The source is as it was. Delete it once you are content.",
    ]


def without_login(uri: str) -> str:
    """An address as it may be shown."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


# --- the command ----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.move",
        description="Moves a library to another Milvus, another database, or both. Stop the app "
        "first. A move that was ended goes on with the same command.",
        epilog="MILVUS_TOKEN, MILVUS_DATABASE and MILVUS_CA_FILE are for the server at either end. "
        "Between two servers that do not share them, move by way of a file.",
    )
    parser.add_argument("--to", metavar="URI", default="", help="a path ending in .db, or a server")
    parser.add_argument(
        "--from", dest="source", metavar="URI", default="", help="default: MILVUS_URI"
    )
    parser.add_argument("--to-database", metavar="URL", default="", help="as for DATABASE_URL")
    parser.add_argument("--from-database", metavar="URL", default="", help="default: DATABASE_URL")
    given = vars(parser.parse_args(arguments))
    # Both log a traceback for failures that we explain ourselves.
    for name in ("milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return run(lambda: move(Settings.from_env(), **given))


if __name__ == "__main__":
    sys.exit(main())
