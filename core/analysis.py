"""What a library looks like from afar: a map, clusters, words for them, and what is like nothing else.

Pure functions of unit vectors, float32 (n, d). They give the same bytes for the same vectors, in
another process too: every random choice is seeded, and all sums are added up by one thread. One
thread also leaves a core to the pages, which run in the same process; for the same reason analyses
take turns.

`on_progress` is told the fraction done, 0 to 1, every few seconds, also while an analysis waits for
its turn. What it raises passes through.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OnProgress = Callable[[float], None]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

# Of more rows a map shows a sample.
MAP_ROWS = 20_000
# t-SNE lays out so many, in about five seconds; the others are placed around them.
LANDMARKS = 2000
# Rows around a landmark keep within half the usual distance of so many landmarks from it.
_AROUND = 5
# Turned by it, each next point of a spiral falls where there is most room.
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
# Fewer rows have no neighbourhoods to keep.
_FEW = 16
_PERPLEXITY = 30
# Principal components that distances are taken in.
_COMPONENTS = 50

# More are no overview.
MOST_CLUSTERS = 24
# Clusters have so many rows on average, unless somebody wants more of them.
_ROWS_EACH = 5
_FIT_ROWS = 10_000
_SILHOUETTE_ROWS = 3000
_STARTS = 4
_ROUNDS = 10
# Cosine distances below this are rounding.
_SAME = 1e-5

# An outlier is far from so many nearest neighbours.
NEIGHBOURS = 5
_CELL_ROWS = 1000
_BLOCK_ROWS = 512
_PART_ROWS = 8192

_SEED = 20260105
_TURN = threading.Lock()
_TURN_SEC = 0.2


def ignore(_fraction: float) -> None:
    """Nobody wants to know how far it is."""


# --- map ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A map. `rows` (m,), ascending, are those shown; `points` (m, 2) are where, centred, the larger
    spread from -1 to 1."""

    rows: Rows
    points: Floats


def project(vectors: Floats, *, on_progress: OnProgress = ignore) -> Projection:
    """A map on which near means alike.

    All rows are shown up to MAP_ROWS, a random sample of so many above. Their first 50 principal
    components are laid out by t-SNE (van der Maaten and Hinton 2008; by Barnes and Hut's
    approximation, van der Maaten 2014), perplexity 30, from the first two components (Kobak and
    Berens 2019): 250 steps exaggerated twelvefold, 250 without. Above LANDMARKS rows it lays out
    landmarks (the idea of de Silva and Tenenbaum 2004), random rows and those farthest from them;
    each other row stands beside the landmark nearest to it, in a spiral (Vogel 1979) with the most
    alike inside, so that none covers another. Equal rows share a place. Fewer than 16 different
    rows are shown by their first two components.
    """
    rows = _sample(len(vectors), MAP_ROWS)
    with _turn(on_progress):
        different, places = _different(vectors[rows])
        points = _lay_out(vectors[rows[different]], on_progress)[places]
    on_progress(1.0)
    return Projection(rows, _to_frame(points))


def _lay_out(vectors: Floats, on_progress: OnProgress) -> Floats:
    """A place (n, 2) for each of these vectors, which differ."""
    points = _components(vectors, _COMPONENTS)
    on_progress(0.05)
    if len(points) < _FEW:
        return points[:, :2]
    landmarks = _landmarks(points)
    laid_out = _tsne(points[landmarks], lambda share: on_progress(0.05 + 0.9 * share))
    if len(landmarks) == len(points):
        return laid_out
    return _around(points, landmarks, laid_out)


def _landmarks(points: Floats) -> Rows:
    """Rows that stand for all: mostly random ones, and those that are far from every such."""
    from sklearn.metrics import pairwise_distances_argmin_min

    if len(points) <= LANDMARKS:
        return np.arange(len(points))
    random = _sample(len(points), LANDMARKS - LANDMARKS // 20)
    _, distances = pairwise_distances_argmin_min(points, points[random])
    distances[random] = -1.0
    far = np.argsort(-distances, kind="stable")[: LANDMARKS // 20]
    return np.sort(np.concatenate([random, far]))


def _tsne(points: Floats, on_progress: OnProgress) -> Floats:
    from sklearn.manifold import TSNE

    count = len(points)
    laid_out = points[:, :2].copy()
    laid_out *= 1e-4 / max(float(laid_out[:, 0].std()), 1e-12)
    # Two short runs, the second from where the first one stopped, as one cannot be interrupted. A
    # third one left neighbours as they were: trustworthiness 0.994 and 0.990 after either.
    exaggerations = (12.0, 1.0)
    for done, exaggeration in enumerate(exaggerations):
        laid_out = TSNE(
            init=laid_out,
            perplexity=min(_PERPLEXITY, (count - 1) / 3),
            early_exaggeration=exaggeration,
            learning_rate=max(count / exaggeration / 4, 50),
            max_iter=250,
            random_state=_SEED,
            n_jobs=1,
        ).fit_transform(points)
        on_progress((done + 1) / len(exaggerations))
    return np.asarray(laid_out, dtype=np.float32)


def _around(points: Floats, landmarks: Rows, laid_out: Floats) -> Floats:
    """Places for all points: landmarks where they are laid out, around each those nearest to it."""
    from sklearn.metrics import pairwise_distances_argmin_min
    from sklearn.neighbors import NearestNeighbors

    nearest, distances = pairwise_distances_argmin_min(points, points[landmarks])
    nearest[landmarks], distances[landmarks] = np.arange(len(landmarks)), -1.0
    counts = np.bincount(nearest)
    order = np.lexsort((distances, nearest))
    turn = np.empty(len(points))
    turn[order] = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
    apart, _ = NearestNeighbors(n_neighbors=_AROUND).fit(laid_out).kneighbors()
    reach = np.median(apart.mean(axis=1)) / 2
    angle = turn * _GOLDEN_ANGLE
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    offset = circle * (reach * np.sqrt(turn / counts[nearest]))[:, None]
    return np.asarray(laid_out[nearest] + offset, np.float32)


def _to_frame(points: Floats) -> Floats:
    """Centred, the larger spread from -1 to 1."""
    if not len(points):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    reach = float((high - low).max()) / 2
    return np.asarray((points - (low + high) / 2) / (reach or 1.0), dtype=np.float32)


# --- clusters -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Rows that are alike, in k clusters, the largest first.

    `labels` (n,) are 0 to k-1, `centres` (k, d) of unit length, `representatives` (k,) the rows
    nearest to them, and `spreads` (k,) the mean cosine distances from them. `silhouette`, -1 to 1,
    says how clearly clusters are apart; None for one alone.
    """

    labels: NDArray[np.int32]
    centres: Floats
    representatives: Rows
    spreads: Floats
    silhouette: float | None


def cluster(
    vectors: Floats, *, count: int | None = None, on_progress: OnProgress = ignore
) -> Clustering:
    """Spherical k-means (Dhillon and Modha 2001), into `count` clusters or into the number of the
    largest mean silhouette (Rousseeuw 1987), from 2 to MOST_CLUSTERS, of five
    rows each at least on average.

    Numbers are tried, with four k-means++ starts each (Arthur and Vassilvitskii 2007), on the first
    50 principal components of at most 10,000 rows. The silhouette is that of at most 3000 rows, by
    the cosine distance of these components: without what all rows have in common, and without most
    of the noise, close clusters are told apart. Centres then move among all rows until none changes
    its cluster, ten times at most. Rows that are equal but for rounding are one cluster, and there
    are never more clusters than different rows.
    """
    if not len(vectors):
        none = np.zeros(0, np.int32)
        return Clustering(none, vectors, none.astype(np.int64), none.astype(np.float32), None)
    with _turn(on_progress):
        some = vectors[_sample(len(vectors), _FIT_ROWS)]
        labels, silhouette = _fit(some, count, on_progress)
        centres = _settle(vectors, _centres(some, labels))
        found = _clustering(vectors, centres, silhouette)
    on_progress(1.0)
    return found


def _fit(
    vectors: Floats, count: int | None, on_progress: OnProgress
) -> tuple[NDArray[np.int32], float | None]:
    """A cluster for each row, and the silhouette, of the best number of them."""
    from sklearn.cluster import KMeans

    most = len(_different(vectors)[0])
    whole = np.zeros(len(vectors), dtype=np.int32)
    if most < 2 or count == 1 or (1 - vectors @ _unit(vectors.mean(axis=0))).max() < _SAME:
        return whole, None
    numbers = range(2, min(MOST_CLUSTERS, most, len(vectors) // _ROWS_EACH) + 1)
    if count is not None:
        numbers = range(min(count, most), min(count, most) + 1)
    points = _components(vectors, _COMPONENTS)
    judged = _sample(len(vectors), _SILHOUETTE_ROWS)
    directions = _unit(points[judged])
    apart = _distances(directions, directions)
    np.fill_diagonal(apart, 0.0)
    best, silhouette = whole, None
    for tried, number in enumerate(numbers):
        on_progress(0.1 + 0.85 * tried / len(numbers))
        labels = KMeans(number, n_init=_STARTS, random_state=_SEED).fit(points).labels_
        score = _silhouette(apart, labels[judged])
        if silhouette is None or score > silhouette:
            best, silhouette = labels, score
    return best, silhouette


def _silhouette(distances: Floats, labels: NDArray[np.int32]) -> float:
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(labels)) < len(labels):
        return 0.0  # what it is, by definition, for a row that is alone in its cluster
    return float(silhouette_score(distances, labels, metric="precomputed"))


def _settle(vectors: Floats, centres: Floats) -> Floats:
    """The centres once they have moved among all rows."""
    labels = _nearest(vectors, centres)
    for _ in range(_ROUNDS):
        centres = _centres(vectors, labels)
        moved = _nearest(vectors, centres)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return centres


def _centres(vectors: Floats, labels: NDArray[np.int32]) -> Floats:
    """A centre for each label that has rows."""
    members = labels == np.unique(labels)[:, None]
    return _unit(members.astype(np.float32) @ vectors)


def _nearest(vectors: Floats, centres: Floats) -> NDArray[np.int32]:
    return np.asarray((vectors @ centres.T).argmax(axis=1), dtype=np.int32)


def _clustering(vectors: Floats, centres: Floats, silhouette: float | None) -> Clustering:
    """Each row with its nearest centre, in order of how many rows each centre has."""
    labels = _nearest(vectors, centres)
    order = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    centres, labels = centres[order], np.argsort(order)[labels].astype(np.int32)
    likeness = np.einsum("nd,nd->n", vectors, centres[labels])
    members = [np.flatnonzero(labels == number) for number in range(len(centres))]
    return Clustering(
        labels=labels,
        centres=centres,
        representatives=np.array([rows[likeness[rows].argmax()] for rows in members], np.int64),
        spreads=np.array([max(0.0, 1 - likeness[rows].mean()) for rows in members], np.float32),
        silhouette=silhouette,
    )


# --- outliers -------------------------------------------------------------------------------------


def outliers(
    vectors: Floats, *, limit: int = 50, on_progress: OnProgress = ignore
) -> tuple[Rows, Floats]:
    """The `limit` rows farthest from everything, the farthest first, and their scores: the mean
    cosine distance from the five nearest others (Angiulli and Pizzuti 2002, after Ramaswamy, Rastogi
    and Shim 2000), or from all where there are fewer. A row alone is no outlier.

    They are exactly those that comparing all rows with all would give. The nearest of a thousand
    similar rows bound each score from above; in order of that bound rows are compared with all
    others, a part of them at a time, and dropped once they are too near to some (Bay and Schwabacher
    2003). So the time grows with the square of n only where no row is near to any.
    """
    best, scores = np.zeros(0, np.int64), np.zeros(0, np.float32)
    if len(vectors) < 2 or limit < 1:
        return best, scores
    with _turn(on_progress):
        bounds = _bounds(vectors, on_progress)
        order = np.argsort(-bounds, kind="stable")
        for begin in range(0, len(order), _BLOCK_ROWS):
            on_progress(0.3 + 0.7 * begin / len(order))
            cutoff = scores[-1] if len(scores) == limit else -np.inf
            block = order[begin : begin + _BLOCK_ROWS]
            block = block[bounds[block] > cutoff]
            if not len(block):
                break
            rows, exact = _scores(vectors, block, cutoff)
            best, scores = np.concatenate([best, rows]), np.concatenate([scores, exact])
            top = np.lexsort((best, -scores))[:limit]
            best, scores = best[top], scores[top]
    on_progress(1.0)
    return best, scores


def _bounds(vectors: Floats, on_progress: OnProgress) -> Floats:
    """What each row's score is at most: its score among some that are like it."""
    pieces = -(-len(vectors) // _CELL_ROWS)
    cells = _nearest(vectors, vectors[_sample(len(vectors), pieces)])
    bounds = np.empty(len(vectors), np.float32)
    alike = np.array_split(np.argsort(cells, kind="stable"), pieces)
    for done, rows in enumerate(alike):
        on_progress(0.3 * done / pieces)
        apart = _distances(vectors[rows], vectors[rows])
        np.fill_diagonal(apart, np.inf)
        bounds[rows] = _smallest(apart, min(NEIGHBOURS, len(vectors) - 1)).mean(axis=1)
    return bounds


def _scores(vectors: Floats, rows: Rows, cutoff: float) -> tuple[Rows, Floats]:
    """Those of the rows whose scores are above the cutoff, and these."""
    nearest = np.full((len(rows), min(NEIGHBOURS, len(vectors) - 1)), np.inf, np.float32)
    parts = -(-len(vectors) // _PART_ROWS)
    for part in range(parts):
        apart = _distances(vectors[rows], vectors[part::parts])
        here = np.flatnonzero(rows % parts == part)
        apart[here, rows[here] // parts] = np.inf  # nobody is a neighbour of oneself
        nearest = _smallest(np.hstack([nearest, apart]), nearest.shape[1])
        far = nearest.mean(axis=1) > cutoff
        rows, nearest = rows[far], nearest[far]
    return rows, nearest.mean(axis=1)


def _smallest(values: Floats, count: int) -> Floats:
    return np.partition(values, count - 1, axis=1)[:, :count]


# --- words ----------------------------------------------------------------------------------------


def label(
    centres: Floats, words: Sequence[str], word_vectors: Floats, *, each: int = 3
) -> list[tuple[str, ...]]:
    """For each of the centres (k, d) the words that stand out for it, the best first, `each` at most.

    A word stands out by how much its cosine with the centre is above its mean cosine with all of
    them: texts lie apart from videos, and some words are near to everything, which the difference
    takes away. For one centre alone it is the cosine. `word_vectors` (w, d) are unit vectors.
    """
    likeness = centres @ word_vectors.T
    if len(centres) > 1:
        likeness -= likeness.mean(axis=0)
    best = np.argsort(-likeness, axis=1, kind="stable")[:, :each]
    return [
        tuple(words[place] for place in places if row[place] > 0)
        for places, row in zip(best, likeness, strict=True)
    ]


# --- vectors --------------------------------------------------------------------------------------


@contextmanager
def _turn(on_progress: OnProgress) -> Iterator[None]:
    """Waits for its turn, and then computes with one thread."""
    import sklearn  # noqa: F401  (threads of a library can be limited once it is there)
    from threadpoolctl import threadpool_limits

    while not _TURN.acquire(timeout=_TURN_SEC):
        on_progress(0.0)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        _TURN.release()


def _sample(count: int, most: int) -> Rows:
    """Rows of `count`, ascending: all of them, or as many as `most` at random."""
    if count <= most:
        return np.arange(count)
    random = np.random.default_rng(_SEED)
    return np.sort(random.choice(count, most, replace=False))


def _different(vectors: Floats) -> tuple[Rows, Rows]:
    """Rows that differ, and for each row of `vectors` its place among these."""
    seen: dict[bytes, int] = {}
    places = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in vectors], np.int64)
    return np.unique(places, return_index=True)[1], places


def _components(vectors: Floats, most: int) -> Floats:
    """The vectors by their principal components, the strongest first."""
    from sklearn.decomposition import PCA

    if len(vectors) < 2:
        return np.zeros((len(vectors), most), np.float32)
    analysis = PCA(min(most, *vectors.shape), svd_solver="covariance_eigh")
    return np.asarray(analysis.fit_transform(vectors), np.float32)


def _distances(some: Floats, others: Floats) -> Floats:
    """Cosine distances (n, m)."""
    apart: Floats = some @ others.T
    np.subtract(1.0, apart, out=apart)
    np.maximum(apart, 0.0, out=apart)
    return apart


def _unit(vectors: NDArray[np.floating]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
