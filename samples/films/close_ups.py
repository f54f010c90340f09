"""Scenes near by and far out: a clock, a candle, jellyfish, an eclipse."""

from __future__ import annotations

import numpy as np

from samples.films.paint import (
    ASPECT,
    FRAMES_PER_SECOND,
    HEIGHT,
    Array,
    Canvas,
    Point,
    Scene,
    Specks,
    Stencil,
    X,
    Y,
    clouds,
    disc,
    distance,
    glow,
    mixed,
    ramp,
    rgb,
    smooth,
    stars,
    vertical,
    window,
)


def wall_clock() -> Scene:
    """A wall clock from 10:08:00 on, with the film's own time burned in below."""
    centre, radius = (0.5 * ASPECT, 0.44), 0.36
    wall = vertical((0, "#d8a26a"), (1, "#b5763f"))
    dark_corners = 1 - glow((0.35 * ASPECT, 0.3), 1.1)
    shadow = disc((centre[0] + 0.025, centre[1] + 0.045), radius + 0.01, 0.09)
    marks = _clock_face(centre, radius)
    plate = Stencil()
    plate.rectangle(0.66, 0.875, 1.12, 0.965)
    strip = plate.mask()

    def at(second: float) -> Canvas:
        canvas = Canvas(wall)
        canvas.paint(dark_corners, "#40200c", 0.6)
        canvas.paint(shadow, "#2a1406", 0.55)
        canvas.paint(disc(centre, radius), vertical((0.1, "#4a4f58"), (0.8, "#14161a")))
        canvas.paint(disc(centre, radius * 0.93), vertical((0.1, "#e9e6df"), (0.8, "#fbfaf6")))
        canvas.paint(marks, "#17181b")
        _clock_hands(canvas, centre, radius, 10 * 3600 + 8 * 60 + second)
        canvas.paint(strip, "#0b0c0f", 0.85)
        canvas.paint(_timecode(second), "#ffffff")
        return canvas

    return at


def _clock_face(centre: Point, radius: float) -> Array:
    marks = Stencil()
    for minute in range(60):
        start, width = (0.80, 0.012) if minute % 5 == 0 else (0.85, 0.004)
        marks.line([_on_dial(centre, radius * r, minute / 60) for r in (start, 0.89)], width)
    for hour in range(1, 13):
        marks.text(_on_dial(centre, radius * 0.68, hour / 12), str(hour), 0.062)
    return marks.mask()


def _clock_hands(canvas: Canvas, centre: Point, radius: float, seconds: float) -> None:
    whole = np.floor(seconds)
    tick = whole + smooth(seconds - whole, 0, 0.12) - 1  # the hand jumps, as clocks do
    hands = (
        (seconds / 43200, 0.46, 0.026, "#17181b"),
        (seconds / 3600, 0.70, 0.018, "#17181b"),
        (tick / 60, 0.78, 0.006, "#d62828"),
    )
    for turn, length, width, colour in hands:
        hand = Stencil()
        hand.line([_on_dial(centre, radius * r, turn) for r in (-0.14, length)], width)
        canvas.paint(np.roll(hand.mask(0.006), (4, 3), axis=(0, 1)), "#3a2a1a", 0.35)
        canvas.paint(hand.mask(), colour)
    canvas.paint(disc(centre, 0.016), "#d62828")


def _on_dial(centre: Point, length: float, turn: float) -> Point:
    angle = 2 * np.pi * turn
    return centre[0] + length * float(np.sin(angle)), centre[1] - length * float(np.cos(angle))


def _timecode(second: float) -> Array:
    """Hours, minutes, seconds and frames in fixed places, so that the digits do not dance."""
    frame = round(second * FRAMES_PER_SECOND)
    whole, rest = divmod(frame, FRAMES_PER_SECOND)
    words = f"00:{whole // 60:02}:{whole % 60:02}:{rest:02}"
    stencil = Stencil()
    for place, letter in enumerate(words):
        stencil.text((0.5 * ASPECT + (place - 5) * 0.037, 0.92), letter, 0.062)
    return stencil.mask()


def candle() -> Scene:
    """A candle flame flickers in a dark room."""
    x = 0.5 * ASPECT
    body = Stencil()
    body.polygon([(x - 0.085, 0.62), (x + 0.085, 0.62), (x + 0.09, 1.05), (x - 0.09, 1.05)])
    wax, rim = body.mask(), _oval((x, 0.62), 0.085, 0.018)
    wick = Stencil()
    wick.line([(x, 0.62), (x + 0.003, 0.60), (x + 0.001, 0.572)], 0.007)
    drawn_wick = wick.mask()
    room = vertical((0, "#0d0705"), (1, "#1c0d06"))
    rounded = 1 - ((X - x) / 0.12) ** 2

    def at(second: float) -> Canvas:
        lean = 0.010 * np.sin(2.1 * second) + 0.006 * np.sin(7.3 * second)
        bright = 0.92 + 0.05 * np.sin(9.1 * second) + 0.04 * np.sin(3.7 * second + 1)
        canvas = Canvas(room)
        canvas.light(glow((x + lean, 0.46), 0.30), "#ff8a2a", 0.42 * bright)
        canvas.paint(wax, vertical((0.6, "#ffdf9e"), (0.78, "#d98f45"), (1, "#6b3413")))
        canvas.paint(wax * ramp(1 - rounded), "#2a0f04", 0.65)
        canvas.paint(rim, "#ffe9b8")
        canvas.light(_oval((x, 0.622), 0.055, 0.011), "#fff6da", 0.6 * bright)
        canvas.paint(drawn_wick, "#1a0d08")
        _flame(canvas, (x, 0.595), 0.25 * bright, lean)
        return canvas

    return at


def _oval(centre: Point, width: float, height: float) -> Array:
    away = np.hypot((X - np.float32(centre[0])) / width, (Y - np.float32(centre[1])) / height)
    return ramp((1 - away) * height * HEIGHT + 0.5)


def _flame(canvas: Canvas, foot: Point, height: float, lean: float) -> None:
    for share, width, colour, strength in (
        (1.0, 0.036, "#ff7a18", 0.85),
        (0.86, 0.029, "#ffc247", 0.95),
        (0.62, 0.020, "#fff7d6", 1.0),
    ):
        up = (foot[1] - Y) / (height * share)
        bent = (X - np.float32(foot[0]) - lean * np.maximum(up, 0) ** 2) / width
        outline = np.sqrt(ramp(up)) * ramp(1 - up) ** 0.8 * 2.0
        inside = ramp((outline - np.abs(bent)) * 4) * ((up > 0) & (up < 1))
        canvas.light(inside, colour, strength)
    canvas.light(glow((foot[0] + lean, foot[1] - 0.09), 0.075), "#ffb45a", 0.5)
    canvas.light(glow(foot, 0.012), "#4a7bff", 0.5)


def jellyfish() -> Scene:
    """Jellyfish pulse through blue water with shafts of light."""
    deep = vertical((0, "#1583b8"), (0.35, "#0b4f8a"), (1, "#04122e"))
    shafts = clouds(91, 9, octaves=2)[240]
    plankton = np.random.default_rng(92).random((110, 3))
    swarm = [
        (1.36, 0.50, 0.10, 1.7, ("#b7a6ff", "#7fe3ff")),
        (0.33, 0.66, 0.060, 4.1, ("#ffb0d8", "#ffd7a8")),
        (0.78, 0.42, 0.185, 0.0, ("#ff9ec7", "#ffd9ec")),
    ]

    def at(second: float) -> Canvas:
        canvas = Canvas(deep)
        canvas.light(_light_shafts(shafts, second), "#bdf0ff", 0.34)
        canvas.light(_plankton(plankton, second), "#d8f6ff", 0.35)
        for x, y, size, phase, colours in swarm:
            beat = 2.4 * second + phase
            lift = 0.012 * second * (0.8 + size) + 0.018 * np.sin(beat)
            centre = (x + 0.015 * np.sin(0.5 * second + phase), y - lift)
            _jelly(canvas, centre, size, beat, colours)
        return canvas

    return at


def _light_shafts(shafts: Array, second: float) -> Array:
    across = (X - 0.35 * (Y - 0.2)) / ASPECT
    position = (across * HEIGHT + 200 + 6 * second) % (len(shafts) - 1)
    rays = ramp((shafts[position.astype(int)] - 0.42) * 2.6)
    return (rays * ramp(1 - 1.15 * Y) ** 1.5).astype(np.float32)


def _plankton(specks: Specks, second: float) -> Array:
    stencil = Stencil()
    for x, y, size in specks:
        centre = (x * ASPECT + 0.02 * np.sin(second * 0.6 + 9 * y), (y - 0.02 * second * size) % 1)
        stencil.disc(centre, 0.001 + 0.004 * size**3, 0.3 + 0.5 * size)
    return stencil.mask(0.002)


def _jelly(
    canvas: Canvas, centre: Point, size: float, beat: float, colours: tuple[str, str]
) -> None:
    """A bell with a scalloped rim, ribs and a highlight; `beat` is where it is in its pulse."""
    squeeze = 0.10 * np.sin(beat)
    width, height = size * (1 - squeeze), size * 0.86 * (1 + 0.8 * squeeze)
    _tentacles(canvas, centre, size, width, beat, colours)
    x, y = (X - np.float32(centre[0])) / width, (Y - np.float32(centre[1])) / height
    rim = 0.16 + 0.035 * np.cos(x * 26)
    radius = np.hypot(x, np.where(y < 0, y, y * 2.2))
    bell = ramp((1 - radius) * size * 300) * ramp((rim - y) * size * 240)
    canvas.paint(bell, colours[0], 0.30)
    canvas.light(bell * ramp(radius) ** 3, colours[0], 0.75)
    ribs = np.exp(-((np.sin(np.arctan2(x, 0.25 - y) * 9) / 0.35) ** 2)) * ramp(radius * 1.4 - 0.3)
    canvas.light(bell * ribs, colours[1], 0.32)
    shine = np.exp(-(((x + 0.32) / 0.28) ** 2) - ((y + 0.55) / 0.2) ** 2)
    canvas.light(bell * shine, "#ffffff", 0.6)
    canvas.light(glow(centre, size * 0.8), colours[0], 0.16)


def _tentacles(
    canvas: Canvas, centre: Point, size: float, width: float, beat: float, colours: tuple[str, str]
) -> None:
    """Many thin threads at the rim and four soft arms in the middle, all of them waving."""
    threads, arms = Stencil(), Stencil()
    steps = np.linspace(0, 1, 28)
    for n in range(15):
        start = (n / 14 - 0.5) * 1.75
        length = size * (2.3 + 0.7 * np.sin(n * 2.1))
        wave = 0.13 * size * steps * np.sin(6.5 * steps - beat * 0.8 + 0.6 * n)
        x = centre[0] + start * width * (1 - 0.35 * steps) + wave
        y = centre[1] + 0.06 * size + length * steps
        threads.line(list(zip(x.tolist(), y.tolist(), strict=True)), 0.0028, 0.8)
    for n in range(4):
        wave = 0.16 * size * np.sin(8 * steps - beat * 0.7 + 1.4 * n) * steps
        x = centre[0] + (n - 1.5) * 0.2 * width + wave
        y = centre[1] + size * 1.55 * steps
        arms.line(list(zip(x.tolist(), y.tolist(), strict=True)), 0.085 * size, 0.9)
    fade = ramp(1.05 - (Y - np.float32(centre[1])) / (size * 3.1))
    canvas.light(arms.mask(0.006) * fade, colours[1], 0.42)
    canvas.light(threads.mask() * fade, colours[0], 0.55)


def eclipse() -> Scene:
    """The moon slides over the sun; at totality the corona and the stars come out."""
    centre, radius = (0.5 * ASPECT, 0.5), 0.19
    sky = stars(95, 420, 1.0)
    streamers = _streamers(centre, radius)
    grain = 0.9 + 0.1 * window(clouds(96, 22, octaves=4), 0)
    surface = (rgb("#fff0c4") * grain[..., None]).astype(np.float32)

    def at(second: float) -> Canvas:
        passed = second - 6
        # Slower around totality, which is what one waits for.
        travel = 0.0125 * passed * abs(passed)
        moon = (centre[0] - travel, centre[1] + 0.28 * travel)
        total = 1 - smooth(abs(passed), 0.75, 1.6)
        top, bottom = mixed("#16233f", "#02030a", total), mixed("#2c3a58", "#0a0c1c", total)
        canvas = Canvas(vertical((0, top), (1, bottom)))
        canvas.light(sky, "#ffffff", 0.9 * total)
        canvas.light(glow(centre, 0.30), mixed("#ffd9a0", "#8fb2ff", total), 0.75 - 0.5 * total)
        canvas.light(streamers, "#eaf1ff", 0.08 + 0.92 * total)
        sun, shadow = disc(centre, radius), disc(moon, radius * 1.06)
        canvas.paint(sun, surface)
        # By daylight the moon shows only where it hides the sun.
        visible = shadow * np.maximum(sun, np.float32(total))
        canvas.paint(visible, mixed("#1c2740", "#04050c", total))
        _diamond(canvas, centre, radius, passed)
        return canvas

    return at


def _streamers(centre: Point, radius: float) -> Array:
    """The corona: brightest at the rim, with long soft rays."""
    angle = np.arctan2(Y - np.float32(centre[1]), X - np.float32(centre[0]))
    away = distance(centre) / radius
    random = np.random.default_rng(97)
    rays = np.zeros_like(angle)
    for n in range(2, 26):
        rays += np.sin(n * angle + random.random() * 6.3) / n**0.8
    reach = 1.15 + 0.30 * (rays - rays.min()) / (rays.max() - rays.min()) * 2
    return ramp(1.25 * np.exp(-(np.maximum(away, 1) - 1) / (0.42 * reach**2 - 0.2)))


def _diamond(canvas: Canvas, centre: Point, radius: float, passed: float) -> None:
    """The last and the first ray of sunlight through the valleys of the moon."""
    for moment, side in ((-1.0, -1), (1.0, 1)):
        strength = max(0.0, 1 - abs(passed - moment) / 0.45)
        bead = (centre[0] + side * radius * 0.96, centre[1] - side * radius * 0.27)
        canvas.light(glow(bead, 0.035), "#ffffff", strength)
        spike = np.exp(-np.abs(Y - np.float32(bead[1])) / 0.004) * glow(bead, 0.10)
        canvas.light(spike, "#fff6e0", strength)
