"""How well a search finds the labelled moments: `python -m samples.evaluate`.

A found segment is right when it shares at least half of itself, or half of the labelled stretch,
with an answer: a segment may be longer than a short answer, or lie inside a long one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.embedders import create_embedder
from core.media import probe
from core.models import Vector
from core.settings import Settings
from samples import Answer, Label, labels, sample_sources

Found = tuple[str, float, float]  # file name, start and end in seconds
Search = Callable[[str], Sequence[Found]]

FIRST = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled question and the rank, from 1, of the first right segment; None when missed."""

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

    `search` gives the segments for a question, best first; what it leaves out counts as missed.
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


class LocalIndex:
    """The sample library in the space of the local embedder, ranked by plain cosines."""

    def __init__(self, settings: Settings) -> None:
        self._embedder = create_embedder("local", settings)
        self._segments: list[Found] = []
        vectors: list[Vector] = []
        for sample in sample_sources():
            for segment in self._embedder.embed_video(
                sample.path, info=probe(sample.path), resume={}, on_progress=lambda _: None
            ):
                span = (segment.start_offset_sec, segment.end_offset_sec)
                self._segments.append((sample.path.name, *span))
                vectors.append(segment.vector)
        self._vectors = np.stack(vectors)

    def ranked(self, query: str) -> list[tuple[float, Found]]:
        """Every segment with its score, best first."""
        scores = self._vectors @ self._embedder.embed_text(query)
        return [(float(scores[n]), self._segments[n]) for n in np.argsort(-scores, kind="stable")]

    def search(self, query: str) -> list[Found]:
        return [found for _, found in self.ranked(query)]


def main() -> None:
    index = LocalIndex(Settings())
    report = evaluate(index.search)
    for row in report.rows:
        ranked = index.ranked(row.label.query)
        score, (video, start, _) = ranked[(row.rank or 1) - 1]
        mark = "suggested" if row.label.suggested else ""
        print(
            f"{row.rank or '-':>4}  {score:.3f}  {row.label.query:36} {video} {start:.0f} s  {mark}"
        )
    print(report)


if __name__ == "__main__":
    main()
