from __future__ import annotations

import pytest

from components.format import clock, count, length, price, size, time_left, time_taken


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (0.9, "0:00"),
        (59.99, "0:59"),
        (60, "1:00"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (36_061, "10:01:01"),
    ],
)
def test_a_clock_shows_hours_only_when_there_are_any(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(11.9999999, "0:12.0"), (12.345, "0:12.3"), (3599.96, "59:59.9")]
)
def test_tenths_tell_times_of_one_second_apart(seconds: float, text: str) -> None:
    assert clock(seconds, tenths=True) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "about 5 s left"),
        (1, "about 5 s left"),
        (13, "about 15 s left"),
        (52, "about 50 s left"),
        (60, "about 1 min left"),
        (200, "about 3 min left"),
        (3600, "about 1.0 h left"),
        (9000, "about 2.5 h left"),
    ],
)
def test_a_remaining_time_is_no_more_exact_than_it_can_be(seconds: float, text: str) -> None:
    assert time_left(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 videos"), (1, "1 video"), (2, "2 videos"), (1234, "1,234 videos")]
)
def test_a_count_has_its_plural(number: int, text: str) -> None:
    assert count(number, "video") == text


@pytest.mark.parametrize(
    ("number_of_bytes", "text"),
    [
        (None, "unknown"),
        (0, "0.0 KB"),
        (1_500, "1.5 KB"),
        (9_960, "10 KB"),
        (999_600, "1.0 MB"),
        (63_000_000, "63 MB"),
        (4_000_000_000, "4.0 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_a_size_is_told_in_the_unit_that_keeps_it_short(
    number_of_bytes: float | None, text: str
) -> None:
    assert size(number_of_bytes) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "about 0.00 USD"),
        (0.001, "less than 0.01 USD"),
        (0.42, "about 0.42 USD"),
        (1234.5, "about 1,234.50 USD"),
    ],
)
def test_a_price_is_never_told_without_saying_that_it_is_a_guess(amount: float, text: str) -> None:
    assert price(amount, "USD") == text


@pytest.mark.parametrize(("minutes", "text"), [(None, "unknown"), (0.5, "0:30"), (90, "1:30:00")])
def test_a_length_may_be_unknown(minutes: float | None, text: str) -> None:
    assert length(minutes) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (59.9, "59.9 s"), (61, "1:01")])
def test_a_short_time_taken_has_tenths(seconds: float, text: str) -> None:
    assert time_taken(seconds) == text
