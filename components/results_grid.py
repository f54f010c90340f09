"""The grid of moments: one Streamlit component of Python, HTML, CSS and JavaScript.

Python decides what a card says; the results_grid*.js files decide how it plays. They are one script
in several files, which runs again only when the data changes, so a player goes on through reruns.

What somebody asks of a card is numbered by the browser and sent until the grid's data says that it
was heard, because Streamlit keeps only the last of two messages that reach a busy session. It is
taken in before the page runs, and handed to the page one at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import streamlit as st

from components.format import clock, count
from components.links import Links
from core.models import Cut, Hit, Moment, Relevance, Video

Action = Literal[
    "similar",
    "unlike",
    "liked",
    "disliked",
    "unmarked",
    "frame",
    "select",
    "basket",
    "more_of_video",
]
Mark = Literal["up", "down"]
Layout = Literal["cards", "table"]

_FOLDER = Path(__file__).parent
# In this order: a class stands before those that extend it.
_SCRIPTS = ("_problems", "_player", "_heat", "_stage", "_card", "_detail", "_keys", "")
_STYLES = ("", "_table", "_detail")
# A player may stand a little past the length that a probe has read.
_PAST_END_SEC = 1.0


def _asset(ending: str, parts: Sequence[str] = ("",)) -> str:
    files = (_FOLDER / f"results_grid{part}.{ending}" for part in parts)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


_component = st.components.v2.component(
    "seekpoint.results_grid",
    html=_asset("html"),
    css=_asset("css", _STYLES),
    js=_asset("js", _SCRIPTS),
)


@dataclass(frozen=True, slots=True)
class GridEvent:
    """What somebody asked of a card.

    `similar` wants more like this, `unlike` less; `liked`, `disliked` and `unmarked` are the
    thumbs; `frame` wants to search with the picture at `second` of the video, which is None for
    all others; `basket` puts the moment into the basket or takes it out; `more_of_video` wants all
    moments of its video. `segment_id` is the best segment of the card's moment; for a thumb that
    is changed, the one that was marked.

    `select` is about no single card: `segment_ids` are the best segments of all that is ticked now,
    in the order shown.
    """

    action: Action
    segment_id: str = ""
    second: float | None = None
    segment_ids: tuple[str, ...] = ()


def results_grid(
    moments: Sequence[Moment],
    *,
    links: Links,
    why: Mapping[str, str] | None = None,
    marks: Mapping[str, Mark] | None = None,
    top_score: float | None = None,
    footnote: str = "",
    relevances: Mapping[str, Relevance] | None = None,
    cut: Cut | None = None,
    heat_url: Callable[[Video], str] | None = None,
    selected: Collection[str] | None = None,
    kept: Collection[str] | None = None,
    exported: Collection[str] = (),
    layout: Layout = "cards",
    grouped: bool = False,
    scored: bool = True,
    play: str = "",
    key: str = "results",
) -> GridEvent | None:
    """Shows moments as cards that play in place; returns the next thing that was asked for.

    Several things may have been asked for at once: run the page again after each event. A moment is
    named by the id of its best segment; moments `similar` to it are folded under its card.

    Args:
        moments: in the order they are shown.
        links: writes the addresses of videos and posters.
        why: why each moment is here, in one line.
        marks: segment id -> the thumb that is pressed; None offers no thumbs.
        top_score: the score that fills a relevance bar, by default the best one shown. Pages of
            one answer can be compared when all are given the best score of the first.
        footnote: said under the cards, before the time it took to draw them.
        relevances: what the score of each moment means.
        cut: moments ranked behind it are folded away under a line that says why.
        heat_url: writes the address of a video's scores, drawn as a strip under each card.
        selected: the ticked moments, which may stand on other pages; None offers no ticks.
        kept: the moments in the basket; None offers no basket.
        exported: the moments that have left as a file before.
        layout: pictures as a wall of cards, or dense rows.
        grouped: the moments of each video together, under its title.
        scored: False for moments that were not found by a score, which is not shown then.
        play: the moment that begins to play by itself, once, when it is another than before.
    """
    inbox = _inbox(key)
    top = max((moment.score for moment in moments), default=0.0) if top_score is None else top_score
    writer = _Writer(
        links=links,
        why=why or {},
        marks=marks or {},
        top=top,
        relevances=relevances or {},
        cut=cut,
        heat_url=heat_url,
        kept=kept or (),
        exported=exported,
        scored=scored,
    )
    if grouped:
        moments = _by_video(moments)
    cards = writer.cards(sorted(moments, key=writer.is_below))
    _component(
        key=key,
        data={
            "cards": cards,
            "footnote": footnote,
            "answered": inbox.answered,
            "top": top,
            "cut": writer.cut_line(cards),
            "selected": None if selected is None else list(selected),
            "keeping": kept is not None,
            "rating": marks is not None,
            "play": play,
            "layout": layout,
            "grouped": grouped,
        },
        on_event_change=partial(_receive, key),
    )
    inbox.lengths = {
        hit.segment.id: moment.video.duration
        for outer in moments
        for moment in (outer, *outer.similar)
        for hit in _hits(moment)
    }
    inbox.selected = frozenset(selected or ())
    return inbox.take()


def next_event(key: str = "results") -> GridEvent | None:
    """The next thing that was asked for, before anything is drawn: what `results_grid` would return
    at the cost of drawing the page once more."""
    return _inbox(key).take()


@dataclass(frozen=True)
class _Writer:
    """Writes what the script needs to draw and play moments."""

    links: Links
    why: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    top: float = 0.0
    relevances: Mapping[str, Relevance] = field(default_factory=dict)
    cut: Cut | None = None
    heat_url: Callable[[Video], str] | None = None
    kept: Collection[str] = ()
    exported: Collection[str] = ()
    scored: bool = True

    def is_below(self, moment: Moment) -> bool:
        """Whether a moment is behind the cut."""
        return self.cut is not None and moment.rank > self.cut.after

    def cut_line(self, cards: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
        """What the line over the folded cards says; None when there are none."""
        below = sum(card["below"] for card in cards)
        if self.cut is None or not below:
            return None
        # What somebody has opened stays open on all pages of the same answer.
        return {
            "label": f"{count(below, 'moment')} below the cut: {self.cut.reason}",
            "key": f"{self.cut.after} {self.cut.reason} {self.top}",
        }

    def cards(self, moments: Sequence[Moment]) -> list[dict[str, Any]]:
        """All cards, each with those of its similar moments, in the order given."""
        sizes: dict[tuple[str, bool], int] = {}
        for moment in moments:
            group = (moment.video.id, self.is_below(moment))
            sizes[group] = sizes.get(group, 0) + 1
        return [
            self.card(moment)
            | {
                "similar": [self.card(one) | {"is_similar": True} for one in moment.similar],
                "similar_label": f"{len(moment.similar)} similar",
                "group": count(sizes[moment.video.id, self.is_below(moment)], "moment"),
                "below": self.is_below(moment),
            }
            for moment in moments
        ]

    def card(self, moment: Moment) -> dict[str, Any]:
        """One moment without those that are similar; its best segment's id names it."""
        best = moment.best.segment
        segments = [hit.segment.id for hit in _hits(moment)]
        marked = next((segment_id for segment_id in segments if segment_id in self.marks), best.id)
        offsets = _offsets(moment)
        tenths = any(clock(start) == clock(end) for start, end in offsets)
        spans = [_span(start, end, tenths=tenths) for start, end in offsets]
        title = moment.video.title or "Untitled video"
        relevance = self.relevances.get(best.id)
        # The middle of the best segment shows what was found; the start is often a cut or a fade.
        poster_second = (best.start_offset_sec + best.end_offset_sec) / 2
        return {
            "id": best.id,
            "segments": segments,
            "marked": marked,
            "mark": self.marks.get(marked, ""),
            "video_id": moment.video.id,
            "start": moment.start_offset_sec,
            "end": moment.end_offset_sec,
            "spans": spans,
            "frame_sec": float(1 / rate) if (rate := moment.video.frame_rate) else None,
            "score": moment.score,
            "rank": moment.rank,
            "title": title,
            "category": moment.video.category,
            "option": "" if best.embedding_option == "visual" else best.embedding_option,
            "options": sorted(moment.best.scores_by_option),
            "why": self.why.get(best.id, ""),
            "name": self._spoken(moment, title, spans, relevance),
            "score_label": f"{moment.score:z.2f}" if self.scored else "",
            "level": relevance.level if relevance else "",
            "level_reason": _meaning(relevance) if relevance else "",
            "relevance": _share(moment.score, self.top),
            "kept": not set(segments).isdisjoint(self.kept),
            "exported": not set(segments).isdisjoint(self.exported),
            "facts": _facts(moment, relevance, scored=self.scored),
            "heat": self.heat_url(moment.video) if self.heat_url else "",
            "src": self.links.video_url(moment.video),
            "poster": self.links.poster_url(moment.video, poster_second),
            "is_similar": False,
            "similar": [],
            "similar_label": "",
            "group": "",
            "below": False,
        }

    def _spoken(
        self,
        moment: Moment,
        title: str,
        spans: Sequence[Mapping[str, Any]],
        relevance: Relevance | None,
    ) -> str:
        """The card in one breath, for those who hear it."""
        said = [title, ", then ".join(span["name"] for span in spans)]
        if self.scored:
            said.append(f"score {moment.score:z.2f}")
        if relevance:
            said.append(f"{relevance.level}, above {_percent(relevance)} of the library")
        return ", ".join(said)


def _hits(moment: Moment) -> list[Hit]:
    """The hits a card stands for, the best one first; of a pair only A."""
    best = moment.best
    others = [] if moment.then else [hit for hit in moment.hits if hit is not best]
    return [best, *others]


def _by_video(moments: Sequence[Moment]) -> list[Moment]:
    """The moments of each video together, in the order in which the videos first appear."""
    places: dict[str, int] = {}
    for moment in moments:
        places.setdefault(moment.video.id, len(places))
    return sorted(moments, key=lambda moment: places[moment.video.id])


def _percent(relevance: Relevance) -> str:
    """A percentile, never rounded up: 100 % would say that it scores more than itself."""
    return f"{math.floor(min(relevance.percentile, 99.9) * 10) / 10:g} %"


def _meaning(relevance: Relevance) -> str:
    return (
        f"Scores more than {_percent(relevance)} of the library, "
        f"{relevance.deviation:z.1f} deviations above chance"
    )


def _facts(moment: Moment, relevance: Relevance | None, *, scored: bool) -> list[list[str]]:
    """All that is known of a moment, as names and values."""
    times = [
        f"{clock(start, tenths=True)} to {clock(end, tenths=True)}"
        for start, end in _offsets(moment)
    ]
    length = moment.video.duration
    facts = [["Time", ", then ".join(times)]]
    if scored:
        facts.append(["Score", f"{moment.score:z.3f}"])
    # Of one option alone it is the score itself.
    if scored and len(moment.best.scores_by_option) > 1:
        facts += [
            [f"Score, {option}", f"{score:z.3f}"]
            for option, score in sorted(moment.best.scores_by_option.items())
        ]
    if relevance:
        facts.append(["Relevance", f"{relevance.level.capitalize()}. {_meaning(relevance)}"])
    if len(moment.hits) > 1 and not moment.then:
        facts.append(["Merged from", count(len(moment.hits), "segment")])
    facts.append(["File", _file_name(moment.video)])
    if length is not None:
        facts.append(["Length", clock(length)])
    if moment.video.category:
        facts.append(["Category", moment.video.category])
    return facts


def _file_name(video: Video) -> str:
    """The name of a file of ours, without the server's folders; the address of a remote one."""
    address = urlsplit(video.video_url)
    on_the_web = address.scheme in {"http", "https"}
    return video.video_url if on_the_web else Path(unquote(address.path)).name


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

    `lengths` are the segments last shown, with the length of their video in seconds; `selected` are
    those the page said to be ticked, here or elsewhere; `received` is the number of the last
    message.
    """

    lengths: dict[str, float | None] = field(default_factory=dict)
    selected: frozenset[str] = frozenset()
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
                event = _event(message, self.lengths, self.selected)
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


def _event(
    message: Any, lengths: Mapping[str, float | None], selected: Collection[str] = ()
) -> GridEvent | None:
    """The browser's message as an event; None when it is about nothing that was shown."""
    match message:
        case {"action": "frame", "segment_id": str(shown), "second": float() | int() as second}:
            length = lengths.get(shown)
            end = math.inf if length is None else length
            # What is not a number fails every comparison.
            if shown in lengths and 0 <= second <= end + _PAST_END_SEC and second < math.inf:
                return GridEvent("frame", shown, min(float(second), end))
        case {"action": "select", "segment_ids": [*ids]}:
            if all(isinstance(one, str) and (one in lengths or one in selected) for one in ids):
                return GridEvent("select", segment_ids=tuple(dict.fromkeys(ids)))
        case {
            "action": "similar"
            | "unlike"
            | "liked"
            | "disliked"
            | "unmarked"
            | "basket"
            | "more_of_video" as action,
            "segment_id": str(shown),
        } if shown in lengths:
            return GridEvent(action, shown)
    return None
