"""The audit log: who searched, added, removed, exported, and what else an owner may be asked about.

One insert for each act, in the database of the other records: nothing waits to be written, so
nothing is lost when the process ends.
"""

from __future__ import annotations

import csv
import io
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import Select, or_, select

from core.database import AuditRow, Database
from core.export import inert

Action = Literal[
    "searched",
    "added",
    "removed",
    "exported",
    "downloaded the ledger",
    "downloaded the audit log",
    "changed a budget",
    "was refused",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
COLUMNS = ("at", "user", "role", "action", "subject", "detail")
# A page asks the same again when it turns a page or is drawn anew: within this time it is one act.
SAME_SEC = 600.0
_MOST_CHARS = 1_000
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Who:
    """Whoever acts: the address they logged in with, and their role. Both are empty without login."""

    user: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, at a time in UTC."""

    at: datetime
    user: str
    role: str
    action: str
    subject: str
    detail: str


class Audit:
    """Everything that was noted, of all collections. Safe to share between threads.

    Every method raises StoreUnavailable when the database cannot be read or written.
    """

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._session = database.session
        self._now = now
        self._lock = threading.Lock()
        self._just_now: dict[tuple[Who, Action, str], float] = {}

    def note(self, who: Who, action: Action, *subjects: str, detail: str = "") -> None:
        """Writes an act down, once for each of its subjects, or once without any."""
        at = self._now()
        with self._session() as session:
            session.add_all(
                AuditRow(
                    at=at,
                    user=who.user,
                    role=who.role,
                    action=action,
                    subject=subject[:_MOST_CHARS],
                    detail=detail[:_MOST_CHARS],
                )
                for subject in subjects or ("",)
            )

    def note_once(self, who: Who, action: Action, subject: str) -> None:
        """The same for what may be asked again and again: not if it was noted just now."""
        at, act = self._now(), (who, action, subject)
        with self._lock:
            if at - self._just_now.get(act, -math.inf) < SAME_SEC:
                return
            if len(self._just_now) >= _MOST_REMEMBERED:
                self._just_now.clear()
            self._just_now[act] = at
        self.note(who, action, subject)

    def entries(
        self, *, actions: Sequence[Action] = (), words: str = "", limit: int | None = None
    ) -> list[Entry]:
        """The acts of these kinds (none: of all) with these words in them, the newest first."""
        chosen = _matching(actions, words).order_by(AuditRow.at.desc(), AuditRow.id.desc())
        with self._session() as session:
            return [_entry(row) for row in session.scalars(chosen.limit(limit))]

    def to_csv(self, *, actions: Sequence[Action] = (), words: str = "") -> bytes:
        """The same as UTF-8 with BOM, oldest first; no cell can be run as a formula."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(COLUMNS)
        for entry in reversed(self.entries(actions=actions, words=words)):
            texts = (entry.user, entry.role, entry.action, entry.subject, entry.detail)
            writer.writerow([entry.at.isoformat(timespec="seconds"), *map(inert, texts)])
        return buffer.getvalue().encode("utf-8-sig")


def _matching(actions: Sequence[Action], words: str) -> Select[AuditRow]:
    """Every word has to stand somewhere in an act."""
    chosen = select(AuditRow)
    if actions:
        chosen = chosen.where(AuditRow.action.in_(actions))
    for word in words.split():
        columns = (AuditRow.user, AuditRow.role, AuditRow.subject, AuditRow.detail)
        chosen = chosen.where(or_(*(c.icontains(word, autoescape=True) for c in columns)))
    return chosen


def _entry(row: AuditRow) -> Entry:
    at = datetime.fromtimestamp(row.at, UTC)
    return Entry(at, row.user, row.role, row.action, row.subject, row.detail)
