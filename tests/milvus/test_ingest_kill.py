"""An app that is killed again and again loses no video, and pays for none twice."""

from __future__ import annotations

import math
import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from core import Settings, Stage, media, open_library
from tests.app_server import START_SEC, Server, running_app, started_app
from tests.contract.standin import Json, Medium, Recorded, StandIn
from tests.media import make_video
from tests.web import Page, Web

VIDEOS = 20
KILLS = 20
ANSWER_SEC = 0.1
KEY = "tlk_0123456789ABCDEF"
FOR_EVER_SEC = 3600.0
# Of a killed app, from its first request on.
LONGEST_LIFE_SEC = 0.6
FINISH_SEC = 120.0


class FarService(StandIn):
    """Its answers take a while to arrive, so that a killed app loses some of them; a task takes as
    long as the test wants."""

    def handle(self, request: Recorded) -> tuple[int, Json]:
        answer = super().handle(request)
        time.sleep(ANSWER_SEC)
        return answer

    def finish(self, number: int) -> None:
        """The first so many tasks are done."""
        for task in list(self.tasks.values())[:number]:
            task.began = -math.inf


def test_an_app_killed_twenty_times_finishes_twenty_videos_and_pays_for_each_once(
    tmp_path: Path, web: Web
) -> None:
    chance = random.Random(7)
    with FarService(key=KEY, task_seconds=FOR_EVER_SEC, allow_private_media=True) as service:
        minutes = twenty_videos(tmp_path / "videos", web, service)
        environment = {
            "SEEKPOINT_EMBEDDER": "twelvelabs",
            "SEEKPOINT_DATA_DIR": str(tmp_path / "data"),
            "SEEKPOINT_ALLOW_PRIVATE_URLS": "1",
            "TWELVELABS_API_KEY": KEY,
            "TWELVELABS_BASE_URL": service.url,
            "TWELVELABS_REQUESTS_PER_MINUTE": "1000",
        }
        settings = Settings.from_env(environment, dotenv=None)
        with open_library(settings) as library:
            library.add(list(minutes))

        for earlier in range(KILLS):
            # Fewer than there are videos: every kill interrupts something.
            service.finish(chance.randint(0, earlier))
            with started_app(tmp_path, **environment) as app:
                wait_for_work(service, app)
                time.sleep(chance.uniform(0.0, LONGEST_LIFE_SEC))
                app.kill()

        service.task_seconds = 0.0
        with running_app(tmp_path, **environment) as app:
            wait_until(lambda: stages(settings)["ready"] == VIDEOS, app, FINISH_SEC)

        with open_library(settings) as library:
            assert [job.stage for job in library.jobs()] == [Stage.READY] * VIDEOS
            rows = sum(
                2 * math.ceil(length * 60 / settings.segment_sec) for length in minutes.values()
            )
            assert sum(video.segments for video in library.videos()) == rows
            assert library._store.count() == rows
            assert inputs(service) == Counter(Path(source).stem for source in minutes)
            assert service.assets == {}
            paid = [entry for entry in library.ledger() if not entry.saved]
            assert sorted(entry.task_id for entry in paid) == sorted(service.tasks)
            spent = service.report()["minutes"] * settings.price_per_minute
            assert library.spending().total == pytest.approx(spent)


def twenty_videos(folder: Path, web: Web, service: StandIn) -> dict[str, float]:
    """Ten files and ten addresses in turn, and how many minutes each lasts."""
    folder.mkdir()
    minutes = {}
    for number in range(VIDEOS):
        path = folder / f"video{number:02}.mp4"
        make_video(path, seconds=4 + number / 2, size=(360, 360), fps=5)
        found = media.probe(path)
        source = str(path)
        if number % 2:
            source = web.put(f"/{path.name}", Page(path.read_bytes()))
            service.media[source] = Medium((path.stem,), found.duration, found.has_audio)
        minutes[source] = found.duration / 60
    return minutes


def wait_for_work(service: StandIn, app: Server) -> None:
    before = len(service.requests)
    wait_until(lambda: len(service.requests) > before, app, START_SEC)


def wait_until(condition: Callable[[], bool], app: Server, at_most_sec: float) -> None:
    deadline = time.monotonic() + at_most_sec
    while not condition():
        assert app.process.poll() is None, "the app ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stages(settings: Settings) -> Counter[str]:
    """How many jobs are in each stage, by the records of an app that may run at the same time."""
    with sqlite3.connect(settings.data_dir / "seekpoint.db") as records:
        return Counter(stage for (stage,) in records.execute("SELECT stage FROM jobs"))


def inputs(service: StandIn) -> Counter[str]:
    """How many tasks there are for each video; files have a longer name at the service."""
    names = (Path(task.input).stem for task in service.tasks.values())
    return Counter(re.sub(r"-[0-9a-f]{8}$", "", name) for name in names)
