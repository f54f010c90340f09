"""Adding videos from beginning to end, in a real browser: the service is the project's stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import web as served
from tests.app_server import Server, running_app
from tests.browser.conftest import settled
from tests.contract.standin import StandIn
from tests.media import make_video
from tests.web import Web

LONG = 60_000
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@dataclass
class World:
    """The app, the service it pays, and the web that its videos are on."""

    app: Server
    service: StandIn
    web: Web
    film: served.Page

    def put(self, *names: str) -> list[str]:
        return [self.web.put(f"/{name}.mp4", self.film) for name in names]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> served.Page:
    """Six seconds of video."""
    path = make_video(tmp_path_factory.mktemp("film") / "film.mp4", seconds=6, fps=5)
    return served.Page(path.read_bytes())


@pytest.fixture
def world(tmp_path: Path, film: served.Page) -> Iterator[World]:
    with (
        Web() as web,
        StandIn(allow_private_media=True, task_seconds=1.5) as service,
        running_app(
            tmp_path,
            SEEKPOINT_EMBEDDER="twelvelabs",
            SEEKPOINT_ALLOW_PRIVATE_URLS="1",
            TWELVELABS_API_KEY="tlk_0123456789ABCDEF",
            TWELVELABS_BASE_URL=service.url,
            TWELVELABS_REQUESTS_PER_MINUTE="1000",
        ) as app,
    ):
        yield World(app, service, web, film)


def addresses(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Addresses of video files")


def queue(page: Page) -> Locator:
    return page.get_by_role("heading", name="Queue")


def expect_no_sideways_scroll(page: Page) -> None:
    """On a phone; a table may scroll by itself."""
    page.set_viewport_size(PHONE)
    page.wait_for_function(
        """() => [...document.querySelectorAll("html, [data-testid=stMain]")].every(
        e => e.scrollWidth <= e.clientWidth)"""
    )
    page.set_viewport_size(DESK)


def review(page: Page, text: str) -> None:
    """Pastes addresses and waits until everything was looked at."""
    addresses(page).fill(text)
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    expect(page.get_by_text("Looked at")).to_have_count(0, timeout=LONG)
    settled(page)


def edit(page: Page, row: int, column: int, text: str) -> None:
    """Types into a cell of the review table, which is drawn on a canvas; both count from 0."""
    left = sum((70, 200)[:column])
    page.get_by_test_id("stDataFrame").dblclick(position={"x": left + 30, "y": 35 * (row + 1) + 18})
    cell = page.locator(".gdg-input")
    cell.fill(text)
    cell.press("Enter")
    expect(page.locator("[role=gridcell]").filter(has_text=text)).to_have_count(1)


def test_twelve_addresses_come_in_while_nobody_looks(world: World, page: Page) -> None:
    names = [f"film {number:02}" for number in range(12)]
    urls = world.put(*(name.replace(" ", "_") for name in names))
    page.goto(f"{world.app.url}/library")
    review(page, "\n".join([*urls[:11], "", f"{urls[11]}, Sports", urls[0]]))
    expect(page.get_by_text("12 videos, 1:12, about 0.05 USD, 1 cannot be added")).to_be_visible()
    edit(page, 0, 1, "The first one")
    page.get_by_text("Why some cannot be added").click()
    expect(page.get_by_text("Line 14: The same address as line 1.")).to_be_visible()
    expect_no_sideways_scroll(page)

    world.web.put("/film_05.mp4", served.Page(status=404, kind="text/plain"))
    page.get_by_role("button", name="Add 12 videos").click()
    expect(queue(page)).to_be_visible()
    page.close()

    again = page.context.new_page()
    again.goto(f"{world.app.url}/library")
    expect(queue(again)).to_be_visible()
    expect(again.get_by_text("12 of 12 done")).to_have_count(0)
    retry = again.get_by_role("button", name="Try again film 05")
    expect(again.get_by_role("radio", name="Done 11")).to_be_visible(timeout=LONG)
    expect(again.get_by_text("11 videos, 1:06 in all")).to_be_visible()
    expect_no_sideways_scroll(again)

    world.put("film_05")
    retry.click()
    expect(again.get_by_text("12 videos added", exact=True)).to_be_visible(timeout=LONG)
    expect(again.get_by_text("12 videos, 1:12 in all")).to_be_visible()
    expect(again.get_by_text("The first one", exact=True).last).to_be_visible()
    expect(again.get_by_text("Sports", exact=True)).to_be_visible()
    assert len(world.service.tasks) == 12

    again.get_by_role("button", name="Remove film 03").click()
    again.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(again.get_by_text("11 videos, 1:06 in all")).to_be_visible()
    expect(again.get_by_role("button", name="Remove film 03")).to_have_count(0)


def test_typing_goes_on_while_videos_come_in(world: World, page: Page) -> None:
    page.goto(f"{world.app.url}/library")
    review(page, "\n".join(world.put("one", "two", "three")))
    page.get_by_role("button", name="Add 3 videos").click()
    expect(queue(page)).to_be_visible()
    page.get_by_text("Add videos", exact=True).click()
    addresses(page).click()
    typed = ""
    while not page.get_by_text("3 videos added", exact=True).is_visible():
        page.keyboard.type("a ")
        typed += "a "
        assert len(typed) < 5_000
    assert len(typed) > 20
    expect(addresses(page)).to_be_focused()
    expect(addresses(page)).to_have_value(typed)


def test_a_question_stays_on_the_screen_while_the_queue_moves(world: World, page: Page) -> None:
    world.service.task_seconds = 600
    page.goto(f"{world.app.url}/library")
    review(page, "\n".join(world.put("slow", "slower")))
    page.get_by_role("button", name="Add 2 videos").click()
    expect(page.get_by_text("Embedding").nth(1)).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Cancel slower").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Drop it").click()
    redraws = page.evaluate(
        """() => new Promise(done => { let seen = 0; new MutationObserver((_, me) => {
        if (++seen == 2) { me.disconnect(); done(seen) } }).observe(
        document.querySelector('[data-testid="stApp"]'),
        {attributes: true, attributeFilter: ['data-test-script-state']}) })"""
    )
    assert redraws == 2
    expect(dialog.get_by_role("radio", name="Drop it")).to_be_checked()
    dialog.get_by_role("button", name="Cancel it").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Try again slower")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Cancel slow", exact=True)).to_be_visible()
