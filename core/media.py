"""What Seekpoint reads from media files and writes to them: probes, frames, posters, clips.

A source is a path or a seekable binary file object. Seconds count from the start of the video,
whatever its first timestamp is. Pictures are upright RGB images. Files are streamed, never read
whole into memory. Every failure is a MediaError.

What decodes runs in a worker process, as files come from anybody.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import itertools
import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import av
from PIL import Image, ImageOps, UnidentifiedImageError

from core.decoding import in_worker, still_working
from core.errors import MediaError
from core.models import MediaInfo
from core.timecode import exact_rate, frame_range

MediaFile = Path | BinaryIO

# What people take pictures in; some of the other kinds start programs to be read.
_PICTURES = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
# Playlists and the like are left out: a file that names other files or addresses must not make
# the server open them.
_CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,gif,ivf,h264,hevc,mpegvideo,m4v,"
    "mp3,wav,flac,aac,aiff,amr"
)
_OPEN_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_CLOCK = 1_000_000  # FFmpeg counts container times in microseconds
_EPSILON = 1e-6
_MAX_PIXELS = 100_000_000
# Beyond the end of every video, and as microseconds still a number that FFmpeg can hold.
_FURTHEST_SEC = 1e9
# Transport streams land late even at their first second, which may be that of the sound.
_BEFORE_ALL_SEC = -10.0
_MAX_CUT_FPS = 60
# Files that say they are older have a clock that was never set.
_FIRST_CAMERA = datetime(1990, 1, 1, tzinfo=UTC)
# What files claim beyond this is a mistake of theirs.
_MOST_FPS = 240
_USUAL_FPS = 25
# Video that any player takes, in containers that tell where its key frames are.
_COPIED_CODEC, _COPIED_PIXELS = "h264", {"yuv420p", "yuvj420p"}
_COPIED_CONTAINERS = {"mov", "matroska"}
# How far behind the last packet of a copy one of its pictures may still come.
_REORDERED_PACKETS = 32
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_AUDIO_RATE = 48_000
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
_TURN_FILTERS = {
    90: (("transpose", "cclock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "clock"),),
}


class DiskFull(MediaError):
    """There is no room for what is being written."""


@in_worker
def probe(source: MediaFile) -> MediaInfo:
    """Duration in seconds, upright size in pixels, sound, codec, size in bytes, frame rate.

    Raises:
        MediaError: missing, empty, not a video, without a picture, or damaged.
    """
    with _opened(source) as (container, stream):
        frame = next(_decoded(container, stream), None)
        if frame is None:
            raise _damaged(source)
        width, height = _upright_size(frame, stream)
        return MediaInfo(
            duration=_duration(container, stream),
            width=width,
            height=height,
            has_audio=bool(container.streams.audio),
            codec=stream.codec_context.codec.canonical_name,
            size=_size(source),
            frame_rate=_frame_rate(stream),
            recorded_at=_recorded_at(container, stream),
        )


def content_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal. Raises MediaError when it cannot be read."""
    with translated(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_text(head: bytes) -> bool:
    """Whether the beginning of a file reads as text, which no media file's does."""
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False


@in_worker
def frames(
    source: MediaFile, *, fps: float, start: float = 0.0, end: float | None = None
) -> Iterator[tuple[float, Image.Image]]:
    """Pictures from `start` up to `end`, at most `fps` a second, each with its second.

    The first one is what is on the screen at `start`, so any stretch of the video gives at least
    one picture. Holds one picture at a time.

    Raises:
        MediaError: as `probe` does.
    """
    due = float("-inf")
    with _opened(source) as (container, stream):
        for second, frame in _shown(container, stream, start, end):
            if second + _EPSILON >= due:
                # A millisecond of slack: rounded timestamps must not skip a frame.
                due = second + 1 / fps - 1e-3
                yield second, _upright(frame, stream)
    if due == float("-inf"):
        raise _damaged(source)


@in_worker
def frame_at(source: MediaFile, second: float) -> Image.Image:
    """What is on the screen at `second`; the last picture when that is past the end.

    Raises:
        MediaError: as `probe` does.
    """
    with _opened(source) as (container, stream):
        for _, frame in _shown(container, stream, second, None):
            return _upright(frame, stream)
    raise _damaged(source)


def save_poster(source: MediaFile, second: float, dest: Path, *, width: int = 480) -> None:
    """Writes the picture at `second` as a JPEG at most `width` pixels wide.

    `dest` is there complete or not at all.

    Raises:
        MediaError: as `probe` does, or when `dest` cannot be written.
    """
    with translated(dest), _written_whole(dest) as path:
        _save_poster(source, second, path, width)


@in_worker
def _save_poster(source: MediaFile, second: float, path: Path, width: int) -> None:
    picture = frame_at(source, second)
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    picture.save(path, "JPEG", quality=85, optimize=True)


def cut(source: MediaFile, start: float, end: float, dest: Path) -> None:
    """Writes the stretch from `start` to `end` as an MP4 that plays everywhere.

    Re-encoded (H.264, AAC when there is sound), because a copy could only begin at a key frame.
    `dest` is there complete or not at all.

    Raises:
        MediaError: as `probe` does, nothing between `start` and `end`, or `dest` cannot be written.
    """
    start = max(0.0, start)
    if end <= start:
        raise MediaError("This clip ends before it starts.", "Choose an end after the start.")
    with translated(dest), _written_whole(dest) as path:
        _cut(source, start, end, path)


@in_worker
def _cut(source: MediaFile, start: float, end: float, path: Path) -> None:
    with _opened(source) as (container, stream):
        frame = next(_decoded(container, stream), None)
        if frame is None:
            raise _damaged(source)
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            usual = stream.average_rate or stream.guessed_rate or _USUAL_FPS
            rate = Fraction(min(usual, _MAX_CUT_FPS))
            length = f"end={end - start}"
            tracks: list[_Track | _Copy] = [
                _video_track(container, stream, output, frame, start, rate, length)
            ]
            if _has_sound(container):
                tracks.append(_audio_track(container, output, start, end))
            _seek_before(container, stream, start)
            _transcode(container, tracks, _share(container, start, end, None))
        if not tracks[0].packets:
            raise MediaError(
                f"There is no picture after {start:.1f} s.", "Choose a start inside the video."
            )


def cut_frames(
    source: MediaFile,
    start: float,
    end: float,
    dest: Path,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Writes the frames of a stretch as an MP4, none more and none less, with their sound.

    The first frame is the one on the screen at `start`; there are as many as `frame_range` says, or
    up to the end of the video. The picture is copied where it can be cut so without loss, which
    takes a key frame at the start and a clean end, and encoded anew elsewhere (H.264); the sound is
    encoded (AAC), so that it begins with the first frame. `dest` is there complete or not at all.

    `on_progress` gets the fraction done; what it raises ends the work and passes through.

    Raises:
        DiskFull: when `dest` has no room. MediaError: as `cut` does.
    """
    with translated(dest), _written_whole(dest) as path:
        _cut_frames(source, start, end, path, on_progress)


@in_worker
def _cut_frames(
    source: MediaFile,
    start: float,
    end: float,
    path: Path,
    on_progress: Callable[[float], None] | None,
) -> None:
    with _opened(source) as (container, stream):
        rate = min(_frame_rate(stream) or Fraction(_USUAL_FPS), Fraction(_MOST_FPS))
        number, count = frame_range(start, end, rate)
        # A little into the frame that is meant: containers round when frames begin.
        within = float((number + Fraction(1, 4)) / rate)
        second, first = _frame_on_screen(container, stream, within)
        behind = second + float(count / rate)
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            tracks: list[_Track | _Copy] = []
            if _can_be_copied(container, stream, second, first, count):
                tracks.append(_Copy(stream, output, first.pts, count))
            else:
                length = f"end_frame={count}"
                tracks.append(_video_track(container, stream, output, first, second, rate, length))
            if _has_sound(container):
                tracks.append(_audio_track(container, output, second, behind))
            _seek_before(container, stream, second)
            _transcode(container, tracks, _share(container, second, behind, on_progress))


@in_worker
def open_image(source: Path | bytes) -> Image.Image:
    """A still picture as an upright RGB image; transparent parts become white.

    Raises:
        MediaError: missing, not a picture, damaged, or absurdly large.
    """
    name = _name(source) if isinstance(source, Path) else "This picture"
    try:
        file = BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=_PICTURES) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            return _rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise MediaError(
            f"{name} is too large: over {_MAX_PIXELS // 1_000_000} million pixels.",
            "Use a smaller version of it.",
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{name} is not a picture.", "Use a JPEG, PNG or WebP file.") from error
    except FileNotFoundError as error:
        raise MediaError(f"{name} does not exist.", "Check the path.") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise MediaError(f"{name} cannot be read.", "Save it again as JPEG or PNG.") from error


# Opening


@contextmanager
def _opened(source: MediaFile) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    _refuse_what_is_no_media_file(source)
    with (
        translated(source),
        av.open(_input(source), options=_OPEN_OPTIONS, metadata_errors="replace") as container,
    ):
        stream = next((s for s in container.streams.video if not _is_cover(s)), None)
        if stream is None:
            raise MediaError(f"{_name(source)} has no picture.", "Add a file that has video in it.")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        # Also of pictures that turn out larger than the header says.
        stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
        yield container, stream


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _input(source: MediaFile) -> str | BinaryIO:
    if isinstance(source, Path):
        # The prefix keeps a colon in a file name from being read as a protocol.
        return f"file:{source.absolute()}"
    source.seek(0)
    return source


def _refuse_what_is_no_media_file(source: MediaFile) -> None:
    if not isinstance(source, Path):
        return
    name = _name(source)
    with translated(source):
        if source.is_dir():
            raise MediaError(f"{name} is a folder.", "Add the files in it one by one.")
        with source.open("rb") as file:
            head = file.read(512)
    if not head:
        raise MediaError(f"{name} is empty.", "Download or export it again.")
    if is_text(head):
        raise MediaError(
            f"{name} is a page or a text, not a video.", "Download the video itself and add that."
        )


@contextmanager
def translated(source: object) -> Iterator[None]:
    """The one place where failures of files and of FFmpeg become ours, about `source`."""
    try:
        yield
    except MemoryError:
        raise  # of a worker's own limit, which ends the worker; FFmpeg's is a kind of it
    except (av.FFmpegError, OSError, ValueError) as error:  # PyAV finds some values too odd
        raise _explained(error, _name(source)) from error


def _explained(error: Exception, name: str) -> MediaError:
    if getattr(error, "errno", None) in _FULL:
        return DiskFull("The disk is full.", "Free some space on the server's disk and try again.")
    match error:
        case FileNotFoundError():
            return MediaError(f"{name} does not exist.", "Check the path.")
        case PermissionError():
            return MediaError(
                f"{name} may not be opened.", "Give the user that runs Seekpoint access to it."
            )
        case av.InvalidDataError():
            return MediaError(
                f"{name} is not a video that can be read.",
                "It may be damaged or incomplete. Convert it to MP4 (H.264) and try again.",
            )
        case av.FFmpegError():
            return MediaError(
                f"{name} cannot be read: {error.strerror}.",
                "Convert it to MP4 (H.264) and try again.",
            )
        case OSError():
            return MediaError(
                f"{name} cannot be used: {error.strerror}.", "Check the file and the disk."
            )
        case UnicodeError():
            return MediaError(f"{name} cannot be used: its name is not valid.", "Rename the file.")
    return MediaError(f"{name} cannot be read: {error}.", "Convert it to MP4 (H.264).")


def _damaged(source: MediaFile) -> MediaError:
    return MediaError(
        f"{_name(source)} has no picture that can be read.",
        "It may be damaged or incomplete. Convert it to MP4 (H.264) and try again.",
    )


def _name(source: object) -> str:
    """What a message calls a source: its file name, shortened, or simply "This file"."""
    if not isinstance(source, Path):
        return "This file"
    return source.name if len(source.name) <= 80 else f"{source.name[:60]}…{source.name[-15:]}"


def _size(source: MediaFile) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    return source.seek(0, os.SEEK_END)


# Reading frames


def _shown(
    container: av.container.InputContainer, stream: av.VideoStream, start: float, end: float | None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """What is on the screen at `start`, then every later frame before `end`."""
    held: tuple[float, av.VideoFrame] | None = None
    for second, frame in _timed(container, stream, start):
        if end is not None and second >= end - _EPSILON:
            break
        if second <= start + _EPSILON:
            held = second, frame
            continue
        if held:
            yield held
            held = None
        yield second, frame
    if held:
        yield held


def _frame_on_screen(
    container: av.container.InputContainer, stream: av.VideoStream, start: float
) -> tuple[float, av.VideoFrame]:
    """The frame that is on the screen at `start`, with its second."""
    for second, frame in _shown(container, stream, start, None):
        if start <= max(second, _duration(container, stream)):
            return second, frame
        break
    raise MediaError(f"There is no picture at {start:.1f} s.", "Choose a start inside the video.")


def _timed(
    container: av.container.InputContainer, stream: av.VideoStream, start: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their seconds, from a key frame at or before `start`."""
    if start > 0:
        _seek_before(container, stream, start)
    origin = _origin(container)
    for frame in _decoded(container, stream):
        yield frame.time - origin, frame


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        for frame in _decode(packet):
            if frame.time is not None:
                yield frame


def _decode(packet: av.Packet) -> list[av.VideoFrame | av.AudioFrame]:
    try:
        return list(packet.decode())
    except av.InvalidDataError:
        # A damaged packet is passed over, as players do; the rest may be fine.
        return []


def _seek_before(
    container: av.container.InputContainer, stream: av.VideoStream, second: float
) -> None:
    """Goes to a key frame at or before `second`."""
    _seek(container, second)
    first = next(_decoded(container, stream), None)
    # Transport streams, and files without a usable index, land late; the start is always right.
    late = first is None or first.time - _origin(container) > second + _EPSILON
    _seek(container, _BEFORE_ALL_SEC if late else second)


def _seek(container: av.container.InputContainer, second: float) -> None:
    try:
        target = min(second, _FURTHEST_SEC) + _origin(container)
        container.seek(round(target * _CLOCK), backward=True)
    except av.FFmpegError:
        # Not seekable: reading goes on from where it is, and the caller skips what is too early.
        return


def _origin(container: av.container.InputContainer) -> float:
    """The first timestamp in seconds; transport streams start anywhere."""
    return max(0, container.start_time or 0) / _CLOCK


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if container.duration:
        return float(container.duration / _CLOCK)
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Recorded streams say nothing in their header; their last packet does.
    ends = (
        float((packet.pts + (packet.duration or 0)) * stream.time_base)
        for packet in container.demux(stream)
        if packet.pts is not None
    )
    return max(max(ends, default=0.0) - _origin(container), 0.001)


def _recorded_at(container: av.container.InputContainer, stream: av.VideoStream) -> datetime | None:
    """When camera or encoder says that this was made; a clock that was never set is no witness."""
    said = container.metadata.get("creation_time") or stream.metadata.get("creation_time", "")
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if _FIRST_CAMERA <= at <= datetime.now(UTC) + timedelta(days=1) else None


def _frame_rate(stream: av.VideoStream) -> Fraction | None:
    rate = stream.guessed_rate or stream.average_rate
    return exact_rate(rate) if rate else None


def _upright(frame: av.VideoFrame, stream: av.VideoStream) -> Image.Image:
    image: Image.Image = frame.to_image()
    turn = _TURNS.get(frame.rotation % 360)
    if turn is not None:
        image = image.transpose(turn)
    size = _upright_size(frame, stream)
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def _upright_size(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height as they are seen: pixels made square, then turned."""
    aspect = stream.sample_aspect_ratio
    width = max(1, round(frame.width * aspect)) if aspect else frame.width
    return (frame.height, width) if frame.rotation % 180 else (width, frame.height)


def _rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


# Writing


@contextmanager
def _written_whole(dest: Path) -> Iterator[Path]:
    """A path to write to, renamed to `dest` when all went well and removed when not."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=dest.parent, prefix=".writing-", suffix=dest.suffix[:10])
    os.close(handle)
    path = Path(name)
    try:
        yield path
        path.chmod(0o644)
        path.replace(dest)
    finally:
        path.unlink(missing_ok=True)


class _Track:
    """One stream of a cut: decoded frames go through a chain of filters into an encoder."""

    def __init__(
        self,
        source: av.stream.Stream,
        graph: av.filter.Graph,
        encoder: av.stream.Stream,
        output: av.container.OutputContainer,
    ) -> None:
        self.source = source
        self.packets = 0
        self.complete = False
        self._graph = graph
        self._encoder = encoder
        self._output = output

    def take(self, packet: av.Packet) -> None:
        for frame in _decode(packet):
            self._push(frame)

    def finish(self) -> None:
        self._push(None)
        self._encode(None)

    def _push(self, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        """Takes the next frame; None says that no more will come."""
        try:
            self._graph.push(frame)
            while True:
                self._encode(self._graph.pull())
        except av.BlockingIOError:
            return  # the filters want more
        except av.EOFError:
            self.complete = True  # the filters saw a frame past the end

    def _encode(self, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        if frame is not None and hasattr(frame, "pict_type"):
            frame.pict_type = 0  # the encoder chooses its own key frames
        packets = self._encoder.encode(frame)
        self.packets += len(packets)
        self._output.mux(packets)


class _Copy:
    """The picture of a cut as it is: `count` packets from the key frame at `first_pts` on."""

    def __init__(
        self,
        source: av.VideoStream,
        output: av.container.OutputContainer,
        first_pts: int,
        count: int,
    ) -> None:
        self.source = source
        self.packets = 0
        self.complete = False
        self._first_pts = first_pts
        self._count = count
        self._stream = output.add_stream_from_template(source)
        self._output = output

    def take(self, packet: av.Packet) -> None:
        begins = packet.pts == self._first_pts and packet.is_keyframe
        if self.complete or packet.pts is None or not (begins or self.packets):
            return
        packet.pts -= self._first_pts
        packet.dts -= self._first_pts
        packet.stream = self._stream
        self._output.mux(packet)
        self.packets += 1
        self.complete = self.packets == self._count

    def finish(self) -> None:
        """Nothing is held back here."""


def _can_be_copied(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    second: float,
    first: av.VideoFrame,
    count: int,
) -> bool:
    """Whether `count` packets from `first` on are exactly the pictures that are shown from it on.

    Packets come in the order in which they are decoded. A copy may begin with a key frame before
    which none of its packets is shown, and end where none that is left out is shown before the last.
    """
    if not (
        first.key_frame
        and first.rotation % 360 == 0
        and stream.codec_context.name == _COPIED_CODEC
        and stream.codec_context.pix_fmt in _COPIED_PIXELS
        and _COPIED_CONTAINERS & set(container.format.name.split(","))
    ):
        return False
    _seek_before(container, stream, second)
    packets = itertools.dropwhile(
        lambda packet: packet.pts != first.pts or not packet.is_keyframe,
        (packet for packet in container.demux(stream) if packet.size),
    )
    # Only their times: all the packets of a long stretch would be too much to hold.
    times = [(p.pts, p.dts) for p in itertools.islice(packets, count + _REORDERED_PACKETS)]
    if not times or any(pts is None or dts is None for pts, dts in times):
        return False
    kept, left_out = times[:count], times[count:]
    last = max(pts for pts, _ in kept)
    return min(kept)[0] == first.pts and all(pts > last for pts, _ in left_out)


def _video_track(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    output: av.container.OutputContainer,
    frame: av.VideoFrame,
    start: float,
    rate: Fraction,
    length: str,
) -> _Track:
    """From `start` on at a constant rate; `length` is what the trim filter takes as an end. Any
    `frame` will do: it tells what all look like."""
    origin = _origin(container)
    # H.264 players want even sides.
    width, height = (max(2, side // 2 * 2) for side in _upright_size(frame, stream))
    graph = av.filter.Graph()
    _chain(
        graph,
        graph.add_buffer(template=stream),
        ("setpts", f"PTS-{origin + start}/TB"),
        # A constant rate that begins with what is on the screen at the start.
        ("fps", f"fps={rate}:start_time=0"),
        ("trim", length),
        *_TURN_FILTERS.get(frame.rotation % 360, ()),
        ("scale", f"{width}:{height}"),
        ("setsar", "1"),
        ("format", "yuv420p"),
        ("buffersink", None),
    )
    encoder = output.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    return _Track(stream, graph, encoder, output)


def _audio_track(
    container: av.container.InputContainer,
    output: av.container.OutputContainer,
    start: float,
    end: float,
) -> _Track:
    stream = container.streams.audio[0]
    origin = _origin(container)
    graph = av.filter.Graph()
    _chain(
        graph,
        graph.add_abuffer(template=stream),
        ("atrim", f"start={origin + start}:end={origin + end}"),
        ("asetpts", f"PTS-{origin + start}/TB"),
        ("aformat", f"sample_fmts=fltp:sample_rates={_AUDIO_RATE}:channel_layouts=stereo"),
        ("abuffersink", None),
    )
    encoder = output.add_stream("aac", rate=_AUDIO_RATE, layout="stereo")
    return _Track(stream, graph, encoder, output)


def _chain(
    graph: av.filter.Graph,
    source: av.filter.context.FilterContext,
    *filters: tuple[str, str | None],
) -> None:
    graph.link_nodes(source, *(graph.add(name, args) for name, args in filters)).configure()


def _has_sound(container: av.container.InputContainer) -> bool:
    if not container.streams.audio:
        return False
    # Of a codec that FFmpeg does not know, or sound that only begins late, nothing is known.
    codec = container.streams.audio[0].codec_context
    return codec is not None and codec.format is not None and codec.sample_rate > 0


def _share(
    container: av.container.InputContainer,
    start: float,
    end: float,
    on_progress: Callable[[float], None] | None,
) -> Callable[[av.Packet], None]:
    """Tells how far between `start` and `end` a packet is."""
    origin = _origin(container)

    def tell(packet: av.Packet) -> None:
        if on_progress is None:
            still_working()
        elif packet.pts is not None:
            second = float(packet.pts * packet.time_base) - origin
            on_progress(min(max(0.0, (second - start) / (end - start)), 1.0))

    return tell


def _transcode(
    container: av.container.InputContainer,
    tracks: Sequence[_Track | _Copy],
    on_packet: Callable[[av.Packet], None],
) -> None:
    by_stream = {track.source.index: track for track in tracks}
    for packet in container.demux([track.source for track in tracks]):
        on_packet(packet)
        by_stream[packet.stream.index].take(packet)
        if all(track.complete for track in tracks):
            break
    for track in tracks:
        track.finish()
