"""A newcomer's first minutes: from a fresh clone to a searchable sample library.

`python -m benchmarks.fresh` clones this repository into a passing folder, runs `make run` there
with an empty home directory, presses the button in a real browser, and prints how long it takes
until the app answers and until every sample can be searched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from benchmarks.start import ROOT, free_port, healthy

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
GIVE_UP_SEC = 600.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        port = free_port()
        settings = {
            "HOME": str(home),
            "SEEKPOINT_EMBEDDER": "local",
            "SEEKPOINT_DATA_DIR": str(home / "data"),
            "STREAMLIT_SERVER_PORT": str(port),
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "STREAMLIT_SERVER_HEADLESS": "true",
        }
        begun = time.perf_counter()
        app = subprocess.Popen(
            ["make", "run"], cwd=clone, env=os.environ | settings, start_new_session=True
        )
        try:
            while not healthy(port):
                if app.poll() is not None or time.perf_counter() - begun > GIVE_UP_SEC:
                    raise SystemExit("the app did not start")
                time.sleep(0.1)
            print(f"make run answers after {time.perf_counter() - begun:6.1f} s")
            print(f"samples searchable after {load_samples(port):6.1f} s")
        finally:
            os.killpg(app.pid, signal.SIGTERM)
            app.wait(timeout=60)


def load_samples(port: int) -> float:
    """Seconds from the click until the last sample can be searched."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        button = page.get_by_role("button", name="Load the sample library")
        button.wait_for(timeout=60_000)
        begun = time.perf_counter()
        button.click()
        expect(page.get_by_label("Search", exact=True)).to_be_visible(timeout=180_000)
        expect(page.get_by_text("Adding videos")).to_have_count(0, timeout=180_000)
        taken = time.perf_counter() - begun
        browser.close()
    return taken


if __name__ == "__main__":
    main()
