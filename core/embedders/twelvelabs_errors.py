"""What an answer of the Twelve Labs service means when it is no result: one of our own errors.

The SDK is not needed for that; `twelvelabs.py` takes its exceptions apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from core.errors import (
    EmbedderBusy,
    EmbedderError,
    EmbedderRejected,
    EmbedderUnavailable,
    QuotaExceeded,
    ResultExpired,
    UnsupportedMedia,
)

_MESSAGE_CHARS = 300


class Gone(UnsupportedMedia):
    """The service knows nothing (any more) under this id."""


def of_answer(status: int, body: object, headers: Mapping[str, str], secret: str) -> EmbedderError:
    """An answer that is no success, as the error to raise; `secret` never appears in it."""
    code, said = _code_and_message(body)
    if secret:
        said = said.replace(secret, "[key]")
    if code == "usage_limit_exceeded" or status == httpx.codes.PAYMENT_REQUIRED:
        return QuotaExceeded(
            said or "The Twelve Labs plan is used up.",
            "Add credit or minutes to the plan, then try again.",
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return EmbedderBusy(
            "Twelve Labs asks to slow down.",
            "Wait a little, then try again.",
            retry_after=_retry_after(headers),
        )
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return _rejection(status, code, said)
    if status == httpx.codes.NOT_FOUND and not code:
        # Not the service's own words: a wrong address must not cost what is paid for and waiting.
        return EmbedderRejected(
            "What answers under this address is not Twelve Labs.", "Check TWELVELABS_BASE_URL."
        )
    if status == httpx.codes.NOT_FOUND:
        return Gone(
            said or "Twelve Labs has nothing under this address.",
            "Check TWELVELABS_BASE_URL if it is set; otherwise add the video again.",
        )
    if status == httpx.codes.REQUEST_TIMEOUT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return EmbedderUnavailable(
            f"Twelve Labs has a problem (status {status}).", "Try again later."
        )
    if status < httpx.codes.BAD_REQUEST:
        return nonsense("something unreadable")
    return refused(said, status)


def _rejection(status: int, code: str, said: str) -> EmbedderError:
    if code == "read_not_allowed":
        return ResultExpired(
            "This video was sent to Twelve Labs under another account.",
            "Use that account's key again, or embed the video under this one: it will be billed "
            "again.",
        )
    if status == httpx.codes.UNAUTHORIZED:
        return EmbedderRejected(
            said or "Twelve Labs does not accept the key.",
            "Check TWELVELABS_API_KEY; keys expire, the dashboard makes new ones.",
        )
    return EmbedderRejected(
        said or "Twelve Labs does not allow this account to do that.",
        "Check the plan and the permissions of the key in the Twelve Labs dashboard.",
    )


def _code_and_message(body: object) -> tuple[str, str]:
    """What an error body says, in either documented shape; empty for anything else."""
    values = body.model_dump() if hasattr(body, "model_dump") else body
    if isinstance(values, Mapping) and isinstance(values.get("error"), Mapping):
        values = values["error"]
    if not isinstance(values, Mapping):
        return "", ""
    code, message = values.get("code"), values.get("message")
    said = " ".join(message.split()) if isinstance(message, str) else ""
    return str(code or ""), said[:_MESSAGE_CHARS]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a number or a date."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after", "").strip()
    try:
        return max(0.0, float(value)) if math.isfinite(float(value)) else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def refused(said: str, status: int = 0) -> UnsupportedMedia:
    reason = f" (status {status})" if status else ""
    return UnsupportedMedia(
        f"Twelve Labs says: {said}" if said else f"Twelve Labs did not accept this{reason}.",
        "Change the input, or choose another one.",
    )


def expired() -> ResultExpired:
    return ResultExpired(
        "Twelve Labs no longer has the result for this video; it keeps results for seven days.",
        "Embed the video again if it is worth its price: it will be billed again.",
    )


def nonsense(what: str) -> EmbedderUnavailable:
    return EmbedderUnavailable(
        f"Twelve Labs answered with {what}.", "Try again; nothing of this answer was stored."
    )
