from __future__ import annotations

from core.recent import Recent
from tests.clock import Clock


def test_what_was_put_is_there_and_what_was_not_is_none() -> None:
    recent = Recent[str](2)
    recent.put("a", "1")
    assert (recent.get("a"), recent.get("b")) == ("1", None)


def test_the_one_that_was_used_longest_ago_goes_first() -> None:
    recent = Recent[str](2)
    recent.put("a", "1")
    recent.put("b", "2")
    recent.get("a")
    recent.put("c", "3")
    assert [recent.get(key) for key in "abc"] == ["1", None, "3"]


def test_a_value_is_gone_when_its_time_is_over_however_often_it_was_used(clock: Clock) -> None:
    recent = Recent[str](2, seconds=10, clock=clock)
    recent.put("a", "1")
    clock.sleep(9)
    assert recent.get("a") == "1"
    clock.sleep(2)
    assert recent.get("a") is None
