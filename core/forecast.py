"""How far the queue is and how long it will take, judged by the jobs that went before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median

from core.models import Job, Stage

# The stages of a job in their order, and how much of it is behind when each ends.
_ENDS = {
    Stage.QUEUED: 0.0,
    Stage.PROBING: 0.05,
    Stage.UPLOADING: 0.25,
    Stage.WAITING: 0.35,
    Stage.EMBEDDING: 0.95,
    Stage.STORING: 1.0,
}
_ORDER = list(_ENDS)
_SHORTEST_GUESS_SEC = 2.0

# Seconds a stage takes for each minute of video.
Pace = Mapping[Stage, float]


def pace(ready: Sequence[Job]) -> Pace:
    """The usual pace of each stage: the median over jobs that became ready."""
    measured: dict[Stage, list[float]] = {}
    for job in ready:
        for stage, seconds in job.stage_seconds.items():
            if job.minutes:
                measured.setdefault(Stage(stage), []).append(seconds / job.minutes)
    return {stage: median(values) for stage, values in measured.items()}


def remaining_sec(job: Job, usual: Pace, now: datetime) -> float | None:
    """How long an unfinished job still needs from its turn on; None when nothing is known."""
    if job.stage.finished or not job.minutes:
        return None
    later = [stage for stage in _ORDER if _ORDER.index(stage) > _ORDER.index(job.stage)]
    ahead = sum(usual.get(stage, 0.0) * job.minutes for stage in later)
    current = _left_of_stage(job, usual, now)
    if current is None or (Stage.EMBEDDING in later and Stage.EMBEDDING not in usual):
        return None
    return current + ahead


def _left_of_stage(job: Job, usual: Pace, now: datetime) -> float | None:
    if job.stage is Stage.QUEUED:
        return 0.0
    if job.stage_since is None:
        return None
    spent = (now - job.stage_since).total_seconds()
    if job.fraction and job.fraction > 0.02:
        return spent * (1 - job.fraction) / job.fraction
    if job.stage in usual and job.minutes:
        return max(0.0, usual[job.stage] * job.minutes - spent)
    return None


def done_fraction(job: Job) -> float:
    """How much of the whole job is done, from 0 to 1."""
    if job.stage.finished:
        return 1.0
    begins = _ENDS[_ORDER[max(0, _ORDER.index(job.stage) - 1)]]
    return begins + (_ENDS[job.stage] - begins) * (job.fraction or 0.0)


def batch_fraction(finished: int, running: Sequence[Job], waiting: int) -> float:
    """How much of a batch of jobs is done, from 0 to 1; 1 for an empty one."""
    total = finished + len(running) + waiting
    return (finished + sum(map(done_fraction, running))) / total if total else 1.0


def batch_remaining_sec(fraction: float, begun: datetime | None, now: datetime) -> float | None:
    """How long a batch still takes at the pace so far; None before there is one."""
    spent = 0.0 if begun is None else (now - begun).total_seconds()
    if fraction <= 0.02 or spent < _SHORTEST_GUESS_SEC:
        return None
    return spent * (1 - fraction) / fraction
