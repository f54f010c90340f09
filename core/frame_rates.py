"""Frame rates of videos whose record has none: read when somebody needs them, and then kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import replace

from core import media
from core.errors import SeekpointError
from core.media import MediaFile
from core.media_store import Location
from core.models import Video
from core.shelf import Shelf
from core.state import StoredVideo

# Opens a video: its file, or else its address.
Readable = Callable[[Location | None, str], AbstractContextManager[MediaFile]]

logger = logging.getLogger(__name__)

# All videos together may hold somebody up this long. What answers later is known the next time.
_PATIENCE_SEC = 5.0
_AGAIN_AFTER_SEC = 300.0
_AT_ONCE = 8


class FrameRates:
    """Completes the records of the videos on a shelf. Safe to share between threads."""

    def __init__(self, shelf: Shelf, readable: Readable) -> None:
        self._shelf = shelf
        self._readable = readable
        self._not_before: dict[str, float] = {}

    def find(self, video_ids: Collection[str]) -> None:
        """Reads the missing rates of these videos, as far as a few seconds allow."""
        missing = [stored for id_ in video_ids if (stored := self._due(id_)) is not None]
        if not missing:
            return
        readers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="frame-rates")
        try:
            wait([readers.submit(self._read, stored) for stored in missing], _PATIENCE_SEC)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)

    def of(self, video: Video) -> Video:
        """The video with its rate, if that is known by now."""
        stored = self._shelf.get(video.id)
        if stored is None or video.frame_rate is not None:
            return video
        return replace(video, frame_rate=stored.video.frame_rate)

    def _due(self, video_id: str) -> StoredVideo | None:
        stored = self._shelf.get(video_id)
        if stored is None or stored.video.frame_rate is not None:
            return None
        return stored if time.monotonic() >= self._not_before.get(video_id, 0.0) else None

    def _read(self, stored: StoredVideo) -> None:
        url = stored.video.video_url
        # From here on, not from when it was queued: what there was no time for has its turn next.
        self._not_before[stored.video.id] = time.monotonic() + _AGAIN_AFTER_SEC
        try:
            with self._readable(stored.path, url) as source:
                rate = media.probe(source).frame_rate
            if rate is not None:
                self._shelf.complete(stored.video.id, frame_rate=rate)
        except SeekpointError as error:
            logger.info("no frame rate of %s: %s", url, error)
