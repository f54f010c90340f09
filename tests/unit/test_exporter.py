"""Findings leave a real library as files, and come back to it."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import opentimelineio as otio
import pandas as pd
import pytest

from core import (
    EvidenceError,
    Filters,
    Library,
    MediaError,
    Part,
    Recipe,
    SearchResult,
    Settings,
    Stage,
    open_library,
)
from core.cutting import PROBLEMS
from core.timecode import frame_range, timecodes
from tests.counted_film import frame_numbers, make_counted_film
from tests.media import make_video, solid
from tests.web import Page, Web

SIZE = (320, 180)
RED, BLUE, GREEN = (220, 20, 20), (20, 40, 220), (20, 170, 40)
NTSC = Fraction(30_000, 1001)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films that no test changes."""
    folder = tmp_path_factory.mktemp("films")
    for name, colour in (("red", RED), ("blue", BLUE), ("green", GREEN)):
        make_video(
            folder / f"{name}.mp4", seconds=5, size=SIZE, frame=lambda _, c=colour: solid(SIZE, c)
        )
    make_counted_film(folder / "counted.mp4", NTSC, frames=300, gop=300)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", allow_private_urls=True)


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with open_library(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, films: Path) -> Iterator[Library]:
    """A library of all the films that no test changes."""
    with open_library(Settings(data_dir=tmp_path_factory.mktemp("shared"))) as opened:
        add(opened, *films.glob("*.mp4"))
        yield opened


def add(library: Library, *sources: str | Path, category: str = "") -> None:
    jobs = library.wait(library.add(sources, category=category), timeout=60)
    assert [(job.stage, job.error) for job in jobs] == [(Stage.READY, "")] * len(sources)


def shown(result: SearchResult) -> list[tuple[str, float, float, float, int]]:
    """Ids, offsets, scores and ranks, in their order."""
    return [
        (
            moment.best.segment.id,
            moment.start_offset_sec,
            moment.end_offset_sec,
            moment.score,
            moment.rank,
        )
        for moment in result.moments
    ]


# Every format


def test_a_video_knows_its_exact_rate_and_the_hash_of_its_content(shared: Library) -> None:
    video = next(video for video in shared.videos() if video.title == "counted")
    assert video.frame_rate == NTSC
    assert re.fullmatch(r"[0-9a-f]{64}", video.sha256)
    assert video.sha256.startswith(video.id)


def test_every_format_holds_the_moments_of_an_answer(shared: Library) -> None:
    result = shared.search("red")
    table = pd.read_csv(BytesIO(shared.export(result, "csv")))
    assert table["start_offset_sec"].tolist() == [m.start_offset_sec for m in result.moments]
    assert table["start_timecode"].tolist() == [
        timecodes(m.start_offset_sec, m.end_offset_sec, m.video.frame_rate)[0]
        for m in result.moments
    ]
    moments = json.loads(shared.export(result, "json"))["content"]["findings"]["moments"]
    assert [m["moment"]["score"] for m in moments] == [m.score for m in result.moments]
    clips = otio.adapters.read_from_string(shared.export(result, "otio").decode(), "otio_json")
    assert [clip.name for clip in clips.find_clips()] == [m.video.title for m in result.moments]
    assert shared.export(result, "edl").decode().count("FROM CLIP NAME") == len(result.moments)
    page = shared.export(result, "html").decode()
    assert page.count("<article>") == page.count("data:image/jpeg;base64,") == len(result.moments)


def test_chosen_moments_leave_with_what_their_scores_mean(shared: Library) -> None:
    result = shared.search("red")
    chosen = [moment.best.segment.id for moment in result.moments[:2]]
    findings = shared.findings(result, shared.calibrate(result), only=chosen)
    assert [finding.moment.best.segment.id for finding in findings] == chosen
    assert shared.findings(shared.search("red"), only=chosen)[0].id == findings[0].id
    table = pd.read_csv(BytesIO(shared.export(findings, "csv")), keep_default_na=False)
    levels = ["" if f.relevance is None else f.relevance.level for f in findings]
    assert table["relevance"].tolist() == levels


def test_a_sheet_escapes_what_it_shows_and_loads_nothing(library: Library, films: Path) -> None:
    title = '<img src="https://a.example/x.png" onerror=alert(1)> & "quotes"'
    library.wait(library.add([films / "red.mp4"], titles=[title]), timeout=60)
    page = library.export(library.search("red"), "html").decode()
    assert "&lt;img src=&quot;https://a.example/x.png&quot;" in page
    assert "default-src 'none'" in page
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', page) == []
    assert "Moments for “red”" in page


def test_a_question_with_a_picture_is_named_in_a_table_and_not_written_out(shared: Library) -> None:
    picture = shared.frame(shared.videos()[0].id, 1.0)
    result = shared.search(Recipe((Part.image(picture),)))
    (row,) = pd.read_csv(BytesIO(shared.export(result, "csv")))["recipe"].tolist()[:1]
    assert len(row) < 300


# Rates that are not on record


def forget_rates(settings: Settings) -> None:
    with sqlite3.connect(settings.data_dir / "seekpoint.db") as database:
        assert database.execute("UPDATE videos SET frame_rate = NULL").rowcount > 0


def timecodes_in(library: Library) -> list[str]:
    table = library.export(library.search("red"), "csv")
    return pd.read_csv(BytesIO(table), keep_default_na=False)["start_timecode"].tolist()


def test_a_rate_that_is_not_on_record_is_read_when_it_is_needed_and_kept(
    settings: Settings, films: Path, web: Web
) -> None:
    address = web.put("/red.mp4", Page((films / "red.mp4").read_bytes()))
    with open_library(settings) as library:
        add(library, films / "counted.mp4", address)
    forget_rates(settings)
    with open_library(settings) as library:
        version = library.version
        found = timecodes_in(library)
        assert all(found)
        assert library.version == version
    web.pages.clear()
    with open_library(settings) as library:
        assert {video.frame_rate for video in library.videos()} == {NTSC, Fraction(25)}
        assert timecodes_in(library) == found


def test_a_host_that_does_not_answer_holds_an_export_up_for_a_moment_only(
    settings: Settings, films: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.frame_rates._PATIENCE_SEC", 0.3)
    address = web.put("/red.mp4", Page((films / "red.mp4").read_bytes()))
    with open_library(settings) as library:
        add(library, address)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with sqlite3.connect(settings.data_dir / "seekpoint.db") as database:
            database.execute(
                "UPDATE videos SET frame_rate = NULL, video_url = ?",
                (f"http://127.0.0.1:{port}/red.mp4",),
            )
        with open_library(settings) as library:
            result = library.search("red")
            begun = time.monotonic()
            table = pd.read_csv(BytesIO(library.export(result, "csv")), keep_default_na=False)
            assert time.monotonic() - begun < 5
            assert set(table["start_timecode"]) == {""}


# Evidence


def test_evidence_opens_after_a_restart_with_the_same_ids_order_and_scores(
    settings: Settings, films: Path
) -> None:
    with open_library(settings) as library:
        add(library, *films.glob("*.mp4"), category="films")
        questions = [
            (Recipe.parse("red -blue"), Filters(categories=("films",))),
            (Recipe.parse("red then red within 60 s"), Filters(min_score=0.01)),
            (Recipe((Part.image(library.frame(library.videos()[0].id, 1.0)),)), Filters()),
        ]
        results = [library.search(recipe, filters=filters) for recipe, filters in questions]
        files = [library.export(result, "json") for result in results]
    with open_library(settings) as library:
        for result, file in zip(results, files, strict=True):
            back = library.load(file)
            assert shown(back) == shown(result)
            assert [hit.segment for hit in back.hits] == [hit.segment for hit in result.hits]
            assert (back.filters, back.model) == (result.filters, result.model)
            assert back.notes == ()
            assert shown(library.search(back.recipe, filters=back.filters)) == shown(result)


def test_evidence_says_which_video_was_removed_and_shows_the_same_all_the_same(
    settings: Settings, films: Path
) -> None:
    with open_library(settings) as library:
        add(library, *films.glob("*.mp4"))
        result = library.search("red")
        file = library.export(result, "json")
        gone = next(video for video in library.videos() if video.title == "red")
        library.remove(gone.id)
    with open_library(settings) as library:
        back = library.load(file)
        assert shown(back) == shown(result)
        assert back.notes == ("A video is no longer in the library: “red”.",)
        removed = {m.video.title for m in back.moments if m.video.removed}
        assert removed == {"red"}
        assert library.media_file(back.moments[-1].video.id) is not None


def test_evidence_says_what_the_same_search_finds_today(library: Library, films: Path) -> None:
    add(library, films / "blue.mp4")
    file = library.export(library.search("red"), "json")
    add(library, films / "red.mp4")
    (note,) = library.load(file).notes
    assert note.startswith("The same search finds a new moment today, in a video added since: “red")


def test_evidence_of_nothing_says_what_was_asked(library: Library, films: Path) -> None:
    nothing = library.search("red")
    file = library.export(nothing, "json")
    back = library.load(file)
    assert (back.moments, back.recipe, back.filters) == ((), nothing.recipe, nothing.filters)
    add(library, films / "red.mp4")
    assert "new moment today" in library.load(file).notes[0]


def test_evidence_of_another_library_opens_with_its_videos_as_removed(
    library: Library, films: Path, tmp_path: Path
) -> None:
    add(library, films / "red.mp4")
    picture = library.frame(library.videos()[0].id, 1.0)
    result = library.search(Recipe((Part.image(picture),)))
    file = library.export(result, "json")
    with open_library(Settings(data_dir=tmp_path / "other")) as other:
        back = other.load(file)
        assert shown(back) == shown(result)
        assert {moment.video.removed for moment in back.moments} == {True}
        add(other, films / "red.mp4")
        assert shown(other.search(back.recipe)) == shown(result)


def test_a_file_that_is_no_evidence_is_refused(shared: Library) -> None:
    with pytest.raises(EvidenceError):
        shared.load(b"title,score\r\n")


def test_a_search_that_cannot_be_made_again_is_said_and_the_rest_opens(
    library: Library, films: Path
) -> None:
    add(library, films / "red.mp4", films / "blue.mp4")
    red = next(video for video in library.videos() if video.title == "red")
    recipe = Recipe((Part.segment(library.segments(red.id)[0].id),))
    file = library.export(library.search(recipe), "json")
    library.remove(red.id)
    back = library.load(file)
    assert back.notes[0] == "A video is no longer in the library: “red”."
    assert back.notes[1].startswith("What the same search finds today is unknown: The moment this")


# The basket and clips


def test_the_basket_of_a_library_outlives_it_and_leaves_in_every_format(
    settings: Settings, films: Path
) -> None:
    with open_library(settings) as library:
        add(library, *films.glob("*.mp4"))
        library.basket.add(library.findings(library.search("red"))[:2])
        library.basket.add(library.findings(library.search("blue"))[:2])
        library.basket.note(library.basket.items()[0].id, "the best one")
        library.remove(library.videos()[0].id)
    with open_library(settings) as library:
        items = library.basket.items()
        assert items[0].note == "the best one"
        table = pd.read_csv(BytesIO(library.export(items, "csv")), keep_default_na=False)
        assert table["recipe"].tolist() == [item.recipe.to_text() for item in items]
        assert table["note"].tolist() == ["the best one"] + [""] * (len(items) - 1)
        back = library.load(library.export(items, "json"))
        assert [m.best.segment.id for m in back.moments] == [
            item.moment.best.segment.id for item in items
        ]
        for format in ("edl", "otio", "html"):
            assert library.export(items, format)


def test_moments_are_cut_from_files_and_addresses_and_a_removed_file_is_listed(
    library: Library, films: Path, tmp_path: Path, web: Web
) -> None:
    counted = (films / "counted.mp4").read_bytes()
    add(library, web.put("/far.mp4", Page(counted)), films / "red.mp4")
    result = library.search("red")
    findings = library.findings(result)
    far = next(video for video in library.videos() if video.title == "far")
    library.remove(next(video.id for video in library.videos() if video.title == "red"))
    told: list[float] = []
    archive = library.cut_clips(findings, tmp_path / "clips.zip", on_progress=told.append)
    with ZipFile(archive) as zipped:
        zipped.extractall(tmp_path / "out")
        names = zipped.namelist()
    assert told[-1] == 1.0
    assert "no longer in the library" in (tmp_path / "out" / PROBLEMS).read_text()
    wanted = [f.moment for f in findings if f.moment.video.id == far.id]
    clips = [name for name in names if " far " in name]
    assert len(clips) == len(wanted) > 0
    for name, moment in zip(clips, wanted, strict=True):
        first, count = frame_range(moment.start_offset_sec, moment.end_offset_sec, NTSC)
        numbers = frame_numbers(tmp_path / "out" / name)
        assert numbers == list(range(first, min(first + count, 300)))


def test_what_an_evidence_file_calls_a_file_of_this_server_is_not_cut(
    shared: Library, tmp_path: Path
) -> None:
    (finding, *_) = shared.findings(shared.search("red"))
    foreign = replace(finding.moment.video, id="foreign", removed=True)
    foreign_finding = replace(finding, moment=replace(finding.moment, video=foreign))
    archive = shared.cut_clips([foreign_finding], tmp_path / "clips.zip")
    with ZipFile(archive) as zipped:
        assert zipped.namelist() == [PROBLEMS]


def test_a_place_that_cannot_be_written_to_is_a_media_error(shared: Library) -> None:
    with pytest.raises(MediaError):
        shared.cut_clips(shared.findings(shared.search("red")), Path("/proc/none/clips.zip"))
