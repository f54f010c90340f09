"""What the browser may ask of the grid, and how it is handed on."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.links import Links
from components.results_grid import GridEvent, _event, _Inbox, _Writer
from core.models import Hit, Moment, Segment, Video
from core.settings import Settings

LENGTHS = {"s1": 60.0, "s2": None}
FILM = Video("v", "Film", "file:///film.mp4", 60.0, "", "m", 1, datetime(2026, 1, 1, tzinfo=UTC))


def message(number: int, action: str = "liked", segment_id: str = "s1") -> dict[str, Any]:
    return {"number": number, "action": action, "segment_id": segment_id}


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(Settings(data_dir=tmp_path))


def hit(start: float, end: float, score: float) -> Hit:
    return Hit(Segment(f"s{start:g}", "v", start, end), FILM, score, {"visual": score}, 1)


@pytest.mark.parametrize("action", ["similar", "unlike", "liked", "disliked", "unmarked"])
def test_every_action_on_a_card_that_was_shown_is_an_event(action: str) -> None:
    assert _event(message(1, action), LENGTHS) == GridEvent(action, "s1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "liked",
        {},
        {"action": "liked"},
        {"action": "liked", "segment_id": 5},
        {"action": "liked", "segment_id": "not shown"},
        {"action": "remove", "segment_id": "s1"},
        {"action": ["liked"], "segment_id": "s1"},
        {"action": "frame", "segment_id": "s1"},
        {"action": "frame", "segment_id": "s1", "second": "5"},
        {"action": "frame", "segment_id": "not shown", "second": 5.0},
        *(
            {"action": "frame", "segment_id": segment_id, "second": second}
            for segment_id in LENGTHS
            for second in (None, -0.1, math.nan, math.inf, -math.inf)
        ),
        {"action": "frame", "segment_id": "s1", "second": 61.5},
    ],
)
def test_what_makes_no_sense_is_no_event(nonsense: object) -> None:
    assert _event(nonsense, LENGTHS) is None


@pytest.mark.parametrize(
    ("segment_id", "second", "expected"),
    [("s1", 12.34, 12.34), ("s1", 0, 0.0), ("s1", 60.4, 60.0), ("s2", 4000.5, 4000.5)],
)
def test_a_frame_is_at_a_second_of_its_video(
    segment_id: str, second: float, expected: float
) -> None:
    asked = {"action": "frame", "segment_id": segment_id, "second": second}
    assert _event(asked, LENGTHS) == GridEvent("frame", segment_id, expected)


def test_messages_are_handed_on_in_order_and_only_once() -> None:
    inbox = _Inbox(LENGTHS)
    for numbers in ([1], [1, 2], [2, 3]):
        for number in numbers:
            inbox.put(message(number, "liked" if number % 2 else "unlike"))
    taken = [inbox.take() for _ in range(4)]
    assert [event and event.action for event in taken] == ["liked", "unlike", "liked", None]


def test_a_message_is_answered_by_the_drawing_after_the_one_that_handed_it_on() -> None:
    inbox = _Inbox(LENGTHS)
    inbox.put(message(7))
    inbox.put(message(8))
    answered = []
    for _ in range(3):
        answered.append(inbox.answered)  # what the grid is drawn with
        inbox.take()
    assert answered == [6, 7, 8]


def test_nonsense_counts_as_answered_so_that_it_is_not_sent_for_ever() -> None:
    inbox = _Inbox(LENGTHS)
    inbox.put(message(1, "remove"))
    inbox.put({"number": "2"})
    assert inbox.take() is None
    assert inbox.answered == 1


def test_a_card_wears_the_mark_of_any_of_its_segments(links: Links) -> None:
    moment = Moment(FILM, 0.0, 8.0, (hit(0, 4, 0.5), hit(4, 8, 0.6)), 1)
    card = _Writer(links, marks={"s0": "down"}).card(moment)
    assert (card["id"], card["marked"], card["mark"]) == ("s4", "s0", "down")


def test_a_pair_is_named_by_both_its_halves_and_marked_by_its_first(links: Links) -> None:
    first, second = hit(12, 16, 0.5), hit(31, 35, 0.6)
    moment = Moment(FILM, 12.0, 35.0, (first, second), 1, then=second)
    card = _Writer(links, marks={"s31": "up"}).card(moment)
    assert card["name"] == "Film, 0:12 to 0:16, then 0:31 to 0:35, score 0.55"
    assert (card["id"], card["segments"], card["mark"]) == ("s12", ["s12"], "")


def test_tenths_are_shown_in_both_halves_of_a_pair_or_in_none(links: Links) -> None:
    first, second = hit(12.1, 12.6, 0.5), hit(31, 35, 0.6)
    moment = Moment(FILM, 12.1, 35.0, (first, second), 1, then=second)
    card = _Writer(links).card(moment)
    assert [span["time"] for span in card["spans"]] == ["0:12.1–0:12.6", "0:31.0–0:35.0"]


@pytest.mark.parametrize(
    ("score", "said"), [(-0.003, "0.00"), (-0.006, "-0.01"), (0.0, "0.00"), (0.254, "0.25")]
)
def test_a_score_that_rounds_to_nothing_has_no_sign(links: Links, score: float, said: str) -> None:
    card = _Writer(links).card(Moment(FILM, 0.0, 4.0, (hit(0, 4, score),), 1))
    assert card["score_label"] == said
    assert card["name"].endswith(f"score {said}")
