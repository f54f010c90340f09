from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.embedders import create_embedder, local
from core.embedders.base import Progress
from core.embedders.local import DATA, LocalEmbedder
from core.errors import ConfigurationError, JobCancelled, MediaError, RecipeError
from core.models import Stage, Vector
from core.settings import Settings
from tests.media import Picture, make_video, solid
from tests.web import Page, Web


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> LocalEmbedder:
    data_dir = tmp_path_factory.mktemp("data")
    return LocalEmbedder(Settings(data_dir=data_dir, allow_private_urls=True))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", seconds=9, size=(320, 180))


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def spot(colour: str) -> bytes:
    """A coloured disc on a plain ground."""
    picture = Image.new("RGB", (320, 180), (235, 235, 235))
    ImageDraw.Draw(picture).ellipse((100, 30, 220, 150), fill=colour)
    return png(picture)


def ramps() -> Image.Image:
    """A picture that is the same everywhere, drawn from numbers."""
    y, x = np.mgrid[0:90, 0:160]
    channels = [x * 255 // 159, y * 255 // 89, (x + y) * 255 // 248]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def ignore(progress: Progress) -> None:
    assert progress.fraction is None or 0 <= progress.fraction <= 1


def vectors(embedder: LocalEmbedder, path: Path) -> list[Vector]:
    segments = embedder.embed_video(path, info=None, resume={}, on_progress=ignore)
    return [segment.vector for segment in segments]


def test_the_files_it_carries_are_exactly_those_of_the_checksum_list() -> None:
    listed = dict(
        reversed(line.split("  ")) for line in (DATA / "SHA256SUMS").read_text().splitlines()
    )
    carried = {path.name for path in DATA.iterdir() if path.is_file()}
    assert carried == {*listed, "SHA256SUMS"}
    for name, expected in listed.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == expected, name


def test_the_bridge_file_is_the_one_the_concepts_were_built_from() -> None:
    lines = (DATA / "concepts.txt").read_text(encoding="utf-8").splitlines()
    with np.load(DATA / "concepts.npz") as table:
        names = str(table["names"]).split("\n")
        built = [{names[i] for i in np.flatnonzero(row)} for row in table["spread"]]
    assert built == [set(line.partition("|")[2].split(";")) for line in lines]


def test_it_is_made_by_name_and_describes_itself(tmp_path: Path) -> None:
    embedder = create_embedder("local", Settings(data_dir=tmp_path))
    assert (embedder.name, embedder.model, embedder.dimension) == ("local", "concepts-v1", 1000)
    assert embedder.options == ("visual",)
    assert not embedder.remote
    assert "English only" in embedder.limits_text


def test_the_picture_side_gives_the_numbers_that_were_measured() -> None:
    model = local._Model(DATA)
    seen = model.look([local._Views.of(ramps())])[0]
    classes = seen[:1000] / np.linalg.norm(seen[:1000])
    assert np.argsort(-classes)[:4].tolist() == [782, 818, 499, 149]
    expected = [0.11812, 0.10815, 0.10669, 0.10544]
    assert classes[[782, 818, 499, 149]] == pytest.approx(expected, abs=2e-4)


def test_the_text_side_gives_the_numbers_that_were_measured() -> None:
    model = local._Model(DATA)
    expected = [-0.070284, 0.035509, 0.165614, 0.113417]
    assert model.words.vectors(["A párrot"])[0, :4] == pytest.approx(expected, abs=1e-5)
    meaning = model.meaning("kitchen")
    assert np.argsort(-meaning)[:4].tolist() == [567, 909, 651, 550]
    expected = [0.33455, 0.33415, 0.33387, 0.33378]
    assert meaning[[567, 909, 651, 550]] == pytest.approx(expected, abs=1e-3)


def test_missing_files_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="files are missing"):
        local._Model.load(tmp_path)


def test_every_vector_is_unit_length(embedder: LocalEmbedder, film: Path) -> None:
    found = [
        embedder.embed_text("a dog in the snow"),
        embedder.embed_text("red"),
        embedder.embed_image(spot("red")),
        embedder.embed_image(spot("red"), "a ball"),
        embedder.embed_clip(film, 1.0, 3.0),
        *vectors(embedder, film),
    ]
    for vector in found:
        assert (vector.shape, vector.dtype) == ((1000,), np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_same_file_gives_the_same_bits(embedder: LocalEmbedder, film: Path) -> None:
    again = LocalEmbedder(Settings(data_dir=film.parent))
    first, second = vectors(embedder, film), vectors(again, film)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "purple", "black"])
def test_a_colour_word_finds_the_picture_of_that_colour(
    embedder: LocalEmbedder, colour: str
) -> None:
    colours = ["red", "green", "blue", "yellow", "purple", "black"]
    pictures = np.stack([embedder.embed_image(spot(name)) for name in colours])
    scores = pictures @ embedder.embed_text(f"a {colour} circle")
    assert colours[int(scores.argmax())] == colour


def test_colours_leave_a_text_without_colour_words_alone(embedder: LocalEmbedder) -> None:
    model = local._model()
    query = embedder.embed_text("a sports car on a road")
    assert model._quiet @ query == pytest.approx(np.zeros(11), abs=1e-6)
    # A picture's colour part is as long whatever its colours, so it cannot change an order.
    lengths = [np.linalg.norm(model._quiet @ embedder.embed_image(spot(c))) for c in ("red", "tan")]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "clip"),
    [
        ("skyscrapers at night", "city_night"),
        ("rocket launch", "rocket"),
        ("robot", "robot_arm"),
        ("tree with green leaves", "tree"),
    ],
)
def test_words_find_the_right_clip_among_the_samples(
    embedder: LocalEmbedder, project: Path, text: str, clip: str
) -> None:
    clips = ["city_night", "rocket", "robot_arm", "tree", "globe", "coin"]
    seen = np.stack(
        [embedder.embed_clip(project / "samples" / f"{name}.mp4", 4, 8) for name in clips]
    )
    assert clips[int((seen @ embedder.embed_text(text)).argmax())] == clip


def test_a_picture_finds_the_moment_it_was_taken_from(
    embedder: LocalEmbedder, project: Path
) -> None:
    clip = project / "samples" / "rocket.mp4"
    frame = local.media.frame_at(clip, 6.0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scores = np.stack(vectors(embedder, clip)) @ embedder.embed_image(png(frame))
    assert int(scores.argmax()) == 1


def test_segments_are_equal_and_cover_the_video(embedder: LocalEmbedder, film: Path) -> None:
    segments = embedder.embed_video(film, info=None, resume={}, on_progress=ignore)
    assert len(segments) == 2
    assert segments[0].start_offset_sec == 0
    assert segments[0].end_offset_sec == segments[1].start_offset_sec == pytest.approx(4.5, abs=0.1)
    assert segments[1].end_offset_sec == pytest.approx(9, abs=0.1)
    assert {(s.embedding_scope, s.embedding_option) for s in segments} == {("clip", "visual")}


def test_each_segment_is_the_mean_of_its_own_stretch(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    def red_then_blue(second: float) -> Picture:
        return solid((320, 180), (255, 0, 0) if second < 4 else (0, 0, 255))

    path = make_video(tmp_path / "v.mp4", seconds=8, size=(320, 180), frame=red_then_blue)
    first, second = vectors(embedder, path)
    assert first @ embedder.embed_clip(path, 0, 4) == pytest.approx(1, abs=1e-4)
    assert second @ embedder.embed_clip(path, 4, 8) == pytest.approx(1, abs=1e-4)
    assert embedder.explain(embedder.embed_text("red"), first).endswith("red")


def test_silent_upright_and_one_frame_videos_have_segments(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    silent = make_video(tmp_path / "a.mp4", seconds=2, size=(320, 180), audio=False)
    upright = make_video(tmp_path / "b.mp4", seconds=2, size=(320, 180), rotation=90)
    one_frame = make_video(tmp_path / "c.mp4", seconds=0.04, size=(320, 180), audio=False)
    for path in (silent, upright, one_frame):
        assert len(vectors(embedder, path)) == 1


def test_a_video_that_stands_still_fills_all_its_segments(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    # One frame a 10 seconds, so that most segments see no new one.
    path = tmp_path / "slides.mp4"
    with local.media.av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index, colour in enumerate([(255, 0, 0), (0, 0, 255), (0, 255, 0)]):
            frame = local.media.av.VideoFrame.from_ndarray(solid((320, 180), colour))
            frame.pts = index * 10
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    found = vectors(embedder, path)
    assert len(found) >= 5
    assert found[1] @ found[0] == pytest.approx(1, abs=1e-5)
    assert found[-1] @ found[0] < 0.9


def test_progress_goes_up_and_speaks_of_every_second(embedder: LocalEmbedder, film: Path) -> None:
    heard: list[Progress] = []
    embedder.embed_video(film, info=None, resume={}, on_progress=heard.append)
    fractions = [progress.fraction or 0.0 for progress in heard]
    assert fractions == sorted(fractions)
    assert len(fractions) >= 9
    assert {progress.stage for progress in heard} == {Stage.EMBEDDING}


def test_what_on_progress_raises_ends_the_work(embedder: LocalEmbedder, film: Path) -> None:
    heard: list[Progress] = []

    def cancel(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 3:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embedder.embed_video(film, info=None, resume={}, on_progress=cancel)
    assert len(heard) == 3


def test_a_video_behind_an_address_is_fetched_and_not_kept(
    film: Path, tmp_path: Path, web: Web
) -> None:
    address = web.put("/film.mp4", Page(film.read_bytes()))
    embedder = LocalEmbedder(Settings(data_dir=tmp_path, allow_private_urls=True))
    heard: list[Progress] = []
    segments = embedder.embed_video(address, info=None, resume={}, on_progress=heard.append)
    assert np.array_equal(segments[0].vector, vectors(embedder, film)[0])
    assert heard[0].stage == Stage.UPLOADING
    assert heard[-1].stage == Stage.EMBEDDING
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_clip_in_memory_is_as_good_as_a_file(embedder: LocalEmbedder, film: Path) -> None:
    assert np.array_equal(embedder.embed_clip(film.read_bytes()), embedder.embed_clip(film))


def test_a_picture_with_words_lies_between_the_two(embedder: LocalEmbedder) -> None:
    picture, words = embedder.embed_image(spot("green")), embedder.embed_text("fire engine")
    both = embedder.embed_image(spot("green"), "fire engine")
    assert both @ picture > words @ picture
    assert both @ words > words @ picture


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_no_text_is_refused(embedder: LocalEmbedder, text: str) -> None:
    with pytest.raises(RecipeError, match="nothing to search for"):
        embedder.embed_text(text)


@pytest.mark.parametrize("text", ["犬が走る", "🐶🐶", "!!! …", "собака"])
def test_a_text_without_english_words_says_so(embedder: LocalEmbedder, text: str) -> None:
    with pytest.raises(RecipeError, match="English words only"):
        embedder.embed_text(text)


def test_a_text_far_too_long_is_refused(embedder: LocalEmbedder) -> None:
    with pytest.raises(RecipeError, match="256 is the most"):
        embedder.embed_text("word " * 300)


def test_what_is_no_media_is_a_media_error(embedder: LocalEmbedder, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        embedder.embed_image(b"no picture")
    with pytest.raises(MediaError):
        embedder.embed_clip(b"no clip")
    with pytest.raises(MediaError):
        embedder.embed_video(tmp_path / "gone.mp4", info=None, resume={}, on_progress=ignore)


def test_the_explanation_names_what_both_share(embedder: LocalEmbedder, project: Path) -> None:
    night = embedder.embed_clip(project / "samples" / "city_night.mp4")
    line = embedder.explain(embedder.embed_text("blue buildings at night"), night)
    assert line.endswith("blue")
    assert 1 <= line.count(",") <= 2
    assert "_" not in line
    assert embedder.explain(night, night)


def test_the_explanation_falls_back_to_what_the_segment_shows(embedder: LocalEmbedder) -> None:
    ball = embedder.embed_image(spot("red"))
    assert embedder.explain(-ball, ball)
