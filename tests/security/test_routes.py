"""Every address beside the pages, asked by those it is not for. The addresses are taken from the
app, so that a new one has to be guarded, or to be named here as one that is for everybody."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import streamlit as st
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit import config
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from components import resources
from components.access import Policy, Role
from components.gate import GATED, Gate
from components.links import HALF_DAY_SEC, Links
from core import Filters, Library, Recipe, Settings, Video
from tests.app.conftest import served
from tests.media import make_video

ANN, VIC, EVE = "ann@example.com", "vic@example.com", "eve@evil.org"
COOKIE, COOKIE_SECRET = "_streamlit_user", "cookie-secret-of-this-server-only"
DAY_SEC = 24 * 3600
# They say nothing of any video; /metrics has a token of its own, tested with the rest of health.
FOR_EVERYBODY = {"/healthz", "/readyz", "/metrics"}


@dataclass(frozen=True)
class Asking:
    """A request: where to, with which token, as whom."""

    method: str
    path: str
    token: str
    cookies: Mapping[str, str]

    def sent(self) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=Starlette(routes=our_routes()))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return await client.request(
                    self.method,
                    self.path.replace("{token}", self.token),
                    headers={
                        b"Upload-Token": self.token.encode(),
                        b"Upload-Length": b"10",
                        b"Cookie": sent_as(self.cookies),
                    },
                )

        return asyncio.run(once())


def sent_as(cookies: Mapping[str, str]) -> bytes:
    return "; ".join(f"{name}={value}" for name, value in cookies.items()).encode("latin-1")


def our_routes() -> list[Route]:
    """Every route that the app adds to Streamlit's."""
    import app

    return list(app.app._user_routes)


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The library behind the routes, with a film, on a server with login."""
    folder = tmp_path_factory.mktemp("routes")
    secrets = folder / "secrets.toml"
    secrets.write_text(f'[auth]\ncookie_secret = "{COOKIE_SECRET}"\nclient_id = "seekpoint"\n')
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(secrets)])
    # Streamlit reads them once.
    st.secrets._reset()
    with (
        pytest.MonkeyPatch.context() as patch,
        served(folder / "data", patch, ANALYSTS=ANN, VIEWERS=VIC) as opened,
    ):
        film = make_video(folder / "film.mp4", seconds=4.0)
        (job,) = opened.wait(opened.add([film]), timeout=120)
        assert job.error == ""
        assert resources.policy().login
        yield opened
    config.set_option("secrets.files", before)
    st.secrets._reset()


@pytest.fixture(scope="module")
def film(library: Library) -> Video:
    return library.videos()[0]


def links_of(user: str, *, secret: bytes | None = None, ago_sec: float = 0.0) -> Links:
    if secret is None and not ago_sec:
        return resources.links_of_nobody().of(user)
    ours = resources.links_of_nobody()._secret
    return Links(secret or ours, user, now=lambda: time.time() - ago_sec)


def cookie(email: str, secret: str = COOKIE_SECRET, **claims: Any) -> dict[str, str]:
    """What the browser of somebody sends who has logged in."""
    user = json.dumps({"is_logged_in": True, "email": email} | claims)
    return {COOKIE: create_signed_value(secret, COOKIE, user).decode()}


def old_cookie(email: str) -> dict[str, str]:
    class LongAgo(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) - 32 * DAY_SEC

    old = URLSafeTimedSerializer(COOKIE_SECRET, salt=COOKIE, signer=LongAgo)
    return {COOKIE: str(old.dumps(json.dumps({"is_logged_in": True, "email": email})))}


Token = Callable[[Links, Video], str]


def _heat_token(links: Links, film: Video) -> str:
    question = resources.library().searches.to_text(Recipe.parse("a film"), Filters())
    return links.heat_url(question, film).rsplit("/", 1)[1]


# How each guarded route is asked by those it is for.
TOKENS: dict[str, Token] = {
    "/video/{token}": lambda links, film: links.video_url(film).split("/")[2],
    "/poster/{token}/{milliseconds:int}.jpg": lambda links, film: links.poster_url(film, 1).split(
        "/"
    )[2],
    "/heat/{token}": _heat_token,
    "/upload": lambda links, _: links.upload_token(),
    "/upload/{id}": lambda links, _: links.upload_token(),
}


def guarded_routes() -> list[tuple[str, str]]:
    """Method and path of every route that is not for everybody."""
    return sorted(
        (method, route.path)
        for route in our_routes()
        if f"/{route.path.split('/')[1]}" not in FOR_EVERYBODY
        for method in (route.methods or set()) - {"HEAD"}
    )


every_route = pytest.mark.parametrize(
    ("method", "path"), guarded_routes(), ids=[" ".join(route) for route in guarded_routes()]
)


def asked(method: str, path: str, links: Links, film: Video, cookies: Mapping[str, str]) -> Asking:
    assert path in TOKENS, f"{path} is new: say how those ask for whom it is, and see others fail"
    where = path.replace("{milliseconds:int}", "1000").replace("{id}", "unknown")
    return Asking(method, where, TOKENS[path](links, film), cookies)


@every_route
def test_those_it_is_for_are_let_in(film: Video, method: str, path: str) -> None:
    answer = asked(method, path, links_of(ANN), film, cookie(ANN)).sent()
    assert answer.status_code in ({200, 201} if "{id}" not in path else {200, 404})


REFUSED: dict[str, Callable[[Asking, Video, Token], Asking]] = {
    "no login": lambda ask, *_: replace(ask, cookies={}),
    "a cookie of another server": lambda ask, *_: replace(ask, cookies=cookie(ANN, "x" * 40)),
    "a cookie nobody signed": lambda ask, *_: replace(
        ask, cookies={COOKIE: json.dumps({"is_logged_in": True, "email": ANN})}
    ),
    "an old cookie": lambda ask, *_: replace(ask, cookies=old_cookie(ANN)),
    "a cookie that is no text": lambda ask, *_: replace(ask, cookies={COOKIE: "\x80\xff"}),
    "a cookie of somebody logged out": lambda ask, *_: replace(
        ask, cookies=cookie(ANN, is_logged_in=False)
    ),
    "somebody without a role": lambda ask, film, token: replace(
        ask, token=token(links_of(EVE), film), cookies=cookie(EVE)
    ),
    "another's token": lambda ask, film, token: replace(ask, token=token(links_of(VIC), film)),
    "nobody's token": lambda ask, film, token: replace(ask, token=token(links_of(""), film)),
    "no token": lambda ask, *_: replace(ask, token="-"),
    "a token of another server": lambda ask, film, token: replace(
        ask, token=token(links_of(ANN, secret=b"x" * 32), film)
    ),
    "an expired token": lambda ask, film, token: replace(
        ask, token=token(links_of(ANN, ago_sec=2 * HALF_DAY_SEC), film)
    ),
    "a changed token": lambda ask, *_: replace(ask, token=f"x{ask.token[1:]}"),
    "a token cut short": lambda ask, *_: replace(ask, token=ask.token[:-1]),
    "a signature on other words": lambda ask, *_: replace(
        ask, token=f"WzEsICJvdGhlciJd.{ask.token.rpartition('.')[2]}"
    ),
}


@every_route
@pytest.mark.parametrize("attack", REFUSED.values(), ids=REFUSED)
def test_others_are_refused_and_told_nothing(
    film: Video, method: str, path: str, attack: Callable[[Asking, Video, Token], Asking]
) -> None:
    right = asked(method, path, links_of(ANN), film, cookie(ANN))
    answer = attack(right, film, TOKENS[path]).sent()
    assert answer.status_code == 403
    assert answer.headers["cache-control"] == "no-store"
    assert film.title not in answer.text
    assert "video/" not in answer.headers["content-type"]


@every_route
def test_a_token_opens_nothing_but_what_it_was_written_for(
    film: Video, method: str, path: str
) -> None:
    right = asked(method, path, links_of(ANN), film, cookie(ANN))
    others = {token(links_of(ANN), film) for token in TOKENS.values()} - {right.token}
    assert [replace(right, token=other).sent().status_code for other in others] == [403] * len(
        others
    )


def test_a_token_of_a_video_opens_no_other(film: Video) -> None:
    other = replace(film, id="another")
    right = asked("GET", "/video/{token}", links_of(ANN), other, cookie(ANN))
    assert right.sent().status_code == 404


def test_a_viewer_may_watch_and_not_upload(film: Video) -> None:
    watched = {
        path: asked(method, path, links_of(VIC), film, cookie(VIC)).sent().status_code
        for method, path in guarded_routes()
    }
    assert {path for path, status in watched.items() if status == 403} == {
        "/upload",
        "/upload/{id}",
    }


def test_a_login_that_fills_several_cookies_is_read() -> None:
    parts: dict[str, str] = {}

    def sign(name: str, value: str) -> bytes:
        return create_signed_value(COOKIE_SECRET, name, value)

    groups = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(100)]
    set_cookie_with_chunks(
        lambda name, value: parts.update({name: sign(name, value).decode()}),
        sign,
        COOKIE,
        {"is_logged_in": True, "email": VIC, "groups": groups},
        cookie_attr_size=60,
    )
    assert len(parts) > 1
    assert resources.policy().visitor_with(parts).role is Role.VIEWER
    parts.popitem()
    assert resources.policy().visitor_with(parts).role is Role.NONE


# What Streamlit serves by itself


async def _files(_: Request) -> Response:
    return PlainTextResponse("a file")


@pytest.mark.parametrize("path", GATED)
def test_files_that_streamlit_serves_are_for_those_who_logged_in(path: str) -> None:
    def asked_with(cookies: Mapping[str, str], *, login: bool = True) -> int:
        policy = resources.policy() if login else Policy(Settings(), login=False)
        app = Starlette(
            routes=[Route(f"{path}{{file}}", _files)],
            middleware=[Middleware(Gate, lambda: policy)],
        )

        async def once() -> int:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return (
                    await client.get(f"{path}a", headers={b"Cookie": sent_as(cookies)})
                ).status_code

        return asyncio.run(once())

    assert asked_with(cookie(VIC)) == 200
    assert [asked_with(wrong) for wrong in ({}, cookie(EVE), cookie(VIC, "x" * 40))] == [403] * 3
    assert asked_with({}, login=False) == 200


def test_the_app_has_this_gate() -> None:
    import app

    assert Gate in [middleware.cls for middleware in app.app._user_middleware]
