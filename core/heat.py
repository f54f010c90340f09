"""How every segment of a video answers a query, from vectors that are kept in memory.

The store takes a tenth of a millisecond for each vector it hands out, numpy next to nothing for its
cosine: a strip that is asked for with every search pays once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.models import Heat, Vector
from core.recent import Recent
from core.state import StoredVideo

# An hour in segments of 4 seconds is 3.7 MB, with two options of 512 dimensions.
MOST_BYTES = 96 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The vectors (rows, dimension) of a video, the option of each, and the rows of each span, by
    start and end in seconds."""

    stored: StoredVideo
    vectors: NDArray[np.float32]
    options: Sequence[str]
    spans: Mapping[tuple[float, float], Sequence[int]]


class HeatStrips:
    """The scores of every segment of a video. Safe to share between threads.

    `read` gives vectors by segment id.
    """

    def __init__(self, read: Callable[[Sequence[str]], Mapping[str, Vector]]) -> None:
        self._read = read
        self._recent = Recent[_Rows](MOST_BYTES, weigh=lambda rows: rows.vectors.nbytes)

    def of(
        self, stored: StoredVideo, direction: Vector, weights: Mapping[str, float]
    ) -> list[Heat]:
        """A strip in order of start. Scores are cosines with `direction` times the weight of the
        option; options without a weight are left out, and spans that have no other.

        Raises:
            StoreError: the vectors cannot be read.
        """
        rows = self._rows(stored)
        if not rows.options:
            return []
        scores = (rows.vectors @ direction).tolist()
        strip: list[Heat] = []
        for (start, end), places in rows.spans.items():
            by_option = {
                option: scores[place] * weights[option]
                for place in places
                if (option := rows.options[place]) in weights
            }
            if by_option:
                strip.append(Heat(start, end, max(by_option.values()), by_option))
        return strip

    def _rows(self, stored: StoredVideo) -> _Rows:
        rows = self._recent.get(stored.video.id)
        # A video that was embedded again has another record.
        if rows is None or rows.stored.segments is not stored.segments:
            rows = self._read_rows(stored)
            # Otherwise the store lost some; the library's warning says so.
            if len(rows.options) == len(stored.segments):
                self._recent.put(stored.video.id, rows)
        return rows

    def _read_rows(self, stored: StoredVideo) -> _Rows:
        vectors = self._read([segment.id for segment in stored.segments])
        found = [segment for segment in stored.segments if segment.id in vectors]
        spans: dict[tuple[float, float], list[int]] = {}
        for place, segment in enumerate(found):
            spans.setdefault((segment.start_offset_sec, segment.end_offset_sec), []).append(place)
        matrix = np.array([vectors[segment.id] for segment in found], dtype=np.float32)
        return _Rows(
            stored,
            matrix,
            [segment.embedding_option for segment in found],
            {span: spans[span] for span in sorted(spans)},
        )
