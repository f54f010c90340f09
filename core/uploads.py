"""Uploads: files on their way in, piece by piece, and then our own copies, named by content.

    uploads/<id>.part     what has arrived
    uploads/<id>.json     what was announced, and the copy that it became
    media/<hash>/<name>   the copies, which videos play from

All of it is on disk, so an upload goes on after a broken connection and after a restart.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import UploadError
from core.state import State

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 4 * 1024**3
_STALE_SEC = 24 * 3600
_ID_LENGTH = 32
_NAME_BYTES = 120
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f/\\:\ud800-\udfff]")
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was announced. `size` and `received` are bytes; `path` is our copy of it, None
    until it is finished."""

    id: str
    name: str
    size: int
    received: int = 0
    path: Path | None = None


class Uploads:
    """Every upload that waits for its end or for its job. Methods may block; threads may share it.

    A copy stays while an upload waits with it, a job is to read it, or a video plays from it. One
    lock around every decision to keep or to delete: otherwise the end of one job could delete what
    a second upload of the same content has just brought.

    Every method raises UploadError for what the disk refuses; what has arrived stays.
    """

    def __init__(self, data_dir: Path, state: State) -> None:
        self._copies = data_dir / "media"
        self._arriving = data_dir / "uploads"
        self._state = state
        self._lock = threading.Lock()
        # One at a time: a second wish to finish an upload then finds it done.
        self._finishing = threading.Lock()
        self._known = {upload.id: upload for upload in self._on_disk()}
        with self._lock:
            self._drop_strays()
            self._drop_stale()

    def begin(self, name: str, size: int) -> Upload:
        """Announces a file of `size` bytes. What it holds is judged later, when it is probed.

        Raises:
            UploadError: empty, over MAX_UPLOAD_BYTES, or more than the disk has room for.
        """
        plain = _plain_name(name)
        if size <= 0:
            raise UploadError(f"{plain} is empty.", "Choose another file.", reason="empty")
        if size > MAX_UPLOAD_BYTES:
            raise UploadError(
                f"{plain} is larger than {MAX_UPLOAD_BYTES >> 30} GB.",
                "Cut it into shorter videos, or make it smaller.",
                reason="large",
            )
        with self._lock, _translated():
            self._drop_stale()
            self._arriving.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._arriving).free < size:
                raise UploadError(
                    f"The server's disk has no room for {plain}.",
                    "Free some space there, then try again.",
                    reason="full",
                )
            upload = Upload(uuid.uuid4().hex, plain, size)
            self._record(upload)
            return upload

    def get(self, upload_id: str) -> Upload:
        """How far an upload is. Raises UploadError for one that is unknown, or used up by its job."""
        upload = self._known.get(upload_id)
        if upload is None:
            raise UploadError(
                "This upload is no longer on the server.", "Begin it again.", reason="unknown"
            )
        if upload.path is not None:
            return replace(upload, received=upload.size)
        return replace(upload, received=_size(self._part(upload)))

    def append(self, upload_id: str, offset: int, chunk: bytes) -> int:
        """Adds `chunk`, whose first byte is byte `offset` of the file; returns how much is there.

        Raises:
            UploadError: unknown; not what comes next; more than was announced; or the disk is full,
                and then the part of `chunk` that found room stays.
        """
        with self._lock, _translated():
            upload = self.get(upload_id)
            if offset != upload.received:
                raise UploadError(
                    f"{upload.received:,} bytes of {upload.name} are here; these begin at {offset:,}.",
                    "Go on from what is here.",
                    reason="offset",
                )
            if offset + len(chunk) > upload.size:
                raise UploadError(
                    f"{upload.name} is larger than was announced.",
                    "Begin it again.",
                    reason="large",
                )
            with self._part(upload).open("ab") as part:
                part.write(chunk)
            return offset + len(chunk)

    def finish(self, upload_id: str) -> Path:
        """Makes a complete upload our copy, and returns it; the same content again is one copy.

        Reads the whole file once. Finishing again returns the same copy.

        Raises:
            UploadError: unknown, or not all of it is here.
        """
        with self._finishing, _translated():
            upload = self.get(upload_id)
            if upload.path is not None:
                return upload.path
            if upload.received != upload.size:
                raise UploadError(
                    f"{upload.received:,} of {upload.size:,} bytes of {upload.name} are here.",
                    "Go on from what is here.",
                    reason="offset",
                )
            folder = self._copies / _digest(self._part(upload))[:_ID_LENGTH]
            with self._lock:
                self.get(upload_id)  # it may have been cancelled meanwhile
                folder.mkdir(parents=True, exist_ok=True)
                path = next(folder.iterdir(), None) or folder / upload.name
                # Recorded before it is moved: as long as the part is there, the record is a plan.
                self._record(replace(upload, path=path))
                self._part(upload).replace(path)
            return path

    def cancel(self, upload_id: str) -> None:
        """Forgets an upload and what has arrived of it; one that is unknown needs nothing."""
        with self._lock, _translated():
            if upload_id in self._known:
                self._drop(self._known[upload_id])

    def path(self, upload_id: str) -> Path | None:
        """The copy of a finished upload that waits for its job; None for every other."""
        upload = self._known.get(upload_id)
        return None if upload is None else upload.path

    def are_queued(self, sources: Collection[str]) -> None:
        """From here on the jobs with these sources are what keeps their copies."""
        with self._lock:
            for upload in list(self._known.values()):
                if str(upload.path) in sources:
                    self._forget(upload)

    def discard(self, path: str | Path | None) -> None:
        """Deletes a copy of ours that nothing needs any more; any other file stays. A disk that
        refuses this is only logged."""
        if isinstance(path, Path) and path.parent.parent == self._copies:
            with self._lock:
                try:
                    self._delete_unused(path)
                except OSError as error:
                    logger.warning("%s cannot be deleted: %s", path, error)

    # Below, the lock is held.

    def _drop_strays(self) -> None:
        """Drops what a process that died left without the other half."""
        for path in self._arriving.glob("*.*"):
            if path.stem not in self._known:
                with suppress(OSError):
                    path.unlink()

    def _drop_stale(self) -> None:
        """Drops what nobody has touched for a day."""
        for upload in list(self._known.values()):
            touched = max(_modified(self._note(upload)), _modified(self._part(upload)))
            if touched > time.time() - _STALE_SEC:
                continue
            try:
                self._drop(upload)
                logger.info("upload %s of %s was left and is dropped", upload.id, upload.name)
            except OSError as error:
                logger.warning("upload %s was left and cannot be dropped: %s", upload.id, error)

    def _drop(self, upload: Upload) -> None:
        self._forget(upload)
        if upload.path is not None:
            self._delete_unused(upload.path)

    def _forget(self, upload: Upload) -> None:
        # A disk that refuses this leaves an upload that can go on.
        self._note(upload).unlink(missing_ok=True)
        del self._known[upload.id]
        self._part(upload).unlink(missing_ok=True)

    def _delete_unused(self, path: Path) -> None:
        waits = any(upload.path == path for upload in self._known.values())
        if not waits and not self._state.path_in_use(path):
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()

    # The disk

    def _part(self, upload: Upload) -> Path:
        return self._arriving / f"{upload.id}.part"

    def _note(self, upload: Upload) -> Path:
        return self._arriving / f"{upload.id}.json"

    def _record(self, upload: Upload) -> None:
        copy = None if upload.path is None else str(upload.path.relative_to(self._copies))
        content = json.dumps({"name": upload.name, "size": upload.size, "copy": copy})
        draft = self._note(upload).with_suffix(".draft")
        draft.write_text(content, encoding="utf-8")
        draft.replace(self._note(upload))
        self._known[upload.id] = upload

    def _on_disk(self) -> Iterator[Upload]:
        """What an earlier process left."""
        for note in self._arriving.glob("*.json"):
            try:
                noted = json.loads(note.read_text(encoding="utf-8"))
                upload = Upload(note.stem, str(noted["name"]), int(noted["size"]))
                copy = self._copies / noted["copy"] if noted["copy"] else None
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("what was noted of upload %s cannot be read: %s", note.stem, error)
                continue
            moved = copy is not None and not self._part(upload).exists()
            yield replace(upload, path=copy) if moved else upload


@contextmanager
def _translated() -> Iterator[None]:
    """What the disk refuses, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UploadError(
                "The server's disk is full.",
                "Free some space there, then try again: it goes on from what has arrived.",
                reason="full",
            ) from error
        raise UploadError(
            f"The server cannot keep uploads: {error.strerror}.",
            "Whoever runs it must give it a data folder that it may write to.",
            reason="disk",
        ) from error


def _digest(path: Path) -> str:
    """SHA-256 of what is at `path`, in hexadecimal, and safely on the disk from here on."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _plain_name(name: str) -> str:
    """What a browser calls a file, as a name that every disk takes and that leads nowhere else."""
    plain = Path(_NOT_IN_A_NAME.sub("_", name)).name.lstrip(".") or "upload"
    stem, suffix = Path(plain).stem, Path(plain).suffix[:10]
    return stem.encode()[:_NAME_BYTES].decode(errors="ignore") + suffix
