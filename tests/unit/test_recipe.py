from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import RecipeError
from core.recipe import MAX_TEXT_CHARS, Part, Recipe, query_vector

DIMENSION = 16
Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def unit(seed: int) -> Array:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def embed(part: Part) -> Array:
    return unit(int(str(part.source)))


# Reading and writing


@pytest.mark.parametrize("text", ["", "   ", "\n\t ", "\u3000"])
def test_nothing_to_search_for_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="nothing to search for"):
        Recipe.parse(text)


def test_a_pasted_novel_is_refused_with_both_numbers() -> None:
    with pytest.raises(RecipeError) as refusal:
        Recipe.parse("x" * 10_000)
    assert "10,000" in refusal.value.message
    assert "8,000" in refusal.value.message


def test_the_longest_query_is_accepted_and_spaces_around_it_do_not_count() -> None:
    words = "x" * MAX_TEXT_CHARS
    assert Recipe.parse(f"  {words}\n").parts == (Part.text(words),)


@pytest.mark.parametrize(
    "text", ["🚗💨 👩‍👩‍👧", "سيارة حمراء", "مكتب red שולחן", "赤い車", "a\nb", "-night"]
)
def test_a_query_in_any_script_is_taken_as_it_is(text: str) -> None:
    assert Recipe.parse(text).parts == (Part.text(text),)


weights = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.none() | st.floats(min_value=0, max_value=1e6)
words = st.text()
media = (
    st.text()
    | st.binary()
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(Path)
)
parts = st.one_of(
    st.builds(Part.text, words, weight=weights),
    st.builds(Part.image, media, text=words, weight=weights),
    st.builds(Part.video, media, start=seconds, end=seconds, weight=weights),
    st.builds(Part.segment, words, weight=weights),
)


@given(st.lists(parts).map(tuple).map(Recipe))
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "7",
        '{"parts": 1}',
        '{"parts": [1]}',
        '{"parts": ["text"]}',
        '{"parts": [{"kind": "text"}]}',
        '{"parts": [{"source": "x"}]}',
        '{"parts": [{"kind": "smell", "source": "x"}]}',
        '{"parts": [{"kind": "text", "source": "x", "weight": "heavy"}]}',
        '{"parts": [{"kind": "image", "base64": "?"}]}',
        '{"parts": [{"kind": "video", "source": "x", "start": "soon"}]}',
    ],
)
def test_anything_but_a_saved_recipe_is_a_recipe_error(text: str) -> None:
    with pytest.raises(RecipeError, match="saved search"):
        Recipe.from_json(text)


# The direction


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(-2, 2, allow_subnormal=False)),
        min_size=1,
        max_size=6,
    )
)
def test_one_search_with_the_direction_equals_the_weighted_sum_of_cosines(
    chosen: list[tuple[int, float]],
) -> None:
    recipe = Recipe(tuple(Part.text(str(seed), weight=weight) for seed, weight in chosen))
    total = sum(abs(weight) for _, weight in chosen)
    assume(total > 1e-6)
    library = np.stack([unit(seed) for seed in range(10**6 + 1, 10**6 + 30)]).astype(np.float64)
    expected = sum(
        weight / total * (library @ unit(seed).astype(np.float64)) for seed, weight in chosen
    )
    assume(np.linalg.norm(sum(w / total * unit(s) for s, w in chosen)) > 0.01)

    direction, length = query_vector(recipe, embed)
    scores = (library @ direction.astype(np.float64)) * length

    assert math.isclose(float(np.linalg.norm(direction)), 1.0, abs_tol=1e-5)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    # The same order: nowhere does a segment that is clearly better stand behind a worse one.
    in_our_order = np.asarray(expected)[np.argsort(-scores)]
    assert (np.diff(in_our_order) <= 1e-5).all()


def test_a_single_part_has_its_own_vector_and_length_one() -> None:
    for weight in (0.25, 1.0, 2.0):
        direction, length = query_vector(Recipe((Part.text("3", weight=weight),)), embed)
        np.testing.assert_allclose(direction, unit(3), atol=1e-6)
        assert math.isclose(length, 1.0, abs_tol=1e-6)


def test_a_negative_part_points_away() -> None:
    direction, _ = query_vector(Recipe((Part.text("3", weight=-1.0),)), embed)
    np.testing.assert_allclose(direction, -unit(3), atol=1e-6)


def test_a_part_without_weight_is_not_even_embedded() -> None:
    recipe = Recipe((Part.text("3"), Part.text("not a number", weight=0.0)))
    direction, _ = query_vector(recipe, embed)
    np.testing.assert_allclose(direction, unit(3), atol=1e-6)


@pytest.mark.parametrize("parts", [(), (Part.text("3", weight=0.0),)])
def test_a_recipe_without_weight_is_refused(parts: tuple[Part, ...]) -> None:
    with pytest.raises(RecipeError, match="nothing to search for"):
        query_vector(Recipe(parts), embed)


def test_parts_that_cancel_each_other_out_are_refused() -> None:
    recipe = Recipe((Part.text("3", weight=1.0), Part.text("3", weight=-1.0)))
    with pytest.raises(RecipeError, match="cancel each other out"):
        query_vector(recipe, embed)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_no_number_is_refused(weight: float) -> None:
    with pytest.raises(RecipeError, match="weight is not a number"):
        query_vector(Recipe((Part.text("3"), Part.text("4", weight=weight))), embed)
