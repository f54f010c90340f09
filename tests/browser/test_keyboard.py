"""From the question to the file without a mouse."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from playwright.sync_api import Locator, Page, expect

from tests.app_server import Server
from tests.browser.conftest import search_box, settled

_MOST_STOPS = 80
_HAS_FOCUS = """(element) => {
  const inside = element.getRootNode().activeElement;
  return inside !== null && (element === inside || element.contains(inside));
}"""


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Goes from stop to stop until `target` has the focus."""
    for _ in range(_MOST_STOPS):
        page.keyboard.press(key)
        if target.evaluate(_HAS_FOCUS):
            return
    raise AssertionError(f"{target} is not reached by {key}")


def test_a_moment_is_asked_for_played_ticked_and_exported_by_keys_alone(
    sampled: Server, page: Page
) -> None:
    page.goto(sampled.url)
    expect(search_box(page)).to_be_visible()
    tab_to(page, search_box(page))
    page.keyboard.type("a rocket taking off")
    page.keyboard.press("Enter")
    cards = page.get_by_test_id("moment")
    expect(cards.first).to_be_visible()
    settled(page)

    tab_to(page, cards.first)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(cards.first).to_have_attribute("data-state", "playing")
    page.keyboard.press("Space")
    expect(cards.first).to_have_attribute("data-state", "paused")
    page.keyboard.press("Escape")
    expect(cards.first).to_have_attribute("data-state", "idle")
    page.keyboard.press("x")
    expect(page.get_by_text("1 moment selected")).to_be_visible()
    settled(page)

    tab_to(page, page.get_by_role("button", name="Export"), "Shift+Tab")
    page.keyboard.press("Enter")
    table = page.get_by_role("button", name="Table (CSV)")
    expect(table).to_be_visible()
    tab_to(page, table)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    rows = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert list(rows["title"]) == ["Rocket leaves the launch pad"]
