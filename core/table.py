"""All vectors of one embedding_option as one array, which analysis works on.

The store hands out vectors at a tenth of a millisecond each, so a large library would be read for
ten seconds and more. What was read is kept, in memory and in a file that is mapped into it, and of
a library that has changed only what is new is read.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.models import Segment, Vector
from core.state import StoredVideo

logger = logging.getLogger(__name__)

_READ_ROWS = 1_000


@dataclass(frozen=True, eq=False)
class Table:
    """The segments of one option, sorted by video, then by start, and their unit vectors
    (segments, dimension)."""

    option: str
    segments: tuple[Segment, ...]
    vectors: NDArray[np.float32]

    @cached_property
    def digest(self) -> str:
        """The same for the same segments."""
        return _digest(self.segments)

    @cached_property
    def video_ids(self) -> tuple[str, ...]:
        """The videos, in the order of the rows."""
        return tuple(dict.fromkeys(segment.video_id for segment in self.segments))

    @cached_property
    def videos(self) -> NDArray[np.int32]:
        """The place of each row's video in `video_ids`."""
        places = {video_id: place for place, video_id in enumerate(self.video_ids)}
        return np.array([places[s.video_id] for s in self.segments], dtype=np.int32)

    @cached_property
    def starts(self) -> NDArray[np.float64]:
        return np.array([s.start_offset_sec for s in self.segments], dtype=np.float64)

    @cached_property
    def ends(self) -> NDArray[np.float64]:
        return np.array([s.end_offset_sec for s in self.segments], dtype=np.float64)


class Tables:
    """The tables of a library. Safe to share between threads.

    `read` gives vectors by segment id. The copies in `folder` may be deleted at any time.
    """

    def __init__(
        self,
        read: Callable[[Sequence[str]], Mapping[str, Vector]],
        folder: Path,
        dimension: int,
    ) -> None:
        self._read = read
        self._folder = folder
        self._dimension = dimension
        # One reads at a time: who comes second finds what the first one read.
        self._reading = threading.Lock()
        # Over what is kept, and never while the store is read: a removal waits for it.
        self._keeping = threading.Lock()
        self._latest: dict[str, Table] = {}
        self._drops = 0

    def of(
        self,
        stored: Sequence[StoredVideo],
        option: str,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Table:
        """The table of these videos. Rows that the store has lost are left out.

        Raises:
            StoreError: the store cannot be read. What `on_progress` raises passes through.
        """
        segments = tuple(_segments(stored, option))
        with self._reading:
            table = self._latest.get(option)
            if table is not None and table.digest == _digest(segments):
                return table
            drops = self._drops
            on_file = self._from_file(option, segments)
            table = on_file or self._read_new(option, segments, on_progress)
            with self._keeping:
                if drops == self._drops:
                    if on_file is None and len(table.segments) == len(segments):
                        table = self._on_file(table)
                    self._latest[option] = table
            return table

    def drop(self) -> None:
        """Forgets what was read, so that nothing is left of a video that was removed. What is
        being read meanwhile is not kept."""
        with self._keeping:
            self._drops += 1
            self._latest.clear()
            for path in self._folder.glob("*"):
                path.unlink(missing_ok=True)

    def _read_new(
        self, option: str, segments: tuple[Segment, ...], on_progress: Callable[[float], None]
    ) -> Table:
        before = self._latest.get(option)
        known = {} if before is None else {s.id: row for row, s in enumerate(before.segments)}
        vectors = np.empty((len(segments), self._dimension), dtype=np.float32)
        there = np.ones(len(segments), dtype=bool)
        for first in range(0, len(segments), _READ_ROWS):
            on_progress(first / len(segments))
            batch = segments[first : first + _READ_ROWS]
            found = self._read([s.id for s in batch if s.id not in known])
            for row, segment in enumerate(batch, start=first):
                if before is not None and segment.id in known:
                    vectors[row] = before.vectors[known[segment.id]]
                elif segment.id in found:
                    vectors[row] = found[segment.id]
                else:
                    there[row] = False
        if not there.all():
            logger.warning("%d segments have no vector in the store", int((~there).sum()))
            kept = tuple(s for s, is_there in zip(segments, there, strict=True) if is_there)
            return Table(option, kept, vectors[there])
        return Table(option, segments, vectors)

    def _path(self, option: str, digest: str) -> Path:
        return self._folder / f"{option}-{digest}.npy"

    def _from_file(self, option: str, segments: tuple[Segment, ...]) -> Table | None:
        path = self._path(option, _digest(segments))
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if vectors.shape != (len(segments), self._dimension) or vectors.dtype != np.float32:
            return None
        return Table(option, segments, vectors)

    def _on_file(self, table: Table) -> Table:
        """The same table with its vectors mapped from a file, or as it is when there is no room."""
        path = self._path(table.option, table.digest)
        keep_file(path, lambda file: np.save(file, table.vectors), f"{table.option}-*.npy")
        return self._from_file(table.option, table.segments) or table


def keep_file(path: Path, write: Callable[[BinaryIO], None], instead_of: str) -> None:
    """Writes a file whole or not at all, in place of those in its folder that match the pattern.

    Without room it is left out: what is kept here can be made again.
    """
    partial = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            write(file)
        for old in path.parent.glob(instead_of):
            old.unlink(missing_ok=True)
        partial.replace(path)
    except OSError as error:
        logger.warning("%s is not kept: %s", path.name, error)
        with suppress(OSError):
            partial.unlink()


def _segments(stored: Sequence[StoredVideo], option: str) -> Iterator[Segment]:
    # By id: the same videos make the same map, in whatever order they came.
    for video in sorted(stored, key=lambda entry: entry.video.id):
        of_option = [s for s in video.segments if s.embedding_option == option]
        yield from sorted(of_option, key=lambda s: s.start_offset_sec)


def _digest(segments: Sequence[Segment]) -> str:
    digest = hashlib.sha256()
    for segment in segments:
        digest.update(f"{segment.id}\n".encode())
    return digest.hexdigest()[:32]
