"""Numbers as people write them."""

from __future__ import annotations


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Seconds as m:ss or h:mm:ss, cut down as a player does, with tenths where they matter."""
    # Rounded first, so that 11.9999999 is 0:12.
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{milliseconds // 100}" if tenths else text


def time_left(seconds: float) -> str:
    """A remaining time, no more exact than it can be."""
    if seconds < 60:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 3600:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def count(number: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
