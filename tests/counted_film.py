"""Films that carry the number of every frame in their picture, and a click every 25 frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.media import SAMPLE_RATE

CLICK_EVERY = 25
_BITS = 12
_BLOCK = 16
SIZE = (_BITS * _BLOCK, 64)
_CLICK_SEC = 0.01


def make_counted_film(
    path: Path, rate: Fraction, *, frames: int, gop: int, audio: bool = True, codec: str = "libx264"
) -> Path:
    """Writes a film of `frames` frames with a key frame every `gop`, and its B-frames between."""
    options = {"crf": "18", "bf": "2"}
    if codec == "libx264":
        options["x264-params"] = "scenecut=0"  # no key frames but those asked for
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=rate, options=options)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.codec_context.gop_size = gop
        sound = output.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if audio else None
        chunks = list(_chunks(_clicks(frames, rate))) if audio else []
        for number in range(frames):
            # Side by side, as films are: what comes late in a file is hard to find.
            while sound is not None and chunks and chunks[0].pts / SAMPLE_RATE <= number / rate:
                output.mux(sound.encode(chunks.pop(0)))
            picture = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
            picture.pts, picture.time_base = number, 1 / rate
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        if sound is not None:
            for chunk in chunks:
                output.mux(sound.encode(chunk))
            output.mux(sound.encode(None))
    return path


def frame_numbers(path: Path) -> list[int]:
    """The numbers in the pictures of a film, in the order in which they are shown."""
    with av.open(str(path)) as film:
        return [_number(frame) for frame in film.decode(video=0)]


def frame_times(path: Path) -> list[float]:
    """The seconds at which the pictures of a film are shown."""
    with av.open(str(path)) as film:
        return [float(frame.time) for frame in film.decode(video=0)]


def click_times(path: Path) -> list[float]:
    """The seconds at which clicks begin in the sound of a film."""
    with av.open(str(path)) as film:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        pieces = []
        begin = None
        for frame in film.decode(audio=0):
            begin = float(frame.time) if begin is None else begin
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    loud = np.abs(np.concatenate(pieces)) > 0.1
    beginnings = np.flatnonzero(loud & ~np.roll(loud, 1))
    times = [(begin or 0.0) + float(at) / SAMPLE_RATE for at in beginnings]
    return [t for n, t in enumerate(times) if n == 0 or t - times[n - 1] > 4 * _CLICK_SEC]


def _picture(number: int) -> NDArray[np.uint8]:
    bits = [number >> bit & 1 for bit in range(_BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 255, _BLOCK)
    return np.broadcast_to(row[None, :, None], (SIZE[1], SIZE[0], 3)).copy()


def _number(frame: av.VideoFrame) -> int:
    grey = frame.to_ndarray(format="gray")
    blocks = grey.reshape(grey.shape[0], _BITS, -1).mean(axis=(0, 2))
    return sum(1 << bit for bit in range(_BITS) if blocks[bit] > 127)


def _clicks(frames: int, rate: Fraction) -> NDArray[np.float32]:
    sound = np.zeros(round(frames / rate * SAMPLE_RATE), np.float32)
    length = round(_CLICK_SEC * SAMPLE_RATE)
    wave = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(length) / SAMPLE_RATE)
    for number in range(0, frames, CLICK_EVERY):
        begin = round(number / rate * SAMPLE_RATE)
        sound[begin : begin + length] = wave[: len(sound) - begin]
    return sound


def _chunks(sound: NDArray[np.float32]) -> Iterator[av.AudioFrame]:
    for start in range(0, len(sound), 4096):
        chunk = av.AudioFrame.from_ndarray(
            sound[None, start : start + 4096], format="fltp", layout="mono"
        )
        chunk.sample_rate, chunk.pts = SAMPLE_RATE, start
        chunk.time_base = Fraction(1, SAMPLE_RATE)
        yield chunk
