"""The gate before what Streamlit serves by itself: with login its files and uploads are for those
who logged in, as its own check is of the pages only."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from components.access import Policy, Role
from components.links import under_base
from core import SeekpointError

# Pictures and files that a page offers, files that are given to one, and how many pages are open.
GATED = ("/media/", "/_stcore/upload_file/", "/_stcore/metrics", "/_stcore/agent/")


class Gate:
    """ASGI middleware that refuses these addresses to whoever has no role."""

    def __init__(self, app: ASGIApp, policy: Callable[[], Policy]) -> None:
        self._app = app
        self._policy = policy
        self._gated = tuple(under_base(path) for path in GATED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gated = scope["type"] == "http" and scope["path"].startswith(self._gated)
        if gated and not self._is_known(Request(scope)):
            refusal = PlainTextResponse("Log in first.", 403, {"Cache-Control": "no-store"})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_known(self, request: Request) -> bool:
        try:
            return self._policy().visitor_with(request.cookies).role > Role.NONE
        except SeekpointError:
            return False  # the page says what is wrong
