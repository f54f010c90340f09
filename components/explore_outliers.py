"""Outliers: the moments that are least like any other."""

from __future__ import annotations

import streamlit as st

from components.explore import kept_task, task_shown
from components.explore_cards import answer_of, cards
from components.feedback import errors_shown
from core import Library

_WHERE = "explore_outliers_of"


def show_outliers(library: Library, option: str) -> None:
    titles = {"": "All videos together"}
    titles |= {video.id: video.title or "Untitled video" for video in library.videos()}
    if st.session_state.get(_WHERE) not in titles:
        st.session_state[_WHERE] = ""
    video_id = st.selectbox(
        "Among the moments of", list(titles), format_func=titles.__getitem__, key=_WHERE, width=360
    )
    found = task_shown(
        kept_task(
            library,
            ("outliers", option, video_id),
            lambda: library.explorer.outliers(option, video_id=video_id),
        )
    )
    if found is None:
        return
    if not found:
        st.markdown("There are too few moments to say which of them is unlike the others.")
        return
    st.caption(
        "The least like any other first. The score is how far a moment is, by cosine, from the five "
        "most like it: 0 would be the same."
    )
    scores = {outlier.segment.id: outlier.score for outlier in found}
    with errors_shown():
        result = answer_of(library, list(scores))
        cards(library, result, name=f"outliers_{video_id}", scores=scores)
