from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from core.forecast import (
    batch_fraction,
    batch_remaining_sec,
    done_fraction,
    pace,
    remaining_sec,
)
from core.models import Job, Stage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
USUAL = {Stage.PROBING: 1.0, Stage.WAITING: 2.0, Stage.EMBEDDING: 30.0, Stage.STORING: 3.0}


def job(
    stage: Stage,
    *,
    minutes: float | None = 2.0,
    fraction: float | None = None,
    spent: float | None = None,
    stage_seconds: Mapping[str, float] | None = None,
) -> Job:
    """A job that has been in its stage for `spent` seconds."""
    return Job(
        id="1",
        source="/v.mp4",
        title="v",
        category="",
        stage=stage,
        fraction=fraction,
        attempts=1,
        error="",
        hint="",
        video_id="",
        task_id="",
        created_at=NOW,
        started_at=None,
        finished_at=None,
        minutes=minutes,
        stage_since=None if spent is None else NOW - timedelta(seconds=spent),
        stage_seconds=stage_seconds or {},
    )


def test_the_usual_pace_is_the_middle_one_and_jobs_of_unknown_length_tell_none() -> None:
    ready = [
        job(Stage.READY, minutes=minutes, stage_seconds={"embedding": seconds})
        for minutes, seconds in ((1.0, 10.0), (2.0, 60.0), (1.0, 1000.0), (None, 1.0))
    ]
    assert pace(ready) == {Stage.EMBEDDING: 30.0}
    assert pace([]) == {}


def test_a_waiting_job_needs_all_its_stages() -> None:
    assert remaining_sec(job(Stage.QUEUED), USUAL, NOW) == 2 * 36.0


def test_a_stage_that_tells_how_far_it_is_is_believed() -> None:
    told = job(Stage.EMBEDDING, fraction=0.25, spent=10.0)
    assert remaining_sec(told, USUAL, NOW) == pytest.approx(30.0 + 2 * 3.0)


@pytest.mark.parametrize(("spent", "left"), [(20.0, 40.0), (60.0, 0.0), (90.0, 0.0)])
def test_a_stage_that_does_not_is_taken_to_be_as_long_as_usual_and_never_negative(
    spent: float, left: float
) -> None:
    assert remaining_sec(job(Stage.EMBEDDING, spent=spent), USUAL, NOW) == left + 2 * 3.0


@pytest.mark.parametrize(
    ("unclear", "usual"),
    [
        (job(Stage.READY), USUAL),
        (job(Stage.FAILED), USUAL),
        (job(Stage.QUEUED, minutes=None), USUAL),
        (job(Stage.QUEUED), {}),
        (job(Stage.EMBEDDING), USUAL),
        (job(Stage.EMBEDDING, spent=3.0), {}),
    ],
    ids=["ready", "failed", "no length", "no pace", "no beginning", "first of all"],
)
def test_where_nothing_is_known_nothing_is_said(unclear: Job, usual: Mapping[Stage, float]) -> None:
    assert remaining_sec(unclear, usual, NOW) is None


def test_the_share_that_is_done_only_grows_on_the_way() -> None:
    way = [
        done_fraction(job(stage, fraction=fraction))
        for stage in Stage
        if stage not in {Stage.FAILED, Stage.CANCELLED}
        for fraction in (None, 0.5, 1.0)
    ]
    assert way == sorted(way)
    assert (way[0], way[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("stage", [Stage.READY, Stage.FAILED, Stage.CANCELLED])
def test_a_finished_job_is_done_however_it_ended(stage: Stage) -> None:
    assert done_fraction(job(stage)) == 1.0


def test_a_batch_is_as_far_as_its_jobs_together() -> None:
    running = [job(Stage.EMBEDDING, fraction=0.0)]
    assert batch_fraction(1, running, 2) == pytest.approx((1 + 0.35) / 4)
    assert batch_fraction(3, [], 0) == 1.0
    assert batch_fraction(0, [], 0) == 1.0


def test_a_batch_goes_on_at_the_pace_so_far() -> None:
    begun = NOW - timedelta(seconds=30)
    assert batch_remaining_sec(0.25, begun, NOW) == 90.0
    assert batch_remaining_sec(1.0, begun, NOW) == 0.0


@pytest.mark.parametrize(
    ("fraction", "spent"), [(0.0, 30.0), (0.02, 30.0), (0.5, 1.0)], ids=["none", "little", "short"]
)
def test_too_little_of_a_batch_tells_nothing(fraction: float, spent: float) -> None:
    assert batch_remaining_sec(fraction, NOW - timedelta(seconds=spent), NOW) is None
    assert batch_remaining_sec(0.5, None, NOW) is None
