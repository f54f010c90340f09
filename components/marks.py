"""The thumbs as a measure: how well the order that is shown agrees with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.asked import Asked
from components.recipe_chips import segment_of
from components.results_grid import Mark
from core import Hit, Library, Moment, Segment

FIRST = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """`good` and `bad` thumbs among the first ten moments, None on a later page; `shown` of all
    `liked` ones are on this page."""

    good: int | None
    bad: int | None
    shown: int
    liked: int

    @property
    def precision(self) -> float | None:
        """The share of good ones among those of the first ten that have a thumb."""
        judged = (self.good or 0) + (self.bad or 0)
        return (self.good or 0) / judged if judged else None


def marks_of(
    library: Library, question: Asked, moments: Sequence[Moment]
) -> dict[str, dict[str, Mark]]:
    """For each moment with a thumb, by its best segment: the thumbs in it, by the marked segment.

    A thumb belongs to the moment that holds its segment, though another embedding of the same
    stretch may be the best there now.
    """
    found: dict[str, dict[str, Mark]] = {}
    for ingredient in question.marks:
        marked = segment_of(library, str(ingredient.part.source))
        if marked is None:
            continue
        _, segment = marked
        for moment in moments:
            if any(_same_stretch(hit.segment, segment) for hit in _judged(moment)):
                thumbs = found.setdefault(moment.best.segment.id, {})
                thumbs[segment.id] = "up" if ingredient.mark == "up" else "down"
    return found


def agreement(
    question: Asked, moments: Sequence[Moment], marks: Mapping[str, Mapping[str, Mark]]
) -> Agreement:
    """How the moments of a page agree with the thumbs in them, as `marks_of` gives them."""
    of_first = [
        mark
        for moment in moments[:FIRST]
        for mark in marks.get(moment.best.segment.id, {}).values()
    ]
    first_page = question.page == 1
    every = [mark for thumbs in marks.values() for mark in thumbs.values()]
    return Agreement(
        good=of_first.count("up") if first_page else None,
        bad=of_first.count("down") if first_page else None,
        shown=every.count("up"),
        liked=sum(ingredient.mark == "up" for ingredient in question.marks),
    )


def sentence(found: Agreement) -> str:
    """The agreement in words, empty when there is nothing to say."""
    said = []
    if found.precision is not None:
        said.append(
            f"Of the first {FIRST}, {found.good} marked good and {found.bad} bad: "
            f"{found.precision:.0%}"
        )
    if found.liked:
        noun = "good one is" if found.liked == 1 else "good ones are"
        said.append(f"{found.shown} of {found.liked} {noun} on this page")
    return ". ".join(said)


def _judged(moment: Moment) -> Sequence[Hit]:
    return moment.hits if moment.then is None else moment.hits[:1]


def _same_stretch(one: Segment, other: Segment) -> bool:
    return (one.video_id, one.start_offset_sec, one.end_offset_sec) == (
        other.video_id,
        other.start_offset_sec,
        other.end_offset_sec,
    )
