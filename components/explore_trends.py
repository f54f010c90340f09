"""Trends: how much of the library is about something, as time goes by and along the videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import streamlit as st

from components.explore import kept_task, overview_shown, task_shown
from components.explore_clusters import TREND_OF, cluster_names
from components.explore_questions import (
    Question,
    current_question,
    offer_questions,
    typed,
)
from components.feedback import show_error
from components.format import clock, count
from components.labels import named, names_for_readers
from core import Filters, Library, Overview, RecipeError, SeekpointError, Task, Trend, TrendLine
from core.export import csv_file
from core.trends import Period

Dates = Literal["added", "recorded"]

CSV_COLUMNS = ("topic", "from", "matched_sec", "total_sec", "share")
ALONG_COLUMNS = ("topic", "from_percent", "to_percent", "share")
_MOST = 8
_FIRST_CLUSTERS = 3
# On fewer no direction can be told from chance.
_LEAST_PERIODS = 5
_PERIODS = {Period.DAY: "Day", Period.WEEK: "Week", Period.MONTH: "Month"}
_DATES: Mapping[Dates, str] = {"added": "Added", "recorded": "Recorded"}
_DAYS = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31}
# A colour and a shape for each line: told apart by those who see few colours, on light and dark.
_COLOURS = (
    "#0f8f86",
    "#d1603d",
    "#5b74c9",
    "#c28a00",
    "#b0559b",
    "#3c93c7",
    "#7d8b2f",
    "#8a8f93",
)
_SHAPES = {
    "circle": "●",
    "square": "■",
    "triangle-up": "▲",
    "diamond": "◆",
    "triangle-down": "▼",
    "cross": "✚",
    "triangle-right": "▶",
    "triangle-left": "◀",
}
_TOPICS, _BOX, _PROBLEM, _ROUND = (
    "trends_topics",
    "trends_box",
    "trends_problem",
    "trends_round",
)


@dataclass(frozen=True, slots=True)
class _Topic:
    """A line: a question, or the cluster of a number."""

    name: str
    question: Question | None = None
    cluster: int = 0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How the lines are to be drawn."""

    by: Period
    dates: Dates
    min_score: float | None


class _Lines:
    """The lines on their way, each for itself: one that fails leaves the others."""

    def __init__(
        self,
        library: Library,
        option: str,
        topics: Sequence[_Topic],
        overview: Overview | None,
        wanted: _Wanted,
    ) -> None:
        self.tasks: list[tuple[_Topic, Task[tuple[TrendLine, ...]]]] = []
        for topic in topics:
            of = _resolved(topic, overview)
            if of is not None:
                task = library.explorer.trend(
                    [of],
                    option=option,
                    overview=overview if topic.cluster else None,
                    by=wanted.by,
                    dates=wanted.dates,
                    min_score=wanted.min_score,
                )
                self.tasks.append((topic, task))

    @property
    def running(self) -> bool:
        return any(task.running for _, task in self.tasks)


def show_trends(library: Library, option: str) -> None:
    """Lines of several topics, with what can be said of each in words."""
    names_for_readers()
    topics = _topics(library)
    _form(library, topics or ())
    wanted = _wanted(library)
    overview = None
    if topics is None or any(topic.cluster for topic in topics):
        overview = overview_shown(library, option)
    if topics is None:
        if overview is None:
            return
        topics = tuple(_cluster(cluster.number) for cluster in overview.clusters[:_FIRST_CLUSTERS])
        st.session_state[_TOPICS] = topics
    if not topics:
        st.markdown("Name something to see how much of the library is about it, and since when.")
        return
    lines = kept_task(
        library,
        ("trends", topics, option, wanted, overview),
        lambda: _Lines(library, option, topics, overview, wanted),
    )
    names = {topic: _name(topic, overview) for topic in topics}
    drawn = _rows(names, lines, wanted, has_clusters=overview is not None)
    if any(line.segments for _, line in drawn):
        _charts(names, drawn, wanted)
    elif drawn:
        st.markdown("Nothing in the library matches. A lower score lets more count as a match.")


# --- what is asked for ----------------------------------------------------------------------------


def _topics(library: Library) -> tuple[_Topic, ...] | None:
    """The lines that are wanted: at first the current search, None for the largest clusters."""
    topics: tuple[_Topic, ...] | None = st.session_state.get(_TOPICS)
    question = current_question(library)
    if topics is None and question is not None:
        topics = (_Topic(question.name, question),)
    if TREND_OF in st.session_state:
        topics = _with(topics or (), _cluster(st.session_state.pop(TREND_OF)))
    if topics is not None:
        st.session_state[_TOPICS] = topics
    return topics


def _with(topics: Sequence[_Topic], topic: _Topic) -> tuple[_Topic, ...]:
    if topic.name in [other.name for other in topics]:
        return tuple(topics)
    return (*topics, topic)[-_MOST:]


def _cluster(number: int) -> _Topic:
    return _Topic(f"Cluster {number}", cluster=number)


def _name(topic: _Topic, overview: Overview | None) -> str:
    """What a line is called: of a cluster also the words that were found for it."""
    if overview is None or not 0 < topic.cluster <= len(overview.clusters):
        return topic.name
    return f"Cluster {cluster_names(overview)[topic.cluster - 1]}"


def _resolved(topic: _Topic, overview: Overview | None) -> Any:
    """What the core calls a topic; None for a cluster that is not there (yet)."""
    if topic.question is not None:
        return topic.question.recipe
    clusters = () if overview is None else overview.clusters
    return next((cluster for cluster in clusters if cluster.number == topic.cluster), None)


def _form(library: Library, topics: Sequence[_Topic]) -> None:
    full = len(topics) >= _MOST
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Add a line",
            key=_BOX,
            placeholder="Describe what to follow",
            label_visibility="collapsed",
            disabled=full,
            on_change=_take_words,
            width="stretch",
        )
        round_ = st.session_state.get(_ROUND, 0)
        with st.popover("Add", icon=":material/add:", disabled=full, key=f"trends_add_{round_}"):
            offer_questions(library, key="trends_offer", take=_take)
            st.caption("Clusters of the map")
            with st.container(horizontal=True, gap="small"):
                st.number_input(
                    "Number of the cluster",
                    1,
                    step=1,
                    key="trends_cluster",
                    label_visibility="collapsed",
                    width=120,
                )
                st.button("Add the cluster", on_click=_take_cluster)
    problem: SeekpointError | None = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        show_error(problem)


def _wanted(library: Library) -> _Wanted:
    videos = library.videos()
    recorded = sum(video.recorded_at is not None for video in videos)
    dates: Dates = "added"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = st.segmented_control(
            "By",
            list(_PERIODS),
            default=Period.WEEK,
            required=True,
            format_func=_PERIODS.__getitem__,
            key="trends_by",
            persist_state="session",
        )
        if recorded:
            dates = st.segmented_control(
                "Date of a video",
                _DATES,
                default=dates,
                required=True,
                format_func=_DATES.__getitem__,
                key="trends_dates",
                persist_state="session",
            )
        min_score = st.number_input(
            "A match scores at least",
            -1.0,
            1.0,
            None,
            0.01,
            key="trends_min",
            placeholder="More than chance",
            help="Empty: what is likely no chance, which is another score for each question",
            width=200,
            persist_state="session",
        )
    if dates == "recorded" and recorded < len(videos):
        st.caption(
            f"{count(len(videos) - recorded, 'video')} of {len(videos):,} without a date of "
            "recording are left out of the lines over time."
        )
    return _Wanted(Period(by), dates, min_score)


def _take_words() -> None:
    text = st.session_state[_BOX]
    if not text.strip():
        return
    try:
        _take(typed(text))
    except RecipeError as error:
        st.session_state[_PROBLEM] = error
    else:
        st.session_state[_BOX] = ""


def _take(question: Question) -> None:
    _add(_Topic(question.name, question))


def _take_cluster() -> None:
    _add(_cluster(st.session_state["trends_cluster"]))


def _add(topic: _Topic) -> None:
    """Another line; a new popover then, which is closed."""
    st.session_state[_TOPICS] = _with(st.session_state.get(_TOPICS) or (), topic)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _drop(topic: _Topic) -> None:
    st.session_state[_TOPICS] = tuple(t for t in st.session_state[_TOPICS] if t != topic)


# --- what is shown --------------------------------------------------------------------------------


def _rows(
    names: Mapping[_Topic, str], lines: _Lines, wanted: _Wanted, *, has_clusters: bool
) -> list[tuple[_Topic, TrendLine]]:
    """What can be said of each line in words, and a cross that takes it away; the lines that are
    there to be drawn."""
    tasks = dict(lines.tasks)
    drawn = []
    for number, (topic, name) in enumerate(names.items()):
        task = tasks.get(topic)
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
            _mark(number)
            with st.container(gap=None):
                st.text(name)
                if task is None:
                    st.caption("There is no such cluster." if has_clusters else "On its way")
                elif found := task_shown(task):
                    drawn.append((topic, found[0]))
                    said = in_words(found[0], wanted.by)
                    st.caption(f"{said[:1].upper()}{said[1:]}{_unfiltered(topic)}")
            st.button(
                named("Remove", name),
                key=f"trends_remove_{topic.name}",
                icon=":material/close:",
                type="tertiary",
                on_click=_drop,
                args=(topic,),
            )
    return drawn


def _unfiltered(topic: _Topic) -> str:
    filtered = topic.question is not None and topic.question.filters != Filters()
    return "; without its filters" if filtered else ""


def _mark(number: int) -> None:
    """What stands for a line in the charts, which have no other legend."""
    glyph = list(_SHAPES.values())[number]
    st.html(f'<span aria-hidden="true" style="color:{_COLOURS[number]}">{glyph}</span>', width=16)


def in_words(line: TrendLine, by: Period) -> str:
    """As in "rising since the week of 3 August 2026; 12 segments, 1:20 of 2:00:00"."""
    if not line.segments:
        return f"nothing matches{_from_score(line)}"
    share = line.matched_sec / line.total_sec if line.total_sec else 0.0
    return (
        f"{_direction(line.over_time, by)}; {count(line.segments, 'segment')}, "
        f"{clock(line.matched_sec)} of {clock(line.total_sec)} ({100 * share:.1f} %){_from_score(line)}"
    )


def _from_score(line: TrendLine) -> str:
    return "" if line.min_score is None else f", from a score of {line.min_score:z.2f} on"


def _direction(trend: Trend, by: Period) -> str:
    periods = sum(point.total_sec > 0 for point in trend.points)
    if periods < _LEAST_PERIODS:
        return f"too few {by}s to tell where it is going"
    since = "" if trend.turned is None else f" since {_period(trend.turned, by)}"
    if trend.direction == "steady" and since:
        return f"on another level{since}"
    return f"{trend.direction}{since}"


def _period(start: date, by: Period) -> str:
    match by:
        case Period.DAY:
            return f"{start.day} {start:%B %Y}"
        case Period.WEEK:
            return f"the week of {start.day} {start:%B %Y}"
        case Period.MONTH:
            return f"{start:%B %Y}"


def _charts(
    names: Mapping[_Topic, str], drawn: Sequence[tuple[_Topic, TrendLine]], wanted: _Wanted
) -> None:
    lines = [(names[topic], line) for topic, line in drawn]
    looks = _told_apart(list(names.values()))
    what = "recorded" if wanted.dates == "recorded" else "added"
    _heading(
        f"Share of the time, by the {wanted.by} the videos were {what}",
        "seekpoint-trends.csv",
        lambda: to_csv(lines),
    )
    said = "; ".join(f"{name}: {in_words(line, wanted.by)}" for name, line in lines)
    st.altair_chart(_over_time(lines, looks, wanted.by), alt=said)
    _heading(
        "Share of the time, along the length of the videos",
        "seekpoint-along.csv",
        lambda: along_to_csv(lines),
    )
    st.altair_chart(_along(lines, looks), alt="; ".join(_most_along(*line) for line in lines))


def _heading(words: str, file_name: str, write: Any) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(f"**{words}**", width="content")
        st.download_button(
            "CSV",
            data=write,
            file_name=file_name,
            mime="text/csv",
            icon=":material/download:",
            type="tertiary",
            key=f"trends_{file_name}",
            on_click="ignore",
        )


def _over_time(lines: Sequence[tuple[str, TrendLine]], looks: tuple[Any, Any], by: Period) -> Any:
    import altair as alt
    import pandas as pd

    points = pd.DataFrame(
        [
            {
                "topic": name,
                "from": point.start.isoformat(),
                # Where there are no videos the line is broken.
                "share": point.share if point.total_sec else None,
                "matched": clock(point.matched_sec),
                "of": clock(point.total_sec),
            }
            for name, line in lines
            for point in line.over_time.points
        ]
    )
    turns = [
        {"topic": name, "from": line.over_time.turned.isoformat()}
        for name, line in lines
        if line.over_time.turned is not None
    ]
    colour, shape = looks
    x = alt.X(
        "from:T",
        title=None,
        scale=alt.Scale(domain=_domain(lines, by)),
        axis=alt.Axis(labelOverlap=True, grid=False, tickCount=8),
    )
    drawn = alt.Chart(points).encode(x=x, color=colour)
    line = drawn.mark_line(strokeWidth=2).encode(y=_share_axis())
    dots = drawn.mark_point(filled=True, size=55, opacity=1).encode(
        y=_share_axis(),
        shape=shape,
        tooltip=[
            alt.Tooltip("topic:N", title="Topic"),
            alt.Tooltip("from:T", title="From", format="%-d %B %Y"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
            alt.Tooltip("matched:N", title="Matches"),
            alt.Tooltip("of:N", title="Of"),
        ],
    )
    chart = line + dots
    if turns:
        turned = alt.Chart(pd.DataFrame(turns)).mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
        tooltip = [
            alt.Tooltip("topic:N", title="Turns here"),
            alt.Tooltip("from:T", title="From", format="%-d %B %Y"),
        ]
        chart = turned.encode(x=x, color=colour, tooltip=tooltip) + chart
    return chart.properties(height=280)


def _along(lines: Sequence[tuple[str, TrendLine]], looks: tuple[Any, Any]) -> Any:
    import altair as alt
    import pandas as pd

    parts = pd.DataFrame(
        [
            {"topic": name, "place": (number + 0.5) / len(line.along), "share": share}
            for name, line in lines
            for number, share in enumerate(line.along)
        ]
    )
    colour, shape = looks
    drawn = alt.Chart(parts).encode(
        x=alt.X(
            "place:Q",
            title="From the start to the end of a video",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", grid=False, tickCount=5),
        ),
        y=_share_axis(),
        color=colour,
    )
    dots = drawn.mark_point(filled=True, size=40, opacity=1).encode(
        shape=shape,
        tooltip=[
            alt.Tooltip("topic:N", title="Topic"),
            alt.Tooltip("place:Q", title="Along", format=".0%"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    return (drawn.mark_line(strokeWidth=2) + dots).properties(height=200)


def _told_apart(names: Sequence[str]) -> tuple[Any, Any]:
    """The colour and the shape of each line."""
    import altair as alt

    colours = alt.Scale(domain=names, range=_COLOURS[: len(names)])
    shapes = alt.Scale(domain=names, range=list(_SHAPES)[: len(names)])
    return (
        alt.Color("topic:N", scale=colours, legend=None),
        alt.Shape("topic:N", scale=shapes, legend=None),
    )


def _share_axis() -> Any:
    import altair as alt

    return alt.Y(
        "share:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(format="~%", tickCount=5)
    )


def _domain(lines: Sequence[tuple[str, TrendLine]], by: Period) -> list[str]:
    """From the first period to the end of the last one, so that a single one has a width."""
    starts = [point.start for _, line in lines for point in line.over_time.points]
    return [
        min(starts).isoformat(),
        (max(starts) + timedelta(days=_DAYS[by])).isoformat(),
    ]


def _most_along(name: str, line: TrendLine) -> str:
    part = max(range(len(line.along)), key=line.along.__getitem__)
    width = 100 / len(line.along)
    return f"{name}: most from {part * width:.0f} to {(part + 1) * width:.0f} % of the length"


# --- as files -------------------------------------------------------------------------------------


def to_csv(lines: Sequence[tuple[str, TrendLine]]) -> bytes:
    """One row for each line and period."""
    rows = [
        (name, point.start.isoformat(), point.matched_sec, point.total_sec, point.share)
        for name, line in lines
        for point in line.over_time.points
    ]
    return csv_file(CSV_COLUMNS, rows)


def along_to_csv(lines: Sequence[tuple[str, TrendLine]]) -> bytes:
    """One row for each line and part of the videos' length."""
    rows = [
        (name, 100 * part / len(line.along), 100 * (part + 1) / len(line.along), share)
        for name, line in lines
        for part, share in enumerate(line.along)
    ]
    return csv_file(ALONG_COLUMNS, rows)
