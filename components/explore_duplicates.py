"""Near-duplicates: what two videos have in common, and both side by side in step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from components import resources
from components.explore import kept_task, task_shown
from components.format import clock, count
from components.labels import named, names_for_readers
from components.links import Links
from core import DuplicateRun, Duplicates, Library, Stretch, Video
from core.duplicates import MIN_SCORE
from core.export import csv_file

CSV_COLUMNS = (
    "first_title",
    "first_video_url",
    "first_start_offset_sec",
    "first_end_offset_sec",
    "second_title",
    "second_video_url",
    "second_start_offset_sec",
    "second_end_offset_sec",
    "length_sec",
    "score",
    "suggestion",
)
_LEAST_SCORE = 0.7
_MIN_SEC = 3
_MOST_SEC = 60
_PAIRS_PER_PAGE = 6
_RUNS_OF_PAIR = 12
_SCORE, _SEC, _PAGE = "duplicates_score", "duplicates_sec", "duplicates_page"
# The run that is open, and whether it was opened just now and may begin to play.
_OPEN, _START = "duplicates_open", "duplicates_start"

_FOLDER = Path(__file__).parent


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_player = st.components.v2.component(
    "seekpoint.in_step",
    html=_asset("explore_duplicates.html"),
    css=_asset("explore_duplicates.css"),
    # What players say of a video that cannot be played stands in one place.
    js=_asset("results_grid_problems.js") + _asset("explore_duplicates.js"),
)


def show_duplicates(library: Library, option: str) -> None:
    """The stretches that videos share, by pairs of videos, and a player for two of them."""
    names_for_readers()
    min_score, min_sec = _controls()
    task = kept_task(
        library,
        ("duplicates", option, min_score, min_sec),
        lambda: library.explorer.duplicates(option, min_score=min_score, min_sec=min_sec),
    )
    found = task_shown(task)
    if found is None:
        return
    if not found.runs:
        st.markdown(
            "No two videos have a stretch in common that is so much alike and so long. Ask for "
            "less of either to see more."
        )
        return
    pairs = _by_pair(found.runs)
    _summary(found, pairs)
    pages = math.ceil(len(pairs) / _PAIRS_PER_PAGE)
    page = min(pages, st.session_state.get(_PAGE, 1))
    for runs in pairs[(page - 1) * _PAIRS_PER_PAGE : page * _PAIRS_PER_PAGE]:
        _pair(runs)
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key=_PAGE)


def _controls() -> tuple[float, float]:
    """The least score and the least length, in seconds."""
    with st.container(horizontal=True, gap="large", key="duplicates_controls"):
        min_score: float = st.slider(
            "How alike",
            _LEAST_SCORE,
            1.0,
            MIN_SCORE,
            0.01,
            key=_SCORE,
            help="The least cosine of two moments that count as the same; 1 is identical.",
            width=260,
            persist_state="session",
        )
        min_sec: int = st.slider(
            "How long at least",
            1,
            _MOST_SEC,
            _MIN_SEC,
            format="%d s",
            key=_SEC,
            width=260,
            persist_state="session",
        )
    return min_score, float(min_sec)


def _by_pair(runs: Sequence[DuplicateRun]) -> list[list[DuplicateRun]]:
    """The runs of the same two videos together, in the order in which the pairs first appear."""
    pairs: dict[frozenset[str], list[DuplicateRun]] = {}
    for run in runs:
        pairs.setdefault(frozenset((run.first.video.id, run.second.video.id)), []).append(run)
    return list(pairs.values())


def _summary(found: Duplicates, pairs: Sequence[Sequence[DuplicateRun]]) -> None:
    seconds = sum(_shared(run)[0].duration for run in found.runs)
    said = (
        f"{count(len(found.runs), 'passage')} in {count(len(pairs), 'pair')} of "
        f"videos, {clock(seconds)} in all"
    )
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(f"{said}. There are more than these." if found.more else said, width="content")
        st.download_button(
            "List as CSV",
            data=lambda: to_csv(found.runs),
            file_name="seekpoint-near-duplicates.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def to_csv(runs: Sequence[DuplicateRun]) -> bytes:
    """One line for each run, in the order given."""
    return csv_file(CSV_COLUMNS, [_csv_row(run) for run in runs])


def _csv_row(run: DuplicateRun) -> tuple[object, ...]:
    sides = [
        (side.video.title, side.video.video_url, side.start_offset_sec, side.end_offset_sec)
        for side in _shared(run)
    ]
    suggestion = f"keep the {run.keep} one: {run.reason}" if run.keep else ""
    return (*sides[0], *sides[1], _shared(run)[0].duration, round(run.score, 4), suggestion)


def _pair(runs: Sequence[DuplicateRun]) -> None:
    """Two videos, and the stretches that they share."""
    first, second = runs[0].first.video, runs[0].second.video
    with st.container(gap="small", key=f"duplicates_pair_{first.id}_{second.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            for stretch in _shared(runs[0]):
                _poster(resources.links(), stretch)
            with st.container(gap=None):
                st.text(_title(first))
                st.text(_title(second))
                seconds = sum(_shared(run)[0].duration for run in runs)
                st.caption(f"{count(len(runs), 'passage')}, {clock(seconds)} in common")
        for run in runs[:_RUNS_OF_PAIR]:
            _run(run)
        if len(runs) > _RUNS_OF_PAIR:
            st.caption(f"and {len(runs) - _RUNS_OF_PAIR:,} shorter ones, which are in the CSV")
        whole = next((run for run in runs if run.keep), None)
        if whole is not None:
            _suggestion(whole)


def _poster(links: Links, stretch: Stretch) -> None:
    middle = (stretch.start_offset_sec + stretch.end_offset_sec) / 2
    # The address is ours and signed; nothing a visitor wrote stands in this markup.
    st.html(
        f'<img src="{links.poster_url(stretch.video, middle)}" alt="" loading="lazy" width="112" '
        'height="63" style="object-fit:cover;border-radius:6px;display:block">',
        width=112,
    )


def _run(run: DuplicateRun) -> None:
    """A stretch that can be opened, and the player when it is."""
    key = _key(run)
    is_open = st.session_state.get(_OPEN) == key
    first, second = _shared(run)
    spans = f"{_span(first)} and {_span(second)}"
    titles = f"of {_title(run.first.video)} and {_title(run.second.video)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            named(f"{'Close' if is_open else 'Play'} {spans}", titles),
            key=f"duplicates_run_{key}",
            icon=":material/close:" if is_open else ":material/play_arrow:",
            type="tertiary",
            on_click=_close if is_open else _open,
            args=() if is_open else (key,),
        )
        st.caption(f"{_seconds(first.duration)} long, score {run.score:.2f}", width="content")
    if is_open:
        in_step(run, links=resources.links(), start=st.session_state.pop(_START, False))


def in_step(run: DuplicateRun, *, links: Links, start: bool = False) -> None:
    """Both stretches side by side, played as one; `start` begins at once where motion is welcome."""
    _player(
        key="duplicates_player",
        data={
            "id": _key(run),
            "length": _shared(run)[0].duration,
            "start": start,
            "sides": [
                {
                    "src": links.video_url(stretch.video),
                    "title": _title(stretch.video),
                    "span": _span(stretch),
                    "start": stretch.start_offset_sec,
                }
                for stretch in _shared(run)
            ],
        },
    )


def _suggestion(run: DuplicateRun) -> None:
    """Which of two copies to keep. Nothing is removed from here."""
    kept, other = run.first.video, run.second.video
    if run.keep == "second":
        kept, other = other, kept
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(f"One of both is enough. Suggestion: keep {_title(kept)}. {run.reason}")
        if st.button(
            named("Show the other in the library", _title(other)),
            key=f"duplicates_other_{_key(run)}",
            icon=":material/video_library:",
            type="tertiary",
        ):
            st.session_state["library_find"] = other.title
            st.switch_page("library.py")


def _open(key: str) -> None:
    st.session_state[_OPEN], st.session_state[_START] = key, True


def _close() -> None:
    st.session_state.pop(_OPEN, None)


def _key(run: DuplicateRun) -> str:
    return "_".join(
        f"{stretch.video.id}_{round(1000 * stretch.start_offset_sec)}" for stretch in _shared(run)
    )


def _shared(run: DuplicateRun) -> tuple[Stretch, Stretch]:
    """What both show at the same time, which is as long in both."""
    start = max(run.first.start_offset_sec, run.second.start_offset_sec - run.offset)
    end = min(run.first.end_offset_sec, run.second.end_offset_sec - run.offset)
    return (
        Stretch(run.first.video, start, end),
        Stretch(run.second.video, start + run.offset, end + run.offset),
    )


def _title(video: Video) -> str:
    return video.title or "Untitled video"


def _span(stretch: Stretch) -> str:
    return f"{clock(stretch.start_offset_sec)}–{clock(stretch.end_offset_sec)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else clock(seconds)
