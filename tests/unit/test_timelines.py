from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentimelineio.opentime import RationalTime, to_timecode

from core.errors import TimelineError
from core.models import Finding
from core.timecode import exact_rate, frame_at, frame_range, timecode, timecodes
from core.timelines import to_edl, to_otio
from tests.found import film, finding, noted

FILM_RATES = [
    Fraction(24_000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30_000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60_000, 1001),
    Fraction(60),
]
RATES = pytest.mark.parametrize("rate", FILM_RATES, ids=str)
STRETCHES = [(0.0, 2.0), (1.5, 5.25), (59.993, 60.06), (600.6, 612.345), (3300.033, 3310.0)]


def read_otio(content: bytes) -> otio.schema.Timeline:
    return otio.adapters.read_from_string(content.decode(), "otio_json")


def read_edl(content: bytes, rate: Fraction) -> otio.schema.Timeline:
    return otio.adapters.read_from_string(content.decode(), "cmx_3600", rate=float(rate))


def ranges(timeline: otio.schema.Timeline) -> list[tuple[int, int]]:
    """The first frame of every clip and how many it has."""
    return [
        (clip.source_range.start_time.to_frames(), clip.source_range.duration.to_frames())
        for clip in timeline.find_clips()
    ]


def moments(rate: Fraction | None, *stretches: tuple[float, float]) -> list[Finding]:
    video = film(rate=rate)
    return [finding(video, *stretch, rank=n) for n, stretch in enumerate(stretches, start=1)]


# Frames and timecodes


@RATES
@given(data=st.data())
def test_a_timecode_is_that_of_opentimelineio(rate: Fraction, data: st.DataObject) -> None:
    frame = data.draw(st.integers(0, int(24 * 3600 * rate) - 100))
    per_sec = float(rate)
    assert timecode(frame, rate) == to_timecode(RationalTime(frame, per_sec), per_sec)


@RATES
def test_a_frame_that_starts_at_a_rounded_second_is_that_frame(rate: Fraction) -> None:
    for frame in [*range(2000), 107_892, 215_784]:
        assert frame_at(round(float(frame / rate), 3), rate) == frame


@RATES
def test_stretches_that_follow_each_other_share_no_frame_and_leave_none_out(rate: Fraction) -> None:
    edges = [0.0, 3.752, 7.504, 11.256, 15.008, 18.76]
    behind = 0
    for start, end in itertools.pairwise(edges):
        first, count = frame_range(start, end, rate)
        assert first == behind
        behind = first + count


def test_the_shortest_moment_is_a_frame() -> None:
    assert frame_range(1.5, 1.5, Fraction(25)) == (37, 1)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2997/100", "30000/1001"),
        ("19001/317", "60000/1001"),
        ("23976/1000", "24000/1001"),
        ("24000/1001", "24000/1001"),
        ("25", "25"),
        ("15", "15"),
        ("30", "30"),
        ("2477/100", "2477/100"),
    ],
)
def test_a_rate_that_a_file_has_rounded_is_the_one_it_means(said: str, meant: str) -> None:
    assert exact_rate(Fraction(said)) == Fraction(meant)


def test_a_rate_that_nobody_knows_has_no_timecodes() -> None:
    assert timecodes(1.0, 2.0, None) == ("", "")


# Timelines


@RATES
def test_both_formats_read_back_to_the_same_frames(rate: Fraction) -> None:
    found = moments(rate, *STRETCHES)
    expected = [frame_range(start, end, rate) for start, end in STRETCHES]
    timeline = read_otio(to_otio(found))
    assert ranges(timeline) == expected
    assert {clip.source_range.start_time.rate for clip in timeline.find_clips()} == {float(rate)}
    assert ranges(read_edl(to_edl(found), rate)) == expected


@RATES
def test_the_moments_follow_each_other_without_a_gap(rate: Fraction) -> None:
    found = moments(rate, *STRETCHES)
    for timeline in (read_otio(to_otio(found)), read_edl(to_edl(found), rate)):
        (track,) = timeline.tracks
        behind = 0
        for clip in track:
            assert isinstance(clip, otio.schema.Clip)
            place = track.range_of_child(clip)
            assert place.start_time.to_frames() == behind
            behind += place.duration.to_frames()


@pytest.mark.parametrize(
    ("rate", "mode"),
    [
        (Fraction(25), "NON-DROP FRAME"),
        (Fraction(24_000, 1001), "NON-DROP FRAME"),
        (Fraction(30_000, 1001), "DROP FRAME"),
        (Fraction(60_000, 1001), "DROP FRAME"),
    ],
)
def test_a_cut_list_says_how_it_counts(rate: Fraction, mode: str) -> None:
    lines = to_edl(moments(rate, (60.1, 70.1))).decode().splitlines()
    assert lines[:3] == ["TITLE: Seekpoint", f"FCM: {mode}", ""]
    assert (";" in lines[3]) == (mode == "DROP FRAME")


def test_every_video_has_a_reel_of_its_own_and_every_clip_its_title_and_address() -> None:
    videos = [
        film("a", title="Street market at night", rate=Fraction(25)),
        film("b", title="Street market by day", rate=Fraction(25)),
        film("c", title="夜の市場", rate=Fraction(25)),
        film("d", title="Black", rate=Fraction(25)),
        film("e", title="BL", rate=Fraction(25)),
    ]
    found = [finding(video, 1.0, 2.0, rank=n) for n, video in enumerate(videos, start=1)]
    clips = read_edl(to_edl([*found, found[0]]), Fraction(25)).find_clips()
    reels = [clip.metadata["cmx_3600"]["reel"] for clip in clips]
    assert reels == ["STREETMA", "STREETM2", "REEL", "BLACK2", "BL2", "STREETMA"]
    assert [clip.name for clip in clips][:3] == [video.title for video in videos[:3]]
    assert [clip.media_reference.target_url for clip in clips] == [
        f.moment.video.video_url for f in [*found, found[0]]
    ]


def test_notes_tags_and_scores_are_comments_of_a_line_each() -> None:
    (found,) = moments(Fraction(25), (1.0, 2.0))
    (clip,) = read_edl(
        to_edl([noted(found, "look\n001  X V C 0 0 0 0\u2028at this", "one", "two")]), Fraction(25)
    ).find_clips()
    assert list(clip.metadata["cmx_3600"]["comments"]) == [
        "RANK: 1, SCORE: 0.500, likely",
        "NOTE: look 001 X V C 0 0 0 0 at this",
        "TAGS: one, two",
    ]
    (clip,) = read_otio(to_otio([noted(found, "look\nat this", "one")])).find_clips()
    said = clip.metadata["seekpoint"]
    assert (said["note"], list(said["tags"]), said["title"]) == ("look\nat this", ["one"], "A film")
    assert said["video_url"] == clip.media_reference.target_url


@pytest.mark.parametrize(
    "title", ["", "\n", "=cmd()", "* FROM CLIP: x", "M2 x 1 00:00:00:00", "é" * 300]
)
def test_an_awkward_title_breaks_no_format(title: str) -> None:
    video = film(title=title, rate=Fraction(25))
    found = [finding(video, 1.0, 2.0), finding(video, 4.0, 5.0)]
    assert ranges(read_edl(to_edl(found), Fraction(25))) == [(25, 25), (100, 25)]
    assert ranges(read_otio(to_otio(found))) == [(25, 25), (100, 25)]


def test_otio_keeps_each_video_at_its_own_rate() -> None:
    rates = [Fraction(25), Fraction(30_000, 1001), Fraction(60_000, 1001)]
    found = [finding(film(str(rate), rate=rate), 10.0, 12.0) for rate in rates]
    clips = read_otio(to_otio(found)).find_clips()
    assert [clip.source_range.start_time.rate for clip in clips] == [float(rate) for rate in rates]
    assert ranges(read_otio(to_otio(found))) == [frame_range(10.0, 12.0, rate) for rate in rates]


def test_a_cut_list_of_several_rates_counts_at_that_of_most_and_names_the_others() -> None:
    pal, ntsc = Fraction(25), Fraction(30_000, 1001)
    one, two = film("one", rate=pal), film("two", rate=ntsc)
    found = [finding(two, 10.0, 12.0), finding(one, 4.0, 6.0), finding(one, 8.0, 9.0)]
    clips = read_edl(to_edl(found), pal).find_clips()
    first, count = frame_range(10.0, 12.0, ntsc)
    begin, behind = round(first / ntsc * pal), round((first + count) / ntsc * pal)
    assert ranges(read_edl(to_edl(found), pal)) == [(begin, behind - begin), (100, 50), (200, 25)]
    assert (
        clips[0].metadata["cmx_3600"]["comments"][1] == "SOURCE AT 29.97: 00:00:09;29 00:00:11;29"
    )
    assert len(clips[1].metadata["cmx_3600"]["comments"]) == 1


@pytest.mark.parametrize(
    ("rate", "counted"), [(None, 25), (Fraction(15), 30), (Fraction(12), 24), (Fraction(17), 25)]
)
def test_a_rate_that_a_cut_list_does_not_know_is_counted_at_one_that_it_knows(
    rate: Fraction | None, counted: int
) -> None:
    found = moments(rate, (2.0, 4.0))
    assert ranges(read_edl(to_edl(found), Fraction(counted))) == [(2 * counted, 2 * counted)]
    assert ("UNKNOWN" in to_edl(found).decode()) == (rate is None)
    kept = rate or Fraction(25)
    assert ranges(read_otio(to_otio(found))) == [(int(2 * kept), int(2 * kept))]


def test_no_moments_are_an_empty_timeline() -> None:
    assert ranges(read_otio(to_otio([]))) == []
    assert to_edl([]).decode().splitlines()[0] == "TITLE: Seekpoint"


def test_a_cut_list_cannot_count_beyond_a_day() -> None:
    video = replace(film(rate=Fraction(25)), duration=50_000.0)
    found = [finding(video, 0.0, 43_200.0, rank=rank) for rank in (1, 2)]
    with pytest.raises(TimelineError, match="24 hours together; a cut list counts to 24"):
        to_edl(found)
    assert len(ranges(read_otio(to_otio(found)))) == 2
    found[1] = finding(video, 0.0, 43_199.0)
    assert len(ranges(read_edl(to_edl(found), Fraction(25)))) == 2


def test_16384_moments_leave_at_once_and_read_back() -> None:
    videos = [film(str(n), rate=Fraction(30_000, 1001)) for n in range(50)]
    found = [
        finding(videos[n % 50], n % 600 * 6.0, n % 600 * 6.0 + 5.0, rank=n + 1)
        for n in range(16_384)
    ]
    expected = [
        frame_range(f.moment.start_offset_sec, f.moment.end_offset_sec, Fraction(30_000, 1001))
        for f in found
    ]
    begun = time.process_time()
    edl, timeline = to_edl(found), to_otio(found)
    assert time.process_time() - begun < 60
    numbers = [line[:3] for line in edl.decode().splitlines() if line[:1].isdigit()]
    assert numbers == [f"{n % 999 + 1:03}" for n in range(16_384)]
    assert ranges(read_otio(timeline)) == expected
    sources = [line.split()[4] for line in edl.decode().splitlines() if line[:1].isdigit()]
    assert sources == [timecode(first, Fraction(30_000, 1001)) for first, _ in expected]
    assert len(json.loads(timeline)["tracks"]["children"][0]["children"]) == 16_384
