"""Clusters: what is alike, each with its best example, what it may be called and where it occurs."""

from __future__ import annotations

import streamlit as st

from components.explore import CLUSTERS_WANTED, kept_task, overview_shown, show_view, task_shown
from components.explore_cards import answer_of, cards, ways_on
from components.explore_selection import pick_cluster
from components.feedback import errors_shown, show_error
from components.format import count, price
from components.resources import may
from core import Cluster, Library, Overview, SeekpointError

TREND_OF = "explore_trend_of"
_BOX, _CHOSEN, _NAMES, _AGREED = (
    "explore_clusters_box",
    "explore_cluster",
    "explore_cluster_names",
    "explore_naming_agreed",
)
_MOST = 100
_VIDEOS = 12
# The bounds of Kaufman and Rousseeuw, Finding Groups in Data (1990), for what there is to be found.
_CLEAR, _PARTLY = 0.5, 0.25
# A spread so far from the usual one is worth a word.
_UNUSUAL = 0.25


def show_clusters(library: Library, option: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _number()
        if may("explorer.set_vocabulary"):
            _vocabulary(library)
    overview = overview_shown(library, option)
    if overview is None or not overview.clusters:
        return
    _say_why_so_many(overview)
    find_words(library, overview, offered=True)
    chosen = _chosen(overview)
    if chosen is None:
        _all(library, overview)
    else:
        _one(library, overview, chosen)


def cluster_names(overview: Overview) -> list[str]:
    """What each cluster is called: its number, with words once they were looked for."""
    return [f"{number} {words}".strip() for number, words in enumerate(_words(overview), start=1)]


def how_apart(silhouette: float | None) -> str:
    """How clearly clusters are told apart, as in "they are clearly apart"."""
    if silhouette is None or silhouette < _PARTLY:
        return "run into each other"
    return "are clearly apart" if silhouette >= _CLEAR else "are partly apart"


def _number() -> None:
    """How many clusters; nothing leaves it to the criterion."""
    st.session_state[_BOX] = st.session_state.get(CLUSTERS_WANTED)
    st.number_input(
        "Number of clusters",
        min_value=1,
        max_value=_MOST,
        value=None,
        placeholder="Automatic",
        key=_BOX,
        on_change=_take_number,
        width=180,
    )


def _take_number() -> None:
    st.session_state[CLUSTERS_WANTED] = st.session_state[_BOX]


def _say_why_so_many(overview: Overview) -> None:
    number = count(len(overview.clusters), "cluster")
    if st.session_state.get(CLUSTERS_WANTED):
        said = f"{number}, as many as you chose or as there are different moments"
    elif overview.silhouette is None:
        said = f"{number}: the moments are about the same"
    else:
        said = f"{number}, the number with which they are best told apart"
    if overview.silhouette is not None:
        said += f". They {how_apart(overview.silhouette)}"
    st.caption(
        f"{said}.",
        help=None
        if overview.silhouette is None
        else f"Spherical k-means; silhouette {overview.silhouette:.2f}, where 1 would be far apart "
        "and 0 one into the other.",
    )


# --- words ----------------------------------------------------------------------------------------


def find_words(library: Library, overview: Overview, *, offered: bool) -> None:
    """Lets clusters be named: at once when that is free, else when the price is agreed to, for which
    it is only asked where that is `offered`."""
    vocabulary = library.explorer.vocabulary
    with errors_shown():
        cost = library.explorer.words_price()
    if cost != 0 and st.session_state.get(_AGREED) != vocabulary:
        if not offered:
            return
        what = "price unknown" if cost is None else price(cost, library.settings.currency)
        st.button(
            f"Name the clusters, {what}",
            key="explore_name",
            icon=":material/label:",
            help=f"{count(len(vocabulary), 'word')} would be embedded, once",
            on_click=_agree,
            args=(vocabulary,),
        )
        return
    words = task_shown(
        kept_task(
            library,
            ("words", overview, vocabulary),
            lambda: library.explorer.words(overview),
        )
    )
    if words is not None:
        st.session_state[_NAMES] = (overview, words)


def _words(overview: Overview) -> list[str]:
    """The words for each cluster; empty while there are none."""
    of, words = st.session_state.get(_NAMES, (None, ()))
    if of is not overview:
        return [""] * len(overview.clusters)
    return [", ".join(some) for some in words]


def _agree(vocabulary: tuple[str, ...]) -> None:
    st.session_state[_AGREED] = vocabulary


def _vocabulary(library: Library) -> None:
    vocabulary = library.explorer.vocabulary
    # What lies in a closed popover never hears of a value that is set later.
    key = f"explore_vocabulary_{hash(vocabulary)}"
    with st.popover("Words", icon=":material/label:", width="content"):
        st.text_area(
            "Clusters may be called, one in a line",
            "\n".join(vocabulary),
            key=key,
            height=240,
        )
        words = st.session_state[key].split("\n")
        st.caption(count(len({word.strip() for word in words} - {""}), "word"))
        with st.container(horizontal=True, gap="small"):
            use = st.button("Use these", key="explore_words_use", type="primary")
            reset = st.button("Seekpoint's own", key="explore_words_reset", type="tertiary")
        if use or reset:
            try:
                library.explorer.set_vocabulary(words if use else ())
            except SeekpointError as error:
                show_error(error)
            else:
                st.session_state.pop(_NAMES, None)
                st.rerun()


# --- clusters -------------------------------------------------------------------------------------


def _chosen(overview: Overview) -> Cluster | None:
    names = cluster_names(overview)
    numbers = [0, *(cluster.number for cluster in overview.clusters)]
    if st.session_state.get(_CHOSEN) not in numbers:
        st.session_state[_CHOSEN] = 0
    number = st.selectbox(
        "Cluster",
        numbers,
        format_func=lambda number: names[number - 1] if number else "All, the best example of each",
        key=_CHOSEN,
        width=360,
    )
    return overview.clusters[number - 1] if number else None


def _all(library: Library, overview: Overview) -> None:
    """A card for each cluster: its moment nearest to the centre."""
    words = _words(overview)
    first = {cluster.nearest[0].id: cluster for cluster in overview.clusters}
    st.caption("The score of a card says how much alike its cluster is: 1 is all the same.")
    with errors_shown():
        result = answer_of(library, list(first))
        cards(
            library,
            result,
            name="clusters",
            why={
                segment_id: ": ".join(filter(None, (_size(cluster), words[cluster.number - 1])))
                for segment_id, cluster in first.items()
            },
            scores={segment_id: 1 - cluster.spread for segment_id, cluster in first.items()},
        )


def _one(library: Library, overview: Overview, cluster: Cluster) -> None:
    """All about one cluster, and the moments nearest to its centre."""
    with st.container(gap="xxsmall"):
        for what, value in (
            ("Size", _size(cluster)),
            ("Spread", _spread(cluster, overview)),
            ("Videos", _videos(library, cluster)),
        ):
            with st.container(horizontal=True, gap="small", wrap=False):
                st.caption(what, width=70)
                st.text(value)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Show on the map",
            key="explore_cluster_map",
            icon=":material/scatter_plot:",
            on_click=_show_on_map,
            args=(overview, cluster.number),
        )
        st.button(
            "Show its trend",
            key="explore_cluster_trend",
            icon=":material/trending_up:",
            on_click=_show_trend,
            args=(cluster.number,),
        )
    with errors_shown():
        result = answer_of(
            library, [segment.id for segment in cluster.nearest], like=cluster.nearest[0].id
        )
        ways_on(library, result, name="cluster")
        cards(library, result, name=f"cluster_{cluster.number}")


def _size(cluster: Cluster) -> str:
    return f"{count(cluster.size, 'moment')}, {100 * cluster.share:.0f} %"


def _spread(cluster: Cluster, overview: Overview) -> str:
    """How much alike its moments are, against those of the other clusters."""
    usual = sum(c.spread * c.size for c in overview.clusters) / len(overview.segments)
    if cluster.spread < (1 - _UNUSUAL) * usual:
        words = "more alike than in most clusters"
    elif cluster.spread > (1 + _UNUSUAL) * usual:
        words = "less alike than in most clusters"
    else:
        words = "about as alike as in other clusters"
    return f"{words} ({cluster.spread:.2f} from the middle)"


def _videos(library: Library, cluster: Cluster) -> str:
    titles = {video.id: video.title or "Untitled video" for video in library.videos()}
    named = [
        f"{titles.get(video_id, 'A removed video')} ({number:,})"
        for video_id, number in cluster.videos[:_VIDEOS]
    ]
    more = len(cluster.videos) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def _show_on_map(overview: Overview, number: int) -> None:
    pick_cluster(overview, number)
    show_view("map")


def _show_trend(number: int) -> None:
    st.session_state[TREND_OF] = number
    show_view("trends")
