"""The media store: a folder, memory, and a small S3 that the real client talks to."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import av
import pytest
from PIL import Image

from core import Library, Settings, Stage, open_library
from core.database import Database
from core.errors import ConfigurationError, MediaError, MediaUnreachable
from core.media_store import MediaStore, StoredFile, open_media_store
from core.state import State
from core.uploads import Uploads
from tests.media import make_video, solid, uploaded
from tests.s3 import S3

CONTENT = bytes(range(256)) * 16
CONTENT_ID = "0123456789abcdef" * 2
ODD_NAME = "50% of #1, 日本?.mp4"
RED = (220, 20, 20)
TIMEOUT = 60.0


@pytest.fixture(scope="module")
def running_s3() -> Iterator[S3]:
    with S3() as s3, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", s3.origin)
        environment.setenv("AWS_ACCESS_KEY_ID", "access-key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
        yield s3


@pytest.fixture
def s3(running_s3: S3) -> S3:
    running_s3.objects.clear()
    running_s3.asked.clear()
    running_s3.down = False
    return running_s3


@pytest.fixture
def on_s3(s3: S3, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", media_url="s3://films/media")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of red."""
    path = tmp_path_factory.mktemp("film") / "red.mp4"
    picture = solid((320, 180), RED)
    return make_video(path, seconds=2, size=(320, 180), frame=lambda _: picture).read_bytes()


def file_with(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "1.part"
    path.write_bytes(content)
    return path


def read(store: MediaStore, location: Path | str) -> bytes:
    with store.opened(location) as file:
        return file.read_bytes() if isinstance(file, Path) else file.read()


# Every kind of store


@pytest.fixture(params=["", "elsewhere", "file://elsewhere", "memory://films", "s3://films/media"])
def store(request: pytest.FixtureRequest, s3: S3, tmp_path: Path) -> MediaStore:
    url = str(request.param).replace("elsewhere", f"{tmp_path}/else where")
    return open_media_store(Settings(data_dir=tmp_path / "data", media_url=url))


def test_what_is_put_in_is_found_read_and_deleted(store: MediaStore, tmp_path: Path) -> None:
    copy = store.location(CONTENT_ID, ODD_NAME)
    assert store.content_id(copy) == CONTENT_ID
    assert store.find(CONTENT_ID, len(CONTENT)) is None
    assert not store.exists(copy)
    store.put(file_with(tmp_path, CONTENT), copy)
    assert store.find(CONTENT_ID, len(CONTENT)) == copy
    assert store.find(CONTENT_ID, len(CONTENT) + 1) is None
    assert store.exists(copy)
    assert read(store, copy) == CONTENT
    told: list[float] = []
    with store.on_disk(copy, tmp_path / "tmp", told.append) as path:
        assert (path.name, path.read_bytes()) == (ODD_NAME, CONTENT)
    assert list((tmp_path / "tmp").glob("*")) == []
    store.delete(copy)
    store.delete(copy)
    assert store.served(copy) is None


def test_a_location_of_somebody_else_is_no_copy_of_ours(store: MediaStore, tmp_path: Path) -> None:
    copy = str(store.location(CONTENT_ID, "a.mp4"))
    for other in (
        copy.replace(CONTENT_ID, "films"),
        copy.replace("a.mp4", "../a.mp4"),
        copy.replace("a.mp4", "b/a.mp4"),
        f"https://films.example/{CONTENT_ID}/a.mp4",
        f"s3://other/{CONTENT_ID}/a.mp4",
        "",
    ):
        assert store.content_id(other if "://" in other else Path(other)) is None


def test_a_file_of_this_machine_is_read_from_where_it_is(store: MediaStore, tmp_path: Path) -> None:
    path = file_with(tmp_path, CONTENT)
    assert store.located(path) == store.served(path) == path
    assert read(store, path) == CONTENT
    with store.on_disk(path, tmp_path / "tmp", lambda _: None) as there:
        assert there == path


def test_a_copy_that_moved_with_all_others_is_found_by_its_name(
    store: MediaStore, tmp_path: Path
) -> None:
    here = store.location(CONTENT_ID, "a.mp4")
    before = tmp_path / "old" / "media" / CONTENT_ID / "a.mp4"
    for noted in (before, f"s3://old/{CONTENT_ID}/a.mp4", here):
        assert store.located(noted) == here
    for other in (tmp_path / "a.mp4", f"https://films.example/{CONTENT_ID}/a.mp4", Path("/")):
        assert store.located(other) == other


def test_a_copy_on_another_disk_is_there_complete_or_not_at_all(tmp_path: Path) -> None:
    other = Path("/dev/shm") / tmp_path.name
    if not other.parent.is_dir() or other.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    try:
        store = MediaStore(other)
        copy = store.location(CONTENT_ID, "a.mp4")
        store.put(file_with(tmp_path, CONTENT), copy)
        assert [path.name for path in (other / CONTENT_ID).iterdir()] == ["a.mp4"]
        assert read(store, copy) == CONTENT
    finally:
        shutil.rmtree(other, ignore_errors=True)


# A store far away


def test_a_player_is_given_the_bytes_it_asks_for_and_no_others(
    s3: S3, on_s3: Settings, tmp_path: Path
) -> None:
    store = open_media_store(on_s3)
    copy = store.location(CONTENT_ID, "a.mp4")
    store.put(file_with(tmp_path, CONTENT), copy)
    s3.asked.clear()
    served = store.served(copy)
    assert isinstance(served, StoredFile)
    assert (served.name, served.size) == ("a.mp4", len(CONTENT))
    assert served.read(1000, 1010) == CONTENT[1000:1010]
    path = f"/films/media/{CONTENT_ID}/a.mp4"
    assert s3.asked == [("HEAD", path, ""), ("GET", path, "bytes=1000-1009")]


def test_what_another_server_brings_and_takes_away_is_seen(s3: S3, on_s3: Settings) -> None:
    store = open_media_store(on_s3)
    copy = store.location(CONTENT_ID, "a.mp4")
    s3.objects[f"/films/media/{CONTENT_ID}/other.mp4"] = b"cut off"
    assert store.find(CONTENT_ID, len(CONTENT)) is None
    s3.objects[f"/films/media/{CONTENT_ID}/a.mp4"] = CONTENT
    assert store.find(CONTENT_ID, len(CONTENT)) == copy
    assert store.exists(copy)
    s3.objects.clear()
    assert not store.exists(copy)


def test_a_store_that_does_not_answer_is_an_error_of_ours_without_its_words(
    s3: S3, on_s3: Settings, tmp_path: Path
) -> None:
    store = open_media_store(on_s3)
    copy = store.location(CONTENT_ID, "a.mp4")
    store.put(file_with(tmp_path, CONTENT), copy)
    with store.opened(copy) as file:
        s3.down = True
        assert not isinstance(file, Path)
        with pytest.raises(MediaUnreachable):
            file.read()
    with pytest.raises(MediaUnreachable, match=r"a\.mp4 cannot be reached where videos are kept"):
        store.served(copy)
    with pytest.raises(MediaUnreachable):
        store.put(file_with(tmp_path, CONTENT), copy)


def test_a_copy_that_is_gone_says_so(on_s3: Settings) -> None:
    store = open_media_store(on_s3)
    with (
        pytest.raises(MediaError, match="no longer where videos are kept"),
        store.opened(store.location(CONTENT_ID, "a.mp4")),
    ):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://key:secret-word@films",
        "gs://key:secret-word@films",
        "s3://key:secret-word@films",
        "~nobody-here/films",
    ],
)
def test_an_address_that_cannot_be_opened_is_refused_without_telling_it(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match="SEEKPOINT_MEDIA_URL") as caught:
        open_media_store(Settings(data_dir=tmp_path, media_url=url))
    assert "secret-word" not in f"{caught.value} {caplog.text}"


def test_no_password_of_an_address_stands_in_a_location(tmp_path: Path) -> None:
    url = "webhdfs://somebody:secret-word@films.example/media"
    store = open_media_store(Settings(data_dir=tmp_path, media_url=url))
    copy = store.location(CONTENT_ID, "a.mp4")
    assert copy == f"webhdfs:///media/{CONTENT_ID}/a.mp4"
    assert store.content_id(copy) == CONTENT_ID


# Uploads to it


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    yield State(database, collection="ours")
    database.close()


def sent(uploads: Uploads, content: bytes) -> str:
    upload = uploads.begin("a.mp4", len(content))
    uploads.append(upload.id, 0, content)
    return upload.id


def test_an_upload_that_does_not_reach_the_store_is_brought_by_the_next_try(
    s3: S3, on_s3: Settings, state: State
) -> None:
    uploads = Uploads(on_s3.data_dir, state, open_media_store(on_s3))
    upload = sent(uploads, CONTENT)
    s3.down = True
    with pytest.raises(MediaUnreachable):
        uploads.finish(upload)
    assert (uploads.get(upload).received, uploads.copy(upload)) == (len(CONTENT), None)
    s3.down = False
    copy = uploads.finish(upload)
    assert s3.objects == {str(copy).removeprefix("s3:/"): CONTENT}
    assert list((on_s3.data_dir / "uploads").glob("*.part")) == []


@pytest.mark.parametrize(
    ("arrived", "written"), [(len(CONTENT), 0), (10, 1)], ids=["all of it", "a part of it"]
)
def test_a_server_killed_while_it_brings_a_copy_loses_nothing(
    s3: S3, on_s3: Settings, state: State, arrived: int, written: int
) -> None:
    uploads = Uploads(on_s3.data_dir, state, open_media_store(on_s3))
    upload = sent(uploads, CONTENT)
    s3.down = True
    with pytest.raises(MediaUnreachable):
        uploads.finish(upload)
    s3.down = False
    content_id = hashlib.sha256(CONTENT).hexdigest()[:32]
    copy = open_media_store(on_s3).location(content_id, "a.mp4")
    s3.objects[str(copy).removeprefix("s3:/")] = CONTENT[:arrived]
    s3.asked.clear()
    again = Uploads(on_s3.data_dir, state, open_media_store(on_s3))
    assert again.finish(upload) == copy
    assert list(s3.objects.values()) == [CONTENT]
    assert sum(method == "PUT" for method, _, _ in s3.asked) == written
    again.cancel(upload)
    assert s3.objects == {}
    assert os.listdir(on_s3.data_dir / "uploads") == []


# A library on it


def ready(library: Library, source: str | Path) -> str:
    (job,) = library.wait(library.add([source]), timeout=TIMEOUT)
    assert (job.stage, job.error) == (Stage.READY, "")
    return job.video_id


def test_an_uploaded_video_lives_in_the_store_from_its_job_to_its_removal(
    s3: S3, on_s3: Settings, tmp_path: Path, film: bytes
) -> None:
    with open_library(on_s3) as library:
        copy = uploaded(library, ODD_NAME, film)
        line = library.estimate([str(copy)]).sources[0]
        assert (line.problem, line.minutes) == ("", pytest.approx(2 / 60, abs=0.01))
        video_id = ready(library, str(copy))
        (video,) = library.videos()
        assert (video.title, video.video_url) == ("50% of #1, 日本?", str(copy))
        assert video.sha256[:32] == video_id
        assert list(s3.objects) == [f"/films/media/{video_id}/{ODD_NAME}"]
        assert isinstance(library.media_file(video_id), StoredFile)
        poster = library.poster(video_id, 1.0)
        assert poster is not None
        assert Image.open(poster).size == (320, 180)
        assert Image.open(BytesIO(library.frame(video_id, 1.0))).size == (320, 180)
        result = library.search("red")
        clips = library.cut_clips(library.findings(result), tmp_path / "clips.zip")
        with ZipFile(clips) as archive, av.open(archive.open(archive.namelist()[0])) as clip:
            assert clip.duration / 1e6 == pytest.approx(2, abs=0.1)
        assert library.load(library.export(result, "json")).moments[0].video.id == video_id
        assert ready(library, str(uploaded(library, "again.mp4", film))) == video_id
        assert len(s3.objects) == 1
        library.remove(video_id)
        assert s3.objects == {}
    assert list(on_s3.data_dir.rglob("*.mp4")) == []


def test_a_library_goes_on_when_its_copies_move_to_another_store(
    s3: S3, on_s3: Settings, film: bytes
) -> None:
    with open_library(replace(on_s3, media_url="")) as library:
        copy = uploaded(library, "red.mp4", film)
        video_id = ready(library, copy)
        assert library.media_file(video_id) == copy
    with open_library(on_s3) as library:
        assert library.media_file(video_id) == copy
        copy.unlink()
        assert library.media_file(video_id) is None
        s3.objects[f"/films/media/{video_id}/red.mp4"] = film
        assert isinstance(library.media_file(video_id), StoredFile)
        assert library.poster(video_id, 1.5) is not None
        library.remove(video_id)
        assert s3.objects == {}
