from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import MediaError
from core.models import SourceEstimate, SourceLine
from core.review import Review

SOON = 5.0


def line(number: int, problem: str = "") -> SourceLine:
    source = f"https://example.com/{number}.mp4"
    return SourceLine(source, f"Title {number}", "cats", f"line {number}", problem)


def estimate(of: SourceLine, video_id: str = "") -> SourceEstimate:
    return SourceEstimate(
        of.source, 2.0, None, known="", problem="", where=of.where, video_id=video_id or of.source
    )


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a look may wait for; open at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_each_line_becomes_a_row_in_its_place() -> None:
    lines = [line(number) for number in range(1, 31)]
    review = Review(lines, estimate)
    assert review.wait(SOON)
    assert review.done
    assert review.looked_at == 30
    assert review.rows == tuple(estimate(line) for line in lines)


def test_an_empty_list_is_done_at_once() -> None:
    review = Review([], estimate)
    assert review.done
    assert review.rows == ()
    assert review.wait(0)


def test_rows_that_nobody_looked_at_are_pending_and_already_say_what_they_are(
    gate: threading.Event,
) -> None:
    def look(of: SourceLine) -> SourceEstimate:
        gate.wait(SOON)
        return estimate(of)

    review = Review([line(1), line(2, "This is no address.")], look)
    pending, bad = review.rows
    assert (pending.pending, pending.title, pending.category) == (True, "Title 1", "cats")
    assert (bad.pending, bad.problem, bad.where) == (False, "This is no address.", "line 2")
    assert (review.done, review.looked_at, review.wait(0.01)) == (False, 1, False)
    gate.set()
    assert review.wait(SOON)
    assert not any(row.pending for row in review.rows)


def test_a_line_that_has_a_problem_is_not_looked_at() -> None:
    seen: list[str] = []

    def look(of: SourceLine) -> SourceEstimate:
        seen.append(of.where)
        return estimate(of)

    assert Review([line(1), line(2, "Bad."), line(3)], look).wait(SOON)
    assert sorted(seen) == ["line 1", "line 3"]


def test_eight_sources_are_looked_at_at_a_time() -> None:
    together = threading.Barrier(8, timeout=SOON)

    def look(of: SourceLine) -> SourceEstimate:
        together.wait()
        return estimate(of)

    review = Review([line(number) for number in range(16)], look)
    assert review.wait(SOON)
    assert not any(row.problem for row in review.rows)


def test_what_goes_wrong_with_one_source_is_the_problem_of_its_row() -> None:
    def look(of: SourceLine) -> SourceEstimate:
        if of.where == "line 1":
            raise MediaError("It is empty.", "Check the address.")
        if of.where == "line 2":
            raise ZeroDivisionError
        return estimate(of)

    review = Review([line(1), line(2), line(3)], look)
    assert review.wait(SOON)
    empty, defect, good = review.rows
    assert (empty.problem, empty.hint) == ("It is empty.", "Check the address.")
    assert (empty.title, empty.category, empty.where) == ("Title 1", "cats", "line 1")
    assert (defect.problem, defect.hint) == (
        "Something unexpected went wrong.",
        "See the log file.",
    )
    assert good == estimate(line(3))


def in_this_order(order: list[int]) -> Callable[[SourceLine], SourceEstimate]:
    """A look that finds one and the same video everywhere, and ends in the given order."""
    turns = [threading.Event() for _ in range(len(order) + 1)]
    turns[0].set()

    def look(of: SourceLine) -> SourceEstimate:
        turn = order.index(int(of.where.removeprefix("line ")))
        assert turns[turn].wait(SOON)
        turns[turn + 1].set()
        return estimate(of, "one-video")

    return look


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 2, 1], [2, 3, 1]])
def test_the_first_of_equal_videos_is_kept_whoever_was_looked_at_first(order: list[int]) -> None:
    review = Review([line(1), line(2), line(3)], in_this_order(order))
    assert review.wait(SOON)
    same = "The same video as line 1."
    assert [row.problem for row in review.rows] == ["", same, same]
    assert [row.costs for row in review.rows] == [True, False, False]


def test_an_equal_video_without_a_line_number_is_named_by_its_source() -> None:
    lines = [SourceLine("/videos/a.mp4"), SourceLine("/videos/b.mp4")]
    review = Review(lines, lambda of: estimate(of, "one-video"))
    assert review.wait(SOON)
    assert review.rows[1].problem == "The same video as /videos/a.mp4."


def test_a_video_that_cannot_be_added_stands_in_nobodys_way() -> None:
    def look(of: SourceLine) -> SourceEstimate:
        problem = "Too long." if of.where != "line 3" else ""
        return SourceEstimate(of.source, None, None, "", problem, video_id="one-video")

    review = Review([line(1), line(2), line(3)], look)
    assert review.wait(SOON)
    assert [row.problem for row in review.rows] == ["Too long.", "Too long.", ""]


def test_closing_does_not_wait_for_what_hangs_and_begins_nothing_more(
    gate: threading.Event,
) -> None:
    begun = threading.Semaphore(0)
    seen: list[str] = []

    def look(of: SourceLine) -> SourceEstimate:
        seen.append(of.where)
        begun.release()
        gate.wait(SOON)
        return estimate(of)

    review = Review([line(number) for number in range(100)], look)
    for _ in range(8):
        assert begun.acquire(timeout=SOON)
    start = time.monotonic()
    review.close()
    assert time.monotonic() - start < 1.5
    assert not review.wait(SOON)
    gate.set()
    review.close()
    assert len(seen) == review.looked_at == 8
    assert not review.done


def test_a_review_that_hangs_does_not_hold_up_the_end_of_the_process(project: Path) -> None:
    script = (
        "import threading\n"
        "from core.models import SourceLine\n"
        "from core.review import Review\n"
        "begun = threading.Event()\n"
        "def look(line):\n"
        "    begun.set()\n"
        "    threading.Event().wait()\n"
        "Review([SourceLine('a')], look)\n"
        "print(begun.wait(5))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, timeout=60, check=True
    )
    assert ended.stdout == b"True\n"


def test_five_thousand_lines_are_reviewed_and_read_quickly() -> None:
    review = Review([line(number) for number in range(5_000)], estimate)
    assert review.wait(SOON)
    start = time.perf_counter()
    assert len(review.rows) == 5_000
    assert time.perf_counter() - start < 0.5
