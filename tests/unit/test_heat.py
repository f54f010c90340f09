from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core import Filters, Library, Part, Recipe, Segment, Settings, Video, open_library
from core.heat import MOST_BYTES, HeatStrips
from core.models import EmbeddedSegment, Vector
from core.state import StoredVideo

ADDED = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = ("visual", "audio")
SEGMENTS = 50


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """One video "film", which is seen and heard; an embedder with several options, never asked."""
    settings = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key="none",
        data_dir=tmp_path_factory.mktemp("data"),
    )
    with open_library(settings) as opened:
        add(opened, "film", seed=1)
        yield opened


def add(library: Library, video_id: str, *, seed: int) -> None:
    """Stores vectors that no video was decoded for, the way a job does."""
    random = np.random.default_rng(seed)
    embedded = [
        EmbeddedSegment(4.0 * n, 4.0 * n + 4, option, unit(random.normal(size=512)))
        for option in OPTIONS
        for n in range(SEGMENTS)
    ]
    kept = library._store.upsert(video_id, "", ADDED, embedded)
    library._shelf.put(StoredVideo(video(video_id), None, tuple(kept)))


def video(video_id: str) -> Video:
    return Video(video_id, video_id, f"file:///{video_id}.mp4", 200, "", "m", 1, ADDED)


def unit(vector: np.ndarray) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def like(*numbers: int, weight: float = -0.5) -> Recipe:
    """What resembles these segments of the film; from the second on with a weight."""
    parts = [Part.segment(f"film:visual:{4000 * n}") for n in numbers]
    return Recipe((parts[0], *(replace(part, weight=weight) for part in parts[1:])))


def brute_force(library: Library, recipe: Recipe) -> dict[float, dict[str, float]]:
    """By start of segment and option, the weighted sum of cosines."""
    segments = library.segments("film")
    vectors = library._store.vectors([segment.id for segment in segments])
    total = sum(abs(part.weight) for part in recipe.parts)
    found: dict[float, dict[str, float]] = {}
    for segment in segments:
        found.setdefault(segment.start_offset_sec, {})[segment.embedding_option] = sum(
            part.weight / total * float(vectors[segment.id] @ vectors[str(part.source)])
            for part in recipe.parts
        )
    return found


@pytest.mark.parametrize("recipe", [like(3), like(3, 17), like(1, 2, 3, weight=0.7)])
def test_heat_is_every_segments_score_in_each_option(library: Library, recipe: Recipe) -> None:
    expected = brute_force(library, recipe)
    for strip in (library.heat(recipe, "film"), library.heat(recipe, "film")):
        assert [heat.start_offset_sec for heat in strip] == sorted(expected)
        for heat in strip:
            assert heat.end_offset_sec == heat.start_offset_sec + 4
            assert heat.scores_by_option == pytest.approx(expected[heat.start_offset_sec], abs=1e-5)
            assert heat.score == max(heat.scores_by_option.values())


def test_heat_and_search_give_a_segment_the_same_score(library: Library) -> None:
    weighed = Filters(option_weights=(("visual", 0.5), ("audio", 1.5)))
    for filters in (Filters(), weighed):
        strip = {h.start_offset_sec: h for h in library.heat(like(3, 17), "film", filters=filters)}
        for hit in library.search(like(3, 17), filters=filters, limit=200).hits:
            heat = strip[hit.segment.start_offset_sec]
            assert heat.scores_by_option == pytest.approx(dict(hit.scores_by_option), abs=1e-5)


def test_options_narrow_a_strip_and_other_filters_do_not(library: Library) -> None:
    only = library.heat(like(3), "film", filters=Filters(options=("audio",)))
    assert {tuple(heat.scores_by_option) for heat in only} == {("audio",)}
    without = library.heat(like(3), "film", filters=Filters(option_weights=(("visual", 0),)))
    assert without == only
    narrow = Filters(video_ids=("another",), min_score=0.99, start=40, end=44)
    assert library.heat(like(3), "film", filters=narrow) == library.heat(like(3), "film")


def test_of_one_thing_after_another_the_heat_is_that_of_the_first(library: Library) -> None:
    assert library.heat(replace(like(3), then=like(9)), "film") == library.heat(like(3), "film")


def test_a_video_that_was_embedded_again_has_its_new_scores(library: Library) -> None:
    add(library, "second", seed=2)
    before = library.heat(like(3), "second")
    add(library, "second", seed=3)
    after = library.heat(like(3), "second")
    assert len(before) == len(after) == SEGMENTS
    assert before != after
    library.remove("second")
    assert library.heat(like(3), "second") == []


def test_vectors_are_read_once_while_there_is_room() -> None:
    reads: list[str] = []
    rows, dimension = 100, 2048

    def read(ids: object) -> dict[str, Vector]:
        keys = list(ids)  # type: ignore[call-overload]
        reads.append(keys[0].split(":")[0])
        return {key: np.ones(dimension, np.float32) for key in keys}

    def stored(video_id: str) -> StoredVideo:
        segments = (Segment(f"{video_id}:visual:{n}", video_id, n, n + 1) for n in range(rows))
        return StoredVideo(video(video_id), None, tuple(segments))

    strips, direction = HeatStrips(read), np.ones(dimension, np.float32)
    room = MOST_BYTES // (rows * dimension * 4)
    videos = [stored(f"v{n}") for n in range(room + 1)]
    for each in [*videos[:room], *videos[:room]]:
        assert len(strips.of(each, direction, {"visual": 1.0})) == rows
    assert len(reads) == room
    strips.of(videos[room], direction, {"visual": 1.0})
    strips.of(videos[1], direction, {"visual": 1.0})
    strips.of(videos[0], direction, {"visual": 1.0})
    assert reads[room:] == [f"v{room}", "v0"]


def test_what_the_store_lost_is_left_out_and_looked_for_again(tmp_path: Path) -> None:
    settings = Settings(embedder="twelvelabs", twelvelabs_api_key="none", data_dir=tmp_path)
    with open_library(settings) as library:
        add(library, "film", seed=1)
        kept = "film:audio:16000"
        lost = [segment.id for segment in library.segments("film") if segment.id != kept]
        library._store.delete(lost)
        recipe = Recipe((Part.segment(kept),))
        (left,) = library.heat(recipe, "film")
        assert left.start_offset_sec == 16
        assert list(left.scores_by_option) == ["audio"]
        add(library, "film", seed=1)
        assert len(library.heat(recipe, "film")) == SEGMENTS
