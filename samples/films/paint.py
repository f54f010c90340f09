"""A small paint box: soft masks, gradients, noise and light on arrays of pixels.

Positions and lengths are in units of the picture's height, x to the right, y downwards, so that a
circle is a circle. Pixels are float32 from 0 to 1; a mask says how much of a pixel is covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 854, 480
FRAMES_PER_SECOND = 24
ASPECT = WIDTH / HEIGHT

Array = NDArray[np.floating]
Point = tuple[float, float]
Specks = NDArray[np.float64]  # a row of random numbers from 0 to 1 for each speck

Y: Array = np.repeat((np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5) / HEIGHT, WIDTH, axis=1)
X: Array = np.repeat((np.arange(WIDTH, dtype=np.float32)[None, :] + 0.5) / HEIGHT, HEIGHT, axis=0)

# Edges of drawn shapes are smooth because they are drawn this many times larger first.
_OVERSAMPLING = 3


class Canvas:
    """A picture that is painted on in place."""

    def __init__(self, background: Array) -> None:
        self.pixels = background.copy()

    def paint(self, mask: Array, colour: str | Array, opacity: float = 1.0) -> None:
        """Cover the masked pixels with a colour or another picture."""
        pixels, cover, paint = self._touched(mask, colour)
        pixels += np.float32(opacity) * cover * (paint - pixels)

    def light(self, mask: Array, colour: str | Array, strength: float = 1.0) -> None:
        """Add light; bright places saturate softly instead of clipping."""
        pixels, cover, paint = self._touched(mask, colour)
        pixels += np.clip(np.float32(strength) * cover * paint, 0, 1) * (1 - pixels)

    def _touched(self, mask: Array, colour: str | Array) -> tuple[Array, Array, Array]:
        """Pixels, mask and colour within the smallest box that holds the mask: most are small."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return self.pixels[:0], mask[:0, :, None], rgb("black")
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        paint = rgb(colour)
        cover = mask[box].astype(np.float32)[..., None]
        return self.pixels[box], cover, paint[box] if paint.ndim == 3 else paint

    def expose(self, gain: float) -> None:
        """Let in more or less light, as another setting of the camera would."""
        self.pixels = 1 - (1 - np.clip(self.pixels, 0, 1)) ** np.float32(gain)

    def image(self) -> Image.Image:
        """The picture in 8 bits, dithered: smooth gradients would show bands otherwise."""
        levels = np.clip(self.pixels, 0, 1) * 255 + _DITHER
        return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


Scene = Callable[[float], Canvas]  # how a scene looks at a second


class Stencil:
    """Shapes cut into one mask, with smooth edges."""

    def __init__(self) -> None:
        size = (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING)
        self._image = Image.new("L", size)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Sequence[Point], value: float = 1.0) -> None:
        self._draw.polygon([_large(point) for point in points], fill=round(255 * value))

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, value: float = 1.0
    ) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], value)

    def line(self, points: Sequence[Point], width: float, value: float = 1.0) -> None:
        pixels = max(1, round(width * HEIGHT * _OVERSAMPLING))
        corners = [_large(point) for point in points]
        self._draw.line(corners, fill=round(255 * value), width=pixels, joint="curve")

    def disc(self, centre: Point, radius: float, value: float = 1.0) -> None:
        (x, y), r = _large(centre), radius * HEIGHT * _OVERSAMPLING
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=round(255 * value))

    def text(self, centre: Point, words: str, height: float) -> None:
        font = ImageFont.load_default(round(height * HEIGHT * _OVERSAMPLING))
        self._draw.text(_large(centre), words, fill=255, font=font, anchor="mm")

    def mask(self, blur: float = 0.0) -> Array:
        image = self._image.reduce(_OVERSAMPLING)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur * HEIGHT))
        return np.asarray(image).astype(np.float32) / 255


def floats(values: Array) -> Array:
    """Values as the 32-bit floats that pictures and sounds are made of."""
    return np.asarray(values, dtype=np.float32)


def rgb(colour: str | Array) -> Array:
    """A colour name or #rrggbb as three floats; arrays pass through."""
    if isinstance(colour, str):
        return np.array(ImageColor.getrgb(colour)[:3], dtype=np.float32) / 255
    return colour


def mixed(first: str, second: str, amount: float) -> Array:
    """A colour between two colours."""
    return rgb(first) + np.float32(amount) * (rgb(second) - rgb(first))


def vertical(*stops: tuple[float, str | Array]) -> Array:
    """A picture whose colour runs through the stops from top (0) to bottom (1)."""
    heights = [height for height, _ in stops]
    colours = np.stack([rgb(colour) for _, colour in stops])
    rows = [np.interp(Y[:, 0], heights, colours[:, channel]) for channel in range(3)]
    column = np.stack(rows, axis=-1).astype(np.float32)
    return np.repeat(column[:, None, :], WIDTH, axis=1)


def distance(centre: Point) -> Array:
    """How far each pixel is from a point."""
    return floats(np.hypot(X - np.float32(centre[0]), Y - np.float32(centre[1])))


def disc(centre: Point, radius: float, softness: float = 1 / HEIGHT) -> Array:
    return ramp((radius - distance(centre)) / softness + 0.5)


def glow(centre: Point, radius: float) -> Array:
    """Light around a point: 1 in the middle, a half at `radius`, fading out far away."""
    return (1 / (1 + (distance(centre) / radius) ** 2)).astype(np.float32)


def below(curve: Array, softness: float = 1 / HEIGHT) -> Array:
    """Everything under a curve, which is a height for each column."""
    return ramp((Y - curve[None, :]) / softness + 0.5)


def ramp(values: Array) -> Array:
    return np.clip(values, 0, 1).astype(np.float32)


def smooth(value: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, an S-shaped way between."""
    x = min(max((value - start) / (end - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def clouds(seed: int, across: int, octaves: int = 5) -> Array:
    """Fractal noise from 0 to 1 with about `across` blobs from left to right, twice as wide as
    the picture, so that it can drift."""
    random = np.random.default_rng(seed)
    total = np.zeros((HEIGHT, 2 * WIDTH), dtype=np.float32)
    for octave in range(octaves):
        columns = 2 * across * 2**octave
        rows = max(2, round(columns / (2 * ASPECT)))
        grid = Image.fromarray(random.random((rows, columns)).astype(np.float32))
        layer = grid.resize((2 * WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        total += np.asarray(layer, dtype=np.float32) / 2**octave
    return floats((total - total.min()) / (total.max() - total.min()))


def window(wide: Array, shift: float) -> Array:
    """The part of a wide noise that is seen after it has drifted by `shift` (0 to 1)."""
    left = round(shift * WIDTH) % WIDTH
    return wide[:, left : left + WIDTH]


def ridge(seed: int, base: float, height: float, peaks: int, roughness: float = 0.5) -> Array:
    """The outline of a range of hills: a height for each column."""
    random = np.random.default_rng(seed)
    along = np.linspace(0, 1, WIDTH, dtype=np.float32)
    outline = np.zeros(WIDTH, dtype=np.float32)
    for octave in range(7):
        count = peaks * 2**octave + 2
        knots = random.random(count).astype(np.float32)
        weight = roughness**octave
        outline += np.float32(weight) * np.interp(along, np.linspace(0, 1, count), knots)
    outline = (outline - outline.min()) / (outline.max() - outline.min())
    return floats(base - height * outline)


def stars(seed: int, count: int, lowest: float) -> Array:
    """Small points of light of many brightnesses above the height `lowest`."""
    random = np.random.default_rng(seed)
    stencil = Stencil()
    for x, y, value in random.random((count, 3)):
        stencil.disc((x * ASPECT, y * lowest), 0.0008 + 0.0016 * value**4, 0.25 + 0.75 * value**2)
    return stencil.mask()


_DITHER = np.random.default_rng(1).random((HEIGHT, WIDTH, 1)).astype(np.float32)


def _large(point: Point) -> Point:
    scale = HEIGHT * _OVERSAMPLING
    return point[0] * scale, point[1] * scale
