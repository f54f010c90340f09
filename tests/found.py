"""Findings made by hand, for what is done with them, and what was found twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from core.findings import finding_id
from core.models import Filters, Finding, Hit, Moment, Relevance, Segment, Video
from core.recipe import Recipe

ADDED = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def film(name: str = "film", *, title: str = "A film", rate: Fraction | None = None) -> Video:
    """A video of an hour."""
    return Video(
        id=name,
        title=title,
        video_url=f"https://media.example/{name}.mp4",
        duration=3600.0,
        category="films",
        model="m-1",
        segments=600,
        added_at=ADDED,
        frame_rate=rate,
    )


def finding(video: Video, start: float, end: float, *, rank: int = 1) -> Finding:
    """A moment of one segment that "red car" found."""
    segment = Segment(f"{video.id}:visual:{round(1000 * start)}", video.id, start, end)
    moment = Moment(video, start, end, (Hit(segment, video, 0.5, {"visual": 0.5}, rank),), rank)
    relevance = Relevance("likely", 4.0, 99.0)
    return Finding(finding_id(moment), moment, Recipe.parse("red car"), Filters(), "m-1", relevance)


def noted(found: Finding, note: str, *tags: str) -> Finding:
    return replace(found, note=note, tags=tags)


def alike(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """What equals the same moments found again. Until an engine has built the index of new rows it
    adds up their scores in another order, and float32 near one is exact to 1e-7."""
    return tuple(
        replace(
            moment,
            hits=tuple(map(_hit_alike, moment.hits)),
            then=moment.then and _hit_alike(moment.then),
            similar=alike(moment.similar),
        )
        for moment in moments
    )


def _hit_alike(hit: Hit) -> Hit:
    scores: dict[str, Any] = {
        "score": pytest.approx(hit.score, abs=1e-6),
        "scores_by_option": pytest.approx(dict(hit.scores_by_option), abs=1e-6),
    }
    return replace(hit, **scores)
