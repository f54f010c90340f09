"""Seconds, frames, timecodes, and times as people say them.

A timecode counts frames as SMPTE ST 12-1 does: by the whole number next to the rate, so 24 a second
for 23.976; at 29.97 and 59.94 with drop-frame numbers, written with a semicolon, which keep to the
clock by leaving out the first numbers of every minute but each tenth.
"""

from __future__ import annotations

import math
from fractions import Fraction

# Offsets are kept in milliseconds: one that is meant as the start of a frame may lie before it.
_ROUNDED_SEC = Fraction(1, 2000) + Fraction(1, 1_000_000)
_DROPPING = {Fraction(30_000, 1001): 2, Fraction(60_000, 1001): 4}
_WHOLE_RATES = (24, 25, 30, 48, 50, 60, 120)
_EXACT_RATES = [
    *(Fraction(rate) for rate in _WHOLE_RATES),
    *(Fraction(1000 * rate, 1001) for rate in _WHOLE_RATES if rate % 25),
]
_NEAR = Fraction(1, 5000)
_FINEST = 1_000_000


def exact_rate(rate: Fraction) -> Fraction:
    """The rate that is meant: files round 24000/1001 and the like in ways of their own."""
    near = min(_EXACT_RATES, key=lambda exact: abs(exact - rate))
    return near if abs(near - rate) <= _NEAR * near else rate.limit_denominator(_FINEST)


def frame_at(second: float, rate: Fraction) -> int:
    """The number of the frame on the screen at a second that is kept in milliseconds."""
    return max(0, math.floor((Fraction(second) + _ROUNDED_SEC) * rate))


def frame_range(start: float, end: float, rate: Fraction) -> tuple[int, int]:
    """The first frame of a stretch and how many it has, at least one. Stretches that follow each
    other share no frame and leave none out."""
    first = frame_at(start, rate)
    return first, max(1, frame_at(end, rate) - first)


def timecode(frame: int, rate: Fraction) -> str:
    """A frame as hh:mm:ss:ff, or hh:mm:ss;ff where numbers are dropped."""
    base = round(rate) or 1
    dropped = _DROPPING.get(rate, 0)
    if dropped:
        tens, rest = divmod(frame, 600 * base - 9 * dropped)
        minutes = max(0, rest - dropped) // (60 * base - dropped)
        frame += dropped * (9 * tens + minutes)
    seconds, frames = divmod(frame, base)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    mark = ";" if dropped else ":"
    width = len(str(base - 1)) if base > 100 else 2
    return f"{hours:02}:{minute:02}:{second:02}{mark}{frames:0{width}}"


def timecodes(start: float, end: float, rate: Fraction | None) -> tuple[str, str]:
    """Of the first frame of a stretch, and of the first one behind it; empty when the rate is
    unknown."""
    if rate is None:
        return "", ""
    first, frames = frame_range(start, end, rate)
    return timecode(first, rate), timecode(first + frames, rate)


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Seconds as m:ss or h:mm:ss, cut down as a player does, with tenths where they matter."""
    # Rounded first, so that 11.9999999 is 0:12.
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{milliseconds // 100}" if tenths else text
