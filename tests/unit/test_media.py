from __future__ import annotations

import hashlib
import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from core import media
from core.errors import MediaError
from tests.media import Picture, make_video, solid

SIZE = (320, 180)


def grey_clock(second: float) -> Picture:
    """A picture whose brightness tells its second: 50 steps each."""
    return solid(SIZE, (round(second * 50),) * 3)


def second_shown(picture: Image.Image) -> float:
    grey = np.asarray(picture.convert("L"), np.float64)
    return float(grey.mean() / 50)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "時計 – 10:30.mp4"
    return make_video(path, size=SIZE, frame=grey_clock)


def test_a_probe_tells_what_the_file_holds(clock: Path) -> None:
    info = media.probe(clock)
    assert info.duration == pytest.approx(4.0, abs=0.05)
    assert (info.width, info.height) == SIZE
    assert info.has_audio
    assert info.codec == "h264"
    assert info.size == clock.stat().st_size


def test_an_open_file_is_as_good_as_a_path(clock: Path) -> None:
    with clock.open("rb") as file:
        file.seek(100)
        assert media.probe(file) == media.probe(clock)
        assert second_shown(media.frame_at(file, 2.0)) == pytest.approx(2.0, abs=0.05)


def test_a_silent_webm_is_read_too(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.webm", seconds=1, audio=False, codec="libvpx-vp9")
    info = media.probe(path)
    assert (info.codec, info.has_audio) == ("vp9", False)
    assert info.duration == pytest.approx(1.0, abs=0.05)


def test_a_recording_without_duration_in_its_header_is_measured(tmp_path: Path) -> None:
    class Pipe:
        """Cannot seek, so the header is never completed."""

        def __init__(self) -> None:
            self.content = bytearray()

        def write(self, data: bytes) -> int:
            self.content += data
            return len(data)

    pipe = Pipe()
    with av.open(pipe, "w", format="webm") as output:
        stream = output.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in (0, 1, 2, 10, 11, 49):  # a variable frame rate as well
            frame = av.VideoFrame.from_ndarray(grey_clock(index / 25), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    path = tmp_path / "live.webm"
    path.write_bytes(pipe.content)
    assert media.probe(path).duration == pytest.approx(2.0, abs=0.05)
    assert second_shown(media.frame_at(path, 1.5)) == pytest.approx(11 / 25, abs=0.05)


def test_a_video_held_upright_is_read_upright(tmp_path: Path) -> None:
    def red_above_blue(_second: float) -> Picture:
        picture = solid(SIZE, (0, 0, 255))
        picture[: SIZE[1] // 2] = (255, 0, 0)
        return picture

    path = make_video(tmp_path / "v.mp4", seconds=1, size=SIZE, rotation=90, frame=red_above_blue)
    info = media.probe(path)
    assert (info.width, info.height) == (180, 320)
    picture = media.frame_at(path, 0.5)
    assert picture.size == (180, 320)
    assert picture.getpixel((20, 160))[0] > 200  # a quarter turn to the left brings the top there
    assert picture.getpixel((160, 160))[2] > 200

    media.cut(path, 0.2, 0.8, tmp_path / "cut.mp4")
    again = media.frame_at(tmp_path / "cut.mp4", 0.2)
    assert again.size == (180, 320)
    assert again.getpixel((20, 160))[0] > 200


def test_frames_come_at_the_asked_rate_with_their_seconds(clock: Path) -> None:
    found = list(media.frames(clock, fps=2))
    assert len(found) == 8
    for second, picture in found:
        assert second_shown(picture) == pytest.approx(second, abs=0.05)


def test_a_stretch_begins_with_what_is_on_the_screen(clock: Path) -> None:
    seconds = [second for second, _ in media.frames(clock, fps=2, start=1.01, end=2.2)]
    assert seconds[0] == pytest.approx(1.0)
    assert all(second < 2.2 for second in seconds)
    assert len(seconds) == 3


def test_the_picture_past_the_end_is_the_last_one(clock: Path) -> None:
    assert second_shown(media.frame_at(clock, 99)) == pytest.approx(3.96, abs=0.05)


def test_the_frame_at_a_second_is_exact_also_between_key_frames(clock: Path) -> None:
    for second in (0.0, 0.5, 1.0, 1.96, 3.3):
        assert second_shown(media.frame_at(clock, second)) == pytest.approx(second, abs=0.06)


def test_a_transport_stream_counts_from_its_own_start(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.ts", size=SIZE, frame=grey_clock)
    assert second_shown(media.frame_at(path, 2.0)) == pytest.approx(2.0, abs=0.1)


def test_a_poster_is_a_small_jpeg_and_leaves_nothing_else(clock: Path, tmp_path: Path) -> None:
    dest = tmp_path / "posters" / "p.jpg"
    media.save_poster(clock, 2.0, dest, width=160)
    with Image.open(dest) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 90))
        assert second_shown(picture) == pytest.approx(2.0, abs=0.1)
    assert list(dest.parent.iterdir()) == [dest]


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.4, 2.92), (3.0, 9.0)])
def test_a_cut_has_exactly_the_asked_stretch(
    clock: Path, tmp_path: Path, start: float, end: float
) -> None:
    dest = tmp_path / "cut.mp4"
    media.cut(clock, start, end, dest)
    info = media.probe(dest)
    assert info.duration == pytest.approx(min(end, 4.0) - start, abs=0.06)
    assert info.has_audio
    assert second_shown(media.frame_at(dest, 0)) == pytest.approx(start, abs=0.06)
    last = min(end, 4.0) - 0.04
    assert second_shown(media.frame_at(dest, 99)) == pytest.approx(last, abs=0.06)


def test_a_failed_cut_leaves_no_file(clock: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no picture after"):
        media.cut(clock, 50, 60, tmp_path / "cut.mp4")
    with pytest.raises(MediaError, match="ends before it starts"):
        media.cut(clock, 2, 2, tmp_path / "cut.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_hash_is_the_sha_256_of_the_content(clock: Path) -> None:
    assert media.content_hash(clock) == hashlib.sha256(clock.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!doctype html><title>Sign in</title>", "a page or a text"),
        ("Grüße, this is no film. ".encode() * 50, "a page or a text"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nhttp://127.0.0.1/secret\n", "a page or a text"),
        (b"ffconcat version 1.0\nfile '/etc/hosts'\n", "a page or a text"),
        (bytes(range(256)) * 40, "is not a video"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=f"^film.mp4 .*{message}"):
        media.probe(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="^gone.mp4 does not exist"):
        media.probe(tmp_path / "gone.mp4")
    with pytest.raises(MediaError, match="is a folder"):
        media.probe(tmp_path)
    with pytest.raises(MediaError, match="does not exist"):
        media.content_hash(tmp_path / "gone.mp4")


def test_an_endless_name_is_an_error_and_is_shortened(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        media.probe(tmp_path / ("長" * 300 + ".mp4"))
    assert len(caught.value.message) < 150


def test_sound_alone_has_no_picture(clock: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(clock)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(MediaError, match="has no picture"):
        media.probe(path)


def test_a_file_cut_short_gives_what_is_there_or_says_that_it_is_damaged(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mp4", size=SIZE, frame=grey_clock).read_bytes()
    start = tmp_path / "start.mp4"
    start.write_bytes(whole[: len(whole) // 2])
    assert 1 <= len(list(media.frames(start, fps=2))) <= 8

    late_index = make_video(tmp_path / "b.mp4", size=SIZE, faststart=False).read_bytes()
    start.write_bytes(late_index[: len(late_index) // 2])
    with pytest.raises(MediaError, match="damaged or incomplete"):
        media.probe(start)


def test_a_picture_is_turned_upright_and_loses_its_transparency(tmp_path: Path) -> None:
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert media.open_image(tmp_path / "turned.jpg").size == (20, 40)

    content = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(content, "PNG")
    assert media.open_image(content.getvalue()).getpixel((4, 4)) == (255, 255, 255)


def test_what_is_no_picture_or_far_too_large_is_refused(clock: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is not a picture"):
        media.open_image(clock)
    with pytest.raises(MediaError, match="does not exist"):
        media.open_image(tmp_path / "gone.png")
    content = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(content, "PNG")
    with pytest.raises(MediaError, match="too large"):
        media.open_image(content.getvalue())
    content = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(content, "PNG")
    with pytest.raises(MediaError, match="cannot be read"):
        media.open_image(content.getvalue()[:2000])


@pytest.mark.parametrize("second", [1e18, 1e300, float("inf")])
def test_the_picture_at_a_second_far_beyond_the_end_is_the_last_one(
    clock: Path, second: float
) -> None:
    beyond = np.asarray(media.frame_at(clock, second))
    assert np.array_equal(beyond, np.asarray(media.frame_at(clock, 100.0)))
