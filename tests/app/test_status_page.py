"""The Status page: what whoever runs the app is told."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import Library
from tests.app.conftest import open_page, texts


def values(app: AppTest) -> dict[str, str]:
    """The facts of the page by their names: a caption with the text beside it."""
    shown = [element for element in app.main if element.type in {"caption", "text"}]
    return {
        name.value: value.value
        for name, value in pairwise(shown)
        if (name.type, value.type) == ("caption", "text")
    }


def test_it_tells_rows_queue_disk_and_times_of_what_was_done(filled: Library) -> None:
    filled.search("a red car")
    filled.search("a red car")
    app = open_page("status")
    assert not app.exception
    facts = values(app)
    rows = sum(video.segments for video in filled.videos())
    assert facts["Rows"] == f"{rows:,} stored, {rows:,} on record"
    assert facts["Store"] == "Milvus Lite file"
    assert facts["Queue"] == "2 ready"
    assert facts["Cache"] == "50% of 2 questions needed no new vector"
    assert "free of" in facts["Disk"]
    assert facts["Data folder"] == str(filled.settings.data_dir)
    times = app.dataframe[0].value.set_index("What")
    assert times.loc["Search", "Count"] == 2
    assert times.loc["Search: store", "Count"] == 2
    assert times.loc["Adding: embedding", "Count"] == 2


def test_what_needs_a_look_stands_above_with_what_to_do(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.wait(library.add([tmp_path / "missing.mp4"]), timeout=60)
    library.pause()
    full = type("Usage", (), {"free": 10_000_000, "total": 1_000_000_000, "used": 0})()
    monkeypatch.setattr("core.library.shutil.disk_usage", lambda _: full)
    shown = texts(open_page("status"))
    assert "The queue is paused by the user." in shown
    assert "1 video could not be added. The Library page says why." in shown
    assert "The disk of the data folder is nearly full: 10 MB left." in shown


def test_an_empty_library_has_no_times_and_nothing_to_look_at(library: Library) -> None:
    app = open_page("status")
    shown = texts(app)
    assert "Nothing was searched or added yet." in shown
    assert "paused" not in shown
    assert values(app)["Cache"] == "nothing was searched yet"
