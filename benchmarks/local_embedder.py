"""How fast the built-in embedder is, and how much memory it takes.

    python -m benchmarks.local_embedder              # samples, or a drawn video; 1 and 10 minutes
    python -m benchmarks.local_embedder --hours 2    # memory on a long video as well

Prints seconds of video for each second of work beside the floor (decoding alone), and by how much
the process grew. Each measurement runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core import media
from core.embedders.local import FRAMES_PER_SEC, LocalEmbedder
from core.settings import Settings
from tests.media import make_video

SAMPLES = Path(__file__).parents[1] / "samples"
MINUTE = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, help="also embed a video of that many hours")
    parser.add_argument("--growth", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.growth:
        print(f"{_growth_of_embedding(options.growth):.1f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        _print_speed(sorted(SAMPLES.glob("*.mp4")) or [_long_video(Path(folder), MINUTE)])
        seconds = [MINUTE, 10 * MINUTE]
        if options.hours:
            seconds.append(options.hours * 60 * MINUTE)
        for length in seconds:
            _print_growth(_long_video(Path(folder), length), length)


def _print_speed(paths: list[Path]) -> None:
    duration = sum(media.probe(path).duration for path in paths)
    embedder = LocalEmbedder(Settings())
    embedder.embed_text("load the model first")
    decoding = _seconds_of_work(paths, _decode)
    embedding = _seconds_of_work(paths, lambda path: _embed(embedder, path))
    print(f"{len(paths)} videos, {duration:.0f} s")
    print(f"decoding alone  {duration / decoding:6.1f} s of video a second")
    print(f"embedding       {duration / embedding:6.1f} s of video a second")


def _seconds_of_work(paths: list[Path], work: Callable[[Path], None]) -> float:
    start = time.perf_counter()
    for path in paths:
        work(path)
    return time.perf_counter() - start


def _decode(path: Path) -> None:
    for _ in media.frames(path, fps=FRAMES_PER_SEC):
        pass


def _embed(embedder: LocalEmbedder, path: Path) -> None:
    embedder.embed_video(path, info=None, resume={}, on_progress=lambda _: None)


def _print_growth(path: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "benchmarks.local_embedder", "--growth", str(path)]
    start = time.perf_counter()
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    work = time.perf_counter() - start
    print(f"{seconds / 60:6.0f} min of video: {grown} MB more at the peak, {work:.0f} s")


def _growth_of_embedding(path: Path) -> float:
    """Megabytes by which embedding raised the peak of this process, after a first short video."""
    embedder = LocalEmbedder(Settings())
    with tempfile.TemporaryDirectory() as folder:
        _embed(embedder, _long_video(Path(folder), 10.0))
    before = _peak()
    _embed(embedder, path)
    return _peak() - before


def _peak() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _long_video(folder: Path, seconds: float) -> Path:
    path = folder / f"{seconds:.0f}.mp4"
    return make_video(path, seconds=seconds, size=(160, 90), fps=4, audio=False)


if __name__ == "__main__":
    main()
