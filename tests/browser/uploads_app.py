"""Pages with nothing but the uploader, and nothing at all, for the browser tests."""

from __future__ import annotations

import streamlit as st

from components import resources
from components.routes import routes
from components.uploader import uploader


def main() -> None:
    st.set_page_config(layout="wide")
    st.navigation([st.Page(files, default=True), st.Page(elsewhere)], position="top").run()


def files() -> None:
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    with st.container(horizontal=True):
        st.button("Run again")
        add = st.button("Add")
    copies = uploader(resources.library(), resources.links())
    st.text(f"Run {st.session_state.runs}")
    st.text(f"Copies: {', '.join(path.name for path in copies) or 'none'}")
    if add:
        resources.library().uploads.are_queued([str(path) for path in copies])
        st.rerun()


def elsewhere() -> None:
    st.text("Another page")


if __name__ == "__main__":
    main()
else:
    app = st.App(
        __file__, routes=routes(resources.library, resources.links_of_nobody, resources.policy)
    )
