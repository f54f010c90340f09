"""Uploads: pieces, restarts, full disks, and who keeps a copy."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.database import Database
from core.errors import UploadError
from core.media_store import MediaStore
from core.models import Video
from core.state import NewJob, State, StoredVideo
from core.uploads import MAX_UPLOAD_BYTES, Uploads

FILM = bytes(range(256)) * 40
TWO_DAYS_SEC = 2 * 24 * 3600
MEGABYTE = 1 << 20
Open = Callable[[], Uploads]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    yield State(database, collection="ours")
    database.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(data: Path, state: State) -> Open:
    """Opens the uploads as each start of the server does."""
    return lambda: opened(data, state)


@pytest.fixture
def uploads(start: Open) -> Uploads:
    return start()


def opened(data: Path, state: State) -> Uploads:
    return Uploads(data, state, MediaStore(data / "media"))


def upload(uploads: Uploads, name: str, content: bytes) -> Path:
    """Sends a file in one piece and returns the copy that waits for its job."""
    announced = uploads.begin(name, len(content))
    uploads.append(announced.id, 0, content)
    return uploads.finish(announced.id)


def files(data: Path) -> set[str]:
    """What is on the disk, by path inside the data directory."""
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


def copy_name(content: bytes, name: str) -> str:
    return f"media/{hashlib.sha256(content).hexdigest()[:32]}/{name}"


def age(data: Path) -> None:
    """As if two days had passed."""
    for path in (data / "uploads").iterdir():
        then = path.stat().st_mtime - TWO_DAYS_SEC
        os.utime(path, (then, then))


def play_from(state: State, path: Path) -> None:
    added = datetime(2026, 1, 1, tzinfo=UTC)
    video = Video("ab", "A film", path.as_uri(), 4.0, "", "test", 0, added)
    state.put_video(StoredVideo(video, path, ()))


@contextmanager
def refused(reason: str) -> Iterator[None]:
    with pytest.raises(UploadError) as caught:
        yield
    assert caught.value.reason == reason
    assert caught.value.message
    assert caught.value.hint


# On the way in


def test_a_file_sent_in_pieces_becomes_one_copy_under_its_own_name(
    uploads: Uploads, data: Path
) -> None:
    film = uploads.begin("holiday in 日本.mp4", len(FILM))
    for offset in range(0, len(FILM), 1000):
        assert uploads.get(film.id).received == offset
        assert uploads.copy(film.id) is None
        uploads.append(film.id, offset, FILM[offset : offset + 1000])
    path = uploads.finish(film.id)
    assert path.read_bytes() == FILM
    assert path == uploads.copy(film.id) == data / copy_name(FILM, "holiday in 日本.mp4")
    assert uploads.get(film.id).received == len(FILM)


def test_bytes_that_do_not_come_next_are_refused_and_change_nothing(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", 10)
    uploads.append(film.id, 0, b"0123")
    for offset in (0, 3, 5, -1):
        with refused("offset"):
            uploads.append(film.id, offset, b"xx")
    with refused("large"):
        uploads.append(film.id, 4, b"4567890")
    uploads.append(film.id, 4, b"456789")
    assert uploads.finish(film.id).read_bytes() == b"0123456789"


def test_a_file_that_is_not_all_here_is_not_finished(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", 10)
    uploads.append(film.id, 0, b"01234")
    with refused("offset"):
        uploads.finish(film.id)
    uploads.append(film.id, 5, b"56789")
    assert uploads.finish(film.id).read_bytes() == b"0123456789"


def test_finishing_again_gives_the_same_copy(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", len(FILM))
    uploads.append(film.id, 0, FILM)
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: uploads.finish(film.id), range(8)))
    assert [path.read_bytes() for path in paths] == [FILM]


@pytest.mark.parametrize(
    ("size", "reason"), [(0, "empty"), (-1, "empty"), (MAX_UPLOAD_BYTES + 1, "large")]
)
def test_a_size_that_cannot_be_is_refused_at_once(
    uploads: Uploads, data: Path, size: int, reason: str
) -> None:
    with refused(reason):
        uploads.begin("a.mp4", size)
    assert files(data) == set()


def test_a_file_of_the_largest_size_is_welcome(uploads: Uploads) -> None:
    assert uploads.begin("a.mp4", MAX_UPLOAD_BYTES).size == 4 * 1024**3


@pytest.mark.parametrize("upload_id", ["", "unknown", "../../etc/passwd", "a\0"])
def test_an_upload_nobody_announced_is_unknown(uploads: Uploads, upload_id: str) -> None:
    with refused("unknown"):
        uploads.get(upload_id)
    with refused("unknown"):
        uploads.append(upload_id, 0, b"x")
    with refused("unknown"):
        uploads.finish(upload_id)
    assert uploads.copy(upload_id) is None
    uploads.cancel(upload_id)


@pytest.mark.parametrize("name", ["a.mp4\0", "a.\udcff", "a./../../x", "a." + "x" * 300, "..", ""])
def test_an_odd_name_leads_nowhere_else(uploads: Uploads, data: Path, name: str) -> None:
    path = upload(uploads, name, FILM)
    assert path.parent.parent == data / "media"
    assert path.read_bytes() == FILM


def test_a_cancelled_upload_leaves_nothing(uploads: Uploads, data: Path) -> None:
    film = uploads.begin("a.mp4", len(FILM))
    uploads.append(film.id, 0, FILM[:100])
    uploads.cancel(film.id)
    with refused("unknown"):
        uploads.append(film.id, 100, FILM[100:])
    assert files(data) == set()


def test_two_senders_of_one_upload_never_mix_their_bytes(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", len(FILM))

    def send(_: int) -> None:
        while (at := uploads.get(film.id).received) < len(FILM):
            with suppress(UploadError):
                uploads.append(film.id, at, FILM[at : at + 97])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert uploads.finish(film.id).read_bytes() == FILM


# After a restart


def test_an_upload_goes_on_after_a_restart(start: Open) -> None:
    first = start()
    film = first.begin("a.mp4", len(FILM))
    first.append(film.id, 0, FILM[:1234])
    second = start()
    assert second.get(film.id).received == 1234
    second.append(film.id, 1234, FILM[1234:])
    path = second.finish(film.id)
    assert path.read_bytes() == FILM
    assert start().copy(film.id) == path


def test_a_finish_that_was_cut_off_before_its_move_is_done_again(start: Open, data: Path) -> None:
    uploads = start()
    film = uploads.begin("a.mp4", len(FILM))
    uploads.append(film.id, 0, FILM)
    path = uploads.finish(film.id)
    path.rename(data / "uploads" / f"{film.id}.part")
    again = start()
    assert again.copy(film.id) is None
    assert again.finish(film.id) == path


def test_what_was_left_for_a_day_is_dropped_and_what_moves_is_not(start: Open, data: Path) -> None:
    uploads = start()
    left = uploads.begin("left.mp4", 100)
    moving = uploads.begin("moving.mp4", 100)
    waiting = upload(uploads, "waiting.mp4", FILM)
    age(data)
    uploads.append(moving.id, 0, b"x")
    again = start()
    with refused("unknown"):
        again.get(left.id)
    assert again.get(moving.id).received == 1
    assert not waiting.exists()
    assert {path.name for path in (data / "uploads").iterdir()} == {
        f"{moving.id}.json",
        f"{moving.id}.part",
    }


def test_a_server_that_is_never_restarted_drops_what_was_left_too(
    uploads: Uploads, data: Path
) -> None:
    left = uploads.begin("left.mp4", 100)
    age(data)
    uploads.begin("new.mp4", 100)
    with refused("unknown"):
        uploads.get(left.id)


def test_a_copy_somebody_plays_outlives_an_upload_of_it_that_was_left(
    start: Open, data: Path, state: State
) -> None:
    path = upload(start(), "a.mp4", FILM)
    play_from(state, path)
    age(data)
    start()
    assert files(data) == {copy_name(FILM, "a.mp4")}


def test_what_a_dying_process_left_half_done_is_cleared_away(start: Open, data: Path) -> None:
    film = start().begin("a.mp4", 100)
    for name, content in [("1.json", '{"name"'), ("2.json", "[]"), ("3.part", ""), ("4.draft", "")]:
        (data / "uploads" / name).write_text(content)
    assert start().get(film.id).size == 100
    assert files(data) == {f"uploads/{film.id}.json"}


# Who keeps a copy


def test_the_same_content_under_two_names_is_one_copy(uploads: Uploads, data: Path) -> None:
    first, second = upload(uploads, "a.mp4", FILM), upload(uploads, "b.mp4", FILM)
    assert first == second
    assert {name for name in files(data) if name.startswith("media")} == {copy_name(FILM, "a.mp4")}


def test_removing_one_of_two_uploads_leaves_the_other_its_copy(uploads: Uploads) -> None:
    ids = []
    for name in ("a.mp4", "b.mp4"):
        announced = uploads.begin(name, len(FILM))
        uploads.append(announced.id, 0, FILM)
        uploads.finish(announced.id)
        ids.append(announced.id)
    path = uploads.copy(ids[1])
    assert path is not None
    uploads.cancel(ids[0])
    assert path.read_bytes() == FILM
    uploads.cancel(ids[1])
    assert not path.parent.exists()


def test_a_copy_waits_for_its_job_and_then_is_the_jobs(
    uploads: Uploads, data: Path, state: State
) -> None:
    path = upload(uploads, "a.mp4", FILM)
    uploads.discard(path)
    assert path.exists()
    state.add_jobs([NewJob(str(path), "a")])
    uploads.are_queued([str(path)])
    uploads.discard(path)
    assert files(data) == {copy_name(FILM, "a.mp4")}


def test_a_queued_upload_is_used_up(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", len(FILM))
    uploads.append(film.id, 0, FILM)
    path = uploads.finish(film.id)
    uploads.are_queued([str(path)])
    assert uploads.copy(film.id) is None
    uploads.cancel(film.id)
    assert path.exists()
    uploads.discard(path)
    assert not path.parent.exists()


def test_a_file_that_is_not_ours_is_never_deleted(uploads: Uploads, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(FILM)
    for path in (film, str(film), "https://example.org/film.mp4", None):
        uploads.discard(path)
    assert film.exists()


def test_the_end_of_a_job_never_deletes_what_a_second_upload_just_brought(
    uploads: Uploads,
) -> None:
    path = upload(uploads, "a.mp4", FILM)
    uploads.are_queued([str(path)])
    stop = threading.Event()

    def end_jobs() -> None:
        while not stop.is_set():
            uploads.discard(path)

    ender = threading.Thread(target=end_jobs)
    ender.start()
    try:
        for _ in range(50):
            assert upload(uploads, "a.mp4", FILM).read_bytes() == FILM
            uploads.are_queued([str(path)])
    finally:
        stop.set()
        ender.join()


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_file_the_disk_has_no_room_for_is_refused_before_it_is_sent(
    small_disk: Path, state: State
) -> None:
    with refused("full"):
        opened(small_disk, state).begin("a.mp4", MEGABYTE + 1)
    assert files(small_disk) == set()


def test_an_upload_goes_on_once_a_full_disk_has_room_again(small_disk: Path, state: State) -> None:
    uploads = opened(small_disk, state)
    film = uploads.begin("a.mp4", MEGABYTE // 2)
    content = os.urandom(MEGABYTE // 2)
    other = small_disk / "other"
    other.write_bytes(bytes(MEGABYTE // 4 * 3))
    with refused("full"):
        uploads.append(film.id, 0, content)
    received = uploads.get(film.id).received
    assert 0 < received < len(content)
    other.unlink()
    uploads.append(film.id, received, content[received:])
    assert uploads.finish(film.id).read_bytes() == content


def test_a_read_only_disk_says_so_and_loses_nothing(small_disk: Path, state: State) -> None:
    uploads = opened(small_disk, state)
    film = uploads.begin("a.mp4", 10)
    uploads.append(film.id, 0, b"01234")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with refused("disk"):
        uploads.append(film.id, 5, b"56789")
    with refused("disk"):
        uploads.begin("b.mp4", 10)
    with refused("disk"):
        uploads.cancel(film.id)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    uploads.append(film.id, 5, b"56789")
    assert uploads.finish(film.id).read_bytes() == b"0123456789"


def test_what_the_system_refuses_to_write_is_an_error_of_ours(uploads: Uploads) -> None:
    film = uploads.begin("a.mp4", len(FILM))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with refused("disk"):
            uploads.append(film.id, 0, FILM)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    received = uploads.get(film.id).received
    assert received == 1000
    uploads.append(film.id, received, FILM[received:])
    assert uploads.finish(film.id).read_bytes() == FILM


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(start: Open, data: Path) -> None:
    data.mkdir()
    (data / "uploads").write_text("in the way")
    with refused("disk"):
        start().begin("a.mp4", 10)
