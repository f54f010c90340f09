"""The HTTP routes: Range, uploads, who is let in, what is said when there is nothing, no waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import streamlit as st
from starlette.applications import Starlette

from components.access import Policy
from components.links import Links, secret_of
from components.routes import HEATS_AT_ONCE, PIECE_BYTES, POSTERS_AT_ONCE, routes
from core.database import Database
from core.errors import StoreLocked
from core.media_store import MediaStore
from core.models import Filters, Heat, Video
from core.recipe import Part, Recipe
from core.searches import Searches
from core.settings import Settings
from core.state import State
from core.uploads import Uploads

CONTENT = bytes(range(256)) * 4
QUESTION = Recipe.parse("red car")


@dataclass
class Shelf:
    """Files by video id; `wait` holds posters and scores back until it is set."""

    uploads: Uploads
    searches: Searches
    files: dict[str, Path] = field(default_factory=dict)
    posters: dict[str, Path] = field(default_factory=dict)
    heats: dict[str, list[Heat]] = field(default_factory=dict)
    asked: list[tuple[Recipe, Filters | None]] = field(default_factory=list)
    wait: threading.Event | None = None
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def media_file(self, video_id: str) -> Path | None:
        return self.files.get(video_id)

    def poster(self, video_id: str, second: float) -> Path | None:
        self.take_time()
        return self.posters.get(f"{video_id} {second}")

    def heat(self, recipe: Recipe, video_id: str, *, filters: Filters | None = None) -> list[Heat]:
        self.take_time()
        self.asked.append((recipe, filters))
        return self.heats.get(video_id, [])

    def take_time(self) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        if self.wait is not None:
            self.waiting.release()
            assert self.wait.wait(30)
        with self.lock:
            self.running -= 1


def video(video_id: str) -> Video:
    return Video(
        video_id, "", f"file:///{video_id}", None, "", "", 1, datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(secret_of(Settings(data_dir=tmp_path / "data")))


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy(Settings(data_dir=tmp_path / "data"), login=False)


@pytest.fixture
def uploads(tmp_path: Path, database: Database) -> Uploads:
    copies = MediaStore(tmp_path / "data" / "media")
    return Uploads(tmp_path / "data", State(database, collection="test"), copies)


@pytest.fixture
def searches(tmp_path: Path, database: Database) -> Searches:
    return Searches(database, tmp_path / "data", collection="test")


@pytest.fixture
def shelf(tmp_path: Path, uploads: Uploads, searches: Searches) -> Shelf:
    (tmp_path / "a film.mp4").write_bytes(CONTENT)
    (tmp_path / "page.html").write_bytes(b"<script>alert(1)</script>")
    (tmp_path / "poster.jpg").write_bytes(b"jpeg")
    return Shelf(
        uploads,
        searches,
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
def client(shelf: Shelf, links: Links, policy: Policy) -> Client:
    app = Starlette(routes=routes(lambda: shelf, lambda: links, lambda: policy))
    return lambda: httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://seekpoint"
    )


def ask(
    client: Client,
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    content: bytes | AsyncIterator[bytes] | None = None,
) -> httpx.Response:
    async def once() -> httpx.Response:
        async with client() as session:
            return await session.request(method, url, headers=headers, content=content)

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
    # Some bits of the very last character say nothing: it may change and the link still be good.
    end = "y" if url[-2] == end else end
    assert ask(client, "GET", url[:-2] + end + url[-1]).status_code == 403
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


# Scores


def test_the_scores_of_a_video_are_given_in_columns_and_not_kept(
    client: Client, links: Links, searches: Searches, shelf: Shelf
) -> None:
    shelf.heats["film"] = [
        Heat(0.0, 6.0, 0.41239, {"visual": 0.41239, "audio": 0.1}),
        Heat(6.0, 12.5, 0.2, {"visual": 0.2}),
    ]
    filters = Filters(options=("visual", "audio"))
    question = searches.to_text(QUESTION, filters)
    answer = ask(client, "GET", links.heat_url(question, video("film")))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "starts": [0.0, 6.0],
        "ends": [6.0, 12.5],
        "scores": [0.4124, 0.2],
        "options": {"visual": [0.4124, 0.2], "audio": [0.1, None]},
    }
    assert shelf.asked == [(QUESTION, filters)]


def test_scores_of_a_video_that_is_gone_are_not_found(
    client: Client, links: Links, searches: Searches
) -> None:
    url = links.heat_url(searches.to_text(QUESTION, Filters()), video("removed"))
    answer = ask(client, "GET", url)
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_the_address_of_scores_asks_with_pictures_and_marks_too_on_every_server(
    client: Client, links: Links, shelf: Shelf, tmp_path: Path, database: Database
) -> None:
    here = Searches(database, tmp_path / "data", collection="test")
    picture = here.keep_media(b"a picture", ".png")
    liked = tuple(Part.mark(f"a b%?#é{n}", liked=True) for n in range(12))
    recipe = Recipe((Part.text("red car " * 40), Part.image(picture), *liked))
    url = links.heat_url(here.to_text(recipe, Filters()), video("a b%?#é"))
    shelf.heats["a b%?#é"] = [Heat(0.0, 6.0, 0.4)]
    assert ask(client, "GET", url).json()["options"] == {}
    assert shelf.asked == [(recipe, Filters())]
    # The least that proxies take.
    assert len(url) < 4_000


def test_few_videos_are_scored_at_a_time(
    client: Client, links: Links, searches: Searches, shelf: Shelf
) -> None:
    shelf.wait = threading.Event()
    url = links.heat_url(searches.to_text(QUESTION, Filters()), video("film"))

    async def crowd() -> None:
        async with client() as session:
            asked = [asyncio.create_task(session.get(url)) for _ in range(3 * HEATS_AT_ONCE)]
            for _ in range(HEATS_AT_ONCE):
                assert await asyncio.to_thread(shelf.waiting.acquire, timeout=30)
            assert shelf.wait is not None
            shelf.wait.set()
            await asyncio.gather(*asked)

    asyncio.run(crowd())
    assert shelf.most == HEATS_AT_ONCE


# Uploads


@pytest.fixture
def page(links: Links) -> dict[str, str]:
    """What a page of ours sends with each request."""
    return {"Upload-Token": links.upload_token(), "Sec-Fetch-Site": "same-origin"}


def announce(client: Client, page: dict[str, str], size: int = len(CONTENT)) -> str:
    """Begins an upload and returns its address."""
    film = {"Upload-Name": "a%20film.mp4", "Upload-Length": str(size)}
    answer = ask(client, "POST", "/upload", page | film)
    assert answer.status_code == 201
    return f"/upload/{answer.json()['id']}"


def at(offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset)}


def test_an_upload_goes_through_its_whole_life(
    client: Client, page: dict[str, str], uploads: Uploads
) -> None:
    url = announce(client, page)
    assert ask(client, "GET", url, page).json() == {"received": 0, "finished": False}
    assert ask(client, "PATCH", url, page | at(0), CONTENT[:600]).json() == {"received": 600}
    assert ask(client, "GET", url, page).json() == {"received": 600, "finished": False}
    answer = ask(client, "PATCH", url, page | at(600), CONTENT[600:])
    assert (answer.status_code, answer.json()) == (200, {"received": 1024})
    for _ in range(2):
        assert ask(client, "POST", url, page).json() == {"received": 1024, "finished": True}
    path = uploads.copy(url.rsplit("/", 1)[1])
    assert path is not None
    assert (path.name, path.read_bytes()) == ("a film.mp4", CONTENT)
    answer = ask(client, "DELETE", url, page)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert ask(client, "GET", url, page).status_code == 404
    assert not path.exists()


@pytest.mark.parametrize(
    ("size", "status"), [("0", 400), ("", 400), ("-5", 400), ("x", 400), (str(2**32 + 1), 413)]
)
def test_a_file_that_cannot_be_uploaded_is_refused_in_words(
    client: Client, page: dict[str, str], size: str, status: int
) -> None:
    answer = ask(client, "POST", "/upload", page | {"Upload-Name": "a.mp4", "Upload-Length": size})
    assert answer.status_code == status
    assert answer.json()["message"].startswith("a.mp4 is ")
    assert answer.json()["hint"]


def test_bytes_in_the_wrong_place_are_a_conflict(client: Client, page: dict[str, str]) -> None:
    url = announce(client, page)
    for headers in (page | at(5), page, page | {"Upload-Offset": "x"}):
        assert ask(client, "PATCH", url, headers, CONTENT).status_code == 409
    assert ask(client, "POST", url, page).status_code == 409
    assert ask(client, "PATCH", url, page | at(0), CONTENT + b"!").status_code == 413
    assert ask(client, "GET", url, page).json()["received"] == 0


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_an_unknown_upload_is_not_found(client: Client, page: dict[str, str], method: str) -> None:
    answer = ask(client, method, "/upload/unknown", page | at(0), b"x")
    assert answer.status_code == 404
    assert answer.json()["message"] == "This upload is no longer on the server."


@pytest.mark.parametrize(
    "change",
    [
        {"Upload-Token": ""},
        {"Upload-Token": "made.up"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_only_pages_of_ours_may_upload(
    client: Client, page: dict[str, str], change: dict[str, str]
) -> None:
    url = announce(client, page)
    for method in ("GET", "PATCH", "POST", "DELETE"):
        answer = ask(client, method, url, page | at(0) | change, CONTENT)
        assert (answer.status_code, answer.json()["hint"]) == (403, "Load it again.")
    assert ask(client, "POST", "/upload", page | change).status_code == 403
    assert ask(client, "GET", url, page).json()["received"] == 0


def test_the_token_of_a_video_is_no_right_to_upload(
    client: Client, page: dict[str, str], links: Links
) -> None:
    token = links.video_url(video("film")).rsplit("/", 1)[1]
    answer = ask(client, "POST", "/upload", page | {"Upload-Token": token, "Upload-Length": "5"})
    assert answer.status_code == 403


def test_a_large_request_is_written_while_it_arrives(
    client: Client, page: dict[str, str], uploads: Uploads
) -> None:
    parts = 6
    url = announce(client, page, parts * PIECE_BYTES)
    upload_id = url.rsplit("/", 1)[1]
    behind: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(parts):
            behind.append(number * PIECE_BYTES - uploads.get(upload_id).received)
            yield bytes(PIECE_BYTES)

    answer = ask(client, "PATCH", url, page | at(0), body())
    assert answer.json() == {"received": parts * PIECE_BYTES}
    # The test client hands over one piece ahead of what was read.
    assert max(behind) <= PIECE_BYTES


def test_what_came_before_the_connection_broke_is_kept(
    shelf: Shelf,
    links: Links,
    policy: Policy,
    client: Client,
    page: dict[str, str],
) -> None:
    url = announce(client, page)
    messages = [
        {"type": "http.request", "body": CONTENT[:700], "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "method": "PATCH",
        "path": url,
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in (page | at(0)).items()],
    }

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(_: object) -> None:
        pass

    app = Starlette(routes=routes(lambda: shelf, lambda: links, lambda: policy))
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert ask(client, "GET", url, page).json()["received"] == 700


# The server


def test_a_library_that_cannot_be_opened_says_so_instead_of_failing(
    links: Links, policy: Policy
) -> None:
    def locked() -> Shelf:
        raise StoreLocked("The library is open elsewhere.", "Close it there.")

    app = Starlette(routes=routes(locked, lambda: links, lambda: policy))

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
    assert ask(client, "GET", links.heat_url("any", video("film"))).status_code == 503
    answer = ask(client, "GET", "/upload/ab", {"Upload-Token": links.upload_token()})
    assert (answer.status_code, answer.json()["hint"]) == (503, "Close it there.")


def test_routes_stand_below_the_base_path(
    links: Links, policy: Policy, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "films"}.get)
    app = Starlette(routes=routes(lambda: shelf, lambda: links, lambda: policy))

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://seekpoint"
        )

    url = links.video_url(video("film"))
    assert ask(client, "GET", url).content == CONTENT
    assert ask(client, "GET", url.removeprefix("/films")).status_code == 404
    headers = {"Upload-Token": links.upload_token(), "Upload-Length": "5"}
    assert ask(client, "POST", "/films/upload", headers).status_code == 201
    assert ask(client, "POST", "/upload", headers).status_code == 404
