"""The basket: moments put aside over many searches, to be named, sorted out and taken away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from components import resources
from components.answer import Answer, show_in_pages
from components.asked import Asked
from components.export_menu import export_menu
from components.feedback import errors_shown, show_error
from components.format import clock, count
from components.instead import back_to_search, show_instead
from components.query_state import asked
from components.recipe_chips import literal
from core import Filters, Finding, Library, Recipe, SearchResult, SeekpointError

_PER_PAGE = 10
_PAGE, _TAKEN_OUT, _CLEARING = "basket_page", "basket_taken_out", "basket_clearing"


class ShownBasket:
    """Says that the basket is shown in place of a search."""


def basket_button(library: Library) -> None:
    """Opens the basket, and says how many moments are in it."""
    try:
        number = len(library.basket.ids())
    except SeekpointError as error:
        show_error(error)
        return
    label = f"Basket {number:,}" if number else "Basket"
    if st.button(label, icon=":material/bookmark:", key="search_basket"):
        for name in (_TAKEN_OUT, _CLEARING):
            st.session_state.pop(name, None)
        _basket(library)


@st.dialog("Basket", width="medium", on_dismiss="rerun")
def _basket(library: Library) -> None:
    basket(library)


def basket(library: Library) -> None:
    """Everything in the basket, and what can be done with it."""
    with errors_shown():
        items = library.basket.items()
        _undo(library)
        if not items:
            st.markdown(
                "The basket is empty. Put moments into it from their cards, or tick some and add "
                "them together; they stay through all searches."
            )
            return
        _head(library, items)
        pages = math.ceil(len(items) / _PER_PAGE)
        page = min(pages, st.session_state.get(_PAGE, 1))
        tags = sorted({tag for item in items for tag in item.tags})
        for item in items[(page - 1) * _PER_PAGE : page * _PER_PAGE]:
            _row(library, item, tags)
        if pages > 1:
            st.pagination(pages, key=_PAGE)


def show_basket(library: Library) -> None:
    """The moments of the basket with their players, as if they were an answer."""
    with errors_shown():
        items = library.basket.items()
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader("Basket", anchor=False, width="content")
        st.button(
            "Close",
            key="basket_close",
            icon=":material/close:",
            type="tertiary",
            on_click=back_to_search,
        )
    if not items:
        st.markdown("The basket is empty.")
        return
    moments = tuple(replace(item.moment, rank=place) for place, item in enumerate(items, start=1))
    show_in_pages(
        library,
        Answer(
            question=Asked(layout=asked().layout),
            name="basket",
            result=SearchResult((), moments, Recipe(()), Filters(), ""),
            moments=moments,
            findings=items,
        ),
        key="basket_shown_page",
    )


def _head(library: Library, items: Sequence[Finding]) -> None:
    seconds = sum(i.moment.end_offset_sec - i.moment.start_offset_sec for i in items)
    total = f"{count(len(items), 'moment')}, {clock(seconds)} in all"
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(total, width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            if st.button(
                "Show",
                key="basket_show",
                icon=":material/play_circle:",
                on_click=show_instead,
                args=(ShownBasket(),),
            ):
                st.rerun()  # the whole page, which closes the dialog
            export_menu(library, items, what="All of the basket", key="basket_export")
            if resources.may("basket.remove"):
                st.button(
                    "Clear",
                    key="basket_clear",
                    icon=":material/delete_sweep:",
                    type="tertiary",
                    on_click=_ask_to_clear,
                )
    if st.session_state.get(_CLEARING):
        with st.container(border=True, key="basket_question"):
            st.markdown("Take everything out of the basket, with its notes and tags?")
            with st.container(horizontal=True):
                st.button("Keep it", on_click=_keep_all, key="basket_keep_all")
                st.button(
                    "Take all out",
                    type="primary",
                    key="basket_take_all",
                    on_click=_take_out,
                    args=(library, items),
                )


def _undo(library: Library) -> None:
    taken_out: Sequence[Finding] = st.session_state.get(_TAKEN_OUT, ())
    if taken_out:
        with st.container(horizontal=True, vertical_alignment="center", key="basket_undo"):
            only = taken_out[0].moment.video.title or "Untitled video"
            st.text(
                f"Taken out: {only if len(taken_out) == 1 else count(len(taken_out), 'moment')}"
            )
            st.button("Undo", icon=":material/undo:", on_click=_put_back, args=(library, taken_out))


def _row(library: Library, item: Finding, tags: Sequence[str]) -> None:
    moment, video = item.moment, item.moment.video
    with st.container(
        horizontal=True, vertical_alignment="top", gap="small", key=f"basket_row_{item.id}"
    ):
        middle = (moment.best.segment.start_offset_sec + moment.best.segment.end_offset_sec) / 2
        # The address is ours and signed; nothing a visitor wrote stands in this markup.
        st.html(
            f'<img src="{resources.links().poster_url(video, middle)}" alt="" loading="lazy" '
            'width="112" height="63" style="object-fit:cover;border-radius:6px;display:block">',
            width=112,
        )
        with st.container(gap="xxsmall", width="stretch"):
            st.text(video.title or "Untitled video")
            st.caption(_facts(item))
            if not resources.may("basket.note"):
                st.text(" ".join(filter(None, (item.note, *item.tags))))
                return
            with st.container(horizontal=True, gap="small"):
                st.text_input(
                    "Note",
                    item.note,
                    key=f"basket_note_{item.id}",
                    placeholder="Note",
                    label_visibility="collapsed",
                    on_change=_take_note,
                    args=(library, item.id),
                )
                st.multiselect(
                    "Tags",
                    list(dict.fromkeys((*tags, *item.tags))),
                    default=list(item.tags),
                    key=f"basket_tags_{item.id}",
                    placeholder="Tags",
                    accept_new_options=True,
                    label_visibility="collapsed",
                    on_change=_take_tags,
                    args=(library, item.id),
                )
        st.button(
            f"Take out {literal(video.title or 'Untitled video')}",
            key=f"basket_remove_{item.id}",
            icon=":material/close:",
            type="tertiary",
            on_click=_take_out,
            args=(library, [item]),
        )


def _facts(item: Finding) -> str:
    moment = item.moment
    start, end = clock(moment.start_offset_sec), clock(moment.end_offset_sec)
    said = [f"{start} to {end}", f"score {moment.score:z.2f}"]
    if item.exported_at is not None:
        said.append(f"exported {item.exported_at:%Y-%m-%d}")
    if moment.video.removed:
        said.append("its video was removed")
    return ", ".join(said)


def _ask_to_clear() -> None:
    st.session_state[_CLEARING] = True


def _keep_all() -> None:
    st.session_state.pop(_CLEARING, None)


def _take_out(library: Library, items: Sequence[Finding]) -> None:
    library.basket.remove([item.id for item in items])
    st.session_state[_TAKEN_OUT] = tuple(items)
    st.session_state.pop(_CLEARING, None)


def _put_back(library: Library, items: Sequence[Finding]) -> None:
    library.basket.add(items)
    st.session_state.pop(_TAKEN_OUT, None)


def _take_note(library: Library, finding_id: str) -> None:
    library.basket.note(finding_id, st.session_state[f"basket_note_{finding_id}"])


def _take_tags(library: Library, finding_id: str) -> None:
    library.basket.tag(finding_id, st.session_state[f"basket_tags_{finding_id}"])
