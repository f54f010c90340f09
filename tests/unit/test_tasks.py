"""Long work: it tells how far it is, ends when it is cancelled, and is there for who asks again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.errors import JobCancelled, MediaError, SeekpointError
from core.tasks import Report, Tasks


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    opened = Tasks()
    yield opened
    opened.close()


class Step:
    """Work that waits in the middle until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.ended = threading.Event()

    def __call__(self, report: Report) -> str:
        try:
            report.part(0.0, 0.5, "Reading")(1.0)
            self.reached.set()
            assert self.go_on.wait(10)
            report.part(0.5, 1.0, "Counting")
            return "done"
        finally:
            self.ended.set()


def test_a_task_tells_what_it_does_and_how_far_it_is(tasks: Tasks) -> None:
    step = Step()
    task = tasks.of("a", step)
    assert step.reached.wait(10)
    assert (task.state, task.fraction, task.doing) == ("running", 0.5, "Reading")
    assert task.running
    # At one half as long again as it took so far.
    assert 0 < (task.remaining_sec or 0) < 10
    step.go_on.set()
    assert task.wait(10) == "done"
    assert task.remaining_sec is None
    assert (task.state, task.running, task.result) == ("ready", False, "done")


def test_who_asks_for_the_same_gets_the_same_task(tasks: Tasks) -> None:
    first = tasks.of("a", lambda _: 1)
    assert tasks.of("a", lambda _: 2) is first
    assert first.wait(10) == 1
    assert tasks.of("a", lambda _: 2) is first
    assert tasks.of("b", lambda _: 2).wait(10) == 2


def test_a_cancelled_task_ends_at_its_next_word_and_can_begin_again(tasks: Tasks) -> None:
    step = Step()
    task = tasks.of("a", step)
    assert step.reached.wait(10)
    task.cancel()
    assert task.state == "cancelled"
    step.go_on.set()
    assert step.ended.wait(10)
    with pytest.raises(JobCancelled):
        task.wait(10)
    task.again()
    assert task.wait(10) == "done"


def test_a_run_that_was_cancelled_says_nothing_about_the_next_one(tasks: Tasks) -> None:
    step = Step()
    task = tasks.of("a", step)
    assert step.reached.wait(10)
    task.cancel()
    second = Step()
    task._work = second
    task.again()
    assert second.reached.wait(10)
    step.go_on.set()
    assert step.ended.wait(10)
    assert (task.state, task.error) == ("running", None)
    second.go_on.set()
    assert task.wait(10) == "done"


def test_a_task_that_waits_for_its_turn_can_be_cancelled(tasks: Tasks) -> None:
    steps = [Step(), Step()]
    for name, step in enumerate(steps):
        tasks.of(name, step)
        assert step.reached.wait(10)
    waiting = tasks.of("third", lambda _: 3)
    assert (waiting.state, waiting.doing) == ("waiting", "Waiting for other work")
    waiting.cancel()
    for step in steps:
        step.go_on.set()
    with pytest.raises(JobCancelled):
        waiting.wait(10)


def test_an_error_of_ours_is_kept_and_the_task_can_be_tried_again(tasks: Tasks) -> None:
    answers: list[Exception | str] = [MediaError("It broke.", "Mend it."), "mended"]

    def work(report: Report) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = tasks.of("a", work)
    with pytest.raises(MediaError, match="It broke"):
        task.wait(10)
    assert task.state == "failed"
    task.again()
    assert task.wait(10) == "mended"


@pytest.mark.parametrize(
    ("failure", "words"),
    [(MemoryError(), "not enough memory"), (ZeroDivisionError(), "unexpected")],
)
def test_any_other_failure_becomes_words(tasks: Tasks, failure: Exception, words: str) -> None:
    def work(report: Report) -> str:
        raise failure

    with pytest.raises(SeekpointError, match=words) as raised:
        tasks.of("a", work).wait(10)
    assert raised.value.hint


def test_what_is_not_there_yet_is_no_result(tasks: Tasks) -> None:
    step = Step()
    task = tasks.of("a", step)
    with pytest.raises(TimeoutError):
        task.wait(0.0)
    step.go_on.set()
    task.wait(10)


def test_closing_ends_what_runs() -> None:
    tasks = Tasks()
    step = Step()
    task = tasks.of("a", step)
    assert step.reached.wait(10)
    closing = threading.Thread(target=tasks.close)
    closing.start()
    step.go_on.set()
    closing.join(10)
    assert step.ended.is_set()
    assert task.state == "cancelled"


def test_only_the_latest_results_are_kept(tasks: Tasks) -> None:
    first = tasks.of(0, lambda _: 0)
    first.wait(10)
    for number in range(1, 40):
        tasks.of(number, lambda _: 1).wait(10)
    assert tasks.of(0, lambda _: 2).wait(10) == 2
