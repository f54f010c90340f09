"""The videos of the open library: the records in SQL, mirrored in memory for every search."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction

from core.errors import StoreUnavailable
from core.models import Video
from core.state import State, StoredVideo

# How often readers ask whether another server has changed something.
_LOOK_SEC = 1.0


class Shelf:
    """Reads come from memory, writes go through to the state. Safe to share between threads.

    `version` grows with every change, so that whoever caches results knows when to drop them. What
    other servers change is seen within a second.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._changing = threading.RLock()
        self._changed_now = ""
        self._looking = threading.Lock()
        self._look_at = time.monotonic() + _LOOK_SEC
        # Held while the mirror, and the revision of the records that it shows, are changed.
        self._mirroring = threading.Lock()
        self._revision = state.revision()
        self._stored = {stored.video.id: stored for stored in reversed(state.videos())}
        self._videos = {id_: stored.video for id_, stored in self._stored.items()}
        self._version = 0

    @property
    def version(self) -> int:
        self._look_now_and_then()
        return self._version

    @property
    def videos(self) -> Mapping[str, Video]:
        """Every video by id, oldest first. The mapping is never changed once handed out."""
        self._look_now_and_then()
        return self._videos

    @property
    def stored(self) -> Sequence[StoredVideo]:
        """Every video with its segments, oldest first."""
        self._look_now_and_then()
        return list(self._stored.values())

    def get(self, video_id: str) -> StoredVideo | None:
        self._look_now_and_then()
        return self._stored.get(video_id)

    @contextmanager
    def changing(self, video_id: str) -> Iterator[None]:
        """Around a change of a video's vectors and its record: whoever else changes it waits, also
        on another server. Inside, the record is what it really is."""
        with self._changing:
            if self._changed_now == video_id:
                yield
                return
            with self._state.alone(f"change of {video_id}"):
                before, self._changed_now = self._changed_now, video_id
                try:
                    if self._state.lease.shared:
                        self._look()
                    yield
                finally:
                    self._changed_now = before

    def put(self, stored: StoredVideo) -> None:
        with self.changing(stored.video.id):
            revision = self._state.put_video(stored)
            with self._mirroring:
                if self._is_next(revision):
                    self._mirror({**self._stored, stored.video.id: stored})
                    self._version += 1

    def remove(self, video_id: str) -> None:
        with self.changing(video_id):
            revision = self._state.remove_video(video_id)
            with self._mirroring:
                if self._is_next(revision):
                    self._mirror({k: v for k, v in self._stored.items() if k != video_id})
                    self._version += 1

    def complete(self, video_id: str, *, frame_rate: Fraction) -> None:
        """Adds to a record what no answer depends on: the version stays."""
        with self.changing(video_id):
            stored = self._stored.get(video_id)
            if stored is None:
                return
            stored = replace(stored, video=replace(stored.video, frame_rate=frame_rate))
            revision = self._state.put_video(stored)
            with self._mirroring:
                if self._is_next(revision):
                    self._mirror({**self._stored, video_id: stored})

    def _mirror(self, stored: dict[str, StoredVideo]) -> None:
        self._stored = stored
        self._videos = {id_: entry.video for id_, entry in stored.items()}

    def _is_next(self, revision: int) -> bool:
        """Whether a change of our own, to this revision, is the only one that is not mirrored yet.
        If not, all that are missing are read."""
        if revision == self._revision + 1:
            self._revision = revision
            return True
        self._read_changes()
        return False

    # What other servers change

    def _look_now_and_then(self) -> None:
        if not self._state.lease.shared or time.monotonic() < self._look_at:
            return
        if self._looking.acquire(blocking=False):  # one asks for all
            try:
                # Until the records can be read again, what is known is all there is.
                with suppress(StoreUnavailable):
                    self._look()
            finally:
                self._look_at = time.monotonic() + _LOOK_SEC
                self._looking.release()

    def _look(self) -> None:
        with self._mirroring:
            if self._state.revision() != self._revision:
                self._read_changes()

    def _read_changes(self) -> None:
        """The mirror is being held."""
        changes = self._state.changes(self._revision)
        stored = {id_: entry for id_, entry in self._stored.items() if id_ in changes.ids}
        self._mirror(stored | {entry.video.id: entry for entry in changes.stored})
        self._revision = changes.revision
        self._version += 1
