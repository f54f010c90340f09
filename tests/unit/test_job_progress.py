from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from components.job_list import queue_words
from components.job_row import overall_fraction
from components.labels import named
from core import Job, QueueState, Stage


def job(stage: Stage, fraction: float | None = None) -> Job:
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
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        finished_at=None,
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


@pytest.mark.parametrize(
    ("paused", "remaining_sec", "words"),
    [
        ("", None, "7 of 12 done"),
        ("", 200, "7 of 12 done, about 3 min left"),
        ("user", 200, "7 of 12 done"),
    ],
)
def test_the_queue_in_words_guesses_no_time_when_nothing_moves(
    paused: Literal["", "user"], remaining_sec: float | None, words: str
) -> None:
    state = QueueState(
        paused=paused,
        reason="",
        hint="",
        counts={Stage.QUEUED: 5, Stage.READY: 7},
        done=7,
        total=12,
        fraction=0.6,
        remaining_sec=remaining_sec,
    )
    assert queue_words(state) == words


@pytest.mark.parametrize(
    ("title", "label"),
    [
        ("red car", "Remove `red car`"),
        ("a `b`\n**c**", "Remove `a 'b' **c**`"),
        ("", "Remove"),
    ],
)
def test_a_label_names_what_it_is_about_and_reads_no_markdown(title: str, label: str) -> None:
    assert named("Remove", title) == label
