"""Sounds made of sines and noise: one channel, float32 from -1 to 1, 44,100 samples a second."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from samples.films.paint import Array, floats

RATE = 44_100

# Semitones above the A at 110 Hz: one chord a bar, one bar of 2.5 seconds.
_SONG = ((0, 7, 12, 16), (-4, 3, 8, 12), (-7, 5, 9, 12), (-5, 2, 7, 11))
_BAR = 2.5


def silence(seconds: float) -> Array:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def mix(seconds: float, parts: Iterable[tuple[float, float, Array]]) -> Array:
    """Sounds laid over each other; each part is (start in seconds, loudness, sound)."""
    track = silence(seconds)
    for start, loudness, sound in parts:
        room = track[round(start * RATE) :]
        piece = sound[: len(room)]
        room[: len(piece)] += np.float32(loudness) * piece
    return track


def finished(track: Array) -> Array:
    """Faded in and out, and as loud as it may be without clipping."""
    edge = np.linspace(0, 1, RATE // 4)
    track = np.tanh(track)
    track[: len(edge)] *= edge
    track[-len(edge) :] *= edge[::-1]
    return (0.8 * track / max(float(np.abs(track).max()), 1e-6)).astype(np.float32)


def noise(seconds: float, seed: int, low: float, high: float) -> Array:
    """A hush between two frequencies in Hz, of loudness 1."""
    length = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    pitch = np.fft.rfftfreq(length, 1 / RATE)
    passed = 1 / (1 + (low / np.maximum(pitch, 1)) ** 4) / (1 + (pitch / high) ** 4)
    hush = np.fft.irfft(spectrum * passed, length)
    return floats(hush / hush.std())


def waves(seconds: float, seed: int) -> Array:
    """Surf that comes and goes."""
    time = _time(seconds)
    swell = 0.25 + 0.75 * (0.5 + 0.5 * np.sin(2 * np.pi * time / 4.6)) ** 2
    return floats(0.16 * noise(seconds, seed, 120, 1800) * swell)


def rain(seconds: float, seed: int) -> Array:
    """A steady hiss with single drops in it."""
    drops = silence(seconds)
    random = np.random.default_rng(seed)
    for place in random.integers(0, len(drops) - 900, round(seconds * 60)):
        ring = np.sin(np.arange(900) * (0.12 + 0.3 * random.random()))
        drops[place : place + 900] += 0.25 * random.random() * ring * np.exp(-np.arange(900) / 120)
    return 0.09 * noise(seconds, seed, 900, 9000) + drops


def crackle(seconds: float, seed: int) -> Array:
    """Sparse snaps, as of a flame or of sparks."""
    snaps = silence(seconds)
    random = np.random.default_rng(seed)
    for place in random.integers(0, len(snaps) - 400, round(seconds * 14)):
        burst = random.standard_normal(400) * np.exp(-np.arange(400) / 40)
        snaps[place : place + 400] += 0.5 * random.random() ** 3 * burst
    return snaps


def boom(seed: int) -> Array:
    """A far explosion with sparks that crackle after it."""
    time = _time(2.2)
    thump = noise(2.2, seed, 30, 260) * np.exp(-time * 3.2)
    sparks = 0.8 * crackle(2.2, seed + 1) * np.exp(-((time - 0.9) ** 2) / 0.2)
    return floats(0.30 * thump + sparks)


def tick(*, bright: bool) -> Array:
    """One tick of a clock; the bright one marks a round number."""
    time = _time(0.09)
    pitch = 2600 if bright else 1700
    return floats(np.sin(2 * np.pi * pitch * time) * np.exp(-time * 90))


def pluck(semitones: float, seconds: float = 1.8) -> Array:
    """One note of a music box, `semitones` above A at 220 Hz."""
    time = _time(seconds)
    pitch = 2 * np.pi * 220 * 2 ** (semitones / 12)
    tone = sum(
        np.sin(n * pitch * time) * np.exp(-time * (2 + 1.5 * n)) / n**1.5 for n in (1, 2, 3, 4)
    )
    return (np.asarray(tone) * np.minimum(1, time * 200)).astype(np.float32)


def pad(semitones: Iterable[float], seconds: float) -> Array:
    """A soft chord that swells and dies away."""
    time = _time(seconds)
    chord = np.zeros_like(time)
    for note in semitones:
        pitch = 2 * np.pi * 110 * 2 ** (note / 12)
        for detuned in (0.997, 1.0, 1.004):
            chord += np.sin(detuned * pitch * time) + 0.3 * np.sin(2 * detuned * pitch * time)
    shape = np.minimum(1, np.minimum(time / 0.8, (seconds - time) / 0.9))
    return floats(0.03 * chord * shape)


def music(seconds: float) -> Array:
    """A calm tune: chords underneath, a broken chord on a music box above."""
    parts: list[tuple[float, float, Array]] = []
    for bar in range(int(seconds / _BAR) + 1):
        chord = _SONG[bar % len(_SONG)]
        parts.append((bar * _BAR, 0.55, pad(chord, _BAR + 0.9)))
        for n, step in enumerate((0, 2, 3, 1, 2, 3)):
            parts.append((bar * _BAR + n * _BAR / 6, 0.16, pluck(chord[step] + 12)))
    return mix(seconds, parts)


def _time(seconds: float) -> Array:
    return np.arange(round(seconds * RATE), dtype=np.float32) / RATE
