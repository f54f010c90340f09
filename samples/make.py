"""Draw the clips of our own: `python -m samples.make [--force] [file ...]`.

Clips that are there already are kept unless --force is given. The checksum of every clip that was
written goes into CREDITS.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from samples import FOLDER
from samples.films import close_ups, nature, sound, town
from samples.films.film import Film, in_turn, write_film
from samples.films.paint import Array, Scene

_SCENE_SEC = 10
_JOURNEY = (
    nature.mountain_sunrise,
    nature.hot_air_balloons,
    nature.sailing_boat,
    town.rainy_crossing,
    nature.snowy_cabin,
    town.fireworks,
)


def _journey() -> Scene:
    return in_turn(_JOURNEY, each=_SCENE_SEC)


def _journey_sound() -> Array:
    seconds = _SCENE_SEC * len(_JOURNEY)
    start = {scene: n * _SCENE_SEC for n, scene in enumerate(_JOURNEY)}
    parts: list[tuple[float, float, Array]] = [
        (0, 1.0, sound.music(seconds)),
        (start[nature.sailing_boat], 0.9, sound.waves(_SCENE_SEC, 1)),
        (start[town.rainy_crossing], 0.9, sound.rain(_SCENE_SEC, 2)),
        (start[nature.snowy_cabin], 0.07, sound.noise(_SCENE_SEC, 3, 200, 700)),
    ]
    # The first fireworks are heard before they are seen.
    for n, burst in enumerate(town.BURST_TIMES):
        parts.append((start[town.fireworks] + burst, 0.9, sound.boom(10 * n)))
    return sound.finished(sound.mix(seconds, parts))


def _lighthouse_sound(seed: int) -> Array:
    return sound.finished(sound.waves(10, seed))


def _clock_sound() -> Array:
    ticks = [(float(n), 0.6, sound.tick(bright=n % 5 == 0)) for n in range(20)]
    return sound.finished(sound.mix(20, ticks))


def _candle_sound() -> Array:
    return sound.finished(
        sound.mix(8, [(0, 0.02, sound.noise(8, 4, 60, 300)), (0, 0.6, sound.crackle(8, 5))])
    )


def _jellyfish_sound() -> Array:
    deep = sound.noise(12, 6, 40, 320)
    return sound.finished(
        sound.mix(12, [(0, 0.10, deep), (0, 0.8, sound.pad((-12, -5, 2, 4), 12))])
    )


def _eclipse_sound() -> Array:
    chords = [(0, 0.6, sound.pad((-12, -5, 0), 7)), (5, 1.0, sound.pad((-8, -1, 4, 8, 16), 7))]
    return sound.finished(sound.mix(12, chords))


FILMS = (
    # Rain, snow and sparks would need as much room as all the other clips together.
    Film("journey.mp4", 60, _journey, _journey_sound, crf=28),
    Film("lighthouse_take_1.mp4", 10, nature.lighthouse, partial(_lighthouse_sound, 7)),
    Film(
        "lighthouse_take_2.mp4",
        10,
        partial(nature.lighthouse, late=0.7, gain=1.18),
        partial(_lighthouse_sound, 8),
    ),
    Film("jellyfish.mp4", 12, close_ups.jellyfish, _jellyfish_sound),
    Film("eclipse.mp4", 12, close_ups.eclipse, _eclipse_sound),
    Film("candle.mp4", 8, close_ups.candle, _candle_sound),
    Film("timecode.mp4", 20, close_ups.wall_clock, _clock_sound),
)


def make(films: Iterable[Film] = FILMS, *, force: bool = False) -> list[Path]:
    """Write the films that are missing, or all of them; gives back what was written."""
    written = []
    for film in films:
        path = FOLDER / film.file
        if path.exists() and not force:
            continue
        unfinished = path.with_suffix(".part")
        write_film(film, unfinished)
        unfinished.replace(path)
        written.append(path)
        print(f"{film.file}  {film.seconds} s  {path.stat().st_size / 1e6:.2f} MB", flush=True)
    if written:
        _credit(written)
    return written


def _credit(paths: Sequence[Path]) -> None:
    """Enter the checksums of our own clips among the credits."""
    file = FOLDER / "CREDITS.json"
    entries = {entry["file"]: entry for entry in json.loads(file.read_text(encoding="utf-8"))}
    for path in paths:
        entries[path.name] = {
            "file": path.name,
            "source": "samples/make.py",
            "version": "1",
            "licence": "Apache-2.0",
            "attribution": "Seekpoint",
            "edit": "none: drawn and composed by code",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    content = json.dumps(list(entries.values()), indent=1, ensure_ascii=False)
    file.write_text(content + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="samples.make", description="Draw our own sample clips.")
    parser.add_argument("files", nargs="*", help="only these, for example candle.mp4")
    parser.add_argument("--force", action="store_true", help="draw clips again that exist")
    chosen = parser.parse_args()
    make([f for f in FILMS if not chosen.files or f.file in chosen.files], force=chosen.force)


if __name__ == "__main__":
    main()
