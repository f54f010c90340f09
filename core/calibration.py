"""What a score means: how far it rises above what chance would reach in this library.

The chance level comes from a background: a sample of all segments of each embedding_option, of
which next to none answer any one query. How it is read depends on what can be had for nothing.

- The query alone. The level of an option is the median of the query's scores with the sample, the
  scale 1.4826 times their median distance from it: both stay put while fewer than half of the
  segments answer (Rousseeuw and Croux 1993; Leys et al. 2013). Where the upper tail is heavier than
  a normal one at its ninth decile (a pseudosigma: Hoaglin 1983), the scale grows with it, by a
  quarter at most, because it may be answers that make it so. The best of n segments is high by
  itself, so a score must pass what the best of n normal ones stays below with 95 or 99 % (Šidák
  1967).
- Other words. Where texts are embedded for nothing, the same recipe is asked with other things,
  which hardly any library shows (`UNLIKELY`), and what the best of the sample reaches for each of
  them is chance as it really is: segments that come in bunches, tails that are not normal, and
  queries that resemble half of the library a little. A Gumbel distribution, the limit of such best
  scores (Fisher and Tippett 1928), is laid through their median and median distance, so that a few
  that are in the library after all do no harm. It goes up by the logarithm of n.

As a score is a weighted sum of cosines, the same recipe with other words is a weighted sum of rows
that were computed before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from core.background import Floats, Sample
from core.models import Calibration, Cut, Hit, Moment, Relevance, Searched, Vector
from core.recipe import Part

Level = Literal["strong", "likely", "weak"]

# With fewer, one video more or less decides what chance is.
MIN_ROWS = 50
# How often the best segment of a whole library reaches a level by chance, when nothing answers: the
# usual 5 and 1 in 100.
LIKELY, STRONG = 0.05, 0.01
# A heavy tail of chance widens its scale by this at most. Measured on made libraries: without it 5 %
# of the queries that have no answer seem to have one, with it 2 %; with 1.5, half of the answers
# are lost where every tenth segment is one.
MOST_WIDENED = 1.25
# A gap ends an answer when it is this many times as wide as the next one, and at least as wide as
# the scale of chance.
CLEAR_GAP = 2.0

# Makes the median absolute deviation a standard deviation, for normal values.
_MAD = 1.4826
# The same for the mean absolute deviation, which is left when nearly all are equal (Iglewicz and
# Hoaglin 1993).
_MEAN_AD = 1.2533
# Of the standard Gumbel distribution: its median, and its median absolute deviation.
_GUMBEL_MEDIAN, _GUMBEL_MAD = 0.36651, 0.76705
# A score by the store and the same one by numpy differ by so much.
_ROUNDING = 1e-6
_TOO_FEW = f"It takes {MIN_ROWS} different segments to tell a good score from chance."
_NOTHING = "The filters leave nothing to search."
# So few other words say nothing about the best in 100.
_MIN_OTHERS = 20


# --- chance ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What chance gives one side of a recipe.

    By option, before option weights: `levels` and `scales` of chance, and the sorted `scores` of
    the sample. Deviations from `likely` and `strong` on are of that level.
    """

    levels: Mapping[str, float]
    scales: Mapping[str, float]
    scores: Mapping[str, Floats]
    likely: float
    strong: float

    def relevance(self, hit: Hit, weights: Mapping[str, float]) -> Relevance:
        """That of the option in which the hit rises most above chance."""
        deviation, percentile = max(
            (
                self._place(option, score / weights.get(option, 1.0))
                for option, score in hit.scores_by_option.items()
                if option in self.levels and weights.get(option, 1.0) > 0 and math.isfinite(score)
            ),
            default=(0.0, 0.0),
        )
        level: Level = "weak"
        if deviation >= self.likely:
            level = "strong" if deviation >= self.strong else "likely"
        return Relevance(level, deviation, percentile)

    def least(self, option: str) -> float | None:
        """The score from which on a segment of this option is likely no chance."""
        if option not in self.levels:
            return None
        return self.levels[option] + self.likely * self.scales[option]

    def _place(self, option: str, score: float) -> tuple[float, float]:
        scores = self.scores[option]
        below = int(np.searchsorted(scores, score - _ROUNDING))
        deviation = (score - self.levels[option]) / self.scales[option]
        return deviation, 100.0 * below / len(scores)


def chance_of(
    sample: Sample,
    parts: Sequence[tuple[Part, float]],
    direction: Vector,
    length: float,
    *,
    segments: Mapping[str, int],
) -> Chance | None:
    """What chance gives a recipe of these weighted parts, of this direction and length.

    `segments` counts those searched, by option. None when it cannot be told: fewer than MIN_ROWS in
    the sample, or all of them score the same.
    """
    rows = {o: sample.rows[o] for o in segments if o in sample.rows}
    enough = {option: some for option, some in rows.items() if len(some.vectors) >= MIN_ROWS}
    scores = {
        option: np.sort(some.vectors @ direction).astype(np.float64) * length
        for option, some in enough.items()
    }
    found = None
    if sample.others is not None:
        others = {option: sample.others.scores(parts, option) for option in scores}
        found = _by_others(others, segments)
    levels, scales, likely, strong = found or _by_itself(scores, segments)
    if not scales:
        return None
    return Chance(levels, scales, {option: scores[option] for option in levels}, likely, strong)


_Read = tuple[dict[str, float], dict[str, float], float, float]


def _by_itself(scores: Mapping[str, Floats], segments: Mapping[str, int]) -> _Read:
    """Levels, scales, and from where on a deviation is likely and strong: by the query alone."""
    levels, scales = {}, {}
    for option, values in scores.items():
        level = float(np.median(values))
        scale = _scale(values, level)
        if scale > _ROUNDING:
            levels[option], scales[option] = level, scale
    searched = sum(segments[option] for option in scales)
    return levels, scales, _best_of(searched, LIKELY), _best_of(searched, STRONG)


def _scale(values: Floats, level: float) -> float:
    distances = np.abs(values - level)
    scale = _MAD * float(np.median(distances))
    if scale <= _ROUNDING:  # more than half are equal
        others = distances[distances > _ROUNDING]
        if len(others) < MIN_ROWS:
            return _MEAN_AD * float(distances.mean())
        return _MAD * float(np.median(others))
    tail = (float(np.quantile(values, 0.9)) - level) / NormalDist().inv_cdf(0.9)
    return min(max(scale, tail), MOST_WIDENED * scale)


def _best_of(segments: int, chance: float) -> float:
    """What the best of so many standard normal values passes with this chance."""
    each = -math.expm1(math.log1p(-chance) / max(1, segments))
    return -NormalDist().inv_cdf(each)


def _by_others(scores: Mapping[str, Floats], segments: Mapping[str, int]) -> _Read | None:
    """The same by what other queries score, (queries, rows) for each option; None when too few of
    them can tell."""
    levels, scales, highest = {}, {}, []
    for option, table in scores.items():
        values = table[np.isfinite(table)]
        level = float(np.median(values)) if len(values) else 0.0
        scale = _MAD * float(np.median(np.abs(values - level))) if len(values) else 0.0
        if scale > _ROUNDING:
            levels[option], scales[option] = level, scale
            known = np.where(np.isfinite(table), table, -np.inf)
            highest.append((known.max(axis=1) - level) / scale)
    best = np.max(highest, axis=0, initial=-np.inf) if highest else np.empty(0)
    best = best[np.isfinite(best)]
    if len(best) < _MIN_OTHERS:
        return None
    middle = float(np.median(best))
    spread = float(np.median(np.abs(best - middle))) / _GUMBEL_MAD
    sampled = sum(scores[option].shape[1] for option in scales)
    growth = math.log(sum(segments[option] for option in scales) / sampled)
    likely, strong = (
        middle + spread * (-math.log(-math.log1p(-chance)) - _GUMBEL_MEDIAN + growth)
        for chance in (LIKELY, STRONG)
    )
    return levels, scales, likely, strong


# --- the answer -----------------------------------------------------------------------------------


def calibrate(
    moments: Sequence[Moment],
    best: Moment | None,
    chances: Sequence[Chance | None],
    *,
    weights: Mapping[str, float],
    searched: Searched,
) -> Calibration:
    """How far an answer can be trusted.

    `moments` are some of the answer, in its order, and `best` is the best of all of it. `chances`
    are those of each side of the recipe, None where they cannot be told; `weights` are those of the
    options.
    """
    sides = [chance for chance in chances if chance is not None]
    if len(sides) < len(chances):
        reason = _TOO_FEW if searched.segments else _NOTHING
        return Calibration({}, None, None, found=True, searched=searched, reason=reason)
    relevances = {
        moment.best.segment.id: _of_moment(moment, sides, weights) for moment in _all(moments)
    }
    highest = None if best is None else _of_moment(best, sides, weights)
    return Calibration(
        relevances=relevances,
        best=highest,
        cut=_cut(moments, relevances),
        found=highest is not None and highest.level != "weak",
        searched=searched,
    )


def _all(moments: Sequence[Moment]) -> list[Moment]:
    """The moments and those that are folded under them."""
    return [each for moment in moments for each in (moment, *moment.similar)]


_ORDER: Sequence[Level] = ("weak", "likely", "strong")


def _of_moment(
    moment: Moment, chances: Sequence[Chance], weights: Mapping[str, float]
) -> Relevance:
    """That of its best hit; of a pair that of the weaker side, as both must answer."""
    hits = [moment.best] if moment.then is None else [moment.best, moment.then]
    sides = [chance.relevance(hit, weights) for hit, chance in zip(hits, chances, strict=True)]
    return min(sides, key=lambda side: (_ORDER.index(side.level), side.deviation))


def _cut(moments: Sequence[Moment], relevances: Mapping[str, Relevance]) -> Cut | None:
    """Behind a clear gap, or else where the level falls to weak; never before a strong moment."""
    found = [relevances[moment.best.segment.id] for moment in moments]
    gap = _clear_gap([moment.score for moment in moments], found)
    if gap is not None:
        rank = moments[gap].rank
        return Cut(rank, f"a clear gap after moment {rank}")
    ends = max(
        (place for place, each in enumerate(found, start=1) if each.level != "weak"), default=0
    )
    if ends == len(moments):
        return None
    after = moments[ends].rank - 1
    return Cut(after, f"{'what follows' if after else 'all of it'} scores like chance")


def _clear_gap(scores: Sequence[float], relevances: Sequence[Relevance]) -> int | None:
    """The place before the widest gap between neighbours, when it is a clear one."""
    gaps = -np.diff(scores)
    if len(gaps) < 2:
        return None
    widest = int(np.argmax(gaps))
    before, after = relevances[widest], relevances[widest + 1]
    clear = (
        gaps[widest] >= CLEAR_GAP * np.partition(gaps, -2)[-2]
        and before.deviation - after.deviation >= 1
        and before.level != "weak"
        and all(each.level != "strong" for each in relevances[widest + 1 :])
    )
    return widest if clear else None
