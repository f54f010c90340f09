"""Evidence: what was found, by what, and in what, as JSON that opens again and proves itself whole.

A file is {"format", "version", "checksum", "content"}. The checksum is the SHA-256 of the content as
JSON in its shortest form with sorted keys and ASCII only, so it stays when the file is laid out
anew and changes with every value. The pictures and clips of a question stand in `media` under the
name by which its recipe calls them: the SHA-256 of their content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from core import records
from core.errors import EvidenceError
from core.models import Finding, Moment, Video
from core.recipe import Media, Part, Recipe
from core.records import Count, FindingsRecord, Record, Search, Time
from core.searches import with_sources
from core.timecode import clock
from core.version import VERSION

FORMAT = "seekpoint-evidence"
FORMAT_VERSION = 1
# Larger media of a question are only named; the hash in the name tells which they were.
_MOST_MEDIA_BYTES = 8_000_000
_MEDIA_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,7})?")
_UNKNOWN_MEDIA = "unknown"
_SHOWN = 5


class Origin(Record):
    """The library that the moments were found in; `segments` counts every stored vector."""

    app_version: str = VERSION
    embedder: str
    model: str
    dimension: Count
    collection: str
    videos: Count
    segments: Count
    video_ids: tuple[str, ...]


class Content(Record):
    exported_at: Time
    origin: Origin
    findings: FindingsRecord
    media: dict[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file that was opened again. `changed`: its checksum does not fit what is in it."""

    origin: Origin
    exported_at: datetime
    searches: tuple[Search, ...]
    findings: tuple[Finding, ...]
    media: Mapping[str, bytes]
    changed: bool


def to_json(
    findings: Sequence[Finding],
    origin: Origin,
    exported_at: datetime,
    *,
    searches: Sequence[Search] = (),
) -> bytes:
    """Findings as evidence; `searches` are in it even when they found nothing."""
    asked = [search.recipe for search in searches] + [finding.recipe for finding in findings]
    content = Content(
        exported_at=exported_at,
        origin=origin,
        findings=records.write(findings, as_kept=cache(without_media), searches=searches),
        media={
            name: base64.b64encode(data).decode("ascii")
            for recipe in dict.fromkeys(asked)
            for name, data in _media(recipe)
        },
    ).model_dump(mode="json")
    whole = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "checksum": _checksum(content),
        "content": content,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1).encode()


def from_json(text: bytes, *, here: Mapping[str, Video]) -> Evidence:
    """The evidence in a file, however it came about. Videos that are `here` are as they are today;
    the media of a recipe are names, to be looked up in `media`.

    Raises:
        EvidenceError: for a file that is cut off, of another format or a later version, or in
            which anything is not what it should be.
    """
    content, changed = _opened(text)
    try:
        record = Content.model_validate_json(json.dumps(content))
        searches, findings = records.read(record.findings, here=here, as_usable=_with_names_only)
        media = {
            _checked_name(name): base64.b64decode(data, validate=True)
            for name, data in record.media.items()
        }
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " / ".join(str(step) for step in first["loc"]) or "the content"
        _refuse(f"{where[:200]} is not what it should be", error)
    except RecursionError as error:
        _refuse("its parts stand in each other without end", error)
    except ValueError as error:
        _refuse(str(error)[:200], error)
    return Evidence(
        origin=record.origin,
        exported_at=record.exported_at,
        searches=tuple(searches),
        findings=tuple(findings),
        media=media,
        changed=changed,
    )


def without_media(recipe: Recipe) -> Recipe:
    """The recipe with the names of its pictures and clips in their place."""
    return with_sources(recipe, lambda part: replace(part, source=_name(part)))


def _media(recipe: Recipe) -> Iterator[tuple[str, bytes]]:
    """The pictures and clips of a recipe, under their names, but for large ones."""
    sides = [recipe] if recipe.then is None else [recipe, recipe.then]
    for part in (part for side in sides for part in side.parts):
        content = _content(part.source)
        if content is not None and len(content) <= _MOST_MEDIA_BYTES:
            yield str(_name(part)), content


def _name(part: Part) -> Media:
    if isinstance(part.source, str):
        return part.source
    content = _content(part.source)
    if content is None:
        return Path(_UNKNOWN_MEDIA)
    suffix = part.source.suffix.lower() if isinstance(part.source, Path) else ""
    name = hashlib.sha256(content).hexdigest()
    return Path(name + suffix if _MEDIA_NAME.fullmatch(name + suffix) else name)


def _content(source: Media) -> bytes | None:
    if isinstance(source, Path):
        try:
            return source.read_bytes()
        except OSError:
            return None  # it was there when the question was asked
    return source if isinstance(source, bytes) else None


def _with_names_only(recipe: Recipe) -> Recipe:
    """A file may name anything: what it calls a picture must not be a file of this server."""

    def named(part: Part) -> Part:
        if not isinstance(part.source, Path):
            return part
        known = _MEDIA_NAME.fullmatch(str(part.source))
        return part if known else replace(part, source=Path(_UNKNOWN_MEDIA))

    return with_sources(recipe, named)


def _checked_name(name: str) -> str:
    if not _MEDIA_NAME.fullmatch(name):
        raise records.Inconsistent("a picture or clip without a proper name")
    return name


def _opened(text: bytes) -> tuple[Any, bool]:
    """The content of a file, and whether it is another than was exported."""
    try:
        whole = json.loads(text)
        content = whole["content"] if isinstance(whole, dict) and "content" in whole else None
        checksum = _checksum(content)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(
            "This file is no evidence, or it is damaged: it cannot be read to its end.",
            "Take the file as it was exported; it may have been cut off on the way.",
        ) from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise EvidenceError(
            "This file is no evidence of Seekpoint.",
            "Open a file that was exported as JSON evidence.",
        )
    version = whole.get("version")
    if type(version) is not int or version < 1:
        _refuse("its version is not what it should be")
    if version > FORMAT_VERSION:
        raise EvidenceError(
            "This evidence was written by a later Seekpoint.", "Open it there, or update this one."
        )
    return content, whole.get("checksum") != checksum


def _checksum(content: Any) -> str:
    shortest = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(shortest.encode("ascii")).hexdigest()


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise EvidenceError(
        f"This evidence cannot be read: {what}.",
        "It was changed after it was exported. Take the file as it was.",
    ) from cause


# What differs today


@dataclass(frozen=True, slots=True)
class Today:
    """The library as it is now. `moments` are what the file's search finds in it, None when that was
    not asked again, for the `reason` given."""

    embedder: str
    model: str
    dimension: int
    segment_ids: Collection[str]
    moments: Sequence[Moment] | None
    reason: str = ""


def differences(evidence: Evidence, today: Today) -> list[str]:
    """What is not as it was when the file was written, as sentences."""
    notes = []
    if evidence.changed:
        notes.append("This file was changed after it was exported: its checksum does not fit.")
    origin = evidence.origin
    if (origin.embedder, origin.model, origin.dimension) != (
        today.embedder,
        today.model,
        today.dimension,
    ):
        notes.append(
            f"The model is another: {origin.model} ({origin.embedder}, {origin.dimension} "
            f"dimensions) found these moments, this library uses {today.model} ({today.embedder}, "
            f"{today.dimension} dimensions)."
        )
    if len(evidence.searches) > 1:
        notes.append(
            f"{len(evidence.searches)} searches found these moments; the first of them is shown."
        )
    moments = list(_with_similar([finding.moment for finding in evidence.findings]))
    notes += _gone(moments)
    notes += _lost_segments(moments, today.segment_ids)
    if today.moments is None:
        notes += [today.reason] if today.reason else []
    else:
        notes += _new(evidence, today.moments)
    return notes


def _with_similar(moments: Sequence[Moment]) -> Iterator[Moment]:
    for moment in moments:
        yield moment
        yield from _with_similar(moment.similar)


def _gone(moments: Sequence[Moment]) -> list[str]:
    gone = {moment.video.id: moment.video.title for moment in moments if moment.video.removed}
    if not gone:
        return []
    which = _named(list(gone.values()))
    if len(gone) == 1:
        return [f"A video is no longer in the library: {which}."]
    return [f"{len(gone)} videos are no longer in the library: {which}."]


def _lost_segments(moments: Sequence[Moment], there: Collection[str]) -> list[str]:
    """About segments of videos that are still here; those of removed ones went with them."""
    hits = [hit for moment in moments if not moment.video.removed for hit in moment.hits]
    lost = {hit.segment.id: hit.video.title for hit in hits if hit.segment.id not in there}
    if not lost:
        return []
    which = _named(list(dict.fromkeys(lost.values())))
    are = "1 segment of these is" if len(lost) == 1 else f"{len(lost):,} segments of these are"
    return [f"{are} no longer in the library, as the video was embedded anew: {which}."]


def _new(evidence: Evidence, moments: Sequence[Moment]) -> list[str]:
    """About moments of videos that were not there when the file was written."""
    known = set(evidence.origin.video_ids)
    new = [moment for moment in moments if moment.video.id not in known]
    if not new:
        return []
    which = _named([f"{m.video.title} at {clock(m.start_offset_sec)}" for m in new])
    if len(new) == 1:
        return [f"The same search finds a new moment today, in a video added since: {which}."]
    return [
        f"The same search finds {len(new):,} new moments today, in videos added since: {which}."
    ]


def _named(titles: Sequence[str]) -> str:
    """The first few of them, each shortened, and how many more there are."""
    shown = [f"“{title[:60]}…”" if len(title) > 60 else f"“{title}”" for title in titles[:_SHOWN]]
    more = len(titles) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
