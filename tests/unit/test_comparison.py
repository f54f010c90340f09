from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from core.comparison import compare
from core.models import Hit, Moment, Segment, Video


def moment(video_id: str, start: float = 0, end: float = 4, *, rank: int = 1) -> Moment:
    video = Video(video_id, video_id, "", 60, "", "m", 1, datetime(2026, 1, 1, tzinfo=UTC))
    segment = Segment(f"{video_id}:{start}", video_id, start, end)
    return Moment(video, start, end, (Hit(segment, video, 0.5, {"visual": 0.5}, rank),), rank)


def answer(names: str) -> list[Moment]:
    """A moment of another video for each letter, in this order."""
    return [moment(name, rank=rank) for rank, name in enumerate(names, start=1)]


def names(moments: Sequence[Moment]) -> str:
    return "".join(moment.video.id for moment in moments)


def test_what_both_have_is_paired_with_its_rank_in_each() -> None:
    found = compare(answer("abcd"), answer("cxay"))
    assert [(pair.left.video.id, pair.left.rank, pair.right.rank) for pair in found.pairs] == [
        ("a", 1, 3),
        ("c", 3, 1),
    ]
    assert (names(found.only_left), names(found.only_right)) == ("bd", "xy")
    assert found.overlap == 0.5


def test_only_the_first_k_count() -> None:
    found = compare(answer("abc"), answer("xyabc"), k=3)
    assert (found.k, names(found.only_left), names(found.only_right)) == (3, "bc", "xy")
    assert [pair.right.rank for pair in found.pairs] == [3]
    assert found.overlap == pytest.approx(1 / 3)


def test_the_same_answer_overlaps_wholly() -> None:
    found = compare(answer("abcdef"), answer("abcdef"))
    assert found.overlap == 1
    assert found.rbo == pytest.approx(1)
    assert (found.only_left, found.only_right) == ((), ())


@pytest.mark.parametrize(("left", "right"), [("abc", "xyz"), ("abc", ""), ("", "abc"), ("", "")])
def test_answers_without_a_common_moment_do_not_overlap(left: str, right: str) -> None:
    found = compare(answer(left), answer(right))
    assert (found.overlap, found.rbo, found.pairs) == (0, 0, ())
    assert (names(found.only_left), names(found.only_right)) == (left, right)


def test_a_swap_at_the_top_weighs_more_than_one_at_the_end() -> None:
    top = compare(answer("abcdef"), answer("bacdef"))
    end = compare(answer("abcdef"), answer("abcdfe"))
    assert top.overlap == end.overlap == 1
    assert top.rbo < end.rbo < 1


def test_the_rank_biased_overlap_is_that_of_its_definition() -> None:
    # Shares of the first 1, 2 and 3 in common: 0, 1/2, 2/3; the last one is taken to go on.
    found = compare(answer("abc"), answer("bxa"))
    assert found.rbo == pytest.approx(0.1 * (0 + 0.9 / 2 + 0.81 * 2 / 3) + 0.729 * 2 / 3)


def test_a_short_answer_is_taken_to_go_on_as_it_began() -> None:
    assert compare(answer("ab"), answer("abcdefgh")).rbo == pytest.approx(1)
    found = compare(answer("ax"), answer("abcd"))
    assert found.rbo == pytest.approx(0.1 * (1 + 0.9 / 2 + 0.81 / 2 + 0.729 / 2) + 0.6561 / 2)
    assert found.rbo == pytest.approx(compare(answer("abcd"), answer("ax")).rbo)


@pytest.mark.parametrize(
    ("start", "end", "same"),
    [
        (0, 10, True),
        (4.9, 14.9, True),
        (5, 15, False),
        (4, 6, True),
        (9.5, 10.4, True),
        (20, 24, False),
    ],
)
def test_moments_are_the_same_that_share_more_than_half_of_the_shorter_one(
    start: float, end: float, same: bool
) -> None:
    found = compare([moment("a", 0, 10)], [moment("a", start, end)])
    assert (len(found.pairs) == 1) is same


def test_of_several_that_are_the_same_the_first_ones_find_each_other() -> None:
    whole = [moment("a", 0, 20)]
    halves = [moment("a", 10, 20), moment("b"), moment("a", 0, 10, rank=3)]
    found = compare(whole, halves)
    assert [pair.right.start_offset_sec for pair in found.pairs] == [10]
    assert [only.start_offset_sec for only in found.only_right] == [0, 0]
