"""A list of 200 addresses through the whole library, at a service that keeps a plan's limits.

`python -m benchmarks.ingest` prints how long it takes until all can be searched, over the ideal
schedule for those limits, and beside it a loop that asks for one video after the other. It takes
about four minutes. The service is the stand-in of the contract tests, as a process of its own.

The ideal schedule begins each task at the first moment at which a place is free and fewer than 60
tasks were begun in the minute before; looking at videos, asking and storing take no time in it.
"""

from __future__ import annotations

import heapq
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx

from core import Job, Settings, Stage, open_library
from tests.media import make_video
from tests.web import Page, Web

VIDEOS = 200
PLACES = 5
TASKS_PER_MINUTE = 60
# Five places alone would allow 75 tasks a minute, so now the one limit holds, now the other.
TASK_SEC = 4.0
VIDEO_SEC = 30.0
TARGET = 1.05
# The loop is measured on few videos: it takes the same time for each.
LOOPED = 10
LOOP_POLL_SEC = 2.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Web() as web:
        content = make_video(Path(folder) / "v.mp4", seconds=VIDEO_SEC, fps=10).read_bytes()
        sources = [web.put(f"/{number:03}.mp4", Page(content)) for number in range(VIDEOS)]
        with limited_service() as service:
            taken, jobs = ingested(sources, service, Path(folder) / "data")
            refused = service.report()["too_many"]
        with limited_service() as service:
            looped = one_after_the_other(sources[:LOOPED], service) / LOOPED
    ideal = ideal_sec(VIDEOS)
    print(
        f"{VIDEOS} videos, {PLACES} tasks at once, {TASKS_PER_MINUTE} a minute, {TASK_SEC:g} s each"
    )
    print(f"ideal schedule     {ideal:8.1f} s")
    print(f"Seekpoint          {taken:8.1f} s   ratio {taken / ideal:.3f}, target {TARGET}")
    print(f"one after another  {looped * VIDEOS:8.1f} s   from {looped:.2f} s for each of {LOOPED}")
    print(f"refused with 429   {refused:6}")
    print_own_share(jobs)


@dataclass(frozen=True)
class Service:
    url: str

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = httpx.get(httpx.URL(self.url).join("/report")).json()
        return report


@contextmanager
def limited_service() -> Iterator[Service]:
    """The stand-in with the limits above."""
    limits = {
        "--parallel-tasks": PLACES,
        "--requests-per-minute": TASKS_PER_MINUTE,
        "--task-seconds": TASK_SEC,
        "--polls": 0,
        "--port": 0,
    }
    command = [sys.executable, "-m", "tests.contract.standin", "--allow-private-media"]
    command += [str(word) for limit in limits.items() for word in limit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            yield Service(said.split("TWELVELABS_BASE_URL=")[1].split()[0])
        finally:
            process.terminate()


def ingested(
    sources: Sequence[str], service: Service, data_dir: Path
) -> tuple[float, Sequence[Job]]:
    """Seconds from adding them until all are ready, and their jobs."""
    settings = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key="any",
        twelvelabs_base_url=service.url,
        data_dir=data_dir,
        parallel_tasks=PLACES,
        requests_per_minute=TASKS_PER_MINUTE,
        allow_private_urls=True,
    )
    with open_library(settings) as library:
        begun = time.perf_counter()
        jobs = library.wait(library.add(sources))
        taken = time.perf_counter() - begun
    if any(job.stage is not Stage.READY for job in jobs):
        raise SystemExit("not every video became ready")
    return taken, jobs


def one_after_the_other(sources: Sequence[str], service: Service) -> float:
    """Seconds for a loop that begins a task, asks every two seconds for it, and goes on."""
    from twelvelabs import TwelveLabs

    client = TwelveLabs(api_key="any", base_url=service.url)
    begun = time.perf_counter()
    for source in sources:
        video: Any = {
            "media_source": {"url": source},
            "segmentation": {"temporal": {"strategy": "fixed", "fixed": {"duration_sec": 4}}},
            "embedding_option": ["visual", "audio"],
            "embedding_scope": ["clip"],
        }
        task_id = client.embed.v_2.tasks.create(
            input_type="video", model_name="marengo3.5", video=video
        ).id
        while client.embed.v_2.tasks.retrieve(task_id).status != "ready":
            time.sleep(LOOP_POLL_SEC)
    return time.perf_counter() - begun


def ideal_sec(videos: int) -> float:
    """The least time in which the limits let so many tasks be done."""
    begins: list[float] = []
    free = [0.0] * PLACES
    for number in range(videos):
        minute_later = begins[number - TASKS_PER_MINUTE] + 60 if number >= TASKS_PER_MINUTE else 0.0
        begins.append(max(heapq.heappop(free), minute_later))
        heapq.heappush(free, begins[-1] + TASK_SEC)
    return max(free)


def print_own_share(jobs: Sequence[Job]) -> None:
    """What the service had no part in, for each video; its tasks hide most of it."""

    def seconds(stage: Stage) -> float:
        return fmean(job.stage_seconds.get(stage, 0.0) for job in jobs)

    looking, storing = seconds(Stage.PROBING), seconds(Stage.STORING)
    late = seconds(Stage.EMBEDDING) - TASK_SEC
    print(
        f"own share          {looking + late + storing:8.2f} s   for each video: {looking:.2f} to look "
        f"at it, {late:.2f} to notice and read its result, {storing:.2f} to store it"
    )


if __name__ == "__main__":
    main()
