"""The searches that were kept under a name and those that were made: run again, rename, delete."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from components.asked import Asked
from components.evidence import open_evidence
from components.format import count
from components.query_state import asked, begin
from components.recipe_chips import filter_chips, literal, recipe_name
from components.resources import may
from core import Library, Recipe, RecipeError
from core.searches import SavedSearch

_PER_PAGE = 8
_NAME_CHARS = 120
_DELETED, _NEW_NAME = "searches_deleted", "searches_new_name"


def searches_button(library: Library) -> None:
    if st.button("Searches", icon=":material/history:", key="search_searches"):
        st.session_state.pop(_DELETED, None)
        _searches(library)


@st.dialog("Searches", width="large")
def _searches(library: Library) -> None:
    if may("searches.rename"):
        _save_this(library)
        _undo(library)
    kept, made = library.searches.named(), library.searches.history()
    if kept:
        _list(library, "Kept", kept)
    if made:
        _list(library, "Made lately", made)
    if not kept and not made:
        st.markdown("Every search that is made here is noted, the last 200 of them.")
    open_evidence(library)


def _save_this(library: Library) -> None:
    try:
        recipe = asked().recipe()
    except RecipeError:
        return
    if recipe is None:
        return
    with (
        st.form("searches_save", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Keep this search under a name", key=_NEW_NAME, max_chars=100)
        st.form_submit_button("Save", on_click=_save, args=(library, recipe))


def _undo(library: Library) -> None:
    deleted: SavedSearch | None = st.session_state.get(_DELETED)
    if deleted is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"Deleted: {_name(library, deleted)}")
        st.button("Undo", icon=":material/undo:", on_click=_bring_back, args=(library, deleted))


def _list(library: Library, heading: str, searches: Sequence[SavedSearch]) -> None:
    st.markdown(f"**{heading}**")
    pages = math.ceil(len(searches) / _PER_PAGE)
    page = 1
    if pages > 1:
        page = min(pages, st.session_state.get(f"searches_page_{heading}", 1))
    for search in searches[(page - 1) * _PER_PAGE : page * _PER_PAGE]:
        _row(library, heading, search)
    if pages > 1:
        st.pagination(pages, key=f"searches_page_{heading}")


def _row(library: Library, heading: str, search: SavedSearch) -> None:
    key, shown = f"{heading}_{search.id}", literal(_name(library, search))
    with st.container(
        horizontal=True, vertical_alignment="center", wrap=False, key=f"searches_row_{key}"
    ):
        with st.container(gap=None):
            question = Asked.of(search.recipe, search.filters)
            if st.button(
                shown,
                key=f"searches_run_{key}",
                type="tertiary",
                on_click=begin,
                args=(library, question),
            ):
                st.rerun()  # the whole page, which closes the dialog
            st.caption(_facts(library, search))
        if not may("searches.rename"):
            return
        with st.popover(
            f"Rename {shown}",
            icon=":material/edit:",
            type="tertiary",
            key=f"searches_rename_{key}",
        ):
            st.text_input(
                "Name",
                search.name,
                key=f"searches_name_{key}",
                max_chars=100,
                on_change=_rename,
                args=(library, search.id, f"searches_name_{key}"),
            )
        st.button(
            f"Delete {shown}",
            key=f"searches_delete_{key}",
            icon=":material/delete:",
            type="tertiary",
            on_click=_delete,
            args=(library, search),
        )


def _name(library: Library, search: SavedSearch) -> str:
    return search.name or recipe_name(library, search.recipe)[:_NAME_CHARS]


def _facts(library: Library, search: SavedSearch) -> str:
    """When it was made last, and what it asks where the name does not say it. As text only."""
    when = search.used_at.astimezone(_zone()).strftime("%Y-%m-%d %H:%M")
    filters = sum(1 for _ in filter_chips(library, search.filters))
    return ", ".join(filter(None, (when, count(filters, "filter") if filters else "")))


def _zone() -> tzinfo:
    """The viewer's time zone, as far as the browser names one that is known here."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ValueError, ZoneInfoNotFoundError):
        return UTC


def _save(library: Library, recipe: Recipe) -> None:
    name = st.session_state[_NEW_NAME]
    if name.strip():
        library.searches.rename(library.searches.keep(recipe, asked().filters), name)


def _rename(library: Library, search_id: str, key: str) -> None:
    library.searches.rename(search_id, st.session_state[key])


def _delete(library: Library, search: SavedSearch) -> None:
    library.searches.forget(search.id)
    st.session_state[_DELETED] = search


def _bring_back(library: Library, search: SavedSearch) -> None:
    library.searches.rename(library.searches.keep(search.recipe, search.filters), search.name)
    st.session_state.pop(_DELETED, None)
