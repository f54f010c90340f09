"""The connection to Twelve Labs: the account's limits kept, failures tried again, errors in our words."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import httpx

from core.embedders.twelvelabs_errors import nonsense, of_answer
from core.embedders.twelvelabs_run import Run
from core.errors import ConfigurationError, EmbedderBusy, EmbedderError, EmbedderUnavailable
from core.limiter import Limiter, Rate
from core.retry import call_with_retry
from core.settings import Settings

if TYPE_CHECKING:
    from twelvelabs import TwelveLabs

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
# Calls per minute on the smallest plan, from the service's page on rate limits (July 2026).
_QUERIES_PER_MINUTE = 600
_UPLOADS_PER_MINUTE = 60
# When the service asks to slow down without saying for how long.
_SLOW_DOWN_SEC = 5.0

T = TypeVar("T")

_loading = threading.Lock()


def load_sdk() -> None:
    """Imports the SDK, whole and in one thread. It takes more than half a second, so not before the
    first call; and when threads import modules that need each other, Python may find a deadlock and
    fail one of them."""
    with _loading:
        from twelvelabs import TwelveLabs  # noqa: F401


class Kind(StrEnum):
    """What the service counts apart."""

    VIDEOS = "videos"  # new tasks, and queries with a clip
    QUERIES = "queries"  # texts and pictures
    UPLOADS = "uploads"
    READS = "reads"  # not counted


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and for how many seconds in all, a call is made before it is given up."""

    attempts: int
    total_sec: float


# Somebody is looking at the screen.
QUERY = Patience(4, 180.0)
# A video waits through an outage of some ten minutes, and as long as the service asks it to.
VIDEO = Patience(30, 6 * 3600.0)
# Nothing depends on it.
TIDYING = Patience(3, 10.0)
# What is asked is how it is right now.
AT_ONCE = Patience(1, 10.0)


_services: WeakValueDictionary[tuple[object, ...], Service] = WeakValueDictionary()
_finding = threading.Lock()


def service_of(
    settings: Settings, *, sleep: Callable[[float], None], clock: Callable[[], float]
) -> Service:
    """The service of an account, one for all embedders: they keep its limits together."""
    account = (
        settings.twelvelabs_api_key,
        settings.twelvelabs_base_url,
        settings.requests_per_minute,
        settings.minutes_per_hour,
        settings.parallel_tasks,
        sleep,
        clock,
    )
    with _finding:
        service = _services.get(account)
        if service is None:
            service = _services[account] = Service(settings, sleep=sleep, clock=clock)
        return service


class Service:
    """Twelve Labs for one account. The connection is made on the first call."""

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._clock = clock
        self.limiter = Limiter(
            {
                Kind.VIDEOS: Rate(settings.requests_per_minute, settings.minutes_per_hour),
                Kind.QUERIES: Rate(_QUERIES_PER_MINUTE),
                Kind.UPLOADS: Rate(_UPLOADS_PER_MINUTE),
                Kind.READS: Rate(),
            },
            places=settings.parallel_tasks,
            clock=clock,
        )

    @cached_property
    def client(self) -> TwelveLabs:
        load_sdk()
        from twelvelabs import TwelveLabs

        base_url = self._settings.twelvelabs_base_url
        return TwelveLabs(
            api_key=_usable_key(self._settings),
            timeout=TIMEOUT,
            # The key is a plain header: a redirect must not carry it to another host.
            follow_redirects=False,
            **({"base_url": base_url} if base_url else {}),
        )

    def call(
        self,
        kind: Kind,
        ask: Callable[[], T],
        run: Run | None = None,
        *,
        minutes: float = 0.0,
        patience: Patience = VIDEO,
    ) -> T:
        """What `ask` answers, in its turn, tried again while that may help.

        Raises:
            EmbedderError: the failure that remains. Anything else: what the run's waiting raised.
        """

        def in_turn() -> T:
            with self.turn(kind, run, minutes=minutes, patience=patience):
                return ask()

        return self.keep_trying(in_turn, run, patience=patience)

    def keep_trying(
        self, attempt: Callable[[], T], run: Run | None = None, *, patience: Patience = VIDEO
    ) -> T:
        """What `attempt` gives in the end; the run tells meanwhile what is wrong."""
        answer = call_with_retry(
            attempt,
            attempts=patience.attempts,
            total_sec=patience.total_sec,
            sleep=run.wait if run else self._sleep,
            clock=self._clock,
            on_wait=run.will_try_again if run else None,
        )
        if run:
            run.works_again()
        return answer

    @contextmanager
    def turn(
        self,
        kind: Kind,
        run: Run | None = None,
        *,
        minutes: float = 0.0,
        patience: Patience = VIDEO,
    ) -> Iterator[None]:
        """Around one call: it waits for its turn, and its failure becomes one of ours.

        Once the service asks to slow down, no call of this kind leaves until it may.
        """
        wait = run.wait_for_turn if run else self._sleep
        at_most_sec = inf if run else patience.total_sec
        with self.limiter.turn(kind, wait, minutes=minutes, at_most_sec=at_most_sec):
            try:
                with self.translated():
                    yield
            except EmbedderBusy as error:
                seconds = _SLOW_DOWN_SEC if error.retry_after is None else error.retry_after
                self.limiter.hold(kind, seconds)
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Failures of the SDK or its connection become ours."""
        load_sdk()
        from pydantic import ValidationError
        from twelvelabs.core.api_error import ApiError

        try:
            yield
        except (
            ApiError,
            ValidationError,
            json.JSONDecodeError,
            UnicodeDecodeError,
            httpx.HTTPError,
            httpx.InvalidURL,
        ) as error:
            raise translate(error, self._settings.twelvelabs_api_key) from error


def translate(error: Exception, secret: str = "") -> EmbedderError:
    """Any failure of the SDK or its connection as one of ours, without headers and `secret`."""
    from pydantic import ValidationError
    from twelvelabs.core.api_error import ApiError

    if isinstance(error, ApiError):
        return of_answer(error.status_code or 0, error.body, error.headers or {}, secret)
    if isinstance(error, ValidationError) and error.title == "ErrorResponse":
        # The SDK fails to read a 413 in the other of the two documented shapes.
        return of_answer(httpx.codes.REQUEST_ENTITY_TOO_LARGE, _first_input(error), {}, secret)
    if isinstance(error, httpx.TimeoutException):
        return EmbedderUnavailable("Twelve Labs took too long to answer.", "Try again later.")
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return EmbedderUnavailable(
            "Twelve Labs cannot be reached.",
            "Check the connection, and TWELVELABS_BASE_URL if it is set.",
        )
    return nonsense("something unreadable")


def _first_input(error: Any) -> object:
    return next((problem.get("input") for problem in error.errors()), None)


def _usable_key(settings: Settings) -> str:
    key = settings.twelvelabs_api_key
    if not key:
        raise ConfigurationError("There is no Twelve Labs key.", "Set TWELVELABS_API_KEY.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(
            "TWELVELABS_API_KEY contains characters that no key has.", "Copy the key again."
        )
    # The SDK would follow the environment and silently send the key somewhere else.
    environment = os.environ.get("TWELVELABS_BASE_URL", "").strip()
    if settings.twelvelabs_base_url and environment not in {"", settings.twelvelabs_base_url}:
        raise ConfigurationError(
            f"TWELVELABS_BASE_URL is {environment!r} in the environment, but the settings say "
            f"{settings.twelvelabs_base_url!r}.",
            "Make them agree.",
        )
    return key
