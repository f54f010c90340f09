"""The server answers to its own names only."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from components.headers import middleware
from core import ConfigurationError, Settings

NAMES = ("seek.example.com", "*.team.example")
FOREIGN = [
    "evil.example",
    "evil.example:8501",
    "seek.example.com.evil.example",
    "evilseek.example.com",
    "team.example",
    "evil-team.example",
    "localhost",
    "127.0.0.1",
    "[::1]:8501",
    "seek.example.com@evil.example",
    "seek.example.com, evil.example",
    "",
]
REBOUND = [
    "evil.example",
    "127.0.0.1.nip.io",
    "127.0.0.1.evil.example:8501",
    "localhost.evil.example",
    "notlocalhost",
    "0x7f.evil",
    "[::1].evil.example",
    "",
]


def client(*names: str, login: bool = False) -> TestClient:
    async def page(_: Request) -> Response:
        return PlainTextResponse("Hello")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    settings = Settings(allowed_hosts=names)
    routes = [Route("/", page), Route("/healthz", page), WebSocketRoute("/stream", socket)]
    return TestClient(
        Starlette(routes=routes, middleware=middleware(lambda: settings, lambda: login))
    )


def status(server: TestClient, host: str, path: str = "/") -> int:
    return server.get(path, headers={"Host": host}).status_code


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_was_not_set_is_refused(host: str) -> None:
    answer = client(*NAMES, login=True).get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "SEEKPOINT_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("host", ["seek.example.com", "SEEK.example.com:443", "a.team.example."])
def test_a_name_that_was_set_is_answered(host: str) -> None:
    assert status(client(*NAMES), host) == 200


@pytest.mark.parametrize("host", REBOUND)
def test_without_login_a_foreign_name_for_this_machine_gains_nothing(host: str) -> None:
    assert status(client(), host) == 400


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1", "192.168.1.7:80", "[::1]:8501"])
def test_without_login_this_machine_is_reached_by_number(host: str) -> None:
    assert status(client(), host) == 200


def test_with_login_any_name_will_do_where_none_is_set() -> None:
    assert status(client(login=True), "seek.example.com") == 200


def test_a_page_that_listens_is_refused_alike() -> None:
    server = client()
    with (
        pytest.raises(WebSocketDisconnect),
        server.websocket_connect("/stream", headers={"Host": "evil.example"}),
    ):
        pass
    with server.websocket_connect("/stream", headers={"Host": "localhost"}):
        pass


def test_probes_may_ask_by_any_name() -> None:
    assert status(client(*NAMES), "10.0.0.7:8501", "/healthz") == 200
    assert status(client(*NAMES), "10.0.0.7:8501", "/heat/x/healthz") == 400


def test_settings_that_cannot_be_read_open_nothing() -> None:
    def broken() -> Settings:
        raise ConfigurationError("SEEKPOINT_LOG_LEVEL is 'x'.", "Choose another.")

    app = Starlette(middleware=middleware(broken, lambda: True))
    assert status(TestClient(app), "evil.example") == 400
