"""Login in the browser, against a provider of our own: what each role meets, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from core import Settings, open_library
from tests.app_server import Server, running_app
from tests.browser.conftest import search, settled
from tests.media import make_video
from tests.oidc import Provider

WAIT_MS = 60_000
ADA, ANN, VIC, EVE = (f"{name}@example.com" for name in ("ada", "ann", "vic", "eve"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with login and one film; analysts are known by a claim, the others by their address."""
    folder = tmp_path_factory.mktemp("login")
    film = make_video(folder / "A film.mp4", seconds=4.0)
    with open_library(Settings(data_dir=folder / "data")) as library:
        (job,) = library.wait(library.add([film]), timeout=120)
        assert job.error == ""
    people = [{"email": email} for email in (ADA, VIC, EVE)]
    with Provider([*people, {"email": ANN, "groups": ["staff", "analyst"]}]) as provider:
        # Where Streamlit looks for secrets, beside the project's own folder.
        secrets = folder / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(provider.secrets_toml)
        with running_app(
            folder,
            HOME=str(folder),
            SEEKPOINT_ADMINS=ADA,
            SEEKPOINT_VIEWERS=VIC,
            SEEKPOINT_ROLE_CLAIM="groups",
        ) as running:
            yield running


def expect_door(page: Page) -> None:
    """Somebody is to log in first, and sees nothing else."""
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("link", name="Library")).to_have_count(0)
    expect(page.get_by_text("A film")).to_have_count(0)


def log_in(page: Page, server: Server, email: str) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=email).click()
    page.wait_for_url(f"{server.url}/")
    settled(page)


def open_page(page: Page, name: str) -> None:
    page.get_by_role("link", name=name).click()
    page.wait_for_url(f"**/{name.lower()}")
    settled(page)


def test_a_stranger_meets_a_door_on_every_page(page: Page, server: Server) -> None:
    for path in ("/library", "/status"):
        page.goto(server.url + path)
        expect_door(page)


def test_who_is_known_but_has_no_role_is_told_so_and_can_leave(page: Page, server: Server) -> None:
    log_in(page, server, EVE)
    expect(page.get_by_text(f"You are logged in as {EVE}.")).to_be_visible()
    expect(page.get_by_role("link", name="Library")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    expect_door(page)


def test_an_analyst_brings_a_file_and_removes_none(
    page: Page, server: Server, tmp_path: Path
) -> None:
    log_in(page, server, ANN)
    open_page(page, "Library")
    page.get_by_text("Add videos").click()
    film = make_video(tmp_path / "Another.mp4", seconds=2.0)
    expect(page.get_by_text("Up to 4 GB each")).to_be_visible(timeout=WAIT_MS)
    with page.expect_response(lambda answer: "/upload" in answer.url) as upload:
        page.locator("[data-testid=uploader] input[type=file]").set_input_files(film)
    assert upload.value.status == 201
    expect(page.get_by_role("button", name="Remove A film")).to_have_count(0)


def test_a_viewer_plays_what_nobody_else_can_open_and_an_administrator_reads_of_it(
    page: Page, server: Server
) -> None:
    log_in(page, server, VIC)
    with page.expect_response(lambda answer: "/heat/" in answer.url) as heat:
        search(page, "a film")
    with page.expect_response(lambda answer: "/video/" in answer.url) as video:
        page.get_by_test_id("moment").first.locator(".picture").click()
    assert (heat.value.status, video.value.status) == (200, 206)
    for address in (heat.value.url, video.value.url):
        assert httpx.get(address).status_code == 403
    open_page(page, "Library")
    expect(page.get_by_text("1 video, 0:04 in all")).to_be_visible()
    expect(page.get_by_text("Add videos")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove A film")).to_have_count(0)
    page.get_by_role("link", name="Log out").click()
    expect_door(page)

    log_in(page, server, ADA)
    open_page(page, "Library")
    expect(page.get_by_role("button", name="Remove A film")).to_be_visible()
    open_page(page, "Status")
    with page.expect_download() as table:
        page.get_by_role("button", name="Audit log as CSV").click()
    assert f"{VIC},viewer,searched,a film" in table.value.path().read_text(encoding="utf-8-sig")
