"""Findings for the editing room: one timeline, the moments one after the other, exact to the frame.

OTIO keeps every clip at the rate of its own video. A cut list (CMX 3600) has one rate for all: that
of most moments. A moment of a video with another rate stands in it in frames of that rate, nearest
to the same seconds, with its own timecodes in a comment. Where a video's rate is unknown, or is none
that SMPTE timecode knows, the list's is taken, or else one that counts its frames whole.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import opentimelineio as otio

from core.errors import TimelineError
from core.models import Finding, Video
from core.timecode import frame_range, timecode

TITLE = "Seekpoint"
# Those of SMPTE ST 12-1 and twice them, which is what cut lists are read with.
_LIST_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        *((25, 1), (24, 1), (30, 1), (24_000, 1001), (30_000, 1001)),
        *((50, 1), (48, 1), (60, 1), (48_000, 1001), (60_000, 1001)),
    )
)
_USUAL_RATE = Fraction(25)
_DAY_SEC = 24 * 3600
# The number of an event has three digits in a cut list, and the adapter's time grows with the
# square of their number: lists of this length follow each other, each numbered from 1.
_MOST_EVENTS = 999
_REEL_CHARS = 8


def to_otio(findings: Sequence[Finding]) -> bytes:
    """The findings as OpenTimelineIO's own JSON."""
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    reels = _reels(findings)
    usual = _list_rate(findings)
    track.extend(
        [
            _clip(f, f.moment.video.frame_rate or usual, reels, {"seekpoint": _all_of_it(f)})
            for f in findings
        ]
    )
    timeline = otio.schema.Timeline(TITLE)
    timeline.tracks.append(track)
    return bytes(otio.adapters.write_to_string(timeline, "otio_json").encode())


def to_edl(findings: Sequence[Finding]) -> bytes:
    """The findings as a cut list.

    Raises:
        TimelineError: when they last a day or longer together, which is as far as it can count.
    """
    rate = _list_rate(findings)
    reels = _reels(findings)
    mode = "DROP FRAME" if ";" in timecode(0, rate) else "NON-DROP FRAME"
    lists = [f"TITLE: {TITLE}\nFCM: {mode}\n\n"]
    begin = 0
    for few in _batches(findings):
        clips = [_clip(f, rate, reels, {}, comments=list(_comments(f, rate))) for f in few]
        lists.append(_cut_list(clips, begin, rate))
        begin += sum(round(clip.source_range.duration.value) for clip in clips)
    if begin / rate >= _DAY_SEC:
        raise TimelineError(
            f"These moments last {float(begin / rate) / 3600:.0f} hours together; a cut list counts "
            "to 24.",
            "Choose fewer of them, or export OTIO, which knows no such limit.",
        )
    return "".join(lists).encode()


def _cut_list(clips: Sequence[otio.schema.Clip], begin: int, rate: Fraction) -> str:
    """Events from frame `begin` of the whole on."""
    track = otio.schema.Track("V", kind=otio.schema.TrackKind.Video)
    if begin:
        track.append(otio.schema.Gap(source_range=_range(0, begin, rate)))
    track.extend(clips)
    timeline = otio.schema.Timeline()
    timeline.tracks.append(track)
    return str(
        otio.adapters.write_to_string(
            timeline, "cmx_3600", rate=float(rate), reelname_len=_REEL_CHARS
        )
    )


def _clip(
    finding: Finding,
    rate: Fraction,
    reels: dict[str, str],
    metadata: dict[str, Any],
    comments: Sequence[str] = (),
) -> otio.schema.Clip:
    """A moment as a clip of so many frames a second."""
    video = finding.moment.video
    reference = otio.schema.ExternalReference(target_url=video.video_url)
    if video.duration is not None:
        frames = max(1, math.ceil(Fraction(video.duration) * rate))
        reference.available_range = _range(0, frames, rate)
    return otio.schema.Clip(
        name=_one_line(video.title),
        media_reference=reference,
        source_range=_range(*_frames(finding, rate), rate),
        metadata={"cmx_3600": {"reel": reels[video.id], "comments": list(comments)}, **metadata},
    )


def _all_of_it(finding: Finding) -> dict[str, Any]:
    """What is known of a finding, for whoever asks the timeline."""
    moment, video = finding.moment, finding.moment.video
    return {
        "id": finding.id,
        "video_url": video.video_url,
        "title": video.title,
        "category": video.category,
        "start_offset_sec": moment.start_offset_sec,
        "end_offset_sec": moment.end_offset_sec,
        "frame_rate": str(video.frame_rate or "unknown"),
        "rank": moment.rank,
        "score": moment.score,
        "relevance": "" if finding.relevance is None else finding.relevance.level,
        "model": finding.model,
        "note": finding.note,
        "tags": list(finding.tags),
    }


def _frames(finding: Finding, rate: Fraction) -> tuple[int, int]:
    """The first frame of a moment and how many it has. Its own frames decide what is in it, also
    where another rate counts them."""
    start, end = finding.moment.start_offset_sec, finding.moment.end_offset_sec
    own = finding.moment.video.frame_rate
    if own is None or own == rate:
        return frame_range(start, end, rate)
    first, frames = frame_range(start, end, own)
    begin, behind = round(first / own * rate), round((first + frames) / own * rate)
    return begin, max(1, behind - begin)


def _comments(finding: Finding, rate: Fraction) -> Iterator[str]:
    """What a cut list says of a moment behind its event, a line each."""
    moment, video = finding.moment, finding.moment.video
    relevance = "" if finding.relevance is None else f", {finding.relevance.level}"
    yield f"RANK: {moment.rank}, SCORE: {moment.score:.3f}{relevance}"
    if video.frame_rate is None:
        yield f"FRAME RATE UNKNOWN, COUNTED AT {float(rate):.6g}"
    elif video.frame_rate != rate:
        first, frames = frame_range(
            moment.start_offset_sec, moment.end_offset_sec, video.frame_rate
        )
        start, end = (timecode(frame, video.frame_rate) for frame in (first, first + frames))
        yield f"SOURCE AT {float(video.frame_rate):.6g}: {start} {end}"
    if finding.note:
        yield f"NOTE: {_one_line(finding.note)}"
    if finding.tags:
        yield f"TAGS: {_one_line(', '.join(finding.tags))}"


def _list_rate(findings: Sequence[Finding]) -> Fraction:
    """The rate of most moments, as near as a cut list comes to it."""
    rates = Counter(finding.moment.video.frame_rate for finding in findings)
    del rates[None]
    if not rates:
        return _USUAL_RATE
    (most, _), *_ = rates.most_common(1)
    assert most is not None
    if most in _LIST_RATES:
        return most
    return next((rate for rate in _LIST_RATES if (rate / most).denominator == 1), _USUAL_RATE)


def _reels(findings: Sequence[Finding]) -> dict[str, str]:
    """A reel name for each video: eight letters and digits at most, from its title, each once."""
    reels: dict[str, str] = {}
    taken: set[str] = set()
    for finding in findings:
        video = finding.moment.video
        if video.id not in reels:
            reels[video.id] = next(name for name in _reel_names(video) if name not in taken)
            taken.add(reels[video.id])
    return reels


def _reel_names(video: Video) -> Iterator[str]:
    plain = re.sub(r"[^A-Z0-9]", "", video.title.upper())[:_REEL_CHARS] or "REEL"
    # These two mean black and "auxiliary" to whoever reads the list.
    if plain not in {"BL", "AX", "BLACK", "BARS"}:
        yield plain
    for number in itertools.count(2):
        yield f"{plain[: _REEL_CHARS - len(str(number))]}{number}"


def _range(first: int, frames: int, rate: Fraction) -> otio.opentime.TimeRange:
    per_sec = float(rate)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, per_sec), otio.opentime.RationalTime(frames, per_sec)
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _batches(findings: Sequence[Finding]) -> Iterator[Sequence[Finding]]:
    for first in range(0, len(findings), _MOST_EVENTS):
        yield findings[first : first + _MOST_EVENTS]
