from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from core.models import Trend
from core.trends import Period, along, over_time

MONDAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SEGMENTS = 400


def library(shares: Sequence[float | None], *, every: timedelta = timedelta(weeks=1)) -> Trend:
    """The trend of a library with one video in each period, of which that share matches; of a
    period of None there is no video."""
    known = [(n, share) for n, share in enumerate(shares) if share is not None]
    matched = [np.arange(SEGMENTS) < round(share * SEGMENTS) for _, share in known]
    return over_time(
        [MONDAY + n * every for n, _ in known],
        np.repeat(np.arange(len(known), dtype=np.int32), SEGMENTS),
        np.concatenate(matched),
        np.full(len(known) * SEGMENTS, 4.0),
        by=Period.WEEK,
    )


def noisy(
    seed: int, level: Callable[[int], float], *, weeks: int = 26, noise: float = 0.03
) -> Trend:
    random = np.random.default_rng(seed)
    shares = [level(week) + random.normal(0, noise) for week in range(weeks)]
    return library(np.clip(shares, 0, 1).tolist())


def week(number: int) -> date:
    return (MONDAY + timedelta(weeks=number)).date()


# Shares by period


def test_a_share_is_of_the_seconds_of_the_videos_of_its_period() -> None:
    dates = [MONDAY, MONDAY + timedelta(days=2), MONDAY + timedelta(weeks=1)]
    videos = np.array([0, 0, 1, 2], dtype=np.int32)
    matched = np.array([True, False, False, True])
    seconds = np.array([2.0, 4.0, 6.0, 5.0])
    first, second = over_time(dates, videos, matched, seconds, by=Period.WEEK).points
    assert (first.start, first.matched_sec, first.total_sec) == (date(2026, 3, 2), 2.0, 12.0)
    assert first.share == pytest.approx(1 / 6)
    assert (second.start, second.share) == (date(2026, 3, 9), 1.0)


def test_a_period_without_videos_is_there_and_empty() -> None:
    trend = library([0.5, None, 0.25])
    assert [point.start for point in trend.points] == [week(0), week(1), week(2)]
    assert [point.share for point in trend.points] == [0.5, 0.0, 0.25]
    assert trend.points[1].total_sec == 0


@pytest.mark.parametrize(
    ("by", "starts"),
    [
        (Period.DAY, [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)]),
        (Period.WEEK, [date(2026, 1, 26), date(2026, 2, 2)]),
        (Period.MONTH, [date(2026, 1, 1), date(2026, 2, 1)]),
    ],
)
def test_periods_follow_the_calendar(by: Period, starts: list[date]) -> None:
    dates = [datetime(2026, 2, 2, 23, 59, tzinfo=UTC), datetime(2026, 1, 30, tzinfo=UTC)]
    rows = np.arange(2, dtype=np.int32)
    trend = over_time(dates, rows, rows > 0, np.ones(2), by=by)
    assert [point.start for point in trend.points] == starts


def test_months_of_every_length_follow_each_other() -> None:
    dates = [datetime(2023, 12, 31, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)]
    rows = np.arange(2, dtype=np.int32)
    points = over_time(dates, rows, rows > 0, np.ones(2), by=Period.MONTH).points
    assert [(point.start.year, point.start.month) for point in points] == [
        (2023, 12),
        *((2024, month) for month in range(1, 13)),
        (2025, 1),
    ]


def test_an_empty_library_has_no_trend() -> None:
    nothing = np.empty(0)
    trend = over_time([], nothing.astype(np.int32), nothing > 0, nothing, by=Period.DAY)
    assert trend == Trend((), 0.0, "steady", None)


@pytest.mark.parametrize("shares", [[0.3], [0.1, 0.9], [0.5] * 30, [0.0] * 8, [1.0] * 8])
def test_too_few_periods_and_equal_ones_are_steady(shares: list[float]) -> None:
    trend = library(shares)
    assert (trend.direction, trend.turned) == ("steady", None)


# Direction and slope


def test_a_straight_rise_has_its_slope_and_no_turn() -> None:
    trend = library([0.1 + 0.02 * n for n in range(20)])
    assert (trend.direction, trend.turned) == ("rising", None)
    assert trend.slope == pytest.approx(0.02, abs=1e-3)


def test_a_fall_is_the_rise_turned_round() -> None:
    trend = library([0.1 + 0.02 * n for n in reversed(range(20))])
    assert trend.direction == "falling"
    assert trend.slope == pytest.approx(-0.02, abs=1e-3)


def test_empty_periods_count_for_time_and_not_as_shares_of_nothing() -> None:
    trend = library([0.1 + 0.02 * n if n % 3 else None for n in range(20)])
    assert trend.direction == "rising"
    assert trend.slope == pytest.approx(0.02, abs=1e-3)


def test_a_wild_period_hardly_moves_the_slope() -> None:
    shares = [0.1 + 0.02 * n for n in range(20)]
    shares[10] = 1.0
    assert library(shares).slope == pytest.approx(0.02, abs=2e-3)


def test_five_periods_in_order_are_a_direction_and_four_are_not() -> None:
    rise = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert library(rise).direction == "rising"
    assert library(rise[:4]).direction == "steady"


def test_chance_seldom_has_a_direction_or_a_turn() -> None:
    trends = [noisy(seed, lambda _: 0.3) for seed in range(60)]
    assert sum(trend.direction != "steady" for trend in trends) <= 7
    assert sum(trend.turned is not None for trend in trends) <= 7


# Turns


@pytest.mark.parametrize("onset", [5, 13, 20])
def test_the_week_of_a_step_is_found(onset: int) -> None:
    trends = [noisy(seed, lambda n: 0.1 if n < onset else 0.35) for seed in range(10)]
    assert [trend.turned for trend in trends] == [week(onset)] * 10


def test_the_week_is_found_from_which_a_topic_rises_on() -> None:
    trends = [noisy(s, lambda n: 0.05 if n < 9 else 0.2 + 0.015 * (n - 9)) for s in range(10)]
    assert [trend.turned for trend in trends] == [week(9)] * 10
    assert {trend.direction for trend in trends} == {"rising"}


def test_a_step_down_is_a_turn_as_well() -> None:
    trend = noisy(1, lambda n: 0.6 if n < 12 else 0.2)
    assert (trend.direction, trend.turned) == ("falling", week(12))


def test_a_steady_rise_seldom_seems_to_turn() -> None:
    trends = [noisy(seed, lambda n: 0.1 + 0.02 * n) for seed in range(60)]
    assert sum(trend.turned is not None for trend in trends) <= 7


def test_the_week_is_that_of_the_calendar_when_others_are_empty() -> None:
    shares = [
        None if n in (3, 4, 8) else 0.1 + 0.001 * (n % 3) + 0.3 * (n >= 11) for n in range(24)
    ]
    assert library(shares).turned == week(11)


# Along the length


def test_the_share_along_the_length_is_of_the_seconds_of_each_part() -> None:
    positions = np.array([0.0, 0.2, 0.3, 0.6, 1.0])
    matched = np.array([True, False, False, True, True])
    seconds = np.array([1.0, 3.0, 2.0, 5.0, 2.0])
    assert along(matched, positions, seconds, bins=4) == [0.25, 0.0, 1.0, 1.0]


def test_a_part_without_rows_has_nothing() -> None:
    assert along(np.ones(1, dtype=bool), np.array([0.51]), np.ones(1), bins=4) == [0, 0, 1, 0]
    assert along(np.empty(0, dtype=bool), np.empty(0), np.empty(0)) == [0.0] * 20
