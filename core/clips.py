"""Clips to search with that are longer than the embedder takes: cut into pieces that it does."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO

from core import fetch, media
from core.embedders.base import Embedder, check_span
from core.errors import MediaError
from core.recipe import Media, Part

logger = logging.getLogger(__name__)

MAX_PIECES = 10
# Left out at the end of each piece, so that rounding makes none too long.
_MARGIN_SEC = 0.001
_REMEMBERED_LENGTHS = 256


@dataclass(frozen=True, slots=True)
class Pieces:
    """What is embedded in place of a part; `note` tells the user when that is not the part itself."""

    parts: tuple[Part, ...]
    note: str = ""


class ClipCutter:
    """Knows how long clips are and how long they may be. Safe to share between threads."""

    def __init__(self, embedder: Embedder, *, allow_private: bool) -> None:
        self._model = embedder.model
        self._longest = embedder.limits.clip_sec
        self._allow_private = allow_private

    def cut(self, part: Part) -> Pieces:
        """Equal pieces of a clip that is too long, at most MAX_PIECES, from its start on; every
        other part as it is. So does a remote clip go whose length cannot be had from here.

        Raises:
            RecipeError: for a stretch without length. MediaError: for what is no clip.
        """
        whole = Pieces((part,))
        longest = self._longest
        if part.kind != "video" or longest is None:
            return whole
        check_span(part.start, part.end)
        begin = part.start or 0.0
        if part.end is not None and part.end - begin <= longest:
            return whole
        duration = self._duration(part.source)
        if duration is None:
            return whole
        length = min(part.end or math.inf, duration) - begin
        if length <= longest:
            return whole
        count = min(math.ceil(length / longest), MAX_PIECES)
        each = min(length / count, longest)
        starts = [begin + number * each for number in range(count)]
        pieces = [replace(part, start=at, end=at + each - _MARGIN_SEC) for at in starts]
        return Pieces(tuple(pieces), self._note(length, count, each))

    def _note(self, length: float, count: int, each: float) -> str:
        how = f"in {count} pieces, as {self._model} takes {self._longest:g} s at a time."
        if count * each < length - _MARGIN_SEC:
            return f"Only the first {count * each:.0f} s of the clip's {length:.0f} s count, {how}"
        return f"The clip of {length:.0f} s was read {how}"

    def _duration(self, source: Media) -> float | None:
        """Seconds; None for a remote clip that cannot be read from here."""
        if not isinstance(source, str):
            return media.probe(BytesIO(source) if isinstance(source, bytes) else source).duration
        try:
            return _remote_duration(source, self._allow_private)
        except MediaError as error:
            logger.info("the length of a clip at %s is unknown: %s", source, error)
            return None


@lru_cache(maxsize=_REMEMBERED_LENGTHS)
def _remote_duration(url: str, allow_private: bool) -> float:
    with fetch.RemoteFile(url, allow_private=allow_private) as remote:
        return media.probe(remote).duration
