from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import ConfigurationError, SeekpointError, StoreUnavailable
from core.models import Job, Segment, Stage, Video
from core.state import State, StoredVideo


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[State]:
    opened = State(url, collection="c")
    yield opened
    opened.close()


def stored(video_id: str, *, day: int = 1, rows: int = 2, path: Path | None = None) -> StoredVideo:
    added_at = datetime(2026, 1, day, 12, 0, 0, 123456, tzinfo=UTC)
    video = Video(
        video_id, "日本 <b>", "https://a.example/v.mp4", None, "", "m", rows, added_at, 640, None
    )
    segments = tuple(
        Segment(f"{video_id}:visual:{n}", video_id, n + 0.1, n + 1.0, "clip", "visual")
        for n in range(rows)
    )
    return StoredVideo(video, path, segments)


def one_job(state: State, source: str = "/v.mp4") -> Job:
    (job,) = state.add_jobs([(source, "title")], category="cats")
    return job


# Videos


def test_a_video_comes_back_as_it_was_put(state: State, tmp_path: Path) -> None:
    videos = [stored("b", day=2, path=tmp_path / "v.mp4"), stored("a", day=1)]
    for video in videos:
        state.put_video(video)
    assert state.videos() == videos


def test_putting_a_video_again_replaces_it(state: State) -> None:
    state.put_video(stored("a", rows=2))
    state.put_video(stored("a", rows=3))
    assert state.videos() == [stored("a", rows=3)]
    assert state.expected_rows() == 3


def test_a_removed_video_is_gone_and_removing_it_again_is_no_error(state: State) -> None:
    state.put_video(stored("a"))
    state.remove_video("a")
    state.remove_video("a")
    assert state.videos() == []
    assert state.expected_rows() == 0


def test_a_file_is_in_use_by_a_video_of_any_collection_or_an_unfinished_job(
    url: str, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "v.mp4"
    assert not state.path_in_use(path)
    other = State(url, collection="other")
    other.put_video(stored("a", path=path))
    assert state.path_in_use(path)
    other.remove_video("a")
    job = one_job(other, str(path))
    assert state.path_in_use(path)
    other.update_job(job.id, stage=Stage.FAILED)
    assert not state.path_in_use(path)
    other.close()


# Jobs


def test_jobs_stand_and_are_claimed_in_the_order_they_came(state: State) -> None:
    first = state.add_jobs([("/1", "1"), ("/2", "2")], category="")
    second = state.add_jobs([("/0", "0")], category="")
    assert state.jobs() == first + second
    assert [state.claim_job() for _ in range(4)] == [
        *(state.job(job.id) for job in first + second),
        None,
    ]


def test_a_new_job_is_queued_and_a_claimed_one_has_begun(state: State) -> None:
    job = one_job(state)
    assert (job.stage, job.attempts, job.category, job.started_at) == (
        Stage.QUEUED,
        0,
        "cats",
        None,
    )
    claimed = state.claim_job()
    assert claimed is not None
    assert (claimed.id, claimed.stage, claimed.attempts) == (job.id, Stage.PROBING, 1)
    assert claimed.started_at is not None
    assert claimed.started_at >= job.created_at


def test_no_job_is_claimed_twice_by_workers_that_ask_at_once(state: State) -> None:
    jobs = state.add_jobs([(f"/{n}", str(n)) for n in range(40)], category="")

    def claim_all(_: int) -> list[str]:
        claimed = []
        while job := state.claim_job():
            claimed.append(job.id)
        return claimed

    with ThreadPoolExecutor(4) as workers:
        claimed = [id_ for ids in workers.map(claim_all, range(4)) for id_ in ids]
    assert sorted(claimed) == sorted(job.id for job in jobs)


def test_finishing_sets_the_time_and_going_on_takes_it_back(state: State) -> None:
    job = one_job(state)
    state.update_job(job.id, stage=Stage.FAILED, error="No.", hint="Try again.")
    failed = state.job(job.id)
    assert failed is not None
    assert failed.finished_at is not None
    assert (failed.error, failed.hint) == ("No.", "Try again.")
    state.update_job(job.id, stage=Stage.QUEUED)
    again = state.job(job.id)
    assert again is not None
    assert (again.finished_at, again.error, again.hint) == (None, "", "")


def test_a_checkpoint_and_its_task_survive_progress_and_a_restart(url: str, state: State) -> None:
    job = one_job(state)
    state.update_job(job.id, stage=Stage.WAITING, checkpoint={"task_id": "t-1", "asset": "a-1"})
    state.update_job(job.id, stage=Stage.EMBEDDING, fraction=0.5)
    state.close()
    reopened = State(url, collection="c")
    assert reopened.checkpoint(job.id) == {"task_id": "t-1", "asset": "a-1"}
    assert [(j.task_id, j.stage, j.fraction) for j in reopened.jobs()] == [
        ("t-1", Stage.EMBEDDING, 0.5)
    ]
    reopened.close()


def test_a_restart_puts_unfinished_jobs_back_and_leaves_finished_ones(
    url: str, state: State
) -> None:
    running, waiting, ready, failed = state.add_jobs([("/v", "v")] * 4, category="")
    state.update_job(running.id, stage=Stage.EMBEDDING, fraction=0.5)
    state.update_job(ready.id, stage=Stage.READY)
    state.update_job(failed.id, stage=Stage.FAILED)
    state.close()
    reopened = State(url, collection="c")
    assert reopened.requeue_unfinished() == 2
    assert [job.stage for job in reopened.jobs()] == [
        Stage.QUEUED,
        Stage.QUEUED,
        Stage.READY,
        Stage.FAILED,
    ]
    claimed = reopened.claim_job()
    assert claimed is not None
    assert (claimed.id, waiting.id != running.id) == (running.id, True)
    reopened.close()


def test_a_forgotten_job_is_gone_and_late_progress_of_it_is_ignored(state: State) -> None:
    job = one_job(state)
    state.forget_job(job.id)
    state.update_job(job.id, stage=Stage.READY)
    state.forget_job(job.id)
    assert (state.jobs(), state.job(job.id), state.checkpoint(job.id)) == ([], None, {})


def test_collections_do_not_see_each_other(url: str, state: State) -> None:
    state.put_video(stored("a"))
    job = one_job(state)
    other = State(url, collection="other")
    assert (other.videos(), other.jobs(), other.expected_rows()) == ([], [], 0)
    assert (other.claim_job(), other.requeue_unfinished()) == (None, 0)
    other.put_video(stored("a", rows=7))
    other.remove_video("a")
    assert state.videos() == [stored("a")]
    assert state.jobs() == [job]
    other.close()


# Wrong databases


@pytest.mark.parametrize(
    "wrong",
    ["nonsense", "mongodb://host/name", "postgresql+nodriver://h/n", "postgresql://h:port/n"],
)
def test_an_address_that_is_no_database_names_the_variable(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        State(wrong, collection="c")


def test_a_wrong_address_does_not_repeat_its_password() -> None:
    with pytest.raises(SeekpointError) as refusal:
        State("postgres ql://user:sesame@host:port/n", collection="c")
    assert "sesame" not in str(refusal.value)


def test_a_database_that_cannot_be_opened_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as refusal:
        State(f"sqlite:///{tmp_path / 'missing' / 'state.db'}", collection="c")
    assert "DATABASE_URL" in refusal.value.hint


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("this is not a database, only a text that is long enough to be read as one")
    with pytest.raises(StoreUnavailable, match="not a database"):
        State(f"sqlite:///{path}", collection="c")
