"""Our own copies of uploaded files, named by their content."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from core.errors import MediaError
from core.state import State

_COPY_CHUNK = 1 << 20
_NAME_LENGTH = 32
_PARTIAL = ".upload-"
_SUFFIX = re.compile(r"\.[a-z0-9]{1,9}")


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
        """Copies an upload called `name` into the folder.

        Raises:
            MediaError: when the disk refuses it; nothing half-written stays.
        """
        partial = self._folder / f"{_PARTIAL}{threading.get_ident()}-{time.monotonic_ns()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            digest = _copied(content, partial)
            kept = self._folder / (digest[:_NAME_LENGTH] + _suffix(name))
            with self._lock:
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
        if not isinstance(path, Path) or path.parent != self._folder:
            return
        with self._lock:
            if path not in self._not_yet_queued and not self._state.path_in_use(path):
                path.unlink(missing_ok=True)


def _copied(content: BinaryIO, path: Path) -> str:
    """Writes `content` to `path` and returns its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as copy:
        while chunk := content.read(_COPY_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _suffix(name: str) -> str:
    """The ending of a file name where it is a plain one: what a browser calls a file is its word."""
    suffix = Path(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""
