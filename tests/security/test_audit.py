"""The audit log: what is noted, what is found again, and that its table cannot bite."""

from __future__ import annotations

import csv
import io

import pytest

from core.audit import SAME_SEC, Audit, Who
from core.database import Database
from tests.clock import Clock

ANNA, BEN = Who("anna@example.com", "analyst"), Who("ben@example.com", "admin")


@pytest.fixture
def audit(database: Database, clock: Clock) -> Audit:
    return Audit(database, now=clock)


def test_what_is_noted_is_there_at_once_for_every_server(audit: Audit, database: Database) -> None:
    audit.note(ANNA, "exported", detail="csv, 3 moments")
    (entry,) = Audit(database).entries()
    assert (entry.user, entry.role, entry.action) == ("anna@example.com", "analyst", "exported")
    assert (entry.subject, entry.detail) == ("", "csv, 3 moments")
    assert entry.at.utcoffset() is not None


def test_each_of_many_things_done_together_is_an_entry_and_the_newest_comes_first(
    audit: Audit,
) -> None:
    audit.note(ANNA, "added", "one.mp4", "two.mp4")
    audit.note(BEN, "removed", "one.mp4")
    assert [(e.action, e.subject) for e in audit.entries()] == [
        ("removed", "one.mp4"),
        ("added", "two.mp4"),
        ("added", "one.mp4"),
    ]
    assert len(audit.entries(limit=1)) == 1


def test_acts_are_found_by_their_kind_and_by_words_as_they_stand(audit: Audit) -> None:
    audit.note(ANNA, "searched", "100% wool")
    audit.note(ANNA, "searched", "100 wool")
    audit.note(BEN, "removed", "Wool film")
    assert [e.subject for e in audit.entries(words="0% WOOL")] == ["100% wool"]
    assert [e.subject for e in audit.entries(words="ben wool")] == ["Wool film"]
    assert len(audit.entries(actions=["searched"])) == 2
    assert audit.entries(words="wool' OR '1'='1") == []


def test_the_same_search_again_is_one_act_until_some_time_has_passed(
    audit: Audit, clock: Clock
) -> None:
    for who in (ANNA, ANNA, BEN):
        audit.note_once(who, "searched", "red car")
    audit.note_once(ANNA, "searched", "blue car")
    audit.note_once(ANNA, "searched", "red car")
    assert len(audit.entries()) == 3
    clock.sleep(SAME_SEC)
    audit.note_once(ANNA, "searched", "red car")
    assert len(audit.entries()) == 4


def test_no_cell_of_the_table_is_run_by_a_spreadsheet(audit: Audit) -> None:
    audit.note(Who("=cmd|' /C calc'!A0", "viewer"), "searched", "@SUM(1)", detail="+1")
    content = audit.to_csv().decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content))
    assert [row[name][0] for name in ("user", "subject", "detail")] == ["'", "'", "'"]


def test_text_that_no_database_keeps_is_noted_all_the_same(audit: Audit) -> None:
    audit.note(ANNA, "searched", "a\0b\ud800" + "c" * 5_000)
    (entry,) = audit.entries()
    assert entry.subject.startswith("a?b?ccc")
    assert len(entry.subject) == 1_000
