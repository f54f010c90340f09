"""Apps that share a PostgreSQL and a Milvus server share the work, also that of a dead one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from sqlalchemy import delete, select

from core import Job, Library, Settings, Stage, open_library
from core.database import UNFINISHED, Database, JobRow, ServerRow
from core.state import NewJob, State
from core.store import VectorStore
from tests.app_server import started_app
from tests.contract.standin import Medium, StandIn
from tests.contract.world import SECONDS, small_video
from tests.media import make_video, solid
from tests.unit.test_ingest_races import Gate
from tests.web import Page, Web

KEY = "tlk_0123456789ABCDEF"
MODEL = ("twelvelabs", "marengo3.5", 512)
JOBS = 30
FOR_EVER_SEC = 3600.0
WAIT_SEC = 180.0


def test_two_apps_finish_thirty_jobs_though_one_is_killed_and_pay_for_each_video_once(
    tmp_path: Path, web: Web, postgres_url: str, milvus_server: str
) -> None:
    MilvusClient(milvus_server).create_database("two_apps")
    with (
        StandIn(key=KEY, task_seconds=FOR_EVER_SEC, allow_private_media=True) as service,
        closing(Database(postgres_url)) as database,
    ):
        environment = {
            "SEEKPOINT_EMBEDDER": "twelvelabs",
            "SEEKPOINT_ALLOW_PRIVATE_URLS": "1",
            "TWELVELABS_API_KEY": KEY,
            "TWELVELABS_BASE_URL": service.url,
            "TWELVELABS_REQUESTS_PER_MINUTE": "1000",
            "DATABASE_URL": postgres_url,
            "MILVUS_URI": f"{milvus_server}/two_apps",
        }
        with (
            VectorStore(
                environment["MILVUS_URI"], embedder=MODEL[0], model=MODEL[1], dimension=MODEL[2]
            ) as store,
            started_app(tmp_path / "first", **environment) as first,
            started_app(tmp_path / "second", **environment) as second,
        ):
            state = State(database, collection=store.collection)
            first.wait_until_healthy()
            second.wait_until_healthy()
            state.add_jobs([NewJob(url, url) for url in videos(tmp_path, web, service)])
            wait_until(lambda: len(servers_with_tasks(database)) == 2)
            first.kill()
            left = servers_with_tasks(database)
            service.task_seconds = 0.0
            wait_until(lambda: state.counts() == {Stage.READY: JOBS})

            assert second.process.poll() is None
            assert Counter(task.input for task in service.tasks.values()) == Counter(
                job.source for job in state.jobs()
            )
            begun_again = {job.id for job in state.jobs() if job.attempts == 2}
            assert begun_again in left.values()
            assert {job.attempts for job in state.jobs()} == {1, 2}
            assert store.count() == state.expected_rows() == JOBS * 2


def videos(folder: Path, web: Web, service: StandIn) -> list[str]:
    """The addresses of videos on the web."""
    content = small_video(folder / "clip.mp4").read_bytes()
    urls = [web.put(f"/video{number:02}.mp4", Page(content)) for number in range(JOBS)]
    for url in urls:
        service.media[url] = Medium((Path(url).stem,), SECONDS)
    return urls


def servers_with_tasks(database: Database) -> dict[str, set[str]]:
    """The jobs that each server runs, of the servers that have paid for something."""
    wanted = select(JobRow.server, JobRow.id, JobRow.checkpoint).where(
        JobRow.stage.in_(UNFINISHED), JobRow.server != ""
    )
    with database.session() as session:
        rows = session.execute(wanted).all()
    paying = {server for server, _, checkpoint in rows if checkpoint.get("task_id")}
    return {name: {id_ for server, id_, _ in rows if server == name} for name in paying}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# Two libraries of one process, which know of each other only by the database


@dataclass(frozen=True)
class World:
    """Two servers, and the embedder of both, which stops in the middle of each video."""

    servers: tuple[Library, Library]
    gate: Gate
    folder: Path

    def clip(self, name: str) -> Path:
        """A video of its own."""
        size = (64, 48)
        picture = solid(size, (sum(map(ord, name)) % 256, 90, 30))
        path = self.folder / f"{name}.mp4"
        return make_video(path, seconds=2, size=size, fps=5, audio=False, frame=lambda _: picture)

    def begin(self, name: str) -> tuple[Job, Library, Library]:
        """A job that one of the servers runs; that one, and the other one."""
        (job,) = self.servers[0].add([self.clip(name)])
        self.gate.wait_until_begun()
        row = row_of(self.servers[0], job)
        runner, other = sorted(
            self.servers, key=lambda library: library._state.lease.server != row.server
        )
        return job, runner, other


@pytest.fixture(scope="module")
def two_servers(
    tmp_path_factory: pytest.TempPathFactory, postgres_url_of_module: str, milvus_server: str
) -> Iterator[World]:
    MilvusClient(milvus_server).create_database("two_libraries")
    folder, gate = tmp_path_factory.mktemp("servers"), Gate()
    settings = Settings(
        database_url=postgres_url_of_module,
        milvus_uri=f"{milvus_server}/two_libraries",
        data_dir=folder / "data",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.model_change.create_embedder", lambda *_: gate)
        with open_library(settings) as first, open_library(settings) as second:
            yield World((first, second), gate, folder)
            gate.open.set()


@pytest.fixture
def world(two_servers: World) -> Iterator[World]:
    gate = two_servers.gate
    gate.open.clear()
    gate.paid.clear()
    yield two_servers
    gate.open.set()
    two_servers.servers[0].wait(timeout=WAIT_SEC)
    while gate.begun.acquire(blocking=False):
        pass


def row_of(library: Library, job: Job) -> JobRow:
    with library._database.session() as session:
        return session.get_one(JobRow, job.id)


def stage(library: Library, job: Job) -> Stage:
    found = library.job(job.id)
    assert found is not None
    return found.stage


def test_a_job_is_cancelled_from_the_server_that_does_not_run_it(world: World) -> None:
    job, runner, other = world.begin("cancelled")
    other.cancel(job.id)
    wait_until(lambda: stage(runner, job) is Stage.CANCELLED)


def test_a_pause_and_a_budget_hold_on_every_server(world: World) -> None:
    first, second = world.servers
    first.pause()
    first.set_month_budget(12.5)
    wait_until(lambda: second.queue().paused == "user")
    wait_until(lambda: second.spending().month_budget == 12.5)
    (job,) = first.add([world.clip("paused")])
    second.resume()
    world.gate.open.set()
    wait_until(lambda: stage(first, job) is Stage.READY)
    wait_until(lambda: first.queue().paused == "")


def test_of_four_jobs_of_one_video_on_two_servers_one_pays_and_the_others_find_it(
    world: World,
) -> None:
    first, second = world.servers
    clip = world.clip("wanted")
    jobs = [first.add([clip], titles=[f"title {number}"])[0] for number in range(4)]
    # Two workers each: all four are looked at, and one is let through.
    wait_until(lambda: all(row_of(first, job).video_id for job in jobs))
    assert {row_of(first, job).server for job in jobs} == {
        library._state.lease.server for library in world.servers
    }
    world.gate.wait_until_begun()
    assert not world.gate.begun.acquire(timeout=0.5)
    world.gate.open.set()
    wait_until(lambda: all(stage(first, job) is Stage.READY for job in jobs))
    assert world.gate.paid == [str(clip)]
    for library in (first, second):
        wait_until(lambda library=library: len(library.search("ab").moments) > 0)


def test_a_server_that_hung_too_long_leaves_its_job_to_the_other_one(world: World) -> None:
    job, runner, other = world.begin("left")
    hung = runner._state.lease.server

    def left() -> bool:
        with other._database.session() as session:
            session.execute(delete(ServerRow).where(ServerRow.id == hung))
        other._state.requeue_left(other._queue._running)
        return row_of(other, job).server != hung

    wait_until(left)
    runner._state.lease.renew()  # and it goes on
    world.gate.wait_until_begun()
    world.gate.open.set()
    wait_until(lambda: stage(other, job) is Stage.READY)
    found = other.job(job.id)
    assert found is not None
    assert found.attempts == 2
    assert len(world.gate.paid) == 1
