"""Our own copies of uploaded files: each under its own name in a folder named by its content."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import MediaError
from core.state import State

_COPY_CHUNK = 1 << 20
_ID_LENGTH = 32
_PARTIAL = ".upload-"
_NAME_BYTES = 120
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f/\\:\ud800-\udfff]")


class Uploads:
    """The folder of uploads. A copy stays while a video plays from it or a job is to read it.

    One lock around every decision to keep or to delete: otherwise the end of one job could delete
    what a second upload of the same content has just brought.
    """

    def __init__(self, data_dir: Path, state: State) -> None:
        self._folder = data_dir / "media"
        self._state = state
        self._lock = threading.Lock()
        self._not_yet_queued: set[Path] = set()
        for partial in self._folder.glob(f"{_PARTIAL}*"):
            partial.unlink(missing_ok=True)  # of a process that died

    def keep(self, name: str, content: BinaryIO) -> Path:
        """Copies an upload called `name` into the folder; the same content again is one copy.

        Raises:
            MediaError: when the disk refuses it; nothing half-written stays.
        """
        partial = self._folder / f"{_PARTIAL}{threading.get_ident()}-{time.monotonic_ns()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            digest = _copied(content, partial)
            folder = self._folder / digest[:_ID_LENGTH]
            with self._lock:
                kept = next(folder.glob("*"), None) or folder / _plain_name(name)
                folder.mkdir(exist_ok=True)
                partial.replace(kept)
                self._not_yet_queued.add(kept)
        except OSError as error:
            raise MediaError(
                f"The upload could not be kept: {error.strerror}.",
                "Free some space on the server's disk, then upload it again.",
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return kept

    def are_queued(self, sources: Collection[str]) -> None:
        """From here on the jobs with these sources are what keeps their copies."""
        with self._lock:
            self._not_yet_queued -= {Path(source) for source in sources}

    def discard(self, path: str | Path | None) -> None:
        """Deletes a copy of ours that nothing needs any more; any other file stays."""
        if not isinstance(path, Path) or path.parent.parent != self._folder:
            return
        with self._lock:
            if path not in self._not_yet_queued and not self._state.path_in_use(path):
                path.unlink(missing_ok=True)
                with suppress(OSError):
                    path.parent.rmdir()


def _copied(content: BinaryIO, path: Path) -> str:
    """Writes `content` to `path` and returns its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as copy:
        while chunk := content.read(_COPY_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _plain_name(name: str) -> str:
    """What a browser calls a file, as a name that every disk takes and that leads nowhere else."""
    plain = Path(_NOT_IN_A_NAME.sub("_", name)).name.lstrip(".") or "upload"
    stem, suffix = Path(plain).stem, Path(plain).suffix[:10]
    return stem.encode()[:_NAME_BYTES].decode(errors="ignore") + suffix
