"""A video of the media store, as a player asks for it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components.ranges import PIECE_BYTES, send_stored
from core.media_store import StoredFile

CONTENT = bytes(range(251)) * 10_000
SIZE = len(CONTENT)
TAG = '"content"'


class Film:
    """A stored file that notes what is read of it."""

    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []

    def ask(self, method: str = "GET", **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.run(self._ask(method, names))

    async def _ask(self, method: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=Starlette(routes=[Route("/", self._answer)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://films") as client:
            return await client.request(method, "/", headers=headers)

    async def _answer(self, request: Request) -> Response:
        file = StoredFile("a.mp4", SIZE, "content", self._read)
        return await send_stored(file, request, {"Content-Type": "video/mp4"})

    def _read(self, start: int, end: int) -> bytes:
        self.read.append((start, end))
        return CONTENT[start:end]


@pytest.fixture
def film() -> Film:
    return Film()


def test_a_film_is_sent_whole_in_pieces(film: Film) -> None:
    answer = film.ask()
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    assert max(end - start for start, end in film.read) == PIECE_BYTES


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=10-19", 10, 20),
        ("bytes=0-", 0, SIZE),
        (f"bytes={SIZE - 5}-", SIZE - 5, SIZE),
        ("bytes=-4", SIZE - 4, SIZE),
        (f"bytes=-{SIZE + 9}", 0, SIZE),
        (f"bytes=7-{SIZE + 9}", 7, SIZE),
        (f"bytes=1-{PIECE_BYTES + 1}", 1, PIECE_BYTES + 2),
    ],
)
def test_a_range_is_read_and_sent_alone(film: Film, asked: str, start: int, end: int) -> None:
    answer = film.ask(Range=asked)
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert (film.read[0][0], film.read[-1][1]) == (start, end)
    assert sum(after - before for before, after in film.read) == end - start


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=9-3", "bytes=-0"])
def test_a_range_without_a_byte_is_refused(film: Film, asked: str) -> None:
    answer = film.ask(Range=asked)
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert film.read == []


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=a-b", "seconds=1-2", "bytes=0-1,5-6", ""])
def test_what_is_no_single_range_is_answered_with_all(film: Film, asked: str) -> None:
    answer = film.ask(Range=asked)
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


def test_head_reads_nothing(film: Film) -> None:
    answer = film.ask("HEAD", Range="bytes=10-19")
    assert (answer.status_code, answer.content) == (206, b"")
    assert answer.headers["content-length"] == "10"
    assert film.read == []


def test_a_range_of_another_film_is_answered_with_all(film: Film) -> None:
    assert film.ask().headers["etag"] == TAG
    assert film.ask(Range="bytes=0-9", If_Range=TAG).status_code == 206
    assert film.ask(Range="bytes=0-9", If_Range='"another"').status_code == 200
