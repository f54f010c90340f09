"""The HTTP routes beside the pages: local videos with Range, posters, health."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import anyio.to_thread
from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from components.links import Links, under_base
from core.errors import SeekpointError

# Making a poster decodes video: more at once than this would starve the search.
POSTERS_AT_ONCE = 4

# Only these are ever announced, so that no file of the library can be run as a page. The
# system's own table is not asked: it is empty in small containers.
VIDEO_TYPES = {
    ".avi": "video/x-msvideo",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
}
VIDEO_HEADERS = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
POSTER_HEADERS = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
# Short, because the next try may succeed.
PLACEHOLDER_HEADERS = {"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"}
PLACEHOLDER = """\
<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270" viewBox="0 0 480 270">
<rect width="480" height="270" fill="#1c1f20"/>
<g fill="none" stroke="#5c6468" stroke-width="4" stroke-linejoin="round">
<rect x="192" y="99" width="96" height="72" rx="10"/><path d="M230 120v30l25-15z"/></g>
</svg>
"""


class MediaShelf(Protocol):
    """What the routes need of the library; both calls may block."""

    def media_path(self, video_id: str) -> Path | None:
        """The file of a local video, None when it is gone or not local."""

    def poster(self, video_id: str, second: float) -> Path | None:
        """A JPEG of the frame at `second`, None when there is no way to get one."""


def routes(library: Callable[[], MediaShelf], links: Callable[[], Links]) -> list[Route]:
    """The routes for st.App. Both callables are first called when a request needs them."""
    decoders = anyio.CapacityLimiter(POSTERS_AT_ONCE)

    async def video(request: Request) -> Response:
        try:
            video_id = links().read(request.path_params["token"], "video")
            path = await anyio.to_thread.run_sync(lambda: library().media_path(video_id))
        except BadData:
            return _refusal("This link is not one of ours.", 403)
        except SeekpointError as error:
            return _refusal(str(error), 503)
        return await _video_file(path)

    async def poster(request: Request) -> Response:
        second = request.path_params["milliseconds"] / 1000
        try:
            video_id = links().read(request.path_params["token"], "poster")
            path = await anyio.to_thread.run_sync(
                lambda: library().poster(video_id, second), limiter=decoders
            )
        except BadData:
            return _refusal("This link is not one of ours.", 403)
        except SeekpointError:
            path = None
        return await _poster_file(path)

    async def health(_: Request) -> Response:
        return JSONResponse({"ok": True}, headers={"Cache-Control": "no-store"})

    return [
        Route(under_base("/video/{token}"), video),
        Route(under_base("/poster/{token}/{milliseconds:int}.jpg"), poster),
        Route(under_base("/healthz"), health),
    ]


async def _video_file(path: Path | None) -> Response:
    status = await _stat(path)
    if path is None or status is None:
        return _refusal("This video is no longer on the server.", 404)
    return FileResponse(
        path,
        headers=VIDEO_HEADERS,
        media_type=VIDEO_TYPES.get(path.suffix.lower(), "video/mp4"),
        filename=path.name,
        stat_result=status,
        content_disposition_type="inline",
    )


async def _poster_file(path: Path | None) -> Response:
    status = await _stat(path)
    if path is None or status is None:
        return Response(PLACEHOLDER, headers=PLACEHOLDER_HEADERS, media_type="image/svg+xml")
    return FileResponse(path, headers=POSTER_HEADERS, media_type="image/jpeg", stat_result=status)


async def _stat(path: Path | None) -> os.stat_result | None:
    """What the disk says about a file; None when there is no such regular file."""
    if path is None:
        return None
    try:
        status = await anyio.to_thread.run_sync(os.stat, path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _refusal(reason: str, status: int) -> Response:
    return PlainTextResponse(reason, status, headers={"Cache-Control": "no-store"})
