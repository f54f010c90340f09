"""Findings as they are written down, in evidence files and in the basket, and read back.

What is read may have been written by anybody, so everything is checked: a value that is read is as
good as one that was never away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.errors import RecipeError
from core.findings import finding_id
from core.models import Filters, Finding, Hit, Moment, Relevance, Segment, Video
from core.recipe import MAX_WEIGHT, Recipe
from core.timecode import timecodes

# Beyond any video, and still a number of milliseconds that every reader can count.
_LONGEST_SEC = 1e7


def _countable(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 9000:  # the seconds since the epoch can be had of these
        raise ValueError("a year that nothing here is from")
    return moment


Time = Annotated[datetime, AfterValidator(_countable)]
Seconds = Annotated[float, Field(ge=0, le=_LONGEST_SEC)]
Score = Annotated[float, Field(ge=-1000, le=1000)]
Rank = Annotated[int, Field(ge=1, le=2**31)]
Count = Annotated[int, Field(ge=0, le=2**53)]
ChangeRecipe = Callable[[Recipe], Recipe]
# On the web, on a disk, or a copy in a media store, each kind of which has addresses of its own.
_VIDEO_URL = r"^(https?://|file:|[a-z0-9+.-]+://.+/[0-9a-f]{32}/[^/]+$)"


class Record(BaseModel):
    """Exact types only, no infinities, and nothing that we do not know of."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", frozen=True)


class FiltersRecord(Record):
    video_ids: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    min_score: float | None = None
    start: float | None = None
    end: float | None = None
    added_after: Time | None = None
    added_before: Time | None = None
    option_weights: tuple[tuple[str, float], ...] = ()


class SearchRecord(Record):
    """`typed` is the recipe as it can be typed, for people; `recipe` is what counts."""

    recipe: dict[str, Any]
    typed: str | None
    filters: FiltersRecord
    model: str


class VideoRecord(Record):
    id: str
    title: str
    video_url: Annotated[str, Field(pattern=_VIDEO_URL)]
    category: str
    duration: Seconds | None
    width: Count | None
    height: Count | None
    frame_rate: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}(/[1-9][0-9]{0,8})?$")] | None
    model: str
    segments: Count
    added_at: Time
    sha256: str


class HitRecord(Record):
    segment_id: str
    start_offset_sec: Seconds
    end_offset_sec: Seconds
    embedding_scope: str
    embedding_option: str
    score: Score
    scores_by_option: dict[str, Score]
    rank: Rank


class MomentRecord(Record):
    """`video` names one of the videos; of a `pair` the hits are what came first and what followed."""

    id: str
    video: str
    start_offset_sec: Seconds
    end_offset_sec: Seconds
    start_timecode: str
    end_timecode: str
    rank: Rank
    score: Score
    pair: bool
    hits: Annotated[tuple[HitRecord, ...], Field(min_length=1)]
    similar: tuple[MomentRecord, ...]


class RelevanceRecord(Record):
    level: Literal["strong", "likely", "weak"]
    deviation: float
    percentile: Annotated[float, Field(ge=0, le=100)]


class FindingRecord(Record):
    """`search` is the place of the search that found it, counted from 0."""

    moment: MomentRecord
    search: Count
    relevance: RelevanceRecord | None
    note: str
    tags: tuple[str, ...]


class FindingsRecord(Record):
    searches: tuple[SearchRecord, ...]
    videos: tuple[VideoRecord, ...]
    moments: tuple[FindingRecord, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What was asked, and of which model."""

    recipe: Recipe
    filters: Filters
    model: str


class Inconsistent(ValueError):
    """A record whose parts do not fit together."""


def write(
    findings: Sequence[Finding], *, as_kept: ChangeRecipe, searches: Iterable[Search] = ()
) -> FindingsRecord:
    """Findings as a record; `searches` are written even when none of these comes from them."""
    places: dict[Search, int] = {search: n for n, search in enumerate(dict.fromkeys(searches))}
    videos: dict[str, Video] = {}
    moments = []
    for finding in findings:
        search = Search(finding.recipe, finding.filters, finding.model)
        relevance = finding.relevance
        moments.append(
            FindingRecord(
                moment=_write_moment(finding.moment, videos),
                search=places.setdefault(search, len(places)),
                relevance=None if relevance is None else RelevanceRecord(**asdict(relevance)),
                note=finding.note,
                tags=finding.tags,
            )
        )
    return FindingsRecord(
        searches=tuple(_write_search(search, as_kept) for search in places),
        videos=tuple(_write_video(video) for video in videos.values()),
        moments=tuple(moments),
    )


def read(
    record: FindingsRecord, *, here: Mapping[str, Video], as_usable: ChangeRecipe
) -> tuple[list[Search], list[Finding]]:
    """The searches and the findings of a record. A video that is `here` is shown as it is today,
    every other one as it was, and as removed.

    Raises:
        Inconsistent: when its parts do not fit together, or a recipe cannot be read.
    """
    searches = [_read_search(search, as_usable) for search in record.searches]
    videos = {video.id: here.get(video.id) or _read_video(video) for video in record.videos}
    return searches, [_read_finding(finding, searches, videos) for finding in record.moments]


def _write_search(search: Search, as_kept: ChangeRecipe) -> SearchRecord:
    recipe = as_kept(search.recipe)
    return SearchRecord(
        recipe=json.loads(recipe.to_json()),
        typed=recipe.to_text(),
        filters=FiltersRecord(**asdict(search.filters)),
        model=search.model,
    )


def _read_search(record: SearchRecord, as_usable: ChangeRecipe) -> Search:
    try:
        recipe = as_usable(Recipe.from_json(json.dumps(record.recipe)))
    except RecipeError as error:
        raise Inconsistent("a recipe that cannot be read") from error
    sides = [recipe] if recipe.then is None else [recipe, recipe.then]
    numbers = [n for side in sides for part in side.parts for n in (part.start, part.end)]
    weights = [part.weight for side in sides for part in side.parts]
    if not all(math.isfinite(n) for n in numbers if n is not None):
        raise Inconsistent("a clip with times that are none")
    if not all(abs(weight) <= MAX_WEIGHT for weight in weights):
        raise Inconsistent(f"a weight that is not from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
    return Search(recipe, Filters(**dict(record.filters)), record.model)


def _write_video(video: Video) -> VideoRecord:
    values = {name: getattr(video, name) for name in VideoRecord.model_fields}
    rate = video.frame_rate
    return VideoRecord(**{**values, "frame_rate": None if rate is None else str(rate)})


def _read_video(record: VideoRecord) -> Video:
    rate = record.frame_rate
    return Video(
        **{**dict(record), "frame_rate": None if rate is None else Fraction(rate)}, removed=True
    )


def _write_moment(moment: Moment, videos: dict[str, Video]) -> MomentRecord:
    """The moment; its video, and those of similar ones, join `videos`."""
    video = videos.setdefault(moment.video.id, moment.video)
    start, end = moment.start_offset_sec, moment.end_offset_sec
    start_timecode, end_timecode = timecodes(start, end, video.frame_rate)
    return MomentRecord(
        id=finding_id(moment),
        video=video.id,
        start_offset_sec=start,
        end_offset_sec=end,
        start_timecode=start_timecode,
        end_timecode=end_timecode,
        rank=moment.rank,
        score=moment.score,
        pair=moment.then is not None,
        hits=tuple(_write_hit(hit) for hit in moment.hits),
        similar=tuple(_write_moment(similar, videos) for similar in moment.similar),
    )


def _write_hit(hit: Hit) -> HitRecord:
    segment = hit.segment
    return HitRecord(
        segment_id=segment.id,
        start_offset_sec=segment.start_offset_sec,
        end_offset_sec=segment.end_offset_sec,
        embedding_scope=segment.embedding_scope,
        embedding_option=segment.embedding_option,
        score=hit.score,
        scores_by_option=dict(hit.scores_by_option),
        rank=hit.rank,
    )


def _read_finding(
    record: FindingRecord, searches: Sequence[Search], videos: Mapping[str, Video]
) -> Finding:
    if record.search >= len(searches):
        raise Inconsistent("a moment of a search that is not in it")
    moment = _read_moment(record.moment, videos)
    search = searches[record.search]
    relevance = record.relevance
    return Finding(
        id=finding_id(moment),
        moment=moment,
        recipe=search.recipe,
        filters=search.filters,
        model=search.model,
        relevance=None if relevance is None else Relevance(**dict(relevance)),
        note=record.note,
        tags=record.tags,
    )


def _read_moment(record: MomentRecord, videos: Mapping[str, Video]) -> Moment:
    video = videos.get(record.video)
    if video is None:
        raise Inconsistent("a moment of a video that is not in it")
    if record.end_offset_sec < record.start_offset_sec:
        raise Inconsistent("a moment that ends before it starts")
    hits = tuple(_read_hit(hit, video) for hit in record.hits)
    if record.pair and not (len(hits) == 2 and all(hit.score > 0 for hit in hits)):
        raise Inconsistent("a pair that is none")
    return Moment(
        video=video,
        start_offset_sec=record.start_offset_sec,
        end_offset_sec=record.end_offset_sec,
        hits=hits,
        rank=record.rank,
        then=hits[1] if record.pair else None,
        similar=tuple(_read_moment(similar, videos) for similar in record.similar),
    )


def _read_hit(record: HitRecord, video: Video) -> Hit:
    segment = Segment(
        id=record.segment_id,
        video_id=video.id,
        start_offset_sec=record.start_offset_sec,
        end_offset_sec=record.end_offset_sec,
        embedding_scope=record.embedding_scope,
        embedding_option=record.embedding_option,
    )
    return Hit(segment, video, record.score, dict(record.scores_by_option), record.rank)
