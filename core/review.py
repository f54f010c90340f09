"""Looking at many sources in the background, so that a page can show a table that fills."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from core.errors import SeekpointError
from core.models import SourceEstimate, SourceLine

logger = logging.getLogger(__name__)

_THREADS = 8
_CLOSE_SEC = 1.0


class Review:
    """What adding each line of a list would mean, found out by a few threads.

    `look` answers for one line; a SeekpointError it raises becomes the problem of that row. A line
    that comes with a problem is not looked at. Safe to share between threads.
    """

    def __init__(
        self, lines: Sequence[SourceLine], look: Callable[[SourceLine], SourceEstimate]
    ) -> None:
        self._look = look
        self._rows = [_row(line, line.problem, pending=not line.problem) for line in lines]
        waiting = [(index, line) for index, line in enumerate(lines) if not line.problem]
        self._waiting = iter(waiting)
        self._left = len(waiting)
        self._closed = False
        self._changed = threading.Condition()
        # Daemons: what hangs on a slow server must not hold up the end of the process.
        self._threads = [
            threading.Thread(target=self._work, name=f"review-{number}", daemon=True)
            for number in range(min(_THREADS, len(waiting)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def rows(self) -> tuple[SourceEstimate, ...]:
        """One row per line, in their order; `pending` where nobody has looked yet.

        A row that is the same video as one above it has that as its problem, whichever of the two
        was looked at first.
        """
        with self._changed:
            rows = list(self._rows)
        return tuple(_with_repeats_marked(rows))

    @property
    def looked_at(self) -> int:
        """How many rows are not pending any more."""
        return len(self._rows) - self._left

    @property
    def done(self) -> bool:
        return self._left == 0

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until all is done, the review is closed, or `timeout` seconds have passed; says
        whether all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self.done or self._closed, timeout)
        return self.done

    def close(self) -> None:
        """Begins no further look, and gives those under way a second to end; the rest stays
        pending."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + _CLOSE_SEC
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (task := self._next()) is not None:
            index, line = task
            row = self._looked_at(line)
            with self._changed:
                self._rows[index] = row
                self._left -= 1
                if self.done:
                    self._changed.notify_all()

    def _next(self) -> tuple[int, SourceLine] | None:
        with self._changed:
            return None if self._closed else next(self._waiting, None)

    def _looked_at(self, line: SourceLine) -> SourceEstimate:
        try:
            return self._look(line)
        except SeekpointError as error:
            return _row(line, error.message, error.hint)
        except Exception:
            # A bug with one source must not leave the others pending for ever.
            logger.exception("looking at %s hit a defect", line.source)
            return _row(line, "Something unexpected went wrong.", "See the log file.")


def _row(
    line: SourceLine, problem: str = "", hint: str = "", *, pending: bool = False
) -> SourceEstimate:
    return SourceEstimate(
        line.source,
        minutes=None,
        price=None,
        known="",
        problem=problem,
        hint=hint,
        title=line.title,
        category=line.category,
        where=line.where,
        pending=pending,
    )


def _with_repeats_marked(rows: Iterable[SourceEstimate]) -> Iterator[SourceEstimate]:
    first: dict[str, SourceEstimate] = {}
    for row in rows:
        if row.video_id and not row.problem:
            if row.video_id in first:
                earlier = first[row.video_id].where or first[row.video_id].source
                row = replace(row, problem=f"The same video as {earlier}.", hint="")
            else:
                first[row.video_id] = row
        yield row
