"""The results grid in a real browser: what is shown, and to the frame what is played."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.grid_page import (
    current_time,
    expect_asked,
    expect_pressed,
    expect_state,
    open_case,
    play,
    seconds,
    segment_card,
    thumb,
)

FORBID_PLAYING = """
HTMLVideoElement.prototype.play = () =>
  Promise.reject(new DOMException("play() was not allowed", "NotAllowedError"));
null;
"""


@pytest.fixture
def page(grid_page: Page) -> Page:
    return grid_page


@pytest.fixture
def clocked(context: BrowserContext) -> Page:
    """A page whose clock can be put forward; all of its context shares that clock."""
    page = context.new_page()
    page.clock.install()
    return page


def test_a_player_starts_at_the_very_frame_of_its_moment(page: Page, grid: str) -> None:
    cards = open_case(page, grid)
    rates = {"coded.mp4": 25, "tall.mp4": 30}
    expected = []
    for index in range(cards.count()):
        play(cards.nth(index))
        page.wait_for_function(f"() => starts.length > {index}")
        start = seconds(cards.nth(index), "start")
        rate = rates[cards.nth(index).get_attribute("data-video-id") or ""]
        # A start that was rounded to the millisecond still means the frame it was taken from.
        expected.append((int((start + 0.0005) * rate), pytest.approx(start, abs=0.05)))
    starts = page.evaluate("starts")
    assert [(start["number"], start["time"]) for start in starts] == expected
    assert len(starts) == 11


def test_the_frames_presented_first_belong_to_the_moment(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    for index in range(cards.count()):
        play(cards.nth(index))
        page.wait_for_function(f"() => starts.length > {index}")
        late = page.evaluate(f"starts[{index}].presented") - seconds(cards.nth(index), "start")
        assert 0 <= late < 1


def test_a_player_stops_at_the_end_of_its_moment(page: Page, grid: str) -> None:
    cards = open_case(page, grid)
    for index in (2, 5, 9):
        card = cards.nth(index)
        play(card)
        expect_state(card, "finished")
        assert card.locator("video").evaluate("video => video.paused && !video.muted")
        assert 0 <= current_time(card) - seconds(card, "end") <= 0.1


def test_play_after_the_end_begins_the_moment_again(page: Page, grid: str) -> None:
    card = open_case(page, grid).nth(3)
    play(card)
    expect_state(card, "finished")
    back_at_start = """(video, start) => new Promise((done) => {
      video.addEventListener("seeked", () => done(video.currentTime - start), { once: true });
      video.play();
    })"""
    late = card.locator("video").evaluate(back_at_start, seconds(card, "start"))
    assert abs(late) <= 0.05
    expect_state(card, "finished")
    card.get_by_role("button", name="Replay").click()
    expect_state(card, "playing")
    expect_state(card, "finished")


def test_play_on_goes_past_the_end(page: Page, grid: str) -> None:
    card = open_case(page, grid).nth(3)
    play(card)
    expect_state(card, "finished")
    card.get_by_role("button", name="Play on").click()
    card.locator("video").evaluate(
        """(video, end) => new Promise((done) => {
          video.addEventListener("timeupdate", () => video.currentTime > end + 1 && done());
        })""",
        seconds(card, "end"),
    )
    expect_state(card, "playing")


def test_hovering_previews_the_moment_muted_and_again_and_again(page: Page, grid: str) -> None:
    card = open_case(page, grid).nth(4)
    card.hover()
    expect_state(card, "preview")
    video = card.locator("video")
    assert video.evaluate("video => video.muted && !video.controls")
    jumps_back = """video => new Promise((done) => {
      let times = 0, last = video.currentTime;
      video.addEventListener("seeked", () => {
        times += video.currentTime < last;
        if (times === 2) done(video.currentTime);
        last = Infinity;
      });
    })"""
    assert video.evaluate(jumps_back) == pytest.approx(seconds(card, "start"), abs=0.05)
    page.mouse.move(2, 2)
    expect_state(card, "idle")
    expect(video).to_have_count(0)


def test_no_preview_starts_for_a_viewer_who_wants_less_motion(clocked: Page, grid: str) -> None:
    clocked.emulate_media(reduced_motion="reduce")
    card = open_case(clocked, grid).first
    card.hover()
    clocked.clock.run_for(5_000)
    expect_state(card, "idle")
    card.click()
    expect(card.locator("video")).to_have_count(1)


def test_a_click_turns_the_preview_into_a_player_from_the_start(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").nth(1)
    card.hover()
    expect_state(card, "preview")
    card.locator("video").evaluate("video => { window.mark = video }")
    card.locator(".picture").click()
    expect_state(card, "playing")
    assert card.locator("video").evaluate(
        "video => video === window.mark && !video.muted && video.controls"
    )
    assert seconds(card, "start") <= current_time(card) < seconds(card, "start") + 5


def test_a_viewer_who_mutes_a_player_is_not_overruled(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    play(card)
    expect_state(card, "playing")
    card.locator("video").evaluate("video => { video.muted = true }")
    card.press("Space")
    expect_state(card, "paused")
    card.press("Space")
    expect_state(card, "playing")
    card.press("Enter")
    expect_state(card, "playing")
    assert card.locator("video").evaluate("video => video.muted")


def test_only_one_card_plays_at_a_time(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    play(cards.nth(0))
    expect_state(cards.nth(0), "playing")
    play(cards.nth(2))
    expect_state(cards.nth(2), "playing")
    expect_state(cards.nth(0), "idle")
    expect(page.locator("video")).to_have_count(1)


def test_hovering_elsewhere_leaves_a_running_player_alone(clocked: Page, grid: str) -> None:
    cards = open_case(clocked, grid, "longer")
    play(cards.nth(0))
    expect_state(cards.nth(0), "playing")
    cards.nth(1).hover()
    clocked.clock.run_for(1_000)
    expect_state(cards.nth(1), "idle")
    expect_state(cards.nth(0), "playing")


def test_escape_stops_and_gives_the_poster_back(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    play(card)
    expect_state(card, "playing")
    card.locator("video").focus()
    page.keyboard.press("Escape")
    expect_state(card, "idle")
    expect(card.locator("video")).to_have_count(0)
    expect(card.locator(".poster")).to_be_visible()
    expect(card).to_be_focused()


def test_the_keys_work_after_a_click_too(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    card.locator(".picture").click()
    expect_state(card, "playing")
    page.keyboard.press("Space")
    expect_state(card, "paused")
    page.keyboard.press("Escape")
    expect_state(card, "idle")


def test_space_pauses_and_goes_on(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    play(card)
    expect_state(card, "playing")
    card.press("Space")
    expect_state(card, "paused")
    held = current_time(card)
    card.press("Space")
    expect_state(card, "playing")
    assert current_time(card) >= held > seconds(card, "start")


def test_arrows_home_and_end_move_between_cards_in_their_order(page: Page, grid: str) -> None:
    cards = open_case(page, grid)
    columns = cards.evaluate_all(
        "all => all.filter((c) => c.offsetTop === all[0].offsetTop).length"
    )
    assert columns > 1
    cards.first.focus()
    for key, index in [
        ("ArrowRight", 1),
        ("ArrowLeft", 0),
        ("ArrowDown", columns),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("End", cards.count() - 1),
        ("ArrowRight", cards.count() - 1),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        expect(cards.nth(index)).to_be_focused()
        expect(cards.nth(index)).to_have_attribute("tabindex", "0")
    page.keyboard.press("Tab")
    expect(cards.first.get_by_role("button", name="More like this")).to_be_focused()


@pytest.mark.parametrize(
    ("video_id", "problem"),
    [
        ("gone.mp4", "This video is no longer there."),
        ("text.mp4", "This browser cannot play this file."),
        ("mpeg4.mp4", "This browser cannot play this file."),
        ("elsewhere.mp4", "This video could not be loaded."),
        ("plain.mp4", "This moment cannot be reached."),
        ("short.mp4", "This moment is past the end."),
    ],
)
def test_a_card_says_in_plain_words_why_it_does_not_play(
    page: Page, grid: str, video_id: str, problem: str
) -> None:
    open_case(page, grid, "failing")
    card = page.locator(f'[data-video-id="{video_id}"]')
    play(card)
    expect_state(card, "error")
    expect(card.locator(".message strong")).to_have_text(problem)
    expect(card.locator(".message")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=problem)).to_have_count(1)
    expect(page.locator("video")).to_have_count(0)


def test_a_browser_that_forbids_playing_is_named_and_the_next_click_plays(
    page: Page, grid: str
) -> None:
    card = open_case(page, grid, "longer").first
    page.evaluate(f"window.allowed = HTMLVideoElement.prototype.play; {FORBID_PLAYING}")
    play(card)
    expect_state(card, "error")
    expect(card.locator(".message strong")).to_have_text("The browser blocked playback.")
    page.evaluate("HTMLVideoElement.prototype.play = window.allowed; null")
    card.locator(".picture").click()
    expect_state(card, "playing")


def test_no_media_is_asked_for_before_somebody_asks_for_a_moment(page: Page, grid: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    cards = open_case(page, grid)
    expect(page.locator('[data-testid="moment"][data-poster="ready"]')).to_have_count(cards.count())
    assert not [url for url in asked if "/video/" in url]
    assert all(url.startswith((grid, "data:", "blob:")) for url in asked)
    with page.expect_request(lambda request: "/video/" in request.url):
        cards.nth(1).hover()


def test_more_like_this_reaches_python(page: Page, grid: str) -> None:
    card = open_case(page, grid).nth(2)
    card.hover()
    card.get_by_role("button", name="More like this").click()
    expect(page.get_by_text("similar: coded.mp4-visual-2000")).to_be_visible()


def test_the_link_to_a_moment_names_its_video_and_its_time(page: Page, grid: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = open_case(page, grid).nth(2)
    card.hover()
    card.get_by_role("button", name="Copy link to this time").click()
    expect(card.get_by_role("button", name="Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    address, _, span = link.partition("#t=")
    assert span == "2,2.6"
    assert httpx.head(address).headers["content-type"] == "video/mp4"


def test_a_player_goes_on_through_reruns_and_through_a_new_order(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    card = page.locator('[data-id="coded.mp4-visual-20000"]')
    play(card)
    expect_state(card, "playing")
    card.locator("video").evaluate("video => { window.mark = video }")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("Run 2")).to_be_visible()
    page.get_by_text("Backwards").click()
    expect(page.get_by_text("Run 3")).to_be_visible()
    expect(cards.first).to_have_attribute("data-start", "40")
    assert card.locator("video").evaluate("video => video === window.mark && !video.paused")
    expect_state(card, "playing")


def test_taking_the_grid_away_stops_its_player(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    play(card)
    expect_state(card, "playing")
    card.locator("video").evaluate("video => { window.mark = video }")
    page.get_by_text("Grid", exact=True).click()
    expect(page.get_by_test_id("moment")).to_have_count(0)
    page.wait_for_function("() => mark.paused && !mark.hasAttribute('src')")


def test_a_card_says_what_it_is_in_text_and_in_numbers(page: Page, grid: str) -> None:
    cards = open_case(page, grid)
    card = page.get_by_role("article", name="Frame numbers, 0:12 to 0:12, score 0.48", exact=True)
    expect(page.get_by_role("article")).to_have_count(cards.count())
    expect(card).to_have_count(0)  # the same second twice: tenths are needed to tell them apart
    card = page.get_by_role("article", name="Frame numbers, 0:12.3 to 0:12.9, score 0.48")
    expect(card).to_have_attribute("data-video-id", "coded.mp4")
    assert seconds(card, "start") == 12.345
    assert seconds(card, "end") == 12.345 + 0.6
    assert seconds(card, "score") == 0.6 - 6 / 50
    expect(card.locator(".time")).to_have_text("0:12.3–0:12.9")
    expect(card.locator(".category")).to_have_text("test films")
    expect(card.locator(".option")).to_be_hidden()
    expect(cards.nth(1).locator(".option")).to_have_text("audio")
    expect(cards.nth(1).locator(".why")).to_have_text("Line 2 of the reasons")


def test_a_title_with_markup_stays_text(page: Page, grid: str) -> None:
    card = open_case(page, grid).last
    expect(card.locator(".title")).to_contain_text('<img src=x onerror="window.harmed=1"> **bold**')
    expect(card.locator(".title *")).to_have_count(0)
    assert page.evaluate("window.harmed") is None


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (768, 2), (1440, 4), (2560, 7)])
def test_cards_line_up_without_sideways_scroll(
    page: Page, grid: str, width: int, columns: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    cards = open_case(page, grid)
    tops = cards.evaluate_all("all => all.map((card) => card.getBoundingClientRect().top)")
    assert tops.count(tops[0]) == columns
    widths = cards.evaluate_all("all => all.map((card) => card.offsetWidth)")
    assert max(widths) - min(widths) <= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_showing_actions_and_playing_move_nothing(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    boxes = "all => JSON.stringify(all.map((card) => card.getBoundingClientRect()))"
    before = cards.evaluate_all(boxes)
    play(cards.first)
    expect_state(cards.first, "playing")
    cards.nth(1).hover()
    assert cards.evaluate_all(boxes) == before


def test_a_thumb_is_pressed_at_once_and_taken_back_by_the_next_click(page: Page, grid: str) -> None:
    open_case(page, grid, "ranked")
    card = segment_card(page, 20)
    card.hover()
    # Read in the same breath as the click, before any server could have answered.
    at_once = "thumb => { thumb.click(); return thumb.getAttribute('aria-pressed') }"
    assert thumb(card, "Good match").evaluate(at_once) == "true"
    expect_asked(page, "liked: coded.mp4-visual-20000")
    expect_pressed(card, good=True)
    thumb(card, "Bad match").click()
    expect_asked(page, "liked: coded.mp4-visual-20000", "disliked: coded.mp4-visual-20000")
    expect_pressed(card, bad=True)
    thumb(card, "Bad match").click()
    expect(page.get_by_text("unmarked: coded.mp4-visual-20000")).to_be_visible()
    expect_pressed(card)


def test_a_pressed_thumb_is_seen_without_hovering_and_the_others_are_not(
    page: Page, grid: str
) -> None:
    open_case(page, grid, "ranked")
    card = segment_card(page, 20)
    card.hover()
    thumb(card, "Bad match").click()
    expect_asked(page, "disliked: coded.mp4-visual-20000")
    page.mouse.move(2, 2)
    expect(thumb(card, "Bad match")).to_have_css("opacity", "1")
    expect(thumb(card, "Good match")).to_have_css("opacity", "0")


def test_a_server_that_answers_with_other_marks_is_right(page: Page, grid: str) -> None:
    page.goto(f"{grid}/?case=longer&stubborn=yes")
    card = segment_card(page, 4)
    expect_pressed(card, bad=True)
    at_once = "thumb => { thumb.click(); return thumb.getAttribute('aria-pressed') }"
    assert thumb(card, "Good match").evaluate(at_once) == "true"
    expect_asked(page, "liked: coded.mp4-visual-4000")
    expect_pressed(card, bad=True)


def test_quick_marks_on_many_cards_all_reach_the_page_in_order(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "ranked")
    cards.evaluate_all("all => all.forEach((card) => card.querySelector('.up').click())")
    starts = (4, 12, 20, 28, 36, 44)
    expect_asked(page, *(f"liked: coded.mp4-visual-{start}000" for start in starts))
    for start in starts:
        expect_pressed(segment_card(page, start), good=True)


def test_keys_mark_a_card_and_ask_for_more_and_less_of_it(page: Page, grid: str) -> None:
    open_case(page, grid, "ranked")
    card = segment_card(page, 20)
    card.focus()
    asked: list[str] = []
    for key, action in [
        ("+", "liked"),
        ("-", "disliked"),
        ("-", "unmarked"),
        ("m", "similar"),
        ("l", "unlike"),
    ]:
        page.keyboard.press(key)
        asked.append(f"{action}: coded.mp4-visual-20000")
        expect_asked(page, *asked)
        expect(card).to_be_focused()


def test_less_like_this_reaches_python(page: Page, grid: str) -> None:
    card = open_case(page, grid).nth(2)
    card.hover()
    card.get_by_role("button", name="Less like this").click()
    expect_asked(page, "unlike: coded.mp4-visual-2000")


def test_every_action_has_a_name_and_a_tooltip_and_is_reached_by_tab(page: Page, grid: str) -> None:
    card = open_case(page, grid, "ranked").first
    card.focus()
    for name, key in [
        ("More like this", " (M)"),
        ("Less like this", " (L)"),
        ("Copy link to this time", ""),
        ("Good match", " (+)"),
        ("Bad match", " (-)"),
    ]:
        page.keyboard.press("Tab")
        button = card.get_by_role("button", name=name, exact=True)
        expect(button).to_be_focused()
        expect(button).to_have_attribute("title", name + key)
        expect(button).to_have_css("opacity", "1")


def test_thumbs_are_there_without_a_mouse_and_a_tap_brings_the_rest(
    browser: Browser, grid: str
) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    card = open_case(page, grid, "ranked").first
    similar = card.get_by_role("button", name="More like this")
    expect(similar).to_be_hidden()
    thumb(card, "Good match").tap()
    expect_asked(page, "liked: coded.mp4-visual-4000")
    other = segment_card(page, 12)
    other.locator(".picture").tap(position={"x": 100, "y": 120})
    expect_state(other, "playing")
    other.get_by_role("button", name="More like this").tap()
    expect_asked(page, "liked: coded.mp4-visual-4000", "similar: coded.mp4-visual-12000")
    phone.close()


def test_a_paused_player_offers_to_search_with_its_frame(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    frame = card.get_by_role("button", name="Search with this frame")
    expect(frame).to_be_hidden()
    play(card)
    expect_state(card, "playing")
    card.press("Space")
    expect_state(card, "paused")
    page.mouse.move(2, 2)
    frame.click()
    expect_asked(page, f"frame: coded.mp4-visual-4000 at {current_time(card)}")


def test_searching_with_a_frame_pauses_a_running_player(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").nth(1)
    card.focus()
    card.press("f")  # nothing plays yet
    card.press("Enter")
    expect_state(card, "playing")
    card.press("f")
    expect_state(card, "paused")
    expect_asked(page, f"frame: coded.mp4-visual-20000 at {current_time(card)}")


def test_a_new_rank_keeps_the_cards_their_posters_their_player_and_the_focus(
    page: Page, grid: str
) -> None:
    cards = open_case(page, grid, "ranked")
    expect(page.locator('[data-testid="moment"][data-poster="ready"]')).to_have_count(cards.count())
    playing, marked = segment_card(page, 20), segment_card(page, 44)
    play(playing)
    expect_state(playing, "playing")
    cards.evaluate_all("all => { window.nodes = new Map(all.map((c) => [c.dataset.id, c])) }")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    marked.focus()
    page.keyboard.press("+")
    expect(cards.first).to_have_attribute("data-start", "44")
    expect(marked).to_be_focused()
    assert cards.evaluate_all("all => all.every((c) => window.nodes.get(c.dataset.id) === c)")
    expect_state(playing, "playing")
    assert not [url for url in asked if "/poster/" in url or "/video/" in url]
    # The playing card is moved as well as moved past.
    playing.focus()
    page.keyboard.press("+")
    expect(cards.nth(0)).to_have_attribute("data-start", "20")
    expect_state(playing, "playing")
    expect(playing).to_be_focused()


def test_the_focus_on_a_button_survives_the_move_of_its_card(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "ranked")
    card = segment_card(page, 36)
    card.hover()
    thumb(card, "Good match").click()
    expect(cards.first).to_have_attribute("data-start", "36")
    expect(thumb(card, "Good match")).to_be_focused()


def test_a_card_that_slides_under_a_resting_mouse_does_not_play(clocked: Page, grid: str) -> None:
    cards = open_case(clocked, grid, "ranked")
    card = segment_card(clocked, 12)
    card.hover()
    thumb(card, "Bad match").click()
    expect(cards.nth(1)).to_have_attribute("data-start", "20")
    clocked.clock.run_for(1_000)
    for index in range(cards.count()):
        expect_state(cards.nth(index), "idle")
    # The mouse does lie on it: a move of a pixel is enough.
    cards.nth(1).hover(position={"x": 60, "y": 60})
    expect_state(cards.nth(1), "preview")


def test_a_moment_keeps_its_card_when_another_of_its_segments_becomes_the_best(
    page: Page, grid: str
) -> None:
    cards = open_case(page, grid, "merged")
    cards.first.evaluate("card => { window.node = card }")
    cards.first.hover()
    thumb(cards.first, "Good match").click()
    expect(cards.first).to_have_attribute("data-id", "coded.mp4-visual-6000")
    assert cards.first.evaluate("card => card === window.node")
    expect_pressed(cards.first, good=True)
    thumb(cards.first, "Good match").click()
    expect_asked(page, "liked: coded.mp4-visual-4000", "unmarked: coded.mp4-visual-4000")


@pytest.mark.parametrize(("motion", "glides"), [("no-preference", True), ("reduce", False)])
def test_cards_glide_to_their_places_unless_less_motion_is_wanted(
    page: Page, grid: str, motion: Any, glides: bool
) -> None:
    page.emulate_media(reduced_motion=motion)
    cards = open_case(page, grid, "ranked")
    page.evaluate(
        """() => {
          window.glides = [];
          const animate = Element.prototype.animate;
          Element.prototype.animate = function (frames, options) {
            window.glides.push(options.duration);
            return animate.call(this, frames, options);
          };
        }"""
    )
    segment_card(page, 20).focus()
    page.keyboard.press("+")
    expect(cards.first).to_have_attribute("data-start", "20")
    durations = page.evaluate("glides")
    assert len(durations) == (3 if glides else 0)
    assert all(duration < 150 for duration in durations)


# From where to where players jump; one that was late goes back to its end, and that is no jump.
WATCH_JUMPS = """() => {
  window.jumps = [];
  const time = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "currentTime");
  Object.defineProperty(HTMLMediaElement.prototype, "currentTime", {
    ...time,
    set(second) {
      const from = time.get.call(this);
      if (Math.abs(second - from) > 1) jumps.push([from, second]);
      time.set.call(this, second);
    },
  });
}"""


def jumped_to(page: Page, *, at_least: int) -> list[float]:
    page.wait_for_function("least => jumps.length >= least", arg=at_least)
    return [second for _, second in page.evaluate("jumps")]


def test_a_pair_plays_its_first_half_then_its_second_and_stops(page: Page, grid: str) -> None:
    card = open_case(page, grid, "pairs").first
    page.evaluate(WATCH_JUMPS)
    play(card)
    expect_state(card, "finished")
    assert page.evaluate("starts[0].time") == pytest.approx(12.2, abs=0.05)
    assert jumped_to(page, at_least=2) == pytest.approx([12.2, 31.4], abs=0.01)
    # Not before the end of the first half; a busy machine sees it late.
    assert 12.8 <= page.evaluate("jumps[1][0]") < 14
    assert 0 <= current_time(card) - 32.0 <= 0.1
    # Again from the start of the first, not of the second.
    card.get_by_role("button", name="Replay").click()
    assert jumped_to(page, at_least=4)[2:] == pytest.approx([12.2, 31.4], abs=0.01)
    expect_state(card, "finished")


def test_halves_with_nothing_between_them_play_without_a_jump(page: Page, grid: str) -> None:
    card = open_case(page, grid, "pairs").nth(1)
    play(card)
    expect_state(card, "playing")
    # A player that was late goes back to its end.
    card.locator("video").evaluate(
        """video => {
          window.jumps = 0;
          video.addEventListener("seeking", () => (jumps += video.currentTime < 7.2));
        }"""
    )
    expect_state(card, "finished")
    assert page.evaluate("jumps") == 0
    assert 0 <= current_time(card) - 7.2 <= 0.1


def test_either_half_of_a_pair_can_be_played_by_its_label(page: Page, grid: str) -> None:
    card = open_case(page, grid, "pairs").nth(2)
    first = card.get_by_role("button", name="Play A, 0:20 to 0:24, of Frame numbers")
    second = card.get_by_role("button", name="Play B, 0:40 to 0:44, of Frame numbers")
    second.press("Enter")
    expect_state(card, "playing")
    expect(second).to_have_attribute("aria-current", "true")
    page.wait_for_function("() => starts.length === 1")
    assert page.evaluate("starts[0].time") == pytest.approx(40.0, abs=0.05)
    first.click()
    expect(first).to_have_attribute("aria-current", "true")
    expect(second).not_to_have_attribute("aria-current", "true")
    assert 20 <= current_time(card) < 24


def test_a_pair_shows_both_times_and_how_far_it_is(page: Page, grid: str) -> None:
    card = open_case(page, grid, "pairs").nth(2)
    expect(
        page.get_by_role("article", name="Frame numbers, 0:20 to 0:24, then 0:40 to 0:44")
    ).to_have_count(1)
    expect(card.locator(".span")).to_have_text(["0:20–0:24", "0:40–0:44"])
    expect(card.locator(".time")).to_be_hidden()
    widths = "bars => bars.map((bar) => bar.offsetWidth / bar.parentElement.offsetWidth)"
    assert card.locator(".done").evaluate_all(widths) == [0, 0]
    card.get_by_role("button", name="Play B").click()
    expect_state(card, "playing")
    card.press("Space")
    expect_state(card, "paused")
    done, running = card.locator(".done").evaluate_all(widths)
    assert done == 1
    assert running == pytest.approx((current_time(card) - 40) / 4, abs=0.05)
    card.press("Escape")
    assert card.locator(".done").evaluate_all(widths) == [0, 0]


def test_the_preview_of_a_pair_shows_both_halves_again_and_again(page: Page, grid: str) -> None:
    card = open_case(page, grid, "pairs").first
    page.evaluate(WATCH_JUMPS)
    card.hover()
    assert jumped_to(page, at_least=4)[:4] == pytest.approx([12.2, 31.4, 12.2, 31.4], abs=0.01)
    expect_state(card, "preview")


def test_the_grid_tells_how_long_it_took_to_draw(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "ranked")
    wall = page.locator(".grid")
    expect(wall).to_have_attribute("data-drawn-ms", re.compile(r"^\d+$"))
    took = wall.get_attribute("data-drawn-ms")
    expect(page.locator(".footer")).to_have_text(f"found in 5 msdrawn in {took} ms")
    wall.evaluate("grid => delete grid.dataset.drawnMs")
    page.get_by_text("Backwards").click()
    expect(cards.first).to_have_attribute("data-start", "44")
    expect(wall).to_have_attribute("data-drawn-ms", re.compile(r"^\d+$"))


def test_relevance_can_be_measured_against_the_best_of_another_page(page: Page, grid: str) -> None:
    share = "fill => fill.offsetWidth / fill.parentElement.offsetWidth"
    card = open_case(page, grid, "longer").first
    assert card.locator(".fill").evaluate(share) == 1
    page.goto(f"{grid}/?case=longer&top=0.8")
    assert card.locator(".fill").evaluate(share) == pytest.approx(0.5 / 0.8, abs=0.01)
