"""Exploring a large library in a real browser, while somebody else searches it.

`python -m benchmarks.explore [segments]` makes a library of 100,000 segments of 512 dimensions,
unless told otherwise, and starts the app on it. It prints the time from opening the map to the
frame that shows it, the most memory the app held meanwhile, how long a search took in another tab
before and meanwhile, and the second visit: from another page of the app, in a new tab, which loads
Streamlit first, and after a restart. Words become vectors at a stand-in for the service on this
machine.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright

from benchmarks.fresh import CHROMIUM
from benchmarks.page import ask
from benchmarks.upload import memory_of
from core import Library, Settings, Video, open_library
from core.models import EmbeddedSegment
from core.state import StoredVideo
from tests.app_server import running_app
from tests.contract.standin import StandIn

SEGMENTS = 100_000
SEGMENTS_OF_VIDEO = 200
TOPICS = 24
SEGMENT_SEC = 6.0
KEY = "tlk_0123456789ABCDEF"
GIVE_UP_MS = 300_000
WORDS = ("harbour", "engine", "violin", "desert", "kitchen", "parade", "tunnel", "glacier")


def main() -> None:
    segments = int(sys.argv[1]) if len(sys.argv) > 1 else SEGMENTS
    with (
        tempfile.TemporaryDirectory() as folder,
        StandIn(key=KEY) as service,
        sync_playwright() as playwright,
    ):
        settings = Settings(
            data_dir=Path(folder) / "data",
            embedder="twelvelabs",
            twelvelabs_api_key=KEY,
            twelvelabs_base_url=service.url,
        )
        with open_library(settings) as library:
            fill(library, segments)
        started = partial(
            running_app,
            Path(folder),
            SEEKPOINT_LOG_LEVEL="WARNING",
            SEEKPOINT_EMBEDDER="twelvelabs",
            TWELVELABS_API_KEY=KEY,
            TWELVELABS_BASE_URL=service.url,
        )
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        with started() as server:
            context = browser.new_context()
            questions = (f"{a} {b}" for a, b in itertools.permutations(WORDS, 2))
            search = context.new_page()
            search.goto(server.url)
            ask(search, next(questions))
            before = [ask(search, next(questions)) for _ in range(10)]
            with memory_of(server.process.pid) as memory:
                begun = time.perf_counter()
                explore = open_map(context, server.url)
                meanwhile = []
                while not the_map(explore).count():
                    meanwhile.append(ask(search, next(questions)))
                first = time.perf_counter() - begun
            explore.close()
            second = statistics.median(come_back(search) for _ in range(5))
            new_tab = visit(context, server.url)
        with started() as server:
            restarted = visit(browser.new_context(), server.url)
        browser.close()
    print(f"{segments:,} segments of 512 dimensions")
    print(f"map and clusters, first visit      {first:6.1f} s")
    print(f"  memory of the app, at most       {memory.most:6.0f} MB")
    print(f"  a search before                  {_in_words(before)}")
    print(f"  a search meanwhile               {_in_words(meanwhile)}")
    print(f"second visit, p50 of 5             {second:6.1f} s")
    print(f"  in a new tab                     {new_tab:6.1f} s")
    print(f"  in a new tab after a restart     {restarted:6.1f} s")


def fill(library: Library, segments: int) -> None:
    """Videos with a look of their own that go from topic to topic, so that there are clusters."""
    random = np.random.default_rng(3)
    dimension = library.capabilities.dimension
    topics = random.normal(size=(TOPICS, dimension))
    now = datetime.now(UTC)
    for number in range(-(-segments // SEGMENTS_OF_VIDEO)):
        count = min(SEGMENTS_OF_VIDEO, segments - number * SEGMENTS_OF_VIDEO)
        scenes = np.repeat(random.integers(TOPICS, size=-(-count // 8)), 8)[:count]
        look = 0.4 * random.normal(size=dimension)
        vectors = topics[scenes] + look + 0.8 * random.normal(size=(count, dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        embedded = [
            EmbeddedSegment(place * SEGMENT_SEC, (place + 1) * SEGMENT_SEC, "visual", vector)
            for place, vector in enumerate(vectors.astype(np.float32))
        ]
        name = f"film{number:04}"
        added_at = now - timedelta(days=number % 90)
        stored = library._store.upsert(name, "", added_at, embedded)
        video = Video(
            id=name,
            title=name,
            video_url=f"https://media.example/{name}.mp4",
            duration=count * SEGMENT_SEC,
            category="",
            model=library.embedder.model,
            segments=count,
            added_at=added_at,
        )
        library._shelf.put(StoredVideo(video, None, tuple(stored)))


def open_map(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/explore")
    return page


def the_map(page: Page) -> Locator:
    return page.get_by_test_id("stVegaLiteChart").locator("canvas")


def come_back(page: Page) -> float:
    """Seconds from a click on "Explore" elsewhere in the app to the frame that shows the map."""
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Twelve Labs")).to_be_visible(timeout=GIVE_UP_MS)
    expect(the_map(page)).to_have_count(0, timeout=GIVE_UP_MS)
    begun = time.perf_counter()
    page.get_by_role("link", name="Explore").click()
    expect(the_map(page)).to_be_visible(timeout=GIVE_UP_MS)
    return time.perf_counter() - begun


def visit(context: BrowserContext, url: str) -> float:
    """Seconds from opening the map in a new tab to the frame that shows it."""
    begun = time.perf_counter()
    page = open_map(context, url)
    expect(the_map(page)).to_be_visible(timeout=GIVE_UP_MS)
    taken = time.perf_counter() - begun
    page.close()
    return taken


def _in_words(taken: list[float]) -> str:
    most = max(taken)
    return f"{statistics.median(taken):6.0f} ms p50, {most:.0f} ms at most, of {len(taken)}"


if __name__ == "__main__":
    main()
