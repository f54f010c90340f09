from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from components.job_list import batch_progress, current_batch, overall_fraction
from core import Job, Stage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def job(
    stage: Stage,
    fraction: float | None = None,
    *,
    queued: float = 0.0,
    started: float | None = None,
    finished: float | None = None,
) -> Job:
    return Job(
        id=f"{stage}-{queued}",
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
        created_at=at(queued),
        started_at=None if started is None else at(started),
        finished_at=None if finished is None else at(finished),
    )


def test_a_job_never_goes_back_on_its_way_through_the_stages() -> None:
    way = [
        overall_fraction(job(stage, fraction))
        for stage in Stage
        if stage not in {Stage.FAILED, Stage.CANCELLED}
        for fraction in (None, 0.0, 0.5, 1.0)
    ]
    assert way == sorted(way)
    assert (way[0], way[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("stage", [Stage.READY, Stage.FAILED, Stage.CANCELLED])
def test_a_finished_job_is_wholly_done(stage: Stage) -> None:
    assert overall_fraction(job(stage)) == 1.0


def test_nothing_under_way_is_no_batch() -> None:
    assert current_batch([]) == []
    assert current_batch([job(Stage.READY, finished=9), job(Stage.FAILED, finished=9)]) == []


def test_jobs_added_together_stay_together_until_the_last_is_done() -> None:
    jobs = [
        job(Stage.READY, queued=0.000, finished=10),
        job(Stage.FAILED, queued=0.001, finished=20),
        job(Stage.EMBEDDING, queued=0.002),
    ]
    assert current_batch(jobs) == jobs


def test_what_finished_before_this_batch_does_not_count() -> None:
    earlier = job(Stage.READY, queued=0, finished=50)
    jobs = [job(Stage.READY, queued=60, finished=70), job(Stage.QUEUED, queued=60.001)]
    assert current_batch([earlier, *jobs]) == jobs


def test_progress_counts_videos_and_guesses_the_time_left() -> None:
    batch = [job(Stage.READY, started=0, finished=30), job(Stage.QUEUED)]
    words = "Adding videos: 1 of 2 done, about 30 s left"
    assert batch_progress(batch, at(30)) == (0.5, words)


def test_a_job_taken_up_again_a_day_later_guesses_from_its_new_start() -> None:
    day = 86_400
    batch = [job(Stage.EMBEDDING, 0.25, queued=0, started=day)]
    assert batch_progress(batch, at(day + 10))[1].endswith("about 10 s left")


def test_no_time_is_guessed_from_next_to_nothing() -> None:
    words = "Adding videos: 0 of 1 done"
    assert batch_progress([job(Stage.EMBEDDING, 0.5)], at(1)) == (pytest.approx(0.65), words)
    assert batch_progress([job(Stage.PROBING)], at(60)) == (0.0, words)
