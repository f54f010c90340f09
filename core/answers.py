"""What a library answers in one embedding space: moments, what their scores mean, heat strips.

A library has one for the embedder it was opened with, and may have others, for the vectors that
another embedder left in the same store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from core.background import UNLIKELY, Background, Sample
from core.calibration import calibrate, chance_of
from core.clips import ClipCutter
from core.database import Database
from core.embedders.base import Embedder, unit_vector
from core.errors import RecipeError, StoreUnavailable
from core.heat import HeatStrips
from core.ledger import Ledger, Query
from core.models import Calibration, Filters, Heat, Moment, SearchResult, Vector
from core.query_vectors import QueryVectors
from core.recent import Recent
from core.recipe import Part, Recipe, query_vector, weighted_parts
from core.search import (
    Found,
    Ranking,
    find_moments,
    find_pairs,
    fold_similar,
    option_weights,
    shown_segments,
)
from core.settings import Settings
from core.shelf import Shelf
from core.state import State
from core.store import VectorStore

logger = logging.getLogger(__name__)

_RECENT_ANSWERS = 128
_RECENT_SEC = 600.0


@dataclass(frozen=True, slots=True)
class Direction:
    """Where a recipe points, and the score from which on a segment of one option is likely no
    chance; None when that cannot be told."""

    vector: Vector
    length: float
    likely: float | None


@dataclass(slots=True)
class _Lookup:
    """The parts whose vectors a search needed, those of them that had to be embedded, and what the
    user must know about it."""

    parts: list[Part] = field(default_factory=list)
    asked: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Answers:
    """Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder,
        store: VectorStore,
        shelf: Shelf,
        state: State,
        database: Database,
        ledger: Ledger,
    ) -> None:
        self.embedder = embedder
        self._store = store
        self._shelf = shelf
        self._state = state
        self._ledger = ledger
        self._clips = ClipCutter(embedder, allow_private=settings.allow_private_urls)
        self._vectors = QueryVectors(database, collection=store.collection, embed=self._embed_part)
        self._recent = Recent[Found](_RECENT_ANSWERS, seconds=_RECENT_SEC)
        self._background = Background(store.vectors, self._unlikely_words)
        self._strips = HeatStrips(store.vectors)
        self._returned = set(state.returned())

    def warm(self) -> None:
        """Reads what the first calibration would otherwise wait for. Raises StoreError."""
        self._sampled()

    def search(
        self,
        recipe: Recipe | str,
        *,
        filters: Filters | None = None,
        limit: int = 24,
        offset: int = 0,
        per_video: int | None = None,
    ) -> SearchResult:
        """As Library.search."""
        recipe, filters = _as_recipe(recipe), filters or Filters()
        begun = time.perf_counter()
        lookup = _Lookup()
        directions = [
            query_vector(side, partial(self._vector, lookup=lookup)) for side in _sides(recipe)
        ]
        self._note_savings(lookup)
        embedded = time.perf_counter()
        found = self._found(recipe, directions, filters, limit, offset, per_video)
        done = time.perf_counter()
        self._note_returned({moment.video.id for moment in found.moments})
        return SearchResult(
            hits=tuple(hit for moment in found.moments for hit in moment.hits),
            moments=found.moments,
            recipe=recipe,
            filters=filters,
            model=self.embedder.model,
            timings={
                "embed": embedded - begun,
                "search": found.store_sec,
                "group": done - embedded - found.store_sec,
            },
            cached=not lookup.asked,
            more=found.more,
            at_limit=found.at_limit,
            notes=tuple(dict.fromkeys(lookup.notes)),
        )

    def fold(self, moments: Sequence[Moment]) -> list[Moment]:
        """As Library.fold."""
        shown = [segment_id for moment in moments for segment_id in shown_segments(moment)]
        return fold_similar(moments, self._store.vectors(shown))

    def why(self, result: SearchResult) -> dict[str, str]:
        """As Library.why."""
        if not self.embedder.explains:
            return {}
        ids = [moment.best.segment.id for moment in result.moments]
        direction, _ = query_vector(result.recipe, self._vector)
        lines = {
            segment_id: self.embedder.explain(direction, vector)
            for segment_id, vector in self._store.vectors(ids).items()
        }
        return {segment_id: line for segment_id, line in lines.items() if line}

    def calibrate(self, result: SearchResult) -> Calibration:
        """As Library.calibrate."""
        sides = _sides(result.recipe)
        directions = [query_vector(side, self._vector) for side in sides]
        weights = option_weights(result.filters, self.embedder.options)
        sample = self._sampled()
        passing = self._background.passing(result.filters, tuple(weights))
        chances = [
            chance_of(sample, weighted_parts(side), *query, segments=passing.segments)
            for side, query in zip(sides, directions, strict=True)
        ]
        best = self._best(result, directions)
        return calibrate(result.moments, best, chances, weights=weights, searched=passing.searched)

    def _sampled(self) -> Sample:
        return self._background.sample(self._shelf.version, self._shelf.stored)

    def _best(
        self, result: SearchResult, directions: Sequence[tuple[Vector, float]]
    ) -> Moment | None:
        """The best moment of the whole answer, also of one that begins further down or that a least
        score leaves nothing of."""
        if result.moments and result.moments[0].rank == 1:
            return result.moments[0]
        filters = replace(result.filters, min_score=None)
        found = self._found(result.recipe, directions, filters, limit=1, offset=0)
        return found.moments[0] if found.moments else None

    def heat(
        self, recipe: Recipe | str, video_id: str, *, filters: Filters | None = None
    ) -> list[Heat]:
        """As Library.heat."""
        direction, length = query_vector(_as_recipe(recipe), self._vector)
        weights = option_weights(filters or Filters(), self.embedder.options)
        stored = self._shelf.get(video_id)
        if stored is None:
            return []
        scaled = {option: weight * length for option, weight in weights.items()}
        return self._strips.of(stored, direction, scaled)

    def direct(self, recipe: Recipe, option: str) -> Direction:
        """Where a recipe points, and what is likely no chance among the segments of one option.

        Raises what `search` raises.
        """
        vector, length = query_vector(recipe, self._vector)
        sample = self._sampled()
        passing = self._background.passing(Filters(), (option,))
        chance = chance_of(
            sample, weighted_parts(recipe), vector, length, segments=passing.segments
        )
        return Direction(vector, length, None if chance is None else chance.least(option))

    def word(self, word: str) -> Vector:
        """The vector of a word, from the cache if it is there."""
        return self._vectors.of(Part.text(word))

    def price_of_words(self, words: Sequence[str]) -> float | None:
        """What their vectors would cost that are not in the cache."""
        if not self.embedder.remote:
            return 0.0
        return self.embedder.prices.per_text * self._vectors.missing(
            [Part.text(word) for word in words]
        )

    def _found(
        self,
        recipe: Recipe,
        directions: Sequence[tuple[Vector, float]],
        filters: Filters,
        limit: int,
        offset: int,
        per_video: int | None = None,
    ) -> Found:
        """A page of the moments in these directions, one for each side of the recipe; it is
        remembered for a while, and takes the store no time then."""
        # The directions decide the answer, however the recipe came by them.
        asked_for = (
            tuple((direction.tobytes(), length) for direction, length in directions),
            recipe.within_sec,
            filters,
            limit,
            offset,
            per_video,
            self._shelf.version,
        )
        found = self._recent.get(asked_for)
        if found is not None:
            return replace(found, store_sec=0.0)
        found = self._asked(recipe, directions, filters, limit, offset, per_video)
        self._recent.put(asked_for, found)
        return found

    def _asked(
        self,
        recipe: Recipe,
        directions: Sequence[tuple[Vector, float]],
        filters: Filters,
        limit: int,
        offset: int,
        per_video: int | None,
    ) -> Found:
        # The least score is that of a card, and so of a pair.
        of_hits = filters if recipe.then is None else replace(filters, min_score=None)
        rankings = [
            Ranking(
                self._store,
                self._shelf.videos,
                direction,
                length=length,
                filters=of_hits,
                options=self.embedder.options,
            )
            for direction, length in directions
        ]
        if recipe.then is None:
            return find_moments(rankings[0], limit=limit, offset=offset, per_video=per_video)
        return find_pairs(
            *rankings,
            within_sec=recipe.within_sec,
            min_score=filters.min_score,
            limit=limit,
            offset=offset,
            per_video=per_video,
        )

    def _vector(self, part: Part, lookup: _Lookup | None = None) -> Vector:
        """The vector of a part; of a clip in pieces their mean, the direction nearest to all."""
        lookup = lookup or _Lookup()
        pieces = self._clips.cut(part)
        lookup.parts += pieces.parts
        lookup.notes += [pieces.note] if pieces.note else []
        vectors = [self._vectors.of(piece, asked=lookup.asked) for piece in pieces.parts]
        if len(vectors) == 1:
            return vectors[0]
        return unit_vector(np.sum(vectors, axis=0), self.embedder.dimension)

    def _note_returned(self, video_ids: set[str]) -> None:
        """Remembers which videos searches have shown, for those that none ever does."""
        new = video_ids - self._returned
        if not new:
            return
        try:
            self._state.note_returned(new, datetime.now(UTC))
            self._returned |= new
        except StoreUnavailable as error:
            logger.warning("which videos were shown could not be noted: %s", error)

    def _unlikely_words(self) -> list[Vector]:
        """What chance may be asked with besides a query; nothing that would have to be paid for."""
        found: list[Vector] = []
        for words in () if self.embedder.remote else UNLIKELY:
            with suppress(RecipeError):  # an embedder need not know every word
                found.append(self.embedder.embed_text(words))
        return found

    def _embed_part(self, part: Part) -> Vector:
        if part.kind == "segment":
            return self._stored_vector(str(part.source))
        if not self.embedder.remote:
            return self._embedded(part)
        with self._ledger.paying(*_as_query(part)):
            return self._embedded(part)

    def _embedded(self, part: Part) -> Vector:
        match part.kind:
            case "image":
                return self.embedder.embed_image(part.source, part.text_with)
            case "video":
                return self.embedder.embed_clip(part.source, part.start, part.end)
            case _:
                return self.embedder.embed_text(str(part.source))

    def _note_savings(self, lookup: _Lookup) -> None:
        """What a search would have cost without the cache."""
        if self.embedder.remote:
            for part in lookup.parts:
                if part.kind != "segment" and part not in lookup.asked:
                    kind, _, minutes = _as_query(part)
                    self._ledger.save_query(kind, minutes)

    def _stored_vector(self, segment_id: str) -> Vector:
        vector = self._store.vectors([segment_id]).get(segment_id)
        if vector is None:
            raise RecipeError(
                "The moment this search starts from is no longer in the library.",
                "Search in words, or pick another moment.",
            )
        return vector


def _as_query(part: Part) -> tuple[Query, str, float | None]:
    """What a part is to the ledger: its kind, a few words, and the minutes of a clip."""
    what = str(part.source) if isinstance(part.source, str) else ""
    match part.kind:
        case "image":
            return "image", part.text_with or what, None
        case "video":
            known = part.start is not None and part.end is not None
            return "clip", what, ((part.end or 0) - (part.start or 0)) / 60 if known else None
        case _:
            return "text", what, None


def _sides(recipe: Recipe) -> list[Recipe]:
    return [recipe] if recipe.then is None else [recipe, recipe.then]


def _as_recipe(recipe: Recipe | str) -> Recipe:
    return Recipe.parse(recipe) if isinstance(recipe, str) else recipe
