"""Processes that are there to be killed.

They are forked from one that has imported everything: a fresh one would spend seconds on that, and
what is told by killing it begins after.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.milvus.adder", "tests.milvus.opener"])


@contextmanager
def running(work: Callable[..., None], *args: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that runs `work(*args, connection)`, and the other end of its connection. It is
    killed at the end, if it still runs."""
    ours, theirs = _FORKS.Pipe()
    process = _FORKS.Process(target=work, args=(*args, theirs), daemon=True)
    process.start()
    # Else the end of the process would not be the end of what it says.
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()
