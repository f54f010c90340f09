"""A film of ten minutes that tells in every picture which frame it is: players against the film."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.grid_page import (
    current_time,
    expect_state,
    numbered,
    open_case,
    play,
    seconds,
)
from tests.media import make_video

MINUTES, FPS, SIZE, BITS = 10, 10, (160, 90), 13
MOMENTS = 20

# Pauses each player with its first picture, as somebody with quick hands would, and notes how many
# players could be heard at once.
HOLD_FIRST_PICTURES = """
window.mostSounding = 0;
const heard = new Set();
const play = HTMLVideoElement.prototype.play;
HTMLVideoElement.prototype.play = async function () {
  heard.add(this);
  const first = this.hold === undefined;
  this.hold = first;
  await play.call(this);
  const sounding = [...heard].filter((video) => !video.paused && !video.muted);
  window.mostSounding = Math.max(window.mostSounding, sounding.length);
  if (first) this.pause();
};
"""


@pytest.fixture(scope="module")
def film(grid_media: Path) -> Path:
    picture = numbered(*SIZE, FPS, BITS)
    path = grid_media / "film.mp4"
    # Sound of telephone quality takes a fraction of the time to write.
    return make_video(
        path, seconds=60 * MINUTES, size=SIZE, fps=FPS, frame=picture, sample_rate=8_000
    )


@pytest.fixture
def page(grid_page: Page, film: Path) -> Iterator[Page]:
    # One card in a row: pictures are large, and what lies on them leaves the middle free.
    grid_page.set_viewport_size({"width": 390, "height": 900})
    with grid_page.add_init_script(HOLD_FIRST_PICTURES):
        yield grid_page


def frame_on_screen(card: Locator) -> int:
    """The number of the frame that a screenshot of the card's picture shows."""
    with av.open(io.BytesIO(card.locator(".picture").screenshot())) as screenshot:
        [picture] = [frame.to_ndarray(format="gray8") for frame in screenshot.decode(video=0)]
    height, width = picture.shape
    number = 0
    for bit in range(BITS):
        stripe = picture[height // 2, round((bit + 0.5) * width / BITS)]
        number = number * 2 + int(stripe > 127)
    return number


def test_twenty_random_moments_show_the_right_frame_and_stop_at_their_end(
    page: Page, grid: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    cards = open_case(page, grid, "random")
    expect(cards).to_have_count(MOMENTS)
    expect(cards.first).to_have_attribute("data-poster", "ready")
    assert not [url for url in asked if "/video/" in url]
    for index in range(MOMENTS):
        card = cards.nth(index)
        play(card)
        expect_state(card, "paused")
        start, stands = seconds(card, "start"), current_time(card)
        assert abs(stands - start) <= 0.05
        # One frame, except where the next one begins in between.
        assert int(start * FPS) <= frame_on_screen(card) <= int(stands * FPS)
        card.press("k")
        expect_state(card, "finished")
        assert 0 <= current_time(card) - seconds(card, "end") <= 0.1
        expect(page.locator("video")).to_have_count(1)
    assert page.evaluate("mostSounding") == 1
    assert len({re.sub("#.*", "", url) for url in asked if "/video/" in url}) == 1
