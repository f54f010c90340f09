from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.database import Database
from core.errors import ConfigurationError, JobTaken, SeekpointError, StoreUnavailable
from core.models import Job, Segment, Stage, Video
from core.state import NewJob, State, StoredVideo


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def state(database: Database) -> State:
    return State(database, collection="c")


@pytest.fixture
def reopened(url: str) -> Iterator[State]:
    """The same records as a process sees them that comes later."""
    later = Database(url)
    yield State(later, collection="c")
    later.close()


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
    (job,) = state.add_jobs([NewJob(source, "title", "cats")])
    return job


def claimed(state: State) -> Job:
    job = state.claim_job()
    assert job is not None
    return job


def one_running(state: State, source: str = "/v.mp4") -> Job:
    one_job(state, source)
    return claimed(state)


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


@pytest.mark.parametrize("title", ["a\0b", "a\ud800b"])
def test_what_no_database_keeps_as_text_is_kept_with_a_question_mark(
    state: State, database: Database, title: str
) -> None:
    kept = stored("odd")
    state.put_video(replace(kept, video=replace(kept.video, title=title)))
    state.add_jobs([NewJob("/v.mp4", title, "")])
    state.set_preference("named", title)

    again = State(database, collection="c")

    assert [stored.video.title for stored in again.videos()] == ["a?b"]
    assert [job.title for job in again.jobs()] == ["a?b"]
    assert again.preference("named") == "a?b"


def test_a_removed_video_is_gone_and_removing_it_again_is_no_error(state: State) -> None:
    state.put_video(stored("a"))
    state.remove_video("a")
    state.remove_video("a")
    assert state.videos() == []
    assert state.expected_rows() == 0


def test_a_file_is_in_use_by_a_video_of_any_collection_or_a_job_that_may_still_run(
    database: Database, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "v.mp4"
    assert not state.path_in_use(path)
    other = State(database, collection="other")
    other.put_video(stored("a", path=path))
    assert state.path_in_use(path)
    other.remove_video("a")
    job = one_running(other, str(path))
    assert state.path_in_use(path)
    other.update_job(job, stage=Stage.FAILED)
    assert state.path_in_use(path)  # it may be tried again
    other.move_job(job.id, {Stage.FAILED}, Stage.QUEUED)
    other.update_job(claimed(other), stage=Stage.READY)
    assert not state.path_in_use(path)


# Jobs


def test_jobs_stand_and_are_claimed_in_the_order_they_came(state: State) -> None:
    first = state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2")])
    second = state.add_jobs([NewJob("/0", "0")])
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
    begun = claimed(state)
    assert (begun.id, begun.stage, begun.attempts) == (job.id, Stage.PROBING, 1)
    assert begun.started_at is not None
    assert begun.started_at >= job.created_at


def test_no_job_is_claimed_twice_by_workers_that_ask_at_once(state: State) -> None:
    jobs = state.add_jobs([NewJob(f"/{n}", str(n)) for n in range(40)])

    def claim_all(_: int) -> list[str]:
        mine = []
        while job := state.claim_job():
            mine.append(job.id)
        return mine

    with ThreadPoolExecutor(4) as workers:
        taken = [id_ for ids in workers.map(claim_all, range(4)) for id_ in ids]
    assert sorted(taken) == sorted(job.id for job in jobs)


def test_finishing_sets_the_time_and_going_on_takes_it_back(state: State) -> None:
    job = one_running(state)
    state.update_job(job, stage=Stage.FAILED, error="No.", hint="Try again.")
    failed = state.job(job.id)
    assert failed is not None
    assert failed.finished_at is not None
    assert (failed.error, failed.hint) == ("No.", "Try again.")
    state.move_job(job.id, {Stage.FAILED}, Stage.QUEUED)
    again = state.job(job.id)
    assert again is not None
    assert (again.finished_at, again.error, again.hint) == (None, "", "")


def test_a_checkpoint_and_its_task_survive_progress_and_a_restart(
    state: State, reopened: State
) -> None:
    job = one_running(state)
    state.update_job(job, stage=Stage.WAITING, checkpoint={"task_id": "t-1", "asset": "a-1"})
    state.update_job(job, stage=Stage.EMBEDDING, fraction=0.5)
    assert reopened.checkpoint(job.id) == {"task_id": "t-1", "asset": "a-1"}
    assert [(j.task_id, j.stage, j.fraction) for j in reopened.jobs()] == [
        ("t-1", Stage.EMBEDDING, 0.5)
    ]


def test_a_restart_puts_unfinished_jobs_back_and_leaves_finished_ones(
    state: State, reopened: State
) -> None:
    state.add_jobs([NewJob("/v", "v")] * 4)
    running, ready, failed = claimed(state), claimed(state), claimed(state)
    state.update_job(running, stage=Stage.EMBEDDING, fraction=0.5)
    state.update_job(ready, stage=Stage.READY)
    state.update_job(failed, stage=Stage.FAILED)
    assert reopened.requeue_left() == 1
    assert [job.stage for job in reopened.jobs()] == [
        Stage.QUEUED,
        Stage.READY,
        Stage.FAILED,
        Stage.QUEUED,
    ]
    assert claimed(reopened).id == running.id


def test_a_job_that_was_taken_over_is_written_about_by_nobody_else(
    state: State, reopened: State
) -> None:
    before = one_running(state)
    reopened.requeue_left()
    with pytest.raises(JobTaken):
        state.update_job(before, stage=Stage.EMBEDDING)
    now = claimed(reopened)
    with pytest.raises(JobTaken):
        state.update_job(before, stage=Stage.READY)
    reopened.update_job(now, stage=Stage.EMBEDDING, checkpoint={"task_id": "t"})
    # Not even by this server's own thread that had it in the attempt before.
    reopened.requeue_left()
    later = claimed(reopened)
    with pytest.raises(JobTaken):
        reopened.update_job(now, stage=Stage.FAILED, checkpoint={})
    assert reopened.job(later.id) == replace(later, task_id="t")


def test_of_the_jobs_of_one_video_one_at_a_time_has_it(state: State) -> None:
    state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2"), NewJob("/3", "3")])
    first, second, other = (
        replace(claimed(state), video_id=video_id) for video_id in ("a", "a", "b")
    )
    at_work = {first.id, second.id, other.id}
    for job in (first, second, other):
        state.update_job(job, stage=Stage.PROBING, video_id=job.video_id)
    assert [state.hold_video(job, at_work) for job in (first, second, other)] == [True, False, True]
    assert state.hold_video(first, at_work)
    state.update_job(first, stage=Stage.FAILED)
    assert state.hold_video(second, at_work)


def test_unfinished_jobs_that_somebody_cancelled_are_known_after_a_restart(
    state: State, reopened: State
) -> None:
    state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2")])
    one = claimed(state)
    state.ask_to_cancel(one.id, "keep")
    assert [job.id for job in reopened.asked_to_end()] == [one.id]
    assert reopened.asked_to_cancel(one.id) == "keep"
    state.update_job(one, stage=Stage.CANCELLED)
    assert (reopened.asked_to_end(), reopened.requeue_left()) == ([], 0)


def test_the_higher_priority_is_claimed_first_and_one_put_first_before_all(state: State) -> None:
    low, last = state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2")])
    (high,) = state.add_jobs([NewJob("/3", "3")], priority=5)
    state.put_first(last.id)
    assert [claimed(state).id for _ in range(3)] == [last.id, high.id, low.id]


def test_a_held_run_is_not_claimed_until_it_is_released(state: State) -> None:
    jobs = state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2")], max_cost=1.0)
    state.hold_run(jobs[0].run, "The budget is spent.")
    assert state.claim_job() is None
    assert [job.held for job in state.jobs()] == ["The budget is spent."] * 2
    (other,) = state.add_jobs([NewJob("/3", "3")])
    assert state.claim_job() == state.job(other.id)
    state.release_run(jobs[0].run, 2.0)
    assert state.run_budget(jobs[0].id) == 2.0
    assert state.claim_job() == state.job(jobs[0].id)


def test_the_seconds_of_each_stage_are_kept(state: State) -> None:
    job = one_running(state)
    for stage in (Stage.EMBEDDING, Stage.STORING, Stage.READY):
        state.update_job(job, stage=stage)
    done = state.job(job.id)
    assert done is not None
    assert list(done.stage_seconds) == ["probing", "embedding", "storing"]
    assert all(seconds >= 0 for seconds in done.stage_seconds.values())


def test_the_batch_is_what_is_unfinished_and_what_finished_beside_it(state: State) -> None:
    assert state.batch() == (0, None)
    old = one_running(state)
    state.update_job(old, stage=Stage.READY)
    one, _two = state.add_jobs([NewJob("/1", "1"), NewJob("/2", "2")])
    assert state.batch() == (0, None)
    begun = claimed(state)
    state.update_job(begun, stage=Stage.READY)
    assert state.batch() == (1, begun.started_at)
    assert state.counts() == {Stage.READY: 2, Stage.QUEUED: 1}
    assert [job.id for job in state.jobs({Stage.READY}, limit=1)] == [old.id]
    assert [job.id for job in state.latest_ready(1)] == [one.id]
    assert [job.id for job in state.jobs(run=old.run)] == [old.id]


def test_a_video_being_removed_is_not_shown_and_waits_to_be_finished(state: State) -> None:
    state.put_video(stored("a"))
    state.begin_removal("a")
    assert (state.videos(), state.removals()) == ([], [stored("a")])
    state.put_video(stored("a"))
    assert (state.videos(), state.removals()) == ([stored("a")], [])


def test_a_preference_outlives_the_process_until_it_is_taken_back(
    state: State, reopened: State
) -> None:
    state.set_preference("paused", "yes")
    assert reopened.preference("paused") == "yes"
    state.set_preference("paused", None)
    assert reopened.preference("paused") is None


def test_a_shared_preference_holds_for_every_collection(database: Database, state: State) -> None:
    state.set_preference("budget", "5", shared=True)
    other = State(database, collection="other")
    assert other.preference("budget", shared=True) == "5"
    assert other.preference("budget") is None


def test_a_forgotten_job_is_gone_and_late_progress_of_it_is_refused(state: State) -> None:
    job = one_running(state)
    state.forget_job(job.id)
    with pytest.raises(JobTaken):
        state.update_job(job, stage=Stage.READY)
    state.forget_job(job.id)
    assert (state.jobs(), state.job(job.id), state.checkpoint(job.id)) == ([], None, {})


def test_collections_do_not_see_each_other(database: Database, state: State) -> None:
    state.put_video(stored("a"))
    job = one_job(state)
    other = State(database, collection="other")
    assert (other.videos(), other.jobs(), other.expected_rows()) == ([], [], 0)
    assert (other.claim_job(), other.requeue_left()) == (None, 0)
    other.put_video(stored("a", rows=7))
    other.remove_video("a")
    assert state.videos() == [stored("a")]
    assert state.jobs() == [job]


# Wrong databases


@pytest.mark.parametrize(
    "wrong",
    ["nonsense", "mongodb://host/name", "postgresql+nodriver://h/n", "postgresql://h:port/n"],
)
def test_an_address_that_is_no_database_names_the_variable(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        Database(wrong)


def test_a_wrong_address_does_not_repeat_its_password() -> None:
    with pytest.raises(SeekpointError) as refusal:
        Database("postgres ql://user:sesame@host:port/n")
    assert "sesame" not in str(refusal.value)


def test_a_database_that_cannot_be_opened_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as refusal:
        Database(f"sqlite:///{tmp_path / 'missing' / 'state.db'}")
    assert "DATABASE_URL" in refusal.value.hint


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("this is not a database, only a text that is long enough to be read as one")
    with pytest.raises(StoreUnavailable, match="not a database"):
        Database(f"sqlite:///{path}")
