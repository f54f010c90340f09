from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from core.errors import (
    EmbedderBusy,
    EmbedderError,
    EmbedderRejected,
    EmbedderUnavailable,
    JobCancelled,
    QuotaExceeded,
    UnsupportedMedia,
)
from core.retry import LONGEST_WAIT_SEC, call_with_retry
from tests.clock import Clock


def answers(*outcomes: EmbedderError | str) -> Callable[[], str]:
    remaining = iter(outcomes)

    def call() -> str:
        outcome = next(remaining)
        if isinstance(outcome, EmbedderError):
            raise outcome
        return outcome

    return call


@pytest.mark.parametrize("error", [EmbedderBusy("busy"), EmbedderUnavailable("gone")])
def test_a_passing_failure_is_tried_again(clock: Clock, error: EmbedderError) -> None:
    assert call_with_retry(answers(error, "done"), sleep=clock.sleep, clock=clock) == "done"
    assert len(clock.slept) == 1


@pytest.mark.parametrize("kind", [EmbedderRejected, UnsupportedMedia, QuotaExceeded])
def test_what_would_fail_again_is_raised_at_once(clock: Clock, kind: type[EmbedderError]) -> None:
    with pytest.raises(kind):
        call_with_retry(answers(kind("no"), "done"), sleep=clock.sleep, clock=clock)
    assert clock.slept == []


def test_the_wait_the_service_asks_for_is_kept_in_full(clock: Clock) -> None:
    busy = EmbedderBusy("busy", retry_after=95.0)
    call_with_retry(answers(busy, "done"), sleep=clock.sleep, clock=clock)
    assert clock.slept == [95.0]


def test_a_wait_beyond_the_total_time_is_not_begun(clock: Clock) -> None:
    busy = EmbedderBusy("busy", retry_after=95.0)
    with pytest.raises(EmbedderBusy) as caught:
        call_with_retry(answers(busy), total_sec=90, sleep=clock.sleep, clock=clock)
    assert caught.value is busy
    assert clock.slept == []


def test_waits_grow_to_a_ceiling(clock: Clock) -> None:
    failures = [EmbedderUnavailable("gone")] * 9
    call_with_retry(
        answers(*failures, "done"), attempts=10, total_sec=1e6, sleep=clock.sleep, clock=clock
    )
    for number, wait in enumerate(clock.slept):
        assert min(2**number, LONGEST_WAIT_SEC) <= wait <= LONGEST_WAIT_SEC
    assert clock.slept[-1] == LONGEST_WAIT_SEC


def test_the_last_error_is_raised_after_the_last_attempt(clock: Clock) -> None:
    last = EmbedderUnavailable("third")
    call = answers(EmbedderUnavailable("first"), EmbedderUnavailable("second"), last, "too late")
    with pytest.raises(EmbedderUnavailable) as caught:
        call_with_retry(call, attempts=3, sleep=clock.sleep, clock=clock)
    assert caught.value is last


def test_a_sleep_may_end_the_waiting(clock: Clock) -> None:
    def cancelled(_: float) -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        call_with_retry(answers(EmbedderBusy("busy"), "done"), sleep=cancelled, clock=clock)


def test_each_failure_is_told_with_the_wait_that_follows(clock: Clock) -> None:
    gone, busy = EmbedderUnavailable("gone"), EmbedderBusy("busy", retry_after=45.0)
    told: list[tuple[EmbedderError, float]] = []
    call_with_retry(
        answers(gone, busy, "done"),
        sleep=clock.sleep,
        clock=clock,
        on_wait=lambda error, seconds: told.append((error, seconds)),
    )
    assert [error for error, _ in told] == [gone, busy]
    assert [seconds for _, seconds in told] == clock.slept


def test_each_new_attempt_is_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="core.retry")
    call_with_retry(
        answers(EmbedderBusy("The service is busy."), "done"), sleep=clock.sleep, clock=clock
    )
    assert "The service is busy." in caplog.text
