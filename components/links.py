"""Addresses the browser may open: signed, stable for hours, and good for one purpose each.

A token proves that a server with our secret wrote it, for one purpose, one video or one right, and
one person where there is login. An address that changed from run to run would make every player
start over, so a token says in which half day it was written: all of that half day are the same, and
they are read until the next one has passed.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import streamlit as st
from itsdangerous import BadData, URLSafeSerializer

from core.errors import ConfigurationError
from core.models import Video
from core.settings import Settings

Purpose = Literal["video", "poster", "heat", "upload"]
SECRET_BYTES = 32
HALF_DAY_SEC = 12 * 3600


def under_base(path: str) -> str:
    """`path` below server.baseUrlPath, which Streamlit puts before its own addresses only."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{path}" if base else path


class Links:
    """Writes and reads addresses for one person, who is "" where there is no login."""

    def __init__(
        self, secret: bytes, user: str = "", *, now: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret
        self._user = user
        self._now = now

    def of(self, user: str) -> Links:
        """The same for another person."""
        return Links(self._secret, user, now=self._now)

    def video_url(self, video: Video) -> str:
        """Where the browser loads the video: its own address, or ours for a local file."""
        if urlsplit(video.video_url).scheme in {"http", "https"}:
            return video.video_url
        return under_base(f"/video/{self._token('video', video.id)}")

    def poster_url(self, video: Video, second: float) -> str:
        """Where the browser loads the picture at `second`, which is kept to the millisecond."""
        milliseconds = max(0, round(second * 1000))
        return under_base(f"/poster/{self._token('poster', video.id)}/{milliseconds}.jpg")

    def heat_url(self, question: str, video: Video) -> str:
        """Where the browser loads the scores of all segments of a video. The token carries the
        question, so that any server can answer it."""
        return under_base(f"/heat/{self._token('heat', question, video.id)}")

    def upload_token(self) -> str:
        """Lets a page of this installation send files to `/upload`."""
        return self._token("upload")

    def read(self, token: str, purpose: Purpose) -> list[str]:
        """What a token names: the id of a video, a question and the id of a video, or nothing.

        Raises:
            itsdangerous.BadData: it is too old, or was not written by us, for this person and for
                this purpose.
        """
        half_day: int
        named: list[str]
        half_day, *named = self._signer(purpose).loads(token)
        # One ahead, too: the clocks of two servers differ a little.
        if abs(self._half_day() - half_day) > 1:
            raise BadData("too old")
        return named

    def _token(self, purpose: Purpose, *named: str) -> str:
        return str(self._signer(purpose).dumps([self._half_day(), *named]))

    def _signer(self, purpose: Purpose) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt=f"seekpoint.{purpose}.{self._user}")

    def _half_day(self) -> int:
        return int(self._now() // HALF_DAY_SEC)


def secret_of(settings: Settings) -> bytes:
    """The key that all addresses are signed with: the one that was set, for servers that have to
    read each other's, or else this installation's own.

    Raises:
        ConfigurationError: it is too short, or cannot be kept in the data directory.
    """
    given = settings.secret
    if given and len(given) < SECRET_BYTES:
        raise ConfigurationError(
            f"SEEKPOINT_SECRET has {len(given)} characters; {SECRET_BYTES} are the least.",
            'Make one: python -c "import secrets; print(secrets.token_hex(32))"',
        )
    return given.encode() or _own_secret(settings.data_dir)


def _own_secret(data_dir: Path) -> bytes:
    """The key of this installation, made on first use and the same ever after."""
    path = data_dir / "secret"
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            _create_once(path, secrets.token_bytes(SECRET_BYTES))
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The key for media links cannot be kept in {path}: {error.strerror}.",
            "Point SEEKPOINT_DATA_DIR at a directory this user may write to.",
        ) from error
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(
            f"The key for media links in {path} is damaged.",
            "Delete the file and start again; links that were copied before stop working.",
        )
    return secret


def _create_once(path: Path, content: bytes) -> None:
    """Writes a private file whole or not at all; whoever comes second keeps what is there."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
