from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.database import Database
from core.embedders.base import Charge, Prices
from core.ledger import Ledger
from core.models import Stage
from core.state import NewJob, State


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


@pytest.fixture
def state(database: Database) -> State:
    return State(database, collection="c")


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return ledger_of(database, Prices(per_minute=0.5))


def ledger_of(database: Database, prices: Prices) -> Ledger:
    return Ledger(
        database,
        collection="c",
        model="m",
        prices=prices,
        currency="EUR",
        month_budget=None,
        segment_sec=4,
    )


def test_what_is_planned_are_the_jobs_still_to_come_that_are_not_paid_for(
    database: Database, state: State, ledger: Ledger
) -> None:
    assert ledger.spending().planned == 0.0
    _waiting, _unknown, paid, failed = state.add_jobs(
        [NewJob("/a", "a", minutes=4.0), NewJob("/b", "b")]
        + [NewJob(f"/{name}", name, minutes=10.0) for name in "cd"]
    )
    State(database, collection="another").add_jobs([NewJob("/e", "e", minutes=1000.0)])
    state.update_job(failed.id, stage=Stage.FAILED)
    ledger.charge(paid, Charge("charge"), {}, run_budget=None)
    spending = ledger.spending()
    assert (spending.planned, spending.planned_unknown) == (2.0, 1)
    assert (spending.total, spending.month) == (5.0, 5.0)


def test_where_nothing_has_a_price_no_length_is_missed(database: Database, state: State) -> None:
    state.add_jobs([NewJob("/a", "a"), NewJob("/b", "b", minutes=4.0)])
    spending = ledger_of(database, Prices()).spending()
    assert (spending.planned, spending.planned_unknown) == (0.0, 0)
