"""Evidence that was exported is opened again: the same moments, and what differs today."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.answer import Answer, show_in_pages
from components.asked import Asked
from components.feedback import show_error
from components.format import count
from components.instead import back_to_search, show_instead
from components.query_state import asked, begin
from components.recipe_chips import recipe_name
from core import Library, SearchResult, SeekpointError

_REFUSED, _UPLOAD, _PAGE = "evidence_refused", "evidence_upload", "evidence_page"
_MOST_MB = 200


@dataclass(frozen=True, slots=True)
class OpenedEvidence:
    """The content of a file of this name."""

    name: str
    result: SearchResult


def open_evidence(library: Library) -> None:
    """Where an exported file is chosen; for a dialog, which closes when the file has opened."""
    st.markdown("**Open evidence**")
    upload = st.file_uploader(
        "A file that was exported here as Evidence (JSON)",
        type="json",
        key=_UPLOAD,
        max_upload_size=_MOST_MB,
        on_change=_take,
        args=(library,),
    )
    refused: SeekpointError | None = st.session_state.get(_REFUSED)
    if upload is not None and refused is not None:
        show_error(refused)
    elif upload is not None:
        st.rerun()  # the whole page, which closes the dialog


def show_evidence(library: Library, opened: OpenedEvidence) -> None:
    """What differs today, a way back, and the moments as they were found."""
    result = opened.result
    with st.container(border=True, gap="small", key="search_evidence"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.subheader("Evidence", anchor=False, width="content")
            with st.container(horizontal=True, width="content", gap="small"):
                if result.recipe.parts:
                    st.button(
                        "Search for it now",
                        key="evidence_search",
                        icon=":material/search:",
                        on_click=begin,
                        args=(library, Asked.of(result.recipe, result.filters)),
                    )
                st.button(
                    "Close",
                    key="evidence_close",
                    icon=":material/close:",
                    type="tertiary",
                    on_click=back_to_search,
                )
        st.text(_what_it_is(library, opened))
        for note in result.notes:
            with st.container(horizontal=True, gap="small"):
                st.markdown(":orange[:material/difference:]", width="content")
                st.text(note, width="stretch")
        if not result.notes:
            st.text(
                "Nothing differs: the videos, the model and what the search finds are the same."
            )
    if result.moments:
        show_in_pages(library, _answer(library, opened), key=_PAGE)


def _take(library: Library) -> None:
    state = st.session_state
    state.pop(_REFUSED, None)
    upload = state[_UPLOAD]
    if upload is None:
        return
    try:
        result = library.load(upload.getvalue())
    except SeekpointError as error:
        state[_REFUSED] = error
    else:
        state.pop(_PAGE, None)
        show_instead(OpenedEvidence(upload.name, result))


def _answer(library: Library, opened: OpenedEvidence) -> Answer:
    result = opened.result
    question = Asked.of(result.recipe, result.filters) if result.recipe.parts else Asked()
    return Answer(
        question=question.laid_out(asked().layout),
        name=("evidence", opened.name, result.moments),
        result=result,
        moments=result.moments,
        findings=library.findings(result),
    )


def _what_it_is(library: Library, opened: OpenedEvidence) -> str:
    result = opened.result
    said = f"{opened.name}: {count(len(result.moments), 'moment')}"
    if result.recipe.parts:
        said += f" found with {recipe_name(library, result.recipe)}"
    return f"{said}, by the model {result.model}." if result.model else f"{said}."
