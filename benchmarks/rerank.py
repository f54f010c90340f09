"""A thumb to a new order: what a viewer waits for after calling a moment good or bad.

`python -m benchmarks.rerank` loads the sample library with the local embedder, gives thumbs in a
real browser, and prints the time from the click to the frame that shows the new order.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.fresh import CHROMIUM, load_samples
from tests.app_server import running_app

QUERIES = ("skyscrapers at night", "a rocket taking off", "a boat", "snow")
THUMBS = ("up", "up", "down", "up", "down")
# The new order is there once other scores are; the frame after that is the one that shows them.
THUMB = """async ([place, name]) => {
  const cards = () => [...document.querySelectorAll("*")]
    .flatMap((e) => (e.shadowRoot ? [...e.shadowRoot.querySelectorAll(".card")] : []));
  const order = () => JSON.stringify(cards().map((c) => [c.dataset.id, c.dataset.score]));
  const before = order();
  const begun = performance.now();
  cards()[place % cards().length].querySelector(`.${name}`).click();
  const frame = () => new Promise(requestAnimationFrame);
  while (order() === before) await frame();
  await frame();
  return performance.now() - begun;
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder)) as server:
        load_samples(urlsplit(server.url).port or 80)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
            page = browser.new_page()
            taken = [ms for query in QUERIES for ms in rerank(page, server.url, query)]
            browser.close()
    p90 = statistics.quantiles(taken, n=10)[-1]
    print(f"thumb to new order {statistics.median(taken):6.0f} ms p50, {p90:.0f} ms p90")


def rerank(page: Page, url: str, query: str) -> list[float]:
    """Milliseconds of each thumb given to the answer to a query, one after the other."""
    page.goto(f"{url}/?{urlencode({'q': query})}")
    expect(page.get_by_test_id("moment").first).to_be_visible(timeout=30_000)
    taken: list[float] = []
    for place, thumb in enumerate(THUMBS):
        taken.append(page.evaluate(THUMB, [place, thumb]))
        expect(page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        # Nobody judges a card before it is there whole.
        expect(page.locator(".strip").first).to_have_attribute("data-heat", "ready")
    return taken


if __name__ == "__main__":
    main()
