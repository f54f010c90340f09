"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.errors import ConfigurationError, StoreLocked


class DataDirLock:
    """Held from creation to `release`; the system frees it when the process dies, however it dies.

    Raises:
        StoreLocked: another process holds it.
        ConfigurationError: the directory cannot be written.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "seekpoint.lock"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+")
        except OSError as error:
            raise ConfigurationError(
                f"SEEKPOINT_DATA_DIR is {str(data_dir)!r}, which cannot be written: "
                f"{error.strerror}.",
                "Choose a folder this user may write to.",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = self._owner()
            self._file.close()
            raise StoreLocked(
                f"Another Seekpoint{owner} is using the data folder {data_dir}.",
                "Close it, or give this one its own folder with SEEKPOINT_DATA_DIR.",
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()

    def _owner(self) -> str:
        self._file.seek(0)
        pid = self._file.read().strip()
        return f" (process {pid})" if pid.isdecimal() else ""
