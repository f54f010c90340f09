"""Nothing is paid for twice, nothing beyond a budget, and nothing is left half done."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core import BudgetExceeded, Job, Library, Part, Recipe, Stage
from core.models import EmbeddedSegment
from tests.clock import Clock
from tests.contract.conftest import KEY
from tests.contract.standin import Fault, StandIn
from tests.contract.world import (
    TIMEOUT,
    World,
    charged,
    done,
    empty_data,
    rows_stored,
    saved,
    small_video,
    store_of,
)
from tests.media import uploaded
from tests.web import Page, Web

CREATE, POLL = "POST /embed-v2/tasks", "GET /embed-v2/tasks/{id}"
FOR_EVER = 10_000


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_data(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_video(tmp_path_factory.mktemp("clips") / "blue boat.mp4")


@pytest.fixture
def world(
    service: StandIn,
    web: Web,
    clock: Clock,
    tmp_path: Path,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return World(service, web, clock, tmp_path / "data", empty, monkeypatch)


def stages(jobs: list[Job]) -> list[Stage]:
    return [job.stage for job in jobs]


def until(condition: Callable[[], object]) -> None:
    """Returns when the condition holds; fails when it never does."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def begun(world: World, library: Library, source: str | Path, tasks: int = 1) -> Job:
    """A job whose task is at work, and stays so."""
    world.service.polls_needed = FOR_EVER
    (job,) = library.add([source])
    until(lambda: len(world.service.tasks) == tasks and library.jobs()[-1].task_id)
    return job


def cancelled(world: World, library: Library, source: str | Path, *, drop: bool = False) -> Job:
    """A job that was cancelled while its task was at work; the task is then ready."""
    job = begun(world, library, source)
    library.cancel(job.id, drop=drop)
    (job,) = done(library, [job])
    assert job.stage is Stage.CANCELLED
    world.service.polls_needed = 0
    return job


def price_of(library: Library, source: str) -> float:
    price = library.estimate([source]).price
    assert price > 0
    return price


# Nothing twice


def test_one_file_under_two_names_and_one_address_in_two_spellings_are_one_task_each(
    world: World, clip: Path, tmp_path: Path
) -> None:
    copy = shutil.copy(clip, tmp_path / "another name.mp4")
    url = world.url("red-car", clip)
    with world.library() as library:
        jobs = library.add([clip, copy, url, url, f" {url}#t=3"])
        assert len(jobs) == 4
        assert stages(done(library, jobs)) == [Stage.READY] * 4
        assert len(world.service.tasks) == len(charged(library)) == len(library.videos()) == 2
        assert len(saved(library)) == 2


def test_a_known_address_takes_its_new_title_and_category_and_is_entered_as_saved(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        done(library, library.add([url], titles=["One"], category="first"))
        (job,) = done(library, library.add([url], titles=["Two"], category="second"))
        (video,) = library.videos()
        assert (video.title, video.category) == ("Two", "second")
        assert len(world.service.tasks) == len(charged(library)) == 1
        (row,) = saved(library)
        assert (row.job_id, row.price) == (job.id, charged(library)[0].price)
        assert library.spending().saved == row.price


def test_another_segment_length_is_embedded_again_and_the_old_rows_are_gone(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library(segment_sec=4) as library:
        done(library, library.add([url]))
        assert rows_stored(library) == 2
    with world.library(segment_sec=2) as library:
        assert library.estimate([url]).price > 0
        assert stages(done(library, library.add([url]))) == [Stage.READY]
        (video,) = library.videos()
        assert rows_stored(library) == video.segments == 4
        assert len(world.service.tasks) == len(charged(library)) == 2


@pytest.mark.parametrize("kind", ["url", "file"])
def test_what_was_removed_and_is_added_again_is_fetched_not_bought(
    world: World, clip: Path, kind: str
) -> None:
    source = world.url("red-car", clip) if kind == "url" else str(clip)
    with world.library() as library:
        done(library, library.add([source]))
        library.remove(library.videos()[0].id)
        (estimate,) = library.estimate([source]).sources
        assert estimate.price == 0
        assert "fetched, not bought again" in estimate.warning
        assert stages(done(library, library.add([source]))) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == len(saved(library)) == 1
        assert rows_stored(library) == library.videos()[0].segments == 2


@pytest.mark.parametrize("way", ["added", "tried again", "forgotten and added"])
def test_a_cancelled_job_leaves_its_paid_result_to_the_next_one(
    world: World, clip: Path, way: str
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        job = cancelled(world, library, url)
        if way == "tried again":
            library.retry(job.id)
        else:
            if way == "forgotten and added":
                library.forget(job.id)
            (job,) = library.add([url])
        assert stages(done(library, [job])) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 1
        assert len(saved(library)) == (way != "tried again")


def test_a_cancelled_job_whose_result_is_dropped_is_paid_for_again(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        job = cancelled(world, library, url, drop=True)
        assert library.estimate([url]).price > 0
        library.retry(job.id)
        assert stages(done(library, [job])) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 2
        assert saved(library) == []


def test_a_process_that_dies_before_it_drops_a_result_leaves_that_to_the_next_start(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        job = begun(world, library, url)
        library._state.ask_to_cancel(job.id, "drop")
    world.service.polls_needed = 0
    with world.library() as library:
        assert stages(library.jobs()) == [Stage.CANCELLED]
        assert library.estimate([url]).price > 0
        done(library, library.add([url]))
        assert len(world.service.tasks) == len(charged(library)) == 2


def test_a_result_can_be_dropped_after_the_job_was_cancelled(world: World, clip: Path) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        job = cancelled(world, library, url)
        assert library.estimate([url]).price == 0
        library.cancel(job.id, drop=True)
        assert library.estimate([url]).price > 0


def test_a_job_that_was_cancelled_before_its_task_takes_over_that_of_a_later_job(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        world.service.polls_needed = FOR_EVER
        (first,) = library.add([clip])
        until(lambda: world.service.asked("GET /assets/{id}"))
        library.cancel(first.id)
        assert stages(done(library, [first])) == [Stage.CANCELLED]
        world.service.polls_needed = 0
        done(library, library.add([clip]))
        library.remove(library.videos()[0].id)
        library.retry(first.id)
        assert stages(done(library, [first])) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 1


def test_a_task_that_failed_in_passing_is_not_handed_on_to_the_next_job(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    world.service.task_failure = "The embedding task failed. Please try again later."
    with world.library() as library:
        (job,) = done(library, library.add([url]))
        assert job.stage is Stage.FAILED
        library.forget(job.id)
        world.service.task_failure = ""
        assert library.estimate([url]).price > 0
        assert stages(done(library, library.add([url]))) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 2
        assert saved(library) == []


def test_a_running_job_is_adopted_by_the_next_start_with_its_task(world: World, clip: Path) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        begun(world, library, url)
    world.service.polls_needed = 0
    with world.library() as library:
        assert stages(done(library, library.jobs())) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 1
        assert saved(library) == []


def test_an_outage_leaves_one_charge_which_goes_to_the_job_that_gets_the_result(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        world.service.misbehave(CREATE, Fault(503), times=FOR_EVER)
        (first,) = done(library, library.add([url]))
        assert first.stage is Stage.FAILED
        library.forget(first.id)
        world.service.forgive()
        (second,) = done(library, library.add([url]))
        assert second.stage is Stage.READY
        (charge,) = charged(library)
        assert (charge.job_id, charge.task_id) == (second.id, *world.service.tasks)
        assert saved(library) == []


def test_a_running_job_that_finds_another_segment_length_after_a_restart_makes_such_segments(
    world: World, clip: Path
) -> None:
    with world.library(segment_sec=4) as library:
        begun(world, library, world.url("red-car", clip))
    world.service.polls_needed = 0
    with world.library(segment_sec=2) as library:
        assert stages(done(library, library.jobs())) == [Stage.READY]
        assert rows_stored(library) == library.videos()[0].segments == 4
        assert len(world.service.tasks) == len(charged(library)) == 2


# Results that are gone


def test_a_result_that_expired_is_paid_for_again_only_when_somebody_says_so(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        job = cancelled(world, library, url)
        world.service.forget_results()
        library.retry(job.id)
        (job,) = done(library, [job])
        assert (job.stage, job.must_confirm) == (Stage.FAILED, True)
        assert "billed again" in job.hint
        assert library.retry_failed() == 0
        library.retry(job.id)
        assert done(library, [job]) == [job]
        assert len(charged(library)) == 1
        library.retry(job.id, pay_again=True)
        assert stages(done(library, [job])) == [Stage.READY]
        assert len(world.service.tasks) == 1
        assert len(charged(library)) == 2


def test_a_result_that_was_gone_when_it_was_to_be_adopted_has_saved_nothing(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        cancelled(world, library, url)
        world.service.forget_results()
        (job,) = done(library, library.add([url]))
        assert (job.stage, job.must_confirm) == (Stage.FAILED, True)
        assert saved(library) == []
        library.retry(job.id, pay_again=True)
        assert stages(done(library, [job])) == [Stage.READY]
        assert len(charged(library)) == 2
        assert saved(library) == []


# Budgets


def test_the_job_that_would_pass_the_month_is_not_begun_and_goes_on_with_a_larger_budget(
    world: World, clip: Path
) -> None:
    urls = [world.url(name, clip) for name in ("one", "two", "three")]
    with world.library() as library:
        price = price_of(library, urls[0])
        library.set_month_budget(2 * price)
        jobs = library.add(urls)
        assert sorted(stages(done(library, jobs))) == [Stage.QUEUED, Stage.READY, Stage.READY]
        queue = library.queue()
        assert queue.paused == "budget"
        assert "This month has a budget of" in queue.reason
        assert queue.hint == "Raise the month's budget to go on."
        assert len(world.service.tasks) == len(charged(library)) == 2
        library.set_month_budget(3 * price)
        assert library.queue().paused == ""
        assert stages(done(library, jobs)) == [Stage.READY] * 3
        assert library.spending().month == pytest.approx(3 * price)


def test_the_budget_of_the_month_outlives_a_restart(world: World, clip: Path) -> None:
    with world.library(budget_per_month=5.0) as library:
        assert library.spending().month_budget == 5.0
        library.set_month_budget(7.0)
    with world.library(budget_per_month=5.0) as library:
        assert library.spending().month_budget == 7.0
        library.set_month_budget(None)
    with world.library(budget_per_month=5.0) as library:
        assert library.spending().month_budget is None


def test_a_queue_that_the_user_paused_stays_so_when_the_budget_has_room_again(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        library.set_month_budget(0.000001)
        jobs = library.add([world.url("one", clip)])
        done(library, jobs)
        assert library.queue().paused == "budget"
        library.pause()
        library.set_month_budget(None)
        assert library.queue().paused == "user"
        assert stages(done(library, jobs)) == [Stage.QUEUED]
        assert world.service.tasks == {}


def test_a_run_that_spent_its_budget_is_held_while_others_go_on(world: World, clip: Path) -> None:
    urls = [world.url(name, clip) for name in ("one", "two", "three")]
    with world.library() as library:
        price = price_of(library, urls[0])
        jobs = library.add(urls[:2], max_cost=price)
        assert sorted(stages(done(library, jobs))) == [Stage.QUEUED, Stage.READY]
        (held,) = [job for job in library.jobs() if job.stage is Stage.QUEUED]
        assert "This run has a budget of" in held.held
        assert [job.held for job in library.jobs({Stage.READY})] == [""]
        assert library.queue().paused == ""
        assert stages(done(library, library.add(urls[2:]))) == [Stage.READY]
        assert len(world.service.tasks) == len(charged(library)) == 2
        library.raise_run_budget(held.run, 2 * price)
        assert stages(done(library, jobs)) == [Stage.READY] * 2
        assert len(world.service.tasks) == len(charged(library)) == 3


def test_the_budget_per_run_of_the_settings_holds_where_nothing_else_was_said(
    world: World, clip: Path
) -> None:
    with world.library(budget_per_run=0.000001) as library:
        done(library, library.add([world.url("one", clip)]))
        assert "This run has a budget of" in library.jobs()[0].held
        assert world.service.tasks == {}


def test_a_video_of_unknown_length_is_no_matter_for_a_budget(world: World) -> None:
    url = world.unreachable_url("far-away")
    with world.library() as library:
        (job,) = done(library, library.add([url], max_cost=1000.0))
        assert job.stage is Stage.FAILED
        assert "length of this video is unknown" in job.error
        assert "take the budget away" in job.hint
        assert world.service.tasks == {}
        assert charged(library) == []
        library.raise_run_budget(job.run, None)
        assert stages(done(library, library.add([url]))) == [Stage.READY]
        (charge,) = charged(library)
        assert charge.minutes == pytest.approx(4 / 60)
        assert charge.price == pytest.approx(4 / 60 * world.settings.price_per_minute)


def test_a_length_learned_after_a_cancelled_job_gives_its_charge_a_price(world: World) -> None:
    url = world.unreachable_url("far-away")
    with world.library() as library:
        cancelled(world, library, url)
        assert charged(library)[0].price is None
        assert library.spending().unpriced == 1
        assert stages(done(library, library.add([url]))) == [Stage.READY]
        (charge,) = charged(library)
        assert charge.price == pytest.approx(4 / 60 * world.settings.price_per_minute)
        assert library.spending().unpriced == 0
        assert library.spending().saved == pytest.approx(charge.price)


def test_a_length_that_a_review_has_found_counts_when_the_address_is_silent_later(
    world: World, clip: Path
) -> None:
    url = world.url("red-car", clip)
    with world.library() as library:
        found = library.estimate([url])
        world.web.put("/red-car.mp4", Page(b"", "text/plain", 503))
        jobs = library.add(found.sources, max_cost=1000.0)
        assert [(job.stage, job.error) for job in done(library, jobs)] == [(Stage.READY, "")]
        assert charged(library)[0].price == pytest.approx(found.price)


# The queue


def test_a_paused_queue_begins_nothing_also_after_a_restart_until_it_goes_on(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        library.pause()
        jobs = library.add([world.url("one", clip)])
        assert stages(done(library, jobs)) == [Stage.QUEUED]
    with world.library() as library:
        assert library.queue().paused == "user"
        assert stages(done(library, jobs)) == [Stage.QUEUED]
        assert world.service.tasks == {}
        library.resume()
        assert stages(done(library, jobs)) == [Stage.READY]
    with world.library() as library:
        assert library.queue().paused == ""


def test_a_key_that_is_withdrawn_in_mid_run_pauses_the_queue_and_fails_no_job(
    world: World, clip: Path
) -> None:
    urls = [world.url(name, clip) for name in ("one", "two", "three")]
    world.service.polls_needed = FOR_EVER
    with world.library() as library:
        jobs = library.add(urls)
        until(lambda: all(job.task_id for job in library.jobs()))
        world.service.key = "tlk_another"
        jobs += library.add([world.url("four", clip)])
        assert stages(done(library, jobs)) == [Stage.QUEUED] * 4
        queue = library.queue()
        assert queue.paused == "service"
        assert "API Key is either invalid or expired" in queue.reason
        assert "TWELVELABS_API_KEY" in queue.hint
        assert queue.counts == {Stage.QUEUED: 4}
        assert len(charged(library)) == len(world.service.tasks)
    world.service.key, world.service.polls_needed = KEY, 0
    with world.library() as library:
        assert library.queue().paused == ""
        assert stages(done(library, jobs)) == [Stage.READY] * 4
        assert len(world.service.tasks) == len(charged(library)) == 4


def test_jobs_are_begun_by_priority_then_age_and_one_may_be_put_first(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        library.pause()
        a, b, c = library.add([world.url(name, clip) for name in "abc"])
        (d,) = library.add([world.url("d", clip)], priority=1)
        library.prioritise(c.id)
        library.resume()
        jobs = done(library, [a, b, c, d])
        assert stages(jobs) == [Stage.READY] * 4
        began = sorted(jobs, key=lambda job: job.started_at or datetime.max.replace(tzinfo=UTC))
        assert [job.id for job in began] == [c.id, d.id, a.id, b.id]


# What is asked of the service, and left there


def test_a_silent_video_is_not_asked_for_its_sound(world: World, tmp_path: Path) -> None:
    silent = small_video(tmp_path / "quiet.mp4", audio=False)
    url = world.url("silent", silent)
    world.service.media[url] = replace(world.service.media[url], has_audio=False)
    with world.library() as library:
        assert stages(done(library, library.add([silent, url]))) == [Stage.READY] * 2
    options = [request.body["video"]["embedding_option"] for request in world.service.asked(CREATE)]
    assert options == [["visual"], ["visual"]]


@pytest.mark.parametrize("keep_assets", [False, True])
def test_an_uploaded_file_is_deleted_at_the_service_unless_it_is_to_be_kept(
    world: World, clip: Path, keep_assets: bool
) -> None:
    with world.library(keep_assets=keep_assets) as library:
        assert stages(done(library, library.add([clip]))) == [Stage.READY]
    assert len(world.service.assets) == keep_assets


# Queries, and the ledger as a file


def test_queries_are_entered_and_what_the_cache_answers_is_entered_as_saved(
    world: World, clip: Path, picture: bytes
) -> None:
    recipes = {
        "text": Recipe.parse("red car"),
        "image": Recipe((Part.image(picture),)),
        "clip": Recipe((Part.video(clip, start=0.0, end=3.0),)),
    }
    prices = {"text": 0.07 / 1000, "image": 0.10 / 1000, "clip": 0.042 * 3 / 60}
    with world.library() as library:
        done(library, library.add([world.url("red-car", clip)]))
        for recipe in recipes.values():
            library.search(recipe)
        paid = {e.kind: e.price for e in library.ledger() if e.kind != "video"}
        assert paid == pytest.approx(prices)
        assert saved(library) == []
        for recipe in (*recipes.values(), *recipes.values()):
            library.search(recipe)
        assert [entry.calls for entry in saved(library)] == [2, 2, 2]
        assert {entry.kind: entry.price for entry in saved(library)} == pytest.approx(
            {kind: 2 * price for kind, price in prices.items()}
        )
        assert len(library.ledger()) == 1 + 3 + 3


def test_a_query_that_would_pass_the_month_is_not_made(world: World, clip: Path) -> None:
    with world.library(budget_per_month=0.00001) as library:
        with pytest.raises(BudgetExceeded, match="This month has a budget of"):
            library.search("red car")
        assert world.service.requests == []
        assert library.ledger() == []


def test_the_ledger_leaves_as_a_table_that_runs_no_formula(world: World, clip: Path) -> None:
    with world.library() as library:
        done(library, library.add([world.url("red-car", clip)], titles=["=1+1"]))
        library.search("blue sea")
        content = library.ledger_csv()
        assert content.startswith(b"\xef\xbb\xbf")
        first, second = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        assert (first["kind"], first["what"], first["saved"]) == ("video", "'=1+1", "no")
        assert (second["kind"], second["what"]) == ("text", "blue sea")
        assert float(first["price"]) == pytest.approx(charged(library)[0].price, abs=1e-6)
        assert [first["task"]] == list(world.service.tasks)
        assert first["currency"] == "USD"


# What a process that died leaves behind


def test_a_removal_that_was_cut_off_is_finished_by_the_next_start(world: World, clip: Path) -> None:
    with world.library() as library:
        copy = uploaded(library, "boat.mp4", clip.read_bytes())
        done(library, library.add([copy, world.url("red-car", clip)]))
        stays, goes = sorted(library.videos(), key=lambda video: video.title == "boat")
        poster = library.poster(goes.id, 1.0)
        assert poster is not None
        library._state.begin_removal(goes.id)
    with world.library() as library:
        assert library.videos() == [stays]
        assert rows_stored(library) == stays.segments
        assert not poster.parent.exists()
        assert not copy.exists()
        assert library.warning == ""


def test_the_copy_of_a_removed_video_that_another_job_waits_for_stays(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        copy = uploaded(library, "boat.mp4", clip.read_bytes())
        done(library, library.add([copy]))
        library.pause()
        again = library.add([uploaded(library, "boat.mp4", clip.read_bytes())])
        library._state.begin_removal(library.videos()[0].id)
    with world.library() as library:
        assert copy.exists()
        library.resume()
        assert stages(done(library, again)) == [Stage.READY]


def test_rows_and_posters_that_belong_to_no_video_are_gone_after_a_start(
    world: World, clip: Path
) -> None:
    with world.library() as library:
        done(library, library.add([world.url("red-car", clip)]))
        (video,) = library.videos()
        kept = library.poster(video.id, 1.0)
        vector = np.eye(1, library.embedder.dimension, dtype=np.float32)[0]
        with store_of(library) as store:
            store.upsert(
                "0" * 32, "", datetime.now(UTC), [EmbeddedSegment(0.0, 4.0, "visual", vector)]
            )
            assert store.count() == video.segments + 1
        stray = library.settings.data_dir / "posters" / ("0" * 32) / "1000.jpg"
        stray.parent.mkdir(parents=True)
        stray.write_bytes(b"")
    with world.library() as library:
        assert rows_stored(library) == video.segments
        assert library.videos() == [video]
        assert library.warning == ""
        assert kept is not None
        assert kept.exists()
        assert not stray.parent.exists()
