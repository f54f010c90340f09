"""Workers, cancel, retry, remove and close, at the moments at which they get in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from core import (
    EmbedderUnavailable,
    Filters,
    Job,
    Library,
    Limits,
    Prices,
    Progress,
    Segment,
    Settings,
    Stage,
    StoreError,
    StoreUnavailable,
    open_library,
)
from core.models import EmbeddedSegment, MediaInfo, Vector
from core.recipe import Media
from core.state import State
from core.store import VectorStore
from tests.media import make_video, uploaded

TIMEOUT = 20.0


class Gate:
    """An embedder of two numbers that stops in the middle of a video until it may go on."""

    name, model, dimension = "gate", "gate-v1", 2
    options: tuple[str, ...] = ("visual",)
    limits = Limits(parallel_videos=2)
    limits_text = ""
    explains = False
    remote = False
    prices = Prices()

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.paid: list[str] = []
        self.segment_sec = 1.0
        self.failure: EmbedderUnavailable | None = None

    def embed_text(self, text: str) -> Vector:
        return np.array([1, len(text)], np.float32) / np.float32(np.hypot(1, len(text)))

    def embed_image(self, source: Media, text: str = "") -> Vector:
        raise NotImplementedError

    def embed_clip(
        self, source: Media, start: float | None = None, end: float | None = None
    ) -> Vector:
        raise NotImplementedError

    def embed_video(
        self,
        source: str | Path,
        *,
        info: MediaInfo | None,
        resume: Mapping[str, str],
        on_progress: Callable[[Progress], None],
    ) -> list[EmbeddedSegment]:
        assert info is not None
        if not resume:
            self.paid.append(str(source))
        on_progress(Progress(Stage.EMBEDDING, 0.0, {"task_id": "t"}))
        self.begun.release()
        while not self.open.wait(0.02):
            on_progress(Progress(Stage.EMBEDDING, 0.5, {"task_id": "t"}))
        if self.failure is not None:
            raise self.failure
        starts = np.arange(0.0, info.duration - 0.5, self.segment_sec)
        return [
            EmbeddedSegment(float(s), float(s) + self.segment_sec, "visual", self.embed_text("ab"))
            for s in starts
        ]

    def tidy(self, resume: Mapping[str, str]) -> None:
        pass

    def share_limits(self, servers: int) -> None:
        pass

    def explain(self, query: Vector, segment: Vector) -> str:  # noqa: ARG002
        return ""

    def check(self) -> None:
        pass

    def wait_until_begun(self) -> None:
        assert self.begun.acquire(timeout=TIMEOUT)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr("core.model_change.create_embedder", lambda *_: made)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def library(gate: Gate, settings: Settings) -> Iterator[Library]:
    with open_library(settings) as opened:
        yield opened
        gate.open.set()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return make_video(path, seconds=3, size=(64, 48), fps=5, audio=False)


@pytest.fixture(scope="module")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "other.mp4"
    return make_video(path, seconds=2, size=(64, 48), fps=5, audio=False)


def done(library: Library, jobs: list[Job]) -> list[Stage]:
    return [job.stage for job in library.wait(jobs, timeout=TIMEOUT)]


def test_one_video_added_twice_at_once_is_embedded_and_paid_for_once(
    library: Library, gate: Gate, clip: Path
) -> None:
    first = library.add([clip], titles=["first"])
    gate.wait_until_begun()
    second = library.add([clip], titles=["second"])
    while library.wait(second, timeout=0.02)[0].video_id == "":
        pass
    assert not gate.begun.acquire(timeout=0.2)
    gate.open.set()
    assert done(library, first + second) == [Stage.READY] * 2
    assert gate.paid == [str(clip)]
    assert [video.title for video in library.videos()] == ["second"]


def test_a_job_that_waits_for_another_one_of_its_video_can_be_cancelled(
    library: Library, gate: Gate, clip: Path
) -> None:
    first = library.add([clip])
    gate.wait_until_begun()
    second = library.add([clip])
    while library.wait(second, timeout=0.02)[0].video_id == "":
        pass
    library.cancel(second[0].id)
    assert done(library, second) == [Stage.CANCELLED]
    gate.open.set()
    assert done(library, first) == [Stage.READY]


def test_a_job_tried_again_twice_runs_once(library: Library, gate: Gate, clip: Path) -> None:
    gate.failure = EmbedderUnavailable("No.", "Later.")
    gate.open.set()
    (job,) = library.add([clip])
    assert done(library, [job]) == [Stage.FAILED]
    gate.wait_until_begun()
    gate.open.clear()
    library.retry(job.id)
    gate.wait_until_begun()
    library.retry(job.id)
    assert not gate.begun.acquire(timeout=0.2)
    assert library.jobs()[0].attempts == 2


def test_a_wish_to_cancel_that_comes_too_late_does_not_end_the_next_attempt(
    library: Library, gate: Gate, clip: Path
) -> None:
    (job,) = library.add([clip])
    gate.wait_until_begun()
    library.cancel(job.id)
    assert done(library, [job]) == [Stage.CANCELLED]
    library.cancel(job.id)
    gate.open.set()
    library.retry(job.id)
    assert done(library, [job]) == [Stage.READY]


def test_a_job_cancelled_just_before_closing_stays_cancelled(
    gate: Gate, settings: Settings, clip: Path
) -> None:
    library = open_library(settings)
    (job,) = library.add([clip])
    gate.wait_until_begun()
    # Both wishes are there before the worker looks for either.
    with library._queue._changed:
        library._queue._closing.set()
        library._queue._cancelled.add((job.id, 1))
    library.close()
    gate.open.set()
    with open_library(settings) as again:
        assert [job.stage for job in again.jobs()] == [Stage.CANCELLED]


def test_what_fails_only_because_the_library_closes_is_finished_by_the_next_start(
    gate: Gate, settings: Settings, clip: Path
) -> None:
    library = open_library(settings)
    library.add([clip])
    gate.wait_until_begun()
    gate.failure = EmbedderUnavailable("The connection broke off.", "Try again.")
    closing = threading.Thread(target=library.close)
    library._queue._closing.set()
    gate.open.set()
    closing.start()
    closing.join(TIMEOUT)
    gate.failure = None
    with open_library(settings) as again:
        assert [job.stage for job in again.wait(timeout=TIMEOUT)] == [Stage.READY]
    assert gate.paid == [str(clip)]


def test_idle_workers_ask_the_records_nothing_and_miss_no_job(
    library: Library, gate: Gate, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    looks = threading.Semaphore(0)
    claim = State.claim_job

    def counted(state: State) -> Job | None:
        looks.release()
        return claim(state)

    monkeypatch.setattr(State, "claim_job", counted)
    for _ in range(gate.limits.parallel_videos):
        looks.acquire(timeout=0.5)  # each worker's first look, where it is still to come
    assert not looks.acquire(timeout=1.5)
    for _ in range(5):
        assert done(library, library.add([clip])) == [Stage.READY]


def test_waiting_ends_when_the_library_is_closed(
    gate: Gate, settings: Settings, clip: Path
) -> None:
    library = open_library(settings)
    library.add([clip])
    gate.wait_until_begun()
    waiting = threading.Thread(target=library.wait, daemon=True)
    waiting.start()
    library._queue._closing.set()
    library._queue._announce()
    waiting.join(TIMEOUT)
    assert not waiting.is_alive()
    library.close()


def test_a_closed_library_says_so_and_queues_nothing(
    gate: Gate, settings: Settings, clip: Path
) -> None:
    gate.open.set()
    library = open_library(settings)
    library.close()
    library.close()
    for use in (lambda: library.add([clip]), lambda: library.search("a"), library.jobs):
        with pytest.raises(StoreUnavailable, match="The library is closed"):
            use()
    with open_library(settings) as again:
        assert again.jobs() == []


def test_segments_of_another_length_take_the_place_of_the_old_ones(
    library: Library, gate: Gate, clip: Path
) -> None:
    gate.open.set()
    assert done(library, library.add([clip])) == [Stage.READY]
    (video,) = library.videos()
    with store_of(library) as store:
        store.delete([library.segments(video.id)[0].id])
        gate.segment_sec = 1.5
        assert done(library, library.add([clip])) == [Stage.READY]
        assert store.count() == len(library.segments(video.id)) == 2
    assert library.videos()[0].added_at == video.added_at


def test_a_video_removed_while_it_is_added_again_is_whole_or_gone(
    library: Library, gate: Gate, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    assert done(library, library.add([clip])) == [Stage.READY]
    (video,) = library.videos()
    removing = threading.Thread(target=library.remove, args=[video.id])
    read = VectorStore.segments

    def read_then_remove(store: VectorStore, ids: list[str]) -> list[Segment]:
        found = read(store, ids)
        monkeypatch.undo()
        removing.start()
        removing.join(0.3)
        return found

    monkeypatch.setattr(VectorStore, "segments", read_then_remove)
    assert done(library, library.add([clip], titles=["again"])) == [Stage.READY]
    removing.join(TIMEOUT)
    with store_of(library) as store:
        assert store.count() == sum(v.segments for v in library.videos())
    assert library.search("ab", filters=Filters(video_ids=(video.id,))).moments == ()


def store_of(library: Library) -> VectorStore:
    return VectorStore(
        library.settings.milvus_uri, embedder=Gate.name, model=Gate.model, dimension=Gate.dimension
    )


# Uploads


def test_an_upload_is_not_deleted_between_its_arrival_and_its_job(
    library: Library, gate: Gate, clip: Path
) -> None:
    gate.open.set()
    assert done(library, library.add([clip])) == [Stage.READY]
    copy = uploaded(library, "a.mp4", clip.read_bytes())
    earlier = library.add([copy])
    again = uploaded(library, "a.mp4", clip.read_bytes())
    assert again == copy
    assert done(library, earlier) == [Stage.READY]
    assert copy.exists()
    assert done(library, library.add([again])) == [Stage.READY]
    assert not copy.exists()


def test_waiting_ends_only_when_a_job_has_cleared_up_after_itself(
    library: Library, gate: Gate, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    clearing, go_on = threading.Event(), threading.Event()

    def held(_: object) -> None:
        clearing.set()
        go_on.wait(TIMEOUT)

    monkeypatch.setattr(library.uploads, "discard", held)
    jobs = library.add([clip])
    assert clearing.wait(TIMEOUT)
    waiting = threading.Thread(target=library.wait, args=(jobs,))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    go_on.set()
    waiting.join(TIMEOUT)
    assert not waiting.is_alive()


def test_a_download_of_a_dying_process_is_cleared_away(gate: Gate, settings: Settings) -> None:
    half_download = settings.data_dir / "tmp" / "abc" / "download"
    half_download.parent.mkdir(parents=True)
    half_download.write_bytes(b"half")
    open_library(settings).close()
    assert not half_download.exists()


def test_dismissing_all_that_failed_deletes_their_uploads_and_leaves_what_runs(
    library: Library, gate: Gate, clip: Path
) -> None:
    notes = [uploaded(library, f"{n}.mp4", f"note {n}".encode()) for n in range(3)]
    assert done(library, library.add(notes)) == [Stage.FAILED] * 3
    (running,) = library.add([clip])
    gate.wait_until_begun()
    library.forget_all(set(Stage))
    assert [job.id for job in library.jobs()] == [running.id]
    assert not any(note.exists() for note in notes)
    gate.open.set()
    assert done(library, [running]) == [Stage.READY]


# Texts


def test_a_category_that_cannot_be_stored_is_refused_before_anything_is_paid(
    library: Library, gate: Gate, clip: Path
) -> None:
    for category in ("bell\a", "x" * 2000):
        with pytest.raises(StoreError, match="category"):
            library.add([clip], category=category)
    assert library.jobs() == []
    assert gate.paid == []


def test_a_title_of_broken_characters_is_kept_as_far_as_it_is_text(
    library: Library, gate: Gate, clip: Path
) -> None:
    gate.open.set()
    assert done(library, library.add([clip], titles=["caf\udce9"])) == [Stage.READY]
    assert [video.title for video in library.videos()] == ["caf?"]
