"""The basket: moments that somebody put aside, and which moments have left as a file before."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from pydantic import ValidationError
from sqlalchemy import delete, func, insert, select, update

from core import records
from core.database import BasketRow, Database, ExportRow, valid_text
from core.models import Finding, Video
from core.records import ChangeRecipe, FindingsRecord

logger = logging.getLogger(__name__)

_FEW = 500  # databases take only so many values in one question
_NOTE_CHARS = 10_000
_TAG_CHARS = 100


class Basket:
    """The basket of one collection. It outlives searches, restarts and the videos themselves: the
    `video` of a moment says when it was removed. Safe to share between threads.
    """

    def __init__(
        self,
        database: Database,
        *,
        collection: str,
        videos: Callable[[], Mapping[str, Video]],
        as_kept: ChangeRecipe,
        as_usable: ChangeRecipe,
    ) -> None:
        self._session = database.session
        self._collection = collection
        self._videos = videos
        self._as_kept = as_kept
        self._as_usable = as_usable
        self._adding = threading.Lock()  # two that put in the same moment must not meet

    def add(self, findings: Sequence[Finding]) -> int:
        """Puts findings behind those that are there, and says how many are new. One that is there
        already stays as it is, with its note and tags."""
        new = {finding.id: finding for finding in reversed(findings)}
        now = time.time()
        as_kept = cache(self._as_kept)
        with self._adding, self._session() as session:
            there = set(
                session.scalars(
                    select(BasketRow.id).where(BasketRow.collection == self._collection)
                )
            )
            last = session.scalar(select(func.coalesce(func.max(BasketRow.position), 0))) or 0
            rows = [
                {
                    "collection": self._collection,
                    "id": finding.id,
                    "position": last + number,
                    "finding": _written(finding, as_kept),
                    "note": _clean_note(finding.note),
                    "tags": _clean_tags(finding.tags),
                    "added_at": now,
                }
                for number, finding in enumerate(reversed(new.values()), start=1)
                if finding.id not in there
            ]
            if rows:
                session.execute(insert(BasketRow), rows)
        return len(rows)

    def items(self) -> list[Finding]:
        """Everything in the basket, in the order in which it came."""
        with self._session() as session:
            rows = session.execute(
                select(BasketRow, ExportRow.at)
                .outerjoin(
                    ExportRow,
                    (ExportRow.collection == BasketRow.collection) & (ExportRow.id == BasketRow.id),
                )
                .where(BasketRow.collection == self._collection)
                .order_by(BasketRow.position)
            ).all()
        here = self._videos()
        return [
            finding
            for row, exported_at in rows
            if (finding := self._read(row, exported_at, here)) is not None
        ]

    def ids(self) -> set[str]:
        """The ids of everything in the basket."""
        with self._session() as session:
            mine = select(BasketRow.id).where(BasketRow.collection == self._collection)
            return set(session.scalars(mine))

    def note(self, finding_id: str, text: str) -> None:
        """Keeps a note on an item, in place of the one before."""
        self._change(finding_id, note=_clean_note(text))

    def tag(self, finding_id: str, tags: Sequence[str]) -> None:
        """Keeps the tags of an item, in place of those before."""
        self._change(finding_id, tags=_clean_tags(tags))

    def remove(self, ids: Collection[str]) -> None:
        """Takes items out; what is not in it needs nothing."""
        with self._session() as session:
            for few in _batches(ids):
                session.execute(
                    delete(BasketRow).where(
                        BasketRow.collection == self._collection, BasketRow.id.in_(few)
                    )
                )

    def clear(self) -> None:
        """Takes everything out. What was exported stays marked."""
        with self._session() as session:
            session.execute(delete(BasketRow).where(BasketRow.collection == self._collection))

    def mark_exported(self, ids: Collection[str]) -> None:
        """Notes that moments left as a file now; they need not be in the basket."""
        now = time.time()
        with self._adding, self._session() as session:
            for few in _batches(ids):
                session.execute(
                    delete(ExportRow).where(
                        ExportRow.collection == self._collection, ExportRow.id.in_(few)
                    )
                )
                session.execute(
                    insert(ExportRow),
                    [{"collection": self._collection, "id": id_, "at": now} for id_ in few],
                )

    def exported(self, ids: Collection[str]) -> set[str]:
        """Which of these moments left as a file before."""
        found: set[str] = set()
        with self._session() as session:
            for few in _batches(ids):
                found |= set(
                    session.scalars(
                        select(ExportRow.id).where(
                            ExportRow.collection == self._collection, ExportRow.id.in_(few)
                        )
                    )
                )
        return found

    def _change(self, finding_id: str, **values: object) -> None:
        with self._session() as session:
            session.execute(
                update(BasketRow)
                .where(BasketRow.collection == self._collection, BasketRow.id == finding_id)
                .values(**values)
            )

    def _read(
        self, row: BasketRow, exported_at: float | None, here: Mapping[str, Video]
    ) -> Finding | None:
        try:
            record = FindingsRecord.model_validate_json(row.finding)
            _, (finding,) = records.read(record, here=here, as_usable=self._as_usable)
        except (ValidationError, records.Inconsistent):
            logger.warning("the item %s of the basket cannot be read and is left out", row.id)
            return None
        return replace(
            finding,
            note=row.note,
            tags=tuple(row.tags),
            added_at=datetime.fromtimestamp(row.added_at, UTC),
            exported_at=None if exported_at is None else datetime.fromtimestamp(exported_at, UTC),
        )


def _written(finding: Finding, as_kept: ChangeRecipe) -> str:
    return records.write([finding], as_kept=as_kept).model_dump_json()


def _clean_note(text: str) -> str:
    return text.strip()[:_NOTE_CHARS]


def _clean_tags(tags: Sequence[str]) -> list[str]:
    """Each tag once, in the order given."""
    named = (" ".join(valid_text(tag).split())[:_TAG_CHARS] for tag in tags)
    return list(dict.fromkeys(tag for tag in named if tag))


def _batches(ids: Collection[str]) -> Iterator[list[str]]:
    all_of_them = list(dict.fromkeys(ids))
    for first in range(0, len(all_of_them), _FEW):
        yield all_of_them[first : first + _FEW]
