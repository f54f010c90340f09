"""The frame around every page: title, look and navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

ASSETS = Path(__file__).parent.parent / "components" / "assets"

st.set_page_config(page_title="Seekpoint", page_icon=str(ASSETS / "icon.png"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
page = st.navigation(
    [
        st.Page("search.py", title="Search", icon=":material/search:", default=True),
        st.Page("library.py", title="Library", icon=":material/video_library:"),
        st.Page("explore.py", title="Explore", icon=":material/scatter_plot:"),
        st.Page("status.py", title="Status", icon=":material/info:"),
    ],
    position="top",
)
page.run()
