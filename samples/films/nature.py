"""Landscapes. Each function prepares a scene and gives back how it looks at a second."""

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
    Y,
    below,
    clouds,
    disc,
    floats,
    glow,
    mixed,
    ramp,
    rgb,
    ridge,
    smooth,
    stars,
    vertical,
    window,
)


def lighthouse(*, late: float = 0.0, gain: float = 1.0) -> Scene:
    """A lighthouse at dusk; a second take may start `late` by seconds and be exposed otherwise."""
    horizon = 0.66
    sky = vertical((0, "#0b1533"), (0.35, "#27345f"), (0.55, "#8a5f7d"), (0.66, "#f0a878"))
    drifting, night = clouds(3, 5), stars(4, 160, 0.35)
    rock = below(_headland())
    tower, stripes, lamp_room = _tower()
    roundness = np.sin(np.pi * ramp((X - 1.275) / 0.11))

    def at(second: float) -> Canvas:
        time = second + late
        canvas = Canvas(sky)
        canvas.light(night * (1 - Y), "#ffffff", 0.9)
        veil = ramp((window(drifting, 0.05 + time * 0.004) - 0.45) * 2.4) * (1 - Y)
        canvas.paint(veil, "#c58a94", 0.45)
        _water(canvas, time, horizon, ("#d49080", "#1a2340"), shine=(0.45, "#ffd2a0", 0.22))
        canvas.paint(rock, vertical((0.5, "#2a2431"), (0.8, "#0c0d16")))
        canvas.paint(tower, vertical((0.2, "#cfc4c8"), (0.7, "#8d7f8d")))
        canvas.paint(stripes, "#b3303a", 0.92)
        canvas.paint(tower * (1 - roundness), "#120f22", 0.6)
        canvas.paint(lamp_room, "#1d1a2a")
        _beam(canvas, (1.33, 0.205), time * 1.25)
        canvas.expose(gain)
        return canvas

    return at


def _headland() -> Array:
    x = X[0]
    cape = 0.31 * np.exp(-(((x - 1.42) / 0.30) ** 2))
    foothill = 0.06 * np.exp(-(((x - 0.9) / 0.2) ** 2))
    return floats(0.96 - cape - foothill + 0.05 * ridge(12, 0.0, 1.0, 9, 0.55))


def _tower() -> tuple[Array, Array, Array]:
    top, bottom, narrow, wide, x = 0.245, 0.68, 0.036, 0.056, 1.33

    def half(y: float) -> float:
        return narrow + (wide - narrow) * (y - top) / (bottom - top)

    def band(upper: float, lower: float) -> list[Point]:
        return [
            (x - half(upper), upper),
            (x + half(upper), upper),
            (x + half(lower), lower),
            (x - half(lower), lower),
        ]

    tower, stripes, dark = Stencil(), Stencil(), Stencil()
    tower.polygon(band(top, bottom))
    for upper in (0.31, 0.45, 0.59):
        stripes.polygon(band(upper, upper + 0.07))
    dark.polygon(
        [(x - 0.05, top), (x + 0.05, top), (x + 0.044, top + 0.016), (x - 0.044, top + 0.016)]
    )
    dark.polygon([(x - 0.032, 0.18), (x, 0.135), (x + 0.032, 0.18)])
    dark.line([(x, 0.14), (x, 0.11)], 0.005)
    for offset in (-0.026, 0.026):
        dark.line([(x + offset, 0.175), (x + offset, top)], 0.006)
    for y in (0.30, 0.42, 0.54):
        dark.rectangle(x - 0.008, y, x + 0.008, y + 0.026)
    return tower.mask(), stripes.mask(), dark.mask()


def _beam(canvas: Canvas, lamp: Point, angle: float) -> None:
    """The turning light: two opposite beams, foreshortened as they point at us or away."""
    reach, towards = np.cos(angle), np.sin(angle)
    for side in (1.0, -1.0):
        along = (X - lamp[0]) * np.float32(np.sign(reach * side))
        width = 0.012 + 0.10 * np.maximum(along, 0)
        across = np.abs(Y - lamp[1] + 0.03 * along) / width
        fade = np.exp(-np.maximum(along, 0) / (0.06 + 0.9 * abs(reach)))
        cone = np.where(along > 0, np.exp(-(across**2) * 2.2) * fade, 0)
        canvas.light(cone, "#ffe9b8", 0.75 * abs(reach))
    flash = max(0.0, towards) ** 6
    canvas.light(glow(lamp, 0.022 + 0.05 * flash), "#fff0c8", 0.95)
    canvas.light(disc(lamp, 0.02, 0.02), "#fffbe8")


def _water(
    canvas: Canvas,
    time: float,
    horizon: float,
    colours: tuple[str, str],
    shine: tuple[float, str, float],
) -> None:
    """A sea below the horizon: waves that grow towards us, and a path of glitter.

    `shine` is where the light stands, its colour, and how wide its path is.
    """
    depth = ramp((Y - horizon) / (1 - horizon))
    nearness = 1 / (depth + 0.06)
    u, v = (X - 0.5 * ASPECT) * nearness, nearness
    waves = (
        np.sin(2.2 * u + 9.0 * v + 1.1 * time)
        + np.sin(-3.1 * u + 14.0 * v + 1.7 * time)
        + 0.7 * np.sin(7.3 * u + 23.0 * v - 2.3 * time)
        + 0.5 * np.sin(-13.0 * u + 41.0 * v + 3.1 * time)
    ) / 3.2
    surface = ramp((Y - horizon) * HEIGHT + 0.5)
    blend = ramp(depth**0.6 - 0.16 * waves * np.sqrt(depth))[..., None]
    canvas.paint(surface, rgb(colours[0]) * (1 - blend) + rgb(colours[1]) * blend)
    x, colour, width = shine
    path = np.exp(-(((X - np.float32(x)) / (width * (0.25 + depth))) ** 2))
    glitter = surface * path * ramp(waves * 1.6 - 0.1) ** 1.5
    canvas.light(glitter, colour, 0.95)


def mountain_sunrise() -> Scene:
    """The sun comes up behind ranges of hills with mist between them and firs in front."""
    ranges = [
        (below(ridge(21 + n, 0.60 + 0.09 * n, 0.30 - 0.035 * n, 3 + n)), 0.60 + 0.09 * n)
        for n in range(4)
    ]
    firs = _firs(31, 46, 0.90, 0.17)
    high, mist = clouds(22, 4), clouds(23, 3)

    def at(second: float) -> Canvas:
        day = smooth(second, 0, 9)
        sun = (0.62 * ASPECT, 0.52 - 0.25 * day)
        canvas = Canvas(_morning_sky(day))
        streaks = ramp((window(high, 0.1 + second * 0.003) - 0.5) * 3) * (1 - Y)
        canvas.paint(streaks, mixed("#e58a86", "#fff4e6", day), 0.55)
        canvas.light(glow(sun, 0.16), mixed("#ff8a4a", "#ffe0a0", day), 0.8)
        canvas.light(disc(sun, 0.055, 0.01), "#fff6dc")
        far, near = mixed("#c77d7a", "#a9bdcf", day), mixed("#2b2346", "#2f5560", day)
        for n, (mask, base) in enumerate(ranges):
            canvas.paint(mask, far + np.float32((n + 1) / 4) * (near - far))
            bank = np.exp(-(((Y - base - 0.02) / 0.055) ** 2))
            drifting = window(mist, (0.11 * n + 0.006 * (n + 1) * second) % 1)
            canvas.light(bank * ramp(drifting * 1.8 - 0.5), mixed("#f4a98c", "#fff1dc", day), 0.55)
        canvas.paint(firs, mixed("#0d0b1c", "#12262a", day))
        return canvas

    return at


def _morning_sky(day: float) -> Array:
    return vertical(
        (0, mixed("#1b2450", "#5d9fd6", day)),
        (0.3, mixed("#5b4a7d", "#b5d3e6", day)),
        (0.55, mixed("#e8825e", "#ffe2ad", day)),
    )


def _firs(seed: int, count: int, base: float, tallest: float) -> Array:
    """A row of fir trees with the ground they stand on."""
    random = np.random.default_rng(seed)
    stencil = Stencil()
    stencil.rectangle(0, base, ASPECT, 1)
    for x, size, lift in random.random((count, 3)):
        height = tallest * (0.45 + 0.55 * size)
        foot = base + 0.05 * lift
        _fir(stencil, (x * ASPECT, foot), height)
    return stencil.mask()


def _fir(stencil: Stencil, foot: Point, height: float) -> None:
    x, y = foot
    stencil.line([(x, y + 0.02), (x, y - height)], 0.05 * height)
    tiers = 6
    for tier in range(tiers):
        low = y - height * 0.10 - height * 0.15 * tier
        half = height * 0.24 * (1 - tier / tiers) + 0.004
        top = low - height * 0.26
        stencil.polygon([(x - half, low), (x, top), (x + half, low), (x, low - height * 0.04)])


def hot_air_balloons() -> Scene:
    """Striped hot-air balloons rise over green hills."""
    sky = vertical((0, "#3f86cf"), (0.5, "#8fc3ea"), (0.8, "#e2f1f7"))
    fluff = clouds(42, 4)
    hills = [
        (below(ridge(43 + n, 0.86 + 0.06 * n, 0.12, 2 + n, 0.42)), colour)
        for n, colour in enumerate(("#8db78f", "#5d9a62", "#356f45"))
    ]
    fleet = [
        (0.30, 0.70, 0.030, 0.13, ("#e4572e", "#ffd166")),
        (1.05, 0.62, 0.022, 0.19, ("#c1121f", "#fdf0d5")),
        (1.50, 0.60, 0.034, 0.09, ("#2a9d8f", "#e9c46a")),
        (0.68, 0.42, 0.018, 0.065, ("#7b2cbf", "#ffb3c6")),
        (1.33, 0.30, 0.012, 0.045, ("#1d4e89", "#f7b32b")),
    ]

    def at(second: float) -> Canvas:
        canvas = Canvas(sky)
        veil = ramp((window(fluff, 0.2 + 0.005 * second) - 0.48) * 3)
        canvas.paint(veil * ramp(1.1 - Y), "#ffffff", 0.85)
        for mask, colour in hills:
            canvas.paint(mask, colour)
            canvas.light(mask * np.exp(-(((Y - 0.85) / 0.05) ** 2)), "#fff6c8", 0.18)
        for n, (x, y, speed, radius, colours) in reversed(list(enumerate(fleet))):
            sway = 0.012 * np.sin(0.7 * second + 2 * n)
            _balloon(canvas, (x + sway + 0.008 * second, y - speed * second), radius, colours)
        return canvas

    return at


def _balloon(canvas: Canvas, centre: Point, radius: float, colours: tuple[str, str]) -> None:
    """A round top that narrows to a skirt; x and y are in radii from its centre."""
    x, y = (X - np.float32(centre[0])) / radius, (Y - np.float32(centre[1])) / radius
    top, narrowing = np.sqrt(np.maximum(0, 1 - y**2)), 0.968 * ramp((1.92 - y) / 1.67) ** 0.85
    half = np.where(y < 0.25, top, narrowing)
    mask = ramp((half - np.abs(x)) * radius * HEIGHT + 0.5) * ((y > -1) & (y < 1.62))
    around = np.arcsin(np.clip(x / np.maximum(half, 1e-3), -1, 1))
    stripe = np.sin(around * 7) > 0
    canvas.paint(mask, np.where(stripe[..., None], rgb(colours[0]), rgb(colours[1])))
    canvas.paint(mask * ramp(0.5 + 0.42 * x + 0.25 * y), "#1b1430", 0.42)
    shine = np.exp(-(((x + 0.4) / 0.35) ** 2) - ((y + 0.35) / 0.5) ** 2)
    canvas.light(mask * shine, "#ffffff", 0.3)
    _basket(canvas, centre, radius)


def _basket(canvas: Canvas, centre: Point, radius: float) -> None:
    def place(x: float, y: float) -> Point:
        return centre[0] + x * radius, centre[1] + y * radius

    ropes, basket = Stencil(), Stencil()
    for side in (-1, 1):
        ropes.line([place(0.26 * side, 1.6), place(0.15 * side, 2.0)], 0.018 * radius)
    basket.polygon([place(-0.17, 1.98), place(0.17, 1.98), place(0.14, 2.25), place(-0.14, 2.25)])
    canvas.paint(ropes.mask(), "#3b2f2f")
    canvas.paint(basket.mask(), "#7a4a21")


def sailing_boat() -> Scene:
    """A white sailing boat crosses a bright sea."""
    horizon = 0.58
    sky = vertical((0, "#2f7fc4"), (0.4, "#86bfe6"), (0.58, "#dcedf2"))
    fluff = clouds(52, 4)
    island = below(ridge(53, 0.60, 0.075, 2, 0.45)) * ramp((0.75 - X) * 6) * (horizon > Y)

    def at(second: float) -> Canvas:
        canvas = Canvas(sky)
        puffs = ramp((window(fluff, 0.3 + 0.004 * second) - 0.5) * 3.2)
        canvas.paint(puffs * ramp((0.62 - Y) * 4), "#ffffff", 0.9)
        canvas.paint(island, "#6d93a3")
        _water(canvas, second * 1.3, horizon, ("#7fb9cf", "#0d4f7c"), (1.2, "#ffffff", 0.5))
        heel = 0.04 * np.sin(1.1 * second) + 0.09
        place = (0.62 + 0.045 * second, 0.735 + 0.006 * np.sin(1.7 * second))
        _boat(canvas, place, heel)
        return canvas

    return at


def _boat(canvas: Canvas, place: Point, heel: float) -> None:
    """Drawn about the origin, then turned by `heel` (radians) and put in its place."""
    turn = np.array([[np.cos(heel), np.sin(heel)], [-np.sin(heel), np.cos(heel)]])

    def afloat(*corners: Point) -> list[Point]:
        return [(x + place[0], y + place[1]) for x, y in (np.array(corners) @ turn).tolist()]

    _reflection(canvas, place)
    mainsail, jib, hull, trim, mast = (Stencil() for _ in range(5))
    mainsail.polygon(afloat(*_bulging((0, -0.50), (-0.17, -0.07), -0.035), (0, -0.06)))
    jib.polygon(afloat(*_bulging((0.012, -0.43), (0.185, -0.05), -0.01), (0.035, -0.06)))
    stern, bow = (-0.20, -0.04), _bulging((0.235, -0.052), (0.13, 0.03), 0.01)
    hull.polygon(afloat(stern, *bow, (-0.17, 0.03)))
    trim.line(afloat((-0.197, -0.022), (0.215, -0.032)), 0.010)
    mast.line(afloat((0.004, -0.52), (0.004, -0.04)), 0.007)
    mast.line(afloat((0.004, -0.06), (-0.175, -0.062)), 0.006)
    canvas.paint(mainsail.mask(), vertical((0.2, "#ffffff"), (0.75, "#d7dfe6")))
    canvas.paint(jib.mask(), vertical((0.25, "#fdfdfb"), (0.75, "#c7d3dd")))
    canvas.paint(hull.mask(), "#f4f1ea")
    canvas.paint(trim.mask(), "#c1272d")
    canvas.paint(mast.mask(), "#5b4632")
    _foam(canvas, place)


def _bulging(start: Point, end: Point, out: float) -> list[Point]:
    """A line from `start` to `end` that is blown sideways by `out` in its middle."""
    steps = np.linspace(0, 1, 16)
    x = start[0] + (end[0] - start[0]) * steps + out * np.sin(np.pi * steps)
    y = start[1] + (end[1] - start[1]) * steps
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _reflection(canvas: Canvas, place: Point) -> None:
    x, y = place
    shade = Stencil()
    shade.polygon([(x - 0.2, y), (x + 0.2, y), (x + 0.1, y + 0.16), (x - 0.02, y + 0.24)])
    canvas.paint(shade.mask(0.015), "#e9f3f4", 0.22)


def _foam(canvas: Canvas, place: Point) -> None:
    """White water along the hull."""
    x, y = place
    line = ramp(1 - np.abs(Y - y - 0.03) / 0.012) * ramp(1 - np.abs(X - x - 0.01) / 0.22)
    canvas.light(line, "#ffffff", 0.7)
    spray = glow((x, y + 0.032), 0.012) * np.exp(-(((X - x) / 0.2) ** 2))
    canvas.light(spray, "#ffffff", 0.3)


def snowy_cabin() -> Scene:
    """Snow falls on a log cabin with lit windows, between firs, at night."""
    sky = vertical((0, "#0d1b3d"), (0.5, "#2c4470"), (0.75, "#6d86ab"))
    far = below(ridge(71, 0.70, 0.26, 3))
    ground = below((0.79 + 0.02 * np.sin(3 * X[0]) - 0.02 * np.cos(5.1 * X[0])).astype(np.float32))
    back, night = _firs(72, 60, 0.77, 0.22), stars(73, 140, 0.45)
    flakes = np.random.default_rng(74).random((420, 4))
    walls, roof, panes = _cabin()

    def at(second: float) -> Canvas:
        canvas = Canvas(sky)
        canvas.light(night, "#ffffff", 0.8)
        canvas.paint(far, vertical((0.4, "#dfe9f5"), (0.62, "#5f7aa3"), (0.8, "#46608c")), 0.75)
        canvas.paint(back, "#122036")
        canvas.paint(ground, vertical((0.75, "#c9d8ee"), (1, "#8ea6cb")))
        canvas.paint(walls, _logs())
        canvas.paint(roof, vertical((0.4, "#ffffff"), (0.62, "#c4d3ea")))
        flicker = 0.9 + 0.06 * np.sin(5 * second) + 0.04 * np.sin(13.7 * second)
        canvas.paint(panes, "#ffc65c")
        for x in (0.84, 1.06):
            canvas.light(glow((x, 0.72), 0.07), "#ffae4a", 0.55 * flicker)
        canvas.light(glow((0.95, 0.86), 0.10) * ground, "#ffb860", 0.4 * flicker)
        _smoke(canvas, second)
        canvas.light(_snow(flakes, second), "#ffffff", 0.9)
        return canvas

    return at


def _logs() -> Array:
    """Brown beams, one above the other."""
    round_beam = 0.55 + 0.45 * np.abs(np.sin(Y * np.pi / 0.032))
    return floats(rgb("#7a4a2a")[None, None, :] * round_beam[..., None])


def _cabin() -> tuple[Array, Array, Array]:
    walls, roof, panes = Stencil(), Stencil(), Stencil()
    walls.rectangle(0.74, 0.62, 1.16, 0.83)
    walls.rectangle(1.06, 0.40, 1.11, 0.56)  # the chimney
    roof.polygon([(0.68, 0.645), (0.80, 0.455), (1.10, 0.455), (1.22, 0.645)])
    for x in (0.79, 1.01):
        panes.rectangle(x, 0.67, x + 0.1, 0.765)
        panes.line([(x + 0.05, 0.66), (x + 0.05, 0.775)], 0.008, 0.15)
        panes.line([(x - 0.01, 0.717), (x + 0.11, 0.717)], 0.008, 0.15)
    panes.rectangle(0.915, 0.69, 0.985, 0.83, 0.25)  # the door
    return walls.mask(), roof.mask(), panes.mask()


def _smoke(canvas: Canvas, second: float) -> None:
    for n in range(6):
        age = (second * 0.22 + n / 6) % 1
        centre = (1.085 + 0.12 * age + 0.015 * np.sin(6 * age + n), 0.40 - 0.30 * age)
        canvas.light(disc(centre, 0.02 + 0.05 * age, 0.06), "#b9c6dd", 0.30 * (1 - age))


def _snow(flakes: Specks, second: float) -> Array:
    stencil = Stencil()
    for x, y, size, phase in flakes:
        fall = (y + second * (0.05 + 0.09 * size)) % 1.04 - 0.02
        sway = 0.02 * np.sin(1.5 * second + 7 * phase)
        stencil.disc((x * ASPECT + sway, fall), 0.0014 + 0.0045 * size**3, 0.35 + 0.65 * size)
    return stencil.mask(0.0008)
