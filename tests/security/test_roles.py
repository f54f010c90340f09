"""Roles: who gets which, what each may do, and that what is not drawn is refused all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from components.access import (
    _ANALYSTS_MAY,
    _VIEWERS_MAY,
    AccessDenied,
    Policy,
    Role,
    Visitor,
    login_is_set_up,
)
from components.guarded import guarded
from core import ConfigurationError, Library, Recipe, Settings
from tests.app.conftest import FRAME, ask, cards, grid, open_page, served, texts
from tests.media import make_video

ADA, ANN, VIC, EVE = (f"{name}@example.com" for name in ("ada", "ann", "vic", "eve"))
ROLES = {ADA: Role.ADMIN, ANN: Role.ANALYST, VIC: Role.VIEWER}
AUTH = {"auth": {"client_id": "seekpoint"}}


def claims(email: str, **more: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "sub": "1", "email": email, **more}


def visitor(name: str) -> Visitor:
    return Visitor(name, ROLES[name])


# Who gets which


@pytest.fixture
def policy() -> Policy:
    settings = Settings(
        admins=("ada@example.com",),
        analysts=("*@lab.example.com", "vic@example.com"),
        viewers=("*@example.com",),
        role_claim="groups",
    )
    return Policy(settings, login=True)


@pytest.mark.parametrize(
    ("given", "role"),
    [
        (claims("ada@example.com"), Role.ADMIN),
        (claims("ADA@Example.com"), Role.ADMIN),
        (claims("vic@example.com"), Role.ANALYST),
        (claims("any@example.com"), Role.VIEWER),
        (claims("any@lab.example.com"), Role.ANALYST),
        (claims("any@evilexample.com"), Role.NONE),
        (claims("ada@example.com.evil.org"), Role.NONE),
        (claims("ada@example.com@evil.org"), Role.NONE),
        (claims("*@evil.org"), Role.NONE),
        (claims("example.com"), Role.NONE),
        (claims(""), Role.NONE),
        (claims("ada@example.com", email_verified=False), Role.NONE),
        (claims("ada@example.com", email_verified="false"), Role.NONE),
        (claims("x@evil.org", groups=["staff", "Analyst"]), Role.ANALYST),
        (claims("x@evil.org", groups="admin"), Role.ADMIN),
        (claims("x@evil.org", groups="administrators"), Role.NONE),
        (claims("x@evil.org", groups={"admin": True}), Role.NONE),
        (claims("any@example.com", groups=["none", None, 3]), Role.VIEWER),
        (claims("ada@example.com", is_logged_in=False), Role.NONE),
        (claims("ada@example.com", is_logged_in="yes"), Role.NONE),
        ({"email": "ada@example.com"}, Role.NONE),
        ({}, Role.NONE),
    ],
)
def test_a_role_is_the_highest_that_a_proved_address_or_a_claim_gives(
    policy: Policy, given: dict[str, Any], role: Role
) -> None:
    assert policy.visitor(given).role is role


def test_without_login_everybody_may_do_everything_whatever_they_claim() -> None:
    assert Policy(Settings(), login=False).visitor({}) == Visitor("", Role.ADMIN)


def test_roles_without_login_are_a_mistake_that_opens_nothing() -> None:
    with pytest.raises(ConfigurationError, match="no login"):
        Policy(Settings(admins=(ADA,)), login=False)


def test_a_secrets_file_that_cannot_be_read_does_not_switch_login_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth\n")
    monkeypatch.setattr(st, "get_option", {"secrets.files": [str(broken)]}.get)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        login_is_set_up()


@pytest.mark.parametrize(
    ("address", "is_open"),
    [("localhost", False), ("127.0.0.1", False), ("::1", False), ("unix:///run/s", False)]
    + [("0.0.0.0", True), ("::", True), ("192.0.2.7", True), ("app.example.com", True), ("", True)],
)
def test_without_login_a_server_that_listens_to_others_is_found_out(
    monkeypatch: pytest.MonkeyPatch, address: str, is_open: bool
) -> None:
    monkeypatch.setattr(st, "get_option", {"server.address": address}.get)
    assert bool(Policy(Settings(), login=False).open_on) is is_open
    assert Policy(Settings(admins=(ADA,)), login=True).open_on == ""


def test_unless_somebody_says_otherwise_only_this_machine_is_listened_to() -> None:
    assert st.get_option("server.address") == "localhost"


# What each may do


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The library behind the pages, with login, a short film and two jobs that went wrong."""
    folder = tmp_path_factory.mktemp("roles")
    with (
        pytest.MonkeyPatch.context() as patch,
        served(
            folder / "data", patch, ADMINS=ADA, ANALYSTS=ANN, VIEWERS=VIC, BUDGET_PER_RUN="5"
        ) as opened,
    ):
        film = make_video(folder / "film.mp4", seconds=4.0)
        jobs = opened.add([film, *(folder / f"missing {n}.mp4" for n in "12")], category="Films")
        opened.wait(jobs, timeout=120)
        assert [video.title for video in opened.videos()] == ["film"]
        yield opened


def test_every_name_in_the_lists_is_one_of_the_library(library: Library) -> None:
    for path in f"{_VIEWERS_MAY} {_ANALYSTS_MAY}".split():
        found: object = library
        for name in path.split("."):
            assert hasattr(found, name), path
            found = getattr(found, name)


Act = Callable[[Library], object]
OF_ANALYSTS: dict[str, Act] = {
    "add": lambda library: library.add(["https://example.com/a.mp4"]),
    "estimate": lambda library: library.estimate(["https://example.com/a.mp4"]),
    "review": lambda library: library.review([]),
    "cancel": lambda library: library.cancel("any"),
    "retry": lambda library: library.retry("any"),
    "retry all": lambda library: library.retry_failed(),
    "prioritise": lambda library: library.prioritise("any"),
    "dismiss": lambda library: library.forget("any"),
    "dismiss all": lambda library: library.forget_all([]),
    "pause": lambda library: library.pause(),
    "resume": lambda library: library.resume(),
    "look into the server's folder": lambda library: library.folder_files(),
    "use an upload": lambda library: library.uploads.copy("any"),
    "name a search": lambda library: library.searches.rename("any", "name"),
    "delete a search": lambda library: library.searches.forget("any"),
    "fill the basket": lambda library: library.basket.add([]),
    "empty the basket": lambda library: library.basket.clear(),
    "name clusters": lambda library: library.explorer.set_vocabulary(["word"]),
    "see the ledger": lambda library: library.ledger_csv(),
}
OF_ADMINS: dict[str, Act] = {
    "remove a video": lambda library: library.remove(library.videos()[0].id),
    "change the month's budget": lambda library: library.set_month_budget(None),
    "change a run's budget": lambda library: library.raise_run_budget("any", None),
    "read the audit log": lambda library: library.audit.entries(),
    "see how the server is": lambda library: library.status(),
    "read what was measured": lambda library: library.metrics,
    "close the library": lambda library: library.close(),
    "reach the store itself": lambda library: library._store,
}


@pytest.mark.parametrize(
    "act", [*OF_ANALYSTS.values(), *OF_ADMINS.values()], ids=[*OF_ANALYSTS, *OF_ADMINS]
)
def test_a_viewer_is_refused(library: Library, act: Act) -> None:
    with pytest.raises(AccessDenied, match="yours here is viewer"):
        act(guarded(library, visitor(VIC)))


@pytest.mark.parametrize("act", OF_ADMINS.values(), ids=OF_ADMINS)
def test_an_analyst_is_refused(library: Library, act: Act) -> None:
    with pytest.raises(AccessDenied, match="needs the role admin; yours here is analyst"):
        act(guarded(library, visitor(ANN)))


def test_somebody_without_a_role_may_not_even_see_what_is_there(library: Library) -> None:
    for act in (lambda of: of.videos(), lambda of: of.search("a film"), lambda of: of.settings):
        with pytest.raises(AccessDenied):
            act(guarded(library, Visitor(EVE, Role.NONE)))


def test_an_analyst_may_spend_what_the_operator_allows_and_no_more(
    library: Library, tmp_path: Path
) -> None:
    analyst, admin = guarded(library, visitor(ANN)), guarded(library, visitor(ADA))
    assert analyst.add([tmp_path / "missing.mp4"], max_cost=5.0)
    with pytest.raises(AccessDenied):
        analyst.add([tmp_path / "other.mp4"], max_cost=5.01)
    assert admin.add([tmp_path / "other.mp4"], max_cost=9.0)


# What is drawn


def open_as(name: str, page: str = "search") -> AppTest:
    """A page as somebody gets it who has logged in; as a stranger without a name."""
    app = AppTest.from_file(FRAME, default_timeout=60)
    app.secrets = AUTH
    app.user = claims(name) if name else {"is_logged_in": False}
    app.run()
    return app if page == "search" else app.switch_page(f"{page}.py").run()


@pytest.mark.parametrize("name", ROLES)
def test_every_page_shows_each_role_something_and_refuses_nothing_it_offers(
    library: Library, name: str
) -> None:
    for page in ("search", "library", "explore", "status"):
        app = open_as(name, page)
        assert not app.exception
        assert "needs the role" not in texts(app)
    app = ask(open_as(name), "a film")
    assert cards(app)
    assert "needs the role" not in texts(app)


def test_each_role_is_offered_what_it_may_do_and_no_more(library: Library) -> None:
    offered = {
        name: {
            button.label for page in ("library", "status") for button in open_as(name, page).button
        }
        for name in ROLES
    }
    of_analysts = {"Review", "Try all failed again", "Dismiss all"}
    assert of_analysts & offered[VIC] == set()
    assert of_analysts <= offered[ANN] & offered[ADA]
    removals = {
        name: [b for b in labels if b.startswith("Remove")] for name, labels in offered.items()
    }
    assert [bool(removals[name]) for name in (VIC, ANN, ADA)] == [False, False, True]
    keeping = {name: grid(ask(open_as(name), "a film"))["keeping"] for name in (VIC, ANN)}
    assert keeping == {VIC: False, ANN: True}


@pytest.mark.parametrize("page", ["search", "library", "explore", "status"])
def test_a_stranger_sees_a_door_and_nothing_behind_it(library: Library, page: str) -> None:
    app = open_as("", page)
    assert [button.label for button in app.button] == ["Log in"]
    assert texts(app) == "Log in to search the videos."


def test_who_is_known_and_has_no_role_is_told_and_noted_once(library: Library) -> None:
    app = open_as(EVE)
    app.run()
    assert f"You are logged in as {EVE}." in texts(app)
    assert [button.label for button in app.button] == ["Log out"]
    refused = library.audit.entries(words=EVE)
    assert [(entry.action, entry.subject, entry.role) for entry in refused] == [
        ("was refused", "login", "none")
    ]


# What is noted


def test_what_people_do_on_the_pages_is_noted_with_their_name_and_role(library: Library) -> None:
    ask(open_as(ANN), "an unusual question")
    seen = guarded(library, visitor(VIC))
    seen.export(seen.search("another question"), "csv")
    over_time = [Recipe.parse("a question over time")]
    assert seen.explorer.trend(over_time, option="visual", min_score=0.1).wait()
    guarded(library, visitor(ADA)).set_month_budget(12.5)
    guarded(library, visitor(ADA)).set_month_budget(None)
    guarded(library, visitor(ANN)).ledger_csv()
    noted = {(e.user, e.role, e.action, e.subject, e.detail) for e in library.audit.entries()}
    assert {
        (ANN, "analyst", "searched", "an unusual question", ""),
        (VIC, "viewer", "searched", "another question", ""),
        (VIC, "viewer", "searched", "a question over time", ""),
        (VIC, "viewer", "exported", "", "csv, 1 moments"),
        (ADA, "admin", "changed a budget", "of the month", "12.50 USD"),
        (ADA, "admin", "changed a budget", "of the month", "no limit"),
        (ANN, "analyst", "downloaded the ledger", "", ""),
    } <= noted


def test_an_administrator_reads_the_log_and_finds_a_removal_in_it(library: Library) -> None:
    (video,) = library.videos()
    app = open_as(ADA, "library")
    app.button(key=f"remove-{video.id}").click().run()
    app.button(key="confirm-removal").click().run()
    assert library.videos() == []
    app = open_as(ADA, "status")
    app.text_input(key="audit_words").set_value("film").run()
    (table,) = [frame.value for frame in app.dataframe if "Action" in frame.value]
    assert list(
        table[table["Action"] == "removed"][["User", "Subject"]].itertuples(index=False)
    ) == [(ADA, "film")]
    assert "Audit log" not in [heading.value for heading in open_as(ANN, "status").subheader]


# This one opens a library of its own behind the pages, so it comes last.
def test_a_server_open_to_all_says_so_on_every_page_and_on_status_what_it_listens_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, said in (("0.0.0.0", "on 0.0.0.0"), ("localhost", "to this machine only")):
        before = config.get_option("server.address")
        config.set_option("server.address", address)
        with served(tmp_path / "data", monkeypatch):
            pages = {page: texts(open_page(page)) for page in ("search", "status")}
        config.set_option("server.address", before)
        warned = [f"Anybody who reaches {address}" in page for page in pages.values()]
        assert warned == [address == "0.0.0.0"] * 2
        assert "There is no login" in pages["status"]
        assert said in pages["status"]
