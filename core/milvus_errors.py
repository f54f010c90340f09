"""What pymilvus and gRPC raise, as errors of our own that say what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import StoreError, StoreUnavailable

logger = logging.getLogger(__name__)


class BrokenIndex(StoreUnavailable):
    """A built index of a Lite file cannot be read."""


# What the text of a failure says -> what to tell. The first match counts.
_CAUSES: tuple[tuple[str, type[StoreError], str, str], ...] = (
    (
        r"no space left|file too large|disk quota|errno (28|27|122)\b",
        StoreUnavailable,
        "The disk that holds {where} is full.",
        "Free some space and try again; everything stored before is safe.",
    ),
    (
        r"open local milvus failed",
        StoreUnavailable,
        "{where} cannot be opened.",
        "Close other programs that use it, or move it aside and add the videos again.",
    ),
    (
        r"faiss|\.idx\b",
        BrokenIndex,
        "The search index inside {where} is damaged.",
        "Close Seekpoint, delete the .idx files in that folder and start again: it rebuilds them.",
    ),
    (
        r"parquet|corrupt|unexpected end of stream|schema file|manifest|errno 17\b",
        StoreUnavailable,
        "{where} is damaged.",
        "Bring back a copy of it, or move it aside and add the videos again.",
    ),
    (
        r"unauthenticated|auth check|not authenticated|incorrect password",
        StoreUnavailable,
        "The user name, password or token was refused by {where}.",
        "Check MILVUS_TOKEN.",
    ),
    (
        r"permission_?denied|permission deny|privilege",
        StoreUnavailable,
        "This account may not do that at {where}.",
        "Ask its owner for the right to read and write, or change MILVUS_TOKEN.",
    ),
    (
        r"database:? ?\S* not (found|exist)",
        StoreUnavailable,
        "There is no such database at {where}.",
        "Create it there, or change MILVUS_DATABASE.",
    ),
    (
        r"unimplemented",
        StoreUnavailable,
        "{where} does not understand what is asked of it.",
        "Check that MILVUS_URI is the address of a Milvus of version 2.3.5 or newer.",
    ),
    (
        r"deadline_?exceeded|timed? ?out",
        StoreUnavailable,
        "No answer came in time from {where}.",
        "Try again; if it happens often, look at its load.",
    ),
    (
        r"resource_?exhausted|rate limit|quota",
        StoreUnavailable,
        "Too much at once for {where}.",
        "Wait a moment and try again.",
    ),
    (
        r"unavailable|fail(ed)? connecting|channel closed|closed channel|is closed|create connection",
        StoreUnavailable,
        "The connection failed to {where}.",
        "Try again; if it stays so, check MILVUS_URI and whether the server is running.",
    ),
)


@contextmanager
def translated(doing: str, where: str) -> Iterator[None]:
    """Turns what pymilvus and gRPC raise into our own errors."""
    import grpc  # type: ignore[import-untyped]
    from pymilvus.exceptions import MilvusException

    try:
        yield
    # A ValueError is what gRPC raises for a call on a channel that another thread has closed.
    except (MilvusException, grpc.RpcError, ValueError) as error:
        raise _explained(error, doing, where) from error


def _explained(error: Exception, doing: str, where: str) -> StoreError:
    detail = _detail(error)
    logger.warning("Could not %s at %s: %s", doing, where, detail)
    for pattern, kind, message, hint in _CAUSES:
        if re.search(pattern, detail, re.IGNORECASE):
            text = message.format(where=where)
            return kind(text[0].upper() + text[1:], hint)
    return StoreError(
        f"{where} could not {doing}: {detail.rstrip('.')}.", "Try again; the log has the details."
    )


def _detail(error: BaseException) -> str:
    """The words of an error and of its cause, each once, without the names of their classes."""
    words: list[str] = []
    link: BaseException | None = error
    # pymilvus says only "fail connecting" and leaves the reason in the cause. Both libraries chain
    # errors to themselves, so the chain is not followed to its end, which it may not have.
    for _ in range(4):
        if link is None:
            break
        words.append(_words_of(link))
        link = link.__cause__ or link.__context__
    return "; ".join(dict.fromkeys(word for word in words if word))


def _words_of(error: BaseException) -> str:
    """pymilvus keeps its words in an attribute, gRPC behind two methods."""
    message = getattr(error, "message", None)
    if message:
        return str(message)
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    if callable(code) and callable(details):
        return f"{getattr(code(), 'name', code())}: {details()}"
    return str(error)
