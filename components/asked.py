"""A question as the page holds it: the words in the box, a part for every chip, and the filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from core import Filters, Part, Recipe, RecipeError
from core.recipe import DEFAULT_WITHIN_SEC

Layout = Literal["cards", "table"]

LIMITS = (12, 24, 48, 96)
DEFAULT_LIMIT = 24
# Of each video on one page, where moments stand by video.
PER_VIDEO = 3
# Strong enough to move what is unwanted down, too weak to take the place of what is wanted.
UNLIKE_WEIGHT = -0.5


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A part of the question. A muted one is left out of the search and keeps its weight; one that
    comes `after` belongs to what follows "then". `name` is that of a file, empty where the part
    says by itself what it is."""

    part: Part
    name: str = ""
    muted: bool = False
    after: bool = False

    @property
    def counts(self) -> bool:
        return not self.muted and self.part.weight != 0

    @property
    def in_box(self) -> bool:
        """Whether the words in the box say it."""
        return self.part.kind == "text" and self.counts

    @property
    def mark(self) -> Literal["", "up", "down"]:
        return self.part.marked

    @property
    def alone(self) -> Part:
        """The part as it would be searched for by itself."""
        return replace(self.part, weight=1.0, marked="")

    def same_thing(self, other: Ingredient) -> bool:
        """Whether both are the same part but for the weight."""
        return (
            replace(self.part, weight=1.0) == replace(other.part, weight=1.0)
            and self.after == other.after
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `text` is what stands in the box; the ingredients it speaks of are in there too,
    unless it cannot be understood. Every change gives a new question, at its first page. `layout` and
    `grouped` say how the moments stand: as pictures or rows, by rank or by video."""

    text: str = ""
    ingredients: tuple[Ingredient, ...] = ()
    within_sec: float = DEFAULT_WITHIN_SEC
    filters: Filters = field(default_factory=Filters)
    limit: int = DEFAULT_LIMIT
    page: int = 1
    layout: Layout = "cards"
    grouped: bool = False

    @classmethod
    def of(cls, recipe: Recipe, filters: Filters) -> Asked:
        """The question that asks this."""
        later = () if recipe.then is None else recipe.then.parts
        ingredients = [Ingredient(part) for part in recipe.parts]
        ingredients += [Ingredient(part, after=True) for part in later]
        return cls(within_sec=recipe.within_sec, filters=filters)._with(ingredients)

    # What is asked

    def recipe(self) -> Recipe | None:
        """The recipe to search for, None while there is nothing to look for.

        Raises:
            RecipeError: when the words in the box cannot be understood.
        """
        if self.text:
            Recipe.parse(self.text)
        parts = [i.part for i in self.ingredients if i.counts and not i.after]
        then = [i.part for i in self.ingredients if i.counts and i.after]
        if then and all(part.marked for part in parts):
            parts, then = parts + then, []
        if not parts:
            return None
        return _recipe(parts, then, self.within_sec)

    @property
    def in_words(self) -> bool:
        """Whether the text alone asks it all."""
        try:
            return bool(self.text) and self.recipe() == Recipe.parse(self.text)
        except RecipeError:
            return all(i.in_box for i in self.ingredients)

    @property
    def per_video(self) -> int | None:
        """How many moments of each video may answer; None for all."""
        return PER_VIDEO if self.grouped else None

    @property
    def has_then(self) -> bool:
        return any(i.after for i in self.ingredients)

    @property
    def marks(self) -> tuple[Ingredient, ...]:
        """The thumbs, in the order they were given."""
        return tuple(i for i in self.ingredients if i.mark)

    # Changes

    def retyped(self, text: str) -> Asked:
        """With other words in the box; what is no word, and what is muted, stays."""
        text = text.strip()
        kept = [i for i in self.ingredients if not i.in_box]
        try:
            recipe = Recipe.parse(text) if text else Recipe(())
        except RecipeError:
            return replace(self, text=text, ingredients=tuple(kept), page=1)
        if recipe.then is None:
            after = self._words_are_after
            typed = [Ingredient(part, after=after) for part in recipe.parts]
            question = self
        else:
            typed = [Ingredient(part) for part in recipe.parts]
            typed += [Ingredient(part, after=True) for part in recipe.then.parts]
            question = replace(self, within_sec=recipe.within_sec)
        changed = question._with(typed + kept)
        return replace(changed, text=text)

    def added(self, ingredient: Ingredient) -> Asked:
        """With one more part, in the place of the same one if it is there already."""
        others = [i for i in self.ingredients if not i.same_thing(ingredient)]
        return self._with([*others, ingredient])

    def without(self, index: int) -> Asked:
        return self._with([i for n, i in enumerate(self.ingredients) if n != index])

    def changed(self, index: int, *, muted: bool | None = None, **part: Any) -> Asked:
        """With another weight, start or end of one part, or with it muted or not."""
        old = self.ingredients[index]
        new = replace(old, part=replace(old.part, **part))
        if muted is not None:
            new = replace(new, muted=muted)
        return self._with([new if n == index else i for n, i in enumerate(self.ingredients)])

    def within(self, seconds: float) -> Asked:
        return replace(self, within_sec=seconds)._with(self.ingredients)

    def marked(self, segment_id: str, liked: bool) -> Asked:
        """With a thumb for a moment, in the place of the one it had."""
        return self.unmarked([segment_id]).added(Ingredient(Part.mark(segment_id, liked=liked)))

    def unmarked(self, segment_ids: Collection[str]) -> Asked:
        """Without the thumbs of these segments."""
        return self._with(
            [i for i in self.ingredients if not (i.mark and i.part.source in segment_ids)]
        )

    def filtered(self, filters: Filters) -> Asked:
        return replace(self, filters=filters, page=1)

    def at(self, page: int, limit: int | None = None) -> Asked:
        """The same question at another page, or with another number of moments on each."""
        return replace(self, page=page, limit=limit or self.limit)

    def laid_out(self, layout: Layout) -> Asked:
        """The same moments as pictures or as rows."""
        return replace(self, layout=layout)

    def by_video(self, grouped: bool) -> Asked:
        """With the moments by video, or by rank alone."""
        return replace(self, grouped=grouped, page=1)

    def _with(self, ingredients: Sequence[Ingredient]) -> Asked:
        """With these parts, and their words in the box unless what stands there makes no sense."""
        if all(i.after or i.mark for i in ingredients):
            ingredients = [replace(i, after=False) for i in ingredients]
        text = _typed(ingredients, self.within_sec) if _can_be_read(self.text) else self.text
        return replace(self, text=text, ingredients=tuple(ingredients), page=1)

    @property
    def _words_are_after(self) -> bool:
        """Whether the box speaks only of what follows "then"."""
        words = {i.after for i in self.ingredients if i.in_box}
        return words == {True} and any(not i.after for i in self.ingredients)


def _typed(ingredients: Iterable[Ingredient], within_sec: float) -> str:
    """The words among the ingredients as they would be typed."""
    words = [i for i in ingredients if i.in_box]
    parts, then = ([i.part for i in words if i.after == after] for after in (False, True))
    recipe = _recipe(parts, then, within_sec) if parts else Recipe(tuple(then))
    return (recipe.to_text() or "") if recipe.parts else ""


def _recipe(parts: Sequence[Part], then: Sequence[Part], within_sec: float) -> Recipe:
    if not then:
        return Recipe(tuple(parts))
    return Recipe(tuple(parts), Recipe(tuple(then)), within_sec)


def _can_be_read(text: str) -> bool:
    try:
        return not text or bool(Recipe.parse(text))
    except RecipeError:
        return False
