"""The grid of moments: one Streamlit component of Python, HTML, CSS and JavaScript.

Python decides what a card says; results_grid.js decides how it plays. The script runs again only
when the data changes, so a player goes on through reruns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from components.format import clock
from components.links import Links
from core.models import Moment

_FOLDER = Path(__file__).parent


def _asset(ending: str) -> str:
    return (_FOLDER / f"results_grid.{ending}").read_text(encoding="utf-8")


_component = st.components.v2.component(
    "seekpoint.results_grid", html=_asset("html"), css=_asset("css"), js=_asset("js")
)


@dataclass(frozen=True, slots=True)
class GridEvent:
    """What somebody asked of a card. `segment_id` is the best segment of its moment."""

    action: Literal["similar"]
    segment_id: str


def results_grid(
    moments: Sequence[Moment],
    *,
    links: Links,
    why: Mapping[str, str] | None = None,
    key: str = "results",
) -> GridEvent | None:
    """Shows moments as cards that play in place; returns what was asked for in this run.

    Args:
        moments: in the order they are shown.
        links: writes the addresses of videos and posters.
        why: best-segment id -> one line that says why the moment is here.
    """
    top = max((moment.score for moment in moments), default=0.0)
    cards = [_card(moment, links, why or {}, top) for moment in moments]
    result = _component(key=key, data={"cards": cards}, on_event_change=_do_nothing)
    return _event(result.event, {card["id"] for card in cards})


def _card(moment: Moment, links: Links, why: Mapping[str, str], top: float) -> dict[str, Any]:
    """What the script needs to draw and play one moment; the best segment's id names it."""
    best = moment.best.segment
    start, end = moment.start_offset_sec, moment.end_offset_sec
    tenths = clock(start) == clock(end)
    start_label, end_label = clock(start, tenths=tenths), clock(end, tenths=tenths)
    title = moment.video.title or "Untitled video"
    # The middle of the best segment shows what was found; the start is often a cut or a fade.
    poster_second = (best.start_offset_sec + best.end_offset_sec) / 2
    return {
        "id": best.id,
        "video_id": moment.video.id,
        "start": start,
        "end": end,
        "score": moment.score,
        "rank": moment.rank,
        "title": title,
        "category": moment.video.category,
        "option": "" if best.embedding_option == "visual" else best.embedding_option,
        "why": why.get(best.id, ""),
        "name": f"{title}, {start_label} to {end_label}, score {moment.score:.2f}",
        "time": f"{start_label}–{end_label}",
        "score_label": f"{moment.score:.2f}",
        "relevance": _share(moment.score, top),
        "src": links.video_url(moment.video),
        "poster": links.poster_url(moment.video, poster_second),
    }


def _share(score: float, top: float) -> float:
    """How much of the relevance bar a score fills, 0 to 1."""
    return min(1.0, max(0.0, score / top)) if top > 0 else 0.0


def _event(value: Any, shown: set[str]) -> GridEvent | None:
    """The browser's message as an event; None when it is about no card that is shown."""
    match value:
        case {"action": "similar", "segment_id": str(segment_id)} if segment_id in shown:
            return GridEvent("similar", segment_id)
        case _:
            return None


def _do_nothing() -> None:
    """Streamlit delivers a trigger only where a callback is given."""
