"""What this process has done, how long it took and what went wrong: for the Status page, and for
whoever watches the server. Counted in memory; nothing of it outlives the process."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import SeekpointError
from core.models import SearchResult, Stage

# Upper ends of a histogram, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RECENT = 500


@dataclass(frozen=True, slots=True)
class Spread:
    """What half of `count` times in seconds stay below, and what 95 % do; 0 where there are none."""

    count: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something was done and how many seconds that took in all, since the start; how many
    times took at most as long as each of BUCKETS; and the spread of the latest."""

    count: int
    seconds: float
    at_most: tuple[int, ...]
    recent: Spread


@dataclass(frozen=True, slots=True)
class Status:
    """How a library is doing.

    `rows` are those in the store, `expected_rows` those on record. `stages` are seconds that the
    latest jobs spent in each stage. `free_bytes` and `disk_bytes` are of the data folder's disk.
    """

    rows: int
    expected_rows: int
    stages: Mapping[Stage, Spread]
    free_bytes: int
    disk_bytes: int


@dataclass(slots=True)
class _Times:
    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.recent.append(seconds)

    def histogram(self) -> Histogram:
        at_most = tuple(int(n) for n in np.cumsum(self.buckets[:-1]))
        return Histogram(self.count, self.seconds, at_most, spread(self.recent))


class Metrics:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._calls: dict[str, _Times] = {}
        self._stages: dict[str, _Times] = {}
        self._searches: Counter[bool] = Counter()
        self._errors: Counter[str] = Counter()

    @property
    def uptime_sec(self) -> float:
        return time.monotonic() - self._begun

    @contextmanager
    def measured(self, call: str) -> Iterator[None]:
        """Around one call, such as a search: counts how long it took, or the error it ended with."""
        begun = time.perf_counter()
        try:
            yield
        except SeekpointError as error:
            self.failed(error)
            raise
        taken = time.perf_counter() - begun
        with self._lock:
            self._calls.setdefault(call, _Times()).add(taken)

    def searched(self, result: SearchResult) -> None:
        """Counts an answer: the stages it took, and whether all its vectors were in the cache."""
        with self._lock:
            self._searches[result.cached] += 1
            for stage, seconds in result.timings.items():
                self._stages.setdefault(stage, _Times()).add(seconds)

    def failed(self, error: SeekpointError) -> None:
        """Counts an error under the name of its kind."""
        with self._lock:
            self._errors[type(error).__name__] += 1

    def calls(self) -> dict[str, Histogram]:
        """Search, calibrate, heat and poster, as far as they were asked for."""
        with self._lock:
            return {name: times.histogram() for name, times in self._calls.items()}

    def stages(self) -> dict[str, Histogram]:
        """The stages of searches: embed, search, group."""
        with self._lock:
            return {name: times.histogram() for name, times in self._stages.items()}

    def searches(self) -> tuple[int, int]:
        """How many searches found all their vectors in the cache, and how many did not."""
        with self._lock:
            return self._searches[True], self._searches[False]

    def errors(self) -> dict[str, int]:
        """How many errors of each kind there were."""
        with self._lock:
            return dict(self._errors)


def resident_bytes(process: int | str = "self") -> int | None:
    """The memory that a process holds; None where the system does not say."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def spread(seconds: Iterable[float]) -> Spread:
    values = list(seconds)
    if not values:
        return Spread(0, 0.0, 0.0)
    p50, p95 = np.percentile(values, [50, 95])
    return Spread(len(values), float(p50), float(p95))
