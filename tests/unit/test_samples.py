"""The sample library keeps what it promises: licences, formats, sizes, labels."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from core.media import frame_at, probe
from core.models import MediaInfo
from samples import FOLDER, Answer, Label, Sample, labels, sample_sources, suggested_queries
from samples.evaluate import evaluate, loaded_library, moments_of
from samples.films import sound
from samples.films.film import Film, in_turn, write_film
from samples.films.paint import FRAMES_PER_SECOND, Canvas, Scene, vertical
from samples.make import FILMS, make

SHAREABLE = {"Apache-2.0", "CC BY 2.5", "CC BY 3.0", "CC0", "ISC", "MIT", "Public domain"}

each_sample = pytest.mark.parametrize("sample", sample_sources(), ids=lambda s: s.path.name)
each_label = pytest.mark.parametrize("label", labels(), ids=lambda label: label.query)


@cache
def media_info(path: Path) -> MediaInfo:
    return probe(path)


def test_every_film_of_the_folder_is_listed_and_credited_exactly_once() -> None:
    films = sorted(path.name for path in FOLDER.glob("*.mp4"))
    for name in ("library.json", "CREDITS.json"):
        entries = json.loads((FOLDER / name).read_text(encoding="utf-8"))
        assert sorted(entry["file"] for entry in entries) == films


def test_our_own_films_are_the_ones_that_make_draws() -> None:
    own = {s.path.name for s in sample_sources() if s.credit.attribution == "Seekpoint"}
    assert own == {film.file for film in FILMS}


@each_sample
def test_a_credit_names_source_version_licence_attribution_edit_and_checksum(
    sample: Sample,
) -> None:
    credit = sample.credit
    assert credit.licence in SHAREABLE
    assert all((credit.source, credit.version, credit.attribution, credit.edit))
    assert credit.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()


@each_sample
def test_a_film_plays_in_every_browser_and_is_large_and_long_enough_for_twelve_labs(
    sample: Sample,
) -> None:
    info = media_info(sample.path)
    assert info.codec == "h264"
    assert min(info.width, info.height) >= 360
    assert info.duration >= 4


@each_sample
def test_a_film_has_a_title_of_its_own_and_a_category(sample: Sample) -> None:
    titles = [other.title for other in sample_sources()]
    assert sample.title
    assert sample.category
    assert titles.count(sample.title) == 1


@each_sample
def test_a_player_may_start_at_once_and_seek_quickly(sample: Sample) -> None:
    content = sample.path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(sample.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        keys = [p.pts * stream.time_base for p in container.demux(stream) if p.is_keyframe]
    assert np.diff([float(key) for key in keys]).max(initial=0) <= 2.1


def test_the_library_is_varied_long_enough_mostly_with_sound_and_small() -> None:
    samples = sample_sources()
    infos = [media_info(sample.path) for sample in samples]
    assert len(samples) >= 10
    assert len({sample.category for sample in samples}) >= 5
    assert sum(info.duration for info in infos) >= 4 * 60
    assert sum(info.has_audio for info in infos) > len(infos) / 2
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 15e6


def test_making_keeps_the_films_that_are_there() -> None:
    assert make() == []


@pytest.mark.parametrize("film", FILMS, ids=lambda film: film.file)
def test_a_film_of_our_own_shows_what_the_code_draws(film: Film) -> None:
    second = film.seconds * 0.55
    stored = frame_at(FOLDER / film.file, second)
    number = int(second * FRAMES_PER_SECOND)
    drawn = film.scene()(number / FRAMES_PER_SECOND).image()
    assert np.abs(np.asarray(stored, dtype=float) - np.asarray(drawn)).mean() < 4


def test_two_takes_of_one_scene_are_two_files_of_one_length() -> None:
    first, second = (s for s in sample_sources() if "take" in s.path.name)
    assert first.credit.sha256 != second.credit.sha256
    assert media_info(first.path).duration == pytest.approx(media_info(second.path).duration)


@each_label
def test_a_label_points_into_a_film_of_the_library(label: Label) -> None:
    for answer in label.answers:
        duration = media_info(FOLDER / answer.video).duration
        assert 0 <= answer.start < answer.end <= duration + 0.1


def test_there_are_enough_suggestions_and_enough_labels_to_measure_with() -> None:
    assert len(suggested_queries()) >= 12
    assert len(labels()) >= len(suggested_queries()) + 20
    films = {answer.video for label in labels() for answer in label.answers}
    assert films == {sample.path.name for sample in sample_sources()}


def test_the_suggestions_lead_to_many_different_films() -> None:
    films = {label.answers[0].video for label in labels() if label.suggested}
    assert len(films) >= 8


def test_an_evaluation_counts_ranks_and_misses() -> None:
    def label(query: str, *, suggested: bool) -> Label:
        return Label(query, (Answer("a.mp4", 4, 8),), suggested)

    found = {
        "first": [("a.mp4", 4.0, 8.0)],
        "third": [("b.mp4", 4.0, 8.0), ("a.mp4", 0.0, 4.0), ("a.mp4", 5.9, 9.9)],
        "never": [("a.mp4", 7.0, 11.0)],
    }
    questions = [label(query, suggested=query != "never") for query in found]
    report = evaluate(found.__getitem__, questions)
    assert [row.rank for row in report.rows] == [1, 3, None]
    assert report.suggested_right == 2
    assert report.recall(1) == pytest.approx(1 / 3)
    assert report.recall(3) == pytest.approx(2 / 3)
    assert report.mean_reciprocal_rank == pytest.approx((1 + 1 / 3) / 3)


def test_a_film_is_written_with_picture_and_sound_of_its_length(tmp_path: Path) -> None:
    film = Film("short.mp4", 2, two_colours, lambda: sound.finished(sound.waves(2, 1)))
    write_film(film, tmp_path / film.file)
    info = probe(tmp_path / film.file)
    assert info.duration == pytest.approx(2, abs=0.1)
    assert info.has_audio


def test_a_scene_dissolves_into_the_next() -> None:
    at = two_colours()
    red = [float(at(second).pixels[0, 0, 0]) for second in (0.9, 1.25, 1.9)]
    assert red == pytest.approx([1, 0.5, 0], abs=0.01)


def two_colours() -> Scene:
    return in_turn([lambda: plain("red"), lambda: plain("blue")], each=1)


def plain(colour: str) -> Scene:
    background = vertical((0, colour), (1, colour))
    return lambda _: Canvas(background)


def test_the_built_in_search_answers_the_suggested_queries_within_three_moments() -> None:
    suggested = [label for label in labels() if label.suggested]
    with loaded_library() as library:
        report = evaluate(moments_of(library), suggested)
    assert len(suggested) >= 12
    assert report.suggested_right >= len(suggested) - 2
