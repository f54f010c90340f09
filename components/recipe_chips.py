"""The parts of a question and its filters, each as a chip that can be changed and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from components.asked import Asked, Ingredient
from components.format import clock
from components.query_address import last_day, read_clock, write_clock
from components.query_form import OPTION_NAMES, option_weight, with_option_weights
from components.query_state import asked, begin, begun_with, change, widget_key
from core import Filters, Library, Recipe, Segment, Video
from core.recipe import MAX_WEIGHT

_ICONS = {
    "image": ":material/image:",
    "video": ":material/movie:",
    "segment": ":material/play_circle:",
}
_MOST_SECONDS = 3600


def recipe_chips(library: Library) -> None:
    """One row: every part, the thumbs, every filter. Nothing when the box says it all."""
    question = asked()
    filters = list(filter_chips(library, question.filters))
    if not filters and _says_it_all(question):
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key="search_chips"
    ):
        for after in (False, True):
            if after and question.has_then:
                _then_chip(library)
            for index, ingredient in enumerate(question.ingredients):
                if ingredient.after == after and not ingredient.mark:
                    _chip(library, index, ingredient)
        if question.marks:
            _marks_chip(library, question)
        for label, without in filters:
            _drop_button(library, label, question.filtered(without))
        if len(filters) > 1:
            st.button(
                "Clear filters",
                key="search_clear_filters",
                type="tertiary",
                on_click=begin,
                args=(library, question.filtered(Filters())),
            )


def part_name(library: Library, ingredient: Ingredient) -> str:
    """What a part is called on its chip."""
    part = ingredient.part
    if part.kind == "text":
        return str(part.source)
    if part.kind == "segment":
        found = segment_of(library, str(part.source))
        return "A removed moment" if found is None else _moment_name(*found)
    what = "Clip" if part.kind == "video" else "Picture"
    name = ingredient.name
    if not name and isinstance(part.source, str):
        name = Path(urlsplit(part.source).path).name or part.source
    span = ""
    if part.start is not None or part.end is not None:
        span = f", {write_clock(part.start or 0)} to {write_clock(part.end) or 'the end'}"
    return f"{what}: {name}{span}" if name else f"{what}{span}"


def recipe_name(library: Library, recipe: Recipe) -> str:
    """A search in one line."""
    in_words = recipe.to_text()
    if in_words is not None:
        return in_words
    question = Asked.of(recipe, Filters())
    sides = []
    for after in (False, True):
        parts = [i for i in question.ingredients if i.after == after and not i.mark]
        sides.append(", ".join(f"{part_name(library, i)}{_weight(i)}" for i in parts))
    if question.marks:
        sides[0] = ", ".join(filter(None, (sides[0], _marks_name(question))))
    return " then ".join(filter(None, sides))


def segment_of(library: Library, segment_id: str) -> tuple[Video, Segment] | None:
    """A segment of the library with its video, by its id."""
    for video in library.videos():
        if segment_id.startswith(f"{video.id}:"):
            for segment in library.segments(video.id):
                if segment.id == segment_id:
                    return video, segment
    return None


def literal(text: str) -> str:
    """Somebody's words in a label, never read as Markdown."""
    return f"`{' '.join(text.replace('`', chr(39)).split()) or ' '}`"


def _says_it_all(question: Asked) -> bool:
    """Whether all that is asked is one thing in words."""
    match question.ingredients:
        case ():
            return True
        case (only,):
            return only.in_box and only.part.weight == 1
        case _:
            return False


def _moment_name(video: Video, segment: Segment) -> str:
    return f"{video.title or 'Untitled video'}, {clock(segment.start_offset_sec)}"


def _weight(ingredient: Ingredient) -> str:
    weight = ingredient.part.weight
    return "" if weight == 1 else f" {weight:g}".replace("-", "\N{MINUS SIGN}")


def _chip(library: Library, index: int, ingredient: Ingredient) -> None:
    part, name = ingredient.part, part_name(library, ingredient)
    shown = literal(name)
    label = f"{shown}{_weight(ingredient)}" if ingredient.counts else f"~~{shown}~~"
    with st.container(horizontal=True, gap=None, width="content", key=f"search_chip_{index}"):
        with st.popover(
            label, icon=_ICONS.get(part.kind), type="tertiary", key=widget_key(f"part_{index}")
        ):
            _settings(library, index, ingredient)
        st.button(
            f"Remove {shown}",
            key=f"search_remove_{index}",
            icon=":material/close:",
            type="tertiary",
            on_click=begin,
            args=(library, asked().without(index)),
        )


def _settings(library: Library, index: int, ingredient: Ingredient) -> None:
    begun = begun_with().ingredients[index].part
    st.slider(
        "Weight",
        -MAX_WEIGHT,
        MAX_WEIGHT,
        begun.weight,
        0.1,
        format="%.1f",
        key=widget_key(f"weight_{index}"),
        on_change=_take_weight,
        args=(library, index),
        width=280,
    )
    if begun.kind == "video":
        with st.container(horizontal=True):
            for name, label, seconds in (
                ("start", "From", begun.start),
                ("end", "To", begun.end),
            ):
                st.text_input(
                    label,
                    write_clock(seconds),
                    key=widget_key(f"{name}_{index}"),
                    placeholder="m:ss",
                    width=120,
                    on_change=_take_span,
                    args=(library, index),
                )
    if begun.kind in ("image", "video") and isinstance(begun.source, str):
        st.text_input(
            "Address",
            begun.source,
            key=widget_key(f"source_{index}"),
            on_change=_take_source,
            args=(library, index),
        )
    st.button(
        "Use it again" if ingredient.muted else "Leave it out for now",
        key=f"search_mute_{index}",
        icon=":material/visibility:" if ingredient.muted else ":material/visibility_off:",
        on_click=begin,
        args=(library, asked().changed(index, muted=not ingredient.muted)),
    )


def _then_chip(library: Library) -> None:
    begun = begun_with()
    label = f"then, within {_seconds(asked().within_sec)}"
    with (
        st.container(width="content", key="search_chip_then"),
        st.popover(label, type="tertiary", key=widget_key("then")),
    ):
        st.number_input(
            "Seconds from the end of the first to the start of the second",
            0.0,
            float(max(_MOST_SECONDS, begun.within_sec)),
            begun.within_sec,
            5.0,
            format="%g",
            key=widget_key("within"),
            on_change=_take_within,
            args=(library,),
            width=280,
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 or seconds % 60 else f"{seconds / 60:g} min"


def _marks_chip(library: Library, question: Asked) -> None:
    with (
        st.container(width="content", key="search_chip_marks"),
        st.popover(
            _marks_name(question),
            icon=":material/thumbs_up_down:",
            type="tertiary",
            key=widget_key("marks"),
        ),
        st.container(horizontal=True),
    ):
        last = str(question.marks[-1].part.source)
        every = [str(mark.part.source) for mark in question.marks]
        st.button(
            "Undo the last",
            key="search_marks_undo",
            icon=":material/undo:",
            on_click=begin,
            args=(library, question.unmarked([last])),
        )
        st.button(
            "Clear all",
            key="search_marks_clear",
            icon=":material/close:",
            on_click=begin,
            args=(library, question.unmarked(every)),
        )


def _marks_name(question: Asked) -> str:
    good = sum(mark.mark == "up" for mark in question.marks)
    bad = len(question.marks) - good
    return ", ".join(
        f"{number} {word}" for number, word in ((good, "good"), (bad, "bad")) if number
    )


def filter_chips(library: Library, filters: Filters) -> Iterator[tuple[str, Filters]]:
    """The label of each active filter, and the filters without it."""
    titles = {video.id: video.title for video in library.videos()}
    for video_id in filters.video_ids:
        others = tuple(v for v in filters.video_ids if v != video_id)
        title = titles.get(video_id, "A removed video") or "Untitled video"
        yield literal(title), replace(filters, video_ids=others)
    for category in filters.categories:
        left = tuple(c for c in filters.categories if c != category)
        yield literal(category), replace(filters, categories=left)
    weights = {o: option_weight(filters, o) for o in library.capabilities.options}
    for option, weight in weights.items():
        if weight != 1:
            what = f"{weight:g}" if weight else "left out"
            name = OPTION_NAMES.get(option, option)
            yield f"{literal(name)} {what}", with_option_weights(filters, weights | {option: 1.0})
    if filters.start is not None:
        yield f"From {write_clock(filters.start)}", replace(filters, start=None)
    if filters.end is not None:
        yield f"To {write_clock(filters.end)}", replace(filters, end=None)
    if filters.added_after is not None:
        yield f"Added from {filters.added_after:%Y-%m-%d}", replace(filters, added_after=None)
    if filters.added_before is not None:
        day = last_day(filters.added_before)
        yield f"Added to {day:%Y-%m-%d}", replace(filters, added_before=None)
    if filters.min_score is not None:
        yield f"Score from {filters.min_score:g}", replace(filters, min_score=None)


def _drop_button(library: Library, label: str, without: Asked) -> None:
    st.button(
        label,
        key=f"search_drop_{label}",
        icon=":material/close:",
        icon_position="right",
        help="Remove this filter",
        on_click=begin,
        args=(library, without),
    )


def _take_weight(library: Library, index: int) -> None:
    weight = round(st.session_state[widget_key(f"weight_{index}")], 1)
    change(library, asked().changed(index, weight=weight))


def _take_span(library: Library, index: int) -> None:
    state = st.session_state
    start, end = (read_clock(state[widget_key(f"{name}_{index}")]) for name in ("start", "end"))
    change(library, asked().changed(index, start=start, end=end))


def _take_source(library: Library, index: int) -> None:
    source = st.session_state[widget_key(f"source_{index}")].strip()
    if source:
        change(library, asked().changed(index, source=source))


def _take_within(library: Library) -> None:
    change(library, asked().within(st.session_state[widget_key("within")]))
