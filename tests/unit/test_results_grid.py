"""What the browser may ask of the grid, and how it is handed on."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.links import Links, secret_of
from components.results_grid import GridEvent, _by_video, _event, _Inbox, _Writer
from core.models import Cut, Hit, Moment, Relevance, Segment, Video
from core.settings import Settings

LENGTHS = {"s1": 60.0, "s2": None}
FILM = Video("v", "Film", "file:///film.mp4", 60.0, "", "m", 1, datetime(2026, 1, 1, tzinfo=UTC))


def message(number: int, action: str = "liked", segment_id: str = "s1") -> dict[str, Any]:
    return {"number": number, "action": action, "segment_id": segment_id}


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(secret_of(Settings(data_dir=tmp_path)))


def hit(start: float, end: float, score: float) -> Hit:
    return Hit(Segment(f"s{start:g}", "v", start, end), FILM, score, {"visual": score}, 1)


@pytest.mark.parametrize(
    "action",
    ["similar", "unlike", "liked", "disliked", "unmarked", "basket", "more_of_video"],
)
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
        {"action": "basket"},
        {"action": "select", "segment_id": "s1"},
        {"action": "select", "segment_ids": "s1"},
        {"action": "select", "segment_ids": {"s1": True}},
        {"action": "select", "segment_ids": ["s1", 5]},
        {"action": "select", "segment_ids": ["s1", ["s2"]]},
        {"action": "select", "segment_ids": ["s1", "not shown"]},
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


def test_a_selection_may_reach_beyond_what_is_shown_but_not_beyond_what_was_selected() -> None:
    asked = {"action": "select", "segment_ids": ["s2", "elsewhere", "s2", "s1"]}
    assert _event(asked, LENGTHS) is None
    assert _event(asked, LENGTHS, {"elsewhere"}) == GridEvent(
        "select", segment_ids=("s2", "elsewhere", "s1")
    )
    assert _event({"action": "select", "segment_ids": []}, LENGTHS) == GridEvent("select")


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


def moment_at(start: float, rank: int, of: Video = FILM, **more: Any) -> Moment:
    one = replace(hit(start, start + 4, 0.5), video=of)
    return Moment(of, start, start + 4, (one,), rank, **more)


def test_what_is_ranked_behind_the_cut_is_below_it(links: Links) -> None:
    writer = _Writer(links, cut=Cut(1, "a clear gap after moment 1"))
    cards = writer.cards([moment_at(0, 1), moment_at(4, 2)])
    assert [card["below"] for card in cards] == [False, True]
    line = writer.cut_line(cards)
    assert line is not None
    assert line["label"] == "1 moment below the cut: a clear gap after moment 1"


def test_there_is_no_line_without_a_cut_or_with_nothing_below_it(links: Links) -> None:
    moments = [moment_at(0, 1), moment_at(4, 2)]
    for writer in (_Writer(links), _Writer(links, cut=Cut(2, "a clear gap after moment 2"))):
        assert writer.cut_line(writer.cards(moments)) is None


def test_an_opened_cut_stays_open_on_the_next_page_and_not_in_another_answer(links: Links) -> None:
    def line(top: float, rank: int) -> Any:
        writer = _Writer(links, top=top, cut=Cut(1, "a clear gap after moment 1"))
        return writer.cut_line(writer.cards([moment_at(0, rank)]))

    assert line(0.5, 2)["key"] == line(0.5, 25)["key"] != line(0.6, 2)["key"]


def test_videos_keep_the_order_in_which_they_first_appear() -> None:
    other = replace(FILM, id="w")
    moments = [moment_at(0, 1), moment_at(0, 2, other), moment_at(4, 3), moment_at(4, 4, other)]
    assert [moment.rank for moment in _by_video(moments)] == [1, 3, 2, 4]


def test_similar_moments_are_cards_of_their_own_that_fold_no_more(links: Links) -> None:
    similar = (moment_at(8, 1), moment_at(12, 1))
    [card] = _Writer(links, kept={"s8"}).cards([moment_at(0, 1, similar=similar)])
    assert card["similar_label"] == "2 similar"
    assert [one["id"] for one in card["similar"]] == ["s8", "s12"]
    assert [one["is_similar"] for one in card["similar"]] == [True, True]
    assert [one["kept"] for one in card["similar"]] == [True, False]
    assert card["similar"][0]["similar"] == []


@pytest.mark.parametrize(
    ("percentile", "said"), [(99.2, "99.2 %"), (100.0, "99.9 %"), (98.96, "98.9 %"), (50.0, "50 %")]
)
def test_a_percentile_is_never_rounded_up(links: Links, percentile: float, said: str) -> None:
    relevance = Relevance("likely", 3.21, percentile)
    card = _Writer(links, relevances={"s0": relevance}).card(moment_at(0, 1))
    assert card["level"] == "likely"
    assert card["level_reason"] == (
        f"Scores more than {said} of the library, 3.2 deviations above chance"
    )
    assert card["name"] == f"Film, 0:00 to 0:04, score 0.50, likely, above {said} of the library"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("file:///films/a%20b.mp4", "a b.mp4"),
        ("https://example.com/a.mp4?x=1", "https://example.com/a.mp4?x=1"),
    ],
)
def test_the_facts_name_the_file_but_not_the_folders_of_the_server(
    links: Links, address: str, said: str
) -> None:
    both = replace(hit(12.3, 16.3, 0.5), scores_by_option={"visual": 0.5, "audio": 0.2})
    film = replace(FILM, video_url=address, category="films")
    card = _Writer(links).card(Moment(film, 12.3, 16.3, (both,), 1))
    assert card["facts"] == [
        ["Time", "0:12.3 to 0:16.3"],
        ["Score", "0.500"],
        ["Score, audio", "0.200"],
        ["Score, visual", "0.500"],
        ["File", said],
        ["Length", "1:00"],
        ["Category", "films"],
    ]
