"""Two apps that share a PostgreSQL and a Milvus server share the work, also that of a dead one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pymilvus import MilvusClient
from sqlalchemy import select

from core import Stage
from core.database import UNFINISHED, Database, JobRow
from core.state import NewJob, State
from core.store import VectorStore
from tests.app_server import started_app
from tests.contract.standin import Medium, StandIn
from tests.contract.world import SECONDS, small_video
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
