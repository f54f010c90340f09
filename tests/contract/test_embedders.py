"""What every embedder must do, asked of each of them in the same words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.embedders import available_embedders, create_embedder
from core.embedders.base import Embedder, Limits, Progress
from core.errors import (
    EmbedderError,
    JobCancelled,
    MediaError,
    RecipeError,
    UnsupportedMedia,
)
from core.models import EmbeddedSegment, MediaInfo, Stage, Vector
from core.settings import Settings
from tests.contract.conftest import KEY, Recorder, encoded
from tests.contract.standin import StandIn
from tests.web import Page, Web

SEGMENT_SEC = 5
HALF_MINUTE = MediaInfo(30.0, 640, 360, has_audio=True, codec="h264")
SILENT = MediaInfo(8.0, 640, 360, has_audio=False, codec="h264")

Make = Callable[..., Embedder]


@pytest.fixture(params=["marengo3.5", "marengo3.0", "local"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes the embedder under test, from settings alone as the app does."""
    with StandIn(key=KEY, polls_needed=0, allow_private_media=True) as service:

        def made(**changes: Any) -> Embedder:
            remote = request.param != "local"
            named: dict[str, Any] = {"twelvelabs_model": request.param} if remote else {}
            settings = Settings(
                embedder="twelvelabs" if remote else "local",
                twelvelabs_api_key=KEY,
                twelvelabs_base_url=service.url,
                data_dir=tmp_path,
                segment_sec=SEGMENT_SEC,
                **(named | changes),
            )
            return create_embedder(settings.embedder, settings)

        yield made


@pytest.fixture
def embedder(make: Make) -> Embedder:
    return make()


def segments_of(
    embedder: Embedder,
    source: str | Path,
    info: MediaInfo | None,
    *,
    resume: dict[str, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[EmbeddedSegment]:
    return embedder.embed_video(source, info=info, resume=resume or {}, on_progress=on_progress)


def assert_unit(vector: Vector, embedder: Embedder) -> None:
    assert vector.shape == (embedder.dimension,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("start", "end"),
    [(5.0, 2.0), (3.0, 3.0), (-1.0, 2.0), (float("nan"), 2.0), (float("inf"), None)],
)
def test_a_stretch_without_length_is_a_recipe_error(
    embedder: Embedder, half_minute: Path, start: float, end: float | None
) -> None:
    with pytest.raises(RecipeError, match="There is nothing between"):
        embedder.embed_clip(half_minute, start, end)


def test_a_sign_of_life_is_asked_for_without_an_error_or_a_price(embedder: Embedder) -> None:
    embedder.check()


def test_it_says_what_it_is(embedder: Embedder) -> None:
    assert embedder.name in available_embedders()
    assert embedder.model
    assert embedder.dimension > 0
    assert embedder.options[0] == "visual"
    assert isinstance(embedder.limits, Limits)
    assert isinstance(embedder.limits_text, str)
    assert isinstance(embedder.explains, bool)
    assert embedder.remote is (embedder.name != "local")


# Queries


def test_a_text_is_a_unit_vector(embedder: Embedder) -> None:
    assert_unit(embedder.embed_text("a dog on the beach"), embedder)


def test_the_same_text_is_the_same_vector_also_tomorrow(make: Make) -> None:
    first, second = make().embed_text("a dog"), make().embed_text("  a dog ")
    assert np.allclose(first, second, atol=1e-6)


def test_different_texts_are_different_vectors(embedder: Embedder) -> None:
    assert embedder.embed_text("a dog") @ embedder.embed_text("a city at night") < 0.95


def test_a_picture_is_a_unit_vector_whatever_it_comes_in(
    embedder: Embedder, picture: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture)
    from_bytes, from_file = embedder.embed_image(picture), embedder.embed_image(path)
    assert_unit(from_bytes, embedder)
    assert np.allclose(from_bytes, from_file, atol=1e-6)


def test_a_picture_may_come_from_the_web(make: Make, web: Web, picture: bytes) -> None:
    url = web.put("/picture.jpg", Page(picture, kind="image/jpeg"))
    embedder = make(allow_private_urls=True)
    assert_unit(embedder.embed_image(url), embedder)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_pictures_of_other_kinds_are_taken(embedder: Embedder, kind: str) -> None:
    assert_unit(embedder.embed_image(encoded((300, 200), kind)), embedder)


def test_a_text_beside_a_picture_counts(embedder: Embedder, picture: bytes) -> None:
    alone = embedder.embed_image(picture)
    together = embedder.embed_image(picture, "a dog on the beach")
    assert_unit(together, embedder)
    assert alone @ together < 0.999


def test_a_clip_is_a_unit_vector_whatever_it_comes_in(embedder: Embedder, silent: Path) -> None:
    from_file, from_bytes = embedder.embed_clip(silent), embedder.embed_clip(silent.read_bytes())
    assert_unit(from_file, embedder)
    assert np.allclose(from_file, from_bytes, atol=1e-5)


def test_a_stretch_of_a_clip_is_a_unit_vector(embedder: Embedder, half_minute: Path) -> None:
    assert_unit(embedder.embed_clip(half_minute, 4.0, 9.5), embedder)
    assert_unit(embedder.embed_clip(half_minute.read_bytes(), start=20.0), embedder)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_stretch_of_a_clip_may_come_from_the_web(
    make: Make, web: Web, silent: Path, ranges: bool
) -> None:
    url = web.put("/clip.mp4", Page(silent.read_bytes(), ranges=ranges))
    embedder = make(allow_private_urls=True)
    assert_unit(embedder.embed_clip(url, 2.0, 6.0), embedder)


# Videos


def test_the_segments_of_a_video_are_in_order_and_cover_it(
    embedder: Embedder, half_minute: Path
) -> None:
    segments = segments_of(embedder, half_minute, HALF_MINUTE)
    starts = [segment.start_offset_sec for segment in segments]
    assert starts == sorted(starts)
    assert {segment.embedding_option for segment in segments} == set(embedder.options)
    for option in embedder.options:
        mine = [segment for segment in segments if segment.embedding_option == option]
        assert mine[0].start_offset_sec == 0.0
        assert mine[-1].end_offset_sec == pytest.approx(30.0, abs=0.1)
        for before, after in itertools.pairwise(mine):
            assert before.end_offset_sec == pytest.approx(after.start_offset_sec)
            assert after.end_offset_sec - after.start_offset_sec <= SEGMENT_SEC + 0.1
    for segment in segments:
        assert_unit(segment.vector, embedder)
        assert segment.embedding_scope == "clip"


def test_the_same_video_is_the_same_vectors(make: Make, silent: Path) -> None:
    first, second = segments_of(make(), silent, SILENT), segments_of(make(), silent, None)
    assert [s.start_offset_sec for s in first] == [s.start_offset_sec for s in second]
    for one, other in zip(first, second, strict=True):
        assert one.end_offset_sec == pytest.approx(other.end_offset_sec, abs=0.1)
        assert np.allclose(one.vector, other.vector, atol=1e-4)


def test_a_silent_video_has_only_pictures(embedder: Embedder, silent: Path) -> None:
    for info in (SILENT, None):
        segments = segments_of(embedder, silent, info)
        assert {segment.embedding_option for segment in segments} == {"visual"}


def test_a_video_may_come_from_the_web(make: Make, web: Web, silent: Path) -> None:
    url = web.put("/quiet-lake.mp4", Page(silent.read_bytes()))
    embedder = make(allow_private_urls=True)
    info = HALF_MINUTE if embedder.remote else SILENT
    assert segments_of(embedder, url, info)[0].start_offset_sec == 0.0


def test_progress_is_told_in_known_stages(
    embedder: Embedder, silent: Path, progress: Recorder
) -> None:
    segments_of(embedder, silent, SILENT, on_progress=progress)
    assert progress.seen
    assert {p.stage for p in progress.seen} <= {Stage.UPLOADING, Stage.WAITING, Stage.EMBEDDING}
    for seen in progress.seen:
        assert seen.fraction is None or 0.0 <= seen.fraction <= 1.0
        assert all(isinstance(value, str) for value in seen.checkpoint.values())


def test_any_report_of_progress_may_end_the_work(embedder: Embedder, silent: Path) -> None:
    def cancel(_: Progress) -> None:
        raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        segments_of(embedder, silent, SILENT, on_progress=cancel)


def test_work_that_stopped_anywhere_can_be_resumed(make: Make, silent: Path) -> None:
    whole = Recorder()
    expected = segments_of(make(), silent, SILENT, on_progress=whole)
    checkpoints = {tuple(sorted(seen.checkpoint.items())) for seen in whole.seen}
    for checkpoint in checkpoints:
        resumed = segments_of(make(), silent, SILENT, resume=dict(checkpoint))
        assert len(resumed) == len(expected)


def test_an_explanation_is_words_or_nothing(embedder: Embedder) -> None:
    vector = embedder.embed_text("a dog")
    assert isinstance(embedder.explain(vector, vector), str)


# Refusals


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_an_empty_text_is_refused(embedder: Embedder, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        embedder.embed_text(text)
    assert caught.value.hint


def test_a_text_that_is_far_too_long_is_refused(embedder: Embedder) -> None:
    with pytest.raises((RecipeError, UnsupportedMedia)) as caught:
        embedder.embed_text("horse " * 3000)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff broken", b"<svg/>"])
def test_what_is_no_picture_is_refused(embedder: Embedder, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(MediaError):
            embedder.embed_image(source)


@pytest.mark.parametrize("content", [b"", b"no clip", b"\0\0\0\x18ftypmp42" + bytes(500)])
def test_what_is_no_clip_is_refused(embedder: Embedder, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(MediaError):
            embedder.embed_clip(source)


def test_a_missing_file_is_named(embedder: Embedder, tmp_path: Path) -> None:
    lost = tmp_path / "lost.mp4"
    with pytest.raises(MediaError, match=r"lost\.mp4"):
        embedder.embed_clip(lost)
    with pytest.raises(MediaError, match=r"lost\.mp4"):
        segments_of(embedder, lost, None)
    with pytest.raises(MediaError, match=r"lost\.jpg"):
        embedder.embed_image(tmp_path / "lost.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "http://127.0.0.1/a.mp4",
        "http://169.254.169.254/a.mp4",
        "http://localhost/a.mp4",
        "ftp://example.com/a.mp4",
        "not an address",
    ],
)
def test_forbidden_addresses_are_refused_everywhere(embedder: Embedder, url: str) -> None:
    with pytest.raises(MediaError):
        embedder.embed_image(url)
    with pytest.raises(MediaError):
        embedder.embed_clip(url)
    with pytest.raises(MediaError):
        embedder.embed_clip(url, 1.0, 2.0)
    with pytest.raises(MediaError):
        segments_of(embedder, url, None)


def test_a_dead_address_is_an_error_of_the_family(make: Make) -> None:
    embedder = make(allow_private_urls=True)
    url = "http://gone.invalid/a.mp4"
    with pytest.raises((MediaError, EmbedderError)):
        embedder.embed_image(url)
    with pytest.raises((MediaError, EmbedderError)):
        embedder.embed_clip(url, 1.0, 2.0)
    with pytest.raises((MediaError, EmbedderError)):
        segments_of(embedder, url, None)
