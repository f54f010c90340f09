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
from tests.app.conftest import open_page
from tests.media import make_video
from tests.web import Page, Web

PAGES = ("search", "library", "status")


def texts(app: AppTest) -> str:
    """Every word of the page that is plain text, markdown or a caption."""
    return "\n".join(
        element.value for kind in ("text", "markdown", "caption") for element in app.get(kind)
    )


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


def test_a_page_address_fails_its_own_job_and_says_why(library: Library) -> None:
    app = open_page("library")
    app.text_area(key="add_sources").set_value("https://www.youtube.com/watch?v=abc").run()
    app.button(key="add").click().run()
    library.wait(timeout=30)
    app.run()
    assert not app.exception
    assert "YouTube" in texts(app)


def test_a_video_is_removed_only_after_a_second_press(filled: Library) -> None:
    video = filled.videos()[0]
    app = open_page("library")
    app.button(key=f"remove-{video.id}").click().run()
    assert len(filled.videos()) == 2
    app.button(key="confirm-removal").click().run()
    assert [v.id for v in filled.videos()] != [video.id]
    assert len(filled.videos()) == 1
    assert not app.exception


def test_titles_reach_the_screen_as_text(library: Library, tmp_path: Path) -> None:
    title = "<img src=x onerror=alert(1)> **bold** 東京 $x$"
    library.add([make_video(tmp_path / "v.mp4", seconds=4.0)], titles=[title])
    library.wait(timeout=60)
    app = open_page("library")
    assert title in [text.value for text in app.text]
    assert title not in "".join(markdown.value for markdown in app.markdown)


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


def test_a_failed_job_can_be_tried_again_and_dismissed(library: Library, tmp_path: Path) -> None:
    (job,) = library.wait(library.add([tmp_path / "missing.mp4"]), timeout=30)
    app = open_page("library")
    assert "does not exist" in texts(app)
    app.button(key=f"Try again-{job.id}").click().run()
    (again,) = library.wait(timeout=30)
    assert (again.id, again.attempts) == (job.id, 2)
    app.run()
    app.button(key=f"Dismiss-{job.id}").click().run()
    assert library.jobs() == []
    assert "does not exist" not in texts(app)
    assert not app.exception


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


def test_what_went_wrong_with_a_job_and_what_to_do_are_two_lines(
    library: Library, tmp_path: Path
) -> None:
    (job,) = library.wait(library.add([tmp_path / "missing.mp4"]), timeout=30)
    lines = [text.value for text in open_page("library").text]
    assert job.error in lines
    assert job.hint in lines


def red_picture() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (64, 36), (200, 30, 30)).save(picture, "PNG")
    return picture.getvalue()


def test_a_server_path_in_the_form_is_refused_and_what_was_typed_stays(library: Library) -> None:
    app = open_page("library")
    app.text_area(key="add_sources").set_value("https://example.org/a.mp4\n/etc/passwd").run()
    app.button(key="add").click().run()
    assert "/etc/passwd is no address." in texts(app)
    assert "/etc/passwd" in app.text_area(key="add_sources").value
    assert library.jobs() == []


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
