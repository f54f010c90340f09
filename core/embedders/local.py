"""The built-in embedder: concept vectors of a small picture classifier, no key and no download.

A picture is how strongly the classifier sees each of its 1000 classes, compared with how strongly
it sees the average class. A text is a weight for each class, by the closeness of its words to the
class names and to the bridge: everyday concepts that no class covers, each written as a handful of
classes that look like it (`local_data/concepts.txt`). The cosine of the two asks: does the
classifier see more than usual of what this text points at?

Colours ride along in eleven directions of that space in which the classifier says next to nothing.
"""

from __future__ import annotations

import re
import tempfile
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import fetch, media
from core.embedders.base import Limits, OnProgress, Prices, Progress, check_span, unit_vector
from core.errors import ConfigurationError, MediaError, RecipeError
from core.models import EmbeddedSegment, MediaInfo, Stage, Vector
from core.recipe import Media
from core.settings import Settings

Floats = NDArray[np.float32]
T = TypeVar("T")

DATA = Path(__file__).parent / "local_data"
CLASSES = 1000
FRAMES_PER_SEC = 2.0
# Frames a run of the classifier; more brings no speed, only memory.
BATCH = 4
THREADS = 2
MAX_TOKENS = 256
MAX_IMAGE_BYTES = 50 * 1024**2
MAX_VIDEO_BYTES = 20 * 1024**3

HONEST_LIMITS = (
    "The built-in search needs no key. It finds objects, animals, vehicles, places and common "
    "scenes, as far as a small picture classifier recognises them, and plain colours. It "
    "understands English only. It does not read text on the screen, hear speech or sound, know "
    "names, faces or brands, count, or understand who does what to whom; it often misses fine "
    "actions, small objects, cartoons and abstract drawings. It always shows the closest moments, "
    "even when nothing fits. Searching with a picture or a clip works well. For real understanding "
    "of language, add a Twelve Labs key."
)

# Without it two threads could load the model at the same time.
_LOADING = threading.Lock()
_SIDE = 224
# How sharply a text prefers its nearest concepts; measured.
_TEMPERATURE = 0.07
# Length of the colour part beside a meaning of length 1. The product is what a colour word can add
# to a cosine; 0.1 to 0.15 measured best. The smaller share on the picture's side keeps pictures of
# the same thing in different light together.
_COLOUR_IN_PICTURES = 0.3
_COLOUR_IN_TEXTS = 0.4
# Below 1, so that the colour of a small thing counts beside a large background.
_SHARE_POWER = 0.35

# A share of the cosine below this explains nothing.
_WORTH_NAMING = 0.02

COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "grey",
)
_COLOUR_WORDS = {name: (name,) for name in COLOURS} | {
    "gray": ("grey",),
    "violet": ("purple",),
    "turquoise": ("green", "blue"),
    "cyan": ("green", "blue"),
    # Of films: the absence of colour, so the greys between count as much.
    "black and white": ("black", "grey", "white"),
}
_COLOUR_PATTERN = re.compile(
    rf"\b({'|'.join(sorted(_COLOUR_WORDS, key=len, reverse=True))})\b", re.IGNORECASE
)
# Upper ends of the hues in degrees, by COLOURS; what is above the last one is red again.
_HUE_ENDS = (15, 42, 70, 165, 255, 310, 345)

# Words that say nothing about what is in a picture.
_FILLER_LINE = (
    "a an the of in on at to from with and or by is are its their his her it they under over "
    "behind next each other very off up who while into across past between front seen looking "
    "making being as low quality video movie old close camera view"
)
_FILLERS = frozenset(_FILLER_LINE.split())


class LocalEmbedder:
    """Texts, pictures, clips and videos as unit vectors of 1000 numbers; runs on the CPU.

    The model is loaded on first use, once in a process, from any thread.
    """

    name = "local"
    model = "concepts-v1"
    dimension = CLASSES
    options: tuple[str, ...] = ("visual",)
    limits = Limits(text_tokens=MAX_TOKENS, image_bytes=MAX_IMAGE_BYTES, parallel_videos=1)
    limits_text = HONEST_LIMITS
    explains = True
    remote = False
    prices = Prices()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def embed_text(self, text: str) -> Vector:
        """The direction of a text.

        Raises:
            RecipeError: empty, too long, or without a word it knows.
        """
        model = _model()
        _check_text(text, model.words.pieces(text))
        colours = _colours_of_text(text)
        meaning = model.meaning(text)
        without_colours = _COLOUR_PATTERN.sub(" ", text)
        if colours.any() and _content_words(without_colours):
            # "red car" is first of all a car; the colour itself has its own place.
            meaning = _unit(meaning + model.meaning(without_colours))
        return model.vector(meaning, np.float32(_COLOUR_IN_TEXTS) * colours)

    def embed_image(self, source: Media, text: str = "") -> Vector:
        """The direction of a picture, or of a picture and a text together.

        Raises:
            MediaError: the picture cannot be fetched or read.
            RecipeError: the text cannot be used.
        """
        words = self.embed_text(text) if text.strip() else None
        if isinstance(source, str):
            source = fetch.fetch_bytes(
                source,
                allow_private=self._settings.allow_private_urls,
                max_bytes=MAX_IMAGE_BYTES,
            )
        picture = self._mean([media.open_image(source)])
        return picture if words is None else unit_vector(picture + words, CLASSES)

    def embed_clip(
        self, source: Media, start: float | None = None, end: float | None = None
    ) -> Vector:
        """The direction of a clip, or of its stretch from `start` to `end` in seconds.

        Raises:
            RecipeError: for a stretch without length.
            MediaError: the clip cannot be fetched or read.
        """
        check_span(start, end)
        if isinstance(source, bytes):
            return self._mean(_pictures(BytesIO(source), start, end))
        with self._on_disk(source, _ignore) as path:
            return self._mean(_pictures(path, start, end))

    def embed_video(
        self,
        source: str | Path,
        *,
        info: MediaInfo | None,
        resume: Mapping[str, str],  # noqa: ARG002 - nothing was paid, so it starts over
        on_progress: OnProgress,
    ) -> list[EmbeddedSegment]:
        """Segments of equal length, about `settings.segment_sec` each, in order.

        `on_progress` hears of every second of video; raising there ends the work.

        Raises:
            MediaError: the video cannot be fetched or read.
        """
        with self._on_disk(source, on_progress) as path:
            duration = (info or media.probe(path)).duration
            count = max(1, round(duration / self._settings.segment_sec))
            borders = np.linspace(0.0, duration, count + 1)
            on_progress(Progress(Stage.EMBEDDING, 0.0))
            sampled = _reported(media.frames(path, fps=FRAMES_PER_SEC), duration, on_progress)
            means = self._means(sampled, borders)
        vectors = [_model().picture_vector(mean) for mean in means]
        return [
            EmbeddedSegment(float(start), float(end), "visual", vector)
            for start, end, vector in zip(borders, borders[1:], vectors, strict=False)
        ]

    def tidy(self, resume: Mapping[str, str]) -> None:
        """Nothing is left anywhere."""

    def share_limits(self, servers: int) -> None:
        """Nothing: there is no account."""

    def explain(self, query: Vector, segment: Vector) -> str:
        """One to three things that make the match, such as "sports car, red"."""
        return _model().explain(query, segment)

    def check(self) -> None:
        """Nothing: all it needs came with it."""

    def _mean(self, pictures: Iterable[Image.Image]) -> Vector:
        """One vector for all pictures; holds a batch of them at a time."""
        total, count = np.zeros(CLASSES + len(COLOURS), np.float32), 0
        for batch in _batched(map(_Views.of, pictures), BATCH):
            total += _model().look(batch).sum(0)
            count += len(batch)
        return _model().picture_vector(total / np.float32(count))

    def _means(
        self, sampled: Iterable[tuple[float, Image.Image]], borders: NDArray[np.float64]
    ) -> list[Floats]:
        """What the classifier sees in each segment on average; holds one batch of pictures."""
        sums = [np.zeros(CLASSES + len(COLOURS), np.float32) for _ in borders[1:]]
        counts = [0] * len(sums)
        views = ((second, _Views.of(picture)) for second, picture in sampled)
        for batch in _batched(views, BATCH):
            seen = _model().look([view for _, view in batch])
            for (second, _), row in zip(batch, seen, strict=True):
                index = int(np.searchsorted(borders, second + 1e-6, side="right")) - 1
                index = min(max(index, 0), len(sums) - 1)
                sums[index] += row
                counts[index] += 1
        return _filled(
            [total / np.float32(n) if n else None for total, n in zip(sums, counts, strict=True)]
        )

    @contextmanager
    def _on_disk(self, source: str | Path, on_progress: OnProgress) -> Iterator[Path]:
        """A path to read the source from; what is downloaded for it is removed afterwards."""
        if isinstance(source, Path):
            yield source
            return
        with _temporary_folder(self._settings.data_dir / "tmp") as folder:
            path = Path(folder) / "download"
            fetch.download(
                source,
                path,
                allow_private=self._settings.allow_private_urls,
                max_bytes=MAX_VIDEO_BYTES,
                on_progress=lambda done: on_progress(Progress(Stage.UPLOADING, done)),
            )
            yield path


class _Model:
    """The classifier, the word table and the concepts, as loaded from `local_data`."""

    @classmethod
    def load(cls, folder: Path) -> _Model:
        """Raises ConfigurationError when a file is not there."""
        try:
            return cls(folder)
        except FileNotFoundError as error:
            raise ConfigurationError(
                "The built-in embedder is not complete: its files are missing.",
                f"Install Seekpoint again, with everything in {folder.name}.",
            ) from error

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        # Waiting threads would burn the second core that the app itself needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._classifier = onnxruntime.InferenceSession(
            (folder / "lite0_w8.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self.words = _WordTable(folder / "text_table.npz")
        self._concepts = _Concepts.load(folder / "concepts.npz")
        self._quiet: Floats = np.load(folder / "quiet.npy")  # (11, 1000), orthonormal rows

    def look(self, pictures: list[_Views]) -> Floats:
        """What is seen in each picture: (pictures, 1000 classes + 11 colours)."""
        pixels = np.concatenate([views.pixels for views in pictures]).transpose(0, 3, 1, 2)
        logits: Floats = self._classifier.run(["logits"], {"x": pixels})[0]
        logits -= logits.mean(axis=1, keepdims=True)
        colours = np.stack([views.colours for views in pictures])
        seen: Floats = np.hstack([logits.reshape(-1, 2, CLASSES).mean(axis=1), colours])
        return seen

    def picture_vector(self, seen: Floats) -> Vector:
        """The unit vector of a row of `look`, or of the mean of several."""
        logits, shares = seen[:CLASSES], seen[CLASSES:]
        # As long whatever the picture, so that colours never change the order of answers to a
        # text that names none.
        colours = _unit(shares**_SHARE_POWER)
        return self.vector(logits, np.float32(_COLOUR_IN_PICTURES) * colours)

    def vector(self, meaning: Floats, colours: Floats) -> Vector:
        """Joins a meaning (1000) and colours (11), which take the place of the quiet directions."""
        return unit_vector(_unit(self._without_quiet(meaning)) + colours @ self._quiet, CLASSES)

    def meaning(self, text: str) -> Floats:
        """The classes a text points at: as a whole, and word by word."""
        weights = self._concepts.weights(self.words.vectors([text]))[0]
        words = _content_words(text)
        if words:
            weights = weights + _unit(self._concepts.weights(self.words.vectors(words)).mean(0))
        return _unit(weights)

    def explain(self, query: Vector, segment: Vector) -> str:
        """What adds most to the cosine; what the segment shows when nothing adds much."""
        asked, seen = self._without_quiet(query), self._without_quiet(segment)
        shared = np.maximum(asked, 0) * np.maximum(seen, 0)
        total = float(shared.sum())
        names = _strongest(shared if total >= _WORTH_NAMING else seen, self._concepts.names)
        colours = (self._quiet @ query) * (self._quiet @ segment)
        if colours.max() < max(_WORTH_NAMING, 0.15 * total):
            return ", ".join(names)
        return ", ".join([*names[:2], COLOURS[int(colours.argmax())]])

    def _without_quiet(self, vector: Floats) -> Floats:
        return np.asarray(vector - (self._quiet @ vector) @ self._quiet, np.float32)


@dataclass(frozen=True, slots=True)
class _Views:
    """What is kept of a picture: small, however large the picture was."""

    pixels: Floats  # (2, 224, 224, 3): the whole picture squashed, and its central square
    colours: Floats  # (11,)

    @classmethod
    def of(cls, picture: Image.Image) -> _Views:
        whole = picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        pixels = np.stack([np.asarray(view, np.float32) for view in (whole, _centre(picture))])
        return cls((pixels - np.float32(127)) / np.float32(128), _colour_shares(whole))


class _WordTable:
    """A vector for each piece of a word; the vector of a text is their mean."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as table:
            vocabulary = str(table["vocab"]).split("\n")
            self._vectors: Floats = table["q"].astype(np.float32) * table["scale"][:, None]
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def pieces(self, text: str) -> list[int]:
        """The known pieces of a text: whole words, or the longest parts they fall into."""
        plain = "".join(
            letter
            for letter in unicodedata.normalize("NFD", text.lower())
            if unicodedata.category(letter) != "Mn"
        )
        return [
            piece
            for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", plain)
            for piece in self._split(word)
        ]

    def vectors(self, texts: list[str]) -> Floats:
        """One unit row of 256 numbers for each text; zeros for a text without a known piece."""
        rows = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, text in zip(rows, texts, strict=True):
            if pieces := self.pieces(text):
                row[:] = self._vectors[pieces].mean(axis=0)
        return _unit(rows)

    def _split(self, word: str) -> list[int]:
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(prefix + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return []  # one unknown part makes the word unknown
        return found


@dataclass(frozen=True, slots=True)
class _Concepts:
    """Where classes and bridge concepts lie among the words, and what they spread to."""

    names: list[str]  # of the 1000 classes
    classes: Floats  # (1000, 256)
    synonyms: Floats  # (synonyms, 256): the bridge, several ways of saying each concept
    first_synonym: NDArray[np.intp]  # (concepts,): where each concept's synonyms begin
    spread: Floats  # (concepts, 1000): rows sum to 1

    @classmethod
    def load(cls, path: Path) -> _Concepts:
        with np.load(path) as table:
            owner = table["owner"]
            return cls(
                str(table["names"]).split("\n"),
                table["labels"].astype(np.float32),
                table["bridge"].astype(np.float32),
                np.flatnonzero(np.diff(owner, prepend=-1)),
                table["spread"].astype(np.float32),
            )

    def weights(self, texts: Floats) -> Floats:
        """Unit rows of 1000 class weights for rows of 256 numbers."""
        bridge = np.maximum.reduceat(texts @ self.synonyms.T, self.first_synonym, axis=1)
        closeness = np.hstack([texts @ self.classes.T, bridge]) / _TEMPERATURE
        shares = np.exp(closeness - closeness.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return _unit(shares[:, :CLASSES] + shares[:, CLASSES:] @ self.spread)


def _model() -> _Model:
    """The one model of the process: nothing changes it, so all libraries share it."""
    with _LOADING:
        return _loaded_model()


@cache
def _loaded_model() -> _Model:
    return _Model.load(DATA)


def _check_text(text: str, pieces: list[int]) -> None:
    if not text.strip():
        raise RecipeError("There is nothing to search for yet.", "Type a few words.")
    if len(pieces) > MAX_TOKENS:
        raise RecipeError(
            f"This text has about {len(pieces)} words; {MAX_TOKENS} is the most.",
            "Describe the moment in a sentence or two.",
        )
    if not pieces or not re.search(r"[a-z0-9]", text, re.IGNORECASE):
        raise RecipeError(
            "The built-in search knows English words only, and found none here.",
            "Describe the moment in English, or search with a picture.",
        )


def _content_words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in _FILLERS]


def _colours_of_text(text: str) -> Floats:
    """A unit vector over COLOURS; zeros when the text names none."""
    named = np.zeros(len(COLOURS), np.float32)
    for match in _COLOUR_PATTERN.finditer(text):
        for colour in _COLOUR_WORDS[match.group().lower()]:
            named[COLOURS.index(colour)] = 1
    return _unit(named)


def _colour_shares(picture: Image.Image) -> Floats:
    """How much of a picture has each of the COLOURS, as people would name them; sums to 1."""
    hsv = np.asarray(picture.reduce(4).convert("HSV"), np.float32).reshape(-1, 3)
    hue, saturation, value = hsv[:, 0] * (360 / 255), hsv[:, 1] / 255, hsv[:, 2] / 255
    reddish = (hue < 20) | (hue >= 290)
    named = np.select(
        [
            value < 0.2,
            (saturation < 0.15) & (value > 0.8),
            saturation < 0.15,
            (hue >= 8) & (hue < 45) & ((value < 0.6) | (saturation < 0.45)),
            reddish & (saturation < 0.55) & (value > 0.65),
        ],
        [COLOURS.index(name) for name in ("black", "white", "grey", "brown", "pink")],
        default=np.searchsorted(_HUE_ENDS, hue, side="right") % len(_HUE_ENDS),
    )
    shares = np.bincount(named, minlength=len(COLOURS)) / len(named)
    return shares.astype(np.float32)


def _centre(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    return picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, box=box)


def _temporary_folder(parent: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=parent)
    except OSError as error:
        raise MediaError(
            f"There is no room to download to: {error.strerror}.",
            "Check the disk and the permissions of the data folder.",
        ) from error


def _pictures(
    source: media.MediaFile, start: float | None, end: float | None
) -> Iterator[Image.Image]:
    sampled = media.frames(source, fps=FRAMES_PER_SEC, start=start or 0.0, end=end)
    return (picture for _, picture in sampled)


def _reported(
    sampled: Iterable[tuple[float, Image.Image]], duration: float, on_progress: OnProgress
) -> Iterator[tuple[float, Image.Image]]:
    """Passes frames on and reports each new second of video."""
    reported = 0
    for second, picture in sampled:
        if int(second) > reported:
            reported = int(second)
            on_progress(Progress(Stage.EMBEDDING, min(1.0, second / duration)))
        yield second, picture


def _filled(means: list[Floats | None]) -> list[Floats]:
    """A segment in which no new frame came shows what was on the screen before it."""
    shown = next(mean for mean in means if mean is not None)
    filled = []
    for mean in means:
        shown = shown if mean is None else mean
        filled.append(shown)
    return filled


def _strongest(values: NDArray[np.floating], names: list[str]) -> list[str]:
    """The names of up to three values that come near the largest, strongest first."""
    top = np.argpartition(values, -3)[-3:]
    top = top[np.argsort(-values[top])]
    near = [names[i] for i in top if values[i] >= 0.4 * values[top[0]] > 0]
    return list(dict.fromkeys(near))


def _unit(values: Floats) -> Floats:
    """Rows made unit length; rows of zeros stay."""
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-9), np.float32)


def _batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def _ignore(progress: Progress) -> None:
    del progress
