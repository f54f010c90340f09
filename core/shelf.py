"""The videos of the open library: the records in SQL, mirrored in memory for every search."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from core.models import Video
from core.state import State, StoredVideo


class Shelf:
    """Reads come from memory, writes go through to the state. Safe to share between threads.

    `version` grows with every change, so that whoever caches results knows when to drop them.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # Held over a change of a video's vectors and its record: whoever else changes it waits.
        self.changing = threading.RLock()
        self._stored = {stored.video.id: stored for stored in reversed(state.videos())}
        self._videos = {id_: stored.video for id_, stored in self._stored.items()}
        self.version = 0

    @property
    def videos(self) -> Mapping[str, Video]:
        """Every video by id, oldest first. The mapping is never changed once handed out."""
        return self._videos

    @property
    def stored(self) -> Sequence[StoredVideo]:
        """Every video with its segments, oldest first."""
        return list(self._stored.values())

    def get(self, video_id: str) -> StoredVideo | None:
        return self._stored.get(video_id)

    def put(self, stored: StoredVideo) -> None:
        with self.changing:
            self._state.put_video(stored)
            self._replace({**self._stored, stored.video.id: stored})

    def remove(self, video_id: str) -> None:
        with self.changing:
            self._state.remove_video(video_id)
            self._replace({k: v for k, v in self._stored.items() if k != video_id})

    def complete(self, video_id: str, *, frame_rate: Fraction) -> None:
        """Adds to a record what no answer depends on: the version stays."""
        with self.changing:
            stored = self._stored.get(video_id)
            if stored is not None:
                stored = replace(stored, video=replace(stored.video, frame_rate=frame_rate))
                self._state.put_video(stored)
                self._mirror({**self._stored, video_id: stored})

    def _replace(self, stored: dict[str, StoredVideo]) -> None:
        self._mirror(stored)
        self.version += 1

    def _mirror(self, stored: dict[str, StoredVideo]) -> None:
        self._stored = stored
        self._videos = {id_: entry.video for id_, entry in stored.items()}
