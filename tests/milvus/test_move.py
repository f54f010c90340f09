"""A library that is moved is the same library, however often the move was killed."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import Settings, Stage, open_library
from core.errors import StoreError
from core.lock import DataDirLock
from core.move import main, move
from tests.media import make_video, uploaded
from tests.milvus.conftest import emptied
from tests.milvus.rows import ADDED_AT, embedded, open_store, vector_of

VIDEOS = 5
SEGMENTS = 250
OPTIONS = ("visual", "audio")
ROWS = VIDEOS * SEGMENTS * len(OPTIONS)
WAIT_SEC = 60.0
# Forked from one that has imported everything, as in test_crash.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["core.move"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """A library of 2,500 rows."""
    with open_store(settings.milvus_uri) as store:
        for number in range(VIDEOS):
            video_id = f"video{number}"
            store.upsert(
                video_id,
                f'"{number}" 日本',
                ADDED_AT,
                embedded(video_id, SEGMENTS, options=OPTIONS),
            )
    return settings


def test_a_library_goes_to_a_server_and_back_killed_on_both_ways_and_is_the_same(
    filled: Settings, milvus_server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    there, back = emptied(milvus_server, "moved"), str(filled.data_dir / "back.db")

    kill_in_the_middle(filled, to=there)
    move(filled, to=there)
    kill_in_the_middle(filled, source=there, to=back)
    capfd.readouterr()
    move(filled, source=there, to=back)

    assert f"copied: 0 of {ROWS:,}" not in capfd.readouterr().err  # it went on
    assert contents(filled.milvus_uri) == contents(there) == contents(back)
    for moved in (there, back):
        assert answers(moved) == [
            (segment_id, pytest.approx(score, abs=1e-6))
            for segment_id, score in answers(filled.milvus_uri)
        ]
    assert list(filled.data_dir.glob("move-*")) == []


def kill_in_the_middle(settings: Settings, **ends: str) -> None:
    """Begins a move in another process and kills it once some of the rows are copied."""
    process = FORKS.Process(target=move, args=(settings,), kwargs=ends, daemon=True)
    process.start()
    wait_until(lambda: copied(settings) > 0)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def copied(settings: Settings) -> int:
    notes = [json.loads(path.read_text()) for path in settings.data_dir.glob("move-*.json")]
    return sum(rows for note in notes for _, rows in note.values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def contents(uri: str) -> dict[str, dict[str, Any]]:
    """Every row by id, with the bytes of its vector."""
    with open_store(uri) as store:
        rows = [row for page in store.pages() for row in page]
    assert len(rows) == ROWS
    return {row["id"]: row | {"embedding": row["embedding"].tobytes()} for row in rows}


def answers(uri: str) -> list[tuple[str, float]]:
    with open_store(uri) as store:
        found = store.search(vector_of("question"), limit=50)
    return [(scored.segment.id, scored.score) for scored in found]


def test_rows_that_changed_while_a_move_was_interrupted_are_not_forgotten(
    filled: Settings, tmp_path: Path
) -> None:
    target = tmp_path / "target.db"
    kill_in_the_middle(filled, to=str(target))
    with open_store(filled.milvus_uri) as store:
        store.delete(["video0:visual:0"])
        store.upsert("a-new-one", "", ADDED_AT, embedded("a-new-one", 1))

    with pytest.raises(StoreError, match="is not what was read") as told:
        move(filled, to=str(target))

    assert "Empty the target" in told.value.hint
    shutil.rmtree(target)
    move(filled, to=str(target))
    assert contents(filled.milvus_uri) == contents(str(target))


def test_a_place_that_holds_another_library_is_left_alone(
    settings: Settings, tmp_path: Path
) -> None:
    other = str(tmp_path / "other.db")
    for uri, name in ((settings.milvus_uri, "ours"), (other, "theirs")):
        with open_store(uri) as store:
            store.upsert(name, "", ADDED_AT, embedded(name, 1))

    with pytest.raises(StoreError, match="no half-done copy") as told:
        move(settings, to=other)

    assert "empty target" in told.value.hint
    with open_store(other) as store:
        assert store.ids() == {"theirs:visual:0"}


def test_a_moved_library_opens_with_its_videos_pictures_and_answers(
    settings: Settings, tmp_path: Path
) -> None:
    with open_library(settings) as library:
        video = make_video(tmp_path / "a bar.mp4", seconds=4, audio=False)
        library.add([uploaded(library, video.name, video.read_bytes())])
        assert [job.stage for job in library.wait(timeout=WAIT_SEC)] == [Stage.READY]
        before = library.search("a bar").hits
    moved = replace(
        settings,
        milvus_uri=str(tmp_path / "moved.db"),
        database_url=f"sqlite:///{tmp_path}/moved.sqlite",
    )

    said = move(settings, to=moved.milvus_uri, to_database=moved.database_url)

    assert str(settings.data_dir) in said  # the videos are still there
    shutil.rmtree(settings.milvus_uri)
    with open_library(moved) as library:
        assert library.warning == ""
        after = library.search("a bar").hits
        assert [hit.segment for hit in after] == [hit.segment for hit in before]
        assert [hit.score for hit in after] == pytest.approx([hit.score for hit in before])
        assert library.poster(after[0].video.id, 1.0)
        assert [job.stage for job in library.jobs()] == [Stage.READY]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "There is nowhere to move to."),
        (["--to", "here.db", "--from", "here.db"], "to where it is"),
        (["--to", "there.db"], "There is no collection of Seekpoint"),
    ],
)
def test_the_command_says_what_is_wrong_and_what_to_do(
    given: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(given) == 1
    message, hint = capsys.readouterr().err.splitlines()
    assert told in message
    assert hint.endswith(".")
    assert list(tmp_path.rglob("*.db")) == []


def test_nothing_is_moved_while_the_app_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEEKPOINT_DATA_DIR", str(tmp_path))
    lock = DataDirLock(tmp_path)
    assert main(["--to", "there.db"]) == 1
    lock.release()
    assert "Another Seekpoint" in capsys.readouterr().err
