"""One video on its way through Twelve Labs: what is saved of it, told about it, waited for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from statistics import fmean
from typing import TypeVar
from uuid import uuid4

from core.embedders.base import Charge, OnProgress, Progress
from core.errors import EmbedderError, EmbedderUnavailable
from core.models import Stage

# While waiting, progress is reported (and a cancelled job noticed) this often.
_REPORT_SEC = 1.0
_LONGEST_POLL_SEC = 15.0
# Polls as a share of the time that has passed: what is lost at the end is at most that share.
_POLL_GROWTH = 0.15
_SHORTEST_POLL_SEC = 0.5
# Closer together around the moment at which other tasks were ready, rarer again after it.
_OVERDUE_GROWTH = 0.25
_DUE_POLL_GROWTH = 0.04
_SHORTEST_DUE_POLL_SEC = 0.1
# The shortest of recent tasks is not the shortest there will be.
_DUE = 0.97
_EARLIER = 0.9
_NEARLY_DONE = 0.99

T = TypeVar("T")


class Run:
    """Holds the checkpoint, reports progress, and waits so that `on_progress` can end the wait."""

    def __init__(
        self,
        resume: Mapping[str, str],
        on_progress: OnProgress,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._stage = Stage.WAITING
        self._fraction: Callable[[], float | None] = lambda: None
        self._note = ""
        self._checkpoint = dict(resume)
        self._on_progress = on_progress
        self._sleep = sleep
        self._clock = clock

    # What is known of it

    def saved(self, key: str) -> str:
        """The checkpoint's value; empty when there is none (yet, or any more)."""
        return self._checkpoint.get(key, "")

    def save(self, charge: Charge | None = None, **values: str) -> None:
        """Returns once the values, and the charge with them, are on disk."""
        self._checkpoint.update(values)
        self.report(charge=charge)

    def begin_charge(self) -> None:
        """Before a task is asked for. One whose fate is not known is asked for under its old id."""
        self._note = ""
        charge = Charge(self.saved("charge_id") or uuid4().hex)
        asked_at = self.saved("asked_at") or datetime.now(UTC).isoformat()
        self.save(charge, asked_at=asked_at, charge_id=charge.id)

    def settle_charge(self, task_id: str) -> None:
        """The task is there."""
        charge = Charge(self.saved("charge_id") or uuid4().hex, task_id=task_id)
        self.save(charge, task_id=task_id, charge_id=charge.id)

    def void_charge(self) -> None:
        """There is no task, and there will be none of this asking."""
        charge = Charge(self.saved("charge_id"), void=True)
        self.save(charge, asked_at="", charge_id="")

    def forget_task(self) -> None:
        """The task came to nothing; the next run asks for another, under another charge."""
        charge_id = self.saved("charge_id")
        charge = Charge(charge_id, self.saved("task_id"), fruitless=True) if charge_id else None
        self.save(charge, task_id="", asked_at="", charge_id="")

    def age(self) -> float:
        """Seconds since its task was asked for; 0 when that is not known."""
        asked_at = self.saved("asked_at")
        if not asked_at:
            return 0.0
        age = datetime.now(UTC) - datetime.fromisoformat(asked_at)
        return max(0.0, age.total_seconds())

    # What is told about it

    def enter(self, stage: Stage, fraction: Callable[[], float | None] = lambda: None) -> None:
        self._stage, self._fraction = stage, fraction
        self.report()

    def report(self, fraction: float | None = None, charge: Charge | None = None) -> None:
        self._on_progress(
            Progress(
                self._stage,
                self._fraction() if fraction is None else fraction,
                dict(self._checkpoint),
                self._note,
                charge,
            )
        )

    def will_try_again(self, error: EmbedderError, seconds: float) -> None:
        """Tells why a call has to be made again, and when."""
        self._note = f"{error.message.rstrip('.')}; trying again in {max(1, round(seconds))} s"
        self.report()

    def works_again(self) -> None:
        if self._note:
            self._note = ""
            self.report()

    # Waiting

    def wait(self, seconds: float) -> None:
        """Sleeps, but never for long without giving `on_progress` the chance to end the work."""
        until = self._clock() + seconds
        while (remaining := until - self._clock()) > 0:
            self._sleep(min(remaining, _REPORT_SEC))
            self.report()

    def wait_for_turn(self, seconds: float) -> None:
        self._note = "Waiting for its turn at Twelve Labs"
        self.report()
        self.wait(seconds)

    def until(
        self,
        ask: Callable[[], T | None],
        interval: Callable[[float], float],
        deadline_sec: float,
        what: str,
    ) -> T:
        """What `ask` gives in the end. While it gives None, `interval` says from the seconds that
        have passed how many to wait.

        Raises:
            EmbedderUnavailable: when `deadline_sec` have passed.
        """
        began = self._clock()
        while (answer := ask()) is None:
            elapsed = self._clock() - began
            if elapsed >= deadline_sec:
                raise EmbedderUnavailable(
                    f"Twelve Labs has been working on {what} for {deadline_sec / 3600:.0f} h.",
                    "Try again: the wait goes on where it stopped, and nothing is paid twice.",
                )
            self.wait(interval(elapsed))
        return answer


def growing_wait(elapsed: float) -> float:
    """Seconds to the next poll for something that began so long ago."""
    return _between(_SHORTEST_POLL_SEC, elapsed * _POLL_GROWTH)


class Pace:
    """How long tasks take, learned from those that were seen from their beginning to their end.

    Videos whose length is known teach seconds per minute of video, the others seconds per video.
    """

    def __init__(self) -> None:
        self._learned: dict[bool, deque[float]] = {True: deque(maxlen=8), False: deque(maxlen=8)}
        self._lock = threading.Lock()

    def learn(self, minutes: float | None, working: float, ready: float) -> None:
        """A task was seen working so many seconds after its beginning (0 for not at all), and
        ready at the next look."""
        # Ready at the first look may mean that the look came late; the next one comes earlier.
        seconds = working or ready * _EARLIER
        with self._lock:
            self._learned[minutes is not None].append(seconds / (minutes or 1.0))

    def fraction(self, minutes: float | None, elapsed: float) -> float | None:
        """How much of a task is probably done; None when nothing is known. Never all of it."""
        expected = self._expected(minutes, fmean)
        return min(elapsed / expected, _NEARLY_DONE) if expected else None

    def until_due(self, minutes: float | None) -> float:
        """Seconds to wait before a new task is asked for; 0 when nothing is known."""
        expected = self._expected(minutes, min) or 0.0
        return min(expected * _DUE, _LONGEST_POLL_SEC)

    def until_poll(self, minutes: float | None, elapsed: float) -> float:
        """Seconds to wait before a task that began `elapsed` seconds ago is asked for again."""
        expected = self._expected(minutes, min)
        if expected is None:
            return growing_wait(elapsed)
        overdue = elapsed - expected * _DUE
        if overdue < 0:
            return min(-overdue, _LONGEST_POLL_SEC)
        growing = min(overdue * _OVERDUE_GROWTH, elapsed * _DUE_POLL_GROWTH)
        return _between(_SHORTEST_DUE_POLL_SEC, growing)

    def _expected(self, minutes: float | None, of: Callable[[deque[float]], float]) -> float | None:
        with self._lock:
            learned = self._learned[minutes is not None]
            return of(learned) * (minutes or 1.0) if learned else None


def _between(least: float, seconds: float) -> float:
    return min(max(least, seconds), _LONGEST_POLL_SEC)
