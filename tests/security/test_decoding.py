"""A file may crash its decoder, fill the memory or never end: what dies is a worker, with a message."""

from __future__ import annotations

import io
import os
import random
import resource
import select
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core import decoding, media
from core.errors import JobCancelled, MediaError
from tests.media import make_video
from tests.workers import workers_of

SIZE = (160, 90)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", size=SIZE, audio=False)


@pytest.fixture
def worker(film: Path) -> int:
    """The one worker of this process, which waits for a call."""
    end_workers()
    media.probe(film)
    [started] = workers_of(os.getpid())
    return started


def end_workers() -> None:
    for worker in workers_of(os.getpid()):
        end(worker, signal.SIGKILL)


def end(worker: int, how: signal.Signals) -> None:
    """Ends a worker that has nothing to do; whoever started it has not heard of it yet."""
    os.kill(worker, how)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


# What ends a worker


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_a_message_and_the_next_file_is_read(
    worker: int, film: Path, crash: signal.Signals
) -> None:
    pictures = media.frames(film, fps=25)
    next(pictures)
    os.kill(worker, crash)
    with pytest.raises(MediaError, match="it broke the decoder"):
        list(pictures)
    assert media.probe(film).width == SIZE[0]
    assert not is_running(worker)


def test_a_worker_that_died_while_it_had_nothing_to_do_is_nobodys_fault(
    worker: int, film: Path
) -> None:
    end(worker, signal.SIGKILL)
    assert media.probe(film).width == SIZE[0]


def test_a_file_that_takes_too_much_memory_is_given_up(worker: int, film: Path) -> None:
    vast = io.BytesIO()
    Image.new("L", (4000, 4000)).save(vast, "PNG", compress_level=1)
    taken = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.prlimit(worker, resource.RLIMIT_AS, (taken + 10_000_000, -1))
    with pytest.raises(MediaError, match="more memory"):
        media.open_image(vast.getvalue())
    assert media.open_image(vast.getvalue()).size == (4000, 4000)


def test_a_file_that_takes_too_much_time_is_given_up(worker: int, film: Path) -> None:
    pictures = media.frames(film, fps=25)
    next(pictures)
    os.kill(worker, signal.SIGXCPU)  # as the system does
    with pytest.raises(MediaError, match="takes too long"):
        list(pictures)


def test_a_worker_that_is_stuck_is_given_up(
    worker: int, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SILENCE_SEC", 0.1)
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(MediaError, match="takes too long"):
        media.probe(film)
    assert not is_running(worker)


def test_a_worker_has_limits_and_time_is_that_of_one_file(worker: int) -> None:
    ticks = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11:13]
    used = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    seconds, _ = resource.prlimit(worker, resource.RLIMIT_CPU)
    assert decoding.CPU_SEC - 1 <= seconds - used <= decoding.CPU_SEC + 1
    assert resource.prlimit(worker, resource.RLIMIT_AS)[0] == decoding.MEMORY_BYTES
    assert resource.prlimit(worker, resource.RLIMIT_CORE)[0] == 0


def test_a_worker_knows_no_keys(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end_workers()
    for name in ("TWELVELABS_API_KEY", "MILVUS_TOKEN", "DATABASE_URL", "SEEKPOINT_SECRET"):
        monkeypatch.setenv(name, "open sesame")
    media.probe(film)
    [started] = workers_of(os.getpid())
    assert "sesame" not in Path(f"/proc/{started}/environ").read_text()


def test_a_worker_ends_with_its_app_however_that_dies(film: Path) -> None:
    script = "import sys; from pathlib import Path; from core import media; "
    script += "media.probe(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(film)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as app:
        assert app.stdout is not None
        app.stdout.readline()
        [its_worker] = workers_of(app.pid)
        ended = os.pidfd_open(its_worker)
        app.kill()
    assert select.select([ended], [], [], 60)[0] == [ended]
    os.close(ended)


def test_whoever_leaves_in_the_middle_costs_nobody_anything(
    worker: int, film: Path, tmp_path: Path
) -> None:
    def stop(_: float) -> None:
        raise JobCancelled("Stop.")

    with pytest.raises(JobCancelled):
        media.cut_frames(film, 1.0, 3.0, tmp_path / "clip.mp4", on_progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert not is_running(worker)
    assert media.probe(film).width == SIZE[0]


# Pictures


def png_head(width: int, height: int) -> bytes:
    head = struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
    chunk = b"IHDR" + head
    content = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        for body in (chunk, content, b"IEND")
    )


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG that says it is of another size."""
    content = io.BytesIO()
    Image.new("RGB", (16, 16)).save(content, "JPEG")
    data = bytearray(content.getvalue())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def noisy(kind: str) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(content, kind)
    return content.getvalue()


GIF_HEAD = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(6)
PICTURES = {
    "png-of-40-gigapixels": png_head(200_000, 200_000),
    "png-of-the-largest-number": png_head(2**31 - 1, 2**31 - 1),
    "png-without-width": png_head(0, 10),
    "png-with-too-little-in-it": png_head(9000, 9000),
    "png-cut-off": noisy("PNG")[:500],
    "jpeg-of-4-gigapixels": jpeg_of(65_500, 65_500),
    "gif-of-4-gigapixels": GIF_HEAD + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0;",
    "bmp-of-4-gigapixels": b"BM"
    + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 65535, 65535, 1, 24, *[0] * 6),
    "webp-cut-off": noisy("WEBP")[:40],
    "tiff-that-points-at-itself": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "postscript-that-starts-a-program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "svg-with-an-entity": b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "html": b"<script>alert(1)</script>",
    "nothing": b"",
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_that_is_a_trap_is_refused(content: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        media.open_image(content)
    assert caught.value.hint
    assert "broke" not in caught.value.message


# Videos


def with_box(film: bytes, kind: bytes, offset: int, value: bytes) -> bytes:
    """The film with bytes of a box changed, counted from behind the box's name."""
    place = film.index(kind) + 4 + offset
    return film[:place] + value + film[place + len(value) :]


def boxes_in_boxes(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = struct.pack(">I", len(content) + 8) + b"moov" + content
    return b"\0\0\0\x14ftypisom\0\0\2\0isom" + content


def gif_film() -> bytes:
    return GIF_HEAD + b"!\xf9\x04\0\n\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0;"


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXTINF:4,\n{film}\n#EXT-X-ENDLIST\n",
    "hls-of-the-web": "#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{film}'\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{film}</BaseURL></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "mlt": '<mlt><producer><property name="resource">{film}</property></producer></mlt>',
    "subtitles": "1\n00:00:00,000 --> 00:00:04,000\n/etc/passwd\n",
}


@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS.keys())
def test_a_list_in_disguise_opens_nothing_else(film: Path, tmp_path: Path, text: str) -> None:
    content = text.format(film=film).encode()
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(MediaError):
            media.probe(source)


TRAPS: dict[str, Callable[[bytes], bytes]] = {
    "of-4-gigapixels": lambda _: gif_film(),
    "with-4-billion-samples": lambda film: with_box(film, b"stsz", 8, b"\xff" * 4),
    "with-4-billion-times": lambda film: with_box(film, b"stts", 4, b"\xff" * 4),
    "with-4-billion-chunks": lambda film: with_box(film, b"stco", 4, b"\xff" * 4),
    "whose-samples-lie-outside": lambda film: with_box(film, b"stco", 8, b"\x7f" * 4),
    "without-time": lambda film: with_box(film, b"mdhd", 12, bytes(4)),
    "that-never-ends": lambda film: with_box(film, b"mvhd", 16, b"\xff" * 4),
    "with-boxes-in-boxes": lambda _: boxes_in_boxes(20_000),
    "with-a-box-larger-than-all": lambda film: film[:4] + b"moov" + film,
    "of-zeros": lambda _: bytes(100_000),
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_a_video_that_is_a_trap_is_read_or_refused(
    film: Path, tmp_path: Path, trap: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "trap.mp4"
    path.write_bytes(trap(film.read_bytes()))
    read_or_refuse(path, tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_video_is_read_or_refused(film: Path, tmp_path: Path, seed: int) -> None:
    content = bytearray(film.read_bytes())
    dice = random.Random(seed)
    for _ in range(40):
        content[dice.randrange(len(content))] = dice.randrange(256)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    read_or_refuse(path, tmp_path)


def read_or_refuse(path: Path, folder: Path) -> None:
    refusals = []
    for read in (
        lambda: media.probe(path),
        lambda: media.frame_at(path, 2.0),
        lambda: media.cut(path, 0.5, 1.0, folder / "cut.mp4"),
    ):
        try:
            read()
        except MediaError as error:
            refusals.append(error)
    assert all(error.hint and "broke" not in error.message for error in refusals)
    assert {file.name for file in folder.iterdir()} <= {path.name, "cut.mp4"}
