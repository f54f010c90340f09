from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.database import Database, LedgerRow
from core.embedders.base import Charge, Prices
from core.errors import BudgetExceeded, JobTaken
from core.ledger import Ledger
from core.models import Job, Stage
from core.state import NewJob, State

DAY_SEC = 24 * 3600.0
RESULT = {"task_id": "t1"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def state(database: Database) -> State:
    return State(database, collection="c")


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return ledger_of(database, Prices(per_minute=0.5))


def ledger_of(
    database: Database, prices: Prices, *, collection: str = "c", segment_sec: int = 4
) -> Ledger:
    return Ledger(
        database,
        collection=collection,
        model="m",
        prices=prices,
        currency="EUR",
        month_budget=None,
        segment_sec=segment_sec,
    )


def job_of(state: State, video_id: str = "v", *, minutes: float | None = 1.0) -> Job:
    """A job that was looked at: who it is, and how long."""
    state.add_jobs([NewJob(f"/{video_id}", video_id, minutes=minutes)])
    return replace(claimed(state), video_id=video_id)


def claimed(state: State) -> Job:
    job = state.claim_job()
    assert job is not None
    return job


def pay(
    ledger: Ledger, job: Job, charge_id: str = "charge", *, run_budget: float | None = None
) -> None:
    ledger.charge(job, Charge(charge_id, "t1"), RESULT, run_budget=run_budget)


def date_back(database: Database, charge_id: str, at: float) -> None:
    with database.session() as session:
        session.get_one(LedgerRow, charge_id).at = at


def month_start() -> float:
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start.timestamp()


def test_what_is_planned_are_the_jobs_still_to_come_that_are_not_paid_for(
    database: Database, state: State, ledger: Ledger
) -> None:
    assert ledger.spending().planned == 0.0
    state.add_jobs([NewJob(f"/{name}", name, minutes=10.0) for name in "cd"])
    paid, failed = claimed(state), claimed(state)
    state.add_jobs([NewJob("/a", "a", minutes=4.0), NewJob("/b", "b")])
    State(database, collection="another").add_jobs([NewJob("/e", "e", minutes=1000.0)])
    state.update_job(failed, stage=Stage.FAILED)
    ledger.charge(paid, Charge("charge"), {}, run_budget=None)
    spending = ledger.spending()
    assert (spending.planned, spending.planned_unknown) == (2.0, 1)
    assert (spending.total, spending.month) == (5.0, 5.0)


def test_a_job_that_is_begun_again_after_a_crash_saves_only_once(
    state: State, ledger: Ledger
) -> None:
    (job,) = state.add_jobs([NewJob("/a", "a", minutes=4.0)])
    ledger.save_video(job, 4.0)
    ledger.save_video(job, 4.0)
    assert ledger.spending().saved == 2.0


def test_where_nothing_has_a_price_no_length_is_missed(database: Database, state: State) -> None:
    state.add_jobs([NewJob("/a", "a"), NewJob("/b", "b", minutes=4.0)])
    spending = ledger_of(database, Prices()).spending()
    assert (spending.planned, spending.planned_unknown) == (0.0, 0)


# Charges


def test_a_charge_is_one_row_from_its_announcement_to_its_task(
    state: State, ledger: Ledger
) -> None:
    job = job_of(state)
    ledger.charge(job, Charge("charge"), {"asked_at": "now"}, run_budget=None)
    (announced,) = ledger.entries()
    assert (announced.task_id, announced.price, announced.minutes) == ("", 0.5, 1.0)
    assert state.checkpoint(job.id) == {"asked_at": "now"}
    ledger.charge(job, Charge("charge", "t1"), RESULT, run_budget=None)
    assert ledger.entries() == [replace(announced, task_id="t1")]
    assert state.checkpoint(job.id) == RESULT
    assert ledger.costs() == {job.id: 0.5}


def test_a_refused_call_leaves_neither_a_row_nor_a_cost(state: State, ledger: Ledger) -> None:
    job = job_of(state)
    pay(ledger, job)
    ledger.charge(job, Charge("charge", void=True), {}, run_budget=None)
    ledger.charge(job, Charge("never announced", void=True), {}, run_budget=None)
    assert ledger.entries() == []
    assert ledger.costs() == {}
    assert ledger.spending().total == 0
    assert state.checkpoint(job.id) == {}


def test_a_task_that_failed_stays_paid_and_leaves_no_result(state: State, ledger: Ledger) -> None:
    job = job_of(state)
    pay(ledger, job)
    ledger.charge(job, Charge("charge", "t1", fruitless=True), {"task_id": ""}, run_budget=0.0)
    assert ledger.spending().total == 0.5
    assert ledger.resumable("v") == {}
    ledger.charge(job, Charge("unknown", "t2", fruitless=True), {}, run_budget=None)
    assert len(ledger.entries()) == 1


def test_an_unclear_charge_becomes_that_of_the_job_that_goes_on_with_it(
    state: State, ledger: Ledger
) -> None:
    first, second = job_of(state), job_of(state)
    ledger.charge(first, Charge("charge"), {"asked_at": "now"}, run_budget=None)
    ledger.charge(second, Charge("charge", "t1"), RESULT, run_budget=None)
    assert ledger.costs() == {second.id: 0.5}


def test_a_length_learned_later_gives_its_price_to_what_was_paid_for_that_video_only(
    database: Database, state: State, ledger: Ledger
) -> None:
    other_space = ledger_of(database, Prices(per_minute=9.0), collection="another")
    pay(ledger, job_of(state, minutes=None), "a")
    pay(ledger, job_of(state, "w", minutes=None), "b")
    pay(other_space, job_of(state, minutes=None), "c")
    assert set(ledger.costs().values()) == {None}
    assert ledger.spending().unpriced == 3
    ledger.settle("v", 4.0)
    found = {entry.id: (entry.minutes, entry.price) for entry in ledger.entries()}
    assert found == {"a": (4.0, 2.0), "b": (None, None), "c": (None, None)}
    ledger.settle("v", 8.0)
    assert ledger.spending().total == 2.0


# Results that can be fetched again


def test_a_result_may_be_had_for_nearly_seven_days(
    database: Database, state: State, ledger: Ledger
) -> None:
    pay(ledger, job_of(state))
    assert ledger.resumable("v") == RESULT
    assert ledger.resumable("another video") == {}
    date_back(database, "charge", time.time() - 6.5 * DAY_SEC)
    assert ledger.resumable("v") == RESULT
    date_back(database, "charge", time.time() - 7 * DAY_SEC)
    assert ledger.resumable("v") == {}


def test_a_result_fits_only_its_own_segmentation_and_collection(
    database: Database, state: State, ledger: Ledger
) -> None:
    pay(ledger, job_of(state))
    prices = Prices(per_minute=0.5)
    assert ledger_of(database, prices).resumable("v") == RESULT
    assert ledger_of(database, prices, segment_sec=5).resumable("v") == {}
    assert ledger_of(database, prices, collection="another").resumable("v") == {}


def test_a_dropped_result_is_not_fetched_again_and_stays_paid(state: State, ledger: Ledger) -> None:
    pay(ledger, job_of(state))
    ledger.drop("v")
    assert ledger.resumable("v") == {}
    assert ledger.spending().total == 0.5


def test_a_new_charge_takes_the_place_of_an_earlier_result(state: State, ledger: Ledger) -> None:
    job = job_of(state)
    pay(ledger, job, "first")
    ledger.charge(job, Charge("second"), {"asked_at": "now"}, run_budget=None)
    ledger.charge(job, Charge("second", void=True), {}, run_budget=None)
    assert ledger.resumable("v") == {}


def test_whoever_lost_a_job_to_another_server_pays_nothing_for_it_and_takes_nothing_back(
    database: Database, state: State, ledger: Ledger
) -> None:
    lost = job_of(state)
    other = State(database, collection="c")
    # To this one the first has gone: no lease of it is on record.
    other.requeue_left()
    with pytest.raises(JobTaken):
        ledger.charge(lost, Charge("mine"), {}, run_budget=None)
    ledger.charge(claimed(other), Charge("charge"), {"asked_at": "now"}, run_budget=None)
    with pytest.raises(JobTaken):
        ledger.charge(lost, Charge("charge", void=True), {}, run_budget=None)
    assert [entry.id for entry in ledger.entries()] == ["charge"]
    assert state.checkpoint(lost.id) == {"asked_at": "now"}


# Sums and months


def test_a_month_begins_at_its_first_second_in_utc(
    database: Database, state: State, ledger: Ledger
) -> None:
    for name in "ab":
        pay(ledger, job_of(state, name), name)
    date_back(database, "a", month_start() - 1)
    date_back(database, "b", month_start())
    spending = ledger.spending()
    assert (spending.month, spending.total) == (0.5, 1.0)
    ledger.month_budget = 1.0
    pay(ledger, job_of(state, "c"), "c")
    with pytest.raises(BudgetExceeded) as refused:
        pay(ledger, job_of(state, "d"), "d")
    assert (refused.value.scope, refused.value.price) == ("month", 0.5)
    assert "1.00 EUR of it is spent" in refused.value.message


def test_paid_and_saved_are_summed_apart_over_every_model(
    database: Database, state: State, ledger: Ledger
) -> None:
    other = ledger_of(database, Prices(per_text=0.001), collection="another")
    pay(ledger, job_of(state))
    ledger.save_video(job_of(state), 4.0)
    with other.paying("text", "red car"):
        pass
    for _ in range(3):
        other.save_query("text")
    for one in (ledger, other):
        assert one.spending().total == pytest.approx(0.501)
        assert one.spending().saved == pytest.approx(2.003)
    assert [entry.calls for entry in ledger.entries() if entry.saved] == [3, 1]


def test_a_query_that_failed_costs_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.paying("text", "red car"):
        raise ZeroDivisionError
    assert ledger.entries() == []


# Budgets


def test_a_budget_that_is_met_exactly_is_not_passed(database: Database, state: State) -> None:
    # In binary 0.1 + 0.1 + 0.1 is more than 0.3.
    ledger = ledger_of(database, Prices(per_minute=0.1))
    ledger.month_budget = 0.3
    for name in "abc":
        pay(ledger, job_of(state, name), name, run_budget=0.1)
    with pytest.raises(BudgetExceeded):
        pay(ledger, job_of(state, "d"), "d")
    assert len(ledger.entries()) == 3


def test_a_refused_charge_leaves_no_trace(state: State, ledger: Ledger) -> None:
    job = job_of(state)
    with pytest.raises(BudgetExceeded, match="This run has a budget of 0.40 EUR") as refused:
        pay(ledger, job, run_budget=0.4)
    assert (refused.value.scope, refused.value.price) == ("run", 0.5)
    assert refused.value.hint
    assert ledger.entries() == []
    assert state.checkpoint(job.id) == {}


def test_a_charge_that_is_known_is_not_refused_by_a_budget_that_shrank(
    state: State, ledger: Ledger
) -> None:
    job = job_of(state)
    ledger.charge(job, Charge("charge"), {}, run_budget=0.5)
    ledger.month_budget = 0.1
    pay(ledger, job, run_budget=0.1)
    assert ledger.entries()[0].task_id == "t1"


def test_an_unknown_price_is_refused_where_there_is_a_budget_and_only_there(
    state: State, ledger: Ledger
) -> None:
    job = job_of(state, minutes=None)
    with pytest.raises(BudgetExceeded, match="length of this video is unknown") as refused:
        pay(ledger, job, run_budget=100.0)
    assert refused.value.scope == "job"
    pay(ledger, job)
    assert ledger.costs() == {job.id: None}


def test_what_costs_nothing_passes_no_budget(database: Database, state: State) -> None:
    ledger = ledger_of(database, Prices())
    ledger.month_budget = 0.0
    pay(ledger, job_of(state, minutes=None), run_budget=0.0)
    with ledger.paying("text", "red car"):
        pass
    assert ledger.room_for(0.0)
    assert not ledger.room_for(0.01)


def test_however_many_pay_at_once_no_budget_is_passed(state: State, ledger: Ledger) -> None:
    ledger.month_budget = 3.5
    jobs = [job_of(state, str(number)) for number in range(24)]

    def paid(job: Job) -> bool:
        try:
            pay(ledger, job, job.id)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(paid, jobs)) == 7
    assert ledger.spending().month == 3.5


# As a file


def test_the_table_is_oldest_first_says_unknown_with_nothing_and_runs_no_formula(
    database: Database, state: State, ledger: Ledger
) -> None:
    pay(ledger, replace(job_of(state, minutes=None), title="@SUM(A1)"))
    date_back(database, "charge", month_start())
    ledger.save_query("text")
    first, second = csv.DictReader(io.StringIO(ledger.to_csv().decode("utf-8-sig")))
    assert (first["what"], first["minutes"], first["price"], first["saved"]) == (
        "'@SUM(A1)",
        "",
        "",
        "no",
    )
    assert (second["kind"], second["calls"], second["saved"]) == ("text", "1", "yes")
