"""What is picked on the map: by a click, a drag, in its table, or a whole cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core import Overview

_PICKED, _ONLY, _ROUND = "explore_picked", "explore_only_cluster", "explore_map_round"
# Around one that is picked.
_NEIGHBOURS = 7
# The vectors of more would have to be read to show a few cards.
_MOST = 500


@dataclass(frozen=True, slots=True)
class Picked:
    """Segments picked on the map `of` this overview, the nearest to their middle first; of `one` that
    was clicked itself and its neighbours. `number` are all that were picked."""

    of: Overview
    ids: tuple[str, ...]
    number: int
    one: bool


def picked_on(overview: Overview) -> Picked | None:
    """What is picked on the map of this overview."""
    picked: Picked | None = st.session_state.get(_PICKED)
    return picked if picked is not None and picked.of is overview else None


def pick(overview: Overview, places: NDArray[np.int64]) -> None:
    """Picks points by their places on the map, and no others; of one its neighbours come along."""
    if not len(places):
        st.session_state.pop(_PICKED, None)
        return
    one = len(places) == 1
    near = np.arange(len(overview.points)) if one else places
    ids = _nearest(overview, near, places)[: _NEIGHBOURS + 1 if one else _MOST]
    st.session_state[_PICKED] = Picked(overview, ids, len(places), one)


def pick_cluster(overview: Overview, number: int) -> None:
    """Picks a cluster, and lets the map show where it lies."""
    drop_picks()
    places = np.flatnonzero(overview.labels[overview.shown] == number)
    ids = _nearest(overview, places, places)[:_MOST]
    st.session_state[_ONLY] = number
    st.session_state[_PICKED] = Picked(overview, ids, len(places), one=False)


def only_cluster() -> int | None:
    """The number of the cluster that the map makes stand out; None for all of them."""
    number: int | None = st.session_state.get(_ONLY)
    return number


def drop_one() -> None:
    """Picks nothing where one had been clicked, which would play."""
    picked: Picked | None = st.session_state.get(_PICKED)
    if picked is not None and picked.one:
        del st.session_state[_PICKED]


def drop_picks() -> None:
    """Picks nothing, on a map that has all clusters alike."""
    state = st.session_state
    state[_ROUND] = state.get(_ROUND, 0) + 1
    for name in (_PICKED, _ONLY):
        state.pop(name, None)


def chart_key() -> str:
    """The key of the chart: one cannot be told to forget what is picked on it, but a chart of another
    key begins with nothing."""
    return f"explore_map_{st.session_state.get(_ROUND, 0)}"


def _nearest(
    overview: Overview, places: NDArray[np.int64], middle_of: NDArray[np.int64]
) -> tuple[str, ...]:
    """Segment ids of these places, the nearest to the middle of those first."""
    middle = overview.points[middle_of].mean(axis=0)
    away = np.linalg.norm(overview.points[places] - middle, axis=1)
    if len(middle_of) == 1:
        away[places == middle_of[0]] = -1.0  # others may lie on the same spot
    order = places[np.argsort(away, kind="stable")]
    return tuple(overview.segments[row].id for row in overview.shown[order])
