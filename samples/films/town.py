"""Scenes in town: a crossing in the rain, fireworks over the river."""

from __future__ import annotations

import numpy as np

from samples.films.paint import (
    ASPECT,
    HEIGHT,
    Array,
    Canvas,
    Point,
    Scene,
    Specks,
    Stencil,
    X,
    disc,
    glow,
    mixed,
    rgb,
    smooth,
    stars,
    vertical,
)

# Seconds at which fireworks go off; the first are already in the air when the scene begins.
BURST_TIMES = tuple(-1.2 + 0.55 * n for n in range(20))


def rainy_crossing() -> Scene:
    """A traffic light changes from red to green on a rainy night, the city out of focus behind."""
    sky = vertical((0, "#0a0f22"), (0.6, "#1a2140"), (1, "#0c0f1c"))
    random = np.random.default_rng(61)
    bokeh = _bokeh(random.random((34, 3)))
    drops = random.random((260, 3))
    pole, case, visors = _traffic_light()

    def at(second: float) -> Canvas:
        canvas = Canvas(sky)
        for n, (mask, colour) in enumerate(bokeh):
            canvas.light(mask, colour, 0.34 + 0.10 * np.sin(1.3 * second + 2 * n))
        canvas.paint(pole, "#05060b")
        canvas.paint(case, vertical((0.1, "#3b414d"), (0.9, "#1a1d25")))
        lamps = _lamps(second)
        for n, (colour, strength) in enumerate(lamps):
            centre = (0.52, 0.25 + 0.19 * n)
            canvas.paint(disc(centre, 0.072), mixed("#10120f", colour, 0.22))
            canvas.light(disc(centre, 0.07, 0.02), colour, strength)
            canvas.light(disc(centre, 0.045, 0.05), "#ffffff", 0.35 * strength)
            canvas.light(glow(centre, 0.085), colour, 0.55 * strength)
        canvas.paint(visors, "#07080d")
        canvas.light(_rain(drops, second), "#b9d4ff", 0.42)
        return canvas

    return at


def _bokeh(lights: Specks) -> list[tuple[Array, str]]:
    """Far lamps out of focus: one mask of discs for each colour."""
    layers = []
    for n, colour in enumerate(("#ffb347", "#ff6b5e", "#ffe9b0", "#7fc8ff")):
        layer = np.zeros_like(X)
        for x, y, size in lights[n::4]:
            lamp = disc((x * ASPECT, 0.30 + 0.6 * y), 0.016 + 0.035 * size, 0.006)
            layer += lamp * (0.6 + 0.4 * size)
        layers.append((layer, colour))
    return layers


def _lamps(second: float) -> list[tuple[str, float]]:
    red = 1 - smooth(second, 5.4, 5.6)
    amber = smooth(second, 4.2, 4.4) * red
    green = smooth(second, 5.4, 5.6)
    return [("#ff2a1f", red), ("#ffb000", amber), ("#1fff7a", green)]


def _traffic_light() -> tuple[Array, Array, Array]:
    pole, case, visors = Stencil(), Stencil(), Stencil()
    pole.line([(0.52, 0.7), (0.52, 1.1)], 0.04)
    case.rectangle(0.41, 0.15, 0.63, 0.73)
    case.polygon([(0.41, 0.15), (0.43, 0.13), (0.61, 0.13), (0.63, 0.15)])
    case.polygon([(0.41, 0.73), (0.43, 0.75), (0.61, 0.75), (0.63, 0.73)])
    for n in range(3):
        y = 0.25 + 0.19 * n
        arc = [
            (0.52 + 0.082 * np.cos(a), y - 0.082 * np.sin(a))
            for a in np.linspace(-0.1, np.pi + 0.1, 30)
        ]
        visors.line(arc, 0.016)
    return pole.mask(), case.mask(), visors.mask()


def _rain(drops: Specks, second: float) -> Array:
    stencil = Stencil()
    for x, y, speed in drops:
        fall = (y + second * (1.0 + 0.9 * speed)) % 1.2 - 0.1
        drift = (x * (ASPECT + 0.4) - 0.12 * fall) % (ASPECT + 0.1)
        length = 0.03 + 0.05 * speed
        stencil.line([(drift, fall), (drift - 0.012, fall + length)], 0.0022, 0.35 + 0.5 * speed)
    return stencil.mask()


def fireworks() -> Scene:
    """Fireworks burst over a skyline and its reflection in the river."""
    shore = 0.80
    sky = vertical((0, "#05060f"), (0.8, "#1a1838"))
    skyline, lit = _skyline(81, shore)
    night = stars(82, 120, 0.6)
    bursts = _bursts(83)

    def at(second: float) -> Canvas:
        canvas = Canvas(sky)
        canvas.light(night, "#ffffff", 0.5)
        for start, centre, colour, seed in bursts:
            if 0 <= second - start < 2.6:
                _burst(canvas, second - start, centre, colour, seed)
        canvas.paint(skyline, "#0d0f1f")
        canvas.light(lit, "#ffd58a", 0.95)
        _mirror(canvas, shore, second)
        return canvas

    return at


def _bursts(seed: int) -> list[tuple[float, Point, str, int]]:
    """Start, place, colour and seed of each burst."""
    random = np.random.default_rng(seed)
    colours = ["#ff4d6d", "#ffd166", "#5ee7ff", "#b388ff", "#7dff9b", "#ff9f43"]
    places = [(0.25 + 1.3 * x, 0.16 + 0.26 * y) for x, y in random.random((len(BURST_TIMES), 2))]
    return [
        (start, place, colours[n % len(colours)], 100 + n)
        for n, (start, place) in enumerate(zip(BURST_TIMES, places, strict=True))
    ]


def _burst(canvas: Canvas, age: float, centre: Point, colour: str, seed: int) -> None:
    """Sparks that fly apart, slow down and sink; each is drawn with the trail behind it."""
    random = np.random.default_rng(seed)
    angles = random.random(90) * 2 * np.pi
    speeds = 0.55 * np.sqrt(random.random(90)) + 0.12
    trails = Stencil()
    ages = np.linspace(max(0.0, age - 0.32), age, 7)
    reach = (1 - np.exp(-2.4 * ages)) / 2.4
    for angle, speed in zip(angles, speeds, strict=True):
        x = centre[0] + np.cos(angle) * speed * reach
        y = centre[1] + np.sin(angle) * speed * reach + 0.055 * ages**2
        for n in range(6):
            points = [(float(x[n]), float(y[n])), (float(x[n + 1]), float(y[n + 1]))]
            trails.line(points, 0.0035, 0.15 + 0.14 * n)
    fade = 1 - smooth(age, 1.2, 2.6)
    canvas.light(trails.mask(0.012), colour, 3.4 * fade)
    canvas.light(trails.mask(), mixed(colour, "#ffffff", 0.45), 1.4 * fade)
    canvas.light(glow(centre, 0.05), "#ffffff", max(0.0, 1 - 5 * age))
    canvas.light(glow(centre, 0.22), colour, 0.22 * fade)


def _skyline(seed: int, shore: float) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    towers, lit = Stencil(), Stencil()
    x = -0.02
    while x < ASPECT:
        width, height = 0.04 + 0.07 * random.random(), 0.06 + 0.22 * random.random() ** 2
        towers.rectangle(x, shore - height, x + width, shore)
        for column in np.arange(x + 0.008, x + width - 0.008, 0.0125):
            for row in np.arange(shore - height + 0.012, shore - 0.01, 0.017):
                if random.random() < 0.36:
                    brightness = 0.4 + 0.6 * random.random()
                    lit.rectangle(column, row, column + 0.006, row + 0.008, brightness)
        x += width + 0.004
    return towers.mask(), lit.mask()


def _mirror(canvas: Canvas, shore: float, second: float) -> None:
    """Reflect what is above the shore in rippled water below it."""
    first = round(shore * HEIGHT)
    rows = np.arange(first, HEIGHT)
    depth = (rows - first) / (HEIGHT - first)
    ripple = 3.2 * (0.3 + depth) * np.sin(rows * 0.9 / (0.35 + depth) + 3 * second)
    source = np.clip(2 * first - rows * 1.0 - depth * 160 + ripple, 0, first - 1).astype(int)
    shift = (4 * depth * np.sin(rows * 0.35 + 2 * second)).astype(int)
    for row, above, aside in zip(rows, source, shift, strict=True):
        reflected = np.roll(canvas.pixels[above], aside, axis=0)
        canvas.pixels[row] = 0.55 * reflected + 0.45 * rgb("#060713")
