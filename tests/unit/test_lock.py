from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from core.errors import ConfigurationError, StoreLocked
from core.lock import DataDirLock


def test_a_second_lock_in_one_process_is_refused_until_the_first_is_released(
    tmp_path: Path,
) -> None:
    first = DataDirLock(tmp_path)
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        DataDirLock(tmp_path)
    first.release()
    DataDirLock(tmp_path).release()


def test_those_that_share_a_folder_hold_it_together_and_keep_out_whoever_does_not(
    tmp_path: Path,
) -> None:
    first, second = DataDirLock(tmp_path, shared=True), DataDirLock(tmp_path, shared=True)
    first.release()
    with pytest.raises(StoreLocked):
        DataDirLock(tmp_path)
    second.release()
    alone = DataDirLock(tmp_path)
    with pytest.raises(StoreLocked):
        DataDirLock(tmp_path, shared=True)
    alone.release()


def test_a_disk_that_knows_no_locks_is_not_called_another_seekpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(ConfigurationError, match="No locks available"):
        DataDirLock(tmp_path)
