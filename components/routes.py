"""The HTTP routes beside the pages: local videos with Range, posters, scores, uploads.

    GET     /heat/{token}   how a question scores all segments of a video, in order:
                            {starts, ends, scores, options: {visual: [...], ...}}

Each token is one that a page wrote, not long ago, for this purpose and for whoever asks now. Where
there is login, the cookie of it says who that is, and their role has to allow it.

An upload is announced, sent in as many requests as it takes, and finished. Each request carries
the token of a page in `Upload-Token`, and answers JSON: what was asked, or `message` and `hint`.

    POST    /upload         Upload-Name (percent-encoded), Upload-Length   201 {id}
    GET     /upload/{id}                                                   {received, finished}
    PATCH   /upload/{id}    Upload-Offset, and bytes that begin there      {received}
    POST    /upload/{id}    everything was sent                            {received, finished}
    DELETE  /upload/{id}    it is not wanted any more                      {}
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

import anyio.to_thread
from itsdangerous import BadData
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from components.access import AccessDenied, Policy
from components.links import Links, under_base
from components.ranges import send_stored
from core.errors import SeekpointError, UploadError
from core.media_store import StoredFile
from core.models import Filters, Heat
from core.recipe import Recipe
from core.searches import Searches
from core.uploads import Uploads

# Making a poster decodes video: more at once than this would starve the search.
POSTERS_AT_ONCE = 4
STRANGE_LINK = "This link is too old, or not one of ours. Load the page again."
# Scoring a video is short but keeps a core busy, which the search needs as well.
HEATS_AT_ONCE = 2
# An upload is written in pieces of about this size, and that much of it is in memory.
PIECE_BYTES = 1 << 20
UPLOAD_STATUS = {
    "empty": 400,
    "unknown": 404,
    "offset": 409,
    "large": 413,
    "disk": 500,
    "full": 507,
}

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
    """What the routes need of the library; every call may block."""

    @property
    def uploads(self) -> Uploads:
        """The files on their way in."""

    @property
    def searches(self) -> Searches:
        """What reads the questions that addresses carry."""

    def media_file(self, video_id: str) -> Path | StoredFile | None:
        """What to play of a video of ours, None when it is gone or not ours."""

    def poster(self, video_id: str, second: float) -> Path | None:
        """A JPEG of the frame at `second`, None when there is no way to get one."""

    def heat(
        self, recipe: Recipe, video_id: str, *, filters: Filters | None = None
    ) -> Sequence[Heat]:
        """The score of every segment of a video, in order; empty when it is not there."""


def routes(
    library: Callable[[], MediaShelf],
    links: Callable[[], Links],
    policy: Callable[[], Policy],
) -> list[Route]:
    """The routes for st.App. The callables are first called when a request needs them; `links` are
    those of nobody."""

    def links_for(request: Request, action: str) -> Links:
        """Those of whoever asks. Raises AccessDenied unless they may do what the library calls so."""
        visitor = policy().visitor_with(request.cookies)
        visitor.must(action)
        return links().of(visitor.user)

    decoders = anyio.CapacityLimiter(POSTERS_AT_ONCE)
    scorers = anyio.CapacityLimiter(HEATS_AT_ONCE)

    async def video(request: Request) -> Response:
        try:
            (video_id,) = links_for(request, "media_file").read(
                request.path_params["token"], "video"
            )
            file = await anyio.to_thread.run_sync(lambda: library().media_file(video_id))
            return await _video_file(file, request)
        except (BadData, AccessDenied):
            return _refusal(STRANGE_LINK, 403)
        except SeekpointError as error:
            return _refusal(str(error), 503)

    async def poster(request: Request) -> Response:
        second = request.path_params["milliseconds"] / 1000
        try:
            (video_id,) = links_for(request, "poster").read(request.path_params["token"], "poster")
            path = await anyio.to_thread.run_sync(
                lambda: library().poster(video_id, second), limiter=decoders
            )
        except (BadData, AccessDenied):
            return _refusal(STRANGE_LINK, 403)
        except SeekpointError:
            path = None
        return await _poster_file(path)

    def score(question: str, video_id: str) -> Sequence[Heat]:
        recipe, filters = library().searches.from_text(question)
        return library().heat(recipe, video_id, filters=filters)

    async def heat(request: Request) -> Response:
        try:
            question, video_id = links_for(request, "heat").read(
                request.path_params["token"], "heat"
            )
            stretches = await anyio.to_thread.run_sync(score, question, video_id, limiter=scorers)
        except (BadData, AccessDenied):
            return _refusal(STRANGE_LINK, 403)
        except SeekpointError as error:
            return _refusal(str(error), 503)
        if not stretches:
            return _refusal("This video has no scores.", 404)
        return JSONResponse(_heat(stretches), headers={"Cache-Control": "no-store"})

    return [
        Route(under_base("/video/{token}"), video),
        Route(under_base("/poster/{token}/{milliseconds:int}.jpg"), poster),
        Route(under_base("/heat/{token}"), heat),
        *_upload_routes(library, links_for),
    ]


def _upload_routes(
    library: Callable[[], MediaShelf], links_for: Callable[[Request, str], Links]
) -> list[Route]:
    def route(path: str, method: str, act: UploadAction) -> Route:
        async def answer(request: Request) -> Response:
            try:
                _check_sender(request, links_for(request, "uploads"))
                uploads = await anyio.to_thread.run_sync(lambda: library().uploads)
                content, status = await act(request, uploads)
            except (BadData, AccessDenied):
                error = SeekpointError("This page may not upload.", "Load it again.")
                content, status = _words(error), 403
            except UploadError as error:
                content, status = _words(error), UPLOAD_STATUS[error.reason]
            except SeekpointError as error:
                content, status = _words(error), 503
            return JSONResponse(content, status, headers={"Cache-Control": "no-store"})

        return Route(under_base(path), answer, methods=[method])

    return [
        route("/upload", "POST", _begin),
        route("/upload/{id}", "GET", _status),
        route("/upload/{id}", "PATCH", _append),
        route("/upload/{id}", "POST", _finish),
        route("/upload/{id}", "DELETE", _cancel),
    ]


UploadAction = Callable[[Request, Uploads], Awaitable[tuple[dict[str, Any], int]]]


def _check_sender(request: Request, links: Links) -> None:
    """Raises BadData unless a page of ours sends this. The token is in a header, which no other
    site can add to a request of its visitors."""
    links.read(request.headers.get("Upload-Token", ""), "upload")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise BadData("sent by another site")


async def _begin(request: Request, uploads: Uploads) -> tuple[dict[str, Any], int]:
    name = unquote(request.headers.get("Upload-Name", ""))
    upload = await anyio.to_thread.run_sync(uploads.begin, name, _number(request, "Upload-Length"))
    return {"id": upload.id}, 201


async def _status(request: Request, uploads: Uploads) -> tuple[dict[str, Any], int]:
    upload = await anyio.to_thread.run_sync(uploads.get, request.path_params["id"])
    return {"received": upload.received, "finished": upload.finished}, 200


async def _append(request: Request, uploads: Uploads) -> tuple[dict[str, Any], int]:
    upload_id, received = request.path_params["id"], _number(request, "Upload-Offset")
    body = request.stream()
    try:
        async for piece in _pieces(body):
            received = await anyio.to_thread.run_sync(uploads.append, upload_id, received, piece)
    except SeekpointError:
        # A browser reads no answer while it is still sending.
        async for _ in _pieces(body):
            pass
        raise
    return {"received": received}, 200


async def _finish(request: Request, uploads: Uploads) -> tuple[dict[str, Any], int]:
    await anyio.to_thread.run_sync(uploads.finish, request.path_params["id"])
    return await _status(request, uploads)


async def _cancel(request: Request, uploads: Uploads) -> tuple[dict[str, Any], int]:
    await anyio.to_thread.run_sync(uploads.cancel, request.path_params["id"])
    return {}, 200


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A request's body in larger pieces; what came before its connection broke is one of them."""
    piece = bytearray()
    try:
        async for chunk in body:
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    except ClientDisconnect:
        pass
    if piece:
        yield bytes(piece)


def _number(request: Request, header: str) -> int:
    """A count of bytes; -1, which no upload accepts, when there is none."""
    value = request.headers.get(header, "")
    return int(value) if value.isdecimal() else -1


def _heat(stretches: Sequence[Heat]) -> dict[str, Any]:
    """Scores in columns; null where an option has no segment."""
    options = dict.fromkeys(option for heat in stretches for option in heat.scores_by_option)

    def column(option: str) -> list[float | None]:
        scores = [heat.scores_by_option.get(option) for heat in stretches]
        return [None if score is None else round(score, 4) for score in scores]

    return {
        "starts": [heat.start_offset_sec for heat in stretches],
        "ends": [heat.end_offset_sec for heat in stretches],
        "scores": [round(heat.score, 4) for heat in stretches],
        "options": {option: column(option) for option in options},
    }


def _words(error: SeekpointError) -> dict[str, Any]:
    return {"message": error.message, "hint": error.hint}


async def _video_file(file: Path | StoredFile | None, request: Request) -> Response:
    if isinstance(file, StoredFile):
        return await send_stored(file, request, VIDEO_HEADERS | _named(file.name))
    status = await _stat(file)
    if file is None or status is None:
        return _refusal("This video is no longer on the server.", 404)
    headers = VIDEO_HEADERS | _named(file.name)
    return FileResponse(file, headers=headers, stat_result=status)


def _named(name: str) -> dict[str, str]:
    """What a browser is told that a video is, and what it calls the file when it is saved."""
    return {
        "Content-Type": VIDEO_TYPES.get(Path(name).suffix.lower(), "video/mp4"),
        "Content-Disposition": f"inline; filename*=utf-8''{quote(name)}",
    }


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
