"""The grid of moments: one Streamlit component of Python, HTML, CSS and JavaScript.

Python decides what a card says; results_grid.js decides how it plays. The script runs again only
when the data changes, so a player goes on through reruns.

What somebody asks of a card is numbered by the browser and sent until the grid's data says that it
was heard, because Streamlit keeps only the last of two messages that reach a busy session. It is
taken in before the page runs, and handed to the page one at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from components.format import clock
from components.links import Links
from core.models import Moment

Action = Literal["similar", "unlike", "liked", "disliked", "unmarked", "frame"]
Mark = Literal["up", "down"]

_FOLDER = Path(__file__).parent
# A player may stand a little past the length that a probe has read.
_PAST_END_SEC = 1.0


def _asset(ending: str) -> str:
    return (_FOLDER / f"results_grid.{ending}").read_text(encoding="utf-8")


_component = st.components.v2.component(
    "seekpoint.results_grid", html=_asset("html"), css=_asset("css"), js=_asset("js")
)


@dataclass(frozen=True, slots=True)
class GridEvent:
    """What somebody asked of a card.

    `similar` wants more like this, `unlike` less; `liked`, `disliked` and `unmarked` are the
    thumbs; `frame` wants to search with the picture at `second` of the video, which is None for
    all others. `segment_id` is the best segment of the card's moment; for a thumb that is changed,
    the one that was marked.
    """

    action: Action
    segment_id: str
    second: float | None = None


def results_grid(
    moments: Sequence[Moment],
    *,
    links: Links,
    why: Mapping[str, str] | None = None,
    marks: Mapping[str, Mark] | None = None,
    top_score: float | None = None,
    footnote: str = "",
    key: str = "results",
) -> GridEvent | None:
    """Shows moments as cards that play in place; returns the next thing that was asked for.

    Several things may have been asked for at once: run the page again after each event.

    Args:
        moments: in the order they are shown.
        links: writes the addresses of videos and posters.
        why: best-segment id -> one line that says why the moment is here.
        marks: segment id -> the thumb that is pressed.
        top_score: the score that fills a relevance bar, by default the best one shown. Pages of
            one answer can be compared when all are given the best score of the first.
        footnote: said under the cards, before the time it took to draw them.
    """
    inbox = _inbox(key)
    top = max((moment.score for moment in moments), default=0.0) if top_score is None else top_score
    cards = [_card(moment, links, why or {}, marks or {}, top) for moment in moments]
    _component(
        key=key,
        data={"cards": cards, "footnote": footnote, "answered": inbox.answered},
        on_event_change=partial(_receive, key),
    )
    inbox.lengths = {
        segment_id: moment.video.duration
        for moment, card in zip(moments, cards, strict=True)
        for segment_id in card["segments"]
    }
    return inbox.take()


def next_event(key: str = "results") -> GridEvent | None:
    """The next thing that was asked for, before anything is drawn: what `results_grid` would return
    at the cost of drawing the page once more."""
    return _inbox(key).take()


def _card(
    moment: Moment,
    links: Links,
    why: Mapping[str, str],
    marks: Mapping[str, Mark],
    top: float,
) -> dict[str, Any]:
    """What the script needs to draw and play one moment; its best segment's id names it."""
    best = moment.best.segment
    segments = [best.id]
    if moment.then is None:
        segments += [hit.segment.id for hit in moment.hits if hit.segment.id != best.id]
    marked = next((segment_id for segment_id in segments if segment_id in marks), best.id)
    offsets = _offsets(moment)
    tenths = any(clock(start) == clock(end) for start, end in offsets)
    spans = [_span(start, end, tenths=tenths) for start, end in offsets]
    title = moment.video.title or "Untitled video"
    spoken = ", then ".join(span["name"] for span in spans)
    # The middle of the best segment shows what was found; the start is often a cut or a fade.
    poster_second = (best.start_offset_sec + best.end_offset_sec) / 2
    return {
        "id": best.id,
        "segments": segments,
        "marked": marked,
        "mark": marks.get(marked, ""),
        "video_id": moment.video.id,
        "start": moment.start_offset_sec,
        "end": moment.end_offset_sec,
        "spans": spans,
        "score": moment.score,
        "rank": moment.rank,
        "title": title,
        "category": moment.video.category,
        "option": "" if best.embedding_option == "visual" else best.embedding_option,
        "why": why.get(best.id, ""),
        "name": f"{title}, {spoken}, score {moment.score:z.2f}",
        "score_label": f"{moment.score:z.2f}",
        "relevance": _share(moment.score, top),
        "src": links.video_url(moment.video),
        "poster": links.poster_url(moment.video, poster_second),
    }


def _offsets(moment: Moment) -> list[tuple[float, float]]:
    """Where the moment starts and ends: once, or twice for one that is followed by another."""
    if moment.then is None:
        return [(moment.start_offset_sec, moment.end_offset_sec)]
    pair = (moment.best.segment, moment.then.segment)
    return [(segment.start_offset_sec, segment.end_offset_sec) for segment in pair]


def _span(start: float, end: float, *, tenths: bool) -> dict[str, Any]:
    """A stretch of video with its words, with tenths where only they tell start and end apart."""
    start_label, end_label = clock(start, tenths=tenths), clock(end, tenths=tenths)
    return {
        "start": start,
        "end": end,
        "time": f"{start_label}–{end_label}",
        "name": f"{start_label} to {end_label}",
    }


def _share(score: float, top: float) -> float:
    """How much of the relevance bar a score fills, 0 to 1."""
    return min(1.0, max(0.0, score / top)) if top > 0 else 0.0


@dataclass
class _Inbox:
    """What was asked for and not yet handed to the page.

    `lengths` are the segments last shown, with the length of their video in seconds; `received` is
    the number of the last message.
    """

    lengths: dict[str, float | None] = field(default_factory=dict)
    waiting: deque[tuple[int, GridEvent]] = field(default_factory=deque)
    received: int = 0

    @property
    def answered(self) -> int:
        """The last message that the page has been given and has drawn the answer to."""
        return self.waiting[0][0] - 1 if self.waiting else self.received

    def put(self, message: Any) -> None:
        """Takes in a message of the browser, once, if it makes sense."""
        match message:
            case {"number": int(number)} if number > self.received:
                self.received = number
                event = _event(message, self.lengths)
                if event is not None:
                    self.waiting.append((number, event))

    def take(self) -> GridEvent | None:
        return self.waiting.popleft()[1] if self.waiting else None


def _inbox(key: str) -> _Inbox:
    inbox: _Inbox = st.session_state.setdefault(f"{key}_inbox", _Inbox())
    return inbox


def _receive(key: str) -> None:
    """Called before the page runs, so that a run which is cut short loses nothing."""
    match st.session_state.get(key):
        case {"event": [*messages]}:
            for message in messages:
                _inbox(key).put(message)


def _event(message: Any, lengths: Mapping[str, float | None]) -> GridEvent | None:
    """The browser's message as an event; None when it is about nothing that was shown."""
    match message:
        case {"action": "frame", "segment_id": str(shown), "second": float() | int() as second}:
            length = lengths.get(shown)
            end = math.inf if length is None else length
            # What is not a number fails every comparison.
            if shown in lengths and 0 <= second <= end + _PAST_END_SEC and second < math.inf:
                return GridEvent("frame", shown, min(float(second), end))
        case {
            "action": "similar" | "unlike" | "liked" | "disliked" | "unmarked" as action,
            "segment_id": str(shown),
        } if shown in lengths:
            return GridEvent(action, shown)
    return None
