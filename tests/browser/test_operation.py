"""The Status page in a browser: on a phone and on a desk."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app_server import Server
from tests.browser.conftest import settled


@pytest.mark.parametrize("width", [390, 1280])
def test_the_status_page_fits_every_screen(sampled: Server, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{sampled.url}/status")
    expect(page.get_by_role("heading", name="Times")).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_text("18 ready", exact=True)).to_be_visible()
    times = page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller")
    assert times.evaluate("table => table.scrollWidth <= table.clientWidth")
    assert page.evaluate(
        """[...document.querySelectorAll("html, [data-testid=stMain]")].every(
        e => e.scrollWidth <= e.clientWidth)"""
    )
