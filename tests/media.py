"""Small test videos, made on the spot: known pictures at known seconds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from core import Library
from core.media_store import Location

Picture = NDArray[np.uint8]  # (height, width, 3), RGB
SAMPLE_RATE = 48_000


def solid(size: tuple[int, int], colour: tuple[int, int, int]) -> Picture:
    width, height = size
    return np.full((height, width, 3), colour, dtype=np.uint8)


def make_video(
    path: Path,
    *,
    seconds: float = 4.0,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    audio: bool = True,
    sample_rate: int = SAMPLE_RATE,
    frame: Callable[[float], Picture] | None = None,
    codec: str = "libx264",
    rotation: int = 0,
    faststart: bool = True,
) -> Path:
    """Writes a video (the suffix of `path` chooses the container) and returns its path.

    `frame(second)` draws a picture of `size`; without it a bar moves over a coloured ground. The
    sound is a 440 Hz tone. `rotation` is stored beside the stored pictures, as phones do.
    """
    draw = frame or (lambda second: _moving_bar(size, second / seconds))
    options = {"movflags": "+faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as output:
        video = output.add_stream(codec, rate=fps)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.gop_size = fps
        if rotation:
            video.set_display_rotation(rotation)
        sound = output.add_stream(_sound_codec(path), rate=sample_rate) if audio else None
        for index in range(max(1, round(seconds * fps))):
            picture = av.VideoFrame.from_ndarray(draw(index / fps), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        if sound is not None:
            _write_tone(output, sound, seconds)
    return path


def _moving_bar(size: tuple[int, int], position: float) -> Picture:
    picture = solid(size, (40, 90, 160))
    left = int(position * size[0] * 0.9)
    picture[:, left : left + max(2, size[0] // 10)] = (240, 200, 60)
    return picture


def _sound_codec(path: Path) -> str:
    return "libopus" if path.suffix == ".webm" else "aac"


def _write_tone(output: av.container.OutputContainer, stream: av.AudioStream, sec: float) -> None:
    rate = stream.rate
    times = np.arange(int(sec * rate)) / rate
    tone = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    for start in range(0, len(tone), 4096):
        chunk = av.AudioFrame.from_ndarray(
            tone[None, start : start + 4096], format="fltp", layout="mono"
        )
        chunk.sample_rate, chunk.pts = rate, start
        chunk.time_base = Fraction(1, rate)
        output.mux(stream.encode(chunk))
    output.mux(stream.encode(None))


def uploaded(library: Library, name: str, content: bytes) -> Location:
    """The library's own copy of a file that came in under `name`."""
    upload = library.uploads.begin(name, len(content))
    library.uploads.append(upload.id, 0, content)
    return library.uploads.finish(upload.id)
