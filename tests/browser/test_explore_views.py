"""Copies that play in step, lines over time and answers side by side, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from core import Settings, open_library
from tests.app_server import Server, running_app
from tests.browser.conftest import settled
from tests.browser.test_journeys import expect_no_sideways_scroll
from tests.media import make_video
from tests.stills import CLIPS, SCENE_SEC, dated, film_of, still

IN_STEP_SEC = 0.1
RECORDED = datetime(2026, 3, 4, 12, tzinfo=UTC)
VIEWS = {
    "duplicates": "in common",
    "trends": "along the length",
    "coverage": "Never found",
    "side-by-side": "are in both answers",
}
# How far the second video is from where the first one says that it should be, at every frame until
# there are 40 of them; and whether both play.
WATCH = """pair => new Promise(done => {
  const sides = [...pair.querySelectorAll(".side")];
  const at = side => side.querySelector("video").currentTime - Number(side.dataset.start);
  const seen = [];
  const look = () => {
    const playing = sides.every(side => !side.querySelector("video").paused);
    seen.push({ apart: Math.abs(at(sides[1]) - at(sides[0])), at: at(sides[0]), playing });
    if (seen.length < 40) requestAnimationFrame(look);
    else done(seen);
  };
  look();
})"""


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a show, a copy of scenes of it that begins with something else, a copy of a
    kind that browsers do not play, and six films of other weeks."""
    folder = tmp_path_factory.mktemp("copies")
    paths = [
        film_of(folder / "show.mp4", CLIPS, (320, 180)),
        film_of(folder / "copy.mp4", ["timecode", *CLIPS[2:10]]),
        old_kind(folder / "old.mp4", CLIPS[:6]),
    ]
    for week in range(6):
        path = film_of(folder / f"week {week}.mp4", [("tree", "bunny_stretch")[week % 2]])
        paths.append(dated(path, RECORDED + timedelta(weeks=week)))
    with open_library(Settings(data_dir=folder / "data", segment_sec=SCENE_SEC)) as library:
        library.add(paths, titles=["The whole show", "Parts of it", "An old file"])
        assert {job.error for job in library.wait(timeout=120)} == {""}
    with running_app(folder, SEEKPOINT_SEGMENT_SEC=str(SCENE_SEC)) as server:
        yield server


def old_kind(path: Path, clips: Any) -> Path:
    scenes = [still(clip, (320, 180)) for clip in clips]
    return make_video(
        path,
        seconds=SCENE_SEC * len(scenes),
        size=(320, 180),
        fps=8,
        audio=False,
        codec="mpeg4",
        frame=lambda second: np.asarray(scenes[int(second // SCENE_SEC)]),
    )


def open_view(page: Page, server: Server, view: str) -> None:
    page.goto(f"{server.url}/explore?view={view}")
    expect(page.get_by_role("radio", name="Coverage")).to_be_visible(timeout=60_000)
    settled(page)


def open_pair(page: Page, server: Server, *titles: str) -> Locator:
    """The player of a passage of these two videos."""
    open_view(page, server, "duplicates")
    names = "|".join((f"{titles[0]} and {titles[1]}", f"{titles[1]} and {titles[0]}"))
    button = page.get_by_role("button", name=re.compile(f"^.*Play .* of ({names})"))
    expect(button.first).to_be_visible(timeout=30_000)
    button.first.click()
    return page.get_by_test_id("in-step")


def expect_state(pair: Locator, state: str) -> None:
    expect(pair).to_have_attribute("data-state", state, timeout=20_000)


def expect_at(pair: Locator, least: float) -> None:
    """Waits until it has played, or gone, that far."""
    expect(pair.get_by_role("slider")).to_be_visible()
    pair.page.wait_for_function(
        "([pair, least]) => Number(pair.querySelector('.position').value) >= least",
        arg=[pair.element_handle(), least],
    )


def watch(pair: Locator) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = pair.evaluate(WATCH)
    return seen


def apart(pair: Locator) -> float:
    return max(frame["apart"] for frame in watch(pair))


def back_in_step(pair: Locator) -> None:
    pair.page.wait_for_function(
        """pair => {
          const at = side =>
            side.querySelector("video").currentTime - Number(side.dataset.start);
          const [first, second] = [...pair.querySelectorAll(".side")];
          return Math.abs(at(second) - at(first)) < 0.03;
        }""",
        arg=pair.element_handle(),
    )


def test_two_copies_play_in_step_each_from_its_own_second(copies: Server, page: Page) -> None:
    pair = open_pair(page, copies, "The whole show", "Parts of it")
    expect_state(pair, "playing")
    expect_at(pair, 0.5)
    seen = watch(pair)
    assert all(frame["playing"] for frame in seen)
    assert max(frame["apart"] for frame in seen) <= IN_STEP_SEC
    assert seen[-1]["at"] > seen[0]["at"]
    starts = pair.locator(".side").evaluate_all("all => all.map(e => Number(e.dataset.start))")
    assert sorted(starts) == pytest.approx([2, 4], abs=0.3)
    muted = pair.locator("video").evaluate_all("all => all.map(video => video.muted)")
    assert muted == [False, True]


def test_one_bar_moves_both_and_they_go_on_in_step(copies: Server, page: Page) -> None:
    pair = open_pair(page, copies, "The whole show", "Parts of it")
    expect_state(pair, "playing")
    expect_at(pair, 0.2)
    bar = pair.get_by_role("slider", name="Position in both")
    box = bar.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect_at(pair, 7.5)
    seen = watch(pair)
    assert max(frame["apart"] for frame in seen) <= IN_STEP_SEC
    assert all(7 < frame["at"] < 12 for frame in seen)
    expect_state(pair, "playing")


def test_what_drifts_apart_is_brought_together(copies: Server, page: Page) -> None:
    pair = open_pair(page, copies, "The whole show", "Parts of it")
    expect_at(pair, 0.5)
    for drift in (0.2, -0.2, 2.0):
        pair.evaluate(
            "(pair, drift) => { pair.querySelectorAll('video')[1].currentTime += drift; }", drift
        )
        back_in_step(pair)
    assert apart(pair) <= IN_STEP_SEC


def test_both_stop_at_the_end_of_what_they_share_and_begin_again(
    copies: Server, page: Page
) -> None:
    pair = open_pair(page, copies, "The whole show", "Parts of it")
    expect_at(pair, 0.2)
    bar = pair.get_by_role("slider")
    length = float(bar.get_attribute("max") or 0)
    bar.fill(str(length - 1))
    expect_state(pair, "finished")
    last = watch(pair)[-1]
    assert not last["playing"]
    assert length - 0.05 <= last["at"] <= length + 0.3
    page.keyboard.press("k")
    expect_state(pair, "playing")
    assert watch(pair)[0]["at"] < 2


def test_the_player_is_driven_by_keys(copies: Server, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    pair = open_pair(page, copies, "The whole show", "Parts of it")
    # Who wants less motion begins it.
    expect_state(pair, "paused")
    assert not any(frame["playing"] for frame in watch(pair))
    pair.get_by_role("slider").focus()
    for key, second in (("ArrowRight", "0:01.0"), ("l", "0:03.0"), ("ArrowLeft", "0:02.0")):
        page.keyboard.press(key)
        expect(pair.locator(".clock")).to_contain_text(f"{second} / ")
    page.keyboard.press(" ")
    expect_state(pair, "playing")
    page.keyboard.press("k")
    expect_state(pair, "paused")
    assert apart(pair) <= IN_STEP_SEC
    before = apart(pair)
    for _ in range(5):
        page.keyboard.press("]")
    expect(pair.locator(".by")).to_have_text("0.5 s later")
    page.wait_for_function(
        "pair => [...pair.querySelectorAll('video')].every(video => !video.seeking)",
        arg=pair.element_handle(),
    )
    assert apart(pair) == pytest.approx(0.5, abs=before + 0.05)
    pair.get_by_role("button", name="Second video 0.1 seconds earlier").click()
    expect(pair.locator(".by")).to_have_text("0.4 s later")


def test_a_copy_that_cannot_play_is_explained_and_the_other_one_plays(
    copies: Server, page: Page
) -> None:
    pair = open_pair(page, copies, "The whole show", "An old file")
    explained = pair.get_by_text("This browser cannot play this file.", exact=True)
    expect(explained).to_be_visible(timeout=20_000)
    page.wait_for_function(
        "pair => [...pair.querySelectorAll('video')].some(v => !v.paused && v.currentTime > 0.5)",
        arg=pair.element_handle(),
    )
    expect_state(pair, "playing")


def test_two_questions_stand_side_by_side_and_their_moments_play(
    copies: Server, page: Page
) -> None:
    ask_both(page, copies)
    expect(
        page.get_by_text("are in both answers").or_(page.get_by_text("is in both"))
    ).to_be_visible()
    left, right = (page.locator(f".st-key-compare_{side}_moments") for side in ("left", "right"))
    for side in (left, right):
        expect(side.get_by_test_id("moment").first).to_be_visible()
    card = right.get_by_test_id("moment").first
    card.focus()
    card.press("Enter")
    expect(card).to_have_attribute("data-state", "playing", timeout=20_000)
    start = float(card.get_attribute("data-start") or "nan")
    assert 0 <= card.locator("video").evaluate("video => video.currentTime") - start < 2
    page.get_by_text("On one side only", exact=True).click()
    reasons = page.get_by_test_id("moment").locator(".why")
    expect(reasons.filter(has_text=re.compile("rank", re.IGNORECASE))).to_have_count(0)
    expect(reasons.filter(has_text="Not among the first").first).to_be_visible()


def ask_both(page: Page, server: Server) -> None:
    open_view(page, server, "side-by-side")
    for side, words in (("left", "a rocket at night"), ("right", "a city at night")):
        box = page.get_by_label(f"Question on the {side}")
        box.fill(words)
        box.press("Enter")
        settled(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_view_keeps_anybody_out_and_none_scrolls_sideways_on_a_phone(
    copies: Server, page: Page, view: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    match view:
        case "duplicates":
            pair = open_pair(page, copies, "The whole show", "Parts of it")
            expect_state(pair, "paused")
            page.mouse.move(0, 0)
        case "side-by-side":
            ask_both(page, copies)
        case _:
            open_view(page, copies, view)
    expect(page.get_by_text(VIEWS[view]).first).to_be_visible(timeout=30_000)
    settled(page)
    results = Axe().run(page).response
    assert results["passes"]
    assert [(rule["id"], rule["nodes"]) for rule in results["violations"]] == []
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page)
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
    expect_no_sideways_scroll(page)
