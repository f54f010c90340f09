"""A question as the query of an address, and back.

Words stand in it as typed, with the filters under short names; a single moment as `like`. Anything
else is a search that the library keeps, under its id.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from components.asked import DEFAULT_LIMIT, LIMITS, Asked, Ingredient
from components.format import clock
from core import Filters, Library, Part, RecipeError

Address = dict[str, list[str]]

_TEXT, SAVED, _LIKE = "q", "s", "like"
_VIDEO, _CATEGORY, _OPTION = "video", "category", "option"
_START, _END, _AFTER, _BEFORE, _MIN = "from", "to", "after", "before", "min"
_LIMIT, _PAGE, _VIEW, _BY = "n", "page", "view", "by"
_TABLE, _BY_VIDEO = "table", "video"
# Servers refuse addresses of this order.
_MOST_CHARS = 2000
_CLOCK = re.compile(r"(\d{1,4}:){0,2}\d{1,6}(\.\d+)?", re.ASCII)


def to_address(library: Library, question: Asked) -> Address:
    """The address of a question; one that words cannot say is kept in the library's history.

    Raises:
        SeekpointError: when it cannot be kept.
    """
    try:
        recipe = question.recipe()
    except RecipeError:
        return {_TEXT: [question.text]} if len(question.text) <= _MOST_CHARS else {}
    filters = _of_filters(question.filters)
    if recipe is None:
        asked = filters
    elif question.in_words and len(question.text) <= _MOST_CHARS:
        asked = {_TEXT: [question.text], **filters}
    elif recipe.then is None and recipe.parts == (Part.segment(str(recipe.parts[0].source)),):
        asked = {_LIKE: [str(recipe.parts[0].source)], **filters}
    else:
        asked = {SAVED: [library.searches.keep(recipe, question.filters)]}
    return asked | _of_view(question)


def from_address(library: Library, address: Address) -> Asked:
    """The question of an address; what it says of unknown things is dropped.

    Raises:
        RecipeError: when the search it names is gone or cannot be read.
    """
    first = {name: values[0] for name, values in address.items() if values}
    limit = next((n for n in LIMITS if str(n) == first.get(_LIMIT)), DEFAULT_LIMIT)
    number = first.get(_PAGE, "")
    page = int(number) if re.fullmatch(r"[1-9]\d{0,4}", number, re.ASCII) else 1
    if SAVED in first:
        saved = library.searches.get(first[SAVED])
        if saved is None:
            raise RecipeError(
                "This search is not known here any more.",
                "It was deleted, or made on another server. Search again.",
            )
        question = Asked.of(saved.recipe, saved.filters)
    else:
        question = Asked(filters=_to_filters(library, address, first))
        if _LIKE in first:
            question = question.added(Ingredient(Part.segment(first[_LIKE])))
        question = question.retyped(first.get(_TEXT, ""))
    return (
        question.laid_out("table" if first.get(_VIEW) == _TABLE else "cards")
        .by_video(first.get(_BY) == _BY_VIDEO)
        .at(page, limit)
    )


def read_clock(text: str) -> float | None:
    """Seconds of `1:05`, `1:02:03.5` or `65`; None for anything else."""
    if not _CLOCK.fullmatch(text.strip()):
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def write_clock(seconds: float | None) -> str:
    """Seconds as `read_clock` reads them, empty for None."""
    if seconds is None:
        return ""
    return clock(seconds) if seconds == int(seconds) else f"{round(seconds, 3):g}"


def day_start(day: date) -> datetime:
    """The first moment of a day. Days are those of UTC: a link means the same everywhere."""
    return datetime.combine(day, time(), UTC)


def last_day(before: datetime) -> date:
    """The last whole day before this moment."""
    return (before - timedelta(microseconds=1)).date()


def day_end(day: date) -> datetime:
    """The first moment after a day."""
    return day_start(day) + timedelta(days=1)


def _of_view(question: Asked) -> Address:
    values = {
        _VIEW: [_TABLE] if question.layout == "table" else [],
        _BY: [_BY_VIDEO] if question.grouped else [],
        _LIMIT: [str(question.limit)] if question.limit != DEFAULT_LIMIT else [],
        _PAGE: [str(question.page)] if question.page != 1 else [],
    }
    return {name: value for name, value in values.items() if value}


def _of_filters(filters: Filters) -> Address:
    weights = dict(filters.option_weights)
    options = dict.fromkeys((*filters.options, *weights))
    values = {
        _VIDEO: list(filters.video_ids),
        _CATEGORY: list(filters.categories),
        _OPTION: [f"{name}^{weights[name]:g}" if name in weights else name for name in options],
        _START: [write_clock(filters.start)],
        _END: [write_clock(filters.end)],
        _AFTER: [filters.added_after.date().isoformat()] if filters.added_after else [],
        _BEFORE: [last_day(filters.added_before).isoformat()] if filters.added_before else [],
        _MIN: [] if filters.min_score is None else [f"{filters.min_score:g}"],
    }
    return {name: value for name, value in values.items() if any(value)}


def _to_filters(library: Library, address: Address, first: dict[str, str]) -> Filters:
    videos = library.videos()
    ids = {video.id for video in videos}
    categories = {video.category for video in videos}
    weights = dict(_option(text) for text in address.get(_OPTION, []))
    options = {o: w for o, w in weights.items() if o in library.capabilities.options}
    after, before = _day(first.get(_AFTER)), _day(first.get(_BEFORE))
    return Filters(
        video_ids=tuple(v for v in address.get(_VIDEO, []) if v in ids),
        categories=tuple(c for c in address.get(_CATEGORY, []) if c in categories),
        options=tuple(option for option, weight in options.items() if weight > 0),
        option_weights=tuple((option, w) for option, w in options.items() if w != 1),
        start=read_clock(first.get(_START, "")),
        end=read_clock(first.get(_END, "")),
        added_after=day_start(after) if after else None,
        added_before=day_end(before) if before else None,
        min_score=_score(first.get(_MIN, "")),
    )


def _option(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("^")
    return name, float(weight) if re.fullmatch(r"[012](\.\d+)?", weight, re.ASCII) else 1.0


def _score(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?[01](\.\d+)?", text, re.ASCII) else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
