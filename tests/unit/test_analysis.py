from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_info

from benchmarks.planted import Planted, planted
from core import analysis
from core.analysis import Clustering, cluster, label, outliers, project
from core.errors import JobCancelled

DIMENSION = 64


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def scattered(count: int, *, seed: int = 1) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)))


def topics(sizes: tuple[int, ...], *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors about one direction for each size, in no order, and the topic of each."""
    random = np.random.default_rng(seed)
    of = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return unit(scattered(len(sizes), seed=seed)[of] + 0.6 * scattered(len(of), seed=seed + 1)), of


def odd(name: str) -> np.ndarray:
    """What a library may be that nobody thinks of."""
    one, few = scattered(1), scattered(3)
    return {
        "nothing": np.zeros((0, DIMENSION), np.float32),
        "one row": one,
        "two rows": scattered(2),
        "all rows equal": np.repeat(one, 300, axis=0),
        "all rows equal but for rounding": unit(
            np.repeat(one, 300, axis=0) + 1e-7 * scattered(300)
        ),
        "three different rows, many times": np.repeat(few, 100, axis=0),
        "opposites": np.concatenate([np.repeat(one, 30, axis=0), np.repeat(-one, 30, axis=0)]),
    }[name]


ODD = (
    *("nothing", "one row", "two rows", "all rows equal", "all rows equal but for rounding"),
    *("three different rows, many times", "opposites"),
)


@pytest.fixture(scope="module")
def library() -> Planted:
    return planted(3)


# --- map ------------------------------------------------------------------------------------------


def neighbours_of_the_same_topic(points: np.ndarray, of: np.ndarray) -> float:
    """The share of the points whose nearest one has their topic."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((of[apart.argmin(axis=1)] == of).mean())


def test_what_is_alike_stands_together_on_the_map() -> None:
    vectors, of = topics((150, 100, 50))
    projection = project(vectors)
    assert projection.rows.tolist() == list(range(300))
    assert neighbours_of_the_same_topic(projection.points, of) > 0.99


def test_a_map_is_centred_and_its_larger_spread_goes_from_minus_one_to_one() -> None:
    points = project(scattered(40)).points
    assert points.dtype == np.float32
    low, high = points.min(axis=0), points.max(axis=0)
    assert low + high == pytest.approx([0, 0], abs=1e-6)
    assert (high - low).max() == pytest.approx(2)


def test_above_so_many_rows_a_map_shows_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MAP_ROWS", 200)
    vectors, of = topics((500, 500))
    projection = project(vectors)
    assert len(projection.rows) == len(projection.points) == 200
    assert (np.diff(projection.rows) > 0).all()
    assert 60 < of[projection.rows].sum() < 140
    assert neighbours_of_the_same_topic(projection.points, of[projection.rows]) > 0.99


def test_rows_that_are_not_laid_out_stand_beside_what_they_are_like_and_cover_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(analysis, "LANDMARKS", 100)
    vectors, of = topics((500, 300, 200))
    points = project(vectors).points
    assert neighbours_of_the_same_topic(points, of) > 0.99
    assert len(np.unique(points, axis=0)) == 1000


def test_a_row_far_from_everything_is_laid_out_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "LANDMARKS", 100)
    vectors, _ = topics((500, 499))
    away = unit(-vectors.mean(axis=0, keepdims=True))
    points = project(np.concatenate([vectors, away])).points
    nearest = np.linalg.norm(points[:-1] - points[-1], axis=1).min()
    usual = np.linalg.norm(points[1:-1] - points[0], axis=1).min()
    assert nearest > 3 * usual


def test_equal_rows_share_a_place() -> None:
    vectors = scattered(40)
    points = project(np.concatenate([vectors, vectors[:10]])).points
    assert points[40:].tolist() == points[:10].tolist()
    assert len(np.unique(points, axis=0)) == 40


SAME_AGAIN = """
import hashlib, sys
import numpy as np
from core import analysis
analysis.LANDMARKS = 150
vectors = np.load(sys.argv[1])
found = analysis.project(vectors), analysis.cluster(vectors)
told = found[0].points.tobytes() + found[1].labels.tobytes() + found[1].centres.tobytes()
print(hashlib.sha256(told).hexdigest())
"""


def test_the_same_vectors_give_the_same_bytes_in_another_process_with_other_threads(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "LANDMARKS", 150)
    vectors, _ = topics((200, 150, 50))
    np.save(tmp_path / "vectors.npy", vectors)
    told = subprocess.run(
        [sys.executable, "-c", SAME_AGAIN, str(tmp_path / "vectors.npy")],
        cwd=project,
        env={**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    found = analysis.project(vectors), cluster(vectors)
    here = found[0].points.tobytes() + found[1].labels.tobytes() + found[1].centres.tobytes()
    assert hashlib.sha256(here).hexdigest() == told


# --- clusters -------------------------------------------------------------------------------------


def test_the_planted_clusters_are_found_and_outliers_get_none_of_their_own(
    library: Planted,
) -> None:
    found = cluster(library.vectors)
    inside = library.topics >= 0
    assert len(found.centres) == 8
    assert adjusted_rand_score(library.topics[inside], found.labels[inside]) >= 0.95


def test_clusters_that_are_close_are_told_apart_in_spite_of_noise() -> None:
    directions = scattered(6)
    directions[5] = unit(directions[5] + 0.6 * directions[4])
    of = np.repeat(np.arange(6), 40)
    found = cluster(unit(directions[of] + 0.9 * scattered(240, seed=10)))
    assert len(found.centres) == 6
    assert adjusted_rand_score(of, found.labels) >= 0.95


def test_a_clustering_is_what_it_says() -> None:
    vectors, of = topics((120, 60, 30))
    found = cluster(vectors)
    assert np.bincount(found.labels).tolist() == [120, 60, 30]
    assert adjusted_rand_score(of, found.labels) == 1
    assert found.silhouette is not None
    assert 0.5 < found.silhouette <= 1
    for number, centre in enumerate(found.centres):
        rows = np.flatnonzero(found.labels == number)
        assert centre == pytest.approx(unit(vectors[rows].mean(axis=0)), abs=1e-5)
        likeness = vectors[rows] @ centre
        assert found.representatives[number] == rows[likeness.argmax()]
        assert found.spreads[number] == pytest.approx(1 - likeness.mean(), abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_the_number_of_clusters_is_the_one_asked_for(count: int) -> None:
    vectors, _ = topics((120, 60, 30))
    found = cluster(vectors, count=count)
    assert sorted(set(found.labels.tolist())) == list(range(count))
    assert (found.silhouette is None) == (count == 1)


def test_there_are_no_more_clusters_than_different_rows() -> None:
    vectors = odd("three different rows, many times")
    assert len(cluster(vectors, count=10).centres) == 3
    assert len(cluster(scattered(4), count=10).centres) == 4


@pytest.mark.parametrize("same", ["all rows equal", "all rows equal but for rounding"])
def test_equal_rows_are_one_cluster(same: str) -> None:
    found = cluster(odd(same))
    assert set(found.labels.tolist()) == {0}
    assert found.silhouette is None
    assert found.spreads.tolist() == pytest.approx([0], abs=1e-6)


# --- outliers -------------------------------------------------------------------------------------


def by_comparing_all(vectors: np.ndarray) -> np.ndarray:
    """The score of every row."""
    apart = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(apart, np.inf)
    return np.sort(apart, axis=1)[:, : min(5, len(vectors) - 1)].mean(axis=1)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    alone=st.integers(0, 8),
    twice=st.integers(0, 10),
    limit=st.integers(1, 60),
)
def test_the_outliers_are_those_that_comparing_all_with_all_would_give(
    seed: int, sizes: list[int], alone: int, twice: int, limit: int
) -> None:
    vectors, _ = topics(tuple(sizes), seed=seed)
    vectors = np.concatenate([vectors, vectors[:twice], scattered(alone + 1, seed=seed + 2)])
    with pytest.MonkeyPatch.context() as patch:
        # So that few rows are compared in as many pieces as a hundred thousand.
        for name, rows in (("_CELL_ROWS", 16), ("_BLOCK_ROWS", 8), ("_PART_ROWS", 12)):
            patch.setattr(analysis, name, rows)
        rows, scores = outliers(vectors, limit=limit)
    every = by_comparing_all(vectors)
    assert len(set(rows.tolist())) == min(limit, len(vectors))
    assert scores == pytest.approx(np.sort(every)[::-1][:limit], abs=1e-5)
    assert scores == pytest.approx(every[rows], abs=1e-5)
    assert (np.diff(scores) <= 0).all()


def test_planted_outliers_come_first(library: Planted) -> None:
    rows, scores = outliers(library.vectors)
    assert set(rows[:5].tolist()) == set(library.outliers.tolist())
    assert scores[4] > 1.5 * scores[5]


def test_a_row_alone_is_no_outlier() -> None:
    rows, scores = outliers(scattered(1))
    assert (len(rows), len(scores)) == (0, 0)


# --- words ----------------------------------------------------------------------------------------


def test_a_cluster_is_named_by_the_words_that_stand_out_for_it() -> None:
    sea, city, everything = np.eye(3, 4, dtype=np.float32)
    centres = unit(np.stack([sea + 2 * everything, city + 2 * everything]))
    words = unit(np.stack([everything, sea + everything, 0.5 * city + everything, city]))
    names = label(centres, ["a picture", "the sea", "a street", "a city"], words)
    assert names == [("the sea",), ("a city", "a street")]
    assert label(centres, ["a picture", "the sea", "a street", "a city"], words, each=1) == [
        ("the sea",),
        ("a city",),
    ]


def test_a_cluster_alone_is_named_by_the_words_nearest_to_it() -> None:
    words = np.eye(3, 4, dtype=np.float32)
    centre = unit(np.array([[1, 0, 2, 0]]))
    assert label(centre, ["the sea", "a city", "a picture"], words) == [("a picture", "the sea")]


def test_without_words_clusters_have_no_names() -> None:
    assert label(scattered(2), [], np.zeros((0, DIMENSION), np.float32)) == [(), ()]


# --- anything -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_an_odd_library_gives_an_answer_without_a_warning(name: str) -> None:
    vectors = odd(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = project(vectors).points
        found = cluster(vectors)
        asked = cluster(vectors, count=7)
        rows, scores = outliers(vectors)
    assert points.shape == (len(vectors), 2)
    assert np.isfinite(points).all()
    assert np.isfinite(scores).all()
    assert len(rows) == len(scores) <= 50
    for clustering in (found, asked):
        holds_together(clustering, vectors)


def holds_together(found: Clustering, vectors: np.ndarray) -> None:
    count = len(found.centres)
    assert found.labels.shape == (len(vectors),)
    assert set(found.labels.tolist()) == set(range(count))
    assert found.representatives.shape == found.spreads.shape == (count,)
    assert np.linalg.norm(found.centres, axis=1) == pytest.approx(np.ones(count), abs=1e-5)
    assert np.isfinite(found.spreads).all()


ANALYSES: dict[str, Callable[..., object]] = {
    "map": project,
    "clusters": cluster,
    "outliers": outliers,
}


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_tells_how_far_it_is_and_leaves_a_core_to_others(name: str) -> None:
    vectors, _ = topics((100, 100))
    before = threads()
    told: list[float] = []
    used: list[int] = []

    def on_progress(fraction: float) -> None:
        told.append(fraction)
        if fraction < 1:
            used.extend(threads())

    ANALYSES[name](vectors, on_progress=on_progress)
    assert told == sorted(told)
    assert 0 <= told[0] < 1 == told[-1]
    assert set(used) == {1}
    assert threads() == before


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize("name", ANALYSES)
def test_a_cancelled_analysis_ends_and_lets_the_next_one_begin(name: str) -> None:
    def cancel(_fraction: float) -> None:
        raise JobCancelled("Cancelled.")

    vectors, _ = topics((100, 100))
    with pytest.raises(JobCancelled):
        ANALYSES[name](vectors, on_progress=cancel)
    ANALYSES[name](vectors)


def test_an_analysis_that_waits_for_another_one_can_be_cancelled() -> None:
    begun, end = threading.Event(), threading.Event()

    def hold(_fraction: float) -> None:
        begun.set()
        assert end.wait(30)

    def cancel(fraction: float) -> None:
        assert fraction == 0
        raise JobCancelled("Cancelled.")

    vectors, _ = topics((100, 100))
    first = threading.Thread(target=outliers, args=(vectors,), kwargs={"on_progress": hold})
    first.start()
    try:
        assert begun.wait(30)
        with pytest.raises(JobCancelled):
            cluster(vectors, on_progress=cancel)
        assert first.is_alive()
    finally:
        end.set()
        first.join()
