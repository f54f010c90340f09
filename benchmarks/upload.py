"""One large upload through a real browser: how fast, and how much memory the server takes for it.

`python -m benchmarks.upload [GB]` sends a generated file (2 GB unless told otherwise) into the real
app, takes the browser off line half-way and on line again, and prints seconds, MB/s and by how much
the server's resident memory grew at most.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.fresh import CHROMIUM
from tests.app_server import running_app

MEGABYTE = 1 << 20
SAMPLE_SEC = 0.02
GIVE_UP_MS = 600_000


@dataclass
class Memory:
    """Resident memory of a process in MB: at first, and at its highest."""

    before: float
    most: float

    @property
    def growth(self) -> float:
        return self.most - self.before


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder) / "app") as server:
        film = make_film(Path(folder) / "film.mp4", round(gigabytes * 1024 * MEGABYTE))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
            page = browser.new_page()
            page.goto(f"{server.url}/library")
            expect(page.get_by_role("button", name="Choose files")).to_be_visible(timeout=60_000)
            begun = time.perf_counter()
            with memory_of(server.process.pid) as memory:
                upload_with_a_break(page, film)
            taken = time.perf_counter() - begun
            browser.close()
    print(f"{gigabytes:g} GB, broken once half-way and resumed")
    print(f"{taken:8.1f} s\n{gigabytes * 1024 / taken:8.0f} MB/s")
    print(f"{memory.growth:8.1f} MB of memory more than the {memory.before:.0f} MB before")


def make_film(path: Path, size: int) -> Path:
    """A file of random bytes: nothing on the way could make it smaller."""
    block = os.urandom(16 * MEGABYTE)
    with path.open("wb") as film:
        while film.tell() < size:
            film.write(block[: size - film.tell()])
    return path


def upload_with_a_break(page: Page, film: Path) -> None:
    """Sends `film`, off line for a moment when half of it is there, until it is here."""
    page.locator("[data-testid=uploader] input[type=file]").set_input_files(film)
    row = page.get_by_test_id("upload").filter(has_text=film.name)
    half = "bar => Number(bar.getAttribute('aria-valuenow')) >= 50"
    bar = row.get_by_role("progressbar").element_handle(timeout=GIVE_UP_MS)
    page.wait_for_function(half, arg=bar, timeout=GIVE_UP_MS)
    page.context.set_offline(True)
    expect(row).to_have_attribute("data-state", "paused", timeout=GIVE_UP_MS)
    page.context.set_offline(False)
    expect(row).to_have_attribute("data-state", "done", timeout=GIVE_UP_MS)


@contextmanager
def memory_of(process_id: int) -> Iterator[Memory]:
    """Watches the resident memory of a process."""
    memory = Memory(before := _resident(process_id), before)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SEC):
            memory.most = max(memory.most, _resident(process_id))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()


def _resident(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
