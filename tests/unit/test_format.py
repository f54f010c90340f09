from __future__ import annotations

import pytest

from components.format import clock, count, time_left


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
