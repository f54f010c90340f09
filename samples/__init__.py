"""The sample library: a shelf of short clips, what is in them, and where they come from.

`library.json` names the clips, `CREDITS.json` their sources and licences, `labels.json` holds
questions with the moments that answer them. `python -m samples.make` draws our own clips,
`python -m samples.evaluate` measures how well the local embedder finds the labelled moments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core import Job, Library

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Credit:
    """Where a clip comes from and what may be done with it; `sha256` is of the file as it is here.

    `source` names the package and the file inside it, `edit` says what was changed.
    """

    source: str
    version: str
    licence: str
    attribution: str
    edit: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip of the sample library."""

    path: Path
    title: str
    category: str
    credit: Credit


@dataclass(frozen=True, slots=True)
class Answer:
    """A stretch of a clip that answers a question; `video` is a file name, times in seconds."""

    video: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Label:
    """A question with every moment that answers it; the suggested ones are offered in the app."""

    query: str
    answers: tuple[Answer, ...]
    suggested: bool


def sample_sources() -> list[Sample]:
    """Every clip, in the order in which a library should show them."""
    credits = {entry.pop("file"): Credit(**entry) for entry in _read("CREDITS.json")}
    return [
        Sample(FOLDER / entry["file"], entry["title"], entry["category"], credits[entry["file"]])
        for entry in _read("library.json")
    ]


def load(library: Library) -> list[Job]:
    """Adds every clip to a library; the jobs run in the background."""
    return [
        job
        for sample in sample_sources()
        for job in library.add([sample.path], category=sample.category, titles=[sample.title])
    ]


@cache
def minutes() -> float:
    """How long all clips last together."""
    from core.media import probe

    return sum(probe(sample.path).duration for sample in sample_sources()) / 60


def suggested_queries() -> list[str]:
    """What a newcomer may ask with one click."""
    return [label.query for label in labels() if label.suggested]


@cache
def labels() -> tuple[Label, ...]:
    """Every labelled question, suggested or not."""
    answers: dict[str, list[Answer]] = {}
    suggested: set[str] = set()
    for entry in _read("labels.json"):
        query = entry["query"]
        answer = Answer(entry["video"], entry["start"], entry["end"])
        answers.setdefault(query, []).append(answer)
        if entry["suggested"]:
            suggested.add(query)
    return tuple(Label(query, tuple(found), query in suggested) for query, found in answers.items())


def _read(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return entries
