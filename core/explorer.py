"""Explore: what is in the library, what is odd in it, what changes. The long parts are tasks.

Everything is about one embedding_option at a time, because what is seen and what is heard lie far
apart in the same space. What was found is kept under the library's version, so that a second look
costs nothing; maps and clusters also on disk, under a digest of the segments they were made from.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core import analysis, comparison, duplicates, trends
from core.answers import Answers
from core.errors import RecipeError, SeekpointError
from core.models import (
    Cluster,
    Comparison,
    Coverage,
    CoverageRow,
    DuplicateRun,
    Duplicates,
    Filters,
    Hit,
    Moment,
    Outlier,
    Overview,
    SearchResult,
    Stretch,
    TrendLine,
    Vector,
    Video,
)
from core.recipe import Part, Recipe
from core.search import merge_hits
from core.settings import Settings
from core.shelf import Shelf
from core.state import State, StoredVideo
from core.table import Table, Tables, keep_file
from core.tasks import Report, Task, Tasks
from core.vocabulary import WORDS

logger = logging.getLogger(__name__)

MAX_WORDS = 5_000
# A run that covers so much of the shorter video is the video, not a piece of it.
WHOLE = 0.9
_NEAREST = 24
_OUTLIERS = 50
_VOCABULARY = "vocabulary"
# Another one when core/analysis.py makes other maps or clusters of the same vectors.
_METHOD = 1
# Lengths that differ by less say nothing about which of two copies is the better one.
_SAME_LENGTH = 0.05

T = TypeVar("T")


class Explorer:
    """The library from above. Safe to share between threads.

    `read` gives vectors by segment id.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        collection: str,
        dimension: int,
        shelf: Shelf,
        state: State,
        read: Callable[[Sequence[str]], Mapping[str, Vector]],
        answers: Answers,
        model: str,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._state = state
        self._read = read
        self._answers = answers
        self._model = model
        self._folder = settings.data_dir / "explore" / collection
        self._tables = Tables(read, self._folder, dimension)
        self._tasks = Tasks()

    def close(self) -> None:
        self._tasks.close()

    def forget(self) -> None:
        """Leaves nothing of a video that was removed."""
        self._tables.drop()

    def options(self) -> tuple[str, ...]:
        """The embedding_options that have segments, the one with most first."""
        counts = Counter(s.embedding_option for v in self._shelf.stored for s in v.segments)
        return tuple(option for option, _ in counts.most_common())

    # Map and clusters

    def overview(self, option: str, *, clusters: int | None = None) -> Task[Overview]:
        """All segments on a map and in clusters: so many, or as many as fit best."""
        return self._task("overview", partial(self._overview, option, clusters), option, clusters)

    def _overview(self, option: str, count: int | None, report: Report) -> Overview:
        version = self._shelf.version
        kept = _Kept(self._folder, option)
        table = self._table(option, report.part(0.0, 0.4, "Reading the segments"))
        projection = kept.projection(
            table,
            lambda: analysis.project(
                table.vectors, on_progress=report.part(0.4, 0.7, "Drawing the map")
            ),
        )
        clustering = kept.clustering(
            table,
            count,
            lambda: analysis.cluster(
                table.vectors,
                count=count,
                on_progress=report.part(0.7, 1.0, "Finding clusters"),
            ),
        )
        return Overview(
            option=option,
            version=version,
            segments=table.segments,
            labels=clustering.labels + 1,
            shown=projection.rows,
            points=projection.points,
            clusters=tuple(_clusters(table, clustering)),
            silhouette=clustering.silhouette,
        )

    def scores(self, recipe: Recipe, overview: Overview) -> NDArray[np.float32]:
        """How the points of the map answer a recipe, (points,).

        Raises what `Library.search` raises.
        """
        direction = self._answers.direct(recipe, overview.option)
        table = self._table(overview.option)
        scores = (table.vectors @ direction.vector) * np.float32(direction.length)
        if len(scores) == len(overview.segments):
            return scores[overview.shown]
        # The library has changed since.
        by_id = {s.id: score for s, score in zip(table.segments, scores, strict=True)}
        shown = (overview.segments[row].id for row in overview.shown)
        return np.array([by_id.get(key, 0.0) for key in shown], dtype=np.float32)

    # Words for clusters

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words clusters may be named with."""
        chosen = self._state.preference(_VOCABULARY)
        return tuple(chosen.split("\n")) if chosen else WORDS

    def set_vocabulary(self, words: Sequence[str]) -> None:
        """Names clusters with other words from now on; with none, those of Seekpoint again.

        Raises:
            RecipeError: there are more than MAX_WORDS.
        """
        plain = dict.fromkeys(" ".join(word.split()) for word in words)
        plain.pop("", None)
        if len(plain) > MAX_WORDS:
            raise RecipeError(
                f"{len(plain):,} words are too many: {MAX_WORDS:,} at most.", "Leave some out."
            )
        self._state.set_preference(_VOCABULARY, "\n".join(plain) or None)

    def words_price(self) -> float | None:
        """What naming clusters would cost now; None when the price is unknown."""
        return self._answers.price_of_words(self.vocabulary)

    def words(self, overview: Overview) -> Task[tuple[tuple[str, ...], ...]]:
        """For each cluster the words that stand out for it, best first."""
        vocabulary = self.vocabulary
        return self._tasks.of(
            ("words", overview, vocabulary), partial(self._name, overview, vocabulary)
        )

    def _name(
        self, overview: Overview, vocabulary: Sequence[str], report: Report
    ) -> tuple[tuple[str, ...], ...]:
        reading = report.part(0.0, 0.9, "Reading the words")
        words, vectors = [], []
        for place, word in enumerate(vocabulary):
            reading(place / len(vocabulary))
            try:
                vectors.append(self._answers.word(word))
            except RecipeError:  # an embedder need not know every word
                continue
            words.append(word)
        if not words or not overview.clusters:
            return ((),) * len(overview.clusters)
        table = self._table(overview.option, report.part(0.9, 1.0, "Naming the clusters"))
        row_of = {segment.id: row for row, segment in enumerate(table.segments)}
        labels = {s.id: label for s, label in zip(overview.segments, overview.labels, strict=True)}
        centres = np.zeros((len(overview.clusters), table.vectors.shape[1]), dtype=np.float32)
        for key, row in row_of.items():
            if key in labels:
                centres[labels[key] - 1] += table.vectors[row]
        lengths = np.linalg.norm(centres, axis=1, keepdims=True)
        named = analysis.label(centres / np.maximum(lengths, 1e-9), words, np.stack(vectors))
        return tuple(named)

    # Outliers and copies

    def outliers(self, option: str, *, video_id: str = "") -> Task[tuple[Outlier, ...]]:
        """The segments least like any other, of the library or of one video among its own."""
        return self._task("outliers", partial(self._outliers, option, video_id), option, video_id)

    def _outliers(self, option: str, video_id: str, report: Report) -> tuple[Outlier, ...]:
        videos = self._shelf.videos
        table = self._table(option, report.part(0.0, 0.4, "Reading the segments"))
        rows = np.arange(len(table.segments))
        if video_id:
            rows = np.array(
                [row for row in rows if table.segments[row].video_id == video_id], dtype=np.int64
            )
        found, scores = analysis.outliers(
            table.vectors[rows] if video_id else table.vectors,
            limit=_OUTLIERS,
            on_progress=report.part(0.4, 1.0, "Comparing the segments"),
        )
        segments = [table.segments[rows[row]] for row in found]
        return tuple(
            Outlier(segment, videos[segment.video_id], float(score))
            for segment, score in zip(segments, scores, strict=True)
            if segment.video_id in videos
        )

    def duplicates(
        self, option: str, *, min_score: float = duplicates.MIN_SCORE, min_sec: float = 3.0
    ) -> Task[Duplicates]:
        """Stretches that two videos have in common, scoring `min_score` and `min_sec` long at
        least."""
        work = partial(self._duplicates, option, min_score, min_sec)
        return self._task("duplicates", work, option, min_score, min_sec)

    def _duplicates(
        self, option: str, min_score: float, min_sec: float, report: Report
    ) -> Duplicates:
        version, videos = self._shelf.version, self._shelf.videos
        table = self._table(option, report.part(0.0, 0.4, "Reading the segments"))
        runs, more = duplicates.find_runs(
            table.vectors,
            table.videos,
            table.starts,
            table.ends,
            min_score=min_score,
            min_sec=min_sec,
            on_progress=report.part(0.4, 1.0, "Comparing the videos"),
        )
        described = [
            _described(_stretch(table, run.first, videos), _stretch(table, run.second, videos), run)
            for run in runs
            if {table.segments[run.first.start].video_id, table.segments[run.second.start].video_id}
            <= videos.keys()
        ]
        return Duplicates(version, tuple(described), more)

    # Trends

    def trend(
        self,
        topics: Sequence[Recipe | Cluster],
        *,
        option: str,
        overview: Overview | None = None,
        by: trends.Period = trends.Period.WEEK,
        dates: Literal["added", "recorded"] = "added",
        min_score: float | None = None,
    ) -> Task[tuple[TrendLine, ...]]:
        """How much of the library matches each topic, by the date of the videos and along their
        length. Clusters need the overview they are of.

        A segment matches a recipe from `min_score` on; None: from where it is likely no chance.
        """
        work = partial(self._trend, tuple(topics), option, overview, by, dates, min_score)
        return self._task("trend", work, tuple(topics), option, overview, by, dates, min_score)

    def _trend(
        self,
        topics: Sequence[Recipe | Cluster],
        option: str,
        overview: Overview | None,
        by: trends.Period,
        dates: Literal["added", "recorded"],
        min_score: float | None,
        report: Report,
    ) -> tuple[TrendLine, ...]:
        table = self._table(option, report.part(0.0, 0.8, "Reading the segments"))
        counting = report.part(0.8, 1.0, "Counting matches")
        lines = []
        for place, topic in enumerate(topics):
            counting(place / len(topics))
            matched, score = self._matched(topic, table, overview, min_score)
            lines.append(self._line(_name_of(topic), matched, table, by, dates, score))
        return tuple(lines)

    def _matched(
        self,
        topic: Recipe | Cluster,
        table: Table,
        overview: Overview | None,
        min_score: float | None,
    ) -> tuple[NDArray[np.bool_], float | None]:
        """Which rows of the table match, and from which score on."""
        if isinstance(topic, Cluster):
            members = set()
            if overview is not None:
                rows = np.flatnonzero(overview.labels == topic.number)
                members = {overview.segments[row].id for row in rows}
            return np.array([s.id in members for s in table.segments], dtype=bool), None
        if topic.then is not None:
            raise RecipeError(
                "A trend follows one thing, not one after another.",
                'Leave out "then" and what comes after it.',
            )
        direction = self._answers.direct(topic, table.option)
        least = direction.likely if min_score is None else min_score
        if least is None:
            raise SeekpointError(
                "There are too few segments to tell a match from chance.",
                "Set the score from which on a segment matches, or add more videos.",
            )
        return (table.vectors @ direction.vector) * direction.length >= least, float(least)

    def _line(
        self,
        name: str,
        matched: NDArray[np.bool_],
        table: Table,
        by: trends.Period,
        dates: Literal["added", "recorded"],
        min_score: float | None,
    ) -> TrendLine:
        videos = [self._shelf.videos.get(video_id) for video_id in table.video_ids]
        seconds = table.ends - table.starts
        lengths = np.zeros(len(videos))
        np.maximum.at(lengths, table.videos, table.ends)
        for place, video in enumerate(videos):
            if video is not None and video.duration:
                lengths[place] = video.duration
        middles = (table.starts + table.ends) / 2
        when = [_date(video, dates) for video in videos]
        dated = np.array([date is not None for date in when], dtype=bool)
        places = np.cumsum(dated) - 1
        rows = dated[table.videos] if len(table.videos) else np.zeros(0, dtype=bool)
        over_time = trends.over_time(
            [date for date in when if date is not None],
            places[table.videos[rows]].astype(np.int32),
            matched[rows],
            seconds[rows],
            by=by,
        )
        along = trends.along(matched, np.clip(middles / lengths[table.videos], 0, 1), seconds)
        return TrendLine(
            name=name,
            over_time=over_time,
            along=tuple(along),
            segments=int(matched.sum()),
            matched_sec=float(seconds[matched].sum()),
            total_sec=float(seconds.sum()),
            min_score=min_score,
        )

    # What there is

    def coverage(self) -> Task[Coverage]:
        """What is in the library, what no search has shown yet, and what it takes on the disk."""
        return self._tasks.of(("coverage", self._shelf.version, _minute()), self._coverage)

    def _coverage(self, report: Report) -> Coverage:
        report.part(0.0, 0.5, "Counting")
        stored = self._shelf.stored
        returned = self._state.returned()
        options = [_row(option, stored, option) for option in self.options()]
        report.part(0.5, 1.0, "Measuring the files")
        return Coverage(
            total=_row("", stored),
            without_length=sum(entry.video.duration is None for entry in stored),
            options=tuple(options),
            categories=_rows(stored, lambda entry: entry.video.category),
            months=_rows(stored, lambda entry: f"{entry.video.added_at:%Y-%m}", by_name=True),
            models=_rows(stored, lambda entry: entry.video.model),
            never_returned=tuple(entry.video for entry in stored if entry.video.id not in returned),
            counted_since=min(returned.values(), default=None),
            storage=_storage(self._settings),
        )

    # Answers

    def compare(self, left: SearchResult, right: SearchResult, *, k: int = 10) -> Comparison:
        """What the first `k` moments of two answers have in common."""
        return comparison.compare(left.moments, right.moments, k=k)

    def answer(
        self, segment_ids: Sequence[str], *, like: str | None = None, merged: bool = False
    ) -> SearchResult:
        """Segments as an answer, in this order; those that are gone are left out.

        Its recipe is "more like" the one in the middle of them, or `like`, and its scores are the
        cosines with that. `merged` puts the best first and makes moments of adjacent ones.

        Raises:
            StoreError: the vectors cannot be read. RecipeError: none of the segments is there.
        """
        wanted = dict.fromkeys(segment_ids)
        segments = {
            s.id: s for entry in self._shelf.stored for s in entry.segments if s.id in wanted
        }
        vectors = self._read([*segments, *([like] if like else [])])
        there = [segments[key] for key in wanted if key in segments and key in vectors]
        if not there or (like and like not in vectors):
            raise RecipeError("These moments are no longer in the library.", "Pick others.")
        matrix = np.stack([vectors[segment.id] for segment in there])
        if like is None:
            like = there[int(np.argmax(matrix @ matrix.mean(axis=0)))].id
        scores = (matrix @ vectors[like]).tolist()
        pairs = list(zip(there, scores, strict=True))
        if merged:
            pairs.sort(key=lambda pair: (-pair[1], pair[0].id))
        videos = self._shelf.videos
        hits = [
            Hit(segment, videos[segment.video_id], score, {segment.embedding_option: score}, rank)
            for rank, (segment, score) in enumerate(pairs, start=1)
            if segment.video_id in videos
        ]
        moments = merge_hits(hits) if merged else [_alone(hit) for hit in hits]
        return SearchResult(
            hits=tuple(hits),
            moments=tuple(moments),
            recipe=Recipe((Part.segment(like),)),
            filters=Filters(),
            model=self._model,
            cached=True,
        )

    def _task(self, kind: str, work: Callable[[Report], T], *about: object) -> Task[T]:
        return self._tasks.of((kind, self._shelf.version, *about), work)

    def _table(self, option: str, on_progress: Callable[[float], None] = lambda _: None) -> Table:
        return self._tables.of(self._shelf.stored, option, on_progress)


class _Kept:
    """The arrays of maps and clusters on disk. They may be deleted at any time."""

    def __init__(self, folder: Path, option: str) -> None:
        self._folder = folder
        self._option = option

    def projection(
        self, table: Table, make: Callable[[], analysis.Projection]
    ) -> analysis.Projection:
        found = self._arrays("map", table, ("rows", "points"))
        if found is not None:
            return analysis.Projection(found["rows"], found["points"])
        made = make()
        self._keep("map", table, {"rows": made.rows, "points": made.points})
        return made

    def clustering(
        self, table: Table, count: int | None, make: Callable[[], analysis.Clustering]
    ) -> analysis.Clustering:
        kind = f"clusters-{count or 'best'}"
        names = ("labels", "centres", "representatives", "spreads")
        found = self._arrays(kind, table, (*names, "silhouette"))
        if found is not None:
            silhouette = float(found["silhouette"])
            return analysis.Clustering(
                **{name: found[name] for name in names},
                silhouette=None if np.isnan(silhouette) else silhouette,
            )
        made = make()
        silhouette = np.nan if made.silhouette is None else made.silhouette
        arrays = {name: getattr(made, name) for name in names}
        self._keep(kind, table, {**arrays, "silhouette": np.array(silhouette)})
        return made

    def _path(self, kind: str, digest: str) -> Path:
        return self._folder / f"{kind}-{self._option}-{_METHOD}-{digest}.npz"

    def _arrays(
        self, kind: str, table: Table, names: Sequence[str]
    ) -> dict[str, NDArray[Any]] | None:
        try:
            with np.load(self._path(kind, table.digest), allow_pickle=False) as found:
                return {name: found[name] for name in names}
        except (OSError, ValueError, EOFError, KeyError):
            return None

    def _keep(self, kind: str, table: Table, arrays: Mapping[str, NDArray[Any]]) -> None:
        keep_file(
            self._path(kind, table.digest),
            lambda file: np.savez(file, allow_pickle=False, **arrays),
            f"{kind}-{self._option}-*.npz",
        )


def _clusters(table: Table, found: analysis.Clustering) -> Iterable[Cluster]:
    for place, centre in enumerate(found.centres):
        rows = np.flatnonzero(found.labels == place)
        nearest = rows[np.argsort(-(table.vectors[rows] @ centre), kind="stable")[:_NEAREST]]
        videos = Counter(table.segments[row].video_id for row in rows)
        yield Cluster(
            number=place + 1,
            size=len(rows),
            share=len(rows) / len(table.segments),
            spread=float(found.spreads[place]),
            nearest=tuple(table.segments[row] for row in nearest),
            videos=tuple(videos.most_common()),
        )


def _stretch(table: Table, rows: range, videos: Mapping[str, Video]) -> Stretch:
    return Stretch(
        videos[table.segments[rows.start].video_id],
        float(table.starts[rows.start]),
        float(table.ends[rows.stop - 1]),
    )


def _described(first: Stretch, second: Stretch, run: duplicates.Run) -> DuplicateRun:
    """A run with a suggestion which video to keep, when it is nearly all of one of them."""
    plain = DuplicateRun(first, second, run.score, run.offset)
    covered = max(
        stretch.duration / stretch.video.duration if stretch.video.duration else 0.0
        for stretch in (first, second)
    )
    if covered < WHOLE:
        return plain
    keep, reason = _better(first.video, second.video)
    return replace(plain, whole=True, keep=keep, reason=reason)


def _better(first: Video, second: Video) -> tuple[Literal["first", "second"], str]:
    """Which of two copies is worth more, and why."""
    lengths = (first.duration or 0.0), (second.duration or 0.0)
    if abs(lengths[0] - lengths[1]) > _SAME_LENGTH * max(lengths):
        return _more(lengths), "It is longer."
    pixels = [(video.width or 0) * (video.height or 0) for video in (first, second)]
    if pixels[0] != pixels[1]:
        better, other = (first, second) if pixels[0] > pixels[1] else (second, first)
        return _more(pixels), f"Its picture has {better.height} lines, the other's {other.height}."
    return ("first" if first.added_at <= second.added_at else "second"), "It was here first."


def _more(pair: Sequence[float]) -> Literal["first", "second"]:
    return "first" if pair[0] > pair[1] else "second"


def _name_of(topic: Recipe | Cluster) -> str:
    if isinstance(topic, Cluster):
        return f"Cluster {topic.number}"
    return topic.to_text() or "A search with pictures or clips"


def _date(video: Video | None, dates: Literal["added", "recorded"]) -> datetime | None:
    if video is None:
        return None
    return video.added_at if dates == "added" else video.recorded_at


def _rows(
    stored: Sequence[StoredVideo],
    key: Callable[[StoredVideo], str],
    *,
    by_name: bool = False,
) -> tuple[CoverageRow, ...]:
    groups: dict[str, list[StoredVideo]] = {}
    for entry in stored:
        groups.setdefault(key(entry), []).append(entry)
    rows = [_row(name, group) for name, group in groups.items()]
    rows.sort(key=lambda row: row.name if by_name else (-row.hours, row.name))
    return tuple(rows)


def _row(name: str, stored: Iterable[StoredVideo], option: str = "") -> CoverageRow:
    """What these videos come to; of one option those that have it, and the time it covers."""
    videos, seconds, segments = 0, 0.0, 0
    for entry in stored:
        mine = [s for s in entry.segments if not option or s.embedding_option == option]
        if option and not mine:
            continue
        videos += 1
        segments += len(mine)
        seconds += entry.video.duration or max((s.end_offset_sec for s in mine), default=0.0)
    return CoverageRow(name, videos, seconds / 3600, segments)


def _storage(settings: Settings) -> dict[str, int]:
    """Bytes of the data folder by what they are for."""
    names = {
        "media": "Videos",
        "uploads": "Unfinished uploads",
        "posters": "Pictures",
        "searches": "Pictures and clips of searches",
        "explore": "Maps",
        "logs": "Logs",
        "milvus.db": "Vectors",
        "seekpoint.db": "Records",
        "seekpoint.db-wal": "Records",
    }
    sizes: Counter[str] = Counter()
    for path in settings.data_dir.glob("*"):
        sizes[names.get(path.name, "Other")] += _size(path)
    return {name: size for name, size in sizes.most_common() if size}


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(_size(inner) for inner in path.iterdir())
        return path.stat().st_size
    except OSError:  # deleted meanwhile
        return 0


def _alone(hit: Hit) -> Moment:
    segment = hit.segment
    return Moment(hit.video, segment.start_offset_sec, segment.end_offset_sec, (hit,), hit.rank)


def _minute() -> int:
    return int(datetime.now(UTC).timestamp() // 60)
