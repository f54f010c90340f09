"""What the commands of core share: how they end, and how they say how far they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from core.errors import SeekpointError

_EVERY_SEC = 2.0


def run(command: Callable[[], str]) -> int:
    """Runs a command and prints what it returns. The exit status: 0, 1 for an error that is
    explained on stderr, 130 when it was interrupted."""
    try:
        done = command()
    except SeekpointError as error:
        say(error.message)
        say(error.hint)
        return 1
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130
    sys.stdout.write(f"{done}\n")
    return 0


def say(line: str) -> None:
    """A line for whoever watches."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Meter:
    """Says how far a long copy is, every other second: how much, how fast, how long still.

    `done` of `total` were there before it began. `shown` writes an amount, by default a number.
    """

    def __init__(
        self, what: str, total: int, *, done: int = 0, shown: Callable[[int], str] = "{:,}".format
    ) -> None:
        self._what = what
        self._total = total
        self._before = self._done = done
        self._shown = shown
        self._begun = self._said = time.monotonic()
        self._say()

    def add(self, amount: int) -> None:
        self._done += amount
        if time.monotonic() - self._said >= _EVERY_SEC or self._done == self._total:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        line = f"{self._what}: {self._shown(self._done)} of {self._shown(self._total)}"
        taken, new = self._said - self._begun, self._done - self._before
        if taken and new:
            rate = new / taken
            left = (self._total - self._done) / rate
            line += f", {self._shown(round(rate))} a second, {_duration(left)} left"
        say(line)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
