"""The map: every moment a point, near to what is like it. A click plays one, a drag picks many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.explore import overview_shown
from components.explore_cards import answer_of, cards, ways_on, what_is_shown
from components.explore_clusters import cluster_names, find_words, how_apart
from components.explore_selection import (
    Picked,
    chart_key,
    drop_one,
    drop_picks,
    only_cluster,
    pick,
    picked_on,
)
from components.feedback import show_error
from components.format import clock, count
from components.query_state import last_asked
from components.recipe_chips import recipe_name
from core import Library, Overview, Recipe, RecipeError, SearchResult, SeekpointError

if TYPE_CHECKING:
    import altair as alt

Colour = Literal["Cluster", "Video", "Category", "Date", "Score"]
Theme = Literal["light", "dark"]

_POINTS = "explore_map_points"
_HEIGHT = 480
_EDGE = 1.08

# The colours of Okabe and Ito (2008), which people of every colour vision can tell apart, turned
# towards the ground they stand on as far as that needs; their black is the colour of the text.
_PALETTE: dict[Theme, tuple[str, ...]] = {
    "light": (
        *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
        *("#e69f00", "#56b4e9", "#a89800", "#101314"),
    ),
    "dark": (
        *("#3d9ad6", "#e8743b", "#00b386", "#dc95bb"),
        *("#e69f00", "#8fd0f5", "#f0e442", "#eceeee"),
    ),
}
_OTHERS: dict[Theme, str] = {"light": "#a9b1b3", "dark": "#5b6365"}
_GROUND: dict[Theme, str] = {"light": "#ffffff", "dark": "#121415"}


@dataclass(frozen=True, slots=True)
class _Colouring:
    """A value for each point. Numbers and dates are shaded; names, of which the first have a colour of
    their own, are told apart."""

    values: Sequence[str] | pd.Series[Any] | NDArray[np.float32]
    kind: Literal["names", "dates", "numbers"]
    names: Sequence[str] = ()


def show_map(library: Library, option: str) -> None:
    overview = overview_shown(library, option)
    if overview is None or not len(overview.shown):
        return
    if chart_key() not in st.session_state:
        drop_one()  # who comes from elsewhere has clicked nothing here
    _say_what_there_is(overview)
    if len(overview.clusters) > 1:
        find_words(library, overview, offered=False)
    chart, beside = st.columns([3, 2], gap="medium")
    with chart:
        _map(library, overview)
    with beside:
        _show_picked(library, overview)


def _say_what_there_is(overview: Overview) -> None:
    number, shown = len(overview.segments), len(overview.shown)
    if number == 1:
        st.markdown("There is only one moment so far. Add more videos to compare it with.")
    elif len(overview.clusters) == 1:
        st.markdown(f"All {number:,} moments are about the same: one cluster.")
    else:
        st.caption(
            f"{number:,} moments in {len(overview.clusters):,} clusters, which "
            f"{how_apart(overview.silhouette)}. What is alike lies close together; the directions "
            "mean nothing.",
            help=f"Silhouette {overview.silhouette or 0:.2f}: 1 would be far apart, 0 one into the "
            "other.",
        )
    if shown < number:
        st.caption(f"The map shows a sample, {shown:,} of {number:,} moments.")


# --- the chart ------------------------------------------------------------------------------------


def _map(library: Library, overview: Overview) -> None:
    points = _points(library, overview)
    colouring = _coloured(library, overview, points)
    key, only = chart_key(), only_cluster()
    if only is not None:
        st.button(
            f"Cluster {only}",
            key="explore_only_drop",
            icon=":material/close:",
            icon_position="right",
            help="Show all clusters alike again",
            on_click=drop_picks,
        )
    st.altair_chart(
        _chart(points, colouring, only=only, theme=_theme()),
        key=key,
        on_select=partial(_take_chart, overview, key),
        height=_HEIGHT,
        alt=f"A map of {count(len(points), 'moment')}. The same moments can be picked in the table.",
    )
    if st.toggle("As a table", key="explore_map_as_table"):
        key += "_table"
        st.dataframe(
            points[["Cluster", "Video", "Time", "Category"]],
            key=key,
            hide_index=True,
            height=300,
            on_select=partial(_take_table, overview, key),
            selection_mode="multi-row",
            column_config={"Cluster": st.column_config.NumberColumn(width=80)},
            alt="The moments of the map. What is ticked is picked.",
        )


def _points(library: Library, overview: Overview) -> pd.DataFrame:
    """The points with what is known of each, kept as long as the library stays as it is."""
    kept_of, version, points = st.session_state.get(_POINTS, (None, 0, None))
    if kept_of is overview and version == library.version and points is not None:
        return cast("pd.DataFrame", points)
    videos = {video.id: video for video in library.videos()}
    segments = [overview.segments[row] for row in overview.shown]
    found = [videos.get(segment.video_id) for segment in segments]
    points = pd.DataFrame(
        {
            "row": np.arange(len(segments)),
            "x": overview.points[:, 0],
            "y": overview.points[:, 1],
            "Cluster": overview.labels[overview.shown],
            "Video": [(v.title or "Untitled video") if v else "A removed video" for v in found],
            "Time": [f"{clock(s.start_offset_sec)} to {clock(s.end_offset_sec)}" for s in segments],
            "Category": [(v.category if v else "") or "None" for v in found],
            "added": [v.added_at if v else None for v in found],
        }
    )
    st.session_state[_POINTS] = (overview, library.version, points)
    return points


def _coloured(library: Library, overview: Overview, points: pd.DataFrame) -> _Colouring:
    """What somebody chose the colours to say."""
    colour: Colour = st.segmented_control(
        "Colour",
        ("Cluster", "Video", "Category", "Date", "Score"),
        default="Cluster",
        required=True,
        key="explore_map_colour",
    )
    if colour == "Score":
        return _scores(library, overview, points)
    if colour == "Date":
        return _Colouring(points["added"], "dates")
    if colour == "Cluster":
        names = cluster_names(overview)
        return _Colouring([names[number - 1] for number in points["Cluster"]], "names", names)
    commonest_first = [str(name) for name in points[colour].value_counts().index]
    return _Colouring(points[colour], "names", commonest_first)


def _scores(library: Library, overview: Overview, points: pd.DataFrame) -> _Colouring:
    """How each point answers a question: what is typed, or else the last search."""
    question = last_asked()
    try:
        last = question.recipe() if question else None
    except RecipeError:
        last = None
    typed = st.text_input(
        "For",
        key="explore_map_score_of",
        type="search",
        placeholder=recipe_name(library, last) if last else "Describe a moment",
        width=320,
    ).strip()
    try:
        recipe = Recipe.parse(typed) if typed else last
        if recipe is not None:
            return _Colouring(library.explorer.scores(recipe, overview), "numbers")
    except SeekpointError as error:
        show_error(error)
    return _Colouring(["No score"] * len(points), "names", ["No score"])


def _chart(
    points: pd.DataFrame, colouring: _Colouring, *, only: int | None, theme: Theme
) -> alt.LayerChart | alt.FacetChart:
    """The points, and on them the numbers of the largest clusters: colours are not all there is."""
    import altair as alt

    pick = alt.selection_point(name="pick", fields=["row"], empty=False)
    brush = alt.selection_interval(name="brush")
    drawn = points[["row", "x", "y", "Video", "Time", "Cluster"]].assign(colour=colouring.values)
    # Many small points, few large ones: about the same share of the map.
    size = float(np.clip(24_000 / len(points), 14, 90))
    standing_out = brush if only is None else brush & (alt.datum.Cluster == only)
    dots = (
        alt.Chart(drawn)
        .mark_circle(strokeWidth=2, aria=False)
        .encode(
            x=_axis(alt.X("x:Q")),
            y=_axis(alt.Y("y:Q")),
            color=_colours(colouring, drawn, theme),
            opacity=alt.when(standing_out).then(alt.value(0.75)).otherwise(alt.value(0.12)),
            size=alt.when(pick).then(alt.value(max(120.0, 2 * size))).otherwise(alt.value(size)),
            stroke=alt.when(pick)
            .then(alt.value(_PALETTE[theme][-1]))
            .otherwise(alt.value("transparent")),
            tooltip=["Video:N", "Time:N", "Cluster:Q"],
        )
        .add_params(pick, brush)
    )
    coloured = points[points["Cluster"] <= len(_PALETTE[theme])]
    middles = coloured.groupby("Cluster")[["x", "y"]].median().reset_index()
    numbers = alt.Chart(middles).encode(
        x=_axis(alt.X("x:Q")), y=_axis(alt.Y("y:Q")), text="Cluster:Q"
    )
    # Beside the middle, where the point lies that is most like the cluster.
    style: dict[str, Any] = {"fontSize": 14, "fontWeight": 700, "dy": -14, "tooltip": None}
    halo = numbers.mark_text(stroke=_GROUND[theme], strokeWidth=4, **style)
    number = numbers.mark_text(color=_PALETTE[theme][-1], **style)
    # Read aloud point by point it would say nothing: the table and the clusters do.
    on_canvas = {"embedOptions": {"renderer": "canvas"}}
    return alt.layer(dots, halo, number, usermeta=on_canvas)


def _axis(channel: Any) -> Any:
    """Without marks, which would say nothing; the same from picture to picture."""
    import altair as alt

    return channel.axis(None).scale(alt.Scale(domain=[-_EDGE, _EDGE]))


def _colours(colouring: _Colouring, drawn: pd.DataFrame, theme: Theme) -> alt.Color:
    """The scale of the colours. The first names have one each, all others share the last."""
    import altair as alt

    if colouring.kind != "names":
        # What scores most, or is newest, stands out from the ground.
        scale = alt.Scale(scheme="viridis", reverse=theme == "light")
        field, words = ("colour:T", "Added") if colouring.kind == "dates" else ("colour:Q", "Score")
        return alt.Color(field, scale=scale, legend=alt.Legend(title=words, orient="bottom"))
    palette = list(_PALETTE[theme])
    named = list(colouring.names[: len(palette)])
    if len(colouring.names) > len(named):
        others = count(len(colouring.names) - len(named), "other")
        drawn["colour"] = drawn["colour"].where(drawn["colour"].isin(named), others)
        named, palette = [*named, others], [*palette, _OTHERS[theme]]
    return alt.Color(
        "colour:N",
        scale=alt.Scale(domain=named, range=palette[: len(named)]),
        legend=alt.Legend(
            title=None,
            orient="bottom",
            columns=cast("int", alt.ExprRef("max(1, floor(width / 170))")),
            labelLimit=140,
            symbolOpacity=1,
        ),
    )


def _theme() -> Theme:
    return "dark" if st.context.theme.type == "dark" else "light"


# --- what is picked -------------------------------------------------------------------------------


def _take_chart(overview: Overview, key: str) -> None:
    x, y = overview.points.T
    match st.session_state[key].selection:
        case {"brush": {"x": [left, right], "y": [bottom, top]}}:
            inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
            pick(overview, np.flatnonzero(inside))
        case {"pick": [{"row": row}, *_]}:
            pick(overview, np.array([int(row)]))
        case _:
            pick(overview, np.array([], dtype=np.int64))


def _take_table(overview: Overview, key: str) -> None:
    pick(overview, np.array(st.session_state[key].selection.rows, dtype=np.int64))


def _show_picked(library: Library, overview: Overview) -> None:
    picked = picked_on(overview)
    if picked is None:
        st.caption("Click a point to play it. Drag over some to see and use them together.")
        return
    try:
        result = answer_of(library, picked.ids, like=picked.ids[0] if picked.one else None)
    except SeekpointError as error:
        show_error(error)
        return
    if picked.one:
        st.caption("The moment, and those next to it on the map")
        first = result.moments[0].best.segment.id
        cards(library, result, name="one", play=first if first == picked.ids[0] else "")
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.text(_what(picked, result), width="content")
        st.button(
            "Clear",
            key="explore_map_clear",
            type="tertiary",
            icon=":material/close:",
            on_click=drop_picks,
        )
    ways_on(library, result, name="map")
    cards(library, result, name=f"map_{hash(picked.ids)}")


def _what(picked: Picked, result: SearchResult) -> str:
    here = what_is_shown(result)
    if picked.number == len(picked.ids):
        return here
    return f"{picked.number:,} moments; these are the nearest to the middle: {here}"
