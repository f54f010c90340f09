"""A film: how long it is, what it shows and what it sounds like, and how it becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samples.films.paint import FRAMES_PER_SECOND, HEIGHT, WIDTH, Array, Canvas, Scene, smooth
from samples.films.sound import RATE

_SECONDS_BETWEEN_KEY_FRAMES = 2
_CONTAINER_OPTIONS = {"movflags": "+faststart"}
# A fixed number of threads: the encoder's output depends on it.
_VIDEO_OPTIONS = {
    "preset": "slow",
    "g": str(_SECONDS_BETWEEN_KEY_FRAMES * FRAMES_PER_SECOND),
    "threads": "2",
}


@dataclass(frozen=True, slots=True)
class Film:
    """`scene` and `sound` are made only when the film is: both cost time and memory.

    `crf` is how much the encoder may lose; every 6 more halve the size of the file.
    """

    file: str
    seconds: int
    scene: Callable[[], Scene]
    sound: Callable[[], Array]
    crf: int = 23


def in_turn(scenes: Sequence[Callable[[], Scene]], *, each: float, blend: float = 0.5) -> Scene:
    """Scenes of `each` seconds one after the other, every one dissolving into the next."""
    prepared = [scene() for scene in scenes]

    def at(second: float) -> Canvas:
        number = min(int(second / each), len(prepared) - 1)
        within = second - number * each
        canvas = prepared[number](within)
        if number and within < blend:
            before = prepared[number - 1](each + within)
            canvas.pixels += (1 - smooth(within, 0, blend)) * (before.pixels - canvas.pixels)
        return canvas

    return at


def write_film(film: Film, path: Path) -> None:
    """Draw, encode and mux: H.264 and AAC in an MP4 that starts playing before it is loaded."""
    scene, sound = film.scene(), film.sound()
    with av.open(str(path), "w", format="mp4", options=_CONTAINER_OPTIONS) as container:
        options = {"crf": str(film.crf), **_VIDEO_OPTIONS}
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 64_000
        # Second by second, so that picture and sound lie side by side in the file.
        for second in range(film.seconds):
            for number in range(FRAMES_PER_SECOND):
                picture = scene(second + number / FRAMES_PER_SECOND).image()
                frame = av.VideoFrame.from_image(picture)
                frame.pts = second * FRAMES_PER_SECOND + number
                frame.time_base = Fraction(1, FRAMES_PER_SECOND)
                container.mux(video.encode(frame))
            container.mux(audio.encode(_sound_of(sound, second)))
        container.mux(video.encode())
        container.mux(audio.encode())


def _sound_of(sound: Array, second: int) -> av.AudioFrame:
    samples = np.ascontiguousarray(sound[None, second * RATE : (second + 1) * RATE], np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate = RATE
    frame.pts = second * RATE
    frame.time_base = Fraction(1, RATE)
    return frame
