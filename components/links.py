"""Addresses the browser may open: signed, stable, and good for one purpose each.

A token names a video, or the right to upload, and proves that this server wrote it. It has no
expiry: an address that changed from run to run would make every player start over.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import streamlit as st
from itsdangerous import URLSafeSerializer

from core.errors import ConfigurationError
from core.models import Filters, Video
from core.recipe import Recipe
from core.settings import Settings

Purpose = Literal["video", "poster", "upload"]
SECRET_BYTES = 32
# How many searches can be on people's screens at once with the strips of their videos.
QUESTIONS_KEPT = 256


def under_base(path: str) -> str:
    """`path` below server.baseUrlPath, which Streamlit puts before its own addresses only."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{path}" if base else path


class Links:
    """Writes and reads the addresses of media.

    Raises:
        ConfigurationError: when the secret in the data directory cannot be kept or read.
    """

    def __init__(self, settings: Settings) -> None:
        secret = _secret(settings.data_dir)
        self._signers: dict[Purpose, URLSafeSerializer] = {
            "video": URLSafeSerializer(secret, salt="seekpoint.video"),
            "poster": URLSafeSerializer(secret, salt="seekpoint.poster"),
            "upload": URLSafeSerializer(secret, salt="seekpoint.upload"),
        }

    def video_url(self, video: Video) -> str:
        """Where the browser loads the video: its own address, or ours for a local file."""
        if urlsplit(video.video_url).scheme in {"http", "https"}:
            return video.video_url
        return under_base(f"/video/{self._token(video.id, 'video')}")

    def poster_url(self, video: Video, second: float) -> str:
        """Where the browser loads the picture at `second`, which is kept to the millisecond."""
        milliseconds = max(0, round(second * 1000))
        return under_base(f"/poster/{self._token(video.id, 'poster')}/{milliseconds}.jpg")

    def upload_token(self) -> str:
        """Lets a page of this installation send files to `/upload`."""
        return self._token("any file", "upload")

    def read(self, token: str, purpose: Purpose = "video") -> str:
        """What a token names: the id of a video, except for an upload.

        Raises:
            itsdangerous.BadData: when this server did not write it, or for another purpose.
        """
        return str(self._signers[purpose].loads(token))

    def _token(self, name: str, purpose: Purpose) -> str:
        token = self._signers[purpose].dumps(name)
        return token if isinstance(token, str) else token.decode("ascii")


class Questions:
    """The questions on people's screens, so that a strip under a card can ask again for one video.

    A recipe may hold a picture, which is too much for an address: the address says which question
    was meant. Only the last `limit` are kept; the addresses of older ones lead nowhere.
    """

    def __init__(self, limit: int = QUESTIONS_KEPT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._tokens: OrderedDict[tuple[Recipe, Filters], str] = OrderedDict()
        self._asked: dict[str, tuple[Recipe, Filters]] = {}

    def links(self, recipe: Recipe, filters: Filters) -> Callable[[Video], str]:
        """Writes the address of each video's scores. The same question has the same addresses for
        as long as it is kept, so that a page drawn again loads nothing again."""
        question = (recipe, filters)
        with self._lock:
            token = self._tokens.get(question) or secrets.token_urlsafe(16)
            self._tokens[question] = token
            self._tokens.move_to_end(question)
            self._asked[token] = question
            while len(self._tokens) > self._limit:
                _, oldest = self._tokens.popitem(last=False)
                del self._asked[oldest]
        return lambda video: under_base(f"/heat/{token}/{quote(video.id, safe='')}")

    def asked(self, token: str) -> tuple[Recipe, Filters] | None:
        """The question that a token stands for, None when it is unknown or no longer kept."""
        with self._lock:
            return self._asked.get(token)


def _secret(data_dir: Path) -> bytes:
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
