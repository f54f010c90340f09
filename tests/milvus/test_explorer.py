"""Exploring a library of which the structure is known, on a real store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core import (
    Library,
    Part,
    Period,
    Recipe,
    RecipeError,
    SeekpointError,
    Settings,
    Video,
    open_library,
)
from core.explorer import MAX_WORDS, WORDS
from core.models import EmbeddedSegment, Vector
from core.state import StoredVideo

TIMEOUT = 60.0
SEGMENT_SEC = 4.0
FIRST = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Builder:
    """Puts videos of known vectors into a library, the way a job does."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.random = np.random.default_rng(5)

    def direction(self) -> Vector:
        return self.unit(self.random.normal(size=self.library.capabilities.dimension))

    def unit(self, vector: np.ndarray) -> Vector:
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def near(self, direction: Vector, count: int, noise: float = 0.4) -> list[Vector]:
        return [self.unit(direction + noise * self.direction()) for _ in range(count)]

    def add(
        self,
        name: str,
        vectors: Sequence[Vector],
        *,
        option: str = "visual",
        category: str = "",
        added_at: datetime = FIRST,
        recorded_at: datetime | None = None,
        size: tuple[int, int] = (640, 360),
    ) -> None:
        embedded = [
            EmbeddedSegment(place * SEGMENT_SEC, (place + 1) * SEGMENT_SEC, option, vector)
            for place, vector in enumerate(vectors)
        ]
        segments = self.library._store.upsert(name, category, added_at, embedded)
        video = Video(
            id=name,
            title=name,
            video_url=f"https://media.example/{name}.mp4",
            duration=len(vectors) * SEGMENT_SEC,
            category=category,
            model="made",
            segments=len(segments),
            added_at=added_at,
            width=size[0],
            height=size[1],
            recorded_at=recorded_at,
        )
        self.library._shelf.put(StoredVideo(video, None, tuple(segments)))


@pytest.fixture
def empty(tmp_path: Path, store_uri: str) -> Iterator[Library]:
    settings = Settings(data_dir=tmp_path / "data", milvus_uri=store_uri, embedder="local")
    with open_library(settings) as library:
        yield library


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_uri: str) -> Iterator[Library]:
    """Three topics in six videos, two weeks apart; one odd segment; a copy of a whole video."""
    folder = tmp_path_factory.mktemp("explored")
    settings = Settings(data_dir=folder, milvus_uri=shared_uri, embedder="local")
    with open_library(settings) as library:
        build = Builder(library)
        topics = [build.direction() for _ in range(3)]
        for number in range(6):
            vectors = build.near(topics[number % 3], 20)
            if number == 4:
                vectors[7] = build.direction()
            build.add(
                f"film{number}",
                vectors,
                category="even" if number % 2 == 0 else "odd",
                added_at=FIRST + timedelta(weeks=2 * number),
                recorded_at=FIRST - timedelta(days=number) if number < 3 else None,
            )
            if number == 0:
                copied = [build.unit(vector + 0.1 * build.direction()) for vector in vectors]
        build.add("copy", copied, added_at=FIRST + timedelta(weeks=12), size=(1280, 720))
        build.add("sound", build.near(topics[0], 3), option="audio")
        yield library


def test_the_options_are_those_that_have_segments(shared: Library, empty: Library) -> None:
    assert shared.explorer.options() == ("visual", "audio")
    assert empty.explorer.options() == ()


def test_an_overview_finds_the_topics_and_puts_every_segment_on_the_map(shared: Library) -> None:
    overview = shared.explorer.overview("visual").wait(TIMEOUT)
    assert len(overview.segments) == len(overview.labels) == len(overview.points) == 140
    assert np.isfinite(overview.points).all()
    assert [cluster.number for cluster in overview.clusters] == [1, 2, 3]
    assert sum(cluster.size for cluster in overview.clusters) == 140
    assert sum(cluster.share for cluster in overview.clusters) == pytest.approx(1.0)
    of_film = {s.video_id: int(n) for s, n in zip(overview.segments, overview.labels, strict=True)}
    assert of_film["film0"] == of_film["film3"] == of_film["copy"]
    assert len({of_film["film0"], of_film["film1"], of_film["film2"]}) == 3
    first = overview.clusters[0]
    assert dict(first.videos) == {"film0": 20, "film3": 20, "copy": 20}
    assert {segment.video_id for segment in first.nearest} <= dict(first.videos).keys()
    assert overview.silhouette is not None
    assert overview.silhouette > 0.5


def test_the_user_may_choose_how_many_clusters(shared: Library) -> None:
    overview = shared.explorer.overview("visual", clusters=5).wait(TIMEOUT)
    assert len(overview.clusters) == 5


def test_the_same_question_is_the_same_task_until_the_library_changes(empty: Library) -> None:
    build = Builder(empty)
    build.add("one", build.near(build.direction(), 12))
    task = empty.explorer.overview("visual")
    task.wait(TIMEOUT)
    assert empty.explorer.overview("visual") is task
    build.add("two", build.near(build.direction(), 12))
    again = empty.explorer.overview("visual")
    assert again is not task
    assert len(again.wait(TIMEOUT).segments) == 24


def test_a_restart_finds_the_same_map_without_computing_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, embedder="local")
    with open_library(settings) as library:
        build = Builder(library)
        for number in range(3):
            build.add(f"film{number}", build.near(build.direction(), 30))
        first = library.explorer.overview("visual").wait(TIMEOUT)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("explore/*/*")}
    assert len(kept) == 3
    with open_library(settings) as library:
        second = library.explorer.overview("visual").wait(TIMEOUT)
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.labels, second.labels)
    assert first.clusters == second.clusters
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("explore/*/*")} == kept


def test_nothing_of_a_removed_video_is_left(empty: Library) -> None:
    build = Builder(empty)
    build.add("one", build.near(build.direction(), 12))
    empty.explorer.overview("visual").wait(TIMEOUT)
    assert list(empty.settings.data_dir.glob("explore/*/*"))
    empty.remove("one")
    assert not list(empty.settings.data_dir.glob("explore/*/*"))
    assert empty.explorer.overview("visual").wait(TIMEOUT).clusters == ()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_next_to_nothing_is_no_error(empty: Library, count: int) -> None:
    build = Builder(empty)
    if count:
        build.add("one", build.near(build.direction(), count))
    explorer = empty.explorer
    overview = explorer.overview("visual").wait(TIMEOUT)
    assert len(overview.segments) == len(overview.points) == count
    assert len(explorer.outliers("visual").wait(TIMEOUT)) <= count
    assert explorer.duplicates("visual").wait(TIMEOUT).runs == ()
    assert explorer.coverage().wait(TIMEOUT).total.segments == count
    names = explorer.words(overview).wait(TIMEOUT)
    assert len(names) == len(overview.clusters)
    topics = overview.clusters
    lines = explorer.trend(topics, option="visual", overview=overview).wait(TIMEOUT)
    assert [line.segments for line in lines] == [cluster.size for cluster in topics]


def test_segments_that_are_all_equal_are_one_cluster(empty: Library) -> None:
    build = Builder(empty)
    same = build.direction()
    for name in ("one", "two"):
        build.add(name, [same] * 30)
    overview = empty.explorer.overview("visual").wait(TIMEOUT)
    assert [cluster.size for cluster in overview.clusters] == [60]
    assert overview.silhouette is None
    assert np.isfinite(overview.points).all()
    (run,) = empty.explorer.duplicates("visual").wait(TIMEOUT).runs
    assert run.whole


def test_the_odd_segment_comes_first(shared: Library) -> None:
    outliers = shared.explorer.outliers("visual").wait(TIMEOUT)
    assert outliers[0].segment.id == "film4:visual:28000"
    assert outliers[0].video.title == "film4"
    scores = [outlier.score for outlier in outliers]
    assert scores == sorted(scores, reverse=True)
    of_video = shared.explorer.outliers("visual", video_id="film4").wait(TIMEOUT)
    assert of_video[0].segment.id == "film4:visual:28000"
    assert {outlier.video.id for outlier in of_video} == {"film4"}


def test_a_copy_is_found_with_a_suggestion_which_one_to_keep(shared: Library) -> None:
    found = shared.explorer.duplicates("visual").wait(TIMEOUT)
    (run,) = found.runs
    assert not found.more
    assert {run.first.video.id, run.second.video.id} == {"film0", "copy"}
    for stretch in (run.first, run.second):
        assert (stretch.start_offset_sec, stretch.end_offset_sec) == (0.0, 80.0)
    assert run.whole
    kept = run.first if run.keep == "first" else run.second
    assert kept.video.id == "copy"
    assert run.reason == "Its picture has 720 lines, the other's 360."


def test_a_cluster_over_time_and_along_the_videos(shared: Library) -> None:
    overview = shared.explorer.overview("visual").wait(TIMEOUT)
    (line,) = shared.explorer.trend(
        overview.clusters[:1], option="visual", overview=overview, by=Period.WEEK
    ).wait(TIMEOUT)
    assert (line.name, line.min_score) == ("Cluster 1", None)
    shares = {point.start: point.share for point in line.over_time.points if point.total_sec}
    assert list(shares.values()) == [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert line.along == pytest.approx([60 / 140] * 20)
    assert line.matched_sec == 60 * SEGMENT_SEC
    assert line.total_sec == 140 * SEGMENT_SEC


def test_a_recipe_over_the_dates_of_recording(shared: Library) -> None:
    recipe = Recipe((Part.segment("film1:visual:0"),))
    (line,) = shared.explorer.trend(
        [recipe], option="visual", by=Period.DAY, dates="recorded"
    ).wait(TIMEOUT)
    assert line.min_score is not None
    assert {point.start.isoformat() for point in line.over_time.points} == {
        "2026-01-03",
        "2026-01-04",
        "2026-01-05",
    }
    by_day = {point.start.isoformat(): point.share for point in line.over_time.points}
    assert by_day["2026-01-04"] > 0.5
    assert by_day["2026-01-03"] == by_day["2026-01-05"] == 0.0
    # film4 shows the same, but nobody knows when it was recorded.
    assert line.segments > 20


def test_what_matches_may_be_set(shared: Library) -> None:
    recipe = Recipe((Part.segment("film1:visual:0"),))
    ask = shared.explorer.trend
    (all_of_it,) = ask([recipe], option="visual", min_score=-1.0).wait(TIMEOUT)
    (itself,) = ask([recipe], option="visual", min_score=0.999).wait(TIMEOUT)
    assert (all_of_it.segments, itself.segments) == (140, 1)


def test_a_trend_of_one_after_another_is_refused(shared: Library) -> None:
    with pytest.raises(RecipeError, match="one thing"):
        shared.explorer.trend([Recipe.parse("a dog then a cat")], option="visual").wait(TIMEOUT)


def test_too_few_segments_to_tell_a_match_from_chance_is_said(empty: Library) -> None:
    build = Builder(empty)
    build.add("one", build.near(build.direction(), 5))
    with pytest.raises(SeekpointError, match="too few segments") as raised:
        empty.explorer.trend([Recipe.parse("a dog")], option="visual").wait(TIMEOUT)
    assert "score" in raised.value.hint


def test_points_are_scored_for_a_question(shared: Library) -> None:
    overview = shared.explorer.overview("visual").wait(TIMEOUT)
    recipe = Recipe((Part.segment("film2:visual:40000"),))
    scores = shared.explorer.scores(recipe, overview)
    best = overview.segments[overview.shown[int(np.argmax(scores))]]
    assert best.id == "film2:visual:40000"
    assert scores.max() == pytest.approx(1.0, abs=1e-5)


def test_clusters_are_named_with_words_that_stand_out(empty: Library) -> None:
    build = Builder(empty)
    for name, word in (("one", "a horse"), ("two", "a train"), ("three", "the sea")):
        build.add(name, build.near(empty.embedder.embed_text(word), 20, noise=0.5))
    explorer = empty.explorer
    overview = explorer.overview("visual").wait(TIMEOUT)
    names = explorer.words(overview).wait(TIMEOUT)
    of_film = {overview.clusters[place].videos[0][0]: words for place, words in enumerate(names)}
    assert "a horse" in of_film["one"]
    assert "a train" in of_film["two"]
    assert "the sea" in of_film["three"]
    assert explorer.words_price() == 0.0


def test_the_vocabulary_is_kept_and_may_be_reset(empty: Library) -> None:
    explorer = empty.explorer
    assert explorer.vocabulary == WORDS
    explorer.set_vocabulary(["  a   horse ", "", "a train", "a horse"])
    assert explorer.vocabulary == ("a horse", "a train")
    explorer.set_vocabulary([])
    assert explorer.vocabulary == WORDS


def test_a_vocabulary_of_5000_words_is_taken_and_one_more_is_refused(empty: Library) -> None:
    words = [f"word {number}" for number in range(MAX_WORDS + 1)]
    with pytest.raises(RecipeError, match="5,001 words are too many"):
        empty.explorer.set_vocabulary(words)
    assert empty.explorer.vocabulary == WORDS
    empty.explorer.set_vocabulary(words[:-1])
    assert len(empty.explorer.vocabulary) == MAX_WORDS


def test_coverage_counts_what_there_is(shared: Library) -> None:
    coverage = shared.explorer.coverage().wait(TIMEOUT)
    assert (coverage.total.videos, coverage.total.segments) == (8, 143)
    assert {row.name: row.segments for row in coverage.options} == {"visual": 140, "audio": 3}
    assert {row.name: row.videos for row in coverage.categories} == {"even": 3, "odd": 3, "": 2}
    assert [row.name for row in coverage.months] == ["2026-01", "2026-02", "2026-03"]
    assert [row.name for row in coverage.models] == ["made"]
    assert coverage.storage["Records"] > 0


def test_what_searches_have_shown_is_remembered(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, embedder="local")
    with open_library(settings) as library:
        build = Builder(library)
        for name in ("one", "two"):
            build.add(name, build.near(build.direction(), 3))
        assert library.explorer.coverage().wait(TIMEOUT).counted_since is None
        library.search(Recipe((Part.segment("one:visual:0"),)), limit=1)
    with open_library(settings) as library:
        coverage = library.explorer.coverage().wait(TIMEOUT)
    assert [video.id for video in coverage.never_returned] == ["two"]
    assert coverage.counted_since is not None


def test_picked_segments_are_an_answer_that_can_be_exported(shared: Library) -> None:
    ids = ["film1:visual:0", "film1:visual:4000", "film4:visual:28000"]
    answer = shared.explorer.answer(ids)
    assert [hit.segment.id for hit in answer.hits] == ids
    assert len(answer.moments) == 3
    (part,) = answer.recipe.parts
    assert part.source in ids
    csv = shared.export(shared.findings(answer), "csv").decode("utf-8-sig")
    assert len(csv.splitlines()) == 4


def test_picked_segments_may_be_merged_best_first(shared: Library) -> None:
    ids = ["film3:visual:0", "film0:visual:4000", "film0:visual:0"]
    answer = shared.explorer.answer(ids, like="film0:visual:0", merged=True)
    assert answer.hits[0].segment.id == "film0:visual:0"
    assert answer.hits[0].score == pytest.approx(1.0, abs=1e-5)
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)


def test_segments_that_are_gone_are_left_out_of_an_answer(shared: Library) -> None:
    answer = shared.explorer.answer(["film1:visual:0", "gone:visual:0"])
    assert [hit.segment.id for hit in answer.hits] == ["film1:visual:0"]
    with pytest.raises(RecipeError, match="no longer in the library"):
        shared.explorer.answer(["gone:visual:0"])


def test_two_answers_are_compared(shared: Library) -> None:
    left = shared.search(Recipe((Part.segment("film1:visual:0"),)))
    right = shared.search(Recipe((Part.segment("film2:visual:0"),)))
    same = shared.explorer.compare(left, left, k=5)
    assert (same.k, same.overlap, same.rbo) == (5, 1.0, pytest.approx(1.0))
    other = shared.explorer.compare(left, right, k=5)
    assert other.overlap < 1.0
