"""Decoding in processes of their own: a file that crashes a decoder costs a message, not the app.

Media files come from anybody, and decoders are large programs in C. What is marked with
`in_worker` runs in a worker process, which may take only so much memory and time and knows none of
our keys. A worker stays for the next call; one that dies, or whose caller has left, is replaced.

This holds back crashes and bombs. It is no sandbox: a worker reads and writes what the app may.
"""

from __future__ import annotations

import inspect
import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, ParamSpec, TypeVar, cast

from core.errors import MediaError
from core.seekable import SeekableFile

P = ParamSpec("P")
R = TypeVar("R")

# Writing a clip of an 8K video takes 3.4 GB of addresses, reading one 1.3.
MEMORY_BYTES = 4 * 1024**3
# Between two signs of life; what takes longer has no end, or none that anybody waits for.
CPU_SEC = 120
SILENCE_SEC = 600.0
IDLE_WORKERS = 2
_REPORT_EVERY, _REPORT_EVERY_SEC = 0.01, 0.1
_OUT_OF_MEMORY = 77

# The whole library takes a second to import, and is nothing to a decoder.
_START = """
import sys, types
package = types.ModuleType("core")
package.__path__ = [sys.argv[1]]
sys.modules["core"] = package
from core.decoding import work
work(int(sys.argv[2]))
"""
_NEEDED_BY_PYTHON = {
    "HOME",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
}


def in_worker(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function, or a generator function, of a module in `core` run in a worker process.

    What goes in and comes out is pickled, but for open files, which are read from where they are,
    and for one function that hears of progress. What either raises ends the work and passes through.

    Raises:
        MediaError: when the worker dies, or takes more memory or time than one file may.
    """

    @wraps(function)
    def outside(*args: P.args, **kwargs: P.kwargs) -> Any:
        if _inside is not None:
            return function(*args, **kwargs)
        values = _run(outside, args, kwargs)
        if inspect.isgeneratorfunction(function):
            return values
        [value] = values
        return value

    return cast(Callable[P, R], outside)


def still_working() -> None:
    """A sign of life from inside long work, which gives it as much time again."""
    if _inside is not None:
        _inside.live()


# In the app


_idle: deque[_Worker] = deque()
# A forked process must not talk to the workers of the one it came from.
os.register_at_fork(after_in_child=_idle.clear)


def _run(function: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[Any]:
    """What a worker's function gives. A worker that is left in the middle is of no more use."""
    worker = _ready_worker()
    done = False
    try:
        yield from worker.values(function, args, kwargs)
        done = True
    except _Failed as failed:
        done = True
        raise failed.error from None
    finally:
        if done and len(_idle) < IDLE_WORKERS:
            _idle.append(worker)
        else:
            worker.end()


def _ready_worker() -> _Worker:
    while True:
        try:
            worker = _idle.pop()
        except IndexError:
            return _Worker()
        if worker.alive():
            return worker
        worker.end()


class _Failed(Exception):
    """What a function in a worker has raised; the worker itself is well."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@dataclass(frozen=True)
class _Lent:
    """Stands for what cannot leave the app: an open file of `size` bytes, or, without a size,
    the function that hears of progress."""

    size: int | None = None


class _Worker:
    """A process that decodes, and our end of the line to it."""

    def __init__(self) -> None:
        self._line, theirs = Pipe()
        kept = {name: os.environ[name] for name in _NEEDED_BY_PYTHON & os.environ.keys()}
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c", _START),
                    *(str(Path(__file__).parent), str(theirs.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Or each thread of a decoder sets memory aside that counts.
                env=kept | {"MALLOC_ARENA_MAX": "2"},
            )

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()

    def values(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[Any]:
        """All that the function gives; a plain one gives one thing."""
        lent_files = [value for value in (*args, *kwargs.values()) if hasattr(value, "read")]
        listeners = [value for value in (*args, *kwargs.values()) if callable(value)]
        call = (
            function,
            tuple(_lent(value) for value in args),
            {name: _lent(value) for name, value in kwargs.items()},
        )
        self._tell(call)
        while True:
            match self._heard():
                case ("gives", value):
                    yield value
                case ("reads", (position, size)):
                    self._tell(_piece(lent_files[0], position, size))
                case ("lives", fraction):
                    if fraction is not None:
                        listeners[0](fraction)
                case ("fails", error):
                    raise _Failed(error)
                case _:
                    return

    def _tell(self, what: Any) -> None:
        try:
            self._line.send(what)
        except OSError:
            self._died()

    def _heard(self) -> Any:
        try:
            if self._line.poll(SILENCE_SEC):
                return self._line.recv()
        except (EOFError, OSError):
            self._died()
        raise _too_long()

    def _died(self) -> NoReturn:
        status = self._process.wait()
        if status == _OUT_OF_MEMORY:
            raise MediaError(
                "This file takes more memory to read than one file may.",
                "Use a smaller version of it.",
            )
        if status == -signal.SIGXCPU:
            raise _too_long()
        raise MediaError("This file cannot be read: it broke the decoder.", _CONVERT)


_CONVERT = "Convert it to MP4 (H.264) and try again."


def _too_long() -> MediaError:
    return MediaError("Reading this file takes too long, so it was given up.", _CONVERT)


def _lent(value: Any) -> Any:
    if hasattr(value, "read"):
        return _Lent(value.seek(0, io.SEEK_END))
    return _Lent() if callable(value) else value


def _piece(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


# In a worker


class _Inside:
    """A worker's end of the line."""

    def __init__(self, line: Connection) -> None:
        self.line = line
        self._next_report = self._next_fraction = 0.0

    def live(self, fraction: float | None = None) -> None:
        now = time.monotonic()
        if now >= self._next_report or (fraction or 0.0) >= self._next_fraction:
            self._next_report = now + _REPORT_EVERY_SEC
            self._next_fraction = (fraction or 0.0) + _REPORT_EVERY
            self.line.send(("lives", fraction))
            _allow_time()

    def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._next_report = self._next_fraction = 0.0
        try:
            result = function(
                *(self._borrowed(value) for value in args),
                **{name: self._borrowed(value) for name, value in kwargs.items()},
            )
            for value in result if inspect.isgenerator(result) else [result]:
                self.line.send(("gives", value))
                _allow_time()
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
        except (MediaError, OSError) as error:
            self.line.send(("fails", error))
        else:
            self.line.send(("ends", None))

    def _borrowed(self, value: Any) -> Any:
        if not isinstance(value, _Lent):
            return value
        return self.live if value.size is None else _Borrowed(self.line, value.size)


class _Borrowed(SeekableFile):
    """A file that is open in the app."""

    def __init__(self, line: Connection, size: int) -> None:
        super().__init__(size)
        self._line = line

    def readinto(self, buffer: Any) -> int:
        self._line.send(("reads", (self._position, len(buffer))))
        piece = self._line.recv()
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


_inside: _Inside | None = None


def work(line: int) -> None:
    """A worker's life: it answers calls until the app that started it is gone."""
    global _inside
    # It ends with the app, which may still want what is under way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    with suppress(OSError, ValueError):  # not every system can
        _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _inside = _Inside(Connection(line))
    try:
        while True:
            call = _inside.line.recv()
            _allow_time()
            _inside.call(*call)
    except (EOFError, OSError):
        os._exit(0)


def _allow_time() -> None:
    """Time is counted from the start of the process, so the limit moves on with it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_SEC)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
