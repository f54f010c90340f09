"""What each page shows and does, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

from core import Library, Settings
from core.lock import DataDirLock
from tests.app.conftest import open_page, texts

PAGES = ("search", "library", "explore", "status")


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


def test_search_says_how_many_videos_could_not_be_added(library: Library, tmp_path: Path) -> None:
    library.wait(library.add([tmp_path / "missing.mp4"]), timeout=30)
    app = open_page()
    assert [link.label for link in app.get("page_link")] == [
        "or add your own videos",
        "1 video could not be added. See why",
    ]
