"""A small memory of what was found lately."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The last values by key, each for `seconds` at most, as many as weigh `size` together; each
    weighs 1 unless told. Threads may share it."""

    def __init__(
        self,
        size: int,
        *,
        seconds: float = inf,
        weigh: Callable[[V], int] = lambda _: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._weigh = weigh
        self._weight = 0
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            put_at, value = self._kept.get(key, (-inf, None))
            if value is None or self._clock() - put_at > self._seconds:
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return value

    def put(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = self._clock(), value
            self._weight += self._weigh(value)
            while self._weight > self._size:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        _, value = self._kept.pop(key, (-inf, None))
        if value is not None:
            self._weight -= self._weigh(value)
