"""Backs up the data folder: `python -m core.backup --to FOLDER`, and `--restore FOLDER`.

    FOLDER/manifest.json    every file with its size and SHA-256, and whether the backup is complete
    FOLDER/files/           the files, as they lie in the data folder

Databases of SQLite are copied by SQLite itself, so that a backup is one consistent file. Both ways
go on where they were ended. What is brought back first lies in a folder of its own inside the data
folder, and takes its place only when all of it is there and is what the manifest says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from sqlalchemy import make_url

from core.console import Meter, run
from core.errors import ConfigurationError, StoreError
from core.lock import DataDirLock
from core.settings import Settings

_VERSION = 1
_PIECE_BYTES = 1 << 20
_SAVE_EVERY_BYTES = 64 << 20
_MANIFEST = "manifest.json"
_FILES = "files"
_ARRIVING = "restoring"
_ARRIVED = "restored"
_LOCK = "seekpoint.lock"
# What belongs to a process, and not to the library.
_LEFT_OUT = re.compile(rf"{_LOCK}|tmp|{_ARRIVING}|{_ARRIVED}|move-.*")
# SQLite's own logs are part of what it copies.
_SQLITE_LOG = re.compile(r".*-(wal|shm|journal)")
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup: bytes, time of the last change in nanoseconds, SHA-256."""

    size: int
    changed: int
    sha256: str


class Manifest:
    """What a backup holds, by path inside the data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _MANIFEST
        self.files: dict[str, Entry] = {}
        self.complete = False

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest in `folder`.

        Raises:
            StoreError: there is none that this version can read.
        """
        manifest = cls(folder)
        try:
            noted = json.loads(manifest._path.read_text(encoding="utf-8"))
            if noted["version"] != _VERSION:
                raise StoreError(
                    f"The backup in {folder} was made by another version of Seekpoint.",
                    "Bring it back with that version.",
                )
            manifest.complete = bool(noted["complete"])
            for name, entry in noted["files"].items():
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts:
                    raise ValueError(f"{name} leads out of the folder")
                manifest.files[name] = Entry(**entry)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"There is no backup in {folder} that can be read.",
                "Give the folder that was named when it was made.",
            ) from error
        return manifest

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def save(self) -> None:
        noted = {
            "version": _VERSION,
            "complete": self.complete,
            "files": {name: asdict(entry) for name, entry in sorted(self.files.items())},
        }
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(noted, indent=1), encoding="utf-8")
        draft.replace(self._path)


# --- making one -----------------------------------------------------------------------------------


def back_up(settings: Settings, folder: Path) -> str:
    """Copies the data folder to `folder`; says in the end what is not in it.

    Raises:
        StoreLocked: the app is running.
        ConfigurationError: `folder` cannot be used for this.
        StoreError: a file cannot be read or written; the same call goes on.
    """
    source = settings.data_dir
    folder = folder.expanduser().resolve()
    if folder.is_relative_to(source) or not source.is_dir():
        raise ConfigurationError(
            f"The data folder {source} cannot be backed up to {folder}.",
            "Give a folder outside of it, and check SEEKPOINT_DATA_DIR.",
        )
    with ExitStack() as opened:
        opened.callback(DataDirLock(source).release)
        opened.enter_context(_translated())
        manifest = _begun(folder)
        opened.callback(manifest.save)  # as far as it is, whatever ends it
        _copy_all(source, folder / _FILES, manifest)
        manifest.complete = True
    done = f"{len(manifest.files):,} files of {_megabytes(manifest.size)} are in {folder}."
    return "\n".join([done, *_not_in_it(settings)])


def _begun(folder: Path) -> Manifest:
    """The manifest of the backup that is made in `folder`: a new one, or one that was ended."""
    if (folder / _MANIFEST).exists():
        manifest = Manifest.read(folder)
        if manifest.complete:
            raise ConfigurationError(
                f"There is a complete backup in {folder} already.", "Give another folder."
            )
        return manifest
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty.", "Give an empty or a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(folder)
    manifest.save()
    return manifest


def _copy_all(source: Path, copies: Path, manifest: Manifest) -> None:
    found = {name: (source / name).stat() for name in _files_of(source)}
    total = sum(file.st_size for file in found.values())
    _check_room(copies.parent, total - manifest.size)
    meter = Meter("Backed up", total, shown=_megabytes)
    unsaved = 0
    for name, file in sorted(found.items()):
        noted = manifest.files.get(name)
        if noted is None or (noted.size, noted.changed) != (file.st_size, file.st_mtime_ns):
            manifest.files[name] = _copied(source / name, copies / name, file)
            unsaved += file.st_size
        meter.add(file.st_size)
        if unsaved > _SAVE_EVERY_BYTES:
            manifest.save()
            unsaved = 0
    for gone in manifest.files.keys() - found.keys():
        (copies / gone).unlink(missing_ok=True)
        del manifest.files[gone]


def _files_of(folder: Path) -> Iterator[str]:
    """The files of a data folder by their path in it. Links are followed: what they lead to is part
    of the library as well."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        path = Path(parent)
        if path == folder:
            folders[:] = [name for name in folders if not _LEFT_OUT.fullmatch(name)]
            names = [name for name in names if not _LEFT_OUT.fullmatch(name)]
        for name in names:
            if not _SQLITE_LOG.fullmatch(name):
                yield (path / name).relative_to(folder).as_posix()


def _copied(path: Path, copy: Path, file: os.stat_result) -> Entry:
    copy.parent.mkdir(parents=True, exist_ok=True)
    if _is_sqlite(path):
        _copy_database(path, copy)
        # Never taken for unchanged: what was written last may be in its log.
        return Entry(copy.stat().st_size, 0, _digest(copy))
    return Entry(file.st_size, file.st_mtime_ns, _copy_file(path, copy))


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _copy_database(path: Path, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    shutil.copymode(path, copy)


def _not_in_it(settings: Settings) -> Iterator[str]:
    """What the data folder does not hold."""
    database = make_url(settings.database_url)
    elsewhere = []
    if not Path(settings.milvus_uri).is_relative_to(settings.data_dir):
        elsewhere.append("the vectors (MILVUS_URI)")
    if database.get_backend_name() != "sqlite" or not Path(database.database or "").is_relative_to(
        settings.data_dir
    ):
        elsewhere.append("the records (DATABASE_URL)")
    if settings.media_url:
        elsewhere.append("media (SEEKPOINT_MEDIA_URL)")
    if elsewhere:
        yield f"Not in the data folder, so not in the backup: {', '.join(elsewhere)}."
        yield "Back them up where they are, or bring them here first with `python -m core.move`."


# --- bringing one back ----------------------------------------------------------------------------


def restore(settings: Settings, folder: Path) -> str:
    """Brings a backup back into the data folder, which must be empty.

    Raises:
        StoreLocked: the app is running.
        ConfigurationError: the data folder is not empty.
        StoreError: the backup is not complete, or damaged; nothing was changed.
    """
    target = settings.data_dir
    folder = folder.expanduser().resolve()
    manifest = Manifest.read(folder)
    if not manifest.complete:
        raise StoreError(
            f"The backup in {folder} is not complete.",
            "Run the command that made it again: it goes on.",
        )
    with ExitStack() as opened:
        opened.callback(DataDirLock(target).release)
        opened.enter_context(_translated())
        arriving, arrived = target / _ARRIVING, target / _ARRIVED
        if not arrived.exists():
            _check_empty(target)
            _bring_back(folder / _FILES, arriving, manifest)
            arriving.rename(arrived)
        for path in arrived.iterdir():
            path.rename(target / path.name)
        arrived.rmdir()
    return f"{len(manifest.files):,} files of {_megabytes(manifest.size)} are back in {target}."


def _check_empty(target: Path) -> None:
    if {path.name for path in target.iterdir()} - {_LOCK, _ARRIVING}:
        raise ConfigurationError(
            f"The data folder {target} is not empty.",
            "Move what is in it aside, or set SEEKPOINT_DATA_DIR to a new folder.",
        )


def _bring_back(copies: Path, arriving: Path, manifest: Manifest) -> None:
    arriving.mkdir(exist_ok=True)
    for name in set(_files_of(arriving)) - manifest.files.keys():
        (arriving / name).unlink()  # of another backup that somebody began to bring back
    meter = Meter("Brought back", manifest.size, shown=_megabytes)
    for name, entry in sorted(manifest.files.items()):
        path = arriving / name
        if not (path.is_file() and _digest(path) == entry.sha256):
            path.parent.mkdir(parents=True, exist_ok=True)
            if _copy_file(copies / name, path) != entry.sha256:
                raise StoreError(
                    f"{copies / name} is damaged: it is not what was backed up.",
                    "Use another backup. Nothing was changed.",
                )
        meter.add(entry.size)


# --- files ----------------------------------------------------------------------------------------


def _copy_file(path: Path, copy: Path) -> str:
    """Copies a file with its times and permissions, and returns the SHA-256 of what was read."""
    digest = hashlib.sha256()
    with path.open("rb") as source, copy.open("wb") as target:
        while piece := source.read(_PIECE_BYTES):
            digest.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    shutil.copystat(path, copy)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StoreError(
            f"The disk that holds {folder} has {_megabytes(free)} left; this takes "
            f"{_megabytes(size)}.",
            "Free some space there, or give another folder.",
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@contextmanager
def _translated() -> Iterator[None]:
    """What the disk refuses, in our words."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"Not everything could be copied: {error}.",
            "Look after the disk and the permissions, then run the same command: it goes on.",
        ) from error


# --- the command ----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.backup",
        description="Backs up the data folder (SEEKPOINT_DATA_DIR), or brings a backup back. Stop "
        "the app first. What was ended goes on with the same command.",
    )
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--to", metavar="FOLDER", type=Path, help="makes a backup in a new folder")
    ways.add_argument("--restore", metavar="FOLDER", type=Path, help="brings that backup back")
    given = parser.parse_args(arguments)
    if given.to is not None:
        return run(lambda: back_up(Settings.from_env(), given.to))
    return run(lambda: restore(Settings.from_env(), given.restore))


if __name__ == "__main__":
    sys.exit(main())
