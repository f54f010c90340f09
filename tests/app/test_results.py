"""What becomes of an answer: what its scores mean, how it is laid out, ticked, kept and taken away."""

from __future__ import annotations

import colorsys
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import Filters, Library, Settings, open_library
from tests.app.conftest import ask, cards, grid, labelled, open_page, served, texts
from tests.media import Picture, make_video, solid

SIZE = (160, 90)
IN_IT, NOT_IN_IT = "a red wall", "sushi"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two films of 32 segments, each of another colour; made once."""
    folder = tmp_path_factory.mktemp("films")
    with open_library(Settings(data_dir=folder / "data", segment_sec=2)) as library:
        for title, first in (("Long film", 0), ("Other film", 40)):
            path = make_video(
                folder / f"{title}.mp4",
                seconds=64.0,
                size=SIZE,
                fps=4,
                audio=False,
                frame=lambda second, first=first: scene(first + int(second // 2)),
            )
            library.add([path], titles=[title], category=title.split()[0])
        assert [job.error for job in library.wait(timeout=120)] == ["", ""]
    return folder / "data"


def scene(number: int) -> Picture:
    """A colour with a stripe; no two are the same."""
    colour = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.9, 0.3 + 0.6 * (number * 0.37 % 1))
    red, green, blue = (int(255 * part) for part in colour)
    picture = solid(SIZE, (red, green, blue))
    stripe = number * 13 % SIZE[0]
    picture[:, stripe : stripe + 20] = 255 - picture[0, 0]
    return picture


@pytest.fixture
def library(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library of these films that a test may change."""
    data = shutil.copytree(films, tmp_path / "data")
    with served(data, monkeypatch, SEGMENT_SEC="2") as opened:
        yield opened


def do(app: AppTest, action: str, *segment_ids: str) -> AppTest:
    """Asks something of the cards as the browser does, and draws the page again."""
    inbox = app.session_state["results_inbox"]
    about = (
        {"segment_ids": [*segment_ids]} if action == "select" else {"segment_id": segment_ids[0]}
    )
    inbox.put({"number": inbox.received + 1, "action": action, **about})
    return app.run()


def address(app: AppTest) -> dict[str, str]:
    """The query of the address, in which nothing stands twice here."""
    return {
        name: value if isinstance(value, str) else value[0]
        for name, value in app.query_params.items()
    }


def ids(app: AppTest) -> list[str]:
    return [card["id"] for card in cards(app)]


def video_ids(app: AppTest) -> list[str]:
    return [card["video_id"] for card in cards(app)]


def choose(app: AppTest, layout: str) -> AppTest:
    view = next(control for control in app.segmented_control if control.label == "View")
    return view.set_value(layout).run()


def export_label(app: AppTest) -> str:
    """What the menu says it exports."""
    return next(c.value for c in app.caption if c.value.startswith(("The ", "All of the basket")))


def evidence(library: Library, text: str = IN_IT, limit: int = 5) -> bytes:
    return library.export(library.search(text, limit=limit), "json")


def opening_page() -> None:
    """Where a file is chosen, outside of its dialog."""
    from components import evidence, resources

    evidence.open_evidence(resources.library())


def open_file(app: AppTest, content: bytes) -> AppTest:
    app.button(key="search_searches").click().run()
    return upload(app, content)


def upload(app: AppTest, content: bytes) -> AppTest:
    file = ("evidence.json", content, "application/json")
    return app.get("file_uploader")[-1].set_value([file]).run()


def shows_evidence(app: AppTest) -> bool:
    return "Evidence" in [heading.value for heading in app.subheader]


# --- what scores mean ------------------------------------------------------------------------------


def test_every_card_says_what_its_score_means_and_a_line_where_the_answer_ends(
    library: Library,
) -> None:
    app = ask(open_page(), IN_IT)
    shown = cards(app)
    assert {card["level"] for card in shown if not card["below"]} <= {"strong", "likely"}
    assert [card["below"] for card in shown] == sorted(card["below"] for card in shown)
    assert shown[-1]["below"]
    assert "below the cut" in grid(app)["cut"]["label"]
    assert "Probably not in the archive" not in [heading.value for heading in app.subheader]


def test_moments_of_a_page_that_is_all_below_the_cut_are_shown_and_said_to_be(
    library: Library,
) -> None:
    app = open_page(q=IN_IT, page="2")
    assert "All moments of this page are below the cut: " in texts(app)
    assert grid(app)["cut"] is None
    assert cards(app)


def test_all_pages_have_the_cut_and_the_best_score_of_the_first(library: Library) -> None:
    walked = ask(open_page(), IN_IT)
    first = grid(walked)
    labelled(walked, "Next").click().run()
    opened = open_page(q=IN_IT, page="2")
    assert grid(walked)["top"] == grid(opened)["top"] == first["top"]
    reason = first["cut"]["label"].partition(": ")[2]
    for app in (walked, opened):
        assert f"All moments of this page are below the cut: {reason}." in texts(app)


def test_what_is_not_in_the_archive_is_reported_over_the_nearest_misses(library: Library) -> None:
    app = ask(open_page(), NOT_IN_IT)
    (heading,) = app.subheader
    assert heading.value == "Probably not in the archive"
    said = texts(app)
    assert "2 videos, 2:08 in all, 64 segments" in said
    assert "\nPicture\n" in said
    assert "; 98.4 % of the segments score less" in said
    assert grid(app)["cut"] is None
    assert cards(app)


def test_the_report_names_the_filters_and_counts_only_what_passes_them(library: Library) -> None:
    app = open_page(q=NOT_IN_IT, category="Long", **{"from": "0:10"})
    said = texts(app)
    assert "1 video, 0:54 in all, 27 segments" in said
    assert "`Long`, From 0:10" in said
    assert "fewer filters" in said


def test_an_answer_that_its_filters_leave_empty_is_not_called_missing(library: Library) -> None:
    app = open_page(q=IN_IT, min="0.99")
    assert not app.subheader
    assert "No moment passes these filters." in texts(app)


def test_too_few_segments_to_tell_chance_are_no_verdict(library: Library) -> None:
    library.remove(library.videos()[0].id)
    app = ask(open_page(), NOT_IN_IT)
    assert not app.subheader
    assert "It takes 50" in grid(app)["footnote"]
    assert {card["level"] for card in cards(app)} == {""}


# --- how it is laid out ----------------------------------------------------------------------------


def test_rows_and_groups_are_set_on_the_page_and_stand_in_the_address(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    choose(app, "table")
    app.toggle[0].set_value(True).run()
    assert (grid(app)["layout"], grid(app)["grouped"]) == ("table", True)
    assert address(app) == {"q": IN_IT, "view": "table", "by": "video"}
    again = open_page(q=IN_IT, view="table", by="video")
    assert (grid(again)["layout"], grid(again)["grouped"]) == ("table", True)
    assert ids(again) == ids(app)


def test_by_video_shows_three_moments_of_each_and_a_click_shows_all_of_one(
    library: Library,
) -> None:
    app = open_page(q=IN_IT, by="video")
    assert sorted(video_ids(app)) == sorted(3 * [video.id for video in library.videos()])
    wanted = cards(app)[0]
    do(app, "more_of_video", wanted["id"])
    assert set(video_ids(app)) == {wanted["video_id"]}
    assert len(cards(app)) > 3
    assert address(app) == {"q": IN_IT, "video": wanted["video_id"]}


# --- ticks -----------------------------------------------------------------------------------------


def test_what_is_ticked_is_counted_and_exported_and_goes_on_to_the_next_page(
    library: Library,
) -> None:
    app = ask(open_page(), IN_IT)
    cut = library.calibrate(library.search(IN_IT)).cut
    assert cut is not None
    below = 24 - cut.after
    assert export_label(app) == f"The 24 moments of this page, {below} of them below the cut"
    first = ids(app)[:2]
    do(app, "select", *first)
    assert "2 moments selected" in texts(app)
    assert grid(app)["selected"] == first
    assert export_label(app) == "The 2 selected moments"
    labelled(app, "Next").click().run()
    do(app, "select", *first, ids(app)[0])
    assert "3 moments selected" in texts(app)
    app.button(key="search_selection_clear").click().run()
    assert grid(app)["selected"] == []


def test_ticks_do_not_outlive_their_question(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    do(app, "select", *ids(app)[:2])
    ask(app, "a blue wall")
    assert "selected" not in texts(app)
    assert grid(app)["selected"] == []


def test_all_moments_above_the_cut_are_ticked_with_one_click(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    above = [card for card in cards(app) if not card["below"]]
    folded = [one["id"] for card in above for one in card["similar"]]
    labelled(app, "Select all above the cut").click().run()
    assert set(grid(app)["selected"]) == {card["id"] for card in above} | set(folded)
    assert "search_selection_all" not in [button.key for button in app.button]


# --- the basket ------------------------------------------------------------------------------------


def test_a_card_goes_into_the_basket_and_out_of_it(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    best = ids(app)[0]
    do(app, "basket", best)
    assert cards(app)[0]["kept"]
    assert app.button(key="search_basket").label == "Basket 1"
    do(app, "basket", best)
    assert not cards(app)[0]["kept"]
    assert app.button(key="search_basket").label == "Basket"


def test_what_is_ticked_is_put_into_the_basket_once(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    do(app, "basket", ids(app)[0])
    do(app, "select", *ids(app)[:3])
    app.button(key="search_selection_keep").click().run()
    assert [toast.value for toast in app.toast] == [
        "2 moments added to the basket, 1 was there already"
    ]
    assert len(library.basket.items()) == 3


def basket_page() -> None:
    """What the dialog shows, which the test runner would close after every click."""
    from components import basket, resources

    basket.basket(resources.library())


def test_an_empty_basket_says_how_moments_come_into_it(library: Library) -> None:
    app = open_page()
    app.button(key="search_basket").click().run()
    assert "The basket is empty." in texts(app)


def test_moments_of_the_basket_are_noted_tagged_taken_out_and_put_back(library: Library) -> None:
    library.basket.add(library.findings(library.search(IN_IT, limit=3)))
    first, second, third = library.basket.items()
    app = AppTest.from_function(basket_page).run()
    app.text_input(key=f"basket_note_{first.id}").set_value("The `red` one").run()
    app.multiselect(key=f"basket_tags_{second.id}").set_value(["night", "wall"]).run()
    noted = [(item.note, item.tags) for item in library.basket.items()]
    assert noted == [("The `red` one", ()), ("", ("night", "wall")), ("", ())]

    app.button(key=f"basket_remove_{first.id}").click().run()
    assert [item.id for item in library.basket.items()] == [second.id, third.id]
    assert f"Taken out: {first.moment.video.title}" in texts(app)
    labelled(app, "Undo").click().run()
    back = {item.id: item.note for item in library.basket.items()}
    assert back == {second.id: "", third.id: "", first.id: "The `red` one"}
    assert not app.exception


def test_the_basket_is_cleared_only_after_a_question(library: Library) -> None:
    library.basket.add(library.findings(library.search(IN_IT, limit=3)))
    app = AppTest.from_function(basket_page).run()
    app.button(key="basket_clear").click().run()
    app.button(key="basket_keep_all").click().run()
    assert len(library.basket.items()) == 3
    app.button(key="basket_clear").click().run()
    app.button(key="basket_take_all").click().run()
    assert library.basket.items() == []
    labelled(app, "Undo").click().run()
    assert len(library.basket.items()) == 3


def test_the_basket_is_shown_with_players_until_something_is_asked(library: Library) -> None:
    for text in (IN_IT, "a blue wall"):
        library.basket.add(library.findings(library.search(text, limit=2)))
    kept = [item.moment.best.segment.id for item in library.basket.items()]
    app = ask(open_page(), NOT_IN_IT)
    app.button(key="search_basket").click().run()
    app.button(key="basket_show").click().run()
    assert [heading.value for heading in app.subheader] == ["Basket"]
    assert ids(app) == kept
    assert all(card["kept"] for card in cards(app))
    do(app, "select", kept[3], kept[0])
    assert grid(app)["selected"] == [kept[0], kept[3]]
    do(app, "basket", kept[1])
    assert ids(app) == [kept[0], *kept[2:]]
    app.button(key="basket_close").click().run()
    assert [heading.value for heading in app.subheader] == ["Probably not in the archive"]
    app.button(key="search_basket").click().run()
    app.button(key="basket_show").click().run()
    ask(app, IN_IT)
    assert not app.subheader
    assert not app.exception


def test_many_moments_of_evidence_are_shown_in_pages_and_ticked_through_them(
    library: Library,
) -> None:
    exported = library.search(IN_IT, limit=30)
    app = open_file(open_page(), library.export(exported, "json"))
    wanted = [moment.best.segment.id for moment in exported.moments]
    assert ids(app) == wanted[:24]
    do(app, "select", wanted[20])
    app.session_state["evidence_page"] = 2
    app.run()
    assert ids(app) == wanted[24:]
    assert "Moments 25 to 30" not in texts(app)
    do(app, "select", wanted[20], wanted[27])
    assert grid(app)["selected"] == [wanted[20], wanted[27]]
    app.button(key="search_selection_clear").click().run()
    assert "Moments 25 to 30" in texts(app)


def test_a_full_basket_is_shown_in_pages(library: Library) -> None:
    library.basket.add(library.findings(library.search(IN_IT, limit=24)))
    app = AppTest.from_function(basket_page).run()
    assert len(app.text_input) == 10
    assert "24 moments, " in texts(app)
    app.session_state["basket_page"] = 3
    app.run()
    assert len(app.text_input) == 4


def test_a_moment_in_the_basket_whose_video_was_removed_says_so(library: Library) -> None:
    (kept,) = library.findings(library.search(IN_IT, limit=1))
    library.basket.add([kept])
    library.remove(kept.moment.video.id)
    app = open_page()
    app.button(key="search_basket").click().run()
    assert "its video was removed" in texts(app)
    assert not app.exception


# --- away, and back --------------------------------------------------------------------------------


def test_what_was_exported_is_marked(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    assert [card["exported"] for card in cards(app)] == [False] * len(cards(app))
    (left,) = library.findings(library.search(IN_IT), only=[ids(app)[1]])
    library.basket.mark_exported([left.id])
    app.run()
    assert [card["exported"] for card in cards(app)] == [at == 1 for at in range(len(cards(app)))]


def test_clips_are_cut_in_the_background_and_can_be_downloaded(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    do(app, "select", *ids(app)[:2])
    app.button(key="search_export_clips").click().run()
    app.session_state["search_clips"].wait()
    app.run()
    assert "Download the clips" in [b.label for b in app.get("download_button")]
    assert "2 clips, " in texts(app)
    (archive,) = library.settings.data_dir.rglob("*.zip")
    labelled(app, "Dismiss").click().run()
    assert not archive.exists()
    assert "2 clips, " not in texts(app)


def test_evidence_opens_with_the_same_moments_scores_and_order(library: Library) -> None:
    result = library.search(IN_IT, limit=5)
    app = open_file(ask(open_page(), NOT_IN_IT), evidence(library))
    assert shows_evidence(app)
    assert [(card["id"], card["score"]) for card in cards(app)] == [
        (moment.best.segment.id, moment.score) for moment in result.moments
    ]
    said = texts(app)
    assert f"evidence.json: 5 moments found with {IN_IT}, by the model" in said
    assert "Nothing differs" in said
    app.button(key="evidence_close").click().run()
    assert not shows_evidence(app)
    assert "Probably not in the archive" in [heading.value for heading in app.subheader]


def test_evidence_makes_way_for_the_next_question_or_for_its_own(library: Library) -> None:
    app = open_file(open_page(), evidence(library))
    assert len(cards(app)) == 5
    app.button(key="evidence_search").click().run()
    assert not shows_evidence(app)
    assert address(app) == {"q": IN_IT}
    open_file(app, evidence(library))
    assert shows_evidence(app)
    ask(app, "a blue wall")
    assert not shows_evidence(app)


def test_evidence_is_laid_out_ticked_and_kept_like_any_answer(library: Library) -> None:
    app = open_file(open_page(), evidence(library))
    choose(app, "table")
    assert shows_evidence(app)
    assert grid(app)["layout"] == "table"
    do(app, "select", *ids(app)[:2])
    do(app, "basket", ids(app)[0])
    assert "2 moments selected" in texts(app)
    assert len(library.basket.items()) == 1


def test_evidence_of_a_removed_video_shows_its_moments_and_names_it(library: Library) -> None:
    exported = evidence(library)
    video = library.search(IN_IT, limit=1).moments[0].video
    library.remove(video.id)
    app = open_file(open_page(), exported)
    assert f"A video is no longer in the library: “{video.title}”." in texts(app)
    assert len(cards(app)) == 5
    best = next(card["id"] for card in cards(app) if card["video_id"] == video.id)
    do(app, "similar", best)
    assert "The video of this moment is no longer in the library." in texts(app)
    assert not app.exception


@pytest.mark.parametrize("damage", ["cut in half", "something else", "empty"])
def test_a_file_that_is_no_evidence_is_explained(library: Library, damage: str) -> None:
    whole = evidence(library)
    content, said = {
        "cut in half": (whole[: len(whole) // 2], "it cannot be read to its end"),
        "something else": (b'{"rocket": 1}', "no evidence of Seekpoint"),
        "empty": (b"", "it cannot be read to its end"),
    }[damage]
    app = AppTest.from_function(opening_page).run()
    upload(app, content)
    assert said in texts(app)
    assert "Take the file as it was" in texts(app) or "Open a file that was" in texts(app)


def test_a_search_stays_when_a_file_cannot_be_opened(library: Library) -> None:
    app = ask(open_page(), IN_IT)
    before = cards(app)
    open_file(app, b"nothing")
    assert not shows_evidence(app)
    assert cards(app) == before


def test_evidence_that_was_edited_by_hand_says_so(library: Library) -> None:
    edited = json.loads(evidence(library))
    edited["content"]["origin"]["app_version"] = "0.0"
    app = open_file(open_page(), json.dumps(edited).encode())
    assert "This file was changed after it was exported" in texts(app)
    assert len(cards(app)) == 5


# --- a video that goes -----------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["similar", "unlike", "liked", "more_of_video"])
def test_a_click_on_a_moment_whose_video_was_just_removed_is_explained(
    library: Library, action: str
) -> None:
    app = ask(open_page(), IN_IT)
    gone = cards(app)[0]
    library.remove(gone["video_id"])
    do(app, action, gone["id"])
    assert "The video of this moment is no longer in the library." in texts(app)
    assert gone["video_id"] not in video_ids(app)
    assert cards(app)
    assert address(app) == {"q": IN_IT}


def test_filters_of_a_search_stay_with_its_evidence(library: Library) -> None:
    result = library.search(IN_IT, filters=Filters(categories=("Long",)), limit=2)
    app = open_file(open_page(), library.export(result, "json"))
    app.button(key="evidence_search").click().run()
    assert address(app) == {"q": IN_IT, "category": "Long"}
