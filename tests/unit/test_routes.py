"""The HTTP routes: Range, who is let in, what is said when there is nothing, and no waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import streamlit as st
from starlette.applications import Starlette

from components.links import Links
from components.routes import POSTERS_AT_ONCE, routes
from core.errors import StoreLocked
from core.models import Video
from core.settings import Settings

CONTENT = bytes(range(256)) * 4


@dataclass
class Shelf:
    """Files by video id; `wait` holds posters back until it is set."""

    files: dict[str, Path] = field(default_factory=dict)
    posters: dict[str, Path] = field(default_factory=dict)
    wait: threading.Event | None = None
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def media_path(self, video_id: str) -> Path | None:
        return self.files.get(video_id)

    def poster(self, video_id: str, second: float) -> Path | None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        if self.wait is not None:
            self.waiting.release()
            assert self.wait.wait(30)
        with self.lock:
            self.running -= 1
        return self.posters.get(f"{video_id} {second}")


def video(video_id: str) -> Video:
    return Video(
        video_id, "", f"file:///{video_id}", None, "", "", 1, datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(Settings(data_dir=tmp_path / "data"))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "a film.mp4").write_bytes(CONTENT)
    (tmp_path / "page.html").write_bytes(b"<script>alert(1)</script>")
    (tmp_path / "poster.jpg").write_bytes(b"jpeg")
    return Shelf(
        files={
            "film": tmp_path / "a film.mp4",
            "page": tmp_path / "page.html",
            "moved": tmp_path / "moved.mp4",
            "folder": tmp_path,
        },
        posters={"film 1.5": tmp_path / "poster.jpg", "film 2.0": tmp_path / "moved.jpg"},
    )


Client = Callable[[], httpx.AsyncClient]


@pytest.fixture
def client(shelf: Shelf, links: Links) -> Client:
    app = Starlette(routes=routes(lambda: shelf, lambda: links))
    return lambda: httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://seekpoint"
    )


def ask(
    client: Client, method: str, url: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    async def once() -> httpx.Response:
        async with client() as session:
            return await session.request(method, url, headers=headers)

    return asyncio.run(once())


def test_a_video_is_served_whole_with_headers_that_keep_it_private(
    client: Client, links: Links
) -> None:
    answer = ask(client, "GET", links.video_url(video("film")))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    ("asked", "answered", "content"),
    [
        ("bytes=10-19", "bytes 10-19/1024", CONTENT[10:20]),
        ("bytes=1000-", "bytes 1000-1023/1024", CONTENT[1000:]),
        ("bytes=-4", "bytes 1020-1023/1024", CONTENT[-4:]),
    ],
)
def test_a_range_of_a_video_is_served_alone(
    client: Client, links: Links, asked: str, answered: str, content: bytes
) -> None:
    answer = ask(client, "GET", links.video_url(video("film")), {"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (206, answered)
    assert answer.content == content


def test_a_range_past_the_end_is_refused(client: Client, links: Links) -> None:
    answer = ask(client, "GET", links.video_url(video("film")), {"Range": "bytes=5000-"})
    assert answer.status_code == 416


def test_head_gives_the_size_without_the_content(client: Client, links: Links) -> None:
    answer = ask(client, "HEAD", links.video_url(video("film")))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CONTENT))


def test_no_file_is_ever_served_as_a_page(client: Client, links: Links) -> None:
    answer = ask(client, "GET", links.video_url(video("page")))
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("video_id", ["unknown", "moved", "folder"])
def test_a_video_that_is_gone_is_not_found(client: Client, links: Links, video_id: str) -> None:
    answer = ask(client, "GET", links.video_url(video(video_id)))
    assert (answer.status_code, answer.text) == (404, "This video is no longer on the server.")


@pytest.mark.parametrize("end", ["x", "", "%00"])
def test_a_tampered_link_is_forbidden(client: Client, links: Links, end: str) -> None:
    url = links.video_url(video("film"))
    assert ask(client, "GET", url[:-1] + end).status_code == 403
    poster = links.poster_url(video("film"), 1.5).replace("/1500.jpg", f"{end}x/1500.jpg")
    assert ask(client, "GET", poster).status_code == 403


def test_a_poster_token_does_not_open_the_video(client: Client, links: Links) -> None:
    token = links.poster_url(video("film"), 1.5).split("/")[2]
    assert ask(client, "GET", f"/video/{token}").status_code == 403


def test_a_poster_is_a_jpeg_that_may_be_kept(client: Client, links: Links) -> None:
    answer = ask(client, "GET", links.poster_url(video("film"), 1.5))
    assert (answer.content, answer.headers["content-type"]) == (b"jpeg", "image/jpeg")
    assert answer.headers["cache-control"] == "private, max-age=86400"


@pytest.mark.parametrize(("video_id", "second"), [("film", 9.0), ("film", 2.0), ("unknown", 1.0)])
def test_a_poster_that_cannot_be_made_is_a_placeholder_for_a_short_while(
    client: Client, links: Links, video_id: str, second: float
) -> None:
    answer = ask(client, "GET", links.poster_url(video(video_id), second))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "private, max-age=60"


def test_slow_posters_are_few_at_a_time_and_hold_up_nothing_else(
    client: Client, links: Links, shelf: Shelf
) -> None:
    shelf.wait = threading.Event()

    async def crowd() -> list[int]:
        async with client() as session:
            posters = [
                asyncio.create_task(session.get(links.poster_url(video("film"), second)))
                for second in range(3 * POSTERS_AT_ONCE)
            ]
            for _ in range(POSTERS_AT_ONCE):
                assert await asyncio.to_thread(shelf.waiting.acquire, timeout=30)
            meanwhile = await session.get(links.video_url(video("film")))
            assert meanwhile.content == CONTENT
            assert shelf.wait is not None
            shelf.wait.set()
            return [answer.status_code for answer in await asyncio.gather(*posters)]

    assert asyncio.run(crowd()) == [200] * 3 * POSTERS_AT_ONCE
    assert shelf.most == POSTERS_AT_ONCE


def test_a_library_that_cannot_be_opened_says_so_instead_of_failing(links: Links) -> None:
    def locked() -> Shelf:
        raise StoreLocked("The library is open elsewhere.", "Close it there.")

    app = Starlette(routes=routes(locked, lambda: links))

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://seekpoint"
        )

    answer = ask(client, "GET", links.video_url(video("film")))
    assert (answer.status_code, answer.text) == (
        503,
        "The library is open elsewhere. Close it there.",
    )
    assert ask(client, "GET", links.poster_url(video("film"), 1)).status_code == 200
    assert ask(client, "GET", "/healthz").json() == {"ok": True}


def test_routes_stand_below_the_base_path(
    links: Links, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "films"}.get)
    app = Starlette(routes=routes(lambda: shelf, lambda: links))

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://seekpoint"
        )

    url = links.video_url(video("film"))
    assert ask(client, "GET", url).content == CONTENT
    assert ask(client, "GET", url.removeprefix("/films")).status_code == 404
