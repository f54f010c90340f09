from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zipfile import ZipFile

import av
import pytest

from core import media
from core.cutting import PROBLEMS, cut_clips
from core.errors import JobCancelled, MediaError, MediaUnreachable
from core.media import MediaFile
from core.models import Filters, Finding, Hit, Moment, Segment, Video
from core.recipe import Recipe
from core.timecode import frame_range
from tests.counted_film import (
    CLICK_EVERY,
    click_times,
    frame_numbers,
    frame_times,
    make_counted_film,
)
from tests.workers import workers_of

FRAMES = 420
KEY_EVERY = 250  # frames: hardly any clip begins with one that can be copied
PAL, NTSC = Fraction(25), Fraction(30_000, 1001)
RATES = pytest.mark.parametrize("rate", [PAL, NTSC, Fraction(24_000, 1001)], ids=str)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of each rate, named by it."""
    folder = tmp_path_factory.mktemp("films")
    for rate in (PAL, NTSC, Fraction(24_000, 1001)):
        film_of(folder, rate).parent.mkdir(exist_ok=True)
        make_counted_film(film_of(folder, rate), rate, frames=FRAMES, gop=KEY_EVERY)
    return folder


def film_of(folder: Path, rate: Fraction) -> Path:
    return folder / f"{rate.numerator}-{rate.denominator}.mp4"


def found_in(
    film: Path, start: float, end: float, *, title: str = "A film", rank: int = 1
) -> Finding:
    added_at = datetime(2026, 1, 1, tzinfo=UTC)
    video = Video(film.stem, title, film.as_uri(), 14.0, "", "m", 1, added_at)
    hit = Hit(Segment("s", film.stem, start, end), video, 0.5, {"visual": 0.5}, 1)
    moment = Moment(video, start, end, (hit,), rank)
    return Finding(f"{title}{start}", moment, Recipe.parse("x"), Filters(), "m")


@contextmanager
def from_disk(finding: Finding) -> Iterator[MediaFile]:
    yield Path(finding.moment.video.video_url.removeprefix("file://"))


def cut(findings: list[Finding], dest: Path, **changes: object) -> Path:
    told: list[float] = []
    how = {"opened": from_disk, "on_progress": told.append, "cancelled": lambda: False} | changes
    cut_clips(findings, dest, **how)  # type: ignore[arg-type]
    return dest


def clips_in(archive: Path, folder: Path) -> list[Path]:
    with ZipFile(archive) as zipped:
        zipped.extractall(folder)
        return [folder / name for name in zipped.namelist() if name.endswith(".mp4")]


# One clip


def stretches(rate: Fraction) -> list[tuple[float, float]]:
    """Some that begin on a frame, between two, on a rounded one, and on the second key frame."""
    at = [round(float(frame / rate), 3) for frame in (50, 53, KEY_EVERY, KEY_EVERY + 48)]
    return [(0.0, 2.0), (1.502, 4.0), (at[0], at[1]), (at[2], at[3]), (8.0, 9.5)]


@RATES
def test_a_clip_holds_exactly_the_frames_of_its_stretch(
    films: Path, tmp_path: Path, rate: Fraction
) -> None:
    for start, end in stretches(rate):
        clip = tmp_path / "clip.mp4"
        media.cut_frames(film_of(films, rate), start, end, clip)
        first, count = frame_range(start, end, rate)
        assert frame_numbers(clip) == list(range(first, first + count)), (start, end)
        times = frame_times(clip)
        assert times == pytest.approx([float(n / rate) for n in range(count)], abs=1e-3)
        assert media.probe(clip).frame_rate == rate


@RATES
def test_the_sound_of_a_clip_keeps_to_its_pictures(
    films: Path, tmp_path: Path, rate: Fraction
) -> None:
    for start, end in stretches(rate):
        clip = tmp_path / "clip.mp4"
        media.cut_frames(film_of(films, rate), start, end, clip)
        with_click = [
            n for n, number in enumerate(frame_numbers(clip)) if number % CLICK_EVERY == 0
        ]
        expected = [float(n / rate) for n in with_click]
        assert click_times(clip) == pytest.approx(expected, abs=0.002), (start, end)


def pictures_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(video=0) if packet.size]


def test_pictures_are_copied_where_the_stretch_begins_with_a_key_frame(
    films: Path, tmp_path: Path
) -> None:
    film = make_counted_film(tmp_path / "film.mp4", PAL, frames=100, gop=50)
    original = set(pictures_of(film))
    copied, encoded = tmp_path / "copied.mp4", tmp_path / "encoded.mp4"
    media.cut_frames(film, 2.0, 4.0, copied)
    media.cut_frames(film, 2.04, 4.0, encoded)
    assert set(pictures_of(copied)) <= original
    assert original.isdisjoint(pictures_of(encoded))
    assert frame_numbers(copied) == list(range(50, 100))
    assert frame_numbers(encoded) == list(range(51, 100))


def test_every_end_after_a_key_frame_is_exact_also_where_pictures_refer_to_later_ones(
    tmp_path: Path,
) -> None:
    film = make_counted_film(tmp_path / "film.mp4", PAL, frames=40, gop=20)
    for last in range(21, 36):
        clip = tmp_path / "clip.mp4"
        media.cut_frames(film, 20 / 25, last / 25, clip)
        assert frame_numbers(clip) == list(range(20, last))


def test_a_clip_ends_with_its_video(films: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    media.cut_frames(film_of(films, PAL), 16.0, 99.0, clip)
    assert frame_numbers(clip) == list(range(400, FRAMES))


def test_a_silent_film_of_another_codec_is_cut_too(tmp_path: Path) -> None:
    film = make_counted_film(
        tmp_path / "film.webm", NTSC, frames=60, gop=60, audio=False, codec="libvpx-vp9"
    )
    clip = tmp_path / "clip.mp4"
    media.cut_frames(film, 0.5, 1.5, clip)
    first, count = frame_range(0.5, 1.5, NTSC)
    assert frame_numbers(clip) == list(range(first, first + count))
    assert not media.probe(clip).has_audio


def test_a_transport_stream_is_cut_from_its_first_frame(tmp_path: Path) -> None:
    film = make_counted_film(tmp_path / "film.ts", PAL, frames=150, gop=250)
    clip = tmp_path / "clip.mp4"
    media.cut_frames(film, 0.0, 1.0, clip)
    assert frame_numbers(clip) == list(range(25))


@pytest.mark.parametrize("name", ["a\0b.mp4", "\ud800.mp4"])
def test_a_name_that_no_file_can_have_is_a_media_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="cannot be"):
        media.cut_frames(tmp_path / name, 0.0, 1.0, tmp_path / "clip.mp4")


def test_nothing_is_cut_behind_the_end(films: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no picture at 20.0 s"):
        media.cut_frames(film_of(films, PAL), 20.0, 21.0, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


# Many


def test_clips_are_named_by_rank_title_and_time(films: Path, tmp_path: Path) -> None:
    film = film_of(films, PAL)
    awkward = 'a/b\\c:d*e?"f<g>|\n.. ' + "長い" * 100
    archive = cut(
        [
            found_in(film, 1.0, 1.2, title="Red car", rank=1),
            found_in(film, 1.0, 1.2, title="red car", rank=1),
            found_in(film, 2.5, 2.7, title=awkward, rank=12),
            found_in(film, 3.0, 3.2, title="../..", rank=1234),
        ],
        tmp_path / "clips.zip",
    )
    with ZipFile(archive) as zipped:
        names = zipped.namelist()
    assert names[:2] == ["001 Red car 0.00.01.000.mp4", "001 red car 0.00.01.000 (2).mp4"]
    assert names[2].startswith("012 a b c d e f g .. 長い")
    assert names[2].endswith(" 0.00.02.500.mp4")
    assert len(names[2].encode()) < 200
    assert names[3] == "1234 0.00.03.000.mp4"


def test_what_cannot_be_read_is_listed_and_the_rest_is_cut(films: Path, tmp_path: Path) -> None:
    film, missing = film_of(films, NTSC), films / "missing.mp4"
    archive = cut(
        [
            found_in(missing, 1.0, 2.0, title="Gone\nfilm", rank=1),
            found_in(film, 1.0, 2.0, rank=2),
            found_in(film, 99.0, 100.0, rank=3),
        ],
        tmp_path / "clips.zip",
    )
    (clip,) = clips_in(archive, tmp_path / "out")
    first, count = frame_range(1.0, 2.0, NTSC)
    assert frame_numbers(clip) == list(range(first, first + count))
    lines = (tmp_path / "out" / PROBLEMS).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("1. Gone film, 0.00.01.000: missing.mp4 does not exist.")
    assert lines[1].startswith("3. A film, 0.01.39.000: There is no picture at 99.0 s.")
    assert len(lines) == 2


def test_progress_grows_from_nothing_to_all(films: Path, tmp_path: Path) -> None:
    told: list[float] = []
    film = film_of(films, PAL)
    findings = [found_in(film, 1.0, 2.0), found_in(film, 11.0, 13.0)]
    cut(findings, tmp_path / "clips.zip", on_progress=told.append)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert sum(0.5 < fraction < 1.0 for fraction in told) > 5
    assert all(0.0 <= fraction <= 1.0 for fraction in told)


def test_a_cancelled_cut_stops_within_a_clip_and_leaves_nothing(
    films: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    told: list[float] = []

    def tell(fraction: float) -> None:
        told.append(fraction)
        if fraction > 0.6:
            stop.set()

    film = film_of(films, PAL)
    findings = [found_in(film, 1.0, 2.0), found_in(film, 2.0, 9.0)]
    with pytest.raises(JobCancelled):
        cut(findings, tmp_path / "clips.zip", on_progress=tell, cancelled=stop.is_set)
    assert max(told) < 0.9
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_of_that_name_stays_until_the_new_one_is_complete(
    films: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "clips.zip"
    archive.write_bytes(b"earlier")
    findings = [found_in(film_of(films, PAL), 1.0, 2.0)]
    with pytest.raises(JobCancelled):
        cut(findings, archive, cancelled=lambda: True)
    assert archive.read_bytes() == b"earlier"
    assert len(clips_in(cut(findings, archive), tmp_path / "out")) == 1


@contextmanager
def disk_with(number_of_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, as on a disk that is nearly full."""
    writers = [os.getpid(), *workers_of(os.getpid())]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for writer in writers:
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (number_of_bytes, limits[1]))
    try:
        yield
    finally:
        for writer in writers:
            resource.prlimit(writer, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.99])
def test_a_full_disk_is_said_clearly_and_leaves_nothing(
    films: Path, tmp_path: Path, share: float
) -> None:
    film = film_of(films, PAL)
    findings = [found_in(film, second, second + 4.0) for second in (1.0, 5.0, 9.0)]
    archive = cut(findings, tmp_path / "clips.zip")
    room = int(share * archive.stat().st_size)
    archive.unlink()
    with disk_with(room), pytest.raises(MediaError, match="The disk is full"):
        cut(findings, tmp_path / "clips.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_clearly(films: Path, tmp_path: Path) -> None:
    findings = [found_in(film_of(films, PAL), 1.0, 2.0)]
    with pytest.raises(MediaError, match="does not exist"):
        cut(findings, tmp_path / "nowhere" / "clips.zip")


def test_a_video_that_does_not_answer_is_asked_once(films: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    @contextmanager
    def silent(finding: Finding) -> Iterator[MediaFile]:
        asked.append(finding.moment.video.id)
        raise MediaUnreachable("It does not answer.", "Try later.")
        yield

    film = film_of(films, PAL)
    findings = [found_in(film, second, second + 1.0) for second in (1.0, 2.0, 3.0)]
    archive = cut([*findings, replace(findings[0], id="again")], tmp_path / "c.zip", opened=silent)
    assert asked == [film.stem]
    with ZipFile(archive) as zipped:
        assert len(zipped.read(PROBLEMS).decode().splitlines()) == 4
