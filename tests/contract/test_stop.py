"""The real app is asked to end while a video is embedded and a file comes in: nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from components.links import Links, secret_of
from core import Settings, open_library
from tests.app_server import Server, running_app
from tests.contract.conftest import KEY
from tests.contract.standin import StandIn
from tests.contract.world import small_video

MEGABYTE = 1 << 20
WAIT_SEC = 60


class Film:
    """Bytes on their way to the app: two megabytes leave, the rest is held back."""

    def __init__(self) -> None:
        self.content = os.urandom(4 * MEGABYTE)
        self._held = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield self.content[: 2 * MEGABYTE]
        self._held.wait(WAIT_SEC)
        yield self.content[2 * MEGABYTE :]

    def let_go(self) -> None:
        self._held.set()


def begin_upload(app: Server, headers: dict[str, str], film: Film) -> tuple[str, threading.Thread]:
    """An upload of which a part has arrived, and the request that is still open."""
    announced = {"Upload-Name": "film.mp4", "Upload-Length": str(len(film.content))}
    answer = httpx.post(f"{app.url}/upload", headers=headers | announced, timeout=WAIT_SEC)
    upload_url = f"{app.url}/upload/{answer.json()['id']}"

    def send() -> None:
        try:
            sent = headers | {"Upload-Offset": "0", "Content-Length": str(len(film.content))}
            httpx.patch(upload_url, headers=sent, content=iter(film), timeout=WAIT_SEC)
        except httpx.HTTPError:
            pass  # the app has ended

    sending = threading.Thread(target=send)
    sending.start()
    until = time.monotonic() + WAIT_SEC
    while httpx.get(upload_url, headers=headers, timeout=WAIT_SEC).json()["received"] == 0:
        assert time.monotonic() < until
    return answer.json()["id"], sending


def watch(app: Server) -> None:
    """What a busy app says to whoever watches it, past all that Streamlit answers by itself."""
    ready = httpx.get(f"{app.url}/readyz", timeout=WAIT_SEC)
    assert (ready.status_code, ready.json()["seekpoint"]) == (200, "ready")
    assert httpx.get(f"{app.url}/readyz/x", timeout=WAIT_SEC).status_code == 404
    metrics = httpx.get(
        f"{app.url}/metrics", headers={"Authorization": "Bearer metrics-token"}, timeout=WAIT_SEC
    )
    assert 'seekpoint_info{embedder="twelvelabs"' in metrics.text
    assert 'seekpoint_jobs{stage="ready"} 0.0' in metrics.text


def test_it_ends_at_once_and_job_and_upload_go_on_where_they_were(tmp_path: Path) -> None:
    video = small_video(tmp_path / "video.mp4")
    film = Film()
    with StandIn(key=KEY, task_seconds=600) as service:
        environment = {
            "SEEKPOINT_EMBEDDER": "twelvelabs",
            "TWELVELABS_API_KEY": KEY,
            "TWELVELABS_BASE_URL": service.url,
            "SEEKPOINT_METRICS_TOKEN": "metrics-token",
        }
        settings = Settings(
            embedder="twelvelabs",
            twelvelabs_api_key=KEY,
            twelvelabs_base_url=service.url,
            data_dir=tmp_path / "app" / "data",
        )
        with open_library(settings) as library:
            (job,) = library.add([video])
        with running_app(tmp_path / "app", **environment) as app:
            headers = {"Upload-Token": Links(secret_of(settings)).upload_token()}
            upload_id, sending = begin_upload(app, headers, film)
            until = time.monotonic() + WAIT_SEC
            while not service.tasks:
                assert time.monotonic() < until
                time.sleep(0.02)
            watch(app)
            app.process.terminate()
            # With the upload held back it would go on for ever if it waited for it.
            app.process.wait(timeout=WAIT_SEC)
            film.let_go()
            sending.join(WAIT_SEC)
        log = (settings.data_dir / "logs" / "seekpoint.log").read_text(encoding="utf-8")
        assert f" core.ingest job={job.id}: " in log

        service.task_seconds = 0
        with open_library(settings) as library:
            received = library.uploads.get(upload_id).received
            assert received > 0
            library.uploads.append(upload_id, received, film.content[received:])
            copy = library.uploads.finish(upload_id)
            assert Path(copy).read_bytes() == film.content
            assert [job.stage for job in library.wait(timeout=WAIT_SEC)] == ["ready"]
    assert len(service.tasks) == 1
