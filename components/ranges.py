"""A video of the media store for a player: whole, or the one range of bytes that it asks for.

Files of this server are sent by Starlette, which reads them from the disk; this does the same with
what has to be fetched, piece by piece while the player takes it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from core.media_store import StoredFile

# The first one says at once whether the store answers.
PIECE_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


async def send_stored(file: StoredFile, request: Request, headers: Mapping[str, str]) -> Response:
    """Answers `request` with `file`. Raises MediaError when the store does not give it."""
    # Its content never changes under this name.
    tag = f'"{file.content_id}"'
    headers = {**headers, "Accept-Ranges": "bytes", "ETag": tag}
    same = request.headers.get("If-Range", tag) == tag
    asked = _asked_for(request.headers.get("Range", ""), file.size) if same else None
    start, end = asked or (0, file.size)
    if start >= end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
    status = 200
    headers["Content-Length"] = str(end - start)
    if asked is not None:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    first = await _piece(file, start, end)
    return StreamingResponse(_from(first, file, start, end), status, headers)


def _asked_for(wanted: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for all. Several ranges, and what is not
    understood, are answered with all: a server may."""
    match = _RANGE.fullmatch(wanted)
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


async def _from(first: bytes, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
    yield first
    for at in range(start + PIECE_BYTES, end, PIECE_BYTES):
        yield await _piece(file, at, end)


async def _piece(file: StoredFile, at: int, end: int) -> bytes:
    return await anyio.to_thread.run_sync(file.read, at, min(at + PIECE_BYTES, end))
