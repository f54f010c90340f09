"""The background that scores are held against: a sample of the library's segments, in memory.

Of each embedding_option the SAMPLE_ROWS segments whose ids hash lowest are taken: whatever the
order in which videos came it is the same sample, every segment has the same chance to be in it, and
a video more or less changes it by that video's share.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.models import Filters, Searched, Segment, Vector, Video
from core.recipe import Part
from core.state import StoredVideo

Floats = NDArray[np.float64]

# Rows of an option: were they independent, their median would be known to 3 % of their spread. At
# 1024 dimensions they take 8 MB.
SAMPLE_ROWS = 2000
# Parts of a recipe take their other words this far apart, so that no two take the same.
_STRIDE = 11

# Things that hardly any library shows; those that one does show are taken for outliers.
UNLIKELY = (
    *("a walrus", "an ostrich", "a sloth", "a hippopotamus", "a kangaroo", "a herd of bison"),
    *("a koala", "a rhinoceros", "a scorpion", "a peacock", "a lobster", "a crocodile"),
    *("a beehive", "a sumo wrestler", "two people fencing", "a curling match", "a polo player"),
    *("weightlifting", "a pole vault", "a bobsleigh", "a baseball pitcher", "ice hockey"),
    *("a rodeo", "a ballet dancer", "a blacksmith", "a knight in armour"),
    *("a judge in a courtroom", "a monk praying", "a beekeeper", "a diver with a harpoon"),
    *("a circus clown", "a hairdresser", "a trombone", "an accordion", "a harp", "a typewriter"),
    *("a sewing machine", "an abacus", "an hourglass", "a telescope", "a gramophone", "an anvil"),
    *("a gas mask", "a vacuum cleaner", "an umbrella", "a submarine", "a snowmobile"),
    *("a bulldozer", "a rickshaw", "a tank firing", "a fire engine", "an igloo", "a pyramid"),
    *("an oil rig", "a windmill", "a pagoda", "a vineyard", "a coal mine", "a casino"),
    *("a greenhouse", "sushi", "a pretzel", "waffles with syrup", "a wheel of cheese"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Sampled segments of one option: unit vectors (rows, dimension) and the video of each."""

    vectors: NDArray[np.float32]
    video_ids: NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The rows of each option that has any. `others` is None where no other words are to be had."""

    rows: Mapping[str, Rows]
    others: Others | None = None


@dataclass(frozen=True, slots=True)
class Passing:
    """What passes the filters of a search; `segments` counts them by option."""

    searched: Searched
    segments: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """The segments of one option of one video: ids, their hashes, and times in seconds."""

    ids: Sequence[str]
    hashes: NDArray[np.uint64]
    starts: Floats
    ends: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Outlined:
    stored: StoredVideo
    options: Mapping[str, _Outline]


class Background:
    """The sample of a library. Safe to share between threads.

    `read` gives vectors by segment id; only what is new to the sample is read. `words` gives the
    vectors of UNLIKELY, or none where they would have to be paid for; it is asked once.
    """

    def __init__(
        self,
        read: Callable[[Sequence[str]], Mapping[str, Vector]],
        words: Callable[[], Sequence[Vector]],
    ) -> None:
        self._read = read
        self._ask_words = words
        self._lock = threading.Lock()
        self._version: int | None = None
        self._videos: dict[str, _Outlined] = {}
        self._vectors: dict[str, Vector] = {}
        self._sample = Sample({})
        self._words: Sequence[Vector] | None = None

    def sample(self, version: int, videos: Iterable[StoredVideo]) -> Sample:
        """The sample of the library, which in this version holds these videos.

        Raises:
            StoreError: the vectors cannot be read.
        """
        with self._lock:
            if version != self._version:
                before = self._videos
                self._videos = {stored.video.id: self._outlined(stored) for stored in videos}
                for video_id, outlined in before.items():
                    self._forget_unless_kept(video_id, outlined)
                self._sample = self._taken()
                self._version = version
            return self._sample

    def passing(self, filters: Filters, options: Sequence[str]) -> Passing:
        """What a search among these options looks through, in the library last sampled."""
        segments: dict[str, int] = dict.fromkeys(options, 0)
        videos, seconds = 0, 0.0
        for outlined in self._videos.values():
            if not _passes(outlined.stored.video, filters):
                continue
            found = {o: _count(of, filters) for o, of in outlined.options.items() if o in segments}
            if any(found.values()):
                videos += 1
                seconds += _seconds(outlined.stored, filters)
            for option, number in found.items():
                segments[option] += number
        segments = {option: number for option, number in segments.items() if number}
        searched = Searched(videos, seconds / 3600, sum(segments.values()), tuple(segments))
        return Passing(searched, segments)

    def _outlined(self, stored: StoredVideo) -> _Outlined:
        known = self._videos.get(stored.video.id)
        if known is not None and known.stored.segments is stored.segments:
            return _Outlined(stored, known.options)
        return _Outlined(stored, _outlines(stored.segments))

    def _forget_unless_kept(self, video_id: str, before: _Outlined) -> None:
        """Drops the vectors of a video that is gone, or was embedded again."""
        now = self._videos.get(video_id)
        if now is None or now.options is not before.options:
            for outline in before.options.values():
                for key in outline.ids:
                    self._vectors.pop(key, None)

    def _taken(self) -> Sample:
        chosen = {option: self._lowest(option) for option in self._options()}
        wanted = [key for keys in chosen.values() for key, _ in keys]
        found = dict(self._vectors)
        found.update(self._read([key for key in wanted if key not in found]))
        rows: dict[str, Rows] = {}
        self._vectors = {}
        for option, keys in chosen.items():
            # A store that lost rows has fewer.
            there = [(key, video_id) for key, video_id in keys if key in found]
            if there:
                vectors = np.stack([found[key] for key, _ in there])
                rows[option] = Rows(vectors, np.array([video_id for _, video_id in there]))
                self._vectors.update(zip((key for key, _ in there), vectors, strict=True))
        return Sample(rows, self._others(rows))

    def _options(self) -> list[str]:
        return sorted({option for outlined in self._videos.values() for option in outlined.options})

    def _lowest(self, option: str) -> list[tuple[str, str]]:
        """The ids that hash lowest, each with its video's, in the order of their hashes."""
        outlines = [
            (video_id, outlined.options[option])
            for video_id, outlined in self._videos.items()
            if option in outlined.options
        ]
        ids = [(key, video_id) for video_id, outline in outlines for key in outline.ids]
        hashes = np.concatenate([outline.hashes for _, outline in outlines])
        return [ids[place] for place in np.argsort(hashes, kind="stable")[:SAMPLE_ROWS]]

    def _others(self, rows: Mapping[str, Rows]) -> Others | None:
        if not rows:
            return None
        if self._words is None:
            self._words = self._ask_words()
        return Others(rows, np.stack(self._words)) if self._words else None


def _outlines(segments: Sequence[Segment]) -> dict[str, _Outline]:
    of_option: dict[str, list[Segment]] = {}
    for segment in segments:
        of_option.setdefault(segment.embedding_option, []).append(segment)
    return {
        option: _Outline(
            [segment.id for segment in mine],
            np.array([_hash(segment.id) for segment in mine], dtype=np.uint64),
            np.array([segment.start_offset_sec for segment in mine]),
            np.array([segment.end_offset_sec for segment in mine]),
        )
        for option, mine in of_option.items()
    }


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def _passes(video: Video, filters: Filters) -> bool:
    return (
        (not filters.video_ids or video.id in filters.video_ids)
        and (not filters.categories or video.category in filters.categories)
        and (filters.added_after is None or video.added_at >= filters.added_after)
        and (filters.added_before is None or video.added_at < filters.added_before)
    )


def _count(outline: _Outline, filters: Filters) -> int:
    if filters.start is None and filters.end is None:
        return len(outline.ids)
    first = -math.inf if filters.start is None else filters.start
    last = math.inf if filters.end is None else filters.end
    return int(np.count_nonzero((outline.ends > first) & (outline.starts < last)))


def _seconds(stored: StoredVideo, filters: Filters) -> float:
    """How much of a video lies between the times of the filters."""
    length = stored.video.duration
    if length is None:
        length = max(segment.end_offset_sec for segment in stored.segments)
    end = length if filters.end is None else min(length, filters.end)
    return max(0.0, end - max(0.0, filters.start or 0.0))


class Others:
    """The sample's cosines with other queries: words, and sampled segments for pictures and clips.

    Those of a sampled segment with its own video are NaN: they resemble each other for a reason.
    """

    def __init__(self, sample: Mapping[str, Rows], words: NDArray[np.float32]) -> None:
        """`words` are unit vectors (queries, dimension); as many segments stand in for pictures."""
        asked = next(iter(sample.values()))
        shown, videos = asked.vectors[: len(words)], asked.video_ids[: len(words)]
        self._words = {option: _cosines(words, rows) for option, rows in sample.items()}
        self._shown: dict[str, Floats] = {}
        for option, rows in sample.items():
            cosines = _cosines(shown, rows)
            cosines[videos[:, None] == rows.video_ids[None, :]] = np.nan
            self._shown[option] = cosines

    def scores(self, parts: Sequence[tuple[Part, float]], option: str) -> Floats:
        """What the recipe of these weighted parts scores in the sample with other words and
        pictures; shape (queries, rows), NaN where that cannot be told."""
        total = sum(abs(weight) for _, weight in parts)
        tables = [
            (self._words if part.kind == "text" else self._shown)[option] for part, _ in parts
        ]
        queries = min(len(table) for table in tables)
        summed: Floats = np.zeros((queries, tables[0].shape[1]))
        for place, ((_, weight), table) in enumerate(zip(parts, tables, strict=True)):
            summed += weight / total * np.roll(table, place * _STRIDE, axis=0)[:queries]
        return summed


def _cosines(queries: NDArray[np.float32], rows: Rows) -> Floats:
    return np.asarray(queries @ rows.vectors.T, dtype=np.float64)
