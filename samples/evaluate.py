"""How well a search finds the labelled moments: `python -m samples.evaluate`.

A found moment is right when it shares at least half of itself, or half of the labelled stretch,
with an answer: a moment may be longer than a short answer, or lie inside a long one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core import Library, Settings, open_library
from samples import Answer, Label, labels, load, sample_sources

Found = tuple[str, float, float]  # file name, start and end in seconds
Search = Callable[[str], Sequence[Found]]

FIRST = 3
EVERYTHING = 1000  # more moments than the samples have


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled question and the rank, from 1, of the first right moment; None when missed."""

    label: Label
    rank: int | None

    def within(self, limit: int) -> bool:
        return self.rank is not None and self.rank <= limit


@dataclass(frozen=True, slots=True)
class Report:
    """The ranks of all questions and what they come to."""

    rows: tuple[Row, ...]

    @property
    def suggested(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.label.suggested)

    @property
    def suggested_right(self) -> int:
        """Suggested questions with a right moment among the first three."""
        return sum(row.within(FIRST) for row in self.suggested)

    @property
    def mean_reciprocal_rank(self) -> float:
        return sum(1 / row.rank for row in self.rows if row.rank) / len(self.rows)

    def recall(self, limit: int) -> float:
        """The share of questions with a right moment among the first `limit`."""
        return sum(row.within(limit) for row in self.rows) / len(self.rows)

    def __str__(self) -> str:
        return (
            f"Suggested: {self.suggested_right} of {len(self.suggested)} right in the first {FIRST}"
            f"\nAll {len(self.rows)}: R@1 {self.recall(1):.2f}  R@{FIRST} {self.recall(FIRST):.2f}"
            f"  MRR {self.mean_reciprocal_rank:.2f}"
        )


def evaluate(search: Search, questions: Sequence[Label] | None = None) -> Report:
    """Ask every labelled question.

    `search` gives the moments for a question, best first; what it leaves out counts as missed.
    """
    asked = labels() if questions is None else questions
    return Report(tuple(Row(label, _rank(search(label.query), label)) for label in asked))


def _rank(results: Sequence[Found], label: Label) -> int | None:
    for rank, found in enumerate(results, start=1):
        if any(_answers(found, answer) for answer in label.answers):
            return rank
    return None


def _answers(found: Found, answer: Answer) -> bool:
    video, start, end = found
    if video != answer.video:
        return False
    shared = min(end, answer.end) - max(start, answer.start)
    return shared >= 0.5 * min(end - start, answer.end - answer.start)


@contextmanager
def loaded_library() -> Iterator[Library]:
    """The sample library as a visitor loads it, with the built-in embedder, in a passing folder."""
    with (
        TemporaryDirectory() as folder,
        open_library(Settings(embedder="local", data_dir=Path(folder))) as library,
    ):
        load(library)
        library.wait()
        yield library


def moments_of(library: Library) -> Search:
    """The library's own search, with every moment it has."""
    files = {sample.path.as_uri(): sample.path.name for sample in sample_sources()}

    def search(query: str) -> list[Found]:
        return [
            (files[moment.video.video_url], moment.start_offset_sec, moment.end_offset_sec)
            for moment in library.search(query, limit=EVERYTHING).moments
        ]

    return search


def main() -> None:
    with loaded_library() as library:
        report = evaluate(moments_of(library))
    for row in report.rows:
        mark = "suggested" if row.label.suggested else ""
        print(f"{row.rank or 'missed':>7}  {row.label.query:36} {mark}".rstrip())
    print(report)


if __name__ == "__main__":
    main()
