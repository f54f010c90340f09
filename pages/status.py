"""Status: what Seekpoint runs on, what it can and cannot do, and what is missing for more."""

from __future__ import annotations

import streamlit as st

import samples
from components import resources
from components.audit_log import audit_log
from components.feedback import opened_library
from components.format import clock
from components.status_operation import facts, operation
from core import Library


def _counts(library: Library) -> None:
    videos = library.videos()
    with st.grid("auto", min_column_width=150) as grid:
        for label, value in (
            ("Videos", f"{len(videos):,}"),
            ("Length", clock(sum(video.duration or 0.0 for video in videos))),
            ("Segments", f"{sum(video.segments for video in videos):,}"),
        ):
            with grid.cell():
                st.metric(label, value)


def _twelve_labs(library: Library) -> None:
    st.subheader("Twelve Labs")
    if library.settings.twelvelabs_api_key:
        st.markdown("A key is set.")
        if not library.capabilities.remote:
            st.markdown("It is not used, because `SEEKPOINT_EMBEDDER` is `local`.")
        return
    st.markdown(
        "There is no key, so the built-in search is used. To search with real language "
        "understanding, in pictures and sound, put your key into the file `.env` and start "
        "Seekpoint again:"
    )
    st.code("TWELVELABS_API_KEY=your-key", language=None)
    st.markdown(
        "The two kinds of embedding cannot be mixed, so each keeps its own collection: Library then "
        "offers to embed your videos anew, and until they are ready the built-in search answers."
    )


def _access() -> None:
    st.subheader("Access")
    policy, visitor = resources.policy(), resources.visitor()
    if policy.login:
        facts({"Logged in as": visitor.user, "Role": str(visitor.role)})
        return
    where = f"on {policy.open_on}" if policy.open_on else "to this machine only"
    st.markdown("There is no login: whoever reaches this server may do everything.")
    facts({"Listens": where})


library = opened_library()
_counts(library)

st.subheader("Search")
if library.embedder.limits_text:
    st.markdown(library.embedder.limits_text)
capabilities = library.capabilities
facts(
    {
        "Embedder": capabilities.embedder,
        "Model": capabilities.model,
        "Dimension": f"{capabilities.dimension:,}",
        "Matches in": ", ".join(capabilities.options),
    }
)
if resources.may("status"):
    _twelve_labs(library)
    operation(library)
_access()
if resources.may("audit"):
    audit_log(library)

with st.expander("Credits of the sample library"):
    for sample in samples.sample_sources():
        st.text(f"{sample.title}: {sample.credit.attribution}, {sample.credit.licence}")
