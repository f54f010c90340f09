"""A made library whose structure is known: what Explore says of it can be checked.

A video is a stream of pictures, two a second, cut into scenes; a segment is the mean of its
pictures, seen through noise. Pictures of a scene share its topic, those of a video its look, and
they drift, so that neighbours are alike. A copy is pasted as pictures, at a second that suits the
segments of neither video, so its segments are mixtures of those that they were taken from.

Cosines come out as of real embeddings: about 0.55 within a topic, 0.67 when the video is the same,
0.82 between neighbours, 0.95 in the middle of a copy, and from 0 to 0.25 between topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIMENSION = 512
VIDEOS, TOPICS, OUTLIERS, COPIES = 60, 8, 5, 12
WEEKS = 26
FIRST_MONDAY = date(2026, 1, 5)
PICTURE_SEC = 0.5
SEGMENT_SECS = (4.0, 5.0, 6.0)
SEGMENTS_OF_VIDEO = (50, 80)
SEGMENTS_OF_SCENE = (4, 12)
COPY_SEC = (25.0, 70.0)
# The rising topic's share of a video: before it rises, at the onset, and in the last week.
SHARES = (0.05, 0.25, 0.45)

# Squares of the strengths of what a picture is made of; they add up to 1.
_COMMON, _TOPIC, _LOOK, _DRIFT = 0.10, 0.40, 0.10, 0.40
# Topics lie in a space of so many dimensions, where some are close to each other.
_TOPIC_SPACE = 40
# A scene shows its topic so many times as strongly.
_SHOWS = (0.75, 1.25)
# How much of the drift is left after a second.
_KEPT_PER_SEC = 0.8
# Length of the noise of a segment, for a vector of length 1: a new encoding looks a little different.
_NOISE = 0.15


@dataclass(frozen=True, slots=True)
class Copy:
    """A stretch of one video that is in another one again.

    Rows count when their middle lies inside it. What is at second t of the first video is at
    t + `offset` in the second.
    """

    first: range
    second: range
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A library of n segments, sorted by video, then start.

    `vectors` (n, 512) have unit length; `videos`, `starts` and `ends` (seconds) are by row, as are
    `topics`, -1 for `outliers`, which are rows. `dates` are by video. From the week of `onset`, a
    Monday, the topic `rising` has a larger share, which goes on to grow.
    """

    vectors: Floats
    videos: NDArray[np.int32]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    topics: NDArray[np.int32]
    outliers: NDArray[np.int64]
    copies: tuple[Copy, ...]
    dates: tuple[datetime, ...]
    rising: int
    onset: date


@dataclass(frozen=True, slots=True, eq=False)
class _Film:
    """A video before it is cut into segments: `pictures` (p, 512) and their `topics` (p,)."""

    pictures: Floats
    topics: NDArray[np.int32]
    segment_sec: float

    @property
    def seconds(self) -> float:
        return len(self.pictures) * PICTURE_SEC

    @property
    def segments(self) -> int:
        return round(self.seconds / self.segment_sec)


def planted(seed: int) -> Planted:
    """The library of this seed; the same seed gives the same library."""
    random = np.random.default_rng(seed)
    weeks = np.sort(random.permutation(np.arange(VIDEOS) % WEEKS))
    onset = int(random.integers(8, WEEKS - 8))
    rising = int(random.integers(TOPICS))
    films = _films(random, rising, _shares(random, weeks, onset))
    spans = _paste_copies(random, films)
    counts = [film.segments for film in films]
    videos = np.repeat(np.arange(VIDEOS, dtype=np.int32), counts)
    starts = np.concatenate([np.arange(film.segments) * film.segment_sec for film in films])
    ends = starts + np.repeat([film.segment_sec for film in films], counts)
    vectors = _seen(random, np.concatenate([_means(film) for film in films]))
    topics = np.concatenate([_topics(film) for film in films])
    copies = tuple(_copy(span, videos, (starts + ends) / 2) for span in spans)
    outliers = _plant_outliers(random, vectors, topics, copies)
    return Planted(
        vectors=vectors,
        videos=videos,
        starts=starts,
        ends=ends,
        topics=topics,
        outliers=outliers,
        copies=copies,
        dates=tuple(_date(random, int(week)) for week in weeks),
        rising=rising,
        onset=FIRST_MONDAY + timedelta(weeks=onset),
    )


def _shares(random: np.random.Generator, weeks: NDArray[np.int64], onset: int) -> Floats:
    """The rising topic's share of each video."""
    before, first, last = SHARES
    growth = (weeks - onset) / (WEEKS - 1 - onset)
    shares = np.where(weeks < onset, before, first + (last - first) * growth)
    return _floats(np.clip(shares + random.uniform(-0.04, 0.04, VIDEOS), 0, 1))


def _date(random: np.random.Generator, week: int) -> datetime:
    monday = datetime.combine(FIRST_MONDAY, datetime.min.time(), UTC)
    return monday + timedelta(weeks=week, minutes=int(random.integers(7 * 24 * 60)))


# --- pictures -------------------------------------------------------------------------------------


def _films(random: np.random.Generator, rising: int, shares: Floats) -> list[_Film]:
    common = _directions(random, 1)[0]
    space = random.normal(size=(_TOPIC_SPACE, DIMENSION))
    topics = _unit(random.normal(size=(TOPICS, _TOPIC_SPACE)) @ space)
    others = [topic for topic in range(TOPICS) if topic != rising]
    sizes = 1 / np.arange(3, 3 + len(others))
    films = []
    for share in shares:
        segment_sec = float(random.choice(SEGMENT_SECS))
        count = int(random.integers(*SEGMENTS_OF_VIDEO))
        of_segment = _scenes(random, count, others, sizes / sizes.sum(), rising, float(share))
        of_picture = np.repeat(of_segment, round(segment_sec / PICTURE_SEC))
        scene = np.cumsum(np.diff(of_picture, prepend=of_picture[0]) != 0)
        shows = random.uniform(*_SHOWS, size=scene[-1] + 1)[scene]
        look = _directions(random, 1)[0]
        pictures = (
            np.sqrt(_COMMON) * common
            + np.sqrt(_TOPIC) * shows[:, None] * topics[of_picture]
            + np.sqrt(_LOOK) * look
            + np.sqrt(_DRIFT) * _drift(random, len(of_picture))
        )
        films.append(_Film(_floats(pictures), of_picture, segment_sec))
    return films


def _scenes(
    random: np.random.Generator,
    count: int,
    others: list[int],
    sizes: NDArray[np.float64],
    rising: int,
    share: float,
) -> NDArray[np.int32]:
    """A topic for each segment: scenes of the others, and one of the rising topic among them."""
    rises = round(share * count)
    topics: list[int] = []
    while len(topics) < count - rises:
        length = int(random.integers(*SEGMENTS_OF_SCENE))
        topics += [int(random.choice(others, p=sizes))] * length
    place = int(random.integers(count - rises + 1))
    rest = topics[: count - rises]
    return np.array(rest[:place] + [rising] * rises + rest[place:], dtype=np.int32)


def _drift(random: np.random.Generator, count: int) -> Floats:
    """Directions that change slowly from picture to picture."""
    kept = _KEPT_PER_SEC**PICTURE_SEC
    steps = _directions(random, count)
    steps[1:] *= np.sqrt(1 - kept**2)
    for n in range(1, count):
        steps[n] += kept * steps[n - 1]
    return steps


def _paste_copies(
    random: np.random.Generator, films: list[_Film]
) -> list[tuple[int, int, float, float, float]]:
    """Pastes a stretch of one film over a stretch of another, no film twice; tells both numbers, the
    lower one first, both starts, and the length in seconds."""
    spans = []
    for first, second in np.sort(random.permutation(VIDEOS)[: 2 * COPIES].reshape(-1, 2)):
        source, target = films[first], films[second]
        count = int(random.uniform(*COPY_SEC) / PICTURE_SEC)
        begin = int(random.integers(len(source.pictures) - count))
        place = int(random.integers(len(target.pictures) - count))
        target.pictures[place : place + count] = source.pictures[begin : begin + count]
        target.topics[place : place + count] = source.topics[begin : begin + count]
        times = (begin * PICTURE_SEC, place * PICTURE_SEC, count * PICTURE_SEC)
        spans.append((int(first), int(second), *times))
    return spans


# --- segments -------------------------------------------------------------------------------------


def _means(film: _Film) -> Floats:
    return _floats(film.pictures.reshape(film.segments, -1, DIMENSION).mean(axis=1))


def _topics(film: _Film) -> NDArray[np.int32]:
    """That of most pictures of each segment."""
    of_segment = film.topics.reshape(film.segments, -1)
    counts = (of_segment[..., None] == np.arange(TOPICS)).sum(axis=1)
    return np.asarray(counts.argmax(axis=1), dtype=np.int32)


def _seen(random: np.random.Generator, vectors: Floats) -> Floats:
    return _unit(_unit(vectors) + _NOISE * _directions(random, len(vectors)))


def _copy(
    span: tuple[int, int, float, float, float],
    videos: NDArray[np.int32],
    middles: NDArray[np.float64],
) -> Copy:
    first, second, begin, place, seconds = span
    return Copy(
        first=_rows((videos == first) & (begin <= middles) & (middles < begin + seconds)),
        second=_rows((videos == second) & (place <= middles) & (middles < place + seconds)),
        offset=place - begin,
    )


def _rows(inside: NDArray[np.bool_]) -> range:
    rows = np.flatnonzero(inside)
    return range(int(rows[0]), int(rows[-1]) + 1)


def _plant_outliers(
    random: np.random.Generator,
    vectors: Floats,
    topics: NDArray[np.int32],
    copies: tuple[Copy, ...],
) -> NDArray[np.int64]:
    """Turns a few segments, none of them copied, away from everything; says which."""
    copied = [row for copy in copies for rows in (copy.first, copy.second) for row in rows]
    free = np.setdiff1d(np.arange(len(vectors)), copied)
    outliers = np.sort(random.choice(free, size=OUTLIERS, replace=False))
    common = _unit(vectors.mean(axis=0))
    vectors[outliers] = _unit(np.sqrt(_COMMON) * common + _directions(random, OUTLIERS))
    topics[outliers] = -1
    return outliers


def _directions(random: np.random.Generator, count: int) -> Floats:
    return _unit(random.normal(size=(count, DIMENSION)))


def _unit(vectors: NDArray[np.floating]) -> Floats:
    return _floats(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _floats(values: NDArray[np.floating]) -> Floats:
    return np.asarray(values, dtype=np.float32)
