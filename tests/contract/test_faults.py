"""Every fault of a service at every step of a video's way in.

Whatever happens, the video ends up in the library, or its job says what is wrong and what to do, and
goes on from there once the fault is over. Nothing of an answer that is partly bad is stored, and for
every task that the service made, and no other, there is a charge in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import Job, Library, Stage
from tests.clock import Clock
from tests.contract.standin import Fault, Json, StandIn
from tests.contract.world import (
    World,
    charged,
    done,
    empty_data,
    rows_stored,
    small_video,
)
from tests.web import Web

CREATE, POLL = "POST /embed-v2/tasks", "GET /embed-v2/tasks/{id}"
UPLOAD, ASSET_POLL = "POST /assets", "GET /assets/{id}"
# Longer than anybody tries.
FOR_EVER = 10_000
HOUR_SEC = 3600.0


@dataclass(frozen=True)
class Step:
    """A call on a video's way in, and what has to be added to come by it."""

    endpoint: str
    source: str
    polls_needed: int = 1


STEPS = {
    "create": Step(CREATE, "url"),
    "poll": Step(POLL, "url"),
    # Without a poll before it, the first look at a task brings its result.
    "fetch": Step(POLL, "url", polls_needed=0),
    "asset upload": Step(UPLOAD, "file"),
    "asset poll": Step(ASSET_POLL, "file"),
}
at_every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())


class Scene:
    """One video on its way into a library, with the service at hand to make it fail."""

    def __init__(self, world: World, library: Library, file: Path) -> None:
        self.service, self.clock, self.library = world.service, world.clock, library
        self._sources: dict[str, str | Path] = {"file": file, "url": world.url("red-car", file)}

    def add(self, source: str) -> Job:
        return self.ended(*self.library.add([self._sources[source]]))

    def ended(self, job: Job) -> Job:
        (job,) = done(self.library, [job])
        return job

    def tried_again(self, job: Job, *, pay_again: bool = False) -> Job:
        self.library.retry(job.id, pay_again=pay_again)
        return self.ended(job)

    def holds_nothing(self) -> bool:
        return self.library.videos() == [] and rows_stored(self.library) == 0

    def holds_it_whole(self) -> bool:
        """All of the one video: its 4 seconds are one segment, seen and heard."""
        (video,) = self.library.videos()
        segments = self.library.segments(video.id)
        return {s.embedding_option for s in segments} == {"visual", "audio"} and (
            rows_stored(self.library) == len(segments) == video.segments == 2
        )

    def charges_are_the_tasks(self, number: int) -> bool:
        """Whether the ledger has a row for each of so many tasks that the service made."""
        ids = sorted(entry.task_id for entry in charged(self.library))
        return ids == sorted(self.service.tasks) and len(ids) == number


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_video(tmp_path_factory.mktemp("clips") / "blue boat.mp4")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_data(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def scene(
    service: StandIn,
    web: Web,
    clock: Clock,
    tmp_path: Path,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: Path,
) -> Iterator[Scene]:
    world = World(service, web, clock, tmp_path / "data", empty, monkeypatch)
    with world.library(parallel_tasks=1) as library:
        yield Scene(world, library, file)


def busy(seconds: int) -> Fault:
    return Fault(429, b'{"code": "too_many_requests"}', {"Retry-After": str(seconds)})


PAGE = b"<html><body>One moment, please.</body></html>"
HTML = {"Content-Type": "text/html"}
FAULTS = {
    "429 for 2 s": busy(2),
    "429 for 45 s": busy(45),
    "500": Fault(500),
    "503": Fault(503),
    "dropped before the work": Fault(connection="dropped before work"),
    "dropped after the work": Fault(connection="dropped after work"),
    "half an answer": Fault(connection="cut in half"),
    "HTML page with 200": Fault(200, PAGE, HTML),
    "HTML page with 502": Fault(502, PAGE, HTML),
}


# Faults that pass, and faults that stay


@at_every_step
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_passes_needs_nobody_and_makes_no_second_task(
    scene: Scene, step: Step, fault: Fault
) -> None:
    scene.service.polls_needed = step.polls_needed
    scene.service.misbehave(step.endpoint, fault, times=2)
    job = scene.add(step.source)
    assert (job.stage, job.error) == (Stage.READY, "")
    assert scene.clock.now >= 2 * float(fault.headers.get("Retry-After", 0))
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()
    assert scene.service.assets == {}


STAYING = {
    "429 for 45 s": (busy(45), "asks to slow down"),
    "503": (Fault(503), "has a problem (status 503)"),
    "no connection": (Fault(connection="dropped before work"), "cannot be reached"),
    "HTML page with 200": (Fault(200, PAGE, HTML), "something unreadable"),
}


@at_every_step
@pytest.mark.parametrize(("fault", "words"), STAYING.values(), ids=STAYING.keys())
def test_a_fault_that_stays_fails_the_job_which_then_goes_on_when_it_is_over(
    scene: Scene, step: Step, fault: Fault, words: str
) -> None:
    scene.service.polls_needed = step.polls_needed
    scene.service.misbehave(step.endpoint, fault, times=FOR_EVER)
    job = scene.add(step.source)
    assert job.stage is Stage.FAILED
    assert words in job.error
    assert job.hint
    assert not job.must_confirm
    assert scene.holds_nothing()
    was_refused = step.endpoint == CREATE and fault.status == 429
    # Until it is known that no task was made, it counts as paid for.
    assert len(charged(scene.library)) == (step.source == "url" and not was_refused)
    scene.service.forgive()
    assert scene.tried_again(job).stage is Stage.READY
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()
    assert scene.service.assets == {}


def test_a_lost_answer_that_the_list_does_not_show_either_makes_one_more_task_and_no_third(
    scene: Scene,
) -> None:
    scene.service.hide_tasks = True
    scene.service.misbehave(CREATE, FAULTS["dropped after the work"])
    assert scene.add("url").stage is Stage.READY
    assert len(scene.service.tasks) == 2
    # Of a task that nobody can see there is no trace: the row is that of the one we know.
    (charge,) = charged(scene.library)
    assert charge.task_id == list(scene.service.tasks)[-1]
    assert scene.holds_it_whole()


# Refusals that every other job would meet too

REFUSALS = {
    "a wrong key": (Fault(401, b'{"code": "api_key_invalid"}'), "key"),
    "no permission": (Fault(403, b'{"code": "api_not_allowed"}'), "plan and the permissions"),
    "somebody else's 404": (Fault(404, PAGE, HTML), "TWELVELABS_BASE_URL"),
    "used-up credit": (Fault(402, b'{"code": "usage_limit_exceeded"}'), "Add credit or minutes"),
}


@at_every_step
@pytest.mark.parametrize(("fault", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_of_the_account_pauses_the_queue_and_the_job_goes_on_afterwards(
    scene: Scene, step: Step, fault: Fault, words: str
) -> None:
    scene.service.polls_needed = step.polls_needed
    scene.service.misbehave(step.endpoint, fault, times=FOR_EVER)
    job = scene.add(step.source)
    queue = scene.library.queue()
    assert (job.stage, job.error, queue.paused) == (Stage.QUEUED, "", "service")
    assert words in f"{queue.reason} {queue.hint}"
    assert queue.hint
    assert len(scene.service.asked(step.endpoint)) == 1
    assert scene.charges_are_the_tasks(len(scene.service.tasks))
    assert scene.holds_nothing()
    scene.service.forgive()
    scene.library.resume()
    assert scene.ended(job).stage is Stage.READY
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()


# Answers that cannot be right


def spoiled(**values: object) -> Callable[[list[Json]], list[Json]]:
    """One row of the answer with other values."""
    return lambda rows: [rows[0], {**rows[1], **values}]


BAD_ROWS = {
    "NaN": spoiled(embedding=[float("nan")] * 512),
    "short vector": spoiled(embedding=[1.0] * 511),
    "empty vector": spoiled(embedding=[]),
    "null vector": spoiled(embedding=None),
    "vector of zeros": spoiled(embedding=[0.0] * 512),
    "no rows": lambda _: [],
    "no sound": lambda rows: [row for row in rows if row["embedding_option"] == "visual"],
    "segment behind the end": spoiled(start_sec=40.0, end_sec=44.0),
    "segment twice": lambda rows: [*rows, rows[0]],
}


@pytest.mark.parametrize("source", ["url", "file"])
@pytest.mark.parametrize("spoil", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_of_a_partly_bad_answer_nothing_is_stored_and_the_good_one_is_not_paid_for_again(
    scene: Scene, spoil: Callable[[list[Json]], list[Json]], source: str
) -> None:
    scene.service.spoil = spoil
    job = scene.add(source)
    assert job.stage is Stage.FAILED
    assert "answered with" in job.error
    assert "nothing of this answer was stored" in job.hint
    assert scene.holds_nothing()
    scene.service.spoil = lambda rows: rows
    assert scene.tried_again(job).stage is Stage.READY
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()
    assert scene.service.assets == {}


# Tasks that come to nothing

FAILURES = {
    "for good": ("The embedding request was invalid.", "Change the input"),
    "for now": ("The embedding task failed. Please try again later.", "Try again later"),
    "unstable": (
        "The embedding service is temporarily unstable. Please try again later.",
        "Try again later",
    ),
}


@pytest.mark.parametrize("source", ["url", "file"])
@pytest.mark.parametrize(("said", "hint"), FAILURES.values(), ids=FAILURES.keys())
def test_a_task_that_failed_is_said_so_and_made_anew_only_when_somebody_tries_again(
    scene: Scene, source: str, said: str, hint: str
) -> None:
    scene.service.task_failure = said
    job = scene.add(source)
    assert (job.stage, job.error) == (Stage.FAILED, f"Twelve Labs says: {said}")
    assert hint in job.hint
    assert scene.holds_nothing()
    assert scene.charges_are_the_tasks(1)
    failed = set(scene.service.tasks)
    scene.service.task_failure = ""
    assert scene.tried_again(job).stage is Stage.READY
    assert {entry.task_id for entry in charged(scene.library)} > failed
    assert scene.charges_are_the_tasks(2)
    assert scene.holds_it_whole()


def gone(service: StandIn) -> None:
    service.fail(POLL, 404, {"error": {"code": "resource_not_exist", "message": "No such task."}})


def no_longer_available(service: StandIn) -> None:
    service.task_failure = "The embedding result is no longer available and cannot be retrieved."


def of_another_account(service: StandIn) -> None:
    service.fail(POLL, 403, {"code": "read_not_allowed", "message": "Not yours."})


EXPIRIES = {
    "404": (gone, "seven days"),
    "failed as expired": (no_longer_available, "seven days"),
    "another account": (of_another_account, "under another account"),
}


@pytest.mark.parametrize("step", [STEPS["poll"], STEPS["fetch"]], ids=["poll", "fetch"])
@pytest.mark.parametrize(("expire", "words"), EXPIRIES.values(), ids=EXPIRIES.keys())
def test_a_result_that_is_gone_is_paid_for_again_only_when_somebody_says_so(
    scene: Scene, step: Step, expire: Callable[[StandIn], None], words: str
) -> None:
    scene.service.polls_needed = step.polls_needed
    expire(scene.service)
    job = scene.add(step.source)
    assert (job.stage, job.must_confirm) == (Stage.FAILED, True)
    assert words in job.error
    assert "billed again" in job.hint
    assert scene.holds_nothing()
    scene.service.task_failure = ""
    assert scene.library.retry_failed() == 0
    assert scene.tried_again(job) == job
    assert scene.charges_are_the_tasks(1)
    assert scene.tried_again(job, pay_again=True).stage is Stage.READY
    assert scene.charges_are_the_tasks(2)
    assert scene.holds_it_whole()


@pytest.mark.parametrize("status", ["processing", "a word of tomorrow"])
def test_a_task_that_is_stuck_is_given_up_at_its_deadline_and_goes_on_when_it_moves(
    scene: Scene, status: str
) -> None:
    scene.service.polls_needed, scene.service.task_status = FOR_EVER, status
    job = scene.add("url")
    assert job.stage is Stage.FAILED
    assert "has been working on this video for 6 h" in job.error
    assert "nothing is paid twice" in job.hint
    assert 6 * HOUR_SEC <= scene.clock.now < 6.1 * HOUR_SEC
    assert scene.holds_nothing()
    scene.service.polls_needed = 0
    assert scene.tried_again(job).stage is Stage.READY
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()


# Files that come to nothing


def test_an_uploaded_file_that_is_stuck_is_given_up_at_its_deadline_and_not_sent_again(
    scene: Scene,
) -> None:
    scene.service.polls_needed = FOR_EVER
    job = scene.add("file")
    assert job.stage is Stage.FAILED
    assert "has been working on the uploaded file for 1 h" in job.error
    assert job.hint
    assert HOUR_SEC <= scene.clock.now < 1.1 * HOUR_SEC
    assert charged(scene.library) == []
    scene.service.polls_needed = 0
    assert scene.tried_again(job).stage is Stage.READY
    assert len(scene.service.asked(UPLOAD)) == 1
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()


FILE_FAULTS = {
    "not readable": (
        Fault(200, b'{"_id": "a", "status": "failed", "error": {"message": "It is corrupt."}}'),
        "It is corrupt.",
    ),
    "gone": (
        Fault(404, b'{"code": "resource_not_exist", "message": "The asset does not exist."}'),
        "The asset does not exist.",
    ),
}


@pytest.mark.parametrize(("fault", "words"), FILE_FAULTS.values(), ids=FILE_FAULTS.keys())
def test_an_uploaded_file_that_is_of_no_use_is_sent_again_when_somebody_tries_again(
    scene: Scene, fault: Fault, words: str
) -> None:
    scene.service.misbehave(ASSET_POLL, fault)
    job = scene.add("file")
    assert job.stage is Stage.FAILED
    assert words in job.error
    assert job.hint
    assert charged(scene.library) == []
    assert scene.holds_nothing()
    assert scene.tried_again(job).stage is Stage.READY
    assert len(scene.service.asked(UPLOAD)) == 2
    assert scene.charges_are_the_tasks(1)
    assert scene.holds_it_whole()
