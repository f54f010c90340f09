"""The real app in a real browser: one server with the sample library for all journeys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.app_server import ROOT, Server, running_app
from tests.browser.grid_page import WATCH_FIRST_FRAMES, make_films

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}
SAMPLES_SEC = 180

# Of what comes in its own time: on a machine with other work to do that is not five seconds.
expect.set_options(timeout=20_000)


def settled(page: Page) -> None:
    """Waits until Streamlit has finished the current run."""
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=30_000
    )


def search_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Search", exact=True).or_(
        page.get_by_role("searchbox", name="Search", exact=True)
    )


def search(page: Page, text: str) -> None:
    """Types a query, presses Enter and waits for its moments."""
    box = search_box(page)
    box.fill(text)
    box.press("Enter")
    page.wait_for_function("q => new URL(location.href).searchParams.get('q') === q", arg=text)
    settled(page)
    expect(page.get_by_test_id("moment").first).to_be_visible()


def chip(page: Page, name: str) -> Locator:
    """The chip of a part, which opens its settings, or of a filter."""
    return page.locator(".st-key-search_chips").get_by_role("button", name=name).first


def readme_picture(page: Page, variable: str, *, cards: int) -> bytes:
    """The page once its first cards have their pictures, kept where the environment says so."""
    page.wait_for_function(
        """cards => [...document.querySelectorAll('*')].flatMap(e => e.shadowRoot ?
        [...e.shadowRoot.querySelectorAll('[data-testid=moment]')] : []).slice(0, cards).every(
          card => card.dataset.poster === 'ready' &&
          getComputedStyle(card.querySelector('.poster')).opacity === '1')""",
        arg=cards,
    )
    wanted = os.environ.get(variable)
    return page.screenshot(path=ROOT / wanted if wanted else None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """One visitor for nearly all tests, with one tab: Streamlit's files stay compiled in it, which
    takes a new one longer than most tests."""
    context = browser.new_context(viewport=VIEWPORT)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A page of a visitor who has left nothing behind. It may break no rule of its own policy.

    A script of `add_init_script` stays in it unless it is used in a `with`.
    """
    tab = visitor.pages[0] if visitor.pages else visitor.new_page()
    broken: list[str] = []

    def note(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            broken.append(line.text)

    tab.on("console", note)
    yield tab
    tab.remove_listener("console", note)
    for opened in visitor.pages:
        if opened != tab:
            opened.close()
    if not tab.is_closed():
        _leave_nothing(tab)
    visitor.clear_permissions()
    visitor.clear_cookies()
    assert broken == []


def _leave_nothing(tab: Page) -> None:
    tab.unroute_all()
    if tab.url.startswith("http"):
        tab.evaluate("sessionStorage.clear(); localStorage.clear()")
    tab.goto("about:blank")
    tab.mouse.move(0, 0)
    tab.set_viewport_size(VIEWPORT)
    tab.emulate_media(color_scheme="null", reduced_motion="null")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor for one test alone, which may change what all of their pages share."""
    context = browser.new_context(viewport=VIEWPORT)
    yield context
    context.close()


@pytest.fixture(scope="package")
def sampled(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """A first start on an empty data directory; the sample library is loaded by its button."""
    with running_app(tmp_path_factory.mktemp("sampled")) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Load the sample library").click()
        expect(search_box(page)).to_be_visible(timeout=SAMPLES_SEC * 1000)
        expect(page.get_by_text("Adding videos")).to_have_count(0, timeout=SAMPLES_SEC * 1000)
        page.close()
        yield server


@pytest.fixture(scope="package")
def grid_media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the videos of the grid's page."""
    media = tmp_path_factory.mktemp("media")
    make_films(media)
    return media


@pytest.fixture(scope="package")
def grid(grid_media: Path) -> Iterator[str]:
    """The address of a page with nothing but the results grid."""
    with running_app(
        grid_media, script="tests/browser/grid_app.py", GRID_MEDIA=str(grid_media)
    ) as server:
        yield server.url


@pytest.fixture
def grid_page(page: Page) -> Iterator[Page]:
    """A page that notes the first frame of each player."""
    with page.add_init_script(WATCH_FIRST_FRAMES):
        yield page


@pytest.fixture
def starts_noted(page: Page) -> Iterator[None]:
    """The page keeps in `starts` where each player begins, before the browser moves on."""
    with page.add_init_script(
        """window.starts = [];
        const play = HTMLVideoElement.prototype.play;
        HTMLVideoElement.prototype.play = function () {
          window.starts.push(this.currentTime);
          return play.call(this);
        };"""
    ):
        yield
