"""Numbers as people write them."""

from __future__ import annotations

from core.timecode import clock

__all__ = ["clock", "count", "length", "money", "price", "size", "time_left", "time_taken"]

_UNITS = ("KB", "MB", "GB", "TB")


def time_left(seconds: float) -> str:
    """A remaining time, no more exact than it can be."""
    if seconds < 60:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 3600:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def time_taken(seconds: float) -> str:
    """How long something took."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def length(minutes: float | None) -> str:
    """The length of a video, which may be unknown."""
    return "unknown" if minutes is None else clock(minutes * 60)


def size(number_of_bytes: float | None) -> str:
    """A file's size in people's units; 1 KB is 1000 bytes, as disks and browsers count."""
    if number_of_bytes is None:
        return "unknown"
    number = number_of_bytes / 1000
    for unit in _UNITS[:-1]:
        if number < 999.5:
            break
        number /= 1000
    else:
        unit = _UNITS[-1]
    return f"{number:.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}"


def money(amount: float, currency: str) -> str:
    """An amount that somebody set, such as a budget."""
    return f"{amount:,.2f} {currency}"


def price(amount: float, currency: str) -> str:
    """An amount by the price list, which is never more than about right."""
    if 0 < amount < 0.005:
        return f"less than 0.01 {currency}"
    return f"about {money(amount, currency)}"


def count(number: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
