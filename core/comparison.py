"""Two answers side by side: what they share, and what only one of them has."""

from __future__ import annotations

from collections.abc import Sequence

from core.models import Comparison, Moment, RankPair

# How likely somebody who looked at one moment looks at the next one as well; with 0.9 the first
# ten have 86 % of the weight (Webber, Moffat and Zobel 2010).
PERSISTENCE = 0.9
# Of the shorter one; a moment can be cut a little differently by another search.
_COMMON_SHARE = 0.5

_Places = tuple[int, int]


def compare(left: Sequence[Moment], right: Sequence[Moment], *, k: int = 10) -> Comparison:
    """The first `k` of two answers, best first, each with a place of its own.

    Two moments are the same when they are of the same video and share more than half of the
    shorter one. A moment is the same as one other at most; of several, those that come first find
    each other. The overlap is the share of the longer answer. The rank-biased overlap is the
    extrapolated one of Webber, Moffat and Zobel, which supposes that the answers go on as they
    began. Both are 0 when one answer is empty.
    """
    left, right = left[:k], right[:k]
    places = _same(left, right)
    of_left, of_right = {place for place, _ in places}, {place for _, place in places}
    return Comparison(
        k=k,
        overlap=len(places) / max(len(left), len(right), 1),
        rbo=_rank_biased_overlap(places, len(left), len(right)),
        pairs=tuple(RankPair(left[one], right[other]) for one, other in places),
        only_left=tuple(moment for n, moment in enumerate(left) if n not in of_left),
        only_right=tuple(moment for n, moment in enumerate(right) if n not in of_right),
    )


def _same(left: Sequence[Moment], right: Sequence[Moment]) -> list[_Places]:
    """The places of the moments that are the same, by that on the left."""
    candidates = [
        (n, m)
        for n, one in enumerate(left)
        for m, other in enumerate(right)
        if _are_same(one, other)
    ]
    of_left: dict[int, int] = {}
    for n, m in sorted(candidates, key=lambda places: (sum(places), places)):
        if n not in of_left and m not in of_left.values():
            of_left[n] = m
    return sorted(of_left.items())


def _are_same(one: Moment, other: Moment) -> bool:
    if one.video.id != other.video.id:
        return False
    start = max(one.start_offset_sec, other.start_offset_sec)
    end = min(one.end_offset_sec, other.end_offset_sec)
    shorter = min(m.end_offset_sec - m.start_offset_sec for m in (one, other))
    return end - start > _COMMON_SHARE * shorter


def _rank_biased_overlap(places: Sequence[_Places], left: int, right: int) -> float:
    """Of rankings of these lengths, which share what stands in these places; equation 32."""
    short, long = min(left, right), max(left, right)
    if not short:
        return 0.0
    # How many both have among the first d.
    common = [sum(max(pair) < depth for pair in places) for depth in range(long + 1)]
    share = common[short] / short
    agreement = 0.0
    for depth in range(1, long + 1):
        unseen = share * max(depth - short, 0)
        agreement += (common[depth] + unseen) / depth * PERSISTENCE**depth
    tail = (common[long] - common[short]) / long + share
    return (1 - PERSISTENCE) / PERSISTENCE * agreement + tail * PERSISTENCE**long
