"""The Search page: what can be asked, how it is changed, and what becomes of bad input."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput, Slider

from core import Filters, Library, Part, Recipe, Settings, open_library
from tests.app.conftest import ask, cards, labelled, open_page, served, texts, titles
from tests.media import make_video, solid
from tests.web import Page, Web

RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a red and a blue film of two segments each, made once."""
    folder = tmp_path_factory.mktemp("films")
    with open_library(Settings(data_dir=folder / "data", embedder="local")) as library:
        for title, colour in (("Red film", RED), ("Blue film", BLUE)):
            path = make_video(
                folder / f"{title}.mp4", seconds=8.0, frame=lambda _, c=colour: solid((640, 360), c)
            )
            library.add([path], titles=[title], category=title.split()[0])
        assert [job.error for job in library.wait(timeout=120)] == ["", ""]
    return folder / "data"


@pytest.fixture
def filled(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library of these films that a test may change."""
    data = shutil.copytree(films, tmp_path / "data")
    with served(data, monkeypatch, ALLOW_PRIVATE_URLS="true") as library:
        yield library


def picture(colour: tuple[int, int, int] = RED, size: tuple[int, int] = (64, 36)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


def box(app: AppTest) -> str:
    return str(app.text_input(key="search_text").value)


def add_file(app: AppTest, name: str, content: bytes, kind: str = "image/png") -> AppTest:
    return app.get("file_uploader")[0].set_value([(name, content, kind)]).run()


def crosses(app: AppTest) -> list[str]:
    """What the chips of the parts are called."""
    return [
        button.label.removeprefix("Remove `").removesuffix("`")
        for button in app.button
        if (button.key or "").startswith("search_remove_")
    ]


def widgets(app: AppTest) -> set[str]:
    kinds = ("text_input", "multiselect", "number_input", "slider", "date_input", "file_uploader")
    return {element.key for kind in kinds for element in app.get(kind) if element.key}


def weights(app: AppTest) -> list[Slider[float]]:
    return [slider for slider in app.slider if slider.label == "Weight"]


def within(app: AppTest) -> NumberInput:
    return next(field for field in app.number_input if field.label.startswith("Seconds"))


def moment_of(library: Library, title: str) -> str:
    video = next(video for video in library.videos() if video.title == title)
    return library.segments(video.id)[0].id


# --- words -----------------------------------------------------------------------------------------


def test_a_typed_query_shows_cards_and_stands_in_the_address(filled: Library) -> None:
    app = ask(open_page(), "a red surface")
    assert not app.exception
    assert titles(app)[0] == "Red film"
    assert app.query_params["q"] == "a red surface"


def test_one_plain_query_needs_no_chips(filled: Library) -> None:
    assert crosses(ask(open_page(), "a red surface")) == []


def test_every_typed_part_has_a_chip_with_its_weight(filled: Library) -> None:
    app = ask(open_page(), 'red -night "street market"^1.5')
    assert crosses(app) == ["red", "night", "street market"]
    assert [slider.value for slider in weights(app)] == [1, -1, 1.5]


def test_a_weight_that_is_moved_is_written_into_the_box_and_the_address(filled: Library) -> None:
    app = ask(open_page(), "red -blue")
    weights(app)[1].set_value(-0.5).run()
    assert box(app) == 'red -"blue"^0.5' or Recipe.parse(box(app)).parts[1].weight == -0.5
    assert app.query_params["q"] == box(app)
    assert titles(app)[0] == "Red film"


def test_removing_a_part_takes_its_words_out_of_the_box(filled: Library) -> None:
    app = ask(open_page(), "red -night")
    app.button(key="search_remove_1").click().run()
    assert box(app) == "red"
    assert app.query_params["q"] == "red"


def test_a_long_session_has_no_more_widgets_than_a_short_one(filled: Library) -> None:
    app = open_page()
    seen: list[set[str]] = []
    for number in range(34):
        app.query_params["q"] = f"red {'very ' * number}car"
        seen.append(widgets(app.run()))

    first, then = set().union(*seen[:17]), set().union(*seen[17:])

    assert then <= first
    assert all(len(drawn) == len(seen[0]) for drawn in seen)


def test_a_part_left_out_keeps_its_weight_until_it_is_used_again(filled: Library) -> None:
    app = ask(open_page(), "red blue^2")
    app.button(key="search_mute_1").click().run()
    assert box(app) == "red"
    assert titles(app)[0] == "Red film"
    app.button(key="search_mute_1").click().run()
    assert Recipe.parse(box(app)) == Recipe.parse("red blue^2")


def test_words_that_are_only_spaces_search_for_nothing(filled: Library) -> None:
    app = ask(open_page(), "   ")
    assert not app.exception
    assert cards(app) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("word " * 2000, "9,999"),
        ('red "blue', "not closed"),
        ("car^much", "not a number"),
        ("car^nan", "not a number"),
        ("red -red", "cancel"),
        ("a then b then c", "more than one"),
    ],
)
def test_words_that_cannot_be_searched_for_are_explained_and_stay(
    filled: Library, query: str, said: str
) -> None:
    app = ask(open_page(), query)
    assert said in texts(app)
    assert box(app).strip() == query.strip()
    assert cards(app) == []
    assert not app.exception


@pytest.mark.parametrize("query", ["a red 🚗 car", "red سيارة حمراء", "`**red**` $x$ <b>"])
def test_any_script_is_searched_for_as_it_is(filled: Library, query: str) -> None:
    app = ask(open_page(), query)
    assert (box(app), app.query_params["q"]) == (query, query)
    assert titles(app)[0] == "Red film"
    assert not app.exception


def test_words_that_the_model_does_not_know_are_explained(filled: Library) -> None:
    app = ask(open_page(), "سيارة حمراء")
    assert box(app) == "سيارة حمراء"
    assert texts(app)
    assert not app.exception


def test_words_of_bad_grammar_leave_the_picture_beside_them(filled: Library) -> None:
    app = add_file(ask(open_page(), "red"), "red.png", picture())
    ask(app, 'red "')
    assert "not closed" in texts(app)
    assert crosses(app) == ["Picture: red.png"]
    ask(app, "")
    assert titles(app)[0] == "Red film"


def test_a_then_shows_pairs_and_the_time_between_them_can_be_changed(filled: Library) -> None:
    app = ask(open_page(), "red then red")
    assert {card["title"] for card in cards(app)} <= {"Red film", "Blue film"}
    assert all(len(card["spans"]) == 2 for card in cards(app))
    within(app).set_value(5.0).run()
    assert app.query_params["q"] == "red then red within 5 s"


# --- pictures, clips and moments -------------------------------------------------------------------


def test_a_picture_joins_the_words_and_its_address_repeats_the_search(filled: Library) -> None:
    app = add_file(ask(open_page(), "a surface"), "red.png", picture())
    assert crosses(app) == ["a surface", "Picture: red.png"]
    assert titles(app)[0] == "Red film"
    again = open_page(s=app.query_params["s"])
    assert box(again) == "a surface"
    assert [card["id"] for card in cards(again)] == [card["id"] for card in cards(app)]
    assert [card["score"] for card in cards(again)] == [card["score"] for card in cards(app)]


def test_adding_a_part_loses_none_of_the_others(filled: Library) -> None:
    app = add_file(ask(open_page(), "a surface"), "red.png", picture())
    add_file(app, "blue.png", picture(BLUE))
    assert crosses(app) == ["a surface", "Picture: red.png", "Picture: blue.png"]
    ask(app, "plain")
    assert crosses(app) == ["plain", "Picture: red.png", "Picture: blue.png"]


def test_the_weight_of_a_picture_changes_the_order(filled: Library) -> None:
    app = add_file(ask(open_page(), "a surface"), "red.png", picture())
    weights(app)[1].set_value(-2.0).run()
    assert titles(app)[-1] == "Red film"


def test_a_picture_can_be_what_follows_then(filled: Library) -> None:
    app = ask(open_page(), "red")
    app.get("button_group")[0].set_value("After it, as “then”").run()
    add_file(app, "red.png", picture())
    assert all(len(card["spans"]) == 2 for card in cards(app))
    assert within(app).value == 30


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("note.png", b"this is text", "image/png"),
        ("dot.png", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("clip.mp4", b"\0\0\0\x18ftypmp42" + bytes(500), "video/mp4"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_removed_by_one_click(
    filled: Library, name: str, content: bytes, kind: str
) -> None:
    app = add_file(ask(open_page(), "a red surface"), name, content, kind)
    assert cards(app) == []
    assert any(name in text.value for text in app.text)
    assert box(app) == "a red surface"
    app.button(key="search_culprit_remove_1").click().run()
    assert titles(app)[0] == "Red film"
    assert not app.exception


def test_a_file_that_cannot_be_read_can_be_left_out_by_one_click(filled: Library) -> None:
    app = add_file(ask(open_page(), "a red surface"), "note.png", b"this is text")
    app.button(key="search_culprit_mute_1").click().run()
    assert titles(app)[0] == "Red film"
    assert crosses(app) == ["a red surface", "Picture: note.png"]


def test_a_picture_of_one_pixel_is_searched_with_or_explained(filled: Library) -> None:
    app = add_file(ask(open_page(), "a red surface"), "dot.png", picture(size=(1, 1)))
    assert not app.exception
    assert crosses(app) == ["a red surface", "Picture: dot.png"]
    assert cards(app) or any("dot.png" in text.value for text in app.text)


def test_a_moment_in_the_address_is_searched_for(filled: Library) -> None:
    app = open_page(like=moment_of(filled, "Red film"))
    assert titles(app)[0] == "Red film"
    assert cards(app)[0]["score"] == pytest.approx(1.0, abs=1e-3)
    assert crosses(app) == ["Red film, 0:00"]


def test_a_removed_moment_is_explained_and_the_rest_goes_on_without_it(filled: Library) -> None:
    recipe = Recipe((Part.text("a blue surface"), Part.segment(moment_of(filled, "Red film"))))
    search_id = filled.searches.keep(recipe, Filters())
    filled.remove(next(video.id for video in filled.videos() if video.title == "Red film"))
    app = open_page(s=search_id)
    assert "no longer in the library" in texts(app)
    app.button(key="search_culprit_remove_1").click().run()
    assert titles(app) == ["Blue film"]
    assert not app.exception


def test_a_search_that_failed_can_be_tried_again_as_it_stands(filled: Library) -> None:
    with Web() as web:
        address = web.put("/red.png", Page(status=503, kind="text/plain"))
        app = open_page()
        field = next(field for field in app.text_input if field.label == "or its address")
        field.set_value(address).run()
        assert cards(app) == []
        web.put("/red.png", Page(picture(), "image/png"))
        labelled(app, "Try again").click().run()
    assert titles(app)[0] == "Red film"
    assert not app.exception


def test_an_address_that_failed_can_be_corrected_at_its_chip(filled: Library) -> None:
    app = open_page()
    field = next(field for field in app.text_input if field.label == "or its address")
    field.set_value("http://127.0.0.1:9/typo.png").run()
    assert crosses(app) == ["Picture: typo.png"]
    with Web() as web:
        wrong = next(field for field in app.text_input if field.label == "Address")
        wrong.set_value(web.put("/red.png", Page(picture(), "image/png"))).run()
    assert titles(app)[0] == "Red film"
    assert not app.exception


def test_a_picture_whose_address_ends_in_a_slash_is_named_by_its_host(filled: Library) -> None:
    app = open_page()
    field = next(field for field in app.text_input if field.label == "or its address")
    field.set_value("http://nowhere.invalid/").run()
    assert crosses(app) == ["Picture: nowhere.invalid"]


# --- filters and pages -----------------------------------------------------------------------------


def test_the_address_alone_restores_a_search_with_its_filters(filled: Library) -> None:
    blue = next(video for video in filled.videos() if video.title == "Blue film")
    app = open_page(q="a red surface", video=blue.id, n="12")
    assert box(app) == "a red surface"
    assert set(titles(app)) == {"Blue film"}


def test_an_address_with_unknown_values_falls_back_to_the_usual_ones(filled: Library) -> None:
    app = open_page(
        q="a red surface",
        video="no-such-video",
        category="none",
        n="nine",
        option="smell",
        page="last",
        after="soon",
        min="high",
        **{"from": "early"},
    )
    assert not app.exception
    assert set(titles(app)) == {"Red film", "Blue film"}


def test_every_filter_is_a_chip_that_takes_it_away(filled: Library) -> None:
    app = open_page(q="a surface", category="Red", to="0:04", min="-0.5", after="2026-01-01")
    assert set(titles(app)) == {"Red film"}
    labels = [b.label for b in app.button if (b.key or "").startswith("search_drop_")]
    assert labels == ["`Red`", "To 0:04", "Added from 2026-01-01", "Score from -0.5"]
    labelled(app, "`Red`").click().run()
    assert set(titles(app)) == {"Red film", "Blue film"}
    labelled(app, "Clear filters").click().run()
    assert [b.label for b in app.button if (b.key or "").startswith("search_drop_")] == []
    assert dict(app.query_params) == {"q": "a surface"}


def test_filters_set_on_the_page_stand_in_the_address(filled: Library) -> None:
    app = ask(open_page(), "a surface")
    app.multiselect[1].set_value(["Blue"]).run()
    assert app.query_params["category"] == "Blue"
    assert set(titles(app)) == {"Blue film"}


def test_filters_that_nothing_passes_can_be_cleared(filled: Library) -> None:
    app = open_page(q="a red surface", min="1")
    assert "No moment passes these filters." in texts(app)
    labelled(app, "Clear the filters").click().run()
    assert titles(app)[0] == "Red film"


def test_a_page_behind_the_last_says_so(filled: Library) -> None:
    app = open_page(q="a red surface", page="9")
    assert "There is no page 9" in texts(app)
    labelled(app, "Go to the first page").click().run()
    assert titles(app)[0] == "Red film"


# --- thumbs ----------------------------------------------------------------------------------------


def test_thumbs_in_a_link_are_shown_counted_undone_and_cleared(filled: Library) -> None:
    good, bad = moment_of(filled, "Blue film"), moment_of(filled, "Red film")
    recipe = Recipe(
        (Part.text("a surface"), Part.mark(good, liked=True), Part.mark(bad, liked=False))
    )
    app = open_page(s=filled.searches.keep(recipe, Filters()))
    assert titles(app)[0] == "Blue film"
    assert {card["title"]: card["mark"] for card in cards(app)} == {
        "Blue film": "up",
        "Red film": "down",
    }
    assert "1 marked good and 1 bad: 50%" in texts(app)
    assert "1 of 1 good one is on this page" in texts(app)
    labelled(app, "Undo the last").click().run()
    assert {card["title"]: card["mark"] for card in cards(app)} == {
        "Blue film": "up",
        "Red film": "",
    }
    labelled(app, "Clear all").click().run()
    assert app.query_params["q"] == "a surface"


# --- searches that are kept ------------------------------------------------------------------------


def test_an_unknown_saved_search_is_explained_over_an_empty_box(filled: Library) -> None:
    app = open_page(s="nosuchone")
    assert "not known here" in texts(app)
    assert box(app) == ""
    assert not app.exception


def test_a_search_is_kept_under_a_name_run_again_renamed_and_deleted(filled: Library) -> None:
    app = ask(open_page(), "a red surface")
    ask(app, "a blue surface")
    app.button(key="search_searches").click().run()
    field = next(f for f in app.text_input if f.label == "Keep this search under a name")
    field.set_value("Blue things")
    labelled(app, "Save").click().run()
    (kept,) = filled.searches.named()
    assert (kept.name, kept.recipe) == ("Blue things", Recipe.parse("a blue surface"))
    assert [s.recipe.to_text() for s in filled.searches.history()] == [
        "a blue surface",
        "a red surface",
    ]

    app.button(key="search_searches").click().run()
    name = next(f for f in app.text_input if f.key == f"searches_name_Kept_{kept.id}")
    name.set_value("Sky").run()
    assert [s.name for s in filled.searches.named()] == ["Sky"]

    app.button(key="search_searches").click().run()
    app.button(key=f"searches_delete_Kept_{kept.id}").click().run()
    assert filled.searches.named() == []

    app.button(key="search_searches").click().run()
    red = filled.searches.history()[0]
    app.button(key=f"searches_run_Made lately_{red.id}").click().run()
    assert box(app) == "a red surface"
    assert titles(app)[0] == "Red film"
    assert not app.exception
