"""A page with nothing but the results grid, for the browser tests: `?case=` chooses the moments.

GRID_MEDIA is the directory of the videos.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components import resources
from components.links import Links, secret_of
from components.results_grid import GridEvent, Mark, results_grid
from components.routes import routes
from core.database import Database
from core.media import save_poster
from core.models import Cut, Filters, Heat, Hit, Moment, Relevance, Segment, Video
from core.recipe import Recipe
from core.searches import Searches
from core.settings import Settings

MEDIA = Path(os.environ["GRID_MEDIA"])
ORIGIN = f"http://127.0.0.1:{os.environ['STREAMLIT_SERVER_PORT']}"
STARTS = (0.0, 0.04, 2.0, 3.28, 7.5, 12.345, 30.02, 41.999)  # of coded.mp4, 25 frames a second
ROUNDED_STARTS = (1.033, 2.067, 7.033)  # of tall.mp4, 30 frames a second, kept to the millisecond
UNKIND_TITLE = '<img src=x onerror="window.harmed=1"> **bold** $x$ ![](http://127.0.0.1:9/t.png)'


@dataclass(frozen=True)
class Shelf:
    """The videos of MEDIA by their file names."""

    @property
    def searches(self) -> Searches:
        return searches()

    def media_file(self, video_id: str) -> Path | None:
        path = MEDIA / video_id
        return path if path.exists() else None

    def poster(self, video_id: str, second: float) -> Path | None:
        path = MEDIA / video_id
        if path.suffix != ".mp4" or not path.exists() or path.name == "text.mp4":
            return None
        poster = MEDIA / f"{video_id}-{round(second * 1000)}.jpg"
        if not poster.exists():
            save_poster(path, second, poster)
        return poster

    def heat(self, recipe: Recipe, video_id: str, *, filters: Filters | None = None) -> list[Heat]:
        """A minute of segments of three seconds; the words of the question leave out a video."""
        if recipe.to_text() == f"without {Path(video_id).stem}":
            return []
        options = (filters and filters.options) or ("visual", "audio")
        scores = [0.2 + 0.3 * math.sin(second / 7) ** 2 for second in range(0, 60, 3)]
        return [
            Heat(3.0 * at, 3.0 * at + 3, score, dict.fromkeys(options, score) | {"audio": 0.2})
            for at, score in enumerate(scores)
        ]


@cache
def searches() -> Searches:
    return Searches(Database(f"sqlite:///{MEDIA / 'records.db'}"), MEDIA, collection="grid")


@cache
def links() -> Links:
    return Links(secret_of(Settings(data_dir=MEDIA / "data")))


def video(name: str, *, title: str = "", url: str = "", category: str = "") -> Video:
    return Video(
        id=name,
        title=title or name,
        video_url=url or (MEDIA / name).as_uri(),
        duration=None,
        category=category,
        model="test",
        segments=1,
        added_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def moment(
    of: Video,
    start: float,
    end: float,
    *,
    rank: int = 1,
    score: float = 0.5,
    option: str = "visual",
) -> Moment:
    segment_id = f"{of.id}-{option}-{round(start * 1000)}"
    segment = Segment(segment_id, of.id, start, end, embedding_option=option)
    hit = Hit(segment, of, score, {option: score}, rank)
    return Moment(of, start, end, (hit,), rank)


def playing_moments() -> list[Moment]:
    coded = video("coded.mp4", title="Frame numbers", category="test films")
    tall = video("tall.mp4", title=UNKIND_TITLE)
    spans = [(coded, start) for start in STARTS] + [(tall, start) for start in ROUNDED_STARTS]
    return [
        moment(of, start, start + 0.6, rank=rank, score=0.6 - rank / 50, option=option)
        for rank, (of, start) in enumerate(spans, start=1)
        for option in ("audio" if rank == 2 else "visual",)
    ]


def failing_moments() -> list[Moment]:
    elsewhere = video("elsewhere.mp4", url="http://127.0.0.1:9/nobody.mp4")
    plain = video("plain.mp4", url=f"{ORIGIN}/plain/coded.mp4")
    broken = [video("gone.mp4"), video("text.mp4"), video("mpeg4.mp4"), elsewhere, plain]
    return [moment(of, 5.0, 6.0, rank=rank) for rank, of in enumerate(broken, start=1)] + [
        moment(video("short.mp4"), 5.0, 6.0, rank=6),
    ]


def longer_moments() -> list[Moment]:
    coded = video("coded.mp4", title="Frame numbers")
    rated = replace(coded, frame_rate=Fraction(25))
    return [
        moment(of, start, start + 8.0, rank=1)
        for of, start in ((coded, 4.0), (coded, 20.0), (rated, 40.0))
    ]


def slow_moments() -> list[Moment]:
    return [moment(video("slow.mp4", title="Ten frames a second"), 1.0, 19.0)]


def ranked_moments() -> list[Moment]:
    """Six moments in the order that their marks give them: good ones first, bad ones last."""
    coded = video("coded.mp4", title="Frame numbers", category="test films")
    starts = (4.0, 12.0, 20.0, 28.0, 36.0, 44.0)
    moments = [moment(coded, start, start + 6.0, score=0.6 - start / 100) for start in starts]
    place = {"up": 0, "": 1, "down": 2}
    moments.sort(key=lambda one: place[marks().get(one.best.segment.id, "")])
    return [replace(one, rank=rank) for rank, one in enumerate(moments, start=1)]


def merged_moments() -> list[Moment]:
    """A moment of two segments; once it is marked, the other one of them is the better."""
    coded = video("coded.mp4", title="Frame numbers")
    early = moment(coded, 4.0, 6.0, score=0.3 if marks() else 0.5)
    late = moment(coded, 6.0, 8.0, score=0.4)
    return [Moment(coded, 4.0, 8.0, early.hits + late.hits, 1), moment(coded, 20.0, 24.0, rank=2)]


def pairs() -> list[Moment]:
    """A then B: apart, with nothing between them, and further apart."""
    coded = video("coded.mp4", title="Frame numbers", category="test films")
    spans = [(12.2, 12.8, 31.4, 32.0), (6.0, 6.6, 6.6, 7.2), (20.0, 24.0, 40.0, 44.0)]
    return [pair(coded, *span, rank=rank) for rank, span in enumerate(spans, start=1)]


def pair(
    of: Video, a_start: float, a_end: float, b_start: float, b_end: float, rank: int
) -> Moment:
    [first] = moment(of, a_start, a_end, score=0.5).hits
    [second] = moment(of, b_start, b_end, score=0.4).hits
    return Moment(of, a_start, b_end, (first, second), rank, then=second)


def random_moments() -> list[Moment]:
    """Twenty anywhere in film.mp4, which lasts ten minutes; starts are kept to the millisecond."""
    film = video("film.mp4", title="Ten minutes")
    dice = random.Random(20)
    starts = [round(dice.uniform(0, 598), 3) for _ in range(20)]
    return [
        moment(film, start, round(start + dice.uniform(0.4, 0.9), 3), rank=rank)
        for rank, start in enumerate(starts, start=1)
    ]


def full_moments() -> list[Moment]:
    """Twelve moments of two videos; two are similar to the first one."""
    coded = video("coded.mp4", title="Frame numbers", category="test films")
    tall = video("tall.mp4", title="A tall film with a title that is too long for any one line")
    spans = [(coded if at % 3 else tall, 0.5 + at * (4.5 if at % 3 else 0.7)) for at in range(12)]
    first, *rest = [
        moment(of, start, start + 3, rank=rank, score=0.5 - rank / 50)
        for rank, (of, start) in enumerate(spans, start=1)
    ]
    similar = (moment(coded, 52.0, 55.0, rank=1, score=0.47), moment(coded, 56.0, 59.0, rank=1))
    return [replace(first, similar=similar), *rest]


def meaning(moments: list[Moment]) -> dict[str, Relevance]:
    """A third each strong, likely and weak."""
    levels = ("strong", "likely", "weak")
    return {
        one.best.segment.id: Relevance(
            levels[min(2, at * 3 // len(moments))], 6.0 - at / 4, 99.95 - at
        )
        for at, one in enumerate(moments)
    }


def marks() -> dict[str, Mark]:
    """The thumbs of this session; the stubborn page has its own opinion of one moment."""
    if st.query_params.get("stubborn"):
        return {"coded.mp4-visual-4000": "down"}
    kept: dict[str, Mark] = st.session_state.setdefault("marks", {})
    return kept


CASES = {
    "playing": playing_moments,
    "failing": failing_moments,
    "longer": longer_moments,
    "slow": slow_moments,
    "ranked": ranked_moments,
    "merged": merged_moments,
    "pairs": pairs,
    "random": random_moments,
    "full": full_moments,
}


async def plain(request: Request) -> Response:
    """A video from a server that knows no Range."""
    content = (MEDIA / request.path_params["name"]).read_bytes()
    return Response(content, media_type="video/mp4")


def main() -> None:
    st.set_page_config(layout="wide")
    moments = CASES[st.query_params.get("case", "playing")]()
    with st.container(horizontal=True):
        st.button("Run again")
        backwards = st.toggle("Backwards")
        shown = st.toggle("Grid", value=True)
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    st.text(f"Run {st.session_state.runs}")
    if backwards:
        moments = moments[::-1]
    if shown:
        why = {one.best.segment.id: f"Line {one.rank} of the reasons" for one in moments[:3]}
        top = float(st.query_params["top"]) if "top" in st.query_params else None
        event = results_grid(
            moments,
            links=links(),
            why=why,
            marks=marks(),
            top_score=top,
            footnote="found in 5 ms",
            **extras(moments),
        )
        if event:
            answer(event)
    for asked in st.session_state.get("asked", []):
        st.text(asked)


def extras(moments: list[Moment]) -> dict[str, Any]:
    """All that a page may add to its moments, on the page that shows it."""
    if st.query_params.get("case") != "full":
        return {}
    question = Recipe.parse(st.query_params.get("q", "anything"))
    return {
        "relevances": meaning(moments),
        "cut": Cut(8, "a clear gap after moment 8"),
        "heat_url": partial(links().heat_url, searches().to_text(question, Filters())),
        "selected": st.session_state.get("selected", ()),
        "kept": st.session_state.setdefault("kept", set()),
        "exported": [moments[1].best.segment.id],
        "layout": st.query_params.get("layout", "cards"),
        "grouped": "grouped" in st.query_params,
    }


def answer(event: GridEvent) -> None:
    """Writes down what was asked for and draws the page again, as every page does."""
    at = "" if event.second is None else f" at {event.second}"
    names = event.segment_id or " ".join(event.segment_ids)
    st.session_state.setdefault("asked", []).append(f"{event.action}: {names}{at}")
    match event.action:
        case "liked":
            marks()[event.segment_id] = "up"
        case "disliked":
            marks()[event.segment_id] = "down"
        case "unmarked":
            marks().pop(event.segment_id, None)
        case "select":
            st.session_state.selected = event.segment_ids
        case "basket":
            st.session_state.kept ^= {event.segment_id}
    st.rerun()


if __name__ == "__main__":
    main()
else:
    app = st.App(
        __file__, routes=[*routes(Shelf, links, resources.policy), Route("/plain/{name}", plain)]
    )
