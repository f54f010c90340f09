"""The door: what somebody sees who has not logged in, or has no role here."""

from __future__ import annotations

import streamlit as st

from components import resources
from components.access import Policy, Visitor, login_providers
from core import SeekpointError

_REFUSED = "entrance_refused"


def entrance(visitor: Visitor) -> None:
    """A way in for strangers, and a way out for those who are known and have no role."""
    with st.container(horizontal_alignment="center", gap="medium", key="entrance"):
        st.space("large")
        if not visitor.user:
            st.markdown("Log in to search the videos.", text_alignment="center")
            for provider in login_providers():
                label = f"Log in with {provider.capitalize()}" if provider else "Log in"
                if st.button(label, type="primary", icon=":material/login:"):
                    st.login(provider or None)
            return
        _note_refusal(visitor)
        st.text(f"You are logged in as {visitor.user}.", text_alignment="center")
        st.markdown(
            "This address has no role here. Ask whoever runs this Seekpoint for one.",
            text_alignment="center",
        )
        if st.button("Log out", icon=":material/logout:"):
            st.logout()


def warn_of_open_door(policy: Policy) -> None:
    """Says on every page that everybody who reaches the server may do everything there."""
    if policy.open_on:
        with st.container(border=True, key="open-door"):
            st.text(
                f"Anybody who reaches {policy.open_on} may do everything here: there is no login. "
                "Set login up, or let Seekpoint listen to this machine only."
            )


def _note_refusal(visitor: Visitor) -> None:
    """Once for each session."""
    if st.session_state.setdefault(_REFUSED, False):
        return
    st.session_state[_REFUSED] = True
    try:
        resources.library().audit.note(visitor.who, "was refused", "login")
    except SeekpointError:
        # Who has no role hears nothing of what is wrong inside; those who have will see it.
        return
