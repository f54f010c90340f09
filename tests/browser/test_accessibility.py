"""Whole pages under the rules of axe, in both themes; the grid's views have a test of their own."""

from __future__ import annotations

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.app_server import Server
from tests.browser.conftest import settled

PAGES = {
    "/?q=a+rocket+taking+off+-snow": "Select all above the cut",
    "/?q=submarine": "The nearest misses",
    "/library": "Add videos",
    "/status": "Milvus",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_keeps_anybody_out(
    sampled: Server, page: Page, path: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(sampled.url + path)
    expect(page.get_by_text(PAGES[path]).first).to_be_visible(timeout=30_000)
    settled(page)
    results = Axe().run(page).response
    assert results["passes"]
    assert [(rule["id"], rule["nodes"]) for rule in results["violations"]] == []
