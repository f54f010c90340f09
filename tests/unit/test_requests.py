"""Requests have a name that stands in the log and in the answer."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from components.requests import NamedRequests
from core.log import TextFormatter


def logged(_: Request) -> Response:
    """What the log says of this request, from the thread in which routes do their work."""
    return PlainTextResponse(TextFormatter().about().get("request", "nothing"))


def ask(name: str | None = None) -> httpx.Response:
    app = Starlette(routes=[Route("/", logged)], middleware=[Middleware(NamedRequests)])
    headers = {} if name is None else {"X-Request-Id": name.encode()}

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(once())


def test_a_request_gets_a_name_of_its_own() -> None:
    one, other = ask(), ask()
    assert one.text == one.headers["X-Request-Id"] != other.text
    assert TextFormatter().about() == {}


def test_a_name_that_a_proxy_gave_is_kept() -> None:
    answer = ask("proxy-7f.1")
    assert answer.text == answer.headers["X-Request-Id"] == "proxy-7f.1"


@pytest.mark.parametrize("name", ["", "x" * 65, "two words", "a\tb", "<b>", "ünd"])
def test_a_name_that_would_not_stay_in_its_line_is_replaced(name: str) -> None:
    answer = ask(name)
    assert answer.text == answer.headers["X-Request-Id"] != name
