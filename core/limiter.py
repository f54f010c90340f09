"""The limits of one account at a service, kept by every thread that calls it, and shared with others.

A service counts a call at some moment between its sending and its answer. So a call counts here
from its sending until a whole window after its answer: no window there is ever overfull.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf

from core.errors import EmbedderBusy, EmbedderError, EmbedderUnavailable

MINUTE_SEC = 60.0
HOUR_SEC = 3600.0
# What cannot be foretold is looked for this often: a place that stays empty is time lost.
_LOOK_SEC = 0.05
_SHORTEST_SEC = 0.001

Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of one kind of call is allowed in any minute, and how much video in any hour."""

    calls_per_minute: float = inf
    minutes_per_hour: float = inf

    def shared_by(self, users: int) -> Rate:
        return Rate(self.calls_per_minute / users, self.minutes_per_hour / users)


class Limiter:
    """Says when a call may leave: first come, first served, among calls of one kind.

    Whoever has to wait does so by its own `wait(seconds)`; what that raises takes it out of the
    line. `places` is how many tasks the service works on at once. `clock` gives seconds.
    """

    def __init__(
        self,
        rates: Mapping[str, Rate],
        *,
        places: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = dict(rates)
        self._lines = {kind: _Line(rate) for kind, rate in rates.items()}
        self._count = places
        self._places = _Places(places)
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def turn(
        self, kind: str, wait: Wait, *, minutes: float = 0.0, at_most_sec: float = inf
    ) -> Iterator[None]:
        """Around one call with so many `minutes` of video: waits until it may leave.

        A video longer than all the minutes of an hour leaves when there is no other in the hour.

        Raises:
            EmbedderBusy: when that would be more than `at_most_sec` seconds from now.
        """
        line = self._lines[kind]
        call = self._left(line, wait, minutes, self._clock() + at_most_sec)
        try:
            yield
        except EmbedderUnavailable:
            raise  # it may have arrived all the same
        except EmbedderError:
            call.minutes = 0.0  # refused: nothing is being worked on
            raise
        except BaseException:
            with self._lock:
                line.calls.remove(call)  # it was never sent
            raise
        finally:
            call.answered = self._clock()

    def share(self, users: int) -> None:
        """From now on leaves to each of so many users of the account the same part of its limits,
        and at least one call and one place. What one of them had used before it knew of the others
        is not known to them: the service may have to ask them to slow down once."""
        with self._lock:
            for kind, line in self._lines.items():
                line.rate = self._rates[kind].shared_by(users)
        self._places.resize(max(1, self._count // users))

    def hold(self, kind: str, seconds: float) -> None:
        """Lets no call of this kind leave for so long."""
        line = self._lines[kind]
        line.held_until = max(line.held_until, self._clock() + seconds)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place among the tasks at the service, not taken yet; given back at the end."""
        place = Place(self._places)
        try:
            yield place
        finally:
            place.give_back()

    def _left(self, line: _Line, wait: Wait, minutes: float, deadline: float) -> _Call:
        call = _Call(minutes)
        with _queued(line.queue) as ticket:
            while True:
                with self._lock:
                    now = self._clock()
                    seconds = line.seconds_until_room(minutes, now)
                    if line.queue[0] is not ticket:
                        seconds = max(seconds, _LOOK_SEC)
                    if seconds <= 0:
                        line.calls.append(call)
                        return call
                if now + seconds > deadline:
                    raise EmbedderBusy(
                        "The service is being asked all that it allows.",
                        "Wait a little, then try again.",
                        retry_after=seconds,
                    )
                # Never nothing: rounding must not make it ask for ever at one moment.
                wait(max(seconds, _SHORTEST_SEC))


class Place:
    """One place among the tasks at the service; to take it again changes nothing."""

    def __init__(self, places: _Places) -> None:
        self._places = places
        self._taken = False

    def take(self, wait: Wait) -> None:
        """Waits for its turn and an empty place, before a task is created."""
        if self._taken:
            return
        with _queued(self._places.queue) as ticket:
            while not self._places.take_as(ticket):
                wait(_LOOK_SEC)
        self._taken = True

    def adopt(self) -> None:
        """For a task that is there already: it has its place, whether or not one was empty."""
        if not self._taken:
            self._places.add(1)
            self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._places.add(-1)
            self._taken = False


class _Places:
    def __init__(self, count: int) -> None:
        self.queue: deque[object] = deque()
        self._count = count
        self._taken = 0
        self._lock = threading.Lock()

    def take_as(self, ticket: object) -> bool:
        with self._lock:
            free = self.queue[0] is ticket and self._taken < self._count
            self._taken += free
            return free

    def add(self, number: int) -> None:
        with self._lock:
            self._taken += number

    def resize(self, count: int) -> None:
        with self._lock:
            self._count = count


@dataclass(eq=False, slots=True)
class _Call:
    minutes: float
    answered: float = inf  # not yet


@dataclass(slots=True)
class _Line:
    """The calls of one kind: those that wait, and those that still count."""

    rate: Rate
    queue: deque[object] = field(default_factory=deque)
    calls: list[_Call] = field(default_factory=list)
    held_until: float = -inf

    def seconds_until_room(self, minutes: float, now: float) -> float:
        """0 or less when a call with so much video may leave."""
        minute, hour = now - MINUTE_SEC, now - HOUR_SEC
        self.calls = sorted(
            (c for c in self.calls if c.answered > (hour if c.minutes else minute)),
            key=lambda call: call.answered,
        )
        recent = [(call.answered, 1.0) for call in self.calls if call.answered > minute]
        videos = [(call.answered, call.minutes) for call in self.calls if call.minutes]
        return max(
            self.held_until - now,
            _until_room(recent, self.rate.calls_per_minute - 1, minute),
            _until_room(videos, self.rate.minutes_per_hour - minutes, hour),
        )


def _until_room(used: list[tuple[float, float]], limit: float, begin: float) -> float:
    """Seconds until the window that now begins at `begin` holds at most `limit`, or is empty.

    `used` is when and how much, oldest first.
    """
    total = sum(amount for _, amount in used)
    leaves = begin
    for answered, amount in used:
        if total <= limit:
            break
        total -= amount
        leaves = answered
    seconds = leaves - begin
    return _LOOK_SEC if seconds == inf else seconds


@contextmanager
def _queued(queue: deque[object]) -> Iterator[object]:
    ticket = object()
    queue.append(ticket)
    try:
        yield ticket
    finally:
        queue.remove(ticket)
