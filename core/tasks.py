"""Long work in the background: told how far it is, cancelled when nobody wants it any more."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Literal, TypeVar

from core.errors import JobCancelled, SeekpointError

logger = logging.getLogger(__name__)

# More would take the processor from those who search.
_AT_ONCE = 2
_KEPT = 32
_CLOSE_SEC = 5.0
# Of less than this nobody can tell how long the rest will take.
_TELLING = 0.05

T = TypeVar("T")
State = Literal["waiting", "running", "ready", "failed", "cancelled"]


class Report:
    """What work tells on its way: the fraction done, 0 to 1, and in a few words what is being done.

    Raises JobCancelled when the work is not wanted any more, so that it ends at its next word.
    """

    def __init__(self, task: Task[Any], begin: float = 0.0, end: float = 1.0, doing: str = ""):
        self._task, self._begin, self._end, self._doing = task, begin, end, doing

    def __call__(self, fraction: float) -> None:
        share = min(max(fraction, 0.0), 1.0)
        self._task._told(self._begin + share * (self._end - self._begin), self._doing)

    def part(self, begin: float, end: float, doing: str) -> Report:
        """The report of a part of the work, which takes it from the fraction `begin` to `end`."""
        part = Report(self._task, begin, end, doing)
        part(0.0)
        return part


class Task(Generic[T]):
    """One piece of work, and its `result` or its `error` once it has ended."""

    def __init__(self, work: Callable[[Report], T], places: threading.Semaphore) -> None:
        self._work = work
        self._places = places
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.state: State = "waiting"
        self.fraction = 0.0
        self.doing = "Waiting for other work"
        self.result: T | None = None
        self.error: SeekpointError | None = None
        self.seconds = 0.0
        self._begun = 0.0
        self._cancelled = threading.Event()
        # A daemon: work nobody waits for must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="task", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is under way or waits for its turn."""
        return self.state in ("waiting", "running")

    @property
    def remaining_sec(self) -> float | None:
        """How long it will take if it goes on as fast as so far; None while that says little."""
        if self.state != "running" or self.fraction < _TELLING:
            return None
        return (time.perf_counter() - self._begun) * (1 / self.fraction - 1)

    def cancel(self) -> None:
        """Lets the work end at its next step. What has ended stays as it is."""
        with self._lock:
            if self.running:
                self._cancelled.set()
                self.state = "cancelled"

    def again(self) -> None:
        """Begins anew what failed or was cancelled."""
        with self._lock:
            if self.state in ("failed", "cancelled"):
                self._begin()

    def wait(self, timeout: float | None = None) -> T:
        """The result, once it is there.

        Raises:
            TimeoutError: it is not there yet.
            SeekpointError: the work failed. JobCancelled: somebody cancelled it.
        """
        self._thread.join(timeout)
        if self.error is not None:
            raise self.error
        if self.state == "cancelled":
            raise JobCancelled("This was cancelled.", "Begin again.")
        if self.result is None:
            raise TimeoutError
        return self.result

    def _run(self) -> None:
        cancelled = self._cancelled
        begun = time.perf_counter()
        try:
            while not self._places.acquire(timeout=0.2):
                if cancelled.is_set():
                    return
            try:
                self._start(cancelled)
                result = self._work(Report(self))
            finally:
                self._places.release()
        except JobCancelled:
            self._end(cancelled, "cancelled")
        except SeekpointError as error:
            self._end(cancelled, "failed", error=error)
        except MemoryError:
            self._end(cancelled, "failed", error=_too_big())
        except Exception:
            logger.exception("a task hit a defect")
            self._end(cancelled, "failed", error=_defect())
        else:
            self.seconds = time.perf_counter() - begun
            self._end(cancelled, "ready", result=result)

    def _start(self, cancelled: threading.Event) -> None:
        with self._lock:
            if cancelled.is_set():
                raise JobCancelled("This was cancelled.", "Begin again.")
            self._begun = time.perf_counter()
            self.state, self.doing = "running", ""

    def _end(
        self,
        cancelled: threading.Event,
        state: State,
        *,
        result: T | None = None,
        error: SeekpointError | None = None,
    ) -> None:
        """Ends the run this `cancelled` belongs to; a newer one is left alone."""
        with self._lock:
            if cancelled is self._cancelled and not cancelled.is_set():
                self.result, self.error, self.state = result, error, state

    def _told(self, fraction: float, doing: str) -> None:
        if threading.current_thread() is not self._thread or self._cancelled.is_set():
            raise JobCancelled("This was cancelled.", "Begin again.")
        self.fraction, self.doing = fraction, doing


class Tasks:
    """The tasks of a library, each under a key. Safe to share between threads."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._tasks: OrderedDict[Hashable, Task[Any]] = OrderedDict()

    def of(self, key: Hashable, work: Callable[[Report], T]) -> Task[T]:
        """The task of this key: the one that is there, whatever became of it, or a new one."""
        with self._lock:
            task = self._tasks.get(key)
            if task is None:
                task = self._tasks[key] = Task(work, self._places)
            self._tasks.move_to_end(key)
            ended = [key for key, task in self._tasks.items() if not task.running]
            for old in ended[: max(0, len(self._tasks) - _KEPT)]:
                del self._tasks[old]
            return task

    def close(self) -> None:
        """Cancels what runs, and gives it a few seconds to end."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        deadline = time.monotonic() + _CLOSE_SEC
        for task in tasks:
            task._thread.join(max(0.0, deadline - time.monotonic()))


def _too_big() -> SeekpointError:
    return SeekpointError(
        "There is not enough memory for this.", "Explore a part of the library, or add memory."
    )


def _defect() -> SeekpointError:
    return SeekpointError("Something unexpected went wrong.", "See the log file.")
