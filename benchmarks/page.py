"""A question to the pictures of its answer: what a viewer waits for after pressing Enter.

`python -m benchmarks.page` loads the sample library with the local embedder, asks in a real browser,
and prints the time from the key to the frame that shows the new moments, and what pictures and video
were loaded by a page of 24 moments before anybody plays one. The local embedder makes no remote
call, so none is in the time.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.fresh import CHROMIUM, load_samples
from samples import suggested_queries
from tests.app_server import running_app

FIRST, *QUERIES = suggested_queries()
# The key goes down in the page and the frame is seen in the page, so the way to it is not counted.
ASK = """() => {
  const cards = () => [...document.querySelectorAll("*")]
    .flatMap((e) => (e.shadowRoot ? [...e.shadowRoot.querySelectorAll(".card")] : []));
  const order = () => JSON.stringify(cards().map((c) => [c.dataset.id, c.dataset.score]));
  const before = order();
  const frame = () => new Promise(requestAnimationFrame);
  const pressed = new Promise((resolve) =>
    document.addEventListener("keydown", (e) => e.key === "Enter" && resolve(performance.now()), {
      capture: true, once: true,
    }));
  window.painted = pressed.then(async (begun) => {
    while (order() === before || !cards().length) await frame();
    await frame();
    return performance.now() - begun;
  });
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder)) as server:
        load_samples(urlsplit(server.url).port or 80)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            loaded = count_bytes(page)
            page.goto(server.url)
            ask(page, FIRST)
            show_all(page)
            first = dict(loaded)
            taken = [ask(page, query) for query in QUERIES]
            browser.close()
    p90 = statistics.quantiles(taken, n=10)[-1]
    print(f"question to pictures {statistics.median(taken):6.0f} ms p50, {p90:.0f} ms p90")
    print(
        f"before play: pictures {first['Image'] / 1e6:.2f} MB, video {first['Media'] / 1e6:.2f} MB"
    )


def count_bytes(page: Page) -> dict[str, int]:
    """Bytes that come over the network from now on, by what they are for."""
    loaded = {"Image": 0, "Media": 0}
    kinds: dict[str, str] = {}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on(
        "Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]})
    )

    def add(event: dict[str, object]) -> None:
        kind = kinds.get(str(event["requestId"]), "")
        if kind in loaded:
            loaded[kind] += int(str(event["dataLength"]))

    network.on("Network.dataReceived", add)
    return loaded


def show_all(page: Page) -> None:
    """Opens what is folded, and scrolls until every card has its picture."""
    page.get_by_role("button", name=re.compile("below the cut")).click()
    for card in page.get_by_test_id("moment").all():
        card.scroll_into_view_if_needed()
        expect(card).to_have_attribute("data-poster", "ready", timeout=30_000)


def ask(page: Page, query: str) -> float:
    """Milliseconds from Enter to the frame that shows the answer."""
    box = page.get_by_role("searchbox", name="Search").or_(
        page.get_by_role("textbox", name="Search")
    )
    box.fill(query)
    page.evaluate(ASK)
    box.press("Enter")
    taken: float = page.evaluate("window.painted")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    return taken


if __name__ == "__main__":
    main()
