"""From the library as a whole to a moment that plays and to a search, in a real browser."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FloatRect, Locator, Page, expect

from components.format import clock
from tests.app_server import Server
from tests.browser.conftest import readme_picture, search, search_box, settled
from tests.browser.grid_page import seconds
from tests.browser.test_journeys import expect_no_sideways_scroll

BLACK, WHITE = "rgb(0, 0, 0)", "rgb(255, 255, 255)"
LAST_WORDS = {
    "map": "As a table",
    "clusters": "all the same",
    "outliers": "most like it",
}


def the_map(page: Page) -> Locator:
    return page.locator(".vega-embed canvas")


def open_map(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/explore")
    expect(the_map(page)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Reading the words")).to_have_count(0, timeout=60_000)
    settled(page)


def box_of(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box is not None
    return box


def pick_left_third(page: Page) -> None:
    """Drags over the left third of the map."""
    chart = box_of(the_map(page))
    page.mouse.move(chart["x"] + 2, chart["y"] + 2)
    page.mouse.down()
    page.mouse.move(chart["x"] + chart["width"] / 3, chart["y"] + chart["height"] - 2, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Search in these")).to_be_visible()
    settled(page)


def open_view(page: Page, server: Server, view: str) -> None:
    """A view with all it has to say, the map with something picked."""
    page.goto(f"{server.url}/explore?view={view}")
    expect(page.get_by_text(LAST_WORDS[view])).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Reading the words")).to_have_count(0, timeout=60_000)
    settled(page)
    if view == "map":
        expect(the_map(page)).to_be_visible()
        pick_left_third(page)


def points_in_left_third(server: Server) -> int:
    """From the map that the server keeps; it is drawn from -1.08 to 1.08."""
    (kept,) = server.data_dir.glob("explore/*/map-visual-*.npz")
    return int((np.load(kept)["points"][:, 0] < 1.08 * (2 / 3 - 1)).sum())


def point_to_a_moment(page: Page) -> dict[str, str]:
    """Moves over the map until a moment is named that is not the first of its video."""
    chart = box_of(the_map(page))
    tooltip = page.locator("#vg-tooltip-element.visible")
    for y in range(40, 360, 8):
        for x in range(20, int(chart["width"]) - 20, 8):
            page.mouse.move(chart["x"] + x, chart["y"] + y)
            if tooltip.count():
                rows = tooltip.locator("tr").all()
                said = dict(row.locator("td").all_inner_texts() for row in rows)
                if not said["Time"].startswith("0:00"):
                    return said
    raise AssertionError("the map names no such moment")


@pytest.mark.usefixtures("starts_noted")
def test_a_click_on_the_map_plays_the_moment_at_its_offset(sampled: Server, page: Page) -> None:
    open_map(page, sampled)
    said = point_to_a_moment(page)
    page.mouse.down()
    page.mouse.up()
    card = page.get_by_test_id("moment").first
    expect(card).to_have_attribute("data-state", "playing", timeout=30_000)
    expect(card.get_by_role("heading")).to_have_text(said["Video"])
    start = seconds(card, "start")
    assert start > 0
    assert clock(start) == said["Time"].split(" to ")[0]
    assert abs(page.evaluate("starts[0]") - start) <= 0.05
    assert card.locator("video").evaluate("video => video.currentTime") >= start
    # Its neighbours stand beside it, and do not play.
    assert page.get_by_test_id("moment").count() == 8
    assert page.locator("video").count() == 1


def test_what_is_dragged_over_becomes_a_filter_of_the_search(sampled: Server, page: Page) -> None:
    open_map(page, sampled)
    pick_left_third(page)
    said = page.get_by_text(re.compile(r"^\d+ moments of \d+ videos$")).inner_text()
    moments, videos = (int(number) for number in re.findall(r"\d+", said))
    assert moments == points_in_left_third(sampled)
    assert 1 < videos < 10
    page.get_by_role("button", name=f"Search in these {videos} videos").click()
    expect(search_box(page)).to_be_visible()
    search(page, "a rocket taking off")
    video_ids = parse_qs(urlsplit(page.evaluate("location.href")).query)["video"]
    assert len(video_ids) == videos
    found = page.get_by_test_id("moment").evaluate_all("all => all.map(c => c.dataset.videoId)")
    assert found
    assert set(found) <= set(video_ids)


def test_the_table_picks_on_the_map_without_a_mouse(sampled: Server, page: Page) -> None:
    open_map(page, sampled)
    page.get_by_role("switch", name="As a table").focus()
    page.keyboard.press("Space")
    grid = page.get_by_test_id("data-grid-canvas")
    expect(grid).to_be_visible()
    settled(page)
    # The buttons over the table come first.
    for _ in range(8):
        page.keyboard.press("Tab")
        if grid.evaluate("grid => grid === document.activeElement"):
            break
    for key in ("ArrowDown", "ArrowRight", "Shift+Space"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("moment").first).to_have_attribute("data-state", "playing")


def test_a_view_has_an_address_and_back_leads_to_the_one_before(
    sampled: Server, page: Page
) -> None:
    page.goto(f"{sampled.url}/explore?view=clusters")
    expect(page.get_by_text(LAST_WORDS["clusters"])).to_be_visible(timeout=60_000)
    page.get_by_role("radio", name="Outliers").click()
    page.wait_for_function("() => location.search === '?view=outliers'")
    expect(page.get_by_text(LAST_WORDS["outliers"])).to_be_visible()
    page.go_back()
    expect(page.get_by_role("radio", name="Clusters")).to_be_checked()
    expect(page.get_by_text(LAST_WORDS["clusters"])).to_be_visible()


def test_a_cluster_is_found_again_on_the_map(sampled: Server, page: Page) -> None:
    page.goto(f"{sampled.url}/explore?view=clusters")
    expect(page.get_by_text(LAST_WORDS["clusters"])).to_be_visible(timeout=60_000)
    settled(page)
    page.get_by_role("combobox", name="Cluster").click()
    page.get_by_role("option").nth(1).click()
    page.get_by_role("button", name="Show on the map").click()
    expect(the_map(page)).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Cluster 1")).to_be_visible()
    expect(page.get_by_role("button", name="Search in th")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Cluster 1")).to_have_count(0)
    expect(page.get_by_test_id("moment")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", LAST_WORDS)
def test_no_view_keeps_anybody_out(
    sampled: Server, page: Page, view: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    open_view(page, sampled, view)
    # What the page says of its look comes a moment after its words.
    chosen = page.get_by_role("radio", checked=True).first.locator("p")
    expect(chosen).to_have_css("color", {"light": BLACK, "dark": WHITE}[scheme])
    results = Axe().run(page).response
    assert results["passes"]
    assert [(rule["id"], rule["nodes"]) for rule in results["violations"]] == []


@pytest.mark.parametrize("view", LAST_WORDS)
def test_no_view_scrolls_sideways_on_a_phone(sampled: Server, page: Page, view: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_view(page, sampled, view)
    expect_no_sideways_scroll(page)


def test_the_screenshot_of_the_readme_shows_the_map(sampled: Server, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    open_map(page, sampled)
    pick_left_third(page)
    assert len(readme_picture(page, "README_SCREENSHOT_EXPLORE", cards=2)) > 50_000
