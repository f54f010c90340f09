from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import Library, Limits, Settings, Stage, media, open_library
from core.intake import default_title, is_url, normal_source, video_id_of_content, video_id_of_url
from tests.media import make_video


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("/a/my_holiday_2.mp4", "my holiday 2"),
        ("/a/赤い車.mp4", "赤い車"),
        ("https://a.example/x/A%20cat.mp4?sig=1", "A cat"),
        ("https://a.example/", "https://a.example/"),
    ],
)
def test_a_title_is_made_from_the_name(source: str, title: str) -> None:
    assert default_title(source) == title


def test_an_address_is_told_from_a_path() -> None:
    assert is_url("https://a.example/v.mp4")
    assert not is_url("/a/v.mp4")
    assert not is_url(Path("https://a.example/v.mp4"))


def test_one_source_has_one_spelling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    wanted = str(tmp_path / "v.mp4")
    assert [normal_source(s) for s in ("~/v.mp4", "v.mp4", "./a/../v.mp4", wanted)] == [wanted] * 4
    assert normal_source(" https://a.example/v.mp4\n") == "https://a.example/v.mp4"


def test_links_that_go_in_circles_are_a_path_like_any_other(tmp_path: Path) -> None:
    circle = tmp_path / "circle.mp4"
    circle.symlink_to(circle)
    assert normal_source(circle) == str(circle)


def test_the_id_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"other")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (video_id_of_content(media.content_hash(tmp_path / name)) for name in "abc")
    assert a == b != c


def test_the_id_of_an_address_is_that_of_its_canonical_form() -> None:
    first = video_id_of_url("https://A.example:443/v.mp4#t=3")
    assert first == video_id_of_url("https://a.example/v.mp4")
    assert first != video_id_of_url("https://a.example/w.mp4")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with open_library(Settings(data_dir=tmp_path_factory.mktemp("ingest"))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(video_min_sec=4), "lasts 1.0 s; {model} needs at least 4 s."),
        (Limits(video_max_sec=0.5), "{model} takes at most"),
        (Limits(video_min_side=360), "is 64 x 48; {model} needs at least 360 pixels"),
    ],
)
def test_a_video_beyond_the_embedders_limits_fails_before_it_is_sent(
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: Limits,
    problem: str,
) -> None:
    monkeypatch.setattr(library.embedder, "limits", replace(limits, parallel_videos=1))
    video = make_video(tmp_path / "v.mp4", seconds=1, size=(64, 48), audio=False)
    (job,) = library.wait(library.add([video]), timeout=30)
    assert job.stage is Stage.FAILED
    assert problem.format(model=library.embedder.model) in job.error
    assert job.hint
    assert library.videos() == []
