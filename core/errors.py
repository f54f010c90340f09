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
│   ├── MediaUnreachable    not to be had from here; a service may still reach it
│   └── UploadError         a file on its way in that cannot go on, with the reason
├── BudgetExceeded
├── EvidenceError           an exported file that cannot be opened again
├── RecipeError             empty, too long, unknown segment
├── TimelineError           moments that a cut list cannot hold
├── JobCancelled            raised inside a job that somebody cancelled
└── JobTaken                raised inside a job that another server runs now
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


class UploadError(MediaError):
    """An upload was refused or cannot go on; `reason` tells a client what it can do about it.

    `empty` and `large`: the file; `unknown`: begin again; `offset`: ask what is there and go on from
    that; `full`: the disk; `disk`: anything else that the disk refuses.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        reason: Literal["empty", "large", "unknown", "offset", "full", "disk"],
    ) -> None:
        super().__init__(message, hint)
        self.reason = reason


class BudgetExceeded(SeekpointError):
    """The next call would pass a budget, or might; nothing was called.

    `scope` says what cannot go on: everything, the run, or only the job whose price is unknown.
    `price` is that of the call.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        scope: Literal["month", "run", "job"] = "month",
        price: float = 0.0,
    ) -> None:
        super().__init__(message, hint)
        self.scope = scope
        self.price = price


class EvidenceError(SeekpointError):
    """What was exported cannot be opened again: it is cut off, changed, or something else."""


class RecipeError(SeekpointError):
    """The query cannot be run as it stands."""


class TimelineError(SeekpointError):
    """A cut list cannot hold these moments."""


class JobCancelled(SeekpointError):
    """Somebody cancelled the job that is running."""


class JobTaken(SeekpointError):
    """The job that is running is not this server's any more: its lease had ended, and another one
    has gone on with it, or it was forgotten. Nothing more may be written about it."""

    def __init__(self) -> None:
        super().__init__("Another server goes on with this job.")
