"""Questions that were asked before, offered where a view of Explore needs one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from components.query_state import last_asked
from components.recipe_chips import literal, recipe_name
from core import Filters, Library, Recipe, RecipeError
from core.searches import SavedSearch

_LATELY = 6
_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, under a name. `text` is empty for what cannot be typed."""

    name: str
    recipe: Recipe
    filters: Filters
    text: str = ""


def typed(text: str, filters: Filters | None = None) -> Question:
    """The question of these words.

    Raises:
        RecipeError: they cannot be understood, or there are none.
    """
    text = text.strip()
    return Question(text, Recipe.parse(text), filters or Filters(), text)


def current_question(library: Library) -> Question | None:
    """What was asked last on the Search page; None before anything was."""
    asked = last_asked()
    try:
        recipe = None if asked is None else asked.recipe()
    except RecipeError:
        return None
    return None if asked is None or recipe is None else _question(library, recipe, asked.filters)


def made_lately(library: Library) -> list[Question]:
    """The last searches, the newest first."""
    return [_of_saved(library, saved) for saved in library.searches.history()]


def offer_questions(library: Library, *, key: str, take: Callable[[Question], None]) -> None:
    """Buttons for the current search, those kept under a name and the last few; `take` is called
    back with the one that is pressed."""
    offered: dict[str, list[Question]] = {
        "On the Search page": [q for q in [current_question(library)] if q is not None],
        "Kept": [_of_saved(library, saved) for saved in library.searches.named()],
    }
    there = {(q.recipe, q.filters) for questions in offered.values() for q in questions}
    lately = [q for q in made_lately(library) if (q.recipe, q.filters) not in there]
    offered["Made lately"] = lately[:_LATELY]
    for heading, questions in offered.items():
        if questions:
            st.caption(heading)
        for number, question in enumerate(questions):
            st.button(
                literal(question.name),
                key=f"{key}_{heading}_{number}",
                type="tertiary",
                on_click=take,
                args=(question,),
            )
    if not any(offered.values()):
        st.caption("Searches that you make are offered here.")


def _of_saved(library: Library, saved: SavedSearch) -> Question:
    return _question(library, saved.recipe, saved.filters, saved.name)


def _question(library: Library, recipe: Recipe, filters: Filters, name: str = "") -> Question:
    name = name or recipe_name(library, recipe)[:_NAME_CHARS]
    return Question(name, recipe, filters, recipe.to_text() or "")
