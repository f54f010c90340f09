"""How much of the videos matches: period by period, and along their length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.models import Trend, TrendPoint

Flags = NDArray[np.bool_]
Seconds = NDArray[np.float64]

# How often shares in no order would seem to rise or fall, or a straight line to turn.
CHANCE = 0.05
# On either side of a turn; on fewer a line fits anything.
LEAST_PERIODS = 3

_SHUFFLES = 499
_ROUNDING = 1e-12


class Period(StrEnum):
    """A stretch of the calendar. Weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def over_time(
    dates: Sequence[datetime],
    videos: NDArray[np.int32],
    matched: Flags,
    seconds: Seconds,
    *,
    by: Period,
) -> Trend:
    """The share that matches of the videos of each period, in seconds of seconds.

    `dates` are by video; `videos`, which index them, `matched` and `seconds` are by row. Periods
    without videos are there with a total of 0, and count for nothing else.

    The slope is the median of the slopes between all pairs of periods (Theil and Sen), each period
    counting alike. The direction is that of Kendall's tau between time and share, where chance
    makes so large a one in at most 5 of 100 cases (Mann and Kendall): it takes five periods. How a
    turn is found stands at `_turn`.
    """
    first_days = [_first_day(day.date(), by) for day in dates]
    periods = list(_periods(first_days, by))
    place = {day: n for n, day in enumerate(periods)}
    of_row = np.array([place[day] for day in first_days], dtype=np.int64)[videos]
    total = np.bincount(of_row, weights=seconds, minlength=len(periods))
    hits = np.bincount(of_row, weights=seconds * matched, minlength=len(periods))
    points = [TrendPoint(*row) for row in zip(periods, hits.tolist(), total.tolist(), strict=True)]
    known = np.flatnonzero(total)
    weights: Seconds = total[known].astype(np.float64)
    shares: Seconds = hits[known] / weights
    turned = _turn(known, shares, weights)
    return Trend(
        points=tuple(points),
        slope=_slope(known, shares),
        direction=_direction(known, shares),
        turned=None if turned is None else periods[turned],
    )


def along(
    matched: Flags, positions: NDArray[np.float64], seconds: Seconds, *, bins: int = 20
) -> list[float]:
    """The share that matches in each of the equal parts of the videos' length, by seconds.

    `positions` are of the middle of each row, from 0 at the start of its video to 1 at its end. A
    part that no row lies in has 0.
    """
    of_row = np.clip((positions * bins).astype(np.int64), 0, bins - 1)
    total = np.bincount(of_row, weights=seconds, minlength=bins)
    hits = np.bincount(of_row, weights=seconds * matched, minlength=bins)
    shares: list[float] = np.divide(hits, total, out=np.zeros(bins), where=total > 0).tolist()
    return shares


# --- the calendar ---------------------------------------------------------------------------------


def _first_day(day: date, by: Period) -> date:
    match by:
        case Period.DAY:
            return day
        case Period.WEEK:
            return day - timedelta(days=day.weekday())
        case Period.MONTH:
            return day.replace(day=1)


def _periods(first_days: Sequence[date], by: Period) -> Iterator[date]:
    """Every period from the earliest to the latest."""
    step = timedelta(days={Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31}[by])
    day, last = min(first_days, default=date.max), max(first_days, default=date.min)
    while day <= last:
        yield day
        day = _first_day(day + step, by)


# --- what the shares say --------------------------------------------------------------------------


def _slope(periods: NDArray[np.int64], shares: Seconds) -> float:
    from scipy.stats import theilslopes

    return float(theilslopes(shares, periods).slope) if len(shares) > 1 else 0.0


def _direction(
    periods: NDArray[np.int64], shares: Seconds
) -> Literal["rising", "falling", "steady"]:
    from scipy.stats import kendalltau

    if len(shares) < 2:
        return "steady"
    tau = kendalltau(periods, shares)
    # Of shares that are all the same nothing can be told: a p-value that is no number.
    if not tau.pvalue <= CHANCE:
        return "steady"
    return "rising" if tau.statistic > 0 else "falling"


def _turn(periods: NDArray[np.int64], shares: Seconds, weights: Seconds) -> int | None:
    """The period from which on the level is another, None when there is none.

    For every period: how well are the shares told by one level before it and a straight line from
    it on, which stays on one side of that level, by least squares, each period weighted by its
    seconds? A sudden step, and a rise that goes on, are both of that kind. The best period counts
    when it tells more than a straight line through everything does, by more than it would in all
    but 5 of 100 cases if the distances from that line stood in another order.
    """
    last = len(shares) - LEAST_PERIODS
    if last < LEAST_PERIODS:
        return None
    scale = np.sqrt(weights / weights.mean())
    ones, times = np.ones(len(shares)), (periods - periods[0]) / np.ptp(periods)
    (level, slope), _ = _fitted([ones, times], scale, shares[:, None])
    straight = level + slope * times
    apart = shares - straight
    if float(np.abs(apart).max()) <= _ROUNDING:
        return None
    orders = np.random.default_rng(0).permuted(np.tile(apart, (_SHUFFLES, 1)), axis=1)
    cases = (straight + np.vstack([apart, orders])).T
    _, missed = _fitted([ones, times], scale, cases)
    told = []
    for place in range(LEAST_PERIODS, last + 1):
        after = np.arange(len(shares)) >= place
        since = after * (times - times[place])
        (level, start, slope), left = _fitted([ones * ~after, ones * after, since], scale, cases)
        crosses = (start - level) * (start + slope * since[-1] - level) < 0
        told.append(np.where(crosses, -np.inf, missed - left) / np.maximum(missed, _ROUNDING))
    best = np.max(told, axis=0)
    if best[0] <= 0 or np.mean(best >= best[0] - _ROUNDING) > CHANCE:
        return None
    return int(periods[LEAST_PERIODS + int(np.argmax(np.array(told)[:, 0]))])


def _fitted(
    columns: Sequence[Seconds], scale: Seconds, cases: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Seconds]:
    """For each case (periods, cases) how much of each column it holds, (columns, cases), and the
    sum of the squares of what they leave of it."""
    basis, corner = np.linalg.qr(np.stack(columns, axis=1) * scale[:, None])
    values = cases * scale[:, None]
    held = basis.T @ values
    left = np.square(values).sum(axis=0) - np.square(held).sum(axis=0)
    return np.linalg.solve(corner, held), np.maximum(left, 0.0)
