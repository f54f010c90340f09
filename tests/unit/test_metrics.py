"""What is counted while the app runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import RecipeError
from core.metrics import BUCKETS, Metrics, Spread, spread
from core.models import Filters, SearchResult
from core.recipe import Recipe

ANSWER = SearchResult(
    hits=(),
    moments=(),
    recipe=Recipe.parse("red car"),
    filters=Filters(),
    model="concepts-v1",
    timings={"embed": 0.2, "search": 0.03, "group": 0.001},
    cached=False,
)


def test_a_search_is_counted_with_its_stages_and_whether_the_cache_had_it_all() -> None:
    metrics = Metrics()
    metrics.searched(ANSWER)
    for _ in range(3):
        metrics.searched(replace(ANSWER, cached=True, timings={"embed": 0.0, "search": 0.05}))
    assert metrics.searches() == (3, 1)
    stages = metrics.stages()
    assert {name: stage.count for name, stage in stages.items()} == {
        "embed": 4,
        "search": 4,
        "group": 1,
    }
    assert stages["search"].seconds == pytest.approx(0.18)
    assert dict(zip(BUCKETS, stages["search"].at_most, strict=True))[0.025] == 0
    # What took exactly as long as a bucket's end belongs to it.
    assert dict(zip(BUCKETS, stages["search"].at_most, strict=True))[0.05] == 4


def test_what_takes_longer_than_the_last_bucket_is_in_none_but_counted() -> None:
    metrics = Metrics()
    metrics.searched(replace(ANSWER, timings={"embed": 2 * BUCKETS[-1]}))
    assert metrics.stages()["embed"].count == 1
    assert set(metrics.stages()["embed"].at_most) == {0}


def test_an_error_is_counted_under_its_kind_and_passes_on() -> None:
    metrics = Metrics()
    for _ in range(2):
        with pytest.raises(RecipeError), metrics.measured("search"):
            raise RecipeError("Nothing to search for.")
    with metrics.measured("search"):
        pass
    assert metrics.errors() == {"RecipeError": 2}
    assert metrics.calls()["search"].count == 1


def test_the_spread_of_times_is_the_middle_and_the_slow_end() -> None:
    assert spread(range(1, 102)) == Spread(101, 51.0, 96.0)
    assert spread([]) == Spread(0, 0.0, 0.0)
