from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import evidence
from core.errors import EvidenceError
from core.evidence import Evidence, Origin, Today
from core.models import Filters, Finding, Hit, Moment, Segment, Video
from core.recipe import Part, Recipe
from core.records import Search
from core.version import VERSION
from tests.found import NOW, film, finding, noted

FILM = film(rate=Fraction(30_000, 1001))
ORIGIN = Origin(
    embedder="local",
    model="m-1",
    dimension=512,
    collection="c",
    videos=2,
    segments=1200,
    video_ids=("film", "other"),
)
UNTOUCHED = "its checksum does not fit"


def some_findings() -> list[Finding]:
    """One of each kind: plain, noted, with a similar one, and a pair."""
    plain = finding(FILM, 1.5, 7.0, rank=1)
    similar = finding(film("other", title="Ähnlich"), 3.0, 9.0, rank=7).moment
    folded = finding(FILM, 60.06, 66.0, rank=2)
    folded = replace(folded, moment=replace(folded.moment, similar=(similar,)), relevance=None)
    first, second = (
        Hit(Segment(f"film:audio:{n}", "film", n, n + 5.0), FILM, score, {"audio": score}, rank)
        for n, score, rank in ((100.0, 0.25, 1), (108.0, 0.125, 1))
    )
    pair = Moment(FILM, 100.0, 113.0, (first, second), 3, then=second)
    recipe = Recipe.parse("door then dog within 5 s")
    filters = Filters(
        categories=("films",),
        min_score=0.1,
        added_after=datetime(2025, 1, 1, tzinfo=UTC),
        option_weights=(("audio", 1.5),),
    )
    return [
        plain,
        noted(folded, "A note\nof two lines", "one", "two"),
        Finding("film:100000-113000", pair, recipe, filters, "m-1"),
    ]


def exported(findings: list[Finding] | None = None, searches: tuple[Search, ...] = ()) -> bytes:
    found = some_findings() if findings is None else findings
    return evidence.to_json(found, ORIGIN, NOW, searches=searches)


def opened(content: bytes, *here: Video) -> Evidence:
    return evidence.from_json(content, here={video.id: video for video in here})


HERE = (FILM, film("other", title="Ähnlich"))


def resealed(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file that was changed by somebody who mended its checksum."""
    whole = json.loads(exported())
    change(whole["content"])
    shortest = json.dumps(whole["content"], sort_keys=True, separators=(",", ":"))
    whole["checksum"] = "sha256:" + hashlib.sha256(shortest.encode()).hexdigest()
    return json.dumps(whole).encode()


# There and back


def test_everything_comes_back_as_it_was() -> None:
    back = opened(exported(), *HERE)
    assert list(back.findings) == some_findings()
    assert back.origin == ORIGIN
    assert back.exported_at == NOW
    assert not back.changed


def test_a_file_says_all_that_is_needed_to_believe_it() -> None:
    whole = json.loads(exported())
    assert (whole["format"], whole["version"]) == ("seekpoint-evidence", 1)
    content = whole["content"]
    assert content["exported_at"] == "2026-01-02T03:04:05Z"
    assert content["origin"] == {
        "app_version": VERSION,
        "embedder": "local",
        "model": "m-1",
        "dimension": 512,
        "collection": "c",
        "videos": 2,
        "segments": 1200,
        "video_ids": ["film", "other"],
    }
    searches = content["findings"]["searches"]
    assert [search["typed"] for search in searches] == ["red car", "door then dog within 5 s"]
    assert searches[1]["filters"]["categories"] == ["films"]
    moment = content["findings"]["moments"][0]
    assert moment["relevance"] == {"level": "likely", "deviation": 4.0, "percentile": 99.0}
    assert moment["moment"]["start_timecode"] == "00:00:01;14"
    assert moment["moment"]["hits"][0]["scores_by_option"] == {"visual": 0.5}
    assert content["findings"]["videos"][0]["frame_rate"] == "30000/1001"


def test_the_hash_of_a_source_is_in_it() -> None:
    hashed = replace(FILM, sha256="ab" * 32)
    video = json.loads(exported([finding(hashed, 1.0, 2.0)]))["content"]["findings"]["videos"][0]
    assert video["sha256"] == "ab" * 32


def test_a_video_that_is_gone_comes_back_as_it_was_and_as_removed() -> None:
    back = opened(exported(), HERE[1])
    assert back.findings[0].moment.video == replace(FILM, removed=True)
    assert back.findings[0].moment.hits[0].video.removed
    assert not back.findings[1].moment.similar[0].video.removed


def test_a_video_is_shown_under_the_title_it_has_today() -> None:
    back = opened(exported(), replace(FILM, title="Renamed"), HERE[1])
    assert back.findings[0].moment.video.title == "Renamed"


def test_a_search_that_found_nothing_is_evidence_too() -> None:
    search = Search(Recipe.parse("unicorn"), Filters(categories=("films",)), "m-1")
    back = opened(exported([], (search,)))
    assert back.searches == (search,)
    assert back.findings == ()


def test_a_question_with_a_picture_carries_the_picture_and_names_no_file(tmp_path: Path) -> None:
    picture = tmp_path / "Secret plan.JPG"
    picture.write_bytes(b"a picture")
    recipe = Recipe((Part.image(picture, text="red"), Part.image(b"another"), Part.text("x")))
    content = exported([replace(finding(FILM, 1.0, 2.0), recipe=recipe)])
    assert b"Secret" not in content
    assert str(tmp_path).encode() not in content
    back = opened(content, *HERE)
    names = [str(part.source) for part in back.findings[0].recipe.parts]
    digest = hashlib.sha256(b"a picture").hexdigest()
    assert names == [f"{digest}.jpg", hashlib.sha256(b"another").hexdigest(), "x"]
    assert back.media == {names[0]: b"a picture", names[1]: b"another"}


def test_a_picture_that_is_gone_keeps_no_evidence_from_being_written(tmp_path: Path) -> None:
    recipe = Recipe((Part.image(tmp_path / "gone.jpg"),))
    back = opened(exported([replace(finding(FILM, 1.0, 2.0), recipe=recipe)]), *HERE)
    assert str(back.findings[0].recipe.parts[0].source) == "unknown"


def test_a_file_that_calls_a_file_of_this_server_its_picture_gets_none() -> None:
    def name_a_file(content: dict[str, Any]) -> None:
        part = {"kind": "image", "path": "/etc/passwd", "weight": 1.0}
        content["findings"]["searches"][0]["recipe"]["parts"] = [part]

    back = opened(resealed(name_a_file), *HERE)
    assert str(back.findings[0].recipe.parts[0].source) == "unknown"


def test_16384_moments_are_written_and_read_at_once() -> None:
    many = [finding(FILM, n * 0.2, n * 0.2 + 5.0, rank=n + 1) for n in range(16_384)]
    begun = time.process_time()
    back = opened(exported(many), *HERE)
    assert time.process_time() - begun < 30
    assert list(back.findings) == many


# Bad files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"not json",
        b"[" * 100_000,
        exported()[: len(exported()) // 2],
        exported()[:-1],
    ],
    ids=["empty", "binary", "text", "deep", "half", "all but a byte"],
)
def test_what_cannot_be_read_to_its_end_is_said_so(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="cannot be read to its end"):
        opened(content)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"1", b'"x"', b'{"format": "other"}', b"null"])
def test_other_json_is_no_evidence(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="no evidence of Seekpoint"):
        opened(content)


def test_a_later_format_is_said_to_be_one() -> None:
    later = {**json.loads(exported()), "version": 2}
    with pytest.raises(EvidenceError, match="later Seekpoint"):
        opened(json.dumps(later).encode())


@pytest.mark.parametrize("version", [0, -1, None, "1", True, 1.0])
def test_a_version_that_is_none_is_refused(version: object) -> None:
    with pytest.raises(EvidenceError, match="its version"):
        opened(json.dumps({**json.loads(exported()), "version": version}).encode())


def put(content: Any, path: tuple[str | int, ...], value: object) -> None:
    *before, last = path
    for step in before:
        content = content[step]
    content[last] = value


FOUND = ("findings", "moments", 0, "moment")


WRONG: list[tuple[tuple[str | int, ...], object]] = [
    (("exported_at",), "yesterday"),
    (("exported_at",), "0001-01-01T00:00:00Z"),
    (("origin",), None),
    (
        (
            "origin",
            "videos",
        ),
        -1,
    ),
    (("unheard_of",), 1),
    (
        (
            *FOUND,
            "rank",
        ),
        0,
    ),
    (
        (
            *FOUND,
            "score",
        ),
        "0.5",
    ),
    (
        (
            *FOUND,
            "score",
        ),
        1e999,
    ),
    (
        (
            *FOUND,
            "start_offset_sec",
        ),
        8.0,
    ),
    (
        (
            *FOUND,
            "end_offset_sec",
        ),
        1e300,
    ),
    (
        (
            *FOUND,
            "hits",
        ),
        [],
    ),
    (
        (
            *FOUND,
            "pair",
        ),
        True,
    ),
    (
        (
            *FOUND,
            "video",
        ),
        "unheard of",
    ),
    (
        (
            "findings",
            "moments",
            0,
            "search",
        ),
        9,
    ),
    (
        (
            "findings",
            "moments",
            2,
            "moment",
            "hits",
            0,
            "score",
        ),
        -0.25,
    ),
    (
        (
            "findings",
            "videos",
            0,
            "video_url",
        ),
        "javascript:alert(1)",
    ),
    (
        (
            "findings",
            "videos",
            0,
            "frame_rate",
        ),
        "1/0",
    ),
    (
        (
            "findings",
            "searches",
            0,
            "recipe",
        ),
        {},
    ),
    (
        (
            "findings",
            "searches",
            0,
            "recipe",
            "parts",
            0,
            "weight",
        ),
        1e999,
    ),
    (
        (
            "findings",
            "searches",
            0,
            "recipe",
            "within_sec",
        ),
        -1,
    ),
    (
        (
            "findings",
            "searches",
            0,
            "filters",
            "min_score",
        ),
        "high",
    ),
    (("media",), {"../../x": ""}),
    (("media",), {"a" * 64: "no base64"}),
]


@pytest.mark.parametrize(
    ("path", "value"), WRONG, ids=[f"{n} {path[-1]}" for n, (path, _) in enumerate(WRONG)]
)
def test_a_value_that_is_not_what_it_should_be_is_refused(
    path: tuple[str | int, ...], value: object
) -> None:
    with pytest.raises(EvidenceError, match="This evidence cannot be read") as refused:
        opened(resealed(lambda content: put(content, path, value)), *HERE)
    assert refused.value.hint


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
WHOLE: Mapping[str, Any] = json.loads(exported())


def paths(value: Any, before: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value inside."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [
        path for step, inner in inside for path in [(*before, step), *paths(inner, (*before, step))]
    ]


@given(path=st.sampled_from(paths(WHOLE)), value=ANYTHING)
def test_whatever_is_changed_a_file_opens_or_is_refused_with_a_reason(
    path: tuple[str | int, ...], value: object
) -> None:
    whole = copy.deepcopy(dict(WHOLE))
    put(whole, path, value)
    try:
        back = opened(json.dumps(whole).encode(), *HERE)
    except EvidenceError:
        return
    assert all(abs(found.moment.score) <= 1000 for found in back.findings)
    assert back.changed or whole == WHOLE or len(path) == 1
    evidence.differences(back, today())


@given(st.binary())
def test_no_bytes_make_anything_but_a_reason(content: bytes) -> None:
    with pytest.raises(EvidenceError):
        opened(content)


@given(st.integers(0, len(exported()) - 1), st.binary(max_size=3))
def test_a_byte_that_was_changed_is_noticed(place: int, instead: bytes) -> None:
    original = exported()
    content = original[:place] + instead + original[place + 1 :]
    try:
        back = opened(content, *HERE)
    except EvidenceError:
        return
    same = json.loads(content) == json.loads(original)
    assert same != back.changed


# What differs today


def today(**changes: Any) -> Today:
    hits = [hit for found in some_findings() for hit in found.moment.hits]
    similar = [hit for found in some_findings() for s in found.moment.similar for hit in s.hits]
    usual = Today(
        embedder="local",
        model="m-1",
        dimension=512,
        segment_ids={hit.segment.id for hit in [*hits, *similar]},
        moments=None,
    )
    return replace(usual, **changes)


def one_search() -> bytes:
    return exported(some_findings()[:2])


def test_where_nothing_differs_nothing_is_said() -> None:
    back = opened(one_search(), *HERE)
    assert evidence.differences(back, today(moments=[some_findings()[0].moment])) == []


def test_a_file_that_was_edited_by_hand_is_noticed_and_one_laid_out_anew_is_not() -> None:
    edited = one_search().replace(b'"score": 0.5', b'"score": 0.9')
    (note,) = evidence.differences(opened(edited, *HERE), today())
    assert UNTOUCHED in note
    laid_out = json.dumps(json.loads(one_search()), indent=8, sort_keys=True).encode()
    assert evidence.differences(opened(laid_out, *HERE), today()) == []


def test_videos_that_are_gone_are_named() -> None:
    (note,) = evidence.differences(opened(one_search(), HERE[0]), today())
    assert note == "A video is no longer in the library: “Ähnlich”."
    (note,) = evidence.differences(opened(one_search()), today(segment_ids=set()))
    assert note == "2 videos are no longer in the library: “A film”, “Ähnlich”."


def test_of_many_videos_that_are_gone_the_first_are_named() -> None:
    many = [finding(film(str(n), title=f"Film {n}"), 1.0, 2.0, rank=n + 1) for n in range(8)]
    (note,) = evidence.differences(opened(exported(many)), today())
    assert note.endswith("“Film 4” and 3 more.")


def test_another_model_is_named() -> None:
    (note,) = evidence.differences(opened(one_search(), *HERE), today(model="m-2", dimension=9))
    assert note == (
        "The model is another: m-1 (local, 512 dimensions) found these moments, this library uses "
        "m-2 (local, 9 dimensions)."
    )


def test_segments_that_are_no_longer_there_are_counted() -> None:
    (note,) = evidence.differences(opened(one_search(), *HERE), today(segment_ids=set()))
    assert note.startswith("3 segments of these are no longer in the library")
    assert note.endswith("“A film”, “Ähnlich”.")


def test_new_moments_are_those_of_videos_that_came_later() -> None:
    new = finding(film("new", title="New film"), 83.0, 90.0).moment
    known = finding(FILM, 500.0, 505.0).moment  # was there and was not chosen
    back = opened(one_search(), *HERE)
    (note,) = evidence.differences(back, today(moments=[new, known]))
    assert note == (
        "The same search finds a new moment today, in a video added since: “New film at 1:23”."
    )


def test_several_searches_are_said_and_so_is_why_one_was_not_made_again() -> None:
    (note,) = evidence.differences(opened(exported(), *HERE), today())
    assert note == "2 searches found these moments; the first of them is shown."
    (note,) = evidence.differences(opened(one_search(), *HERE), today(reason="It rains."))
    assert note == "It rains."
