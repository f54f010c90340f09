"""The routes for whoever watches the server; each answers with a marker of our own, so that no page
that Streamlit answers an unknown address with is taken for good news.

    GET  /healthz   {"seekpoint": "alive"}: the process answers; nothing else is looked at
    GET  /readyz    {"seekpoint": "ready"}, or 503 {"seekpoint": "not ready", "failing": [...]} with
                    the parts that do not answer: library, store, state, embedder
    GET  /metrics   figures for Prometheus; only with SEEKPOINT_METRICS_TOKEN, as a Bearer token

What is wrong with a part, in `parts`, is told to this machine and to whoever sends that token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.links import under_base
from core import Library, SeekpointError, Settings

logger = logging.getLogger(__name__)

# A look is kept this long, so that no number of probes is a load for what is probed.
FRESH_SEC = 5.0
# Good news is kept longer of the embedder, which may be a service that counts calls, and not at all
# of the library: once it is open, asking costs nothing.
GOOD_FOR_SEC = {"library": 0.0, "embedder": 60.0}
# A part that takes longer counts as one that does not answer.
PATIENCE_SEC = 3.0

NO_STORE = {"Cache-Control": "no-store"}
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

Check = Callable[[], object]


class Checked(Protocol):
    """What readiness needs of the library."""

    def checks(self) -> Mapping[str, Check]:
        """What asks each part for a sign of life, and raises a SeekpointError without one."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was wrong with a part (empty: nothing), and until when that is believed."""

    problem: str
    fresh_until: float


class Readiness:
    """Whether each part answers. However many ask at once, each part is asked by one of them.

    `library` may have to open the library first.
    """

    def __init__(
        self,
        library: Callable[[], Checked],
        *,
        patience_sec: float = PATIENCE_SEC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._patience_sec = patience_sec
        self._clock = clock
        self._looks: dict[str, _Look] = {}
        # Parts that are being asked, some of them perhaps for ever.
        self._asked: set[str] = set()
        self._looking: asyncio.Task[dict[str, str]] | None = None

    async def problems(self) -> dict[str, str]:
        """By part what is wrong with it; empty for one that answers."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_at_all())
        return await asyncio.shield(self._looking)

    async def _look_at_all(self) -> dict[str, str]:
        opened: list[Checked] = []
        problem = await self._look_at("library", lambda: opened.append(self._library()))
        if problem:
            return {"library": problem}
        checks = opened[0].checks()
        problems = await asyncio.gather(*(self._look_at(*check) for check in checks.items()))
        return {"library": "", **dict(zip(checks, problems, strict=True))}

    async def _look_at(self, part: str, check: Check) -> str:
        known = self._looks.get(part)
        if known is not None and self._clock() < known.fresh_until:
            return known.problem
        problem = await self._asked_for_life(part, check)
        if problem and (known is None or not known.problem):
            logger.warning("not ready: %s: %s", part, problem)
        fresh_sec = FRESH_SEC if problem else GOOD_FOR_SEC.get(part, FRESH_SEC)
        self._looks[part] = _Look(problem, self._clock() + fresh_sec)
        return problem

    async def _asked_for_life(self, part: str, check: Check) -> str:
        if part in self._asked:
            return "It does not answer."

        def ask() -> None:
            try:
                check()
            finally:
                self._asked.discard(part)

        self._asked.add(part)
        try:
            with anyio.fail_after(self._patience_sec):
                await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        except TimeoutError:
            return f"It did not answer within {self._patience_sec:g} s."
        except SeekpointError as error:
            return str(error)
        except Exception:
            logger.exception("the check of the %s hit a defect", part)
            return "Something unexpected went wrong. See the log file."
        return ""


def health_routes(library: Callable[[], Library], settings: Callable[[], Settings]) -> list[Route]:
    """The routes for st.App. The callables are first called when a request needs them."""
    readiness = Readiness(library)

    async def alive(_: Request) -> Response:
        return _answer({"seekpoint": "alive"})

    async def ready(request: Request) -> Response:
        problems = await readiness.problems()
        failing = [part for part, problem in problems.items() if problem]
        content: dict[str, object] = {"seekpoint": "not ready" if failing else "ready"}
        if failing:
            content["failing"] = failing
        if _is_this_machine(request) or _has_token(request, _token(settings)):
            content["parts"] = {part: problem or "ok" for part, problem in problems.items()}
        return _answer(content, 503 if failing else 200)

    async def metrics(request: Request) -> Response:
        token = _token(settings)
        if not token:
            return _refusal("Metrics are off.", "Set SEEKPOINT_METRICS_TOKEN.", 404)
        if not _has_token(request, token):
            answer = _refusal("This needs the metrics token.", "Send it as a Bearer token.", 401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        try:
            return Response(
                await anyio.to_thread.run_sync(lambda: _exposition(library())),
                media_type=EXPOSITION,
                headers=NO_STORE,
            )
        except ModuleNotFoundError:
            return _refusal(
                "Metrics need the package prometheus_client.",
                "Install it: pip install -r requirements-server.txt",
                501,
            )
        except SeekpointError as error:
            return _refusal(error.message, error.hint, 503)

    async def unknown(_: Request) -> Response:
        return _refusal("There is nothing here.", "", 404)

    routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/healthz": alive,
        "/readyz": ready,
        "/metrics": metrics,
    }
    return [
        route
        for path, endpoint in routes.items()
        for route in (
            Route(under_base(path), endpoint),
            Route(under_base(f"{path}/{{below:path}}"), unknown),
        )
    ]


def _exposition(library: Library) -> bytes:
    from components.exposition import exposition

    return exposition(library)


def _token(settings: Callable[[], Settings]) -> str:
    try:
        return settings().metrics_token
    except SeekpointError:
        return ""


def _has_token(request: Request, token: str) -> bool:
    sent = request.headers.get("Authorization", "").encode()
    return bool(token) and hmac.compare_digest(sent, f"Bearer {token}".encode())


def _is_this_machine(request: Request) -> bool:
    """Whether the request was made here, and not handed on by a proxy that runs here."""
    forwarded = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}
    if request.client is None or forwarded & set(request.headers):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _answer(content: Mapping[str, object], status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, headers=NO_STORE)


def _refusal(message: str, hint: str, status: int) -> JSONResponse:
    return _answer({"seekpoint": "refused", "message": message, "hint": hint}, status)
