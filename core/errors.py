"""Every error Seekpoint raises on purpose.

Each carries a message (what happened) and a hint (what to do next), both written for the
person at the screen. Nothing from an outside library leaves `core` untranslated.

SeekpointError
├── ConfigurationError      names the variable
├── EmbedderError
│   ├── EmbedderRejected    401, 403
│   ├── EmbedderBusy        429, with retry_after
│   ├── EmbedderUnavailable no connection, timeout, 5xx, or an answer that makes no sense
│   ├── QuotaExceeded       the plan or its free minutes are used up
│   ├── UnsupportedMedia    400, 413, a failed task: this input will never be accepted
│   └── ResultExpired       what was paid for is gone: going on means paying again
├── StoreError
│   ├── StoreUnavailable
│   ├── StoreLocked         another process holds the file
│   └── CollectionMismatch  filled by another embedder, model or dimension
├── MediaError              missing, unreadable, not a video, forbidden address
│   └── MediaUnreachable    not to be had from here; a service may still reach it
├── BudgetExceeded
├── RecipeError             empty, too long, unknown segment
└── JobCancelled            raised inside a job that somebody cancelled
"""

from __future__ import annotations

from typing import Literal


class SeekpointError(Exception):
    """The base of the family: `message` says what happened, `hint` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigurationError(SeekpointError):
    """A setting has a value that cannot work; the message names the variable."""


class EmbedderError(SeekpointError):
    """The embedder could not do its work."""


class EmbedderRejected(EmbedderError):
    """The service refused the key or the account."""


class EmbedderBusy(EmbedderError):
    """The service asks to slow down; `retry_after` is in seconds where it said so."""

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class EmbedderUnavailable(EmbedderError):
    """The service could not be reached, or answered with something that is no answer."""


class QuotaExceeded(EmbedderError):
    """The plan's minutes or credit are used up."""


class UnsupportedMedia(EmbedderError):
    """The input will not be accepted however often it is sent."""


class ResultExpired(EmbedderError):
    """What was paid for can no longer be had; only a new call, paid anew, would bring it back."""


class StoreError(SeekpointError):
    """The vector store could not do its work."""


class StoreUnavailable(StoreError):
    """The vector store cannot be opened or reached."""


class StoreLocked(StoreError):
    """Another process holds the vector store's file."""


class CollectionMismatch(StoreError):
    """The collection was filled by another embedder, model or dimension."""


class MediaError(SeekpointError):
    """A media source is missing, unreadable, not what it should be, or not allowed."""


class MediaUnreachable(MediaError):
    """A remote source could not be reached from this server, which says nothing about its content."""


class BudgetExceeded(SeekpointError):
    """The next call would pass a budget; nothing was called. `scope` says which: run or month."""

    def __init__(
        self, message: str, hint: str = "", *, scope: Literal["run", "month"] = "month"
    ) -> None:
        super().__init__(message, hint)
        self.scope = scope


class RecipeError(SeekpointError):
    """The query cannot be run as it stands."""


class JobCancelled(SeekpointError):
    """Somebody cancelled the job that is running."""
