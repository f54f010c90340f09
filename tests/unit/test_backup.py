from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core import Settings, Stage, open_library
from core.backup import back_up, main, restore
from core.errors import ConfigurationError, StoreError
from tests.found import alike
from tests.full_disk import files_no_larger_than
from tests.media import make_video, uploaded

WAIT_SEC = 60.0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A closed library of one uploaded video, whose poster was seen."""
    folder = tmp_path_factory.mktemp("library")
    settings = Settings(data_dir=folder / "data")
    with open_library(settings) as opened:
        video = make_video(folder / "a bar.mp4", seconds=4, audio=False)
        opened.add([uploaded(opened, video.name, video.read_bytes())])
        assert [job.stage for job in opened.wait(timeout=WAIT_SEC)] == [Stage.READY]
        opened.poster(opened.videos()[0].id, 1.0)
    return settings


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    """A data folder with a file and a database."""
    settings = Settings(data_dir=tmp_path / "data")
    (settings.data_dir / "media").mkdir(parents=True)
    (settings.data_dir / "media" / "large.mp4").write_bytes(bytes(300_000))
    (settings.data_dir / "media" / "small.mp4").write_bytes(b"small")
    with closing(sqlite3.connect(settings.data_dir / "seekpoint.db")) as database:
        database.execute("CREATE TABLE t AS SELECT 'first' AS word")
        database.commit()
    return settings


def elsewhere(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "another machine" / "data")


def test_a_library_that_is_brought_back_elsewhere_is_the_same_library(
    library: Settings, tmp_path: Path
) -> None:
    back_up(library, tmp_path / "backup")
    with open_library(library) as opened:
        before = opened.search("a bar").moments
    shutil.move(library.data_dir, tmp_path / "gone")

    restore(elsewhere(tmp_path), tmp_path / "backup")

    with open_library(elsewhere(tmp_path)) as opened:
        assert opened.warning == ""
        assert opened.search("a bar").moments == alike(before)
        [video] = opened.videos()
        assert list((opened.settings.data_dir / "posters" / video.id).glob("*.jpg"))
        assert opened.poster(video.id, 3.0)  # a new one, so its file was found
        assert [job.stage for job in opened.jobs()] == [Stage.READY]
    shutil.move(tmp_path / "gone", library.data_dir)


def test_a_backup_that_was_ended_goes_on_and_takes_what_changed_meanwhile(
    data: Settings, tmp_path: Path
) -> None:
    small = tmp_path / "backup" / "files" / "media" / "small.mp4"
    (data.data_dir / "media" / "zoo.mp4").write_bytes(bytes(400_000))
    with files_no_larger_than(350_000), pytest.raises(StoreError, match="large") as told:
        back_up(data, tmp_path / "backup")
    assert "goes on" in told.value.hint
    with pytest.raises(StoreError, match="not complete"):
        restore(elsewhere(tmp_path), tmp_path / "backup")

    copied = small.stat()
    (data.data_dir / "media" / "zoo.mp4").unlink()
    with closing(sqlite3.connect(data.data_dir / "seekpoint.db")) as database:
        database.execute("INSERT INTO t VALUES ('second')")
        database.commit()
    back_up(data, tmp_path / "backup")
    assert small.stat().st_ctime_ns == copied.st_ctime_ns  # not once more
    with closing(sqlite3.connect(tmp_path / "backup" / "files" / "seekpoint.db")) as copy:
        assert copy.execute("SELECT word FROM t").fetchall() == [("first",), ("second",)]


def test_bringing_back_goes_on_where_it_was_ended(data: Settings, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    target = elsewhere(tmp_path)
    with files_no_larger_than(250_000), pytest.raises(StoreError):
        restore(target, tmp_path / "backup")
    assert not (target.data_dir / "media").exists()  # all or nothing

    restore(target, tmp_path / "backup")
    # As after an end between two of the last steps.
    (target.data_dir / "restored").mkdir()
    (target.data_dir / "media").rename(target.data_dir / "restored" / "media")
    restore(target, tmp_path / "backup")

    assert {path.name for path in target.data_dir.iterdir()} == {
        "media",
        "seekpoint.db",
        "seekpoint.lock",
    }
    for name in ("media/large.mp4", "media/small.mp4"):
        assert (target.data_dir / name).read_bytes() == (data.data_dir / name).read_bytes()


def test_a_damaged_backup_is_told_and_changes_nothing(data: Settings, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    (tmp_path / "backup" / "files" / "media" / "small.mp4").write_bytes(b"smell")

    with pytest.raises(StoreError, match=r"small\.mp4 is damaged"):
        restore(elsewhere(tmp_path), tmp_path / "backup")

    assert not (elsewhere(tmp_path).data_dir / "media").exists()


def test_a_manifest_leads_nowhere_else(data: Settings, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    noted = json.loads(manifest.read_text())
    noted["files"]["../../outside"] = noted["files"].pop("media/small.mp4")
    manifest.write_text(json.dumps(noted))

    with pytest.raises(StoreError, match="no backup"):
        restore(elsewhere(tmp_path), tmp_path / "backup")


def test_a_backup_says_what_is_not_in_the_data_folder(data: Settings, tmp_path: Path) -> None:
    assert "Not in" not in back_up(data, tmp_path / "one")
    scattered = Settings(
        data_dir=data.data_dir,
        milvus_uri="http://milvus:19530",
        database_url="postgresql://seekpoint@db/seekpoint",
        media_url="s3://bucket/videos",
    )
    said = back_up(scattered, tmp_path / "two")
    assert "MILVUS_URI" in said
    assert "DATABASE_URL" in said
    assert "SEEKPOINT_MEDIA_URL" in said


def test_nothing_is_overwritten(data: Settings, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="complete backup"):
        back_up(data, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="is not empty"):
        back_up(data, data.data_dir.parent)
    with pytest.raises(ConfigurationError, match="outside"):
        back_up(data, data.data_dir / "backup")
    with pytest.raises(ConfigurationError, match="is not empty"):
        restore(data, tmp_path / "backup")


def test_the_app_must_not_run_meanwhile(
    library: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SEEKPOINT_DATA_DIR", str(library.data_dir))
    with open_library(library):
        assert main(["--to", str(tmp_path / "backup")]) == 1
    message, hint = capsys.readouterr().err.splitlines()
    assert "Another Seekpoint" in message
    assert hint
    assert main(["--to", str(tmp_path / "backup")]) == 0
    assert str(tmp_path / "backup") in capsys.readouterr().out
