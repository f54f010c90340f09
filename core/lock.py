"""One process per data directory, or several when all that must not be shared lies elsewhere."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

from core.errors import ConfigurationError, StoreLocked


class DataDirLock:
    """Held from creation to `release`; the system frees it when the process dies, however it dies.

    Those that hold it as `shared` hold it together.

    Raises:
        StoreLocked: another process holds it.
        ConfigurationError: the directory cannot be written.
    """

    def __init__(self, data_dir: Path, *, shared: bool = False) -> None:
        path = data_dir / "seekpoint.lock"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with ExitStack() as opened:
                self._file = opened.enter_context(path.open("a+", errors="replace"))
                kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
                self._file.truncate(0)
                self._file.write(str(os.getpid()))
                self._file.flush()
                opened.pop_all()
        except BlockingIOError as error:
            raise StoreLocked(
                f"Another Seekpoint{_owner(path)} is using the data folder {data_dir}.",
                "Close it, or give this one its own folder with SEEKPOINT_DATA_DIR.",
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"SEEKPOINT_DATA_DIR is {str(data_dir)!r}, which cannot be written: "
                f"{error.strerror}.",
                "Choose a folder this user may write to.",
            ) from error

    def release(self) -> None:
        self._file.close()


def holder(file: int) -> str:
    """Which process holds the lock of an open file, in words; empty where the system does not say."""
    inode = str(os.fstat(file).st_ino)
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return ""
    for _, _, _, _, process, of, *_ in map(str.split, locks.splitlines()):
        # 0 or less: a process in another container.
        if of.rpartition(":")[2] == inode and process.isdecimal() and process != "0":
            return f" (process {process})"
    return ""


def _owner(path: Path) -> str:
    pid = path.read_text(errors="replace").strip()
    return f" (process {pid})" if pid.isdecimal() else ""
