"""The real app in a real browser: one server with the sample library for all journeys."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent.parent
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
START_SEC = 60
SAMPLES_SEC = 180


@dataclass(frozen=True)
class Server:
    """A running app: where it answers, where its data is, what it has printed."""

    url: str
    data_dir: Path
    log: Path


@contextmanager
def running_app(folder: Path, *, script: str = "app.py", **environment: str) -> Iterator[Server]:
    """An app on a free port with its own data directory, ended afterwards.

    What it printed is shown by pytest when a test fails.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(f"http://127.0.0.1:{port}", folder / "data", folder / "server.log")
    settings = {
        "SEEKPOINT_EMBEDDER": "local",
        "SEEKPOINT_DATA_DIR": str(server.data_dir),
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
        "STREAMLIT_SERVER_HEADLESS": "true",
        "PYTHONPATH": str(ROOT),
    }
    with server.log.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script],
            cwd=ROOT,
            env=os.environ | settings | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_healthy(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)
        sys.stdout.write(server.log.read_text())


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SEC
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{server.url}/_stcore/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            continue
    raise AssertionError(f"the app did not start:\n{server.log.read_text()}")


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


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


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
