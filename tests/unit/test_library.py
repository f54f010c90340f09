from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import Filters, Library, Part, Recipe, Settings, Stage, StoreLocked, open_library
from core.errors import ConfigurationError, MediaError, RecipeError
from core.store import VectorStore
from tests.found import alike
from tests.media import Picture, make_video, solid, uploaded
from tests.web import Page, Web

SIZE = (320, 180)
RED, BLUE, GREEN = (220, 20, 20), (20, 40, 220), (20, 170, 40)
TIMEOUT = 60.0


def colours(*shown: tuple[int, int, int]) -> Callable[[float], Picture]:
    """Each colour for four seconds."""
    return lambda second: solid(SIZE, shown[min(int(second // 4), len(shown) - 1)])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small videos that no test changes."""
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "red_then_blue.mp4", seconds=8, size=SIZE, frame=colours(RED, BLUE))
    make_video(folder / "green.mp4", seconds=4, size=SIZE, frame=colours(GREEN))
    make_video(folder / "silent.mp4", seconds=2, size=SIZE, audio=False)
    make_video(folder / "upright.mp4", seconds=2, size=SIZE, rotation=90)
    make_video(folder / "long.mp4", seconds=40, size=SIZE, fps=4, audio=False)
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Iterator[Library]:
    """A library that no test changes: two videos, each in a category of its own."""
    with open_library(Settings(data_dir=tmp_path_factory.mktemp("shared"))) as library:
        library.add([clips / "red_then_blue.mp4"], category="flags")
        library.add([clips / "green.mp4"], category="fields", titles=["A <b>green</b> field"])
        assert [job.stage for job in library.wait(timeout=TIMEOUT)] == [Stage.READY] * 2
        yield library


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with open_library(settings) as opened:
        yield opened


def add(library: Library, *sources: str | Path, category: str = "", title: str = "") -> str:
    """Adds sources, waits until they are ready, and returns the last one's video id."""
    jobs = library.add(sources, category=category, titles=[title] * len(sources))
    done = library.wait(jobs, timeout=TIMEOUT)
    assert [(job.stage, job.error) for job in done] == [(Stage.READY, "")] * len(done)
    return done[-1].video_id


def video_called(library: Library, title: str) -> str:
    return next(video.id for video in library.videos() if video.title == title)


def first(library: Library, recipe: Recipe | str) -> tuple[str, float]:
    """Title and start of the best moment."""
    best = library.search(recipe).moments[0]
    return best.video.title, best.start_offset_sec


def picture(colour: tuple[int, int, int]) -> bytes:
    content = BytesIO()
    Image.fromarray(solid(SIZE, colour)).save(content, "PNG")
    return content.getvalue()


# What is in it


def test_a_video_knows_its_title_size_length_and_segments(shared: Library, clips: Path) -> None:
    video = next(video for video in shared.videos() if video.title == "red then blue")
    assert video.duration == pytest.approx(8, abs=0.1)
    assert (video.width, video.height) == SIZE
    assert video.video_url == (clips / "red_then_blue.mp4").as_uri()
    assert video.model == shared.embedder.model
    segments = shared.segments(video.id)
    assert video.segments == len(segments) >= 2
    assert [s.start_offset_sec for s in segments] == sorted(s.start_offset_sec for s in segments)
    assert segments[-1].end_offset_sec == pytest.approx(8, abs=0.1)


def test_the_newest_video_stands_first(shared: Library) -> None:
    assert [v.title for v in shared.videos()] == ["A <b>green</b> field", "red then blue"]


def test_an_unknown_video_has_nothing(shared: Library) -> None:
    assert shared.segments("unknown") == []
    assert shared.heat("red", "unknown") == []
    assert shared.poster("unknown", 0.0) is None
    assert shared.media_file("unknown") is None


def test_capabilities_tell_what_a_screen_needs(shared: Library) -> None:
    assert shared.capabilities.engine == "lite"
    assert shared.capabilities.embedder == "local"
    assert not shared.capabilities.remote
    assert shared.collection.endswith(f"_{shared.capabilities.dimension}")


# Searching


def test_words_find_the_moment(shared: Library) -> None:
    assert first(shared, "blue") == ("red then blue", 4.0)
    assert first(shared, "green") == ("A <b>green</b> field", 0.0)


def test_a_picture_finds_the_moment(shared: Library, tmp_path: Path) -> None:
    assert first(shared, Recipe((Part.image(picture(BLUE)),))) == ("red then blue", 4.0)
    path = tmp_path / "red.png"
    path.write_bytes(picture(RED))
    assert first(shared, Recipe((Part.image(path),))) == ("red then blue", 0.0)


def test_a_clip_finds_the_moment(shared: Library, clips: Path) -> None:
    clip = Part.video(clips / "red_then_blue.mp4", start=4.5, end=7.5)
    assert first(shared, Recipe((clip,))) == ("red then blue", 4.0)


def test_a_stored_segment_finds_itself_and_an_unknown_one_is_explained(shared: Library) -> None:
    segment = shared.segments(video_called(shared, "red then blue"))[-1]
    result = shared.search(Recipe((Part.segment(segment.id),)))
    assert result.hits[0].segment == segment
    assert result.hits[0].score == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(RecipeError, match="no longer in the library"):
        shared.search(Recipe((Part.segment("unknown:visual:0"),)))


def test_a_part_with_a_negative_weight_keeps_a_moment_away(shared: Library) -> None:
    both = Part.image(picture(RED)), Part.image(picture(GREEN))
    away = replace(both[1], weight=-1.0)
    found = shared.search(Recipe((both[0], away))).moments
    assert found[-1].video.title == "A <b>green</b> field"


def test_filters_leave_out_what_they_name(shared: Library) -> None:
    def titles(**restriction: object) -> set[str]:
        found = shared.search("blue", filters=Filters(**restriction))  # type: ignore[arg-type]
        return {moment.video.title for moment in found.moments}

    flags = video_called(shared, "red then blue")
    assert titles(categories=("flags",)) == {"red then blue"}
    assert titles(video_ids=(flags,)) == {"red then blue"}
    assert titles(categories=("flags",), video_ids=("other",)) == set()
    assert titles(options=("audio",)) == set()


def test_the_same_words_again_are_not_embedded_again(shared: Library) -> None:
    words = "a question nobody asked before"
    assert not shared.search(words).cached
    assert shared.search(words, limit=1).cached


def test_only_what_the_embedder_was_not_asked_for_is_called_cached(shared: Library) -> None:
    segment = shared.segments(video_called(shared, "red then blue"))[0]
    assert shared.search(Recipe((Part.segment(segment.id),))).cached
    unused = Part.text("never embedded, as it weighs nothing", weight=0.0)
    known = Part.text("blue")
    shared.search(Recipe((known,)))
    assert shared.search(Recipe((replace(known, weight=0.5), unused))).cached


def test_a_picture_that_changes_on_disk_is_looked_at_again(shared: Library, tmp_path: Path) -> None:
    path = tmp_path / "query.png"
    for colour, start in ((RED, 0.0), (BLUE, 4.0)):
        path.write_bytes(picture(colour))
        assert first(shared, Recipe((Part.image(path),))) == ("red then blue", start)


def test_a_picture_asked_with_is_not_kept_in_memory(shared: Library) -> None:
    content = picture(GREEN) + bytes(100_000)
    shared.search(Recipe((Part.image(content),)))
    assert shared.search(Recipe((Part.image(bytes(bytearray(content))),))).cached
    gc.collect()
    holders = sys.getrefcount(content) - 1  # without the call itself
    assert holders == 1


def test_pages_follow_each_other(shared: Library) -> None:
    whole = shared.search("blue", limit=10).moments
    assert len(whole) >= 3
    assert shared.search("blue", limit=2, offset=1).moments == alike(whole[1:3])
    assert shared.search("blue", limit=2, offset=-3).moments == alike(whole[:2])
    assert shared.search("blue", limit=2, offset=100).moments == ()
    assert shared.search("blue", limit=0).moments == shared.search("blue", limit=-1).moments == ()


def test_so_many_moments_of_each_video_are_given_and_remembered_apart(shared: Library) -> None:
    every = shared.search("a surface", limit=10).moments
    one_each = shared.search("a surface", limit=10, per_video=1).moments
    assert len(every) == 3
    assert len(one_each) == len({moment.video.id for moment in one_each}) == 2
    assert one_each[0] == every[0]


def test_what_looks_the_same_folds_under_the_better_moment(shared: Library) -> None:
    best, other, third = shared.search("a surface", limit=10).moments
    copy = replace(best, rank=4)
    assert shared.fold([best, other, third, copy]) == [replace(best, similar=(copy,)), other, third]


def test_heat_is_the_cosine_of_every_segment(shared: Library) -> None:
    recipe = Recipe((Part.text("blue"), Part.image(picture(RED), weight=-0.5)))
    video_id = video_called(shared, "red then blue")
    embedder = shared.embedder
    direction = embedder.embed_text("blue") / 1.5 - embedder.embed_image(picture(RED)) / 3
    segments = shared.segments(video_id)
    vectors = vectors_of(shared, [segment.id for segment in segments])
    expected = [float(vectors[segment.id] @ direction) for segment in segments]
    heat = shared.heat(recipe, video_id)
    assert [h.start_offset_sec for h in heat] == [s.start_offset_sec for s in segments]
    np.testing.assert_allclose([h.score for h in heat], expected, atol=1e-5)
    scores = {hit.segment.id: hit.score for hit in shared.search(recipe).hits}
    np.testing.assert_allclose([scores[s.id] for s in segments], expected, atol=1e-5)


def vectors_of(library: Library, ids: list[str]) -> dict[str, np.ndarray]:
    with store_of(library) as store:
        return store.vectors(ids)


def store_of(library: Library) -> VectorStore:
    """The library's own vectors, behind its back."""
    can = library.capabilities
    return VectorStore(
        library.settings.milvus_uri,
        embedder=can.embedder,
        model=can.model,
        dimension=can.dimension,
    )


def test_an_exported_result_is_what_was_shown(shared: Library) -> None:
    result = shared.search("blue")
    rows = pd.read_csv(BytesIO(shared.export(result)))
    assert rows["title"].tolist() == [moment.video.title for moment in result.moments]
    assert rows["start_offset_sec"].tolist() == [m.start_offset_sec for m in result.moments]


# Pictures


def test_a_poster_shows_its_second_and_is_made_once(library: Library, clips: Path) -> None:
    video_id = add(library, clips / "red_then_blue.mp4")
    poster = library.poster(video_id, 5.0)
    assert poster is not None
    with Image.open(poster) as image:
        red, _, blue = image.convert("RGB").getpixel((10, 10))  # type: ignore[misc]
    assert blue > 150 > red
    poster.write_bytes(b"kept")
    assert library.poster(video_id, 5.0) == poster
    assert poster.read_bytes() == b"kept"


def test_a_video_whose_file_is_gone_has_no_poster_and_no_player(
    library: Library, clips: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((clips / "green.mp4").read_bytes())
    video_id = add(library, copy)
    assert library.media_file(video_id) == copy
    copy.unlink()
    assert library.media_file(video_id) is None
    assert library.poster(video_id, 0.0) is None
    assert library.search("green").moments


def test_a_frame_is_the_picture_of_its_second_at_full_size(shared: Library) -> None:
    flags = next(video for video in shared.videos() if video.category == "flags")
    for second, colour in ((1.0, RED), (6.0, BLUE)):
        picture = Image.open(BytesIO(shared.frame(flags.id, second))).convert("RGB")
        assert picture.size == SIZE
        assert np.abs(np.array(picture, dtype=int) - colour).max() < 40
    with pytest.raises(MediaError, match="no longer in the library"):
        shared.frame("unknown", 0.0)


@pytest.mark.parametrize(
    ("second", "shown"),
    [(-5.0, 0.0), (float("nan"), 0.0), (1e30, 8.0), (float("inf"), 8.0), (10**17, 8.0)],
)
def test_a_poster_of_a_second_outside_the_video_is_its_first_or_last(
    library: Library, clips: Path, second: float, shown: float
) -> None:
    video_id = add(library, clips / "red_then_blue.mp4")
    assert library.poster(video_id, second) == library.poster(video_id, shown)
    assert len(list((library.settings.data_dir / "posters" / video_id).iterdir())) == 1


# Adding


def test_the_same_file_under_two_names_is_one_video_with_the_new_title_and_category(
    library: Library, clips: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "other name.mp4"
    copy.write_bytes((clips / "green.mp4").read_bytes())
    first_id = add(library, clips / "green.mp4", category="old")
    assert add(library, copy, category="new", title="A new name") == first_id
    (video,) = library.videos()
    assert (video.title, video.category) == ("A new name", "new")
    assert library.search("green", filters=Filters(categories=("new",))).moments
    assert not library.search("green", filters=Filters(categories=("old",))).moments


def test_a_moved_file_added_again_plays_from_its_new_place(
    library: Library, clips: Path, tmp_path: Path
) -> None:
    before, after = tmp_path / "before.mp4", tmp_path / "after.mp4"
    before.write_bytes((clips / "green.mp4").read_bytes())
    video_id = add(library, before)
    before.rename(after)
    add(library, after)
    assert library.media_file(video_id) == after
    assert library.videos()[0].video_url == after.as_uri()


def test_a_title_stays_with_its_source_when_one_is_named_twice(
    library: Library, clips: Path
) -> None:
    green, silent = clips / "green.mp4", clips / "silent.mp4"
    jobs = library.add([green, str(green), silent], titles=["Green", "Again", "Silent"])
    assert [(job.source, job.title) for job in jobs] == [
        (str(green), "Green"),
        (str(silent), "Silent"),
    ]
    library.wait(jobs, timeout=TIMEOUT)


@pytest.mark.parametrize(
    "title", ["<img src=x onerror=alert(1)>", "赤い車が走る", "x" * 300, "=cmd()"]
)
def test_a_title_is_kept_as_it_was_given(library: Library, clips: Path, title: str) -> None:
    add(library, clips / "silent.mp4", title=title, category=title)
    (video,) = library.videos()
    assert (video.title, video.category) == (title, title)
    found = library.search("car", filters=Filters(categories=(title,)))
    assert {moment.video.title for moment in found.moments} == {title}


def test_silent_and_turned_videos_are_taken(library: Library, clips: Path) -> None:
    add(library, clips / "silent.mp4", clips / "upright.mp4")
    sizes = {video.title: (video.width, video.height) for video in library.videos()}
    assert sizes == {"silent": SIZE, "upright": SIZE[::-1]}


def test_each_bad_source_fails_for_its_own_reason_and_the_others_go_on(
    library: Library, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "empty.mp4").touch()
    reasons = {
        str(tmp_path / "missing.mp4"): "missing.mp4 does not exist.",
        str(tmp_path): "is a folder.",
        str(tmp_path / "text.mp4"): "text.mp4 is a page or a text, not a video.",
        str(tmp_path / "empty.mp4"): "empty.mp4 is empty.",
        "~nobody_of_that_name/v.mp4": "does not exist.",
        "nul\0.mp4": "does not exist.",
        "not text \udcff.mp4": "does not exist.",
        "https://www.youtube.com/watch?v=x": "This is a YouTube page",
        "https://nowhere.invalid/v.mp4": "nowhere.invalid",
        "http://127.0.0.1/v.mp4": "127.0.0.1",
        "ftp://example.com/v.mp4": "",
    }
    jobs = library.add([*reasons, clips / "green.mp4"])
    *failed, good = library.wait(jobs, timeout=TIMEOUT)
    assert good.stage is Stage.READY
    for job, reason in zip(failed, reasons.values(), strict=True):
        assert job.stage is Stage.FAILED
        assert reason in job.error
        assert job.error.endswith(".")
        assert job.hint
        assert "unexpected" not in job.error
    problems = library.estimate(list(reasons)).sources
    assert [bool(source.problem) for source in problems[:8]] == [True] * 8


def test_an_estimate_tells_minutes_and_what_is_here_already(
    shared: Library, clips: Path, tmp_path: Path
) -> None:
    estimate = shared.estimate(
        [clips / "red_then_blue.mp4", clips / "silent.mp4", tmp_path / "missing.mp4"]
    )
    known, new, missing = estimate.sources
    assert (bool(known.known), known.problem) == (True, "")
    assert (new.known, new.problem) == ("", "")
    assert new.minutes == pytest.approx(2 / 60, abs=0.01)
    assert (missing.known, missing.minutes) == ("", None)
    assert "missing.mp4 does not exist." in missing.problem
    assert estimate.minutes == new.minutes


# Jobs


def test_jobs_are_cancelled_while_they_run_and_while_they_wait_and_can_be_tried_again(
    library: Library, clips: Path
) -> None:
    running, waiting = library.add([clips / "long.mp4", clips / "green.mp4"])
    library.cancel(waiting.id)
    while library.jobs()[0].stage is not Stage.EMBEDDING:
        (begun,) = library.wait([running], timeout=0.05)
        assert not begun.stage.finished
    library.cancel(running.id)
    done = library.wait(timeout=TIMEOUT)
    assert [job.stage for job in done] == [Stage.CANCELLED] * 2
    assert library.videos() == []
    library.retry(waiting.id)
    (again,) = library.wait([waiting], timeout=TIMEOUT)
    assert (again.stage, again.attempts) == (Stage.READY, 1)


def test_a_failed_job_can_be_tried_again_once_its_cause_is_gone(
    library: Library, clips: Path, tmp_path: Path
) -> None:
    late = tmp_path / "late.mp4"
    (job,) = library.wait(library.add([late]), timeout=TIMEOUT)
    assert job.stage is Stage.FAILED
    late.write_bytes((clips / "green.mp4").read_bytes())
    library.retry(job.id)
    (job,) = library.wait([job], timeout=TIMEOUT)
    assert (job.stage, job.attempts, job.error) == (Stage.READY, 2, "")


def test_a_forgotten_job_leaves_the_list_and_its_video_stays(library: Library, clips: Path) -> None:
    add(library, clips / "green.mp4")
    (job,) = library.jobs()
    library.forget(job.id)
    assert library.jobs() == []
    assert len(library.videos()) == 1


def test_a_worker_outlives_records_that_cannot_be_written(library: Library, clips: Path) -> None:
    refuse = (
        "CREATE TRIGGER refuse BEFORE UPDATE ON jobs WHEN NEW.stage IN ('failed', 'ready') "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with sqlite3.connect(library.settings.data_dir / "seekpoint.db") as records:
        records.execute(refuse)
    library.add(["/missing.mp4"])
    assert library.wait(timeout=2)[0].stage is not Stage.FAILED
    with sqlite3.connect(library.settings.data_dir / "seekpoint.db") as records:
        records.execute("DROP TRIGGER refuse")
    add(library, clips / "green.mp4")


# Removing


def test_a_removed_video_takes_its_vectors_posters_and_uploaded_copy_with_it(
    library: Library, clips: Path
) -> None:
    kept = uploaded(library, "Green.MP4", (clips / "green.mp4").read_bytes())
    assert kept.parent.parent == library.settings.data_dir / "media"
    assert kept.name == "Green.MP4"
    video_id = add(library, kept)
    poster = library.poster(video_id, 0.0)
    assert poster is not None
    version = library.version
    library.remove(video_id)
    assert library.version > version
    assert (library.videos(), library.search("green").moments) == ([], ())
    assert not kept.exists()
    assert not poster.exists()
    with store_of(library) as store:
        assert store.count() == 0
    library.remove(video_id)


def test_a_file_that_was_added_by_its_path_is_never_deleted(library: Library, clips: Path) -> None:
    library.remove(add(library, clips / "green.mp4"))
    assert (clips / "green.mp4").is_file()


# Opening again


def test_a_restart_keeps_videos_jobs_and_results(settings: Settings, clips: Path) -> None:
    with open_library(settings) as library:
        add(library, clips / "red_then_blue.mp4", category="flags")
        videos, jobs, found = library.videos(), library.jobs(), library.search("blue").moments
    with open_library(settings) as library:
        assert (library.videos(), library.jobs()) == (videos, jobs)
        assert library.search("blue").moments == alike(found)
        assert library.warning == ""


def test_lost_rows_are_told_and_adding_the_video_again_brings_them_back(
    settings: Settings, clips: Path
) -> None:
    with open_library(settings) as library:
        video_id = add(library, clips / "red_then_blue.mp4")
        kept = library.segments(video_id)
        with store_of(library) as store:
            store.delete([kept[0].id])
    with open_library(settings) as library:
        assert f"{len(kept) - 1} of the {len(kept)} rows" in library.warning
        assert len(library.heat("blue", video_id)) == len(kept) - 1
        add(library, clips / "red_then_blue.mp4")
        assert len(library.heat("blue", video_id)) == len(kept)
    with open_library(settings) as library:
        assert library.warning == ""


def test_a_library_that_fails_to_open_leaves_the_folder_free(settings: Settings) -> None:
    with pytest.raises(ConfigurationError):
        open_library(replace(settings, database_url="nonsense"))
    open_library(settings).close()


CHILD = """
import sys, time
from pathlib import Path
from core import Settings, Stage, open_library
library = open_library(Settings(data_dir=Path(sys.argv[1])))
library.add(sys.argv[2:])
while any(job.stage in {Stage.QUEUED, Stage.PROBING} for job in library.jobs()):
    time.sleep(0.01)
print(*(job.stage for job in library.jobs()), "open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(
    project: Path, settings: Settings
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a second process on the same data folder; returns when it has come so far."""
    started: list[subprocess.Popen[str]] = []

    def start(*sources: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, str(settings.data_dir), *map(str, sources)]
        process = subprocess.Popen(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["embedding"] * len(sources) + ["open"]
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_with_the_first_ones_number_until_it_dies(
    settings: Settings, other_process: Callable[..., subprocess.Popen[str]]
) -> None:
    process = other_process()
    with pytest.raises(StoreLocked) as refusal:
        open_library(settings)
    assert f"(process {process.pid})" in refusal.value.message
    assert "SEEKPOINT_DATA_DIR" in refusal.value.hint
    process.send_signal(signal.SIGKILL)
    process.wait()
    open_library(settings).close()


def test_a_job_cut_short_by_a_dying_process_is_finished_by_the_next(
    settings: Settings, clips: Path, other_process: Callable[..., subprocess.Popen[str]]
) -> None:
    process = other_process(clips / "long.mp4")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open_library(settings) as library:
        (job,) = library.wait(timeout=TIMEOUT)
        assert (job.stage, job.attempts) == (Stage.READY, 2)
        (video,) = library.videos()
        assert video.segments == len(library.segments(video.id)) == 10
        assert library.warning == ""


def test_an_upload_of_what_is_already_here_leaves_no_copy_behind(
    library: Library, clips: Path
) -> None:
    add(library, clips / "green.mp4")
    copy = uploaded(library, "again.mp4", (clips / "green.mp4").read_bytes())
    add(library, copy, title="Again")
    assert not copy.exists()
    assert [video.title for video in library.videos()] == ["Again"]


def test_an_upload_that_failed_is_deleted_when_its_job_is_dismissed(library: Library) -> None:
    copy = uploaded(library, "note.mp4", b"This is a note.")
    (job,) = library.wait(library.add([copy]), timeout=TIMEOUT)
    assert job.stage is Stage.FAILED
    assert copy.exists()
    library.forget(job.id)
    assert not copy.exists()


def test_a_server_that_gives_only_whole_files_is_good_enough(
    settings: Settings, clips: Path, web: Web
) -> None:
    page = Page((clips / "green.mp4").read_bytes(), ranges=False)
    with open_library(replace(settings, allow_private_urls=True)) as library:
        (job,) = library.wait(library.add([web.put("/green.mp4", page)]), timeout=TIMEOUT)
        assert job.stage is Stage.READY
        assert [video.duration for video in library.videos()] == [pytest.approx(4.0, abs=0.1)]


def test_what_is_wrong_with_an_upload_is_said_of_the_name_it_came_with(library: Library) -> None:
    copy = uploaded(library, "holiday in 日本.mp4", b"This is a note.")
    (job,) = library.wait(library.add([copy]), timeout=TIMEOUT)
    assert job.error.startswith("holiday in 日本.mp4 ")
    assert job.title == "holiday in 日本"


def test_adding_a_video_again_without_saying_more_keeps_its_title_and_category(
    library: Library, clips: Path
) -> None:
    add(library, clips / "green.mp4", category="fields", title="A green field")
    add(library, clips / "green.mp4")
    (video,) = library.videos()
    assert (video.title, video.category) == ("A green field", "fields")


def test_the_built_in_search_says_why_each_moment_is_in_the_answer(shared: Library) -> None:
    result = shared.search("green")
    why = shared.why(result)
    assert set(why) <= {moment.best.segment.id for moment in result.moments}
    assert "green" in why[result.moments[0].best.segment.id]
