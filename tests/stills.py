"""Films made of one picture of each sample: scenes that an embedder tells apart, and finds again in
another size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

import av
import numpy as np

from core.media import frame_at
from tests.media import Picture, make_video

SAMPLES = Path(__file__).parent.parent / "samples"
CLIPS = (
    "bird_pattern",
    "bunny_intro",
    "candle",
    "city_night",
    "coin",
    "eclipse",
    "globe",
    "jellyfish",
    "lego",
    "rocket",
    "robot_arm",
    "lighthouse_take_1",
)
SCENE_SEC = 2


def film_of(path: Path, clips: Sequence[str], size: tuple[int, int] = (160, 90)) -> Path:
    """A film with a scene of two seconds for each of these samples."""
    scenes = [still(clip, size) for clip in clips]
    return make_video(
        path,
        seconds=SCENE_SEC * len(scenes),
        size=size,
        fps=8,
        audio=False,
        frame=lambda second: scenes[int(second // SCENE_SEC)],
    )


@cache
def still(clip: str, size: tuple[int, int]) -> Picture:
    """A picture of a sample."""
    return np.asarray(frame_at(SAMPLES / f"{clip}.mp4", 2.0).resize(size), dtype=np.uint8)


def dated(path: Path, recorded_at: datetime) -> Path:
    """The same film as a camera would write it: with the time at which it was recorded."""
    copy = path.with_stem(f"{path.stem} dated")
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        target.metadata["creation_time"] = recorded_at.isoformat()
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return copy
