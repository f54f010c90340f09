"""What the grid offers beside playing a moment: strips of scores, levels, the cut, ticks, folds,
groups, the table, and a player that is driven by hand."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.grid_page import (
    EVENTS,
    current_time,
    expect_asked,
    expect_state,
    open_case,
    play,
    segment_card,
)

SECOND = "coded.mp4-visual-5000"  # the best segment of the second card of the full page


@pytest.fixture
def page(grid_page: Page) -> Page:
    return grid_page


def open_full(page: Page, grid: str, options: str = "") -> Locator:
    """Opens the page that uses all the grid has to offer and gives the cards above the cut."""
    return open_case(page, grid, f"full{options}")


def strip_of(card: Locator) -> Locator:
    return card.get_by_role("slider")


def expect_drawn(strip: Locator) -> None:
    expect(strip).to_have_attribute("data-heat", "ready")


def bars(strip: Locator) -> dict[str, int]:
    """How many segments a strip has of each kind."""
    counted: dict[str, int] = strip.evaluate(
        """strip => Object.fromEntries(["own", "other", "rest"].map((kind) => [
          kind, strip.querySelector(`.${kind}`).getAttribute("d").split("M").length - 1
        ]))"""
    )
    return counted


def over(strip: Locator, second: float) -> dict[str, float]:
    """The place on the strip of the minute-long film."""
    box = strip.bounding_box()
    assert box is not None
    return {"x": box["width"] * second / 60, "y": box["height"] / 2}


def frame_number(card: Locator) -> int:
    """The number of the frame at which the player has come to rest."""
    video = card.locator("video")
    # A frame may be shown before the browser says that it has arrived, and steps wait for that.
    expect(video).to_have_js_property("seeking", False)
    return int(video.evaluate("video => paintedNumber(video)"))


def stepped(card: Locator, *keys: str) -> list[int]:
    """How many frames the player stands after the one it stood at, once each key was pressed."""
    video = card.locator("video")
    before, shown = frame_number(card), []
    for key in keys:
        video.evaluate(
            "video => { window.shown = false; video.requestVideoFrameCallback(() => (shown = true)) }"
        )
        card.press(key)
        card.page.wait_for_function("() => shown")
        shown.append(frame_number(card) - before)
    return shown


def see_the_rate(card: Locator) -> None:
    """Waits until three frames in a row of the film with ten a second were shown."""
    card.locator("video").evaluate(
        """video => new Promise((seen) => {
          const times = [];
          const note = (_, { mediaTime }) => {
            times.push(mediaTime);
            if (times.length > 2 && times.at(-1) - times.at(-3) < 0.21) seen();
            else video.requestVideoFrameCallback(note);
          };
          video.requestVideoFrameCallback(note);
        })"""
    )


def detail_of(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Details")


# Strips


def test_a_strip_has_every_segment_of_its_video_and_marks_what_was_found(
    page: Page, grid: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    cards = open_full(page, grid)
    for index in range(cards.count()):
        expect_drawn(strip_of(cards.nth(index)))
    # The moment from 0:05 to 0:08 lies in two of the twenty segments.
    assert bars(strip_of(cards.nth(1))) == {"own": 2, "other": 14, "rest": 4}
    assert len([url for url in asked if "/heat/" in url]) == 2  # once for each video


def test_a_strip_is_filled_when_its_card_comes_into_view(page: Page, grid: str) -> None:
    page.set_viewport_size({"width": 390, "height": 400})
    cards = open_full(page, grid)
    expect_drawn(strip_of(cards.first))
    expect(strip_of(cards.last)).to_have_attribute("data-heat", "waiting")
    cards.last.scroll_into_view_if_needed()
    expect_drawn(strip_of(cards.last))


def test_a_strip_that_cannot_be_had_stays_empty_and_keeps_its_place(page: Page, grid: str) -> None:
    cards = open_full(page, grid, "&q=without+tall")
    expect_drawn(strip_of(cards.nth(1)))
    expect(strip_of(cards.first)).to_have_attribute("data-heat", "none")
    heights = cards.locator(".strip").evaluate_all("all => all.map((strip) => strip.offsetHeight)")
    assert len(set(heights)) == 1
    assert heights[0] > 15


def test_a_strip_says_time_and_score_under_the_mouse_and_plays_where_it_is_clicked(
    page: Page, grid: str
) -> None:
    card = open_full(page, grid).nth(1)
    strip = strip_of(card)
    expect_drawn(strip)
    strip.hover(position=over(strip, 43))
    expect(strip.locator(".tip")).to_have_text("0:42 · 0.22")
    expect_state(card, "idle")
    strip.click(position=over(strip, 43))
    expect_state(card, "playing")
    assert 42 <= current_time(card) < 45
    page.mouse.move(2, 2)
    expect(strip.locator(".tip")).to_be_hidden()
    expect(strip.locator(".playhead")).to_be_visible()
    card.press("Enter")  # the moment itself again
    page.wait_for_function("() => starts.at(-1)?.time < 42")
    assert 5 <= current_time(card) < 8


def test_a_strip_is_walked_by_arrows_and_played_by_enter(page: Page, grid: str) -> None:
    card = open_full(page, grid).nth(1)
    strip = strip_of(card)
    expect_drawn(strip)
    strip.focus()
    expect(strip).to_have_attribute("aria-valuetext", "0:03 to 0:06, score 0.25")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(strip).to_have_attribute("aria-valuetext", re.compile("^0:54 to 0:57, score 0"))
    page.keyboard.press("x")  # the page answers, and the place is kept
    expect_asked(page, f"select: {SECOND}")
    expect(strip).to_be_focused()
    expect(strip).to_have_attribute("aria-valuetext", re.compile("^0:54 to 0:57, score 0"))
    page.keyboard.press("Enter")
    expect_state(card, "playing")
    assert 54 <= current_time(card) < 57


# Levels and the cut


def test_a_level_says_in_a_word_what_a_score_means_and_at_length_on_demand(
    page: Page, grid: str
) -> None:
    cards = open_full(page, grid)
    level = cards.first.locator(".level")
    expect(level).to_have_text("strong")
    expect(level).to_have_attribute(
        "title", "Scores more than 99.9 % of the library, 6.0 deviations above chance"
    )
    expect(cards.nth(1)).to_have_accessible_name(
        "Frame numbers, 0:05 to 0:08, score 0.46, strong, above 98.9 % of the library"
    )


def test_what_is_below_the_cut_is_folded_under_a_line_that_says_why(page: Page, grid: str) -> None:
    cards = open_full(page, grid)
    line = page.get_by_role("button", name="4 moments below the cut: a clear gap after moment 8")
    expect(cards).to_have_count(8)
    expect(line).to_have_attribute("aria-expanded", "false")
    line.click()
    expect(cards).to_have_count(12)
    expect(line).to_be_focused()
    # It stays open while the same answer is shown.
    cards.last.press("x")
    expect(page.get_by_text(EVENTS)).to_have_count(1)
    expect(cards).to_have_count(12)
    line.click()
    expect(cards).to_have_count(8)
    expect(cards.nth(7)).to_have_accessible_name(re.compile("score 0.34"))


# Ticks, the basket


def test_ticks_are_one_selection_and_shift_takes_all_between(page: Page, grid: str) -> None:
    cards = open_full(page, grid)
    ticks = cards.get_by_role("checkbox")
    asked = page.get_by_text(EVENTS)
    expect(ticks.nth(3)).to_have_css("opacity", "0")
    cards.nth(1).hover()
    ticks.nth(1).click()
    expect(asked).to_have_text([f"select: {SECOND}"])
    page.mouse.move(2, 2)
    expect(ticks.nth(3)).to_have_css("opacity", "1")  # anything ticked shows them all
    ticks.nth(3).click(modifiers=["Shift"])
    ids = cards.evaluate_all("all => all.map((card) => card.dataset.id)")
    expect(asked.last).to_have_text(f"select: {' '.join(ids[1:4])}")
    # Keys do the same, and what a click has ticked a key unticks.
    cards.nth(2).press("x")
    expect(asked.last).to_have_text(f"select: {ids[1]} {ids[3]}")
    cards.nth(5).press("Shift+X")
    expect(asked.last).to_have_text(f"select: {' '.join(ids[1:6])}")
    expect(page.get_by_role("checkbox", checked=True).and_(ticks)).to_have_count(5)
    expect(cards.nth(5)).to_be_focused()


def test_quick_ticks_lose_nothing(page: Page, grid: str) -> None:
    cards = open_full(page, grid)
    cards.evaluate_all("all => all.forEach((card) => card.querySelector('.tick').click())")
    ids = cards.evaluate_all("all => all.map((card) => card.dataset.id)")
    expect(page.get_by_text(EVENTS).last).to_have_text(f"select: {' '.join(ids)}")
    expect(page.get_by_role("checkbox", checked=True).and_(cards.locator(".tick"))).to_have_count(8)


def test_a_moment_is_kept_and_let_go_and_shows_that_it_was_exported(page: Page, grid: str) -> None:
    cards = open_full(page, grid)
    keep = cards.nth(1).get_by_role("button", name="Keep in the basket")
    cards.nth(1).press("b")
    expect(keep).to_have_attribute("aria-pressed", "true")
    expect_asked(page, f"basket: {SECOND}")
    expect(keep).to_have_css("opacity", "1")
    keep.click()
    expect_asked(page, f"basket: {SECOND}", f"basket: {SECOND}")
    expect(keep).to_have_attribute("aria-pressed", "false")
    expect(cards.nth(1).get_by_role("img", name="Already exported")).to_be_visible()
    expect(cards.nth(2).get_by_role("img", name="Already exported")).to_be_hidden()


def test_a_grid_without_basket_and_ticks_offers_none(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    for key in ("x", "b"):
        card.press(key)
    expect(card.get_by_role("checkbox")).to_be_hidden()
    expect(card.get_by_role("button", name="Keep in the basket")).to_be_hidden()
    expect(strip_of(card)).to_be_hidden()
    card.press("m")
    expect_asked(page, "similar: coded.mp4-visual-4000")


# Folds, groups, table


def test_similar_moments_open_beside_their_card_and_are_cards_themselves(
    page: Page, grid: str
) -> None:
    cards = open_full(page, grid)
    fold = page.get_by_role("button", name="2 similar")
    fold.click()
    expect(cards).to_have_count(10)
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(cards.nth(1)).to_have_attribute("data-start", "52")
    play(cards.nth(1))
    expect_state(cards.nth(1), "playing")
    cards.nth(2).press("x")
    expect(page.get_by_text(EVENTS)).to_have_text(["select: coded.mp4-visual-56000"])
    expect(cards).to_have_count(10)
    expect_state(cards.nth(1), "playing")
    fold.click()
    expect(cards).to_have_count(8)
    expect(page.locator("video")).to_have_count(0)


def test_moments_stand_under_the_title_of_their_video(page: Page, grid: str) -> None:
    cards = open_full(page, grid, "&grouped=yes")
    headings = page.locator(".grid > .group")
    expect(headings.get_by_role("heading")).to_have_text(
        ["A tall film with a title that is too long for any one line", "Frame numbers"]
    )
    expect(headings.locator(".group-count")).to_have_text(["3 moments", "5 moments"])
    ranks = cards.locator(".rank").all_inner_texts()
    assert ranks == ["1", "4", "7", "2", "3", "5", "6", "8"]
    headings.last.get_by_role("button", name="All moments of Frame numbers").click()
    expect_asked(page, f"more_of_video: {SECOND}")
    # Rows that are cut short do not confuse the arrows.
    cards.first.focus()
    for key, index in [("ArrowDown", 3), ("ArrowRight", 4), ("ArrowDown", 7), ("ArrowUp", 3)]:
        page.keyboard.press(key)
        expect(cards.nth(index)).to_be_focused()
    # What is similar to a card stands beside it, also when it is of another video.
    page.get_by_role("button", name="2 similar").click()
    order = page.locator(".grid > *").evaluate_all("all => all.map((one) => one.className)")
    assert order[:6] == ["group", *["card stage"] * 5]
    expect(headings).to_have_count(2)


def test_the_table_is_the_same_cards_as_dense_rows(page: Page, grid: str) -> None:
    cards = open_full(page, grid, "&layout=table")
    boxes = cards.evaluate_all("all => all.map((card) => card.getBoundingClientRect().toJSON())")
    assert len({box["left"] for box in boxes}) == 1
    assert all(box["height"] < 90 for box in boxes)
    row = cards.nth(1)
    for words in ("0:05–0:08", "Frame numbers", "0.46", "strong", "test films", "Line 2 of the"):
        expect(row.get_by_text(words).locator("visible=true")).to_have_count(1)
    cards.first.press("ArrowDown")
    expect(row).to_be_focused()
    row.press("Enter")
    expect_state(row, "playing")
    row.press("x")
    row.press("b")
    expect_asked(page, f"select: {SECOND}", f"basket: {SECOND}")
    expect(row.get_by_role("checkbox")).to_be_checked()
    after = cards.evaluate_all("all => all.map((card) => card.getBoundingClientRect().toJSON())")
    assert after == boxes


@pytest.mark.parametrize("options", ["&layout=table", "&grouped=yes"])
@pytest.mark.parametrize("width", [390, 2560])
def test_no_layout_scrolls_sideways(page: Page, grid: str, options: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_full(page, grid, options)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".grid").evaluate("grid => grid.scrollWidth - grid.clientWidth") <= 0


# The player


@pytest.mark.parametrize("case", ["slow", "longer"], ids=["rate as seen", "rate on record"])
def test_a_paused_player_goes_frame_by_frame(page: Page, grid: str, case: str) -> None:
    card = open_case(page, grid, case).last
    play(card)
    expect_state(card, "playing")
    if case == "slow":
        see_the_rate(card)
    card.press("k")
    expect_state(card, "paused")
    assert stepped(card, ".", ".", ",", ".", ",") == [1, 2, 1, 2, 1]
    expect_asked(page)  # keys of the player ask the page for nothing


def test_what_a_busy_machine_left_out_is_not_taken_for_one_long_frame(
    page: Page, grid: str
) -> None:
    # Of a film with 25 frames a second, the second one shown is the third or a later one.
    script = """
    const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
    HTMLVideoElement.prototype.requestVideoFrameCallback = function (tell) {
      return ask.call(this, (now, frame) => {
        if (this.paused) return tell(now, frame);
        if (frame.mediaTime < 4.1) return this.requestVideoFrameCallback(tell);
        tell(now, frame);
        this.pause();
      });
    };
    """
    with page.add_init_script(script):
        card = open_case(page, grid, "longer").first
        play(card)
        expect_state(card, "paused")
        assert stepped(card, ".", ",") == [1, 0]


def test_j_and_l_jump_and_l_asks_for_less_only_of_an_idle_card(page: Page, grid: str) -> None:
    card = open_case(page, grid, "longer").first
    play(card)
    expect_state(card, "playing")
    card.press("k")
    expect_state(card, "paused")
    held = current_time(card)
    card.press("l")
    assert current_time(card) == pytest.approx(held + 2, abs=0.01)
    card.press("j")
    card.press("j")
    assert current_time(card) == pytest.approx(held - 2, abs=0.01)
    expect_asked(page)
    card.press("Escape")
    card.press("l")
    expect_asked(page, "unlike: coded.mp4-visual-4000")


def test_speed_and_loop_hold_for_the_next_player_too(page: Page, grid: str) -> None:
    cards = open_case(page, grid)
    play(cards.nth(2))
    for key, speed in [(">", 1.5), (">", 2), (">", 2), ("<", 1.5), ("<", 1), ("<", 0.5)]:
        cards.nth(2).press(key)
        expect(page.get_by_role("status").filter(has_text=f"Speed {speed:g}")).to_have_count(1)
        assert cards.nth(2).locator("video").evaluate("video => video.playbackRate") == speed
    for _ in range(3):
        cards.nth(2).press(">")
    cards.nth(2).press("o")
    play(cards.nth(5))
    expect_state(cards.nth(5), "playing")
    back = "video => new Promise((done) => video.addEventListener('seeked', done, { once: true }))"
    cards.nth(5).locator("video").evaluate(back)
    assert cards.nth(5).locator("video").evaluate("video => video.playbackRate") == 2
    expect_state(cards.nth(5), "playing")
    cards.nth(5).press("o")
    expect_state(cards.nth(5), "finished")
    # A preview keeps the pace of life.
    cards.nth(0).hover()
    expect_state(cards.nth(0), "preview")
    assert cards.nth(0).locator("video").evaluate("video => video.playbackRate") == 1


def test_the_segments_before_and_after_are_a_key_away(page: Page, grid: str) -> None:
    card = open_full(page, grid).nth(2)  # from 9.5 to 12.5
    card.press("]")
    expect_state(card, "playing")
    page.wait_for_function("() => starts.at(-1)?.time >= 15")
    for key, start in [("]", 18), ("[", 15), ("[", 12)]:
        card.press(key)
        page.wait_for_function(f"() => Math.abs(starts.at(-1).time - {start}) < 0.05")
    card.press("p")  # on past the end
    card.locator("video").evaluate("video => { video.currentTime = 17.8 }")
    page.wait_for_function("() => document.activeElement")
    card.locator("video").evaluate(
        """video => new Promise((done) => {
          video.addEventListener("timeupdate", () => video.currentTime > 18.1 && done());
        })"""
    )
    expect_state(card, "playing")


def test_digits_play_the_nth_moment_wherever_the_focus_is(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    page.keyboard.press("2")
    expect_state(cards.nth(1), "playing")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("3")
    expect_state(cards.nth(2), "playing")
    expect_state(cards.nth(1), "idle")
    page.keyboard.press("9")
    expect_state(cards.nth(2), "playing")


def test_a_sheet_of_all_keys_opens_by_key_and_by_button(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    sheet = page.get_by_role("dialog", name="Keys")
    cards.first.press("?")
    expect(sheet).to_be_visible()
    for words in ("Play the first to the ninth moment", "One frame back, one ahead", "Loop"):
        expect(sheet.get_by_text(words)).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(cards.first).to_be_focused()
    page.get_by_role("button", name="Keys").click()
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()


# The detail view


def test_the_detail_view_goes_on_where_the_card_was(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "longer")
    card, detail = cards.nth(1), detail_of(page)
    play(card)
    expect_state(card, "playing")
    card.locator("video").evaluate("video => { video.currentTime = 24 }")
    card.press("d")
    expect(detail).to_be_visible()
    expect_state(card, "idle")
    large = detail.locator(".detail")
    expect_state(large, "playing")
    assert 24 <= current_time(large) < 27
    expect(page.locator("video")).to_have_count(1)
    page.keyboard.press(" ")
    expect_state(large, "paused")
    page.keyboard.press("ArrowRight")  # the next moment
    expect(detail.get_by_text("0:40.0 to 0:48.0")).to_be_visible()
    page.keyboard.press("Enter")
    expect_state(large, "playing")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.locator("video")).to_have_count(0)
    expect(card).to_be_focused()


def test_the_detail_view_has_all_facts_and_a_strip_for_each_option(page: Page, grid: str) -> None:
    cards = open_full(page, grid)
    cards.nth(1).hover()
    cards.nth(1).get_by_role("button", name="Details").click()
    detail = detail_of(page)
    facts = detail.locator("dl")
    for words in ("0:05.0 to 0:08.0", "0.460", "coded.mp4", "Strong. Scores more than 98.9 %"):
        expect(facts).to_contain_text(words)
    visual = detail.get_by_role("slider", name="Scores of the whole video visual")
    audio = detail.get_by_role("slider", name="Scores of the whole video audio")
    expect_drawn(audio)
    expect_drawn(visual)
    large = detail.locator(".detail")
    audio.click(position=over(audio, 31))
    expect_state(large, "playing")
    assert 30 <= current_time(large) < 33
    detail.get_by_role("button", name="Next segment").click()
    page.wait_for_function("() => Math.abs(starts.at(-1).time - 33) < 0.05")
    detail.get_by_role("button", name="Loop").click()
    detail.get_by_role("button", name="Speed 2").click()
    assert large.locator("video").evaluate("video => video.playbackRate") == 2
    detail.get_by_role("button", name="Play or pause").click()
    expect_state(large, "paused")
    detail.get_by_role("button", name="Good match").click()
    expect_asked(page, f"liked: {SECOND}")
    expect(detail.get_by_role("button", name="Good match")).to_have_attribute(
        "aria-pressed", "true"
    )
    detail.get_by_role("button", name="All moments of this video").click()
    expect(detail).to_be_hidden()
    expect_asked(page, f"liked: {SECOND}", f"more_of_video: {SECOND}")


def test_all_that_keys_do_can_be_done_by_touch(browser: Browser, grid: str) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    card = open_full(page, grid).nth(1)
    card.get_by_role("checkbox").tap()
    expect_asked(page, f"select: {SECOND}")
    card.locator(".picture").tap(position={"x": 180, "y": 120})
    expect_state(card, "playing")
    card.get_by_role("button", name="Details").tap()
    detail = detail_of(page)
    large = detail.locator(".detail")
    expect_state(large, "playing")
    for name in ("Play or pause", "One frame ahead", "One frame back", "Speed 0.5", "Loop"):
        detail.get_by_role("button", name=name, exact=True).tap()
    expect_state(large, "paused")
    expect(detail.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    assert detail.evaluate("dialog => dialog.scrollWidth - dialog.clientWidth") <= 0
    detail.get_by_role("button", name="Close").tap()
    expect(page.locator("video")).to_have_count(0)
    phone.close()


# Looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_of_the_grid_keeps_anybody_out(page: Page, grid: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    def expect_no_violations() -> None:
        # Streamlit's own page around the grid is not ours.
        results = Axe().run(page, context='[data-testid="stBidiComponentIsolated"]')
        assert results.response["passes"]
        found = [(one["id"], one["nodes"][0]["html"]) for one in results.response["violations"]]
        assert found == []

    cards = open_full(page, grid, "&grouped=yes")
    expect_drawn(strip_of(cards.first))
    cards.nth(1).press("x")
    expect(cards.nth(1).get_by_role("checkbox")).to_be_checked()
    expect_no_violations()
    cards.nth(1).press("d")
    expect_drawn(detail_of(page).get_by_role("slider").first)
    expect_no_violations()
    page.keyboard.press("Escape")
    cards.first.press("?")
    expect_no_violations()
    open_full(page, grid, "&layout=table")
    expect_no_violations()


def test_nothing_jumps_while_pictures_and_scores_arrive(page: Page, grid: str) -> None:
    held: list[Route] = []
    page.route(re.compile("/(poster|heat)/"), lambda route: held.append(route))
    cards = open_full(page, grid)
    page.evaluate(
        """() => {
          window.shifted = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) shifted += entry.value;
          }).observe({ type: "layout-shift" });
        }"""
    )
    page.route(re.compile("/(poster|heat)/"), lambda route: route.continue_())
    for route in held:
        route.continue_()
    for index in range(cards.count()):
        expect(cards.nth(index)).to_have_attribute("data-poster", "ready")
        expect_drawn(strip_of(cards.nth(index)))
    cards.nth(2).hover()
    expect_state(cards.nth(2), "preview")
    cards.nth(2).press("x")
    expect(cards.nth(2).get_by_role("checkbox")).to_be_checked()
    play(cards.nth(1))
    expect_state(cards.nth(1), "playing")
    assert page.evaluate("shifted") == 0


def test_a_moment_that_is_gone_closes_its_detail_view(page: Page, grid: str) -> None:
    cards = open_case(page, grid, "ranked")
    segment_card(page, 20).press("d")
    expect(detail_of(page)).to_be_visible()
    page.keyboard.press("m")  # what is asked of the page is answered behind the view
    expect(detail_of(page)).to_be_hidden()
    expect_asked(page, "similar: coded.mp4-visual-20000")
    expect(cards).to_have_count(6)
