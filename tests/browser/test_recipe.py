"""A question of several parts, in a real browser: put together, judged, shared, walked back through."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app_server import Server
from tests.browser.conftest import chip, search, search_box, settled

# Puts a plain red picture into the clipboard, as a screenshot tool does.
COPY_A_PICTURE = """async ([width, height]) => {
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d");
  brush.fillStyle = "rgb(200, 30, 30)";
  brush.fillRect(0, 0, width, height);
  const picture = await canvas.convertToBlob({ type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""


@pytest.fixture
def page(page: Page) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def moments(page: Page) -> Locator:
    return page.get_by_test_id("moment")


def order(page: Page) -> list[tuple[str, str]]:
    """The shown moments with their scores."""
    settled(page)
    return [
        tuple(pair)
        for pair in moments(page).evaluate_all(
            "all => all.map(c => [c.dataset.id, c.dataset.score])"
        )
    ]


def paste_a_picture(page: Page, size: tuple[int, int] = (320, 180)) -> None:
    page.evaluate(COPY_A_PICTURE, list(size))
    page.keyboard.press("Control+V")


def saved_id(page: Page, *, other_than: str = "") -> str:
    """The id in the address, once there is another one."""
    page.wait_for_function(
        "old => (new URL(location.href).searchParams.get('s') ?? old) !== old", arg=other_than
    )
    return str(page.evaluate("new URL(location.href).searchParams.get('s')"))


def press(card: Locator, name: str) -> None:
    card.hover()
    card.get_by_role("button", name=name, exact=True).click()


def test_a_recipe_is_put_together_judged_shared_and_walked_back(
    sampled: Server, page: Page, browser: Browser
) -> None:
    page.goto(sampled.url)
    search(page, "a surface")
    typed = order(page)

    paste_a_picture(page)
    expect(chip(page, "Picture: pasted")).to_be_visible()
    with_picture = saved_id(page)
    mixed = order(page)
    assert mixed != typed

    chip(page, "Picture: pasted").click()
    slider = page.get_by_role("slider", name="Weight")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(chip(page, "Picture: pasted 1.5")).to_be_visible()
    settled(page)
    weighted = saved_id(page, other_than=with_picture)
    page.keyboard.press("Escape")
    before = order(page)
    assert before != mixed

    seen = {weighted}
    for (moment, _), name in zip(before, ("Bad match", "Good match", "Good match")):
        last = saved_id(page)
        press(page.locator(f'[data-testid="moment"][data-id="{moment}"]'), name)
        seen.add(saved_id(page, other_than=last))
        settled(page)
    expect(page.get_by_role("button", name="2 good, 1 bad")).to_be_visible()
    expect(page.get_by_text("2 of 2 good ones are on this page")).to_be_visible()
    judged = order(page)
    assert judged != before
    assert len(seen) == 4

    page.get_by_role("button", name="Copy link", exact=True).click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    other = browser.new_context()
    colleague = other.new_page()
    colleague.goto(link)
    expect(moments(colleague).first).to_be_visible()
    assert order(colleague) == judged
    expect(search_box(colleague)).to_have_value("a surface")
    other.close()

    for _ in range(3):
        page.go_back()
        settled(page)
    page.wait_for_function(
        "id => new URL(location.href).searchParams.get('s') === id", arg=weighted
    )
    # The page follows the address one step after the other.
    expect(page.get_by_role("button", name=re.compile(r"\d (good|bad)$"))).to_have_count(0)
    assert order(page) == before
    expect(chip(page, "Picture: pasted 1.5")).to_be_visible()
