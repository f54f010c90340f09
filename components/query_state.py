"""What is asked for: kept in the session, mirrored in the address, taken from it again.

The widgets of the form begin with what is asked for and report changes; nothing else is read from
them. A round ends whenever the question comes from elsewhere (a link, Back, an example, a card) or
has other parts than before: the widgets of the popovers are left behind and new ones begin with the
new question, because what lies in a closed popover never hears of a value that is set later. The
search box stays and is told.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from urllib.parse import urlencode

import streamlit as st

from components.asked import Asked
from components.query_address import SAVED, Address, from_address, to_address
from core import Library, SeekpointError

logger = logging.getLogger(__name__)

SEARCH_BOX = "search_text"
# The names of the session.
_ASKED, _BEGUN_WITH, _ROUND, _ADDRESS, _PENDING, _SEEN, _COMPLAINT = (
    "search_asked",
    "search_begun_with",
    "search_round",
    "search_address",
    "search_address_pending",
    "search_seen",
    "search_complaint",
)
_MOST_SEEN = 200
# Streamlit remembers every widget that a session has ever had, so the names of widgets come back:
# once those that had them last are long gone from the page.
_ROUNDS = 16


def asked() -> Asked:
    """What is asked for now."""
    question: Asked = st.session_state[_ASKED]
    return question


def begun_with() -> Asked:
    """What the widgets of this round begin with; the same through the whole round."""
    question: Asked = st.session_state[_BEGUN_WITH]
    return question


def widget_key(name: str) -> str:
    """The key of a popover's widget in this round."""
    return f"search_{name}_{st.session_state[_ROUND]}"


def change(library: Library, question: Asked) -> None:
    """Takes over what a widget reports."""
    st.session_state[_ASKED] = question
    _write_address(library, question)


def begin(library: Library, question: Asked) -> None:
    """Asks something that other widgets than before belong to: they begin anew with it."""
    _adopt(question)
    _write_address(library, question)


def follow_address(library: Library) -> None:
    """Begins anew when the address has changed: a link, Back or Forward.

    A menu leads back here without the address, and the last question goes on; `pending_address` is
    then what the browser should show. To be called before anything else here.

    Raises:
        SeekpointError: when the saved search of the address is gone or cannot be read; the question
            is empty then.
    """
    state, here = st.session_state, _address()
    was_elsewhere = SEARCH_BOX not in state
    came_by_menu = was_elsewhere and not here and _ASKED in state
    problem: SeekpointError | None = None
    if here == state.get(_ADDRESS):
        state[_PENDING] = False
    if came_by_menu:
        state[_PENDING] = True
        _adopt(asked())
    elif here != state.get(_ADDRESS) and not (state.get(_PENDING) and not here):
        try:
            question = _seen().get(_key(here)) if here else None
            _adopt(question or from_address(library, here))
        except SeekpointError as error:
            problem = error
            _adopt(Asked())
        state[_ADDRESS], state[_PENDING] = here, False
    elif was_elsewhere:
        _adopt(asked())
    if problem is not None:
        raise problem


def last_asked() -> Asked | None:
    """What was asked last on the Search page, for other pages; None before anything was."""
    question: Asked | None = st.session_state.get(_ASKED)
    return question


def hand_over(library: Library, question: Asked) -> NoReturn:
    """Asks this on the Search page, from another page; in a callback nothing would come of it."""
    _adopt(question)
    st.switch_page("search.py", query_params=_noted(library, question))


def fill_search_box() -> None:
    """Tells the box what is asked for; to be called right before it is drawn."""
    if st.session_state.get(SEARCH_BOX, "").strip() != asked().text:
        st.session_state[SEARCH_BOX] = asked().text


def pending_address() -> str:
    """The query of the address that the browser does not show yet; empty when it does."""
    state = st.session_state
    return f"?{urlencode(state[_ADDRESS], doseq=True)}" if state[_PENDING] else ""


def is_saved() -> bool:
    """Whether the address names a search that the library keeps, so that it is noted already."""
    return SAVED in st.session_state[_ADDRESS]


@contextmanager
def complaints_kept() -> Iterator[None]:
    """Keeps an error raised inside, as a callback cannot show one; see `complaint`."""
    try:
        yield
    except SeekpointError as error:
        st.session_state[_COMPLAINT] = error


def complaint() -> SeekpointError | None:
    """What went wrong when something was added, once."""
    error: SeekpointError | None = st.session_state.pop(_COMPLAINT, None)
    return error


def _adopt(question: Asked) -> None:
    state = st.session_state
    state[_ASKED] = state[_BEGUN_WITH] = question
    state[_ROUND] = (state.get(_ROUND, 0) + 1) % _ROUNDS


def _write_address(library: Library, question: Asked) -> None:
    """One entry in the browser's history for each new question."""
    wanted = _noted(library, question)
    if wanted != _address():
        st.query_params.from_dict(wanted)


def _noted(library: Library, question: Asked) -> Address:
    """The address of a question, which is noted under it: the session remembers more than an address
    says, what is muted, the names of files."""
    try:
        wanted = to_address(library, question)
    except SeekpointError as error:
        # The search goes on without a link to it.
        logger.warning("a search could not be kept: %s", error)
        wanted = {}
    st.session_state[_ADDRESS], st.session_state[_PENDING] = wanted, False
    seen = _seen()
    seen[_key(wanted)] = question
    seen.move_to_end(_key(wanted))
    while len(seen) > _MOST_SEEN:
        seen.popitem(last=False)
    return wanted


def _seen() -> OrderedDict[str, Asked]:
    seen: OrderedDict[str, Asked] = st.session_state.setdefault(_SEEN, OrderedDict())
    return seen


def _key(address: Address) -> str:
    return json.dumps(address, sort_keys=True)


def _address() -> Address:
    return {name: st.query_params.get_all(name) for name in st.query_params}
