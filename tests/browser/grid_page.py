"""The page with nothing but the grid: how tests open it and what they read from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from tests.media import Picture, make_video

BITS = 11
# How the page writes down what it was asked.
EVENTS = re.compile(r"^[a-z_]+: \S+\.mp4")
# The number of the frame that stands on a player: it is written in black and white stripes. Null
# while nothing was painted yet. `paintedNumber` is that of a player at rest: the browser says that
# it has arrived, and paints the picture of that with one of its next frames. On a busy machine the
# one before still stands until then, or none.
FRAME_NUMBER = """
window.frameNumber = (video) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const picture = canvas.getContext("2d");
  picture.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    const x = ((bit + 0.5) * canvas.width) / BITS;
    const [red, , , alpha] = picture.getImageData(x, canvas.height / 2, 1, 1).data;
    if (!alpha) return null;
    number = number * 2 + (red > 127);
  }
  return number;
};
window.paintedNumber = async (video) => {
  for (let frame = 0; frame < 2 || frameNumber(video) === null; frame += 1) {
    await new Promise(requestAnimationFrame);
  }
  return frameNumber(video);
};
""".replace("BITS", str(BITS))
# Reads the frame of each player when it begins to play, and the first the browser presents after.
WATCH_FIRST_FRAMES = (
    FRAME_NUMBER
    + """
window.starts = [];
const play = HTMLVideoElement.prototype.play;
HTMLVideoElement.prototype.play = async function () {
  // What plays already does not wait.
  const number = this.paused ? await paintedNumber(this) : frameNumber(this);
  const start = { number, time: this.currentTime };
  this.requestVideoFrameCallback((now, frame) => {
    window.starts.push({ ...start, presented: frame.mediaTime });
  });
  return play.call(this);
};
"""
)


def make_films(folder: Path) -> None:
    """The videos of the page's cases; every frame of the good ones shows its number."""
    make_video(folder / "coded.mp4", seconds=60, size=(352, 198), frame=numbered(352, 198, 25))
    tall = numbered(198, 352, 30)
    make_video(folder / "tall.mp4", seconds=10, size=(198, 352), fps=30, audio=False, frame=tall)
    slow = numbered(352, 198, 10)
    make_video(folder / "slow.mp4", seconds=20, size=(352, 198), fps=10, frame=slow)
    make_video(folder / "short.mp4", seconds=3, size=(160, 90))
    make_video(folder / "mpeg4.mp4", seconds=8, size=(160, 90), codec="mpeg4")
    (folder / "text.mp4").write_text("This is a note, not a video.\n" * 50)


def numbered(width: int, height: int, fps: int, bits: int = BITS) -> Any:
    """Draws the number of a frame as stripes: white for one, black for zero."""

    def draw(second: float) -> Picture:
        number = round(second * fps)
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        for bit in range(bits):
            if number >> (bits - 1 - bit) & 1:
                picture[:, bit * width // bits : (bit + 1) * width // bits] = 255
        return picture

    return draw


def open_case(page: Page, grid: str, case: str = "playing") -> Locator:
    """Opens a page of the harness and gives its cards, all drawn."""
    page.goto(f"{grid}/?case={case}")
    cards = page.get_by_test_id("moment")
    cards.last.wait_for()
    return cards


def be(state: str) -> re.Pattern[str]:
    return re.compile(f"^{state}$")


def expect_state(card: Locator, state: str) -> None:
    expect(card).to_have_attribute("data-state", be(state), timeout=20_000)


def seconds(card: Locator, name: str) -> float:
    return float(card.get_attribute(f"data-{name}") or "nan")


def current_time(card: Locator) -> float:
    return float(card.locator("video").evaluate("video => video.currentTime"))


def segment_card(page: Page, start: float) -> Locator:
    """The card of the segment that starts there, wherever it stands."""
    return page.locator(f'[data-id="coded.mp4-visual-{round(start * 1000)}"]')


def thumb(card: Locator, name: str) -> Locator:
    return card.get_by_role("button", name=name, exact=True)


def expect_pressed(card: Locator, *, good: bool = False, bad: bool = False) -> None:
    for name, pressed in (("Good match", good), ("Bad match", bad)):
        expect(thumb(card, name)).to_have_attribute("aria-pressed", str(pressed).lower())


def expect_asked(page: Page, *events: str) -> None:
    """What the page was given, in that order and nothing else."""
    expect(page.get_by_text(EVENTS)).to_have_text(list(events))


def play(card: Locator) -> None:
    card.focus()
    card.press("Enter")
