"""The library as one visitor may use it: what their role may not do is refused, and what an owner
may ask about is noted.

Pages are given this in place of the library. Whatever is drawn, nothing is done that is not theirs
to do, also in a callback and in the thread of a download.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from components.access import Visitor
from core import (
    Cluster,
    Explorer,
    Finding,
    Job,
    Library,
    Recipe,
    SearchResult,
    SourceEstimate,
    Task,
    TrendLine,
)
from core.answers import Answers
from core.audit import Action

_PARTS = ("searches", "basket", "uploads")

NoteSearch = Callable[[Recipe], None]


def guarded(library: Library, visitor: Visitor) -> Library:
    """The same library for this visitor.

    All that it has raises AccessDenied where their role is too low.
    """
    return cast(Library, _GuardedLibrary(library, visitor))


class _Guarded:
    """Passes on what a visitor may use of something; `path` is what the library calls it."""

    def __init__(self, target: Any, visitor: Visitor, path: str = "") -> None:
        self._target = target
        self._visitor = visitor
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python itself asks of any object
        self._visitor.must(f"{self._path}{name}")
        return getattr(self._target, name)


class _GuardedLibrary(_Guarded):
    """What is noted, beside all that is only passed on."""

    _target: Library

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return _Guarded(value, self._visitor, f"{name}.") if name in _PARTS else value

    @property
    def explorer(self) -> _GuardedExplorer:
        self._visitor.must("explorer")
        return _GuardedExplorer(self._target.explorer, self._visitor, self._note_search)

    def search(self, recipe: Recipe | str, **options: Any) -> SearchResult:
        self._visitor.must("search")
        result = self._target.search(recipe, **options)
        self._note_search(result.recipe)
        return result

    def model(self, name: str) -> _NotedAnswers:
        self._visitor.must("model")
        return _NotedAnswers(self._target.model(name), self._note_search)

    def add(
        self,
        sources: Sequence[str | Path | SourceEstimate],
        *,
        max_cost: float | None = None,
        **given: Any,
    ) -> list[Job]:
        self._visitor.must("add")
        most = self._target.settings.budget_per_run
        if max_cost is not None and most is not None and max_cost > most:
            self._visitor.must("raise_run_budget")
        jobs = self._target.add(sources, max_cost=max_cost, **given)
        if jobs:
            self._note("added", *(job.source for job in jobs))
        return jobs

    def remove(self, video_id: str) -> None:
        self._visitor.must("remove")
        titles = [video.title for video in self._target.videos() if video.id == video_id]
        self._target.remove(video_id)
        self._note("removed", *titles, detail=video_id)

    def export(self, what: SearchResult | Sequence[Finding], format: Any = "csv") -> bytes:
        self._visitor.must("export")
        content = self._target.export(what, format)
        number = len(what.moments if isinstance(what, SearchResult) else what)
        self._note("exported", detail=f"{format}, {number:,} moments")
        return content

    def cut_clips(self, findings: Sequence[Finding], zip_path: Path, **options: Any) -> Path:
        self._visitor.must("cut_clips")
        path = self._target.cut_clips(findings, zip_path, **options)
        self._note("exported", detail=f"clips, {len(findings):,} moments")
        return path

    def ledger_csv(self) -> bytes:
        self._visitor.must("ledger_csv")
        self._note("downloaded the ledger")
        return self._target.ledger_csv()

    def set_month_budget(self, amount: float | None) -> None:
        self._visitor.must("set_month_budget")
        self._target.set_month_budget(amount)
        self._note("changed a budget", "of the month", detail=self._money(amount))

    def raise_run_budget(self, run: str, amount: float | None) -> None:
        self._visitor.must("raise_run_budget")
        self._target.raise_run_budget(run, amount)
        self._note("changed a budget", f"of run {run}", detail=self._money(amount))

    def _note_search(self, recipe: Recipe) -> None:
        asked = self._target.searches.as_kept(recipe)
        self._target.audit.note_once(
            self._visitor.who, "searched", asked.to_text() or asked.to_json()
        )

    def _note(self, action: Action, *subjects: str, detail: str = "") -> None:
        self._target.audit.note(self._visitor.who, action, *subjects, detail=detail)

    def _money(self, amount: float | None) -> str:
        return "no limit" if amount is None else f"{amount:.2f} {self._target.settings.currency}"


class _GuardedExplorer(_Guarded):
    def __init__(self, explorer: Explorer, visitor: Visitor, note_search: NoteSearch) -> None:
        super().__init__(explorer, visitor, "explorer.")
        self._note_search = note_search

    def trend(
        self, topics: Sequence[Recipe | Cluster], **options: Any
    ) -> Task[tuple[TrendLine, ...]]:
        self._visitor.must("explorer.trend")
        for topic in topics:
            if isinstance(topic, Recipe):
                self._note_search(topic)
        return cast(Explorer, self._target).trend(topics, **options)


class _NotedAnswers:
    """What another model answers."""

    def __init__(self, answers: Answers, note_search: NoteSearch) -> None:
        self._answers = answers
        self._note_search = note_search

    def search(self, recipe: Recipe | str, **options: Any) -> SearchResult:
        result = self._answers.search(recipe, **options)
        self._note_search(result.recipe)
        return result
