"""Recipes: a query made of weighted parts.

For unit vectors the weighted sum of cosines is the cosine with the weighted sum, up to the length
of that sum, so a recipe of any number of parts is one direction and one search:
sum_i w_i cos(p_i, x) = |Q| cos(Q, x) with Q = sum_i w_i p_i (bilinearity of the inner product).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import RecipeError

Kind = Literal["text", "image", "video", "segment"]
Media = str | Path | bytes  # an http(s) address, a file on the server, or the content itself

# Longer than any model's own limit; keeps a pasted novel from reaching the service at all.
MAX_TEXT_CHARS = 8000
# Below this length the parts have cancelled each other out and the direction is noise.
MIN_QUERY_LENGTH = 1e-3


@dataclass(frozen=True, slots=True)
class Part:
    """One ingredient: a text, an image, a clip or a stored segment, with its weight.

    `text` beside an image is read together with it, as one thought.
    """

    kind: Kind
    source: Media
    weight: float = 1.0
    text_with: str = ""
    start: float | None = None
    end: float | None = None

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
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Part:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError for anything else."""
        if values["kind"] not in get_args(Kind):
            raise ValueError(f"unknown kind {values['kind']!r}")
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
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to look for: the parts, each with a weight."""

    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """A typed query as a recipe.

        Raises:
            RecipeError: when there is no text, or far too much of it.
        """
        words = text.strip()
        if not words:
            raise RecipeError("There is nothing to search for yet.", "Type a few words.")
        if len(words) > MAX_TEXT_CHARS:
            raise RecipeError(
                f"This query has {len(words):,} characters; {MAX_TEXT_CHARS:,} is the most.",
                "Describe the moment in a sentence or two.",
            )
        return cls((Part.text(words),))

    def to_json(self) -> str:
        return json.dumps({"parts": [part.to_dict() for part in self.parts]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises RecipeError for anything else."""
        try:
            return cls(tuple(Part.from_dict(part) for part in json.loads(text)["parts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RecipeError("This saved search cannot be read.", "Search again.") from error


def query_vector(
    recipe: Recipe, embed: Callable[[Part], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], float]:
    """The unit direction of a recipe and its length |Q|, by which scores are multiplied.

    Weights are divided by the sum of their magnitudes first, so that scores of recipes with
    different numbers of parts stay comparable; a single part has length 1.

    Raises:
        RecipeError: no parts, a weight that is no number, or parts that cancel to nothing.
    """
    parts = [part for part in recipe.parts if part.weight != 0]
    if not parts:
        raise RecipeError("There is nothing to search for yet.", "Add words, a picture or a clip.")
    if not all(math.isfinite(part.weight) for part in parts):
        raise RecipeError("A weight is not a number.", "Set it to a value between -2 and 2.")
    total = sum(abs(part.weight) for part in parts)
    vectors = np.stack([embed(part) for part in parts])
    weights = np.array([part.weight / total for part in parts], dtype=np.float32)
    direction: NDArray[np.float32] = weights @ vectors
    length = float(np.linalg.norm(direction))
    if length < MIN_QUERY_LENGTH:
        raise RecipeError(
            "The parts of this search cancel each other out.", "Change a weight or remove a part."
        )
    return (direction / length).astype(np.float32), length
