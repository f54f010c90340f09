"""Query vectors, kept in memory and on disk, so that no part of a recipe is embedded twice."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import delete, select

from core.database import Database, QueryVectorRow, upsert
from core.errors import StoreUnavailable
from core.models import Vector
from core.recent import Recent
from core.recipe import Part

logger = logging.getLogger(__name__)

_IN_MEMORY = 512
_ON_DISK = 20_000
# How many vectors come in between two looks at whether there are too many.
_LOOK_EVERY = 200


class QueryVectors:
    """The vectors of texts, pictures and clips of one collection, which names model and dimension.

    `embed` is asked for what is nowhere yet, and for stored segments always: the store has them,
    and they may be removed at any time. Safe to share between threads.
    """

    def __init__(
        self, database: Database, *, collection: str, embed: Callable[[Part], Vector]
    ) -> None:
        self._session = database.session
        self._collection = collection
        self._embed = embed
        self._lock = threading.Lock()
        self._recent = Recent[Vector](_IN_MEMORY)
        self._added = 0

    def of(self, part: Part, *, asked: list[Part] | None = None) -> Vector:
        """The vector of a part; a part that had to be embedded joins `asked`."""
        if part.kind == "segment":
            return self._embed(part)
        key = _key(part)
        vector = self._recalled(key)
        if vector is None:
            vector = self._embed(part)
            if asked is not None:
                asked.append(part)
            try:
                self._keep_on_disk(key, vector)
            except StoreUnavailable as error:
                # The answer is there, and may be paid for: a full disk must not take it away.
                logger.warning("a query's vector could not be kept: %s", error)
        self._recent.put(key, vector)
        return vector

    def missing(self, parts: Sequence[Part]) -> int:
        """How many different parts would have to be embedded."""
        keys = {_key(part) for part in parts}
        with self._session() as session:
            known = session.scalars(
                select(QueryVectorRow.key).where(QueryVectorRow.collection == self._collection)
            )
            return len(keys.difference(known))

    def _recalled(self, key: str) -> Vector | None:
        vector = self._recent.get(key)
        if vector is not None:
            return vector
        with self._session() as session:
            row = session.get(QueryVectorRow, (self._collection, key))
            return None if row is None else np.frombuffer(row.vector, dtype="<f4")

    def _keep_on_disk(self, key: str, vector: Vector) -> None:
        with self._session() as session:
            upsert(
                session,
                QueryVectorRow(
                    collection=self._collection,
                    key=key,
                    vector=vector.astype("<f4").tobytes(),
                    added_at=time.time(),
                ),
            )
        with self._lock:
            self._added += 1
            crowded = self._added % _LOOK_EVERY == 0
        if crowded:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        mine = QueryVectorRow.collection == self._collection
        with self._session() as session:
            oldest = session.scalar(
                select(QueryVectorRow.added_at)
                .where(mine)
                .order_by(QueryVectorRow.added_at.desc())
                .offset(_ON_DISK - 1)
                .limit(1)
            )
            if oldest is not None:
                session.execute(
                    delete(QueryVectorRow).where(mine, QueryVectorRow.added_at < oldest)
                )


def _key(part: Part) -> str:
    """What decides a part's vector, as a digest: no upload is kept for it."""
    digest = hashlib.sha256()
    source = part.source
    if isinstance(source, Path):
        digest.update(repr((str(source), _version_of_file(source))).encode(errors="replace"))
    else:
        digest.update(source if isinstance(source, bytes) else source.encode(errors="replace"))
    about = (part.kind, type(part.source).__name__, part.text_with, part.start, part.end)
    digest.update(repr(about).encode(errors="replace"))
    return digest.hexdigest()


def _version_of_file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None  # reading it will say why
    return found.st_mtime_ns, found.st_size
