"""What only Twelve Labs does: shapes of requests, faults of a service, paying once."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import logging
import socket
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from core import media
from core.embedders.base import Charge, Progress
from core.embedders.marengo import marengo
from core.embedders.twelvelabs import TwelveLabsEmbedder
from core.embedders.twelvelabs_service import translate
from core.errors import (
    BudgetExceeded,
    ConfigurationError,
    EmbedderBusy,
    EmbedderError,
    EmbedderRejected,
    EmbedderUnavailable,
    JobCancelled,
    MediaError,
    QuotaExceeded,
    RecipeError,
    ResultExpired,
    SeekpointError,
    UnsupportedMedia,
)
from core.models import EmbeddedSegment, MediaInfo, Stage
from core.settings import MODELS, Settings
from tests.clock import Clock
from tests.contract.conftest import KEY, Recorder, encoded
from tests.contract.standin import CHUNK, Fault, Json, Medium, StandIn

RED_CAR = "https://media.example.com/red-car.mp4"
BLUE_BOAT = "https://media.example.com/blue-boat.mp4"
INFO = MediaInfo(duration=30.0, width=1280, height=720, has_audio=True, codec="h264")

Make = Callable[..., TwelveLabsEmbedder]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(service: StandIn, clock: Clock, tmp_path: Path) -> Make:
    def made(model: str = "marengo3.5", **changes: Any) -> TwelveLabsEmbedder:
        settings = Settings(
            embedder="twelvelabs",
            twelvelabs_api_key=KEY,
            twelvelabs_base_url=service.url,
            twelvelabs_model=model,
            data_dir=tmp_path,
            segment_sec=5,
        )
        return TwelveLabsEmbedder(replace(settings, **changes), sleep=clock.sleep, clock=clock)

    return made


def embed(
    embedder: TwelveLabsEmbedder,
    source: str | Path = RED_CAR,
    info: MediaInfo | None = INFO,
    resume: dict[str, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[EmbeddedSegment]:
    return embedder.embed_video(source, info=info, resume=resume or {}, on_progress=on_progress)


# Requests


def test_marengo_3_5_is_always_asked_with_multi_input(make: Make, service: StandIn) -> None:
    embedder = make()
    embedder.embed_text(" a red car ")
    assert service.requests[-1].body == {
        "input_type": "multi_input",
        "model_name": "marengo3.5",
        "embedding_dimension": 512,
        "auto_truncate": False,
        "multi_input": {"input_text": "a red car"},
    }
    embedder.embed_image("https://media.example.com/car.jpg")
    assert service.requests[-1].body["multi_input"] == {
        "media_sources": [{"media_type": "image", "url": "https://media.example.com/car.jpg"}]
    }
    embedder.embed_image("https://media.example.com/car.jpg", "at night")
    assert service.requests[-1].body["multi_input"]["input_text"] == "at night"
    embedder.embed_clip(RED_CAR)
    assert service.requests[-1].body["multi_input"] == {
        "media_sources": [{"media_type": "video", "url": RED_CAR}]
    }


def test_marengo_3_0_is_asked_with_one_shape_per_input(make: Make, service: StandIn) -> None:
    embedder = make("marengo3.0")
    common = {"model_name": "marengo3.0"}
    embedder.embed_text("a red car")
    assert service.requests[-1].body == {
        **common,
        "input_type": "text",
        "text": {"input_text": "a red car"},
    }
    source = {"url": "https://media.example.com/car.jpg"}
    embedder.embed_image(source["url"])
    assert service.requests[-1].body == {
        **common,
        "input_type": "image",
        "image": {"media_source": source},
    }
    embedder.embed_image(source["url"], "at night")
    assert service.requests[-1].body == {
        **common,
        "input_type": "text_image",
        "text_image": {"media_source": source, "input_text": "at night"},
    }
    embedder.embed_clip(RED_CAR, 3, 9)
    assert service.requests[-1].body == {
        **common,
        "input_type": "video",
        "video": {
            "media_source": {"url": RED_CAR},
            "start_sec": 3,
            "end_sec": 9,
            "embedding_option": ["visual"],
            "embedding_scope": ["asset"],
        },
    }


@pytest.mark.parametrize(
    ("model", "dimension", "segmentation"),
    [
        (
            "marengo3.5",
            {"embedding_dimension": 512},
            {"temporal": {"strategy": "fixed", "fixed": {"duration_sec": 5}}},
        ),
        ("marengo3.0", {}, {"strategy": "fixed", "fixed": {"duration_sec": 5}}),
    ],
)
def test_a_task_says_options_scope_and_segments_in_the_shape_of_its_model(
    make: Make, service: StandIn, model: str, dimension: Json, segmentation: Json
) -> None:
    embedder = make(model)
    embed(embedder)
    assert service.asked("POST /embed-v2/tasks")[0].body == {
        "input_type": "video",
        "model_name": model,
        **dimension,
        "video": {
            "media_source": {"url": RED_CAR},
            "segmentation": segmentation,
            "embedding_option": list(embedder.options),
            "embedding_scope": ["clip"],
        },
    }


@pytest.mark.parametrize("dimension", [128, 256, 512])
def test_the_chosen_dimension_is_asked_for_and_comes_back_unit_length(
    make: Make, dimension: int
) -> None:
    embedder = make(twelvelabs_dimension=dimension)
    vector = embedder.embed_text("a red car")
    assert vector.shape == (dimension,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_what_looks_like_a_placeholder_in_a_text_is_only_text(make: Make, service: StandIn) -> None:
    make().embed_text("the <@logo> of the team")
    assert "<@" not in service.requests[-1].body["multi_input"]["input_text"]


def test_a_jpeg_is_sent_as_it_is_and_other_pictures_as_jpeg(
    make: Make, service: StandIn, picture: bytes
) -> None:
    embedder = make("marengo3.0")
    embedder.embed_image(picture)
    sent = service.requests[-1].body["image"]["media_source"]["base64_string"]
    assert base64.b64decode(sent) == picture
    embedder.embed_image(encoded((320, 200), "WEBP"))
    sent = service.requests[-1].body["image"]["media_source"]["base64_string"]
    assert base64.b64decode(sent).startswith(b"\xff\xd8\xff")


def test_a_small_picture_is_refused_before_anything_is_sent(make: Make, service: StandIn) -> None:
    with pytest.raises(UnsupportedMedia, match="100 x 400"):
        make().embed_image(encoded((100, 400), "PNG"))
    assert service.requests == []


def test_a_stretch_of_a_file_is_cut_out_and_sent(
    make: Make, service: StandIn, half_minute: Path, model: str, tmp_path: Path
) -> None:
    make(model).embed_clip(half_minute, 4, 9)
    body = service.requests[-1].body
    source = (
        body["video"]["media_source"]
        if "video" in body
        else body["multi_input"]["media_sources"][0]
    )
    clip = tmp_path / "sent.mp4"
    clip.write_bytes(base64.b64decode(source["base64_string"]))
    assert media.probe(clip).duration == pytest.approx(5.0, abs=0.2)


def test_a_clip_longer_than_thirty_seconds_needs_start_and_end(
    make: Make, service: StandIn, long_video: Path
) -> None:
    with pytest.raises(UnsupportedMedia, match="start and the end"):
        make().embed_clip(long_video)
    assert service.requests == []
    make().embed_clip(long_video, 2, 30)


def test_an_option_is_asked_for_only_where_there_is_sound(make: Make, service: StandIn) -> None:
    segments = embed(make(), info=replace(INFO, has_audio=False))
    body = service.asked("POST /embed-v2/tasks")[0].body
    assert body["video"]["embedding_option"] == ["visual"]
    assert {segment.embedding_option for segment in segments} == {"visual"}


def test_without_a_probe_an_upload_tells_whether_there_is_sound(
    make: Make, service: StandIn, silent: Path, half_minute: Path
) -> None:
    embed(make(), silent, None)
    embed(make(), half_minute, None)
    asked = [r.body["video"]["embedding_option"] for r in service.asked("POST /embed-v2/tasks")]
    assert asked == [["visual"], ["visual", "audio"]]


def test_an_unknown_video_that_turns_out_silent_is_kept(make: Make) -> None:
    segments = embed(make(), "https://media.example.com/silent-lake.mp4", None)
    assert {segment.embedding_option for segment in segments} == {"visual"}


def test_an_upload_switches_off_what_nobody_needs(
    make: Make, service: StandIn, half_minute: Path
) -> None:
    embed(make(), half_minute)
    upload = service.asked("POST /assets")[0]
    assert upload.body["enable_hls"] == upload.body["enable_thumbnail"] == "false"
    assert upload.files["file"] == half_minute.read_bytes()


def test_a_file_too_large_to_upload_is_refused_with_another_way(
    make: Make, service: StandIn, tmp_path: Path
) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(10_000_000_001)
    with pytest.raises(UnsupportedMedia, match="split it"):
        embed(make(), large)
    assert service.requests == []


# A whole session


def test_videos_by_url_and_by_file_are_found_by_text_image_and_clip(
    make: Make, service: StandIn, half_minute: Path, picture: bytes, model: str
) -> None:
    embedder = make(model)
    service.media["https://media.example.com/p.mp4"] = Medium(
        (hashlib.sha256(picture).hexdigest(),)
    )
    library = {
        "car": embed(embedder, RED_CAR),
        "boat": embed(embedder, half_minute),
        "picture": embed(embedder, "https://media.example.com/p.mp4"),
    }
    for segments in library.values():
        visual = [s for s in segments if s.embedding_option == "visual"]
        assert [s.start_offset_sec for s in visual] == [0, 5, 10, 15, 20, 25]
        assert visual[-1].end_offset_sec == pytest.approx(30.0, abs=0.1)
        assert {s.embedding_option for s in segments} == set(embedder.options)
    queries = {
        "car": embedder.embed_text("a red car"),
        "picture": embedder.embed_image(picture),
        "boat": embedder.embed_clip(half_minute),
    }
    for name, query in queries.items():
        scores = {
            title: max(float(s.vector @ query) for s in segments)
            for title, segments in library.items()
        }
        assert max(scores, key=scores.__getitem__) == name


@pytest.mark.parametrize("by_file", [False, True])
def test_a_restart_goes_on_with_the_same_task_and_gives_the_same_answer(
    make: Make, service: StandIn, progress: Recorder, half_minute: Path, by_file: bool
) -> None:
    source = half_minute if by_file else RED_CAR

    def killed_at_first_poll(seen: Progress) -> None:
        progress(seen)
        if seen.checkpoint.get("task_id"):
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), source, on_progress=killed_at_first_poll)
    assert service.asked("GET /embed-v2/tasks/{id}") == []
    resumed = embed(make(), source, resume=progress.checkpoint)
    assert len(service.tasks) == 1
    assert len(service.assets) == int(by_file)
    again = embed(make(), source, resume=progress.checkpoint)
    assert [s.start_offset_sec for s in again] == [s.start_offset_sec for s in resumed]
    assert all(np.array_equal(a.vector, b.vector) for a, b in zip(again, resumed, strict=True))


def test_a_bare_task_id_is_enough_to_resume(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    first = embed(make(), on_progress=progress)
    resumed = embed(make(), resume={"task_id": progress.checkpoint["task_id"]})
    assert len(service.tasks) == 1
    assert len(resumed) == len(first)


def test_a_run_that_stopped_while_the_file_was_processed_does_not_upload_again(
    make: Make, service: StandIn, progress: Recorder, half_minute: Path
) -> None:
    def stop_with_an_asset(seen: Progress) -> None:
        progress(seen)
        if seen.checkpoint.get("asset_id"):
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), half_minute, on_progress=stop_with_an_asset)
    embed(make(), half_minute, resume=progress.checkpoint)
    assert len(service.asked("POST /assets")) == 1


def test_a_checkpoint_is_handed_over_before_the_first_poll(
    make: Make, service: StandIn, half_minute: Path
) -> None:
    polls_when_first_seen: dict[str, int] = {}

    def note(seen: Progress) -> None:
        for key in ("asset_id", "task_id"):
            if seen.checkpoint.get(key):
                polls = service.asked(
                    "GET /assets/{id}" if key == "asset_id" else "GET /embed-v2/tasks/{id}"
                )
                polls_when_first_seen.setdefault(key, len(polls))

    embed(make(), half_minute, on_progress=note)
    assert polls_when_first_seen == {"asset_id": 0, "task_id": 0}


def test_the_stages_of_an_upload_are_told_in_order(
    make: Make, progress: Recorder, half_minute: Path
) -> None:
    embed(make(), half_minute, on_progress=progress)
    stages = [stage for stage, _ in itertools.groupby(p.stage for p in progress.seen)]
    assert stages == [Stage.UPLOADING, Stage.WAITING, Stage.EMBEDDING]
    fractions = [p.fraction for p in progress.seen if p.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_an_expired_result_says_so(make: Make, service: StandIn, progress: Recorder) -> None:
    embed(make(), on_progress=progress)
    service.forget_results()
    with pytest.raises(ResultExpired, match="seven days") as caught:
        embed(make(), resume=progress.checkpoint)
    assert "billed again" in caught.value.hint
    assert len(service.asked("POST /embed-v2/tasks")) == 1


def test_a_result_that_is_gone_before_it_was_fetched_says_so(make: Make, service: StandIn) -> None:
    service.task_failure = "The embedding result is no longer available and cannot be retrieved."
    with pytest.raises(ResultExpired):
        embed(make())


@pytest.mark.parametrize("endpoint", ["GET /embed-v2/tasks/{id}", "GET /assets/{id}"])
def test_what_is_under_another_account_is_not_paid_for_again_unasked(
    make: Make, service: StandIn, silent: Path, endpoint: str
) -> None:
    body = {"code": "read_not_allowed", "message": "Not yours."}
    service.fail(endpoint, 403, body, times=9)
    with pytest.raises(ResultExpired, match="another account") as caught:
        embed(make(), silent, None)
    assert "billed again" in caught.value.hint


@pytest.mark.parametrize("dropped", ["dropped before work", "dropped after work", "cut in half"])
def test_a_lost_answer_never_makes_a_second_task(
    make: Make, service: StandIn, dropped: Any
) -> None:
    service.misbehave("POST /embed-v2/tasks", Fault(connection=dropped))
    assert embed(make())
    assert len(service.tasks) == 1


def test_a_task_asked_for_just_before_a_crash_is_found_again(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.misbehave("POST /embed-v2/tasks", Fault(connection="dropped after work"))

    def killed_on_waiting(seen: Progress) -> None:
        progress(seen)
        if service.tasks:
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=killed_on_waiting)
    assert "task_id" not in progress.checkpoint
    assert embed(make(), resume=progress.checkpoint)
    assert len(service.tasks) == 1


def test_an_upload_whose_answer_was_lost_is_found_again(
    make: Make, service: StandIn, half_minute: Path
) -> None:
    service.misbehave("POST /assets", Fault(connection="dropped after work"))
    assert embed(make(), half_minute)
    assert len(service.assets) == 1


def test_an_upload_whose_answer_was_lost_to_a_killed_process_is_found_again(
    make: Make, service: StandIn, progress: Recorder, half_minute: Path
) -> None:
    def killed_on_trying_again(seen: Progress) -> None:
        progress(seen)
        if seen.note:
            raise JobCancelled("The process ended.")

    service.misbehave("POST /assets", Fault(connection="dropped after work"))
    with pytest.raises(JobCancelled):
        embed(make(), half_minute, on_progress=killed_on_trying_again)
    assert not progress.checkpoint.get("asset_id")
    assert embed(make(), half_minute, resume=progress.checkpoint)
    assert len(service.asked("POST /assets")) == len(service.assets) == 1


# Waiting


def test_an_unknown_status_is_waited_for_until_the_deadline(
    make: Make, service: StandIn, clock: Clock
) -> None:
    service.task_status = "pondering"
    service.polls_needed = 10**9
    with pytest.raises(EmbedderUnavailable, match="working on this video for 6 h"):
        embed(make())
    assert clock.now >= 6 * 3600


def test_a_sign_of_life_is_asked_for_once_and_says_what_keeps_the_service_away(
    make: Make, service: StandIn
) -> None:
    embedder = make()
    embedder.check()
    service.fail("GET /embed-v2/tasks", 503)
    with pytest.raises(EmbedderUnavailable):
        embedder.check()
    service.fail("GET /embed-v2/tasks", 401)
    with pytest.raises(EmbedderRejected):
        embedder.check()
    assert [request.endpoint for request in service.requests] == 3 * ["GET /embed-v2/tasks"]


def test_polls_become_rarer(make: Make, service: StandIn, clock: Clock) -> None:
    service.polls_needed = 60
    polls: list[float] = []

    def note_polls(_: Progress) -> None:
        if len(service.asked("GET /embed-v2/tasks/{id}")) > len(polls):
            polls.append(clock.now)

    embed(make(), on_progress=note_polls)
    waits = [later - earlier for earlier, later in itertools.pairwise(polls)]
    assert waits[0] <= 1
    assert waits == sorted(waits)
    assert max(waits) == pytest.approx(15)
    assert clock.now / len(waits) > 8


def test_the_first_task_teaches_when_to_ask_for_the_next(
    make: Make, service: StandIn, clock: Clock, progress: Recorder
) -> None:
    embedder = make()
    service.polls_needed = 30
    embed(embedder)
    took = clock.now
    service.requests.clear()
    service.polls_needed = 3
    embed(embedder, BLUE_BOAT, replace(INFO, duration=INFO.duration / 2), on_progress=progress)
    assert clock.now - took >= 0.8 * took / 2
    told = [seen.fraction for seen in progress.seen if seen.fraction is not None]
    assert told == sorted(told)
    assert 0.85 <= told[-1] < 1


def test_an_outage_does_not_end_the_wait_for_what_is_paid(make: Make, service: StandIn) -> None:
    service.fail("GET /embed-v2/tasks/{id}", 503, times=20)
    assert embed(make())
    assert len(service.tasks) == 1


def test_a_cancelled_job_ends_within_a_second_of_waiting(
    make: Make, service: StandIn, clock: Clock
) -> None:
    service.polls_needed = 10**9

    def cancel_after_a_minute(_: Progress) -> None:
        if clock.now > 60:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=cancel_after_a_minute)
    assert clock.now <= 62


def test_a_cancelled_job_ends_while_the_service_is_busy(
    make: Make, service: StandIn, clock: Clock
) -> None:
    service.fail("POST /embed-v2/tasks", 429, retry_after="170", times=9)

    def cancel_soon(_: Progress) -> None:
        if clock.now > 3:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=cancel_soon)
    assert clock.now <= 5


def test_a_cancelled_upload_stops(make: Make, service: StandIn, half_minute: Path) -> None:
    def cancel_half_way(seen: Progress) -> None:
        if (seen.fraction or 0) > 0.5:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embed(make(), half_minute, on_progress=cancel_half_way)
    assert service.assets == {}


# What it waits for


def test_an_outage_is_told_until_it_is_over(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.misbehave("POST /embed-v2/tasks", Fault(connection="dropped before work"), 2)
    embed(make(), on_progress=progress)
    notes = [note for note, _ in itertools.groupby(seen.note for seen in progress.seen)]
    assert notes[0] == notes[-1] == ""
    told = [note for note in notes if note]
    assert len(told) == 2
    assert all(note.startswith("Twelve Labs cannot be reached; trying again in ") for note in told)


def test_being_asked_to_slow_down_is_told_with_the_time(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.fail("GET /embed-v2/tasks/{id}", 429, FLAT, Retry_After="45")
    embed(make(), on_progress=progress)
    assert "Twelve Labs asks to slow down; trying again in 45 s" in {p.note for p in progress.seen}
    assert progress.seen[-1].note == ""


def test_a_task_waits_for_its_turn_and_says_so(
    make: Make, service: StandIn, clock: Clock, progress: Recorder
) -> None:
    embedder = make(requests_per_minute=2)
    embed(embedder)
    embed(embedder)
    before = clock.now
    embed(embedder, on_progress=progress)
    assert clock.now - before >= 50
    waiting = [p for p in progress.seen if p.note == "Waiting for its turn at Twelve Labs"]
    assert {p.stage for p in waiting} == {Stage.WAITING}
    assert progress.seen[-1].note == ""


def test_after_one_answer_to_slow_down_no_other_task_is_asked_for_too_early(
    make: Make, service: StandIn, clock: Clock
) -> None:
    embedder = make()
    service.fail("POST /embed-v2/tasks", 429, FLAT, Retry_After="45")

    def cancel_while_slowed_down(seen: Progress) -> None:
        if "slow down" in seen.note:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embed(embedder, on_progress=cancel_while_slowed_down)
    assert clock.now == 0
    embed(embedder, BLUE_BOAT)
    assert clock.now >= 45
    assert service.too_many == 1


def test_a_plan_is_kept_to_by_all_threads_together(service: StandIn, tmp_path: Path) -> None:
    service.parallel_tasks, service.task_seconds, service.polls_needed = 3, 0.3, 0
    settings = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key=KEY,
        twelvelabs_base_url=service.url,
        data_dir=tmp_path,
        parallel_tasks=3,
        requests_per_minute=1000,
    )
    embedder = TwelveLabsEmbedder(settings)
    assert embedder.limits.parallel_videos == 5
    urls = [f"https://media.example.com/{number}.mp4" for number in range(12)]
    with ThreadPoolExecutor(embedder.limits.parallel_videos) as pool:
        assert all(pool.map(lambda url: embed(embedder, url), urls))
    assert service.report()["tasks"] == dict.fromkeys(urls, 1)
    assert service.too_many == 0


def test_two_models_of_one_account_keep_its_limits_together(make: Make, service: StandIn) -> None:
    one, other = make(), make(twelvelabs_dimension=256)
    service.fail("POST /embed-v2", 429, FLAT, Retry_After="7200")
    for embedder in (one, other):
        with pytest.raises(EmbedderBusy):
            embedder.embed_text("a red car")
    assert len(service.asked("POST /embed-v2")) == 1


def test_a_query_does_not_wait_for_hours_when_the_service_is_closed_for_hours(
    make: Make, service: StandIn, clock: Clock
) -> None:
    embedder = make()
    service.fail("POST /embed-v2", 429, FLAT, Retry_After="7200")
    for _ in range(2):
        with pytest.raises(EmbedderBusy):
            embedder.embed_text("a red car")
    assert clock.now == 0
    assert len(service.asked("POST /embed-v2")) == 1


# Charges


def charges(progress: Recorder) -> list[Charge]:
    return [seen.charge for seen in progress.seen if seen.charge is not None]


def test_a_charge_is_told_before_the_task_and_again_with_its_id(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    tasks_at_charge: list[int] = []

    def note(seen: Progress) -> None:
        progress(seen)
        if seen.charge is not None:
            tasks_at_charge.append(len(service.asked("POST /embed-v2/tasks")))
            assert seen.checkpoint["charge_id"] == seen.charge.id
            assert seen.checkpoint["asked_at"]

    embed(make(), on_progress=note)
    before, after = charges(progress)
    assert tasks_at_charge == [0, 1]
    assert before == Charge(before.id)
    assert after == Charge(before.id, task_id=next(iter(service.tasks)))


def test_every_video_has_a_charge_of_its_own(make: Make, progress: Recorder) -> None:
    embedder = make()
    embed(embedder, on_progress=progress)
    embed(embedder, BLUE_BOAT, on_progress=progress)
    assert len({charge.id for charge in charges(progress)}) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 413, 429])
def test_a_refused_task_is_not_charged(
    make: Make, service: StandIn, progress: Recorder, status: int
) -> None:
    service.fail("POST /embed-v2/tasks", status, FLAT, times=99)
    with pytest.raises(EmbedderError):
        embed(make(), on_progress=progress)
    told = charges(progress)
    assert len({charge.id for charge in told}) == 1
    assert [charge.void for charge in told] == [False] * (len(told) - 1) + [True]
    assert progress.checkpoint["asked_at"] == progress.checkpoint["charge_id"] == ""


@pytest.mark.parametrize("fault", ["dropped before work", "dropped after work", 500, 503])
def test_a_task_whose_answer_is_unclear_stays_under_its_charge(
    make: Make, service: StandIn, progress: Recorder, fault: Any
) -> None:
    if isinstance(fault, int):
        service.fail("POST /embed-v2/tasks", fault, times=99)
    else:
        service.misbehave("POST /embed-v2/tasks", Fault(connection=fault), 99)
    service.hide_tasks = True

    def killed_on_waiting(seen: Progress) -> None:
        progress(seen)
        if seen.note:
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=killed_on_waiting)
    service.forgive()
    service.hide_tasks = False
    assert embed(make(), resume=progress.checkpoint, on_progress=progress)
    told = charges(progress)
    assert len({charge.id for charge in told}) == 1
    assert not any(charge.void for charge in told)
    assert told[-1].task_id == next(iter(service.tasks))
    assert len(service.tasks) == 1


def test_a_task_that_failed_in_passing_stays_charged_and_the_next_has_a_charge_of_its_own(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.task_failure = "The embedding task failed. Please try again later."
    with pytest.raises(EmbedderUnavailable):
        embed(make(), on_progress=progress)
    service.task_failure = ""
    embed(make(), resume=progress.checkpoint, on_progress=progress)
    told = charges(progress)
    assert not any(charge.void for charge in told)
    assert {charge.task_id for charge in told} - {""} == set(service.tasks)
    assert len({charge.id for charge in told}) == 2


def test_a_budget_that_refuses_the_charge_leaves_nothing_asked_for_and_no_place_taken(
    make: Make, service: StandIn, clock: Clock, progress: Recorder
) -> None:
    embedder = make(parallel_tasks=1, requests_per_minute=1)

    def refuse(seen: Progress) -> None:
        if seen.charge is not None:
            raise BudgetExceeded("The budget is used up.")
        progress(seen)

    for _ in range(3):
        with pytest.raises(BudgetExceeded):
            embed(embedder, on_progress=refuse, resume=progress.checkpoint)
    assert not progress.checkpoint.get("asked_at")
    assert service.asked("POST /embed-v2/tasks") == []
    embed(embedder, resume=progress.checkpoint)
    assert len(service.tasks) == 1
    assert clock.now < 60


def test_a_job_cancelled_at_its_charge_is_not_charged(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    def cancel(seen: Progress) -> None:
        progress(seen)
        if seen.charge is not None:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=cancel)
    assert [charge.void for charge in charges(progress)] == [False, True]
    assert service.asked("POST /embed-v2/tasks") == []


def test_an_unanswered_task_is_found_on_a_later_page_of_the_list(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.misbehave("POST /embed-v2/tasks", Fault(connection="dropped after work"))

    def killed_on_waiting(seen: Progress) -> None:
        progress(seen)
        if service.tasks:
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), on_progress=killed_on_waiting)
    (wanted,) = service.tasks
    busy = make(parallel_tasks=100, requests_per_minute=1000)
    for number in range(100):
        with suppress(EmbedderError):
            embed(busy, f"https://media.example.com/{number}.mp4")
    service.requests.clear()
    embed(make(), resume=progress.checkpoint, on_progress=progress)
    assert progress.checkpoint["task_id"] == wanted
    assert [call.query["page"] for call in service.asked("GET /embed-v2/tasks")] == ["1", "2", "3"]


# Files in chunks


@pytest.fixture(scope="session")
def heavy(folder: Path, silent: Path) -> Path:
    """A playable video of 205 MB that takes little room on disk: the rest of it is a hole."""
    path = folder / "heavy snow.mp4"
    path.write_bytes(silent.read_bytes())
    padding = 205_000_000 - path.stat().st_size
    with path.open("ab") as file:
        file.write(padding.to_bytes(4, "big") + b"free")
        file.truncate(205_000_000)
    return path


def chunks_sent(service: StandIn) -> list[int]:
    return [int(request.path.rsplit("/", 1)[-1]) for request in service.asked(CHUNK)]


def test_a_large_file_goes_in_chunks_straight_from_its_place(
    make: Make, service: StandIn, heavy: Path, progress: Recorder
) -> None:
    tracemalloc.start()
    try:
        assert embed(make(), heavy, None, on_progress=progress)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
    assert sorted(chunks_sent(service)) == list(range(1, 14))
    assert {request.key for request in service.asked(CHUNK)} == {""}
    (asset,) = service.assets.values()
    assert asset.size == 205_000_000
    assert asset.medium is not None
    assert list(heavy.parent.glob("*chunk*")) == []
    told = [p.fraction for p in progress.seen if p.stage is Stage.UPLOADING and p.fraction]
    assert told == sorted(told)
    assert told[-1] > 0.9


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=403, content=b"<Error><Code>AccessDenied</Code></Error>"),
        Fault(connection="dropped before work"),
        Fault(connection="dropped after work"),
        Fault(),  # no ETag
    ],
    ids=["500", "expired", "dropped before", "dropped after", "no ETag"],
)
def test_a_chunk_that_did_not_arrive_is_sent_again_to_a_new_address(
    make: Make, service: StandIn, heavy: Path, fault: Fault
) -> None:
    service.misbehave(CHUNK, fault)
    assert embed(make(), heavy, None)
    assert len(service.assets) == 1
    assert len(chunks_sent(service)) <= 14


def test_an_upload_in_chunks_goes_on_where_it_was_when_the_process_ended(
    make: Make, service: StandIn, heavy: Path, progress: Recorder
) -> None:
    def killed_half_way(seen: Progress) -> None:
        progress(seen)
        if len(chunks_sent(service)) == 8:
            service.expire_chunk_urls()
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), heavy, None, on_progress=killed_half_way)
    begun = json.loads(progress.checkpoint["upload"])
    assert embed(make(), heavy, None, resume=progress.checkpoint, on_progress=progress)
    assert len(service.asked("POST /assets/multipart-uploads")) == 1
    # Five were reported together; those that were not reported yet go again.
    assert sorted(set(chunks_sent(service)[8:])) == list(range(6, 14))
    assert progress.checkpoint["asset_id"] == begun["asset_id"]
    assert progress.checkpoint["upload"] == ""
    assert len(service.tasks) == 1


def test_an_upload_that_the_service_no_longer_knows_begins_again(
    make: Make, service: StandIn, heavy: Path, progress: Recorder
) -> None:
    def killed_at_once(seen: Progress) -> None:
        progress(seen)
        if seen.checkpoint.get("upload"):
            raise JobCancelled("The process ended.")

    with pytest.raises(JobCancelled):
        embed(make(), heavy, None, on_progress=killed_at_once)
    service.expire_uploads()
    assert embed(make(), heavy, None, resume=progress.checkpoint)
    assert len(service.asked("POST /assets/multipart-uploads")) == 2


# Tidying up


@pytest.mark.parametrize("keep", [False, True])
def test_the_uploaded_file_is_deleted_unless_it_is_to_be_kept(
    make: Make, service: StandIn, silent: Path, progress: Recorder, keep: bool
) -> None:
    embedder = make(keep_assets=keep)
    embed(embedder, silent, None, on_progress=progress)
    embedder.tidy(progress.checkpoint)
    assert len(service.assets) == int(keep)
    assert [call.query for call in service.asked("DELETE /assets/{id}")] == (
        [] if keep else [{"force": "true"}]
    )


def test_nothing_is_deleted_where_nothing_was_uploaded(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    embedder = make()
    embed(embedder, on_progress=progress)
    embedder.tidy(progress.checkpoint)
    assert service.asked("DELETE /assets/{id}") == []


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500])
def test_a_file_that_cannot_be_deleted_harms_nobody(
    make: Make, service: StandIn, clock: Clock, status: int
) -> None:
    service.fail("DELETE /assets/{id}", status, FLAT, times=99, Retry_After="3600")
    make().tidy({"asset_id": "64f8d2c7e4a1b37f"})
    assert clock.now <= 10


# Failures


NESTED = {"error": {"code": "some_code", "message": "Here is why."}}
FLAT = {"code": "some_code", "message": "Here is why."}
EXPECTED = {
    400: UnsupportedMedia,
    401: EmbedderRejected,
    402: QuotaExceeded,
    403: EmbedderRejected,
    404: (UnsupportedMedia, ResultExpired),
    408: EmbedderUnavailable,
    413: UnsupportedMedia,
    429: EmbedderBusy,
    500: EmbedderUnavailable,
    502: EmbedderUnavailable,
    503: EmbedderUnavailable,
}


def use(embedder: TwelveLabsEmbedder, endpoint: str, source: str | Path) -> None:
    """Does something that calls `endpoint`."""
    if endpoint == "POST /embed-v2":
        embedder.embed_text("a red car")
    else:
        embed(embedder, source, None)


@pytest.mark.parametrize("status", EXPECTED)
@pytest.mark.parametrize(
    "endpoint",
    [
        "POST /embed-v2",
        "POST /assets",
        "GET /assets/{id}",
        "POST /embed-v2/tasks",
        "GET /embed-v2/tasks/{id}",
    ],
)
def test_every_status_in_either_shape_is_one_of_ours(
    make: Make, service: StandIn, silent: Path, endpoint: str, status: int
) -> None:
    embedder = make()
    for body in (NESTED, FLAT):
        service.fail(endpoint, status, body, times=50)
        with pytest.raises(EXPECTED[status]) as caught:
            use(embedder, endpoint, silent)
        service.forgive()
        if status in {400, 413}:
            assert "Here is why." in caught.value.message


@pytest.mark.parametrize("status", range(400, 600))
def test_any_status_with_any_body_is_translated_without_headers_or_key(status: int) -> None:
    from twelvelabs.core.api_error import ApiError
    from twelvelabs.types.error_response import ErrorResponse

    said = f"the key {KEY} is bad"
    bodies: list[object] = [
        None,
        "",
        "<html><body>Bad gateway</body></html>",
        ["what"],
        {"message": said},
        {"error": {"code": "x", "message": said}},
        {"error": said},
        ErrorResponse(error={"code": "x", "message": said}),  # type: ignore[arg-type]
    ]
    for body in bodies:
        headers = {"x-secret": "header-value", "retry-after": "soon"}
        ours = translate(ApiError(status_code=status, headers=headers, body=body), KEY)
        assert isinstance(ours, EmbedderError)
        assert ours.message
        assert ours.hint
        for secret in (KEY, "header-value", "ApiError", "<html>"):
            assert secret not in str(ours)


def transport_errors(kind: type[httpx.TransportError]) -> set[type[httpx.TransportError]]:
    return {kind}.union(*(transport_errors(inner) for inner in kind.__subclasses__()))


@pytest.mark.parametrize(
    "kind", sorted(transport_errors(httpx.TransportError), key=lambda kind: kind.__name__)
)
def test_any_failure_of_the_connection_means_unavailable(kind: type[httpx.TransportError]) -> None:
    ours = translate(kind("details nobody should see"))
    assert type(ours) is EmbedderUnavailable
    assert "details" not in str(ours)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("usage_limit_exceeded", 400, QuotaExceeded),
        ("usage_limit_exceeded", 403, QuotaExceeded),
        ("usage_limit_exceeded", 429, QuotaExceeded),
        ("read_not_allowed", 403, ResultExpired),
        ("too_many_requests", 429, EmbedderBusy),
    ],
)
def test_some_codes_mean_more_than_their_status(
    make: Make, service: StandIn, code: str, status: int, expected: type[SeekpointError]
) -> None:
    service.fail(
        "POST /embed-v2", status, {"code": code, "message": "Not enough free credit"}, times=9
    )
    with pytest.raises(expected) as caught:
        make().embed_text("a red car")
    if code == "read_not_allowed":
        assert "another account" in caught.value.message


def test_the_wait_the_service_asks_for_is_kept(make: Make, service: StandIn, clock: Clock) -> None:
    service.fail("POST /embed-v2", 429, FLAT, Retry_After="42")
    make().embed_text("a red car")
    assert clock.slept == [42.0]


def test_a_wait_may_be_given_as_a_date(make: Make, service: StandIn, clock: Clock) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    service.fail("POST /embed-v2", 429, FLAT, Retry_After=when)
    make().embed_text("a red car")
    assert 80 <= clock.slept[0] <= 90


@pytest.mark.parametrize("connection", ["dropped before work", "dropped after work", "cut in half"])
def test_a_query_survives_a_broken_connection(
    make: Make, service: StandIn, clock: Clock, connection: Any
) -> None:
    service.misbehave("POST /embed-v2", Fault(connection=connection))
    assert make().embed_text("a red car").shape == (512,)
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "content", [b"<html>maintenance</html>", b"", b"{", b"[]", b'{"data": 7}', b"\xff"]
)
@pytest.mark.parametrize(
    "endpoint", ["POST /embed-v2", "POST /embed-v2/tasks", "GET /embed-v2/tasks/{id}"]
)
def test_an_answer_that_is_no_answer_means_unavailable(
    make: Make, service: StandIn, endpoint: str, content: bytes
) -> None:
    service.misbehave(endpoint, Fault(content=content, headers={"Content-Type": "text/html"}), 50)
    with pytest.raises(EmbedderUnavailable):
        use(make(), endpoint, RED_CAR)


def test_a_service_that_is_not_there_means_unavailable(make: Make) -> None:
    with pytest.raises(EmbedderUnavailable, match="cannot be reached"):
        make(twelvelabs_base_url="http://127.0.0.1:9/v1.3").embed_text("a red car")


def spoiled(**changes: object) -> Callable[[list[Json]], list[Json]]:
    return lambda rows: [{**rows[0], **changes}, *rows[1:]]


BAD_ROWS = {
    "NaN": lambda rows: spoiled(embedding=[float("nan"), *rows[0]["embedding"][1:]])(rows),
    "infinite": lambda rows: spoiled(embedding=[float("inf"), *rows[0]["embedding"][1:]])(rows),
    "short": lambda rows: spoiled(embedding=rows[0]["embedding"][:-1])(rows),
    "zero": spoiled(embedding=[0.0] * 512),
    "empty vector": spoiled(embedding=[]),
    "null": spoiled(embedding=None),
    "a string": spoiled(embedding="vector"),
    "nothing": lambda _: [],
}
BAD_SEGMENTS = {
    **BAD_ROWS,
    "an option nobody asked for": spoiled(embedding_option="fused"),
    "no option": spoiled(embedding_option=None),
    "a negative start": spoiled(start_sec=-1.0),
    "no start": spoiled(start_sec=None),
    "an end before the start": spoiled(start_sec=9.0, end_sec=8.0),
    "an infinite end": spoiled(end_sec=float("inf")),
    "an end behind the video": spoiled(end_sec=31.0),
    "one segment twice": lambda rows: [*rows, rows[0]],
    "no audio": lambda rows: [row for row in rows if row["embedding_option"] == "visual"],
    "no visual": lambda rows: [row for row in rows if row["embedding_option"] == "audio"],
    "rows of the whole file only": lambda rows: [{**r, "embedding_scope": "asset"} for r in rows],
}


@pytest.mark.parametrize("spoil", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_query_vector_that_cannot_be_right_is_refused(
    make: Make, service: StandIn, spoil: Callable[[list[Json]], list[Json]]
) -> None:
    embedder = make()
    service.spoil = lambda rows: spoil(rows) or []
    with pytest.raises(EmbedderUnavailable):
        embedder.embed_text("a red car")


@pytest.mark.parametrize("spoil", BAD_SEGMENTS.values(), ids=BAD_SEGMENTS.keys())
def test_a_result_that_cannot_be_right_gives_nothing_at_all(
    make: Make, service: StandIn, spoil: Callable[[list[Json]], list[Json]]
) -> None:
    service.spoil = spoil
    with pytest.raises(EmbedderUnavailable):
        embed(make())
    assert len(service.tasks) == 1


def test_rows_of_other_scopes_are_left_out(make: Make, service: StandIn) -> None:
    service.spoil = lambda rows: [*rows, {**rows[0], "embedding_scope": "asset", "start_sec": 0.0}]
    assert {s.embedding_scope for s in embed(make())} == {"clip"}


def test_a_segment_that_ends_a_little_late_is_clamped(make: Make, service: StandIn) -> None:
    service.spoil = lambda rows: [
        {**row, "end_sec": 30.3} if row["end_sec"] == 30.0 else row for row in rows
    ]
    assert max(segment.end_offset_sec for segment in embed(make())) == 30.0


def test_music_without_speech_is_no_failure(make: Make, service: StandIn) -> None:
    service.spoil = lambda rows: [r for r in rows if r["embedding_option"] != "transcription"]
    segments = embed(make("marengo3.0"))
    assert {s.embedding_option for s in segments} == {"visual", "audio"}


def test_a_failed_task_gives_the_reason_of_the_service(make: Make, service: StandIn) -> None:
    service.task_failure = "failed to fetch or materialize source media"
    with pytest.raises(UnsupportedMedia, match="failed to fetch or materialize source media"):
        embed(make())


def test_a_task_that_failed_in_passing_is_made_anew_on_the_next_run(
    make: Make, service: StandIn, progress: Recorder
) -> None:
    service.task_failure = "The embedding task failed. Please try again later."
    with pytest.raises(EmbedderUnavailable):
        embed(make(), on_progress=progress)
    service.task_failure = ""
    assert embed(make(), resume=progress.checkpoint)
    assert len(service.tasks) == 2


@pytest.mark.parametrize("body", [{}, {"detail": "Not Found"}])
def test_a_stranger_that_knows_no_task_does_not_cost_the_task(
    make: Make, service: StandIn, progress: Recorder, body: dict[str, Any]
) -> None:
    service.fail("GET /embed-v2/tasks/{id}", 404, body, times=1)
    with pytest.raises(EmbedderError) as caught:
        embed(make(), on_progress=progress)
    assert not isinstance(caught.value, UnsupportedMedia)
    assert "TWELVELABS_BASE_URL" in caught.value.hint
    assert embed(make(), resume=progress.checkpoint)
    assert len(service.tasks) == 1


def test_a_file_the_service_cannot_read_is_unsupported(
    make: Make, service: StandIn, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    with pytest.raises(UnsupportedMedia, match="corrupt"):
        embed(make(), broken)
    assert service.tasks == {}


# Key and settings


def test_a_wrong_key_is_rejected_and_never_shown(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(EmbedderRejected) as caught:
        make(twelvelabs_api_key="tlk_wrong").embed_text("a red car")
    assert "TWELVELABS_API_KEY" in caught.value.hint
    assert "tlk_wrong" not in str(caught.value) + caplog.text


def test_each_request_carries_the_key(make: Make, service: StandIn, silent: Path) -> None:
    embed(make(), silent, None)
    assert {request.key for request in service.requests} == {KEY}


@pytest.mark.parametrize("key", ["", "tlk_ü", "tlk a", "tlk\n"])
def test_a_key_that_cannot_be_one_is_a_matter_of_configuration(make: Make, key: str) -> None:
    with pytest.raises(ConfigurationError, match="key|TWELVELABS_API_KEY"):
        make(twelvelabs_api_key=key).embed_text("a red car")


def test_the_environment_cannot_send_the_key_somewhere_else(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWELVELABS_BASE_URL", "https://elsewhere.example.com/v1.3")
    with pytest.raises(ConfigurationError, match="elsewhere"):
        make().embed_text("a red car")


@pytest.mark.parametrize(
    "changes",
    [
        {"twelvelabs_model": "Marengo-retrieval-2.7"},
        {"twelvelabs_dimension": 1024},
        {"segment_sec": 1},
        {"segment_sec": 11},
    ],
)
def test_settings_that_do_not_go_together_are_refused_at_once(make: Make, changes: Json) -> None:
    with pytest.raises(ConfigurationError, match="TWELVELABS|SEEKPOINT"):
        make(**changes)


@pytest.mark.parametrize("words", [501, 2001])
def test_a_text_that_is_too_long_is_to_be_shortened(make: Make, words: int) -> None:
    embedder = make("marengo3.0" if words == 501 else "marengo3.5")
    with pytest.raises(UnsupportedMedia, match="Shorten the text"):
        embedder.embed_text("word " * words)


def test_a_wrong_base_url_is_not_blamed_on_the_text(make: Make, service: StandIn) -> None:
    with pytest.raises(EmbedderError) as caught:
        make(twelvelabs_base_url=service.url.removesuffix("/v1.3")).embed_text("a red car")
    assert "TWELVELABS_BASE_URL" in caught.value.hint


def test_a_span_that_is_empty_is_refused(make: Make, half_minute: Path) -> None:
    for start, end in [(5.0, 5.0), (9.0, 3.0), (-1.0, 3.0), (float("nan"), 3.0), (31.0, 40.0)]:
        with pytest.raises(RecipeError):
            make().embed_clip(half_minute, start, end)


def test_no_room_for_a_clip_is_said_so(
    make: Make, half_minute: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    with pytest.raises(MediaError, match="temporary files"):
        make().embed_clip(half_minute, 2, 4)


def test_a_missing_file_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="lost.mp4"):
        embed(make(), tmp_path / "lost.mp4", None)


def test_the_standin_is_as_strict_as_the_service(service: StandIn) -> None:
    """A stand-in that took everything would prove nothing."""
    ok = {
        "input_type": "video",
        "model_name": "marengo3.5",
        "video": {
            "media_source": {"url": RED_CAR},
            "segmentation": {"temporal": {"strategy": "fixed", "fixed": {"duration_sec": 5}}},
            "embedding_option": ["visual"],
            "embedding_scope": ["clip"],
        },
    }

    def status(path: str, body: Json, **headers: str) -> int:
        return httpx.post(
            f"{service.url}{path}", json=body, headers={"x-api-key": KEY} | headers
        ).status_code

    def changed(**changes: object) -> Json:
        return {**ok, "video": {**ok["video"], **changes}}  # type: ignore[dict-item]

    assert status("/embed-v2/tasks", ok) == 202
    assert status("/embed-v2/tasks", ok, **{"x-api-key": "other"}) == 401
    refused = [
        changed(segmentation={"strategy": "fixed", "fixed": {"duration_sec": 5}}),
        changed(segmentation={"temporal": {"strategy": "fixed", "fixed": {"duration_sec": 11}}}),
        changed(embedding_option=["visual", "transcription"]),
        changed(embedding_option=None),
        changed(embedding_scope=["video"]),
        changed(media_source={"url": RED_CAR, "asset_id": "x"}),
        changed(media_source={"url": "http://127.0.0.1/a.mp4"}),
        changed(media_source={"url": "https://www.youtube.com/watch?v=1"}),
        changed(media_source={"base64_string": "data:video/mp4;base64,AAAA"}),
        ok | {"model_name": "Marengo-retrieval-2.7"},
        ok | {"model_name": "marengo3.0", "embedding_dimension": 512},
        ok | {"surprise": 1},
    ]
    for body in refused:
        assert status("/embed-v2/tasks", body) == 400, json.dumps(body)
    text = {"input_type": "text", "model_name": "marengo3.5", "text": {"input_text": "a"}}
    assert status("/embed-v2", text) == 400
    assert status("/embed-v2", text | {"model_name": "marengo3.0"}) == 200


def test_the_standin_takes_no_file_from_a_client_that_died_sending_it(service: StandIn) -> None:
    request = httpx.Request(
        "POST",
        f"{service.url}/assets",
        headers={"x-api-key": KEY},
        data={"method": "direct"},
        files={"file": ("film.mp4", bytes(1000))},
    )
    lines = [
        f"POST {request.url.path} HTTP/1.1",
        *(f"{n}: {v}" for n, v in request.headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""]).encode()
    with socket.create_connection((request.url.host, request.url.port or 0)) as client:
        client.sendall(head + request.read()[:500])
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert service.assets == {}


@pytest.mark.parametrize(
    ("limit", "dimension", "retry_after"),
    [
        ({"parallel_tasks": 2, "task_seconds": 30.0}, "Task", (28, 30)),
        ({"requests_per_minute": 2}, "Request", (58, 60)),
        ({"minutes_per_hour": 1.0}, "Duration", (3598, 3600)),
    ],
    ids=["tasks", "requests", "minutes"],
)
def test_the_standin_keeps_a_plan_as_the_service_does(
    limit: dict[str, Any], dimension: str, retry_after: tuple[int, int]
) -> None:
    """Two tasks of half a minute are within each of these plans, a third is not."""
    with StandIn(key=KEY, **limit) as service:
        request = marengo("marengo3.0", 512).video({"url": RED_CAR}, ["visual"], 5)
        answers = [
            httpx.post(f"{service.url}/embed-v2/tasks", json=request, headers={"x-api-key": KEY})
            for _ in range(3)
        ]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        refusal = answers[-1].headers
        assert refusal["x-ratelimit-dimensions"] == dimension
        assert retry_after[0] <= int(refusal["retry-after"]) <= retry_after[1]
        report = httpx.get(f"{service.origin}/report").json()
    assert report["too_many"] == 1
    assert report["tasks"] == {RED_CAR: 2}
    assert report["minutes"] == 1.0


def test_calls_that_come_first_at_the_same_time_import_the_sdk_in_one_thread() -> None:
    """Two that import at once can make Python find a deadlock, and a job fail."""
    program = """
import sys, threading
from core import Settings
from core.embedders.twelvelabs_service import Service

importing = set()

class Watch:
    def find_spec(self, name, path, target=None):
        if name.startswith("twelvelabs"):
            importing.add(threading.get_ident())

def first(number):
    together.wait()
    if number % 2:
        service.client.assets
    else:
        with service.translated():
            pass

sys.meta_path.insert(0, Watch())
service, together = Service(Settings(twelvelabs_api_key="tlk_0123456789ABCDEF")), threading.Barrier(8)
threads = [threading.Thread(target=first, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(importing))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["1"]
