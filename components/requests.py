"""A name for each HTTP request, in the log and in its answer, so that one can be found by the other."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.log import working_on

HEADER = "X-Request-Id"
_USABLE = re.compile(r"[\w.-]{1,64}", re.ASCII)


class NamedRequests:
    """ASGI middleware: keeps the name that a proxy has given, or gives one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if _USABLE.fullmatch(given) else uuid.uuid4().hex[:12]

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        with working_on(request=name):
            await self._app(scope, receive, send_named)
