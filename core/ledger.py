"""The ledger: what was paid for, what did not have to be, and the budgets that stop the next call.

A row is written before the call it stands for, so that a process that dies in between leaves a row
too many rather than one too few, and the same call begun again finds its row.
"""

from __future__ import annotations

import csv
import io
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, cast

from sqlalchemy import ColumnElement, Select, Update, func, select, update

from core.database import UNFINISHED, Database, JobRow, LedgerRow, upsert
from core.embedders.base import Charge, Prices
from core.errors import BudgetExceeded, JobTaken
from core.export import inert
from core.models import Job, LedgerEntry, Spending

# The service keeps results for seven days; the last hours are left to the clocks.
_RESULTS_KEPT_SEC = 7 * 24 * 3600 - 6 * 3600
_WHAT_CHARS = 200
# Less than any call costs: a sum that meets a budget exactly may come out a hair above it.
_ROUNDING = 1e-9
COLUMNS = (
    "at",
    "kind",
    "what",
    "minutes",
    "calls",
    "price",
    "currency",
    "model",
    "job",
    "task",
    "saved",
)

Query = Literal["clip", "image", "text"]
Kind = Literal["video", "clip", "image", "text"]


_PAID = LedgerRow.saved.is_(False)


class Ledger:
    """The paid calls of this installation, whichever model they went to: there is one purse.

    Results to be fetched again are looked for in `collection` only. Safe to share between threads.
    """

    def __init__(
        self,
        database: Database,
        *,
        collection: str,
        model: str,
        prices: Prices,
        currency: str,
        month_budget: float | None,
        segment_sec: int,
    ) -> None:
        self.month_budget = month_budget
        self._collection = collection
        self._model = model
        self._prices = prices
        self.currency = currency
        self._segment_sec = segment_sec
        self._session = database.session
        self._alone = database.alone
        # From the look at the budget to the row: two calls must not both be the last that fits.
        self._paying = threading.Lock()

    def price_of(self, minutes: float | None) -> float | None:
        """What a video of this length costs; None when the length is unknown and matters."""
        if not self._prices.per_minute:
            return 0.0
        return None if minutes is None else minutes * self._prices.per_minute

    # Videos

    def charge(
        self,
        job: Job,
        charge: Charge,
        checkpoint: Mapping[str, str],
        *,
        run_budget: float | None,
    ) -> None:
        """Writes, completes or takes back the row of a charge, and the job's checkpoint with it:
        both or neither, whenever the process dies. A charge that another job of the video had left
        unclear becomes that of the job that goes on with it.

        Raises:
            BudgetExceeded: for a new charge that would pass a budget; nothing was written.
            JobTaken: another server runs the job now; nothing was written.
        """
        with self._paying, self._alone("paying"):
            is_new = not (charge.void or charge.fruitless or self._has(charge.id))
            if is_new:
                self._check_job(job, self.price_of(job.minutes), run_budget)
            with self._session() as session:
                job_row = session.get(JobRow, job.id, with_for_update=True)
                if job_row is None or not job_row.server or job_row.attempts != job.attempts:
                    raise JobTaken
                if is_new:
                    # An earlier task of this video failed, or there would be no new one.
                    session.execute(self._dropped(job.video_id))
                    session.add(self._row_of(job, charge))
                row = session.get(LedgerRow, charge.id)
                if row is not None and charge.void:
                    session.delete(row)
                elif row is not None:
                    row.job_id, row.run, row.task_id = job.id, job.run, charge.task_id
                    row.resume = {} if charge.fruitless else dict(checkpoint)
                job_row.checkpoint = dict(checkpoint)

    def _has(self, charge_id: str) -> bool:
        with self._session() as session:
            return session.get(LedgerRow, charge_id) is not None

    def _row_of(self, job: Job, charge: Charge) -> LedgerRow:
        row = self._row("video", job.title, job.minutes, self.price_of(job.minutes))
        row.id, row.video_id = charge.id, job.video_id
        return row

    def settle(self, video_id: str, minutes: float) -> None:
        """Fills in the length of a video where it was unknown when it was paid for."""
        with self._session() as session:
            session.execute(
                update(LedgerRow)
                .where(
                    LedgerRow.collection == self._collection,
                    LedgerRow.video_id == video_id,
                    LedgerRow.saved.is_(False),
                    LedgerRow.minutes.is_(None),
                )
                .values(minutes=minutes, price=self.price_of(minutes))
                .execution_options(synchronize_session=False)
            )

    def resumable(self, video_id: str) -> dict[str, str]:
        """The checkpoint of the last charge for this video whose result may still be had."""
        with self._session() as session:
            row = session.scalars(
                select(LedgerRow)
                .where(
                    LedgerRow.collection == self._collection,
                    LedgerRow.video_id == video_id,
                    LedgerRow.segment_sec == self._segment_sec,
                    LedgerRow.saved.is_(False),
                    LedgerRow.at > time.time() - _RESULTS_KEPT_SEC,
                )
                .order_by(LedgerRow.at.desc())
                .limit(1)
            ).first()
            return {} if row is None else dict(row.resume)

    def paid_for_other_segments(self, job_id: str) -> bool:
        """Whether the last charge of this job is for segments of another length than now."""
        with self._session() as session:
            segment_sec = session.scalar(
                select(LedgerRow.segment_sec)
                .where(_PAID, LedgerRow.job_id == job_id)
                .order_by(LedgerRow.at.desc())
                .limit(1)
            )
            return segment_sec not in {None, self._segment_sec}

    def drop(self, video_id: str) -> None:
        """No result of this video is to be fetched again: it is gone, useless, or not wanted."""
        with self._session() as session:
            session.execute(self._dropped(video_id))

    def _dropped(self, video_id: str) -> Update:
        return (
            update(LedgerRow)
            .where(
                LedgerRow.collection == self._collection,
                LedgerRow.video_id == video_id,
                LedgerRow.segment_sec == self._segment_sec,
            )
            .values(resume={})
            .execution_options(synchronize_session=False)
        )

    def costs(self, job_ids: Sequence[str] | None = None) -> dict[str, float | None]:
        """What was paid for each job, None where that is unknown; jobs without a charge are left
        out. `job_ids` None means all."""
        wanted = (
            select(
                LedgerRow.job_id,
                func.sum(LedgerRow.price),
                func.count(LedgerRow.price),
                func.count(),
            )
            .where(_PAID, LedgerRow.job_id != "")
            .group_by(LedgerRow.job_id)
        )
        if job_ids is not None:
            wanted = wanted.where(LedgerRow.job_id.in_(job_ids))
        with self._session() as session:
            return {
                job_id: price if priced == rows else None
                for job_id, price, priced, rows in session.execute(wanted)
            }

    # Queries

    @contextmanager
    def paying(self, kind: Query, what: str, minutes: float | None = None) -> Iterator[None]:
        """Stands around a query's call: the budget is looked at before, the row is written after.

        Raises:
            BudgetExceeded: when the call would pass the month's budget.
        """
        price = self._query_price(kind, minutes)
        with self._paying:
            self._check_month(price or 0.0)
        yield
        self._add(self._row(kind, what, minutes, price))

    # What did not have to be paid

    def save_video(self, job: Job, minutes: float | None) -> None:
        """A video that is in the library already, or whose result was there for the taking. Each
        job saves it once, also when it is begun again after a crash."""
        row = self._row("video", job.title, minutes, self.price_of(minutes))
        row.id, row.saved, row.job_id, row.run = f"saved:{job.id}", True, job.id, job.run
        with self._session() as session:
            upsert(session, row)

    def save_query(self, kind: Query, minutes: float | None = None) -> None:
        """A query answered from the cache. Those of a month share a row."""
        key = f"saved:{kind}:{self._model}:{_month_start():%Y-%m}"
        price = self._query_price(kind, minutes) or 0.0
        row = self._row(kind, "answered from the cache", None, price)
        row.id, row.saved = key, True
        one_more = {
            "calls": LedgerRow.calls + 1,
            "price": func.coalesce(LedgerRow.price, 0.0) + price,
        }
        with self._session() as session:
            upsert(session, row, one_more)

    # What it comes to

    def spending(self) -> Spending:
        """Sums up, with what the unfinished jobs will cost that are not paid for yet."""
        month = LedgerRow.at >= _month_start().timestamp()
        unpriced = select(func.count()).where(_PAID, LedgerRow.price.is_(None))
        unpaid = select(func.count(), func.count(JobRow.minutes), func.sum(JobRow.minutes)).where(
            JobRow.collection == self._collection,
            JobRow.stage.in_(UNFINISHED),
            JobRow.id.not_in(select(LedgerRow.job_id).where(_PAID)),
        )
        with self._session() as session:
            jobs, of_known_length, minutes = session.execute(unpaid).one()
            return Spending(
                currency=self.currency,
                month=session.scalar(_sum(_PAID, month)) or 0.0,
                total=session.scalar(_sum(_PAID)) or 0.0,
                saved=session.scalar(_sum(LedgerRow.saved.is_(True))) or 0.0,
                planned=self.price_of(minutes or 0.0) or 0.0,
                planned_unknown=jobs - of_known_length if self._prices.per_minute else 0,
                unpriced=session.scalar(unpriced) or 0,
                month_budget=self.month_budget,
            )

    def room_for(self, price: float) -> bool:
        """Whether the month's budget has room for a call of this price."""
        try:
            self._check_month(price)
        except BudgetExceeded:
            return False
        return True

    def entries(self, limit: int | None = None) -> list[LedgerEntry]:
        """The newest first."""
        wanted = select(LedgerRow).order_by(LedgerRow.at.desc()).limit(limit)
        with self._session() as session:
            return [_entry(row) for row in session.scalars(wanted)]

    def to_csv(self) -> bytes:
        """Every row, oldest first, as UTF-8 with BOM."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(COLUMNS)
        for entry in reversed(self.entries()):
            writer.writerow(
                [
                    entry.at.isoformat(timespec="seconds"),
                    entry.kind,
                    inert(entry.what),
                    "" if entry.minutes is None else f"{entry.minutes:.3f}",
                    entry.calls,
                    "" if entry.price is None else f"{entry.price:.6f}",
                    inert(self.currency),
                    entry.model,
                    entry.job_id,
                    inert(entry.task_id),
                    "yes" if entry.saved else "no",
                ]
            )
        return buffer.getvalue().encode("utf-8-sig")

    # Budgets

    def _check_job(self, job: Job, price: float | None, run_budget: float | None) -> None:
        if self.month_budget is None and run_budget is None:
            return
        if price is None:
            raise BudgetExceeded(
                "The length of this video is unknown from here, and so is its price; there is a "
                "budget to keep.",
                "Upload the file, or take the budget away for it.",
                scope="job",
            )
        self._check_month(price)
        spent = self._spent(LedgerRow.run == job.run) if run_budget is not None else 0.0
        if run_budget is not None and spent + price > run_budget + _ROUNDING:
            raise BudgetExceeded(
                f"This run has a budget of {self._money(run_budget)}; {self._money(spent)} of it "
                f"is spent, and the next video costs about {self._money(price)}.",
                "Raise the budget of the run to go on.",
                scope="run",
                price=price,
            )

    def _check_month(self, price: float) -> None:
        budget = self.month_budget
        if budget is None or not price:
            return
        spent = self._spent(LedgerRow.at >= _month_start().timestamp())
        if spent + price > budget + _ROUNDING:
            raise BudgetExceeded(
                f"This month has a budget of {self._money(budget)}; {self._money(spent)} of it is "
                f"spent, and the next call costs about {self._money(price)}.",
                "Raise the month's budget to go on.",
                scope="month",
                price=price,
            )

    def _spent(self, which: ColumnElement[bool]) -> float:
        with self._session() as session:
            return session.scalar(_sum(_PAID, which)) or 0.0

    def _money(self, amount: float) -> str:
        # Text queries cost far less than the smallest coin.
        return f"{amount:.2f} {self.currency}" if amount >= 0.01 else f"{amount:g} {self.currency}"

    def _query_price(self, kind: Query, minutes: float | None) -> float | None:
        match kind:
            case "text":
                return self._prices.per_text
            case "image":
                return self._prices.per_image
            case "clip":
                return self.price_of(minutes)

    def _row(self, kind: Kind, what: str, minutes: float | None, price: float | None) -> LedgerRow:
        return LedgerRow(
            id=uuid.uuid4().hex,
            collection=self._collection,
            at=time.time(),
            kind=kind,
            what=what[:_WHAT_CHARS],
            minutes=minutes,
            calls=1,
            price=price,
            model=self._model,
            saved=False,
            job_id="",
            run="",
            task_id="",
            video_id="",
            segment_sec=self._segment_sec,
            resume={},
        )

    def _add(self, row: LedgerRow) -> None:
        with self._session() as session:
            session.add(row)


def _sum(*which: ColumnElement[bool]) -> Select[float | None]:
    return select(func.sum(LedgerRow.price)).where(*which)


def _month_start() -> datetime:
    """The beginning of this calendar month, in UTC."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _entry(row: LedgerRow) -> LedgerEntry:
    return LedgerEntry(
        id=row.id,
        at=datetime.fromtimestamp(row.at, UTC),
        kind=cast(Kind, row.kind),
        what=row.what,
        minutes=row.minutes,
        calls=row.calls,
        price=row.price,
        model=row.model,
        job_id=row.job_id,
        task_id=row.task_id,
        saved=row.saved,
    )
