"""Explore's copies, trends, coverage and comparisons, also where there is nothing to show."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from components.explore_compare import in_words as agreement_in_words
from components.explore_duplicates import CSV_COLUMNS, to_csv
from components.explore_trends import along_to_csv, in_words
from components.explore_trends import to_csv as trends_to_csv
from core import (
    Comparison,
    Filters,
    Library,
    Recipe,
    SeekpointError,
    Settings,
    Trend,
    TrendLine,
    TrendPoint,
    open_library,
)
from core.trends import Period
from tests.app.conftest import ask, labelled, open_page, served, texts
from tests.app.test_explore_page import busy
from tests.app.test_results import scene
from tests.contract.standin import StandIn
from tests.media import make_video
from tests.stills import CLIPS, SCENE_SEC, dated, film_of

RECORDED = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a show of 12 scenes, a small copy of eight of them that begins with
    something else, and a film of colours; made once."""
    folder = tmp_path_factory.mktemp("films")
    show = dated(film_of(folder / "show.mp4", CLIPS, (320, 180)), RECORDED)
    copy = film_of(folder / "copy.mp4", ["timecode", *CLIPS[2:10]])
    colours = make_video(
        folder / "colours.mp4",
        seconds=80.0,
        size=(160, 90),
        fps=4,
        audio=False,
        frame=lambda second: scene(int(second // SCENE_SEC)),
    )
    with open_library(Settings(data_dir=folder / "data", segment_sec=SCENE_SEC)) as library:
        library.add([show, copy], titles=["Show", "=Copy"], category="Shows")
        library.add([colours], titles=["Colours"])
        assert [job.error for job in library.wait(timeout=120)] == [""] * 3
    return folder / "data"


@pytest.fixture
def explored(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library of these films that a test may change."""
    data = shutil.copytree(films, tmp_path / "data")
    with served(data, monkeypatch, SEGMENT_SEC=str(SCENE_SEC)) as opened:
        yield opened


@pytest.fixture
def lonely(library: Library, tmp_path: Path) -> Library:
    """A library of one segment."""
    library.add([film_of(tmp_path / "Only.mp4", CLIPS[:1])], titles=["Only"])
    assert [job.error for job in library.wait(timeout=60)] == [""]
    return library


def explore(library: Library, view: str) -> AppTest:
    """A view as a visitor sees it once it is there."""
    app = open_page("explore")
    app.query_params["view"] = view
    return settled(library, app.run())


def settled(library: Library, app: AppTest) -> AppTest:
    """The page once nothing is on its way any more."""
    while app.get("progress"):
        for task in list(library.explorer._tasks._tasks.values()):
            with suppress(SeekpointError):
                task.wait(60)
        app.run()
    return app


def see(library: Library, app: AppTest, key: str, value: Any) -> AppTest:
    """The page after something was set that has this key."""
    kinds = (app.slider, app.number_input, app.segmented_control, app.multiselect)
    widget = next(w for kind in kinds for w in kind if w.key == key)
    return settled(library, widget.set_value(value).run())


def type_in(library: Library, app: AppTest, label: str, words: str) -> AppTest:
    box = next(box for box in app.text_input if box.label == label)
    return settled(library, box.set_value(words).run())


def follow(library: Library, app: AppTest, words: str) -> AppTest:
    """Adds a line to the trends."""
    return type_in(library, app, "Add a line", words)


def compare(library: Library, app: AppTest, left: str, right: str) -> AppTest:
    type_in(library, app, "Question on the left", left)
    return type_in(library, app, "Question on the right", right)


def component(app: AppTest, field: str) -> list[dict[str, Any]]:
    """What the components that have this field were given."""
    given = [json.loads(component.proto.json) for component in app.get("bidi_component")]
    return [data for data in given if field in data]


def charts(app: AppTest) -> list[str]:
    """What each chart says to those who cannot see it."""
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def lines_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


# --- near-duplicates ------------------------------------------------------------------------------


def test_a_copy_is_listed_with_the_stretches_of_both_videos(explored: Library) -> None:
    app = explore(explored, "duplicates")
    said = texts(app)
    assert "1 passage in 1 pair of videos, 0:16 in all" in said
    assert "16 s long, score " in said
    (play,) = [button.label for button in app.button if button.label.startswith("Play ")]
    assert "0:04–0:20" in play
    assert "0:02–0:18" in play


def test_a_passage_opens_in_a_player_that_knows_where_both_begin(explored: Library) -> None:
    app = explore(explored, "duplicates")
    assert component(app, "sides") == []
    button = next(button for button in app.button if button.label.startswith("Play "))
    button.click().run()
    (player,) = component(app, "sides")
    starts = {side["title"]: side["start"] for side in player["sides"]}
    assert starts == pytest.approx({"Show": 4, "=Copy": 2}, abs=0.3)
    assert player["length"] == pytest.approx(16, abs=0.3)
    assert player["start"]
    assert all(side["src"].startswith("/video/") for side in player["sides"])
    app.run()
    assert not component(app, "sides")[0]["start"]
    next(button for button in app.button if button.label.startswith("Close ")).click().run()
    assert component(app, "sides") == []


def test_of_a_whole_copy_the_better_one_is_suggested_and_nothing_is_removed(
    explored: Library, tmp_path: Path
) -> None:
    explored.remove(next(video.id for video in explored.videos() if video.title == "=Copy"))
    explored.add([film_of(tmp_path / "again.mp4", CLIPS)], titles=["Again"])
    explored.wait(timeout=60)
    app = explore(explored, "duplicates")
    assert "Suggestion: keep Show. Its picture has 180 lines, the other's 90." in texts(app)
    button = next(b for b in app.button if b.label.startswith("Show the other in the library"))
    button.click().run()
    assert labelled(app, "Remove `Again`")
    assert len(explored.videos()) == 3


def test_without_copies_it_says_what_would_show_more(explored: Library) -> None:
    app = explore(explored, "duplicates")
    see(explored, app, "duplicates_sec", 60)
    assert "No two videos have a stretch in common" in texts(app)
    assert component(app, "sides") == []


def test_one_segment_has_no_copy(lonely: Library) -> None:
    app = explore(lonely, "duplicates")
    assert "No two videos have a stretch in common" in texts(app)
    assert not app.exception


def test_the_list_of_copies_is_a_table_that_no_spreadsheet_runs(explored: Library) -> None:
    runs = explored.explorer.duplicates("visual").wait(60).runs
    (row,) = lines_of(to_csv(runs))
    assert tuple(row) == CSV_COLUMNS
    assert {row["first_title"], row["second_title"]} == {"Show", "'=Copy"}
    assert float(row["length_sec"]) == pytest.approx(16, abs=0.3)


# --- trends ---------------------------------------------------------------------------------------


def test_trends_begin_with_the_largest_clusters(explored: Library) -> None:
    app = explore(explored, "trends")
    assert "Cluster 1" in texts(app)
    assert len(charts(app)) == 2
    assert "too few weeks to tell where it is going" in charts(app)[0].lower()


def test_trends_begin_with_the_question_of_the_search_page(explored: Library) -> None:
    app = ask(open_page(), "a red wall")
    app.switch_page("explore.py")
    app.query_params["view"] = "trends"
    settled(explored, app.run())
    assert "a red wall" in texts(app)
    assert "Cluster" not in "\n".join(charts(app))


def test_topics_are_added_in_words_and_taken_away(explored: Library) -> None:
    app = explore(explored, "trends")
    follow(explored, app, "a red wall")
    follow(explored, app, "a red wall")
    assert texts(app).count("a red wall") == 1
    assert "a red wall: " in charts(app)[0]
    labelled(app, "Remove `a red wall`").click().run()
    assert "a red wall" not in texts(app)


def test_words_that_are_no_question_stay_in_the_box_with_the_reason(explored: Library) -> None:
    app = explore(explored, "trends")
    before = charts(app)
    follow(explored, app, '"red')
    box = next(box for box in app.text_input if box.label == "Add a line")
    assert box.value == '"red'
    assert len(app.get("vega_lite_chart")) == len(before)
    assert ":red[:material/error:]" in texts(app)


def test_a_topic_that_fails_leaves_the_others(explored: Library) -> None:
    app = explore(explored, "trends")
    follow(explored, app, "a red wall then a blue wall")
    assert "A trend follows one thing, not one after another." in texts(app)
    follow(explored, app, "дом")
    assert "knows English words only" in texts(app)
    assert [button.label for button in app.button].count("Try again") == 2
    assert "Cluster 1" in charts(app)[0]


def test_a_line_that_was_cancelled_can_be_asked_for_again(explored: Library) -> None:
    app = ask(open_page(), "a red wall")
    with busy(explored):
        app.switch_page("explore.py")
        app.query_params["view"] = "trends"
        app.run()
        labelled(app, "Cancel").click().run()
        assert "This was cancelled." in texts(app)
    labelled(app, "Begin again").click().run()
    settled(explored, app)
    assert "This was cancelled." not in texts(app)
    assert len(charts(app)) == 2


def test_where_nothing_matches_it_says_so_instead_of_an_empty_chart(explored: Library) -> None:
    app = ask(open_page(), "a red wall")
    app.switch_page("explore.py")
    app.query_params["view"] = "trends"
    settled(explored, app.run())
    see(explored, app, "trends_min", 0.99)
    assert "Nothing matches, from a score of 0.99 on" in texts(app)
    assert "Nothing in the library matches." in texts(app)
    assert charts(app) == []


def test_without_enough_segments_to_know_chance_a_score_can_be_set(lonely: Library) -> None:
    app = explore(lonely, "trends")
    follow(lonely, app, "a red wall")
    assert "There are too few segments to tell a match from chance." in texts(app)
    see(lonely, app, "trends_min", -1.0)
    assert "too few segments" not in texts(app)
    assert "1 segment" in texts(app)


def test_dates_of_recording_are_offered_and_those_without_are_counted(explored: Library) -> None:
    app = explore(explored, "trends")
    see(explored, app, "trends_dates", "recorded")
    assert "2 videos of 3 without a date of recording" in texts(app)
    see(explored, app, "trends_by", Period.MONTH)
    assert "Share of the time, by the month the videos were recorded" in texts(app)


def test_dates_of_recording_are_not_offered_where_none_is_known(lonely: Library) -> None:
    app = explore(lonely, "trends")
    assert "trends_dates" not in [control.key for control in app.segmented_control]


def test_a_line_is_told_in_words() -> None:
    assert in_words(line("rising", date(2026, 8, 3)), Period.WEEK) == (
        "rising since the week of 3 August 2026; 4 segments, 0:40 of 10:00 (6.7 %), from a score "
        "of 0.21 on"
    )
    assert "falling since August 2026" in in_words(line("falling", date(2026, 8, 1)), Period.MONTH)
    assert in_words(line("steady", None), Period.DAY).startswith("steady; ")
    assert "on another level since 3 August 2026" in in_words(
        line("steady", date(2026, 8, 3)), Period.DAY
    )


def line(direction: Any, turned: date | None) -> TrendLine:
    points = tuple(TrendPoint(date(2026, 7, 6 + 7 * n % 20), 8.0, 120.0) for n in range(5))
    return TrendLine(
        "=cars", Trend(points, 0.01, direction, turned), (0.5, 0.25), 4, 40.0, 600.0, 0.21
    )


def test_lines_are_tables_that_no_spreadsheet_runs() -> None:
    lines = [("=cars", line("rising", None))]
    over_time = lines_of(trends_to_csv(lines))
    assert len(over_time) == 5
    assert over_time[0] == {
        "topic": "'=cars",
        "from": "2026-07-06",
        "matched_sec": "8.0",
        "total_sec": "120.0",
        "share": str(8 / 120),
    }
    assert [row["share"] for row in lines_of(along_to_csv(lines))] == ["0.5", "0.25"]


# --- coverage -------------------------------------------------------------------------------------


def test_coverage_counts_what_there_is(explored: Library) -> None:
    app = explore(explored, "coverage")
    said = texts(app)
    assert "3 videos, 2:02 in all, 61 segments." in said
    for name in ("Picture", "Shows", "No category", explored.embedder.model, "Vectors"):
        assert name in said
    assert "0:42, 2 videos, 21 segments" in said
    assert f"{datetime.now(UTC):%B %Y}" in said


def test_before_any_search_nothing_is_called_never_found(explored: Library) -> None:
    app = explore(explored, "coverage")
    assert "No search has been made yet" in texts(app)
    assert component(app, "cards") == []


def test_videos_that_no_search_has_shown_are_there_to_be_played(explored: Library) -> None:
    shown = explored.search("a red wall", limit=1).moments[0].video.title
    app = explore(explored, "coverage")
    assert "2 videos of 3 have not been among the moments of any search" in texts(app)
    (given,) = component(app, "cards")
    assert {card["title"] for card in given["cards"]} == {"Show", "=Copy", "Colours"} - {shown}
    assert {card["score_label"] for card in given["cards"]} == {""}


def test_when_every_video_was_found_it_says_so(lonely: Library) -> None:
    lonely.search("a red wall")
    app = explore(lonely, "coverage")
    assert "Every video has been among the moments of a search since" in texts(app)


# --- side by side ---------------------------------------------------------------------------------


def test_without_questions_it_says_what_to_do(explored: Library) -> None:
    app = explore(explored, "side-by-side")
    assert "Ask something on both sides to see what the answers share." in texts(app)


def test_it_begins_with_the_current_search_and_the_one_before(explored: Library) -> None:
    app = ask(ask(open_page(), "a red wall"), "a blue wall")
    app.switch_page("explore.py")
    app.query_params["view"] = "side-by-side"
    app.run()
    boxes = {box.label: box.value for box in app.text_input}
    assert boxes == {"Question on the left": "a blue wall", "Question on the right": "a red wall"}
    assert len(component(app, "cards")) == 2


def test_two_answers_stand_beside_each_other_with_what_they_share(explored: Library) -> None:
    app = compare(explored, explore(explored, "side-by-side"), "a red wall", "a red wall -night")
    left, right = (explored.search(text, limit=10) for text in ("a red wall", "a red wall -night"))
    found = explored.explorer.compare(left, right)
    assert agreement_in_words(found) in texts(app)
    given = component(app, "cards")
    assert [card["id"] for card in given[0]["cards"]] == [m.best.segment.id for m in left.moments]
    assert [card["id"] for card in given[1]["cards"]] == [m.best.segment.id for m in right.moments]
    assert all("on the right" in card["why"] for card in given[0]["cards"])
    see(explored, app, "compare_shown", "In both")
    assert [len(side["cards"]) for side in component(app, "cards")] == [len(found.pairs)] * 2
    see(explored, app, "compare_shown", "All")
    see(explored, app, "compare_k", 5)
    assert [len(side["cards"]) for side in component(app, "cards")] == [5, 5]


def test_the_same_question_on_both_sides_is_said_to_be_the_same(explored: Library) -> None:
    app = compare(explored, explore(explored, "side-by-side"), "a red wall", "a red wall")
    assert "Both sides ask the same." in texts(app)
    assert "10 of the first 10 are in both answers, and in the same order." in texts(app)
    see(explored, app, "compare_shown", "On one side only")
    assert texts(app).count("None on this side.") == 2


def test_the_same_question_is_compared_under_another_filter(explored: Library) -> None:
    app = compare(explored, explore(explored, "side-by-side"), "a red wall", "a red wall")
    key = next(w.key for w in app.multiselect if "compare_right" in str(w.key))
    see(explored, app, str(key), ["Shows"])
    assert "Both sides ask the same." not in texts(app)
    titles = [{card["title"] for card in side["cards"]} for side in component(app, "cards")]
    assert titles[1] == {"Show", "=Copy"}


def test_the_same_question_is_compared_by_two_models(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(films, tmp_path / "data")
    with StandIn(key="right") as service:
        monkeypatch.setenv("TWELVELABS_BASE_URL", service.url)
        monkeypatch.setenv("TWELVELABS_API_KEY", "right")
        with served(data, monkeypatch, EMBEDDER="twelvelabs") as library:
            assert library.model_change is not None
            library.model_change.finish()
        with served(data, monkeypatch, EMBEDDER="twelvelabs") as library:
            library.add([film_of(tmp_path / "New.mp4", CLIPS[:2])], titles=["New"])
            assert [job.error for job in library.wait(timeout=60)] == [""]
            app = compare(library, explore(library, "side-by-side"), "a red wall", "a red wall")
            assert "Both sides ask the same." in texts(app)
            see(library, app, embedder_of(app, "right"), "local")
            assert "Both sides ask the same." not in texts(app)
            given = [{card["title"] for card in side["cards"]} for side in component(app, "cards")]
            assert given[0] == {"New"}
            assert given[1] <= {"Show", "=Copy", "Colours"}
            assert not app.exception


def embedder_of(app: AppTest, side: str) -> str:
    keys = (str(w.key) for w in app.segmented_control if w.label == "Embedded by")
    return next(key for key in keys if f"compare_{side}" in key)


def test_a_question_that_makes_no_sense_is_explained_on_its_side(explored: Library) -> None:
    app = compare(explored, explore(explored, "side-by-side"), "a red wall", '"red')
    assert ":red[" in texts(app)
    assert component(app, "cards") == []
    type_in(explored, app, "Question on the right", "a blue wall")
    assert ":red[" not in texts(app)
    assert len(component(app, "cards")) == 2


def test_an_answer_that_filters_leave_empty_is_said_to_be(explored: Library) -> None:
    app = compare(explored, explore(explored, "side-by-side"), "a red wall", "a red wall")
    for side in ("left", "right"):
        key = next(w.key for w in app.number_input if f"compare_{side}" in str(w.key))
        see(explored, app, str(key), 0.99)
    assert "Nothing was found on either side." in texts(app)
    assert texts(app).count("No moment passes these filters.") == 2
    assert charts(app) == []


def test_a_picture_is_compared_under_its_name(explored: Library) -> None:
    segment = explored.segments(explored.videos()[0].id)[0]
    explored.searches.keep(Recipe.from_json(like(segment.id)), Filters())
    app = explore(explored, "side-by-side")
    assert f"{explored.videos()[0].title}, 0:00" in texts(app)


def like(segment_id: str) -> str:
    from core import Part

    return Recipe((Part.segment(segment_id),)).to_json()


def test_a_service_that_refuses_is_explained_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandIn(key="right") as service:
        monkeypatch.setenv("TWELVELABS_BASE_URL", service.url)
        monkeypatch.setenv("TWELVELABS_API_KEY", "right")
        with served(tmp_path / "data", monkeypatch, EMBEDDER="twelvelabs") as library:
            library.add([film_of(tmp_path / "Film.mp4", CLIPS[:2])])
            assert [job.error for job in library.wait(timeout=60)] == [""]
        monkeypatch.setenv("TWELVELABS_API_KEY", "wrong")
        with served(tmp_path / "data", monkeypatch, EMBEDDER="twelvelabs") as library:
            app = compare(library, explore(library, "side-by-side"), "a lake", "a road")
            assert [button.label for button in app.button].count("Try again") == 2
            assert not app.exception
            app = follow(library, explore(library, "trends"), "a lake")
            assert "Try again" in [button.label for button in app.button]
            assert "Cluster 1" in charts(app)[0]


def test_agreement_is_told_in_words() -> None:
    nothing = Comparison(10, 0.0, 0.0, (), (), ())
    assert agreement_in_words(nothing) == "Nothing was found on either side."
