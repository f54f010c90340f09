"""The real app in a real browser: one server with the sample library for all journeys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests import web as served
from tests.app_server import ROOT, Server, running_app
from tests.browser.grid_page import WATCH_FIRST_FRAMES, make_films
from tests.web import Web

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
    """One visitor for nearly all tests: a page of theirs stays open, and with it the process that
    has compiled Streamlit's files, which takes longer than most tests."""
    context = browser.new_context(viewport=VIEWPORT)
    with Web() as web:
        address = web.put("/", served.Page(b"This page stays open.", "text/plain"))
        context.new_page().goto(address)
        yield context
    context.close()


def _is_violation(text: str) -> bool:
    return "Content Security Policy" in text


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A page of a visitor who has left nothing behind. It may break no rule of its own policy."""
    staying = list(visitor.pages)
    broken: list[str] = []
    page = visitor.new_page()
    page.on("console", lambda line: broken.append(line.text) if _is_violation(line.text) else None)
    yield page
    for opened in visitor.pages:
        if opened not in staying:
            opened.close()
    visitor.clear_cookies()
    visitor.clear_permissions()
    assert broken == []


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
def grid_page(page: Page) -> Page:
    """A page that notes the first frame of each player."""
    page.set_default_timeout(20_000)
    page.add_init_script(WATCH_FIRST_FRAMES)
    return page
