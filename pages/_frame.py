"""The frame around every page: title, look and navigation, and the door where there is login."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from components import resources
from components.access import Role
from components.entrance import entrance, warn_of_open_door
from components.feedback import errors_shown

ASSETS = Path(__file__).parent.parent / "components" / "assets"

st.set_page_config(page_title="Seekpoint", page_icon=str(ASSETS / "icon.png"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
with errors_shown():
    policy, visitor = resources.policy(), resources.visitor()
pages = [
    st.Page("search.py", title="Search", icon=":material/search:", default=True),
    st.Page("library.py", title="Library", icon=":material/video_library:"),
    st.Page("explore.py", title="Explore", icon=":material/scatter_plot:"),
    st.Page("status.py", title="Status", icon=":material/info:"),
]
if policy.login:
    pages.append(st.Page(st.logout, title="Log out", icon=":material/logout:", url_path="log-out"))
# Also before the door: otherwise an address of a page would not be known.
page = st.navigation(pages, position="top" if visitor.role else "hidden")
if visitor.role is Role.NONE:
    entrance(visitor)
    st.stop()
warn_of_open_door(policy)
page.run()
