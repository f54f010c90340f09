"""What a visitor does from beginning to end, in a real browser on the real app."""

from __future__ import annotations

import io
import re
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, TimeoutError, expect

import samples
from core import media
from core.export import CSV_COLUMNS
from tests.app_server import Server, running_app
from tests.browser.conftest import chip, readme_picture, search, search_box, settled
from tests.browser.grid_page import seconds

QUERY = "a rocket taking off"


# In a table, which has more columns than a phone is wide, the arrow keys go from cell to cell.
SIDEWAYS_SCROLLERS = """() => [...document.querySelectorAll("html, [data-testid=stMain] *")]
    .filter(e => e.scrollWidth > e.clientWidth && !e.matches(".dvn-scroller") && (e.matches("html")
        || ["auto", "scroll"].includes(getComputedStyle(e).overflowX)))
    .map(e => `${e.tagName} ${e.dataset.testid ?? e.className}: ${e.scrollWidth}`)"""


def expect_no_sideways_scroll(page: Page) -> None:
    """Neither of the page nor of a part of it, which the keyboard could not reach, once all is laid
    out."""
    try:
        page.wait_for_function(f"() => ({SIDEWAYS_SCROLLERS})().length === 0")
    except TimeoutError as error:
        raise AssertionError(page.evaluate(SIDEWAYS_SCROLLERS)) from error


@pytest.mark.usefixtures("starts_noted")
def test_a_newcomer_finds_plays_and_exports_a_moment(sampled: Server, page: Page) -> None:
    page.goto(sampled.url)
    search(page, QUERY)
    card = page.get_by_test_id("moment").first
    assert "Rocket" in card.inner_text()
    card.focus()
    card.press("Enter")
    expect(card).to_have_attribute("data-state", "finished", timeout=60_000)
    video = card.locator("video")
    assert abs(page.evaluate("starts[0]") - seconds(card, "start")) <= 0.05
    assert video.evaluate("video => video.paused")
    assert 0 <= video.evaluate("video => video.currentTime") - seconds(card, "end") <= 0.1

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Table (CSV)").click()
    table = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert tuple(table.columns) == CSV_COLUMNS
    # Those below the cut are folded away and still of the page.
    assert len(table) == 24
    assert table["start_offset_sec"][0] == seconds(card, "start")
    assert table["score"].is_monotonic_decreasing


def test_a_picture_finds_the_moment_it_was_taken_from(
    sampled: Server, page: Page, tmp_path: Path
) -> None:
    rocket = next(s.path for s in samples.sample_sources() if s.path.stem == "rocket")
    picture = tmp_path / "launch.jpg"
    media.save_poster(rocket, 6.0, picture)
    page.goto(sampled.url)
    page.get_by_role("button", name="Add a part").click()
    page.locator("input[type=file]").set_input_files(picture)
    expect(chip(page, "Picture: launch.jpg")).to_be_visible()
    # The popover makes way for the answer.
    expect(page.locator("input[type=file]")).to_have_count(0)
    card = page.get_by_test_id("moment").first
    expect(card).to_contain_text("Rocket")
    assert seconds(card, "start") <= 6.0 <= seconds(card, "end")


def test_a_clip_finds_the_video_it_was_cut_from(
    sampled: Server, page: Page, tmp_path: Path
) -> None:
    rocket = next(s.path for s in samples.sample_sources() if s.path.stem == "rocket")
    clip = tmp_path / "launch.mp4"
    media.cut(rocket, 4.5, 7.5, clip)
    page.goto(sampled.url)
    page.get_by_role("button", name="Add a part").click()
    page.locator("input[type=file]").set_input_files(clip)
    expect(chip(page, "Clip: launch.mp4")).to_be_visible()
    expect(page.get_by_test_id("moment").first).to_contain_text("Rocket")


def test_more_like_this_starts_a_search_that_its_address_repeats(
    sampled: Server, page: Page
) -> None:
    page.goto(sampled.url)
    search(page, "skyscrapers at night")
    card = page.get_by_test_id("moment").first
    title = card.get_by_role("heading").inner_text()
    card.hover()
    card.get_by_role("button", name="More like this").click()
    page.wait_for_function("() => new URL(location.href).searchParams.has('like')")
    expect(search_box(page)).to_have_value("")
    expect(chip(page, f"{title}, ")).to_be_visible()
    expect(page.get_by_test_id("moment").first).to_have_accessible_name(
        re.compile(r"score 1\.00\b")
    )
    first = page.get_by_test_id("moment").first.get_attribute("data-video-id")
    again = page.context.new_page()
    again.goto(page.evaluate("location.href"))
    expect(again.get_by_test_id("moment").first).to_have_attribute("data-video-id", first or "")
    expect(chip(again, f"{title}, ")).to_be_visible()


def test_a_cold_deep_link_shows_the_frame_and_its_page(tmp_path: Path, page: Page) -> None:
    with running_app(tmp_path) as server:
        page.goto(f"{server.url}/library")
        settled(page)
        expect(page.get_by_text("No videos yet.")).to_be_visible()
        for name in ("Search", "Library", "Status"):
            expect(page.get_by_role("link", name=name)).to_be_visible()
        expect(page).to_have_title("Seekpoint")
        expect(page.get_by_text("Page not found")).to_have_count(0)


def test_the_address_alone_restores_a_typed_search(sampled: Server, page: Page) -> None:
    page.goto(f"{sampled.url}/?q=skyscrapers+at+night&n=12")
    expect(search_box(page)).to_have_value("skyscrapers at night")
    expect(page.get_by_test_id("moment").first).to_be_visible()
    expect(page.get_by_text("Moments 1 to 12", exact=True)).to_be_visible()


def test_back_and_the_menu_both_lead_to_the_search_that_was_left(
    sampled: Server, page: Page
) -> None:
    page.goto(sampled.url)
    search(page, QUERY)
    search(page, "skyscrapers at night")
    page.go_back()
    expect(search_box(page)).to_have_value(QUERY)
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_text("in all")).to_be_visible()
    page.get_by_role("link", name="Search").click()
    expect(search_box(page)).to_have_value(QUERY)
    expect(page.get_by_test_id("moment").first).to_contain_text("Rocket")


def test_a_suggestion_is_searched_with_one_click(sampled: Server, page: Page) -> None:
    page.goto(sampled.url)
    chosen = samples.suggested_queries()[0]
    page.get_by_text(chosen, exact=True).click()
    expect(page.get_by_test_id("moment").first).to_be_visible()
    expect(search_box(page)).to_have_value(chosen)


@pytest.mark.parametrize(
    ("path", "last_words"),
    [
        ("", "How to ask"),
        ("?q=a+rocket+taking+off", "drawn in"),
        ("?q=a+submarine&view=table&by=video", "Probably not in the archive"),
        ("library", "Rocket leaves the launch pad"),
        ("status", "Versions"),
    ],
)
def test_no_page_scrolls_sideways_on_a_phone(
    sampled: Server, page: Page, path: str, last_words: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{sampled.url}/{path}")
    expect(page.get_by_text(last_words).last).to_be_visible()
    settled(page)
    expect_no_sideways_scroll(page)


def test_nothing_is_asked_of_any_other_host_and_no_media_before_a_hover(
    sampled: Server, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("library", "status", ""):
        page.goto(f"{sampled.url}/{path}")
        settled(page)
    search(page, QUERY)
    expect(page.locator('[data-testid="moment"][data-poster="ready"]').first).to_be_visible()
    assert [u for u in asked if not u.startswith((sampled.url, "data:", "blob:", "ws:"))] == []
    assert [u for u in asked if "/video/" in u] == []
    with page.expect_request(lambda request: "/video/" in request.url):
        page.get_by_test_id("moment").first.hover()


def test_a_second_process_on_the_data_folder_explains_itself_and_recovers(
    tmp_path: Path, page: Page
) -> None:
    shared = str(tmp_path / "shared")
    with ExitStack() as later:
        with running_app(tmp_path / "first", SEEKPOINT_DATA_DIR=shared) as first:
            page.goto(first.url)
            expect(page.get_by_role("button", name="Load the sample library")).to_be_visible()
            second = later.enter_context(
                running_app(tmp_path / "second", SEEKPOINT_DATA_DIR=shared)
            )
            page.goto(second.url)
            expect(page.get_by_text("Another Seekpoint")).to_be_visible()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Load the sample library")).to_be_visible()


def test_the_screenshot_of_the_readme_shows_results(sampled: Server, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(sampled.url)
    search(page, samples.suggested_queries()[0])
    assert len(readme_picture(page, "README_SCREENSHOT", cards=12)) > 50_000


def test_filters_from_the_address_stand_in_the_form_when_it_is_opened(
    sampled: Server, page: Page
) -> None:
    page.goto(f"{sampled.url}/?q=a+boat")
    card = page.get_by_test_id("moment").first
    video_id = card.get_attribute("data-video-id")
    title = (card.locator(".title").text_content() or "").strip()
    page.goto(f"{sampled.url}/?q=a+boat&n=48&video={video_id}")
    expect(chip(page, title)).to_be_visible()
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("radio", name="48")).to_be_checked()
    expect(page.get_by_role("button", name=f"Remove {title}", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    chip(page, title).click()
    page.wait_for_function("() => !new URL(location.href).searchParams.has('video')")
    settled(page)
    page.get_by_role("button", name="below the cut").click()
    titles = page.get_by_test_id("moment").evaluate_all("all => all.map(c => c.dataset.videoId)")
    assert len(set(titles)) > 1


def test_a_video_is_removed_after_a_question_and_is_no_longer_found(
    tmp_path: Path, page: Page
) -> None:
    rocket = next(s.path for s in samples.sample_sources() if s.path.stem == "rocket")
    with running_app(tmp_path) as server:
        page.goto(f"{server.url}/library")
        page.locator("[data-testid=uploader] input[type=file]").set_input_files(rocket)
        expect(page.locator("[data-testid=upload][data-state=done]")).to_be_visible()
        page.get_by_role("button", name="Review").click()
        page.get_by_role("button", name="Add 1 video").click()
        expect(page.get_by_text("1 video, 0:08 in all")).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Remove rocket").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Keep it").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_text("1 video, 0:08 in all")).to_be_visible()
        page.get_by_role("button", name="Remove rocket").click()
        dialog.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("No videos yet.")).to_be_visible()
        assert list((server.data_dir / "media").rglob("*.mp4")) == []


def test_moments_are_ticked_put_aside_exported_and_opened_again(
    sampled: Server, page: Page, tmp_path: Path
) -> None:
    page.goto(sampled.url)
    search(page, QUERY)
    page.get_by_role("button", name="below the cut").click()
    moments = page.get_by_test_id("moment")
    for place, modifiers in ((0, []), (4, ["Shift"])):
        moments.nth(place).hover()
        moments.nth(place).get_by_role("checkbox").click(modifiers=modifiers)
    expect(page.get_by_text("5 moments selected")).to_be_visible()
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("button", name="Basket 5").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("Note").first.fill("For the opening")
    dialog.get_by_placeholder("Note").first.press("Enter")
    dialog.get_by_role("button", name="Take out").last.click()
    expect(dialog.get_by_text("4 moments, ")).to_be_visible()
    dialog.get_by_role("button", name="Undo").click()
    expect(dialog.get_by_text("5 moments, ")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()

    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("The 5 selected moments")).to_be_visible()
    # While the page is drawn anew Streamlit gives files new names, and a click on an old one is lost.
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Evidence (JSON)").click()
    exported = tmp_path / "launch.json"
    download.value.save_as(exported)
    taken = moments.evaluate_all("all => all.slice(0, 5).map(c => [c.dataset.id, c.dataset.score])")
    page.keyboard.press("Escape")

    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(exported.read_bytes()[:2000])
    search(page, "a lighthouse")
    page.get_by_role("button", name="Searches").click()
    chooser = page.get_by_role("dialog").locator("input[type=file]")
    chooser.set_input_files(damaged)
    expect(page.get_by_role("dialog").get_by_text("it is damaged")).to_be_visible()
    chooser.set_input_files(exported)
    expect(page.get_by_text("launch.json: 5 moments found with " + QUERY)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Nothing differs")).to_be_visible()
    expect(moments).to_have_count(5)
    expect(moments.first.get_by_label("Already exported")).to_be_visible()
    shown = moments.evaluate_all("all => all.map(c => [c.dataset.id, c.dataset.score])")
    assert shown == taken
    page.get_by_role("button", name="Close").click()
    expect(moments.first).to_contain_text("Lighthouse")
    page.get_by_role("button", name="Searches").click()
    expect(page.get_by_role("dialog").get_by_text("Open evidence")).to_be_visible()
