"""Explore: what is in the library, what is odd in it, what changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from components.explore import OF_ALL_OPTIONS, View, chosen_option, open_view
from components.explore_clusters import show_clusters
from components.explore_compare import show_compare
from components.explore_coverage import show_coverage
from components.explore_duplicates import show_duplicates
from components.explore_map import show_map
from components.explore_outliers import show_outliers
from components.explore_trends import show_trends
from components.feedback import opened_library
from core import Library

_SHOW: Mapping[View, Callable[[Library, str], None]] = {
    "map": show_map,
    "clusters": show_clusters,
    "outliers": show_outliers,
    "duplicates": show_duplicates,
    "trends": show_trends,
    "coverage": show_coverage,
    "side-by-side": show_compare,
}

library = opened_library()
if not library.explorer.options():
    st.markdown("There is nothing to explore yet: add videos first.")
    st.page_link("library.py", label="Add videos", icon=":material/video_library:")
    st.stop()

view = open_view()
_SHOW[view](library, chosen_option(library, offered=view not in OF_ALL_OPTIONS))
