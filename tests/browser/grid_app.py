"""A page with nothing but the results grid, for the browser tests: `?case=` chooses the moments.

GRID_MEDIA is the directory of the videos.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components.links import Links
from components.results_grid import results_grid
from components.routes import routes
from core.media import save_poster
from core.models import Hit, Moment, Segment, Video
from core.settings import Settings

MEDIA = Path(os.environ["GRID_MEDIA"])
ORIGIN = f"http://127.0.0.1:{os.environ['STREAMLIT_SERVER_PORT']}"
STARTS = (0.0, 0.04, 2.0, 3.28, 7.5, 12.345, 30.02, 41.999)  # of coded.mp4, 25 frames a second
ROUNDED_STARTS = (1.033, 2.067, 7.033)  # of tall.mp4, 30 frames a second, kept to the millisecond
UNKIND_TITLE = '<img src=x onerror="window.harmed=1"> **bold** $x$ ![](http://127.0.0.1:9/t.png)'


@dataclass(frozen=True)
class Shelf:
    """The videos of MEDIA by their file names."""

    def media_path(self, video_id: str) -> Path | None:
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


@cache
def links() -> Links:
    return Links(Settings(data_dir=MEDIA / "data"))


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
    return [moment(coded, start, start + 8.0, rank=1) for start in (4.0, 20.0, 40.0)]


CASES = {"playing": playing_moments, "failing": failing_moments, "longer": longer_moments}


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
        event = results_grid(moments, links=links(), why=why)
        if event:
            st.text(f"{event.action}: {event.segment_id}")


if __name__ == "__main__":
    main()
else:
    app = st.App(__file__, routes=[*routes(Shelf, links), Route("/plain/{name}", plain)])
