"""What each page shows and does, without a browser."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import Library, Settings
from core.lock import DataDirLock
from tests.app.conftest import open_page, texts
from tests.web import Page, Web

PAGES = ("search", "library", "status")


def cards(app: AppTest) -> list[dict[str, Any]]:
    """The cards handed to the results grid."""
    (grid,) = app.get("bidi_component")
    return json.loads(grid.proto.json)["cards"]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_on_an_empty_library(library: Library, name: str) -> None:
    app = open_page(name)
    assert not app.exception


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_on_a_filled_library(filled: Library, name: str) -> None:
    app = open_page(name)
    assert not app.exception


def test_an_empty_library_offers_the_samples_and_nothing_else_to_press(library: Library) -> None:
    app = open_page()
    assert [button.label for button in app.button] == ["Load the sample library"]


def test_a_typed_query_shows_cards_and_stands_in_the_address(filled: Library) -> None:
    app = open_page()
    app.text_input[0].set_value("a red surface").run()
    assert not app.exception
    assert cards(app)[0]["title"] == "Red film"
    assert app.query_params["q"] == "a red surface"


def test_the_address_alone_restores_a_search_with_its_filters(filled: Library) -> None:
    blue = next(video for video in filled.videos() if video.title == "Blue film")
    app = open_page(q="a red surface", video=blue.id, n="12")
    assert app.text_input[0].value == "a red surface"
    assert {card["title"] for card in cards(app)} == {"Blue film"}


def test_an_address_with_unknown_values_falls_back_to_the_usual_ones(filled: Library) -> None:
    app = open_page(q="a red surface", video="no-such-video", n="nine", option="smell")
    assert not app.exception
    assert {card["title"] for card in cards(app)} == {"Red film", "Blue film"}


def test_a_moment_in_the_address_is_searched_for(filled: Library) -> None:
    red = next(video for video in filled.videos() if video.title == "Red film")
    app = open_page(like=filled.segments(red.id)[0].id)
    assert cards(app)[0]["title"] == "Red film"
    assert cards(app)[0]["score"] == pytest.approx(1.0, abs=1e-3)


def test_a_removed_moment_in_the_address_is_explained(filled: Library) -> None:
    app = open_page(like="gone:visual:0")
    assert "no longer in the library" in texts(app)
    assert not app.exception


def test_a_query_of_ten_thousand_characters_is_explained(filled: Library) -> None:
    app = open_page()
    app.text_input[0].set_value("word " * 2000).run()
    assert "10,000" in texts(app) or "9,999" in texts(app)
    assert not app.exception


def test_words_that_are_only_spaces_search_for_nothing(filled: Library) -> None:
    app = open_page()
    app.text_input[0].set_value("   ").run()
    assert not app.exception
    assert not app.get("bidi_component")


def test_an_uploaded_picture_that_is_none_is_explained_and_can_be_removed(filled: Library) -> None:
    app = open_page()
    uploader = app.get("file_uploader")[0]
    uploader.set_value([("note.png", b"this is text", "image/png")]).run()
    assert "Picture: note.png" in texts(app)
    assert "picture" in texts(app).lower()
    assert not app.get("bidi_component")
    app.button(key="search_detach").click().run()
    assert "note.png" not in texts(app)


def test_the_status_page_says_what_is_missing_for_twelve_labs(library: Library) -> None:
    app = open_page("status")
    assert "TWELVELABS_API_KEY" in app.code[0].value
    assert library.collection in texts(app)


def test_a_wrong_setting_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEEKPOINT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEEKPOINT_SEGMENT_SEC", "soon")
    st.cache_resource.clear()
    app = open_page()
    assert "SEEKPOINT_SEGMENT_SEC" in texts(app)
    assert not app.exception


def test_a_folder_in_use_is_explained_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEEKPOINT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEEKPOINT_EMBEDDER", "local")
    st.cache_resource.clear()
    other = DataDirLock(Settings(data_dir=tmp_path).data_dir)
    app = open_page()
    assert "Another Seekpoint" in texts(app)
    other.release()
    app.button[0].click().run()
    assert "Another Seekpoint" not in texts(app)
    assert not app.exception
    st.cache_resource.clear()


def test_a_search_that_failed_can_be_tried_again_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, filled: Library
) -> None:
    monkeypatch.setenv("SEEKPOINT_ALLOW_PRIVATE_URLS", "true")
    st.cache_resource.clear()
    with Web() as web:
        address = web.put("/red.png", Page(status=503, kind="text/plain"))
        app = open_page()
        app.text_input[1].set_value(address).run()
        assert not app.get("bidi_component")
        web.put("/red.png", Page(red_picture(), "image/png"))
        next(button for button in app.button if button.label == "Try again").click().run()
    assert cards(app)[0]["title"] == "Red film"
    assert not app.exception


def test_a_picture_whose_address_ends_in_a_slash_is_named_by_its_host(filled: Library) -> None:
    app = open_page()
    app.text_input[1].set_value("http://nowhere.invalid/").run()
    assert "Picture: nowhere.invalid" in [text.value for text in app.text]


def red_picture() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (64, 36), (200, 30, 30)).save(picture, "PNG")
    return picture.getvalue()


def test_a_picture_address_that_failed_can_be_corrected(filled: Library) -> None:
    app = open_page()
    field = next(box for box in app.text_input if box.label == "or its address")
    field.set_value("http://127.0.0.1:9/typo.png").run()
    again = next(box for box in app.text_input if box.label == "or its address")
    assert again.value == "http://127.0.0.1:9/typo.png"
    assert not app.exception


def test_search_says_how_many_videos_could_not_be_added(library: Library, tmp_path: Path) -> None:
    library.wait(library.add([tmp_path / "missing.mp4"]), timeout=30)
    app = open_page()
    assert [link.label for link in app.get("page_link")] == [
        "or add your own videos",
        "1 video could not be added. See why",
    ]
