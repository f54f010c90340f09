"""Uploads: files on their way in, piece by piece, and then our own copies, named by content.

    uploads/<id>.part     what has arrived
    uploads/<id>.json     what was announced, and the copy that it becomes

All of it is on this machine's disk, so an upload goes on after a broken connection and after a
restart. A complete one moves into the media store, which videos play from.
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
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.errors import MediaError, UploadError
from core.media_store import CONTENT_ID_LENGTH, Location, MediaStore
from core.state import State

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 4 * 1024**3
_STALE_SEC = 24 * 3600
_NAME_BYTES = 120
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f/\\:\ud800-\udfff]")
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was announced. `size` and `received` are bytes; `copy` is where our copy of it
    is once it is `finished`, or where it is going."""

    id: str
    name: str
    size: int
    received: int = 0
    copy: Location | None = None
    finished: bool = False


class Uploads:
    """Every upload that waits for its end or for its job. Methods may block; threads may share it.

    A copy stays while an upload waits with it, a job is to read it, or a video plays from it. Who
    brings or deletes one is alone with its content: otherwise the end of one job could delete what
    a second upload of the same content has just brought. The lock around what is known of uploads
    is never held while a media store is asked, which may be far away.

    Every method raises UploadError for what the disk refuses, and MediaError for what the media
    store does; what has arrived stays.
    """

    def __init__(self, data_dir: Path, state: State, copies: MediaStore) -> None:
        self.copies = copies
        self._arriving = data_dir / "uploads"
        self._state = state
        self._lock = threading.Lock()
        self._free = threading.Condition()
        self._busy: set[str] = set()
        # Listed before the notes are read: what another server begins meanwhile is no stray.
        there = list(self._arriving.glob("*.*"))
        self._known = {upload.id: upload for upload in self._on_disk()}
        self._drop_strays(there)
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
        self._drop_stale()
        with self._lock, _translated():
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
            raise _unknown()
        received = upload.size if upload.finished else _size(self._part(upload))
        return replace(upload, received=received)

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

    def finish(self, upload_id: str) -> Location:
        """Makes a complete upload our copy, and returns it; the same content again is one copy.

        Reads the whole file once. Finishing again returns the same copy.

        Raises:
            UploadError: unknown, or not all of it is here.
        """
        with self._alone_with(upload_id), _translated():
            upload = self.get(upload_id)
            if upload.finished and upload.copy is not None:
                return upload.copy
            if upload.received != upload.size:
                raise UploadError(
                    f"{upload.received:,} of {upload.size:,} bytes of {upload.name} are here.",
                    "Go on from what is here.",
                    reason="offset",
                )
            content_id = _digest(self._part(upload))[:CONTENT_ID_LENGTH]
            with self._alone_with(content_id):
                return self._bring(upload, content_id)

    def _bring(self, upload: Upload, content_id: str) -> Location:
        """Moves what has arrived into the media store."""
        found = self.copies.find(content_id, upload.size)
        copy = found or self.copies.location(content_id, upload.name)
        with self._lock:
            self.get(upload.id)  # it may have been cancelled meanwhile
            # Recorded before it is moved: as long as the part is there, the record is a plan.
            self._record(replace(upload, copy=copy))
        if found is None:
            self.copies.put(self._part(upload), copy)
        with self._lock:
            self._part(upload).unlink(missing_ok=True)
            if upload.id in self._known:
                self._known[upload.id] = replace(upload, copy=copy, finished=True)
                return copy
        self._delete_if_unused(copy)
        raise _unknown()

    def cancel(self, upload_id: str) -> None:
        """Forgets an upload and what has arrived of it; one that is unknown needs nothing."""
        with _translated():
            self._drop(upload_id)

    def copy(self, upload_id: str) -> Location | None:
        """The copy of a finished upload that waits for its job; None for every other."""
        upload = self._known.get(upload_id)
        return upload.copy if upload is not None and upload.finished else None

    def are_queued(self, sources: Collection[str]) -> None:
        """From here on the jobs with these sources are what keeps their copies."""
        with self._lock:
            for upload in list(self._known.values()):
                if upload.finished and str(upload.copy) in sources:
                    self._forget(upload)

    def discard(self, location: Location | None) -> None:
        """Deletes a copy of ours that nothing needs any more; any other file stays. What keeps it
        from that is only logged."""
        copy = None if location is None else self.copies.located(location)
        content_id = None if copy is None else self.copies.content_id(copy)
        if copy is None or content_id is None:
            return
        with self._alone_with(content_id):
            try:
                self._delete_if_unused(copy)
            except (OSError, MediaError) as error:
                logger.warning("%s cannot be deleted: %s", copy, error)

    @contextmanager
    def _alone_with(self, name: str) -> Iterator[None]:
        """Waits until nobody else is busy with this upload, or this content."""
        with self._free:
            self._free.wait_for(lambda: name not in self._busy)
            self._busy.add(name)
        try:
            yield
        finally:
            with self._free:
                self._busy.discard(name)
                self._free.notify_all()

    def _drop_strays(self, there: Sequence[Path]) -> None:
        """Drops what a process that died left without the other half."""
        for path in there:
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
                self._drop(upload.id)
                logger.info("upload %s of %s was left and is dropped", upload.id, upload.name)
            except (OSError, MediaError) as error:
                logger.warning("upload %s was left and cannot be dropped: %s", upload.id, error)

    def _drop(self, upload_id: str) -> None:
        with self._lock:
            upload = self._known.get(upload_id)
            if upload is not None:
                self._forget(upload)
        if upload is not None:
            # Of a plan too: its copy may be there already.
            self.discard(upload.copy)

    def _delete_if_unused(self, copy: Location) -> None:
        """Whoever calls this is alone with the content."""
        with self._lock:
            waits = any(upload.copy == copy for upload in self._known.values())
        if not waits and not self._state.path_in_use(copy):
            self.copies.delete(copy)

    # Below, the lock is held.

    def _forget(self, upload: Upload) -> None:
        # A disk that refuses this leaves an upload that can go on.
        self._note(upload).unlink(missing_ok=True)
        del self._known[upload.id]
        self._part(upload).unlink(missing_ok=True)

    # The disk

    def _part(self, upload: Upload) -> Path:
        return self._arriving / f"{upload.id}.part"

    def _note(self, upload: Upload) -> Path:
        return self._arriving / f"{upload.id}.json"

    def _record(self, upload: Upload) -> None:
        # The end of its location is enough: that may begin otherwise when we start again.
        copy = None if upload.copy is None else "/".join(PurePosixPath(upload.copy).parts[-2:])
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
                if noted["copy"]:
                    copy = self.copies.location(*noted["copy"].split("/"))
                    moved = not self._part(upload).exists()
                    upload = replace(upload, copy=copy, finished=moved)
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("what was noted of upload %s cannot be read: %s", note.stem, error)
                continue
            yield upload


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


def _unknown() -> UploadError:
    return UploadError(
        "This upload is no longer on the server.", "Begin it again.", reason="unknown"
    )


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
    plain = Path(_NOT_IN_A_NAME.sub("_", name)).name.strip().lstrip(".") or "upload"
    stem, suffix = Path(plain).stem, Path(plain).suffix[:10]
    return stem.encode()[:_NAME_BYTES].decode(errors="ignore") + suffix
