from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import RecipeError
from core.recipe import (
    DEFAULT_WITHIN_SEC,
    DISLIKED_WEIGHT,
    LIKED_WEIGHT,
    MAX_TEXT_CHARS,
    Part,
    Recipe,
    query_vector,
    weighted_parts,
)

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
    "text",
    [
        "🚗💨 👩‍👩‍👧",
        "سيارة حمراء",
        "מכתב red שולחן",
        "赤い車",
        "a-b - c -- --d ^ ^2 -^ -^2",
        "C:\\x",
        "it's 5'",
    ],
)
def test_plain_words_of_any_script_are_one_part_as_they_are(text: str) -> None:
    assert Recipe.parse(text) == Recipe((Part.text(text),))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("red^2 car", [("red", 2), ("car", 1)]),
        ("red car^2", [("red", 1), ("car", 2)]),
        ("a\nblue  car", [("a blue car", 1)]),
        ("red car -night", [("red car", 1), ("night", -1)]),
        ("red -night car", [("red car", 1), ("night", -1)]),
        ('car "street  market"^1.5', [("car", 1), ("street market", 1.5)]),
        ('car -"street market"^0.5', [("car", 1), ("street market", -0.5)]),
        ('"red car" "blue sea"', [("red car", 1), ("blue sea", 1)]),
        ("car^-1 -night^-.5 sea^0", [("car", -1), ("night", 0.5), ("sea", 0)]),
        (r'"say \"hi\" \\ \n"', [(r'say "hi" \ \n', 1)]),
        ('car"street market"sea', [("car sea", 1), ("street market", 1)]),
        ("a^b^1.5", [("a^b", 1.5)]),
        ('car "" -""^2', [("car", 1)]),
        ("then red then", [("then red then", 1)]),
        ('red "then" car', [("red car", 1), ("then", 1)]),
        ("then", [("then", 1)]),
        ("red car within 10s", [("red car within 10s", 1)]),
    ],
)
def test_marks_make_parts_of_their_own(typed: str, expected: list[tuple[str, float]]) -> None:
    recipe = Recipe.parse(typed)
    assert [(part.source, part.weight) for part in recipe.parts] == expected
    assert recipe.then is None


@pytest.mark.parametrize(
    ("typed", "second", "within_sec"),
    [
        ("dog THEN ball", "ball", DEFAULT_WITHIN_SEC),
        ("dog then ball within 10s", "ball", 10),
        ("dog then ball Within 2.5 s", "ball", 2.5),
        ("dog then ball within 2 min", "ball", 120),
        ("dog then within 10s", "within 10s", DEFAULT_WITHIN_SEC),
        ("dog then ball within reach", "ball within reach", DEFAULT_WITHIN_SEC),
        ('dog then ball "within 10s"', 'ball "within 10s"', DEFAULT_WITHIN_SEC),
    ],
)
def test_then_makes_a_second_side(typed: str, second: str, within_sec: float) -> None:
    expected = Recipe(Recipe.parse("dog").parts, Recipe.parse(second), within_sec)
    assert Recipe.parse(typed) == expected


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ('red "street market', "quote is opened"),
        ('red car"', "quote is opened"),
        (r'"C:\"', "quote is opened"),
        ("red^2.5", "not a number from -2 to 2"),
        ("red^-3", "not a number from -2 to 2"),
        ("red^two", "not a number from -2 to 2"),
        ("red^", "not a number from -2 to 2"),
        ("red^nan", "not a number from -2 to 2"),
        ("red^1e1", "not a number from -2 to 2"),
        (f"red^{'9' * 400}", "not a number from -2 to 2"),
        ("one then two then three", "more than one"),
        (" ".join(f"word^{n / 10}" for n in range(17)), "17 parts"),
        (f"a then b within {'9' * 400} s", "no length of time"),
        ('""', "nothing to search for"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_way_out(typed: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem) as refusal:
        Recipe.parse(typed)
    assert refusal.value.hint


pieces = st.sampled_from(
    [
        *'"^- \\\t',
        "red",
        "car",
        "then",
        "within",
        "10s",
        "2 min",
        "^2",
        "^0.3",
        "-x",
        '"a b"',
        "é🚗",
    ]
)
typed = st.text() | st.lists(pieces, max_size=30).map("".join)


@given(typed | st.lists(pieces, max_size=20).map(" ".join))
@settings(max_examples=300)
def test_whatever_is_typed_is_refused_or_can_be_typed_again(text: str) -> None:
    try:
        recipe = Recipe.parse(text)
    except RecipeError:
        return
    again = recipe.to_text()
    assert again is not None
    assert Recipe.parse(again) == recipe
    assert all(str(part.source).strip() for part in recipe.parts)


def test_a_recipe_is_typed_without_needless_marks() -> None:
    for text in ("red car", "red car -night", 'dog "street market"^1.5 then ball within 10 s'):
        assert Recipe.parse(text).to_text() == text


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
    st.builds(Part.mark, words, liked=st.booleans()),
)
sides = st.lists(parts).map(tuple).map(Recipe)
recipes = sides | st.builds(
    replace, sides, then=sides, within_sec=st.floats(0, allow_infinity=False)
)


@given(recipes)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


@given(recipes)
def test_what_a_recipe_is_typed_as_is_that_recipe(recipe: Recipe) -> None:
    text = recipe.to_text()
    assert text is None or Recipe.parse(text) == recipe


@pytest.mark.parametrize("part", [Part.image(b"x"), Part.segment("s"), Part.mark("s", liked=True)])
def test_what_is_no_text_cannot_be_typed(part: Part) -> None:
    assert Recipe((Part.text("red car"), part)).to_text() is None


def test_a_then_holds_no_other_and_happens_within_a_length_of_time() -> None:
    dog, ball = Recipe.parse("dog"), Recipe.parse("ball")
    with pytest.raises(RecipeError, match="more than one"):
        replace(dog, then=replace(ball, then=dog))
    for seconds in (math.nan, math.inf, -1.0):
        with pytest.raises(RecipeError, match="no length of time"):
            replace(dog, then=ball, within_sec=seconds)


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
        '{"parts": [{"kind": "segment", "source": "x", "mark": "sideways"}]}',
        '{"parts": [], "then": 1}',
        '{"parts": [], "within_sec": "soon"}',
        '{"parts": [{"kind": "text", "source": "x", "weight": 1%s}]}' % ("0" * 400),
        "[" * 100_000,
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
    assume(any(weight > 1e-6 for _, weight in chosen))
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


def test_the_heavier_word_decides_the_direction() -> None:
    for typed, (first, second) in {"3^2 4": (2, 1), "3 4^2": (1, 2)}.items():
        direction, length = query_vector(Recipe.parse(typed), embed)
        expected = (first * unit(3) + second * unit(4)) / 3
        np.testing.assert_allclose(direction * length, expected, atol=1e-6)


@pytest.mark.parametrize(
    "parts",
    [
        (Part.text("3", weight=-1.0),),
        (Part.text("3", weight=-1.0), Part.mark("4", liked=False)),
        (Part.mark("4", liked=False),),
    ],
)
def test_a_recipe_that_only_says_what_not_to_look_for_is_refused(parts: tuple[Part, ...]) -> None:
    with pytest.raises(RecipeError, match="what not to look for"):
        query_vector(Recipe(parts), embed)


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


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 2.1, -3.0])
def test_a_weight_that_is_no_number_in_range_is_refused(weight: float) -> None:
    with pytest.raises(RecipeError, match="weight is not a number from -2 to 2"):
        query_vector(Recipe((Part.text("3"), Part.text("4", weight=weight))), embed)


def test_marks_weigh_what_rocchio_gives_them_however_many_they_are() -> None:
    words = (Part.text("1", weight=2.0), Part.text("2", weight=-1.0))
    liked = tuple(Part.mark(str(n), liked=True) for n in (3, 4))
    disliked = tuple(Part.mark(str(n), liked=False) for n in (5, 6, 7))
    weights = [weight for _, weight in weighted_parts(Recipe(words + liked + disliked))]
    up, down = LIKED_WEIGHT * 3 / 2, -DISLIKED_WEIGHT * 3 / 3
    assert weights == pytest.approx([2.0, -1.0, up, up, down, down, down])


def test_without_other_parts_the_liked_moments_are_the_query() -> None:
    marks = [Part.mark("3", liked=True), Part.mark("4", liked=True), Part.mark("5", liked=False)]
    weights = [weight for _, weight in weighted_parts(Recipe(tuple(marks)))]
    assert weights == pytest.approx([0.5, 0.5, -DISLIKED_WEIGHT])


def test_a_mark_of_weight_zero_does_not_count() -> None:
    marks = (Part.mark("3", liked=True), replace(Part.mark("4", liked=True), weight=0.0))
    assert weighted_parts(Recipe(marks)) == [(marks[0], 1.0)]
