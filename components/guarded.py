"""The library as one visitor may use it: what their role may not do is refused, and what an owner
may ask about is noted.

Pages are given this in place of the library. Whatever is drawn, nothing is done that is not theirs
to do, also in a callback and in the thread of a download.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from components.access import Visitor
from core import Finding, Job, Library, Recipe, SearchResult, SourceEstimate
from core.audit import Action

_PARTS = ("searches", "basket", "explorer", "uploads")


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
        self._visitor.must(f"{self._path}{name}")
        value = getattr(self._target, name)
        return _Guarded(value, self._visitor, f"{name}.") if name in _PARTS else value


class _GuardedLibrary(_Guarded):
    """What is noted, beside all that is only passed on."""

    _target: Library

    def search(self, recipe: Recipe | str, **options: Any) -> SearchResult:
        self._visitor.must("search")
        result = self._target.search(recipe, **options)
        asked = self._target.searches.as_kept(result.recipe)
        self._target.audit.note_once(
            self._visitor.who, "searched", asked.to_text() or asked.to_json()
        )
        return result

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

    def _note(self, action: Action, *subjects: str, detail: str = "") -> None:
        self._target.audit.note(self._visitor.who, action, *subjects, detail=detail)

    def _money(self, amount: float | None) -> str:
        return "no limit" if amount is None else f"{amount:.2f} {self._target.settings.currency}"
