"""The one way a remote call is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from core.errors import EmbedderBusy, EmbedderError, EmbedderUnavailable

logger = logging.getLogger(__name__)

ATTEMPTS = 6
TOTAL_SEC = 180.0
LONGEST_WAIT_SEC = 30.0

_backoff = wait_exponential_jitter(max=LONGEST_WAIT_SEC)

T = TypeVar("T")


def call_with_retry(
    call: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    total_sec: float = TOTAL_SEC,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    on_wait: Callable[[EmbedderError, float], None] | None = None,
) -> T:
    """What `call` returns, tried again while the service is busy or cannot be reached.

    A wait the service asked for is kept in full; without one, waits double from a second, with
    jitter. It gives up after `attempts` calls, or rather than wait beyond `total_sec` seconds, and
    then raises the last error. `on_wait` hears of each failure and the seconds until the next call.
    What it or `sleep` raises ends the waiting and passes through.

    Raises:
        EmbedderBusy, EmbedderUnavailable: after the last attempt.
        Anything else `call` raises, at once: it would fail the same way again.
    """
    started = clock()

    def is_enough(state: RetryCallState) -> bool:
        out_of_time = clock() - started + state.upcoming_sleep > total_sec
        return state.attempt_number >= attempts or out_of_time

    def before_sleep(state: RetryCallState) -> None:
        error = _failure(state)
        logger.info(
            "call %d failed (%s); trying again in %.1f s",
            state.attempt_number,
            error,
            state.upcoming_sleep,
        )
        if on_wait is not None and isinstance(error, EmbedderError):
            on_wait(error, state.upcoming_sleep)

    retrying = Retrying(
        retry=retry_if_exception_type((EmbedderBusy, EmbedderUnavailable)),
        wait=_wait,
        stop=is_enough,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(call)


def _wait(state: RetryCallState) -> float:
    error = _failure(state)
    if isinstance(error, EmbedderBusy) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
