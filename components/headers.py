"""What every answer of the server says to browsers, and which names the server answers to.

Both are ASGI middleware, so that Streamlit's own answers go through them too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.links import under_base
from core import SeekpointError, Settings

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:@,/\[\]]+)(:\d+)?")
# Whoever looks after the server asks each of several by its number, and learns nothing about videos.
_FOR_PROBES = ("/healthz", "/readyz", "/metrics")


def middleware(
    settings: Callable[[], Settings], login_is_set_up: Callable[[], bool]
) -> list[Middleware]:
    """What goes around all of the server."""

    @cache
    def names() -> Sequence[str]:
        # With login a foreign site gains nothing: the visitor is not logged in by its name.
        return settings().allowed_hosts or (["*"] if login_is_set_up() else [])

    def allowed() -> Sequence[str]:
        try:
            return names()
        except SeekpointError:
            return []  # the page says what is wrong

    return [Middleware(SafeHeaders), Middleware(AllowedHosts, allowed)]


class SafeHeaders:
    """Adds to every HTTP answer what keeps foreign scripts out of the page and the page out of
    foreign frames."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_headers())
            await send(message)

        await self._app(scope, receive, send_safely)


class AllowedHosts:
    """Refuses requests that ask for the server by a name it does not have.

    A foreign site whose name suddenly means this machine would otherwise share the visitor's way
    to it. Where no names are set, numbers and localhost are answered, which no foreign site has.
    """

    def __init__(self, app: ASGIApp, allowed: Callable[[], Sequence[str]]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        probes = {under_base(path) for path in _FOR_PROBES}
        if scope["type"] in {"http", "websocket"} and scope["path"] not in probes:
            host = _name(Headers(scope=scope).get("host", ""))
            if not _is_allowed(host, self._allowed()):
                refusal = PlainTextResponse(
                    "This server is not reached by that name. Whoever runs it can add the name to "
                    "SEEKPOINT_ALLOWED_HOSTS.",
                    status_code=400,
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty when it is none."""
    parts = _HOST.fullmatch(host.lower())
    return parts["name"].strip("[]").rstrip(".") if parts else ""


def _is_allowed(host: str, allowed: Sequence[str]) -> bool:
    if not allowed:
        return host == "localhost" or host.endswith(".localhost") or _is_number(host)
    return any(
        host == name or (name.startswith("*.") and host.endswith(name[1:])) or name == "*"
        for name in allowed
    )


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": "; ".join(_policy()),
        "X-Content-Type-Options": "nosniff",
        # Addresses of ours carry tokens.
        "Referrer-Policy": "same-origin",
    }


def _policy() -> list[str]:
    return [
        "default-src 'self'",
        # Streamlit makes a module of each component's script.
        f"script-src 'self' blob: {' '.join(_inline_scripts())}",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self' data:",
        "img-src 'self' data: blob:",
        # Videos play from where they are.
        "media-src 'self' blob: http: https:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]


def _inline_scripts() -> list[str]:
    """What allows the scripts that Streamlit's page has in itself, and no other."""
    page = Path(st.__file__).parent / "static" / "index.html"
    scripts = _INLINE_SCRIPT.findall(page.read_text(encoding="utf-8"))
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
