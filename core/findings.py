"""Moments that are taken away from a search."""

from __future__ import annotations

from collections.abc import Collection

from core.models import Calibration, Finding, Moment, SearchResult


def finding_id(moment: Moment) -> str:
    """The same for the same stretch of the same video, whatever search found it."""
    start, end = (round(1000 * s) for s in (moment.start_offset_sec, moment.end_offset_sec))
    return f"{moment.video.id}:{start}-{end}"


def findings_of(
    result: SearchResult,
    calibration: Calibration | None = None,
    only: Collection[str] | None = None,
) -> list[Finding]:
    """The moments of an answer, in its order; `only` those with these best segments."""
    relevances = {} if calibration is None else calibration.relevances
    return [
        Finding(
            id=finding_id(moment),
            moment=moment,
            recipe=result.recipe,
            filters=result.filters,
            model=result.model,
            relevance=relevances.get(moment.best.segment.id),
        )
        for moment in result.moments
        if only is None or moment.best.segment.id in only
    ]
