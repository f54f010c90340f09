from __future__ import annotations

import heapq
import itertools
import threading
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import (
    BudgetExceeded,
    EmbedderBusy,
    EmbedderUnavailable,
    JobCancelled,
    UnsupportedMedia,
)
from core.limiter import HOUR_SEC, MINUTE_SEC, Limiter, Rate
from tests.clock import Clock


def limiter_of(
    clock: Clock, *, per_minute: float = 3, minutes_per_hour: float = 600, places: int = 2
) -> Limiter:
    return Limiter({"videos": Rate(per_minute, minutes_per_hour)}, places=places, clock=clock)


def call(limiter: Limiter, clock: Clock, minutes: float = 0.0) -> None:
    with limiter.turn("videos", clock.sleep, minutes=minutes):
        pass


def ended(_: float) -> None:
    raise JobCancelled("Cancelled.")


# Windows


def test_calls_leave_at_once_while_there_is_room(clock: Clock) -> None:
    limiter = limiter_of(clock)
    for _ in range(3):
        call(limiter, clock)
    assert clock.slept == []


def test_the_next_call_leaves_when_the_oldest_is_a_minute_past(clock: Clock) -> None:
    limiter = limiter_of(clock)
    for pause in (10, 20, 0):
        call(limiter, clock)
        clock.sleep(pause)
    clock.slept.clear()
    call(limiter, clock)
    assert clock.slept == [30.0]


def test_a_call_counts_until_a_minute_after_its_answer(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=1)
    with limiter.turn("videos", clock.sleep):
        clock.sleep(7)
    call(limiter, clock)
    assert clock.now == 67


def test_minutes_of_video_are_counted_by_the_hour(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=99, minutes_per_hour=100)
    call(limiter, clock, 60)
    clock.sleep(100)
    call(limiter, clock, 40)
    call(limiter, clock, 50)
    assert clock.now == HOUR_SEC


def test_a_video_longer_than_an_hour_allows_leaves_when_it_is_alone(clock: Clock) -> None:
    limiter = limiter_of(clock, minutes_per_hour=100)
    call(limiter, clock, 240)
    assert clock.now == 0
    call(limiter, clock, 240)
    assert clock.now == HOUR_SEC


@dataclass
class Service:
    """Counts calls as a service does, at some moment between their sending and their answer."""

    clock: Clock
    under_way: list[tuple[float, int, AbstractContextManager[None]]] = field(default_factory=list)
    seen: list[tuple[float, float]] = field(default_factory=list)
    number: itertools.count[int] = field(default_factory=itertools.count)

    def wait(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.under_way and self.under_way[0][0] <= until:
            self.clock.now, _, turn = heapq.heappop(self.under_way)
            turn.__exit__(None, None, None)
        self.clock.now = until

    def ask(self, limiter: Limiter, minutes: float, latency: float, share: float) -> None:
        turn = limiter.turn("videos", self.wait, minutes=minutes)
        turn.__enter__()
        self.seen.append((self.clock.now + latency * share, minutes))
        answered = self.clock.now + latency
        heapq.heappush(self.under_way, (answered, next(self.number), turn))

    def most_in(self, window: float) -> tuple[int, float]:
        """The most calls in any window, and the most minutes in any that holds several."""
        calls, most = 0, 0.0
        self.seen.sort()
        for first in range(len(self.seen)):
            inside = [m for at, m in self.seen[first:] if at < self.seen[first][0] + window]
            calls = max(calls, len(inside))
            with_video = [m for m in inside if m]
            if len(with_video) > 1:
                most = max(most, sum(with_video))
        return calls, most


@settings(max_examples=10)
@given(
    per_minute=st.integers(1, 60),
    minutes_per_hour=st.integers(50, 2400),
    latency=st.floats(0, 90),
    seed=st.integers(),
)
def test_a_thousand_calls_never_overfill_a_window_of_the_service(
    per_minute: int, minutes_per_hour: int, latency: float, seed: int
) -> None:
    clock = Clock()
    service = Service(clock)
    limiter = limiter_of(clock, per_minute=per_minute, minutes_per_hour=minutes_per_hour)
    draw = Random(seed).random
    for _ in range(1000):
        service.ask(limiter, draw() * 10, latency * draw(), draw())
        if draw() < 0.05:
            service.wait(draw() * 600)
    # Rounding of a clock that has gone on for days.
    calls, _ = service.most_in(MINUTE_SEC - 1e-6)
    _, minutes = service.most_in(HOUR_SEC - 1e-6)
    assert calls <= per_minute
    assert minutes <= minutes_per_hour + 1e-6


def test_a_steady_stream_is_as_fast_as_the_plan_allows(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=25)
    for _ in range(1000):
        call(limiter, clock)
    assert clock.now == pytest.approx((1000 / 25 - 1) * MINUTE_SEC, abs=0.1)


# What becomes of a call


@pytest.mark.parametrize("error", [BudgetExceeded("no"), JobCancelled("no")])
def test_what_was_never_sent_does_not_count(clock: Clock, error: Exception) -> None:
    limiter = limiter_of(clock, per_minute=1, minutes_per_hour=10)
    with pytest.raises(type(error)), limiter.turn("videos", clock.sleep, minutes=10):
        raise error
    call(limiter, clock, 10)
    assert clock.now == 0


def test_a_refused_call_counts_as_one_but_its_video_does_not(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=1, minutes_per_hour=10)
    with pytest.raises(UnsupportedMedia), limiter.turn("videos", clock.sleep, minutes=10):
        raise UnsupportedMedia("no")
    call(limiter, clock, 10)
    assert clock.now == MINUTE_SEC


def test_a_call_without_an_answer_may_have_arrived_and_counts(clock: Clock) -> None:
    limiter = limiter_of(clock, minutes_per_hour=10)
    with pytest.raises(EmbedderUnavailable), limiter.turn("videos", clock.sleep, minutes=10):
        raise EmbedderUnavailable("dropped")
    call(limiter, clock, 10)
    assert clock.now == HOUR_SEC


def test_nothing_leaves_while_the_service_asked_for_a_pause(clock: Clock) -> None:
    limiter = limiter_of(clock)
    limiter.hold("videos", 45)
    limiter.hold("videos", 2)
    call(limiter, clock)
    assert clock.now == 45


def test_a_pause_of_one_kind_is_none_of_another(clock: Clock) -> None:
    limiter = Limiter({"videos": Rate(), "queries": Rate()}, places=1, clock=clock)
    limiter.hold("videos", 45)
    with limiter.turn("queries", ended):
        pass


def test_who_cannot_wait_so_long_is_told_so_at_once(clock: Clock) -> None:
    limiter = limiter_of(clock)
    limiter.hold("videos", 45)
    with pytest.raises(EmbedderBusy) as caught, limiter.turn("videos", clock.sleep, at_most_sec=30):
        pytest.fail("it was let through")
    assert caught.value.retry_after == 45
    assert clock.slept == []


def test_who_stops_waiting_is_out_of_the_line(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=1)
    call(limiter, clock)
    with pytest.raises(JobCancelled), limiter.turn("videos", ended):
        pytest.fail("it was let through")
    call(limiter, clock)
    assert clock.now == MINUTE_SEC


def test_calls_leave_in_the_order_in_which_they_came() -> None:
    clock = Clock()
    limiter = limiter_of(clock, per_minute=1)
    call(limiter, clock)
    left: list[int] = []
    waiting = threading.Semaphore(0)
    go = threading.Event()

    def wait(_: float) -> None:
        waiting.release()
        go.wait(5)
        clock.now += 1

    def ask(number: int) -> None:
        with limiter.turn("videos", wait):
            left.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
        assert waiting.acquire(timeout=5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert left == [0, 1, 2, 3, 4]


# Places


def test_a_place_is_waited_for_until_one_is_given_back(clock: Clock) -> None:
    limiter = limiter_of(clock, places=1)
    with limiter.place() as first:
        first.take(ended)
        with limiter.place() as second:

            def give_back_in_time(seconds: float) -> None:
                clock.sleep(seconds)
                if clock.now > 10:
                    first.give_back()

            second.take(give_back_in_time)
            assert 10 < clock.now < 10.2


def test_a_place_is_given_back_whatever_happens(clock: Clock) -> None:
    limiter = limiter_of(clock, places=1)
    for _ in range(3):
        with suppress(BudgetExceeded), limiter.place() as place:
            place.take(ended)
            raise BudgetExceeded("no")


def test_taking_a_place_again_takes_no_second_one(clock: Clock) -> None:
    limiter = limiter_of(clock, places=2)
    with limiter.place() as first, limiter.place() as second:
        first.take(ended)
        first.take(ended)
        first.adopt()
        second.take(ended)


def test_an_adopted_task_needs_no_free_place_but_fills_one(clock: Clock) -> None:
    limiter = limiter_of(clock, places=1)
    with limiter.place() as first, limiter.place() as adopted, limiter.place() as third:
        first.take(ended)
        adopted.adopt()
        first.give_back()
        with pytest.raises(JobCancelled):
            third.take(ended)
        adopted.give_back()
        third.take(ended)


# Several users of one account


def test_whoever_shares_an_account_with_two_others_takes_a_third(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=6, minutes_per_hour=300, places=7)
    limiter.share(3)
    for _ in range(3):
        call(limiter, clock, 50)
    # Two calls in a minute, and two of these in an hour.
    assert clock.now == HOUR_SEC
    with limiter.place() as first, limiter.place() as second, limiter.place() as third:
        first.take(ended)
        second.take(ended)
        with pytest.raises(JobCancelled):
            third.take(ended)


def test_the_limits_are_whole_again_when_the_others_have_gone(clock: Clock) -> None:
    limiter = limiter_of(clock, per_minute=2)
    limiter.share(100)
    call(limiter, clock)
    limiter.share(1)
    call(limiter, clock)
    assert clock.now == 0
    call(limiter, clock)
    assert clock.now == MINUTE_SEC
