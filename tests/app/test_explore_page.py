"""Explore: its map, its clusters and its outliers, and what they say when there is little to show."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import Library, SeekpointError, Settings, open_library
from core.tasks import Report
from tests.app.conftest import ask, cards, labelled, open_page, served, texts
from tests.app.test_results import scene
from tests.contract.standin import StandIn
from tests.media import Picture, make_video, solid

SIZE = (160, 90)
RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a red film, a blue one and a colourful one, of 6 segments each."""
    folder = tmp_path_factory.mktemp("films")
    with open_library(Settings(data_dir=folder / "data", segment_sec=2)) as library:
        for title, picture in (("Red film", plain(RED)), ("Blue film", plain(BLUE))):
            library.add([film(folder, title, 12.0, picture)], titles=[title], category=title[:3])
        path = film(folder, "Colours", 12.0, lambda second: scene(int(second // 2)))
        library.add([path], titles=["Colours"])
        assert {job.error for job in library.wait(timeout=120)} == {""}
    return folder / "data"


@pytest.fixture
def explored(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library of these films that a test may change."""
    data = shutil.copytree(films, tmp_path / "data")
    with served(data, monkeypatch, SEGMENT_SEC="2") as opened:
        yield opened


def film(folder: Path, title: str, seconds: float, frame: Any) -> Path:
    path = folder / f"{title}.mp4"
    make_video(path, seconds=seconds, size=SIZE, fps=4, audio=False, frame=frame)
    return path


def plain(colour: tuple[int, int, int]) -> Any:
    picture: Picture = solid(SIZE, colour)
    return lambda _second: picture


def add(library: Library, path: Path) -> None:
    library.add([path], titles=[path.stem])
    assert {job.error for job in library.wait(timeout=120)} == {""}


def explore(view: str = "map", **address: str) -> AppTest:
    """A view as a visitor sees it once it is there."""
    app = open_page("explore")
    app.query_params["view"] = view
    for name, value in address.items():
        app.query_params[name] = value
    return settled(app.run())


def settled(app: AppTest) -> AppTest:
    """The page once nothing is on its way any more."""
    while app.get("progress"):
        for kept in ("explore_kept_overview", "explore_kept_words", "explore_kept_outliers"):
            if kept in app.session_state:
                with suppress(SeekpointError):
                    app.session_state[kept][2].wait(60)
        app.run()
    return app


def chart(app: AppTest) -> Any:
    return app.get("vega_lite_chart")[0].proto


def picked(app: AppTest) -> list[str]:
    return [card["title"] for card in cards(app)]


@contextmanager
def busy(library: Library) -> Iterator[None]:
    """Other long work has all the places until this ends."""
    go_on = threading.Event()

    def wait(_report: Report) -> bool:
        return go_on.wait(60)

    others = [library.explorer._tasks.of(f"other {number}", wait) for number in range(2)]
    try:
        yield
    finally:
        go_on.set()
        for other in others:
            other.wait(60)


# --- little to explore ----------------------------------------------------------------------------


def test_an_empty_library_leads_to_where_videos_are_added(library: Library) -> None:
    app = open_page("explore")
    assert "nothing to explore yet" in texts(app)
    assert [link.label for link in app.get("page_link")] == ["Add videos"]
    assert not app.exception


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("map", "only one moment"),
        ("clusters", "1 cluster"),
        ("outliers", "too few moments"),
    ],
)
def test_one_moment_is_shown_as_what_it_is(
    library: Library, tmp_path: Path, view: str, said: str
) -> None:
    add(library, film(tmp_path, "Short", 2.0, plain(RED)))
    app = explore(view)
    assert said in texts(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("map", "about the same"),
        ("clusters", "about the same"),
        ("outliers", "0 would be the same"),
    ],
)
def test_moments_that_are_all_equal_are_one_cluster(
    library: Library, tmp_path: Path, view: str, said: str
) -> None:
    add(library, film(tmp_path, "Plain", 6.0, plain(RED)))
    app = explore(view)
    assert said in texts(app)
    assert not app.exception


# --- long work ------------------------------------------------------------------------------------


def test_work_on_its_way_can_be_cancelled_and_begun_again(explored: Library) -> None:
    with busy(explored):
        app = open_page("explore")
        assert [bar.proto.text for bar in app.get("progress")] == ["Waiting for other work"]
        labelled(app, "Cancel").click().run()
        assert "This was cancelled." in texts(app)
        assert not app.get("progress")
    labelled(app, "Begin again").click().run()
    settled(app)
    assert chart(app)
    assert not app.exception


def test_a_library_that_changes_meanwhile_says_so_until_it_is_looked_at_anew(
    explored: Library, tmp_path: Path
) -> None:
    with busy(explored):
        app = open_page("explore")
        add(explored, film(tmp_path, "Green film", 4.0, plain((30, 200, 30))))
    settled(app.run())
    assert "The library has changed since" in texts(app)
    labelled(app, "Make it anew").click().run()
    settled(app)
    assert "The library has changed since" not in texts(app)
    assert chart(app).alt.startswith("A map of 20 moments.")


def test_a_store_that_cannot_be_read_is_explained_and_asked_again(explored: Library) -> None:
    explored._store.close()
    app = explore()
    assert app.get("vega_lite_chart") == []
    assert not app.exception
    labelled(app, "Try again").click().run()
    settled(app)
    assert [button.label for button in app.button if button.label == "Try again"] == ["Try again"]
    assert not app.exception


# --- the address ----------------------------------------------------------------------------------


def test_the_view_stands_in_the_address_and_an_unknown_one_is_the_map(explored: Library) -> None:
    app = explore("no-such-view", option="smell")
    assert app.get("button_group")[0].value == "map"
    app.get("button_group")[0].set_value("Outliers").run()
    assert app.query_params["view"] in ("outliers", ["outliers"])
    settled(app)
    assert cards(app)
    assert not app.exception


# --- map ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["Cluster", "Video", "Category", "Date", "Score"])
def test_the_map_can_be_coloured_by_anything_known(explored: Library, colour: str) -> None:
    app = explore()
    app.get("button_group")[1].set_value(colour).run()
    assert not app.exception
    assert chart(app).alt.startswith("A map of 18 moments.")


def test_scores_on_the_map_are_of_what_is_typed_or_else_of_the_last_search(
    explored: Library,
) -> None:
    app = ask(open_page(), "a red surface").switch_page("explore.py").run()
    settled(app)
    app.get("button_group")[1].set_value("Score").run()
    box = app.text_input(key="explore_map_score_of")
    assert box.placeholder == "a red surface"
    by_last = chart(app).spec
    box.set_value('red "').run()
    assert "not closed" in texts(app)
    app.text_input(key="explore_map_score_of").set_value("a blue surface").run()
    assert "not closed" not in texts(app)
    assert '"Score"' in by_last
    assert '"Score"' in chart(app).spec
    assert not app.exception


# --- clusters -------------------------------------------------------------------------------------


def test_every_cluster_shows_its_best_example_with_its_size_and_words(explored: Library) -> None:
    app = explore("clusters")
    assert "the number with which they are best told apart" in texts(app)
    assert sum(int(card["why"].split()[0]) for card in cards(app)) == 18
    assert all(": " in card["why"] for card in cards(app))
    assert not app.exception


def test_somebody_may_choose_how_many_clusters_there_are_and_leave_it_again(
    explored: Library,
) -> None:
    app = explore("clusters")
    by_itself = len(cards(app))
    app.number_input[0].set_value(2).run()
    assert len(cards(settled(app))) == 2
    assert "as many as you chose" in texts(app)
    app.number_input[0].set_value(None).run()
    assert len(cards(settled(app))) == by_itself


def test_more_clusters_than_different_moments_are_as_many_as_there_are(
    library: Library, tmp_path: Path
) -> None:
    add(library, film(tmp_path, "Plain", 12.0, plain(RED)))
    app = explore("clusters")
    app.number_input[0].set_value(50).run()
    assert len(cards(settled(app))) == 1
    assert not app.exception


def test_a_cluster_leads_to_the_map_and_on_to_a_search_in_its_videos(explored: Library) -> None:
    app = explore("clusters")
    number = next(n for n, card in enumerate(cards(app), 1) if card["title"] == "Red film")
    app.selectbox(key="explore_cluster").set_value(number).run()
    inside = set(picked(app))
    assert "Red film (6)" in texts(app)
    app.button(key="explore_cluster_map").click().run()
    assert set(picked(settled(app))) == inside
    app.button(key="explore_within_map").click().run()
    ask(app, "a blue surface")
    assert set(picked(app)) == inside != {video.title for video in explored.videos()}
    assert not app.exception


def test_more_like_a_cluster_is_a_search_with_its_middle(explored: Library) -> None:
    app = explore("clusters")
    number = next(n for n, card in enumerate(cards(app), 1) if card["title"] == "Blue film")
    app.selectbox(key="explore_cluster").set_value(number).run()
    assert app.button(key="explore_less_cluster").disabled
    app.button(key="explore_more_cluster").click().run()
    crosses = [b.label for b in app.button if b.label.startswith("Remove")]
    assert len(crosses) == 5
    assert picked(app)[0] == "Blue film"
    assert not app.exception


def test_moments_that_were_picked_go_into_the_basket_together(explored: Library) -> None:
    app = explore("clusters")
    number = next(n for n, card in enumerate(cards(app), 1) if card["title"] == "Blue film")
    app.selectbox(key="explore_cluster").set_value(number).run()
    app.button(key="explore_keep_cluster").click().run()
    assert len(explored.basket.ids()) == len(cards(app)) >= 6
    assert all(card["kept"] for card in cards(app))


def test_names_that_cost_money_are_looked_for_once_the_price_is_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandIn(key="right") as service:
        monkeypatch.setenv("TWELVELABS_BASE_URL", service.url)
        monkeypatch.setenv("TWELVELABS_API_KEY", "right")
        with served(
            tmp_path / "data", monkeypatch, EMBEDDER="twelvelabs", SEGMENT_SEC="2"
        ) as library:
            add(library, film(tmp_path, "Film", 12.0, lambda second: scene(int(second // 2))))
            library.explorer.set_vocabulary(["film", "a lake"])
            before = len(service.asked("POST /embed-v2"))
            app = explore("clusters")
            assert app.button(key="explore_name").label == "Name the clusters, less than 0.01 USD"
            assert not app.exception
            assert len(service.asked("POST /embed-v2")) == before
            settled(app.button(key="explore_name").click().run())
            assert len(service.asked("POST /embed-v2")) == before + 2
            assert any("film" in card["why"] for card in cards(app))
            # Another visitor finds them paid for.
            assert "explore_name" not in [button.key for button in explore("clusters").button]


@pytest.mark.parametrize(("number", "refused"), [(5_000, False), (5_001, True)])
def test_a_vocabulary_has_five_thousand_words_at_most(
    explored: Library, number: int, refused: bool
) -> None:
    before = explored.explorer.vocabulary
    app = explore("clusters")
    app.text_area[0].set_value("\n".join(f"word {n}" for n in range(number))).run()
    assert f"{number:,} words" in texts(app)
    app.button(key="explore_words_use").click().run()
    assert ("too many" in texts(app)) == refused
    assert (explored.explorer.vocabulary == before) == refused
    app.button(key="explore_words_reset").click().run()
    assert explored.explorer.vocabulary == before
    assert not app.exception


# --- outliers -------------------------------------------------------------------------------------


def test_outliers_are_those_of_all_videos_or_of_one(explored: Library) -> None:
    app = explore("outliers")
    assert cards(app)[0]["title"] == "Colours"
    scores = [card["score"] for card in cards(app)]
    assert scores == sorted(scores, reverse=True)
    red = next(video.id for video in explored.videos() if video.title == "Red film")
    app.selectbox(key="explore_outliers_of").set_value(red).run()
    assert set(picked(settled(app))) == {"Red film"}
    assert not app.exception


def test_a_card_that_is_asked_for_more_opens_a_search(explored: Library) -> None:
    app = explore("outliers")
    card = cards(app)[0]
    inbox = app.session_state["explore_moments_inbox"]
    inbox.put({"number": 1, "action": "similar", "segment_id": card["id"]})
    app.run()
    assert app.query_params["like"] in (card["id"], [card["id"]])
    assert picked(app)[0] == "Colours"
    assert not app.exception
