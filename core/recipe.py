"""Recipes: a query made of weighted parts.

For unit vectors the weighted sum of cosines is the cosine with the weighted sum, up to the length
of that sum, so a recipe of any number of parts is one direction and one search:
sum_i w_i cos(p_i, x) = |Q| cos(Q, x) with Q = sum_i w_i p_i (bilinearity of the inner product).

As typed: `red car -night "street market"^1.5 then explosion within 10s`. Words without a mark are
one part together; what is quoted, weighted by `^` or led by `-` is a part of its own. Inside quotes a
backslash stands before a quote or a backslash that is meant as itself.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import RecipeError

Kind = Literal["text", "image", "video", "segment"]
Marked = Literal["", "up", "down"]
Media = str | Path | bytes  # an http(s) address, a file on the server, or the content itself

# Longer than any model's own limit; keeps a pasted novel from reaching the service at all.
MAX_TEXT_CHARS = 8000
MAX_TYPED_PARTS = 16
MAX_WEIGHT = 2.0
DEFAULT_WITHIN_SEC = 30.0
# Below this length the parts have cancelled each other out and the direction is noise.
MIN_QUERY_LENGTH = 1e-3
# What the marks weigh together, against 1 for the query itself: Rocchio's method with the values of
# Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), section 9.1.1.
LIKED_WEIGHT = 0.75
DISLIKED_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class Part:
    """One ingredient: a text, an image, a clip or a stored segment, with its weight from -2 to 2.

    `text` beside an image is read together with it, as one thought. A `marked` segment was found
    and then called good or bad; what it weighs follows from the other parts, unless it is 0.
    """

    kind: Kind
    source: Media
    weight: float = 1.0
    text_with: str = ""
    start: float | None = None
    end: float | None = None
    marked: Marked = ""

    @classmethod
    def text(cls, text: str, *, weight: float = 1.0) -> Part:
        return cls("text", text, weight)

    @classmethod
    def image(cls, source: Media, *, text: str = "", weight: float = 1.0) -> Part:
        return cls("image", source, weight, text_with=text)

    @classmethod
    def video(
        cls,
        source: Media,
        *,
        start: float | None = None,
        end: float | None = None,
        weight: float = 1.0,
    ) -> Part:
        return cls("video", source, weight, start=start, end=end)

    @classmethod
    def segment(cls, segment_id: str, *, weight: float = 1.0) -> Part:
        return cls("segment", segment_id, weight)

    @classmethod
    def mark(cls, segment_id: str, *, liked: bool) -> Part:
        """A thumb up or down for a segment."""
        return cls("segment", segment_id, marked="up" if liked else "down")

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"kind": self.kind, "weight": self.weight}
        match self.source:
            case bytes() as content:
                values["base64"] = base64.b64encode(content).decode()
            case Path() as path:
                values["path"] = str(path)
            case str() as text:
                values["source"] = text
        if self.text_with:
            values["text_with"] = self.text_with
        for name, seconds in (("start", self.start), ("end", self.end)):
            if seconds is not None:
                values[name] = seconds
        if self.marked:
            values["mark"] = self.marked
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Part:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError for anything else."""
        if values["kind"] not in get_args(Kind):
            raise ValueError(f"unknown kind {values['kind']!r}")
        marked = values.get("mark", "")
        if marked not in get_args(Marked):
            raise ValueError(f"unknown mark {marked!r}")
        start, end = (
            None if values.get(name) is None else float(values[name]) for name in ("start", "end")
        )
        source: Media
        if "base64" in values:
            source = base64.b64decode(values["base64"], validate=True)
        elif "path" in values:
            source = Path(values["path"])
        else:
            source = str(values["source"])
        return cls(
            values["kind"],
            source,
            float(values.get("weight", 1.0)),
            str(values.get("text_with", "")),
            start,
            end,
            marked,
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to look for: the parts, each with a weight.

    With `then`: what is followed, in the same video, by what answers that second recipe, which
    begins at most `within_sec` seconds after the first ends.

    Raises:
        RecipeError: for a `then` inside a `then`, or a `within_sec` that is no length of time.
    """

    parts: tuple[Part, ...]
    then: Recipe | None = None
    within_sec: float = DEFAULT_WITHIN_SEC

    def __post_init__(self) -> None:
        if self.then is not None and self.then.then is not None:
            raise _second_then()
        if not (math.isfinite(self.within_sec) and self.within_sec >= 0):
            raise RecipeError("The time within which to look is no length of time.", _WITHIN_HINT)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """A typed query as a recipe; the grammar is that of this module's docstring.

        Raises:
            RecipeError: nothing to search for, too much of it, or a mark that cannot be understood.
        """
        words = _words_of(text)
        if not words:
            raise RecipeError("There is nothing to search for yet.", "Type a few words.")
        first, second = _split_at_then(words)
        second, within_sec = _split_off_within(second)
        recipe = cls(_parts_of(first))
        if second:
            recipe = cls(recipe.parts, cls(_parts_of(second)), within_sec)
        recipe._check_size()
        return recipe

    def to_text(self) -> str | None:
        """The recipe as it can be typed: `parse` makes the same recipe of it.

        None for one that cannot be typed, as it has a picture, a clip or a stored segment.
        """
        sides = [self] if self.then is None else [self, self.then]
        text = " then ".join(_typed(side.parts) for side in sides)
        if self.within_sec != DEFAULT_WITHIN_SEC:
            text += f" within {_digits(self.within_sec)} s"
        try:
            return text if Recipe.parse(text) == self else None
        except RecipeError:
            return None

    def to_json(self) -> str:
        return json.dumps(self._to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises RecipeError for anything else."""
        try:
            return cls._from_dict(json.loads(text))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise RecipeError("This saved search cannot be read.", "Search again.") from error

    def _to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"parts": [part.to_dict() for part in self.parts]}
        if self.then is not None:
            values["then"] = self.then._to_dict()
        if self.within_sec != DEFAULT_WITHIN_SEC:
            values["within_sec"] = self.within_sec
        return values

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        parts = tuple(Part.from_dict(part) for part in values["parts"])
        then = cls._from_dict(values["then"]) if "then" in values else None
        return cls(parts, then, float(values.get("within_sec", DEFAULT_WITHIN_SEC)))

    def _check_size(self) -> None:
        parts = self.parts if self.then is None else self.parts + self.then.parts
        length = sum(len(str(part.source)) for part in parts)
        if length > MAX_TEXT_CHARS:
            raise RecipeError(
                f"This query has {length:,} characters; {MAX_TEXT_CHARS:,} is the most.",
                "Describe the moment in a sentence or two.",
            )
        if len(parts) > MAX_TYPED_PARTS:
            raise RecipeError(
                f"This query has {len(parts)} parts; {MAX_TYPED_PARTS} is the most.",
                "Words without quotes, ^ and - in front are one part together.",
            )


# --- as typed -------------------------------------------------------------------------------------

_WITHIN_HINT = 'Write it as in "dog then ball within 10 s".'
# A phrase may touch its neighbours; a word goes on to the next space or quote. The minus of "--" and
# of a lone dash is no mark.
_WORD = re.compile(
    r"""(?P<minus>-(?=[^\s-]))?
        (?: "(?P<phrase>(?:[^"\\]|\\.)*)" (?P<mark>\^[^\s"]*)? | (?P<word>[^\s"]+) )""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_WITHIN = re.compile(
    r"within ([0-9]+(?:\.[0-9]+)?) ?(?:(?P<min>min|minutes?)|s|sec|seconds?)", re.IGNORECASE
)
# What needs no quotes.
_SIMPLE = re.compile(r'[^\s"^-][^\s"^]*')


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or phrase as typed; without marks and quotes its weight is None."""

    text: str
    weight: float | None = None

    @property
    def is_then(self) -> bool:
        return self.weight is None and self.text.lower() == "then"


def _words_of(text: str) -> list[_Word]:
    words: list[_Word] = []
    position = _end_of_space(text, 0)
    while position < len(text):
        found = _WORD.match(text, position)
        if found is None:
            raise RecipeError(
                "A quote is opened and not closed.",
                'Close it, or write \\" inside quotes to search for the character itself.',
            )
        words += _word_of(found)
        position = _end_of_space(text, found.end())
    return words


def _end_of_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()


def _word_of(found: re.Match[str]) -> list[_Word]:
    """The word of a match, or nothing for an empty phrase."""
    sign = -1.0 if found["minus"] else 1.0
    if found["phrase"] is not None:
        phrase = " ".join(re.sub(r'\\(["\\])', r"\1", found["phrase"]).split())
        weight = 1.0 if found["mark"] is None else _weight(phrase, found["mark"][1:])
        return [_Word(phrase, sign * weight)] if phrase else []
    head, caret, number = found["word"].rpartition("^")
    if caret and head:
        return [_Word(head, sign * _weight(head, number))]
    if found["minus"] and not caret:
        return [_Word(found["word"], sign)]
    return [_Word(found[0])]


def _weight(text: str, number: str) -> float:
    weight = float(number) if _NUMBER.fullmatch(number) else math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise RecipeError(
            f"The weight of “{text[:60]}” is not a number from -2 to 2.",
            "Write it as in car^1.5, or put the words in quotes to search for them as they are.",
        )
    return weight


def _split_at_then(words: list[_Word]) -> tuple[list[_Word], list[_Word]]:
    """Both sides of the "then" between two words; a first or last one is a word like others."""
    thens = [n for n, word in enumerate(words) if word.is_then and 0 < n < len(words) - 1]
    if len(thens) > 1:
        raise _second_then()
    middle = thens[0] if thens else len(words)
    return words[:middle], words[middle + 1 :]


def _second_then() -> RecipeError:
    return RecipeError(
        "There is more than one “then” in this search.",
        'Look for two things in a row, or write "then" in quotes to search for the word.',
    )


def _split_off_within(words: list[_Word]) -> tuple[list[_Word], float]:
    """The words before a closing "within 10 s", and its seconds."""
    for length in (2, 3):
        before, last = words[:-length], words[-length:]
        found = _WITHIN.fullmatch(" ".join(word.text for word in last))
        if found and before and all(word.weight is None for word in last):
            return before, float(found[1]) * (60.0 if found["min"] else 1.0)
    return words, DEFAULT_WITHIN_SEC


def _parts_of(words: Sequence[_Word]) -> tuple[Part, ...]:
    """Plain words become one part, where the first of them stands."""
    together = " ".join(word.text for word in words if word.weight is None)
    parts: list[Part] = []
    for word in words:
        if word.weight is not None:
            parts.append(Part.text(word.text, weight=word.weight))
        elif together:
            parts.append(Part.text(together))
            together = ""
    return tuple(parts)


def _typed(parts: Sequence[Part]) -> str:
    """Parts as they can be typed; only one part can go without quotes and marks."""
    plain = next((n for n, part in enumerate(parts) if _may_be_plain(part)), None)
    return " ".join(
        str(part.source) if n == plain else _typed_alone(part) for n, part in enumerate(parts)
    )


def _may_be_plain(part: Part) -> bool:
    text = str(part.source)
    return (
        part.weight == 1
        and all(_SIMPLE.fullmatch(word) and word.lower() != "then" for word in text.split())
        and "within" not in text.lower()
    )


def _typed_alone(part: Part) -> str:
    text = str(part.source)
    sign = "-" if part.weight < 0 else ""
    weight = abs(part.weight)
    mark = "" if weight == 1 else f"^{_digits(weight)}"
    if (sign or mark) and _SIMPLE.fullmatch(text):
        return f"{sign}{text}{mark}"
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'{sign}"{escaped}"{mark}'


def _digits(number: float) -> str:
    """The shortest decimal digits that make exactly this number."""
    return np.format_float_positional(number, trim="-")


# --- the direction --------------------------------------------------------------------------------


def weighted_parts(recipe: Recipe) -> list[tuple[Part, float]]:
    """The parts of a recipe and what each weighs, marks included; `then` is left aside.

    With S the sum of the magnitudes of the other parts' weights, n liked marks weigh
    LIKED_WEIGHT S / n each and n disliked ones -DISLIKED_WEIGHT S / n. Where there are only marks,
    the liked ones are the query: they weigh 1 / n, and S is 1.

    Raises:
        RecipeError: no parts, none that says what to look for, or a weight that is no number
            from -2 to 2.
    """
    if not all(abs(part.weight) <= MAX_WEIGHT for part in recipe.parts):
        raise RecipeError("A weight is not a number from -2 to 2.", "Set it to one.")
    parts = [part for part in recipe.parts if part.weight != 0]
    if not parts:
        raise RecipeError("There is nothing to search for yet.", "Add words, a picture or a clip.")
    said = sum(abs(part.weight) for part in parts if not part.marked)
    liked = sum(part.marked == "up" for part in parts)
    disliked = sum(part.marked == "down" for part in parts)
    weights = {
        "up": (LIKED_WEIGHT * said if said else 1.0) / max(liked, 1),
        "down": -DISLIKED_WEIGHT * (said or 1.0) / max(disliked, 1),
    }
    weighted = [(part, weights.get(part.marked, part.weight)) for part in parts]
    if all(weight < 0 for _, weight in weighted):
        raise RecipeError(
            "This search only says what not to look for.",
            "Add what to look for: words, a picture, a clip or a moment you like.",
        )
    return weighted


def query_vector(
    recipe: Recipe, embed: Callable[[Part], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], float]:
    """The unit direction of a recipe and its length |Q|, by which scores are multiplied.

    Weights are divided by the sum of their magnitudes first, so that scores of recipes with
    different numbers of parts stay comparable; a single part has length 1. `then` is left aside.

    Raises:
        RecipeError: as for `weighted_parts`, or parts that cancel to nothing.
    """
    weighted = weighted_parts(recipe)
    vectors = np.stack([embed(part) for part, _ in weighted]).astype(np.float64)
    weights = np.array([weight for _, weight in weighted])
    direction: NDArray[np.float64] = (weights / np.abs(weights).sum()) @ vectors
    length = float(np.linalg.norm(direction))
    if length < MIN_QUERY_LENGTH:
        raise RecipeError(
            "The parts of this search cancel each other out.", "Change a weight or remove a part."
        )
    return (direction / length).astype(np.float32), length
