"""Logging: one rotating file and the console, with keys blotted out.

A line says which visitor's page, which request and which job it is about, where there is one:
`working_on` is put around the work, and everything that is logged inside carries it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from core.errors import ConfigurationError
from core.settings import Settings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s%(about)s: %(message)s"
_PLAIN = logging.Formatter()
_MEGABYTE = 1_000_000
_BLOT = "[redacted]"
# A shorter one would blot out pieces of words, and is no secret.
_SHORTEST_SECRET = 4
# Whatever follows the name of a secret is blotted out, also inside URLs and header dumps.
_SECRET = re.compile(
    r"(?i)((?:api[_-]?key|access[_-]?key|token|authorization|password|secret|cookie|signature|[?&]sig)"
    r"['\"]?\s{0,9}[:=,]\s{0,9}"
    r"(?:b?['\"])?)(?:(?:bearer|basic)\s+)?[^\s'\"&,;}]+"
)
# Begins at "://": a pattern that begins with a repetition takes minutes on one very long word.
_URL_LOGIN = re.compile(r"(?<=://)[^\s/?#]{1,300}@")


_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def working_on(**ids: str) -> Iterator[None]:
    """Names what is worked on, such as `job` or `request`, in every line that is logged inside."""
    token = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(token)


class TextFormatter(logging.Formatter):
    """One line for people. `whose` names the visitor whose page is being drawn, if there is one."""

    def __init__(self, whose: Callable[[], Mapping[str, str]] = dict) -> None:
        super().__init__(_FORMAT)
        self._whose = whose

    def about(self) -> dict[str, str]:
        """What this thread is working on."""
        return {**self._whose(), **_about.get()}

    def format(self, record: logging.LogRecord) -> str:
        record.about = "".join(f" {name}={value}" for name, value in self.about().items())
        return super().format(record)


class JsonFormatter(TextFormatter):
    """The same as one JSON object a line: time (UTC), level, logger, message, what is worked on,
    and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.about(),
        }
        if record.exc_info:
            fields["exception"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def redact_all_records(settings: Settings) -> None:
    """Blots out every known or likely secret in whatever any library logs from now on, tracebacks
    included, before any handler sees it."""
    # Longest first: one may be a part of another.
    secrets = sorted(_secrets_in(settings), key=len, reverse=True)

    def redacted(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, _BLOT)
        text = _SECRET.sub(rf"\1{_BLOT}", text)
        return _URL_LOGIN.sub(f"{_BLOT}@", text)

    def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        # What cannot be formatted is reported by the handlers; it must not stop who logs it.
        with suppress(Exception):
            record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redacted(_PLAIN.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(make_record)


def _secrets_in(settings: Settings) -> set[str]:
    """Keys, tokens and passwords, as they are and as they stand in addresses."""
    addresses = (settings.database_url, settings.milvus_uri, settings.media_url)
    secrets = {
        settings.twelvelabs_api_key,
        settings.milvus_token,
        settings.milvus_token.partition(":")[2],
        settings.secret,
        settings.metrics_token,
        *(_password_in(address) for address in addresses),
    }
    spelled = secrets | {unquote(secret) for secret in secrets} | {quote(s, "") for s in secrets}
    return {secret for secret in spelled if len(secret) >= _SHORTEST_SECRET}


def _password_in(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


def configure_logging(settings: Settings, whose: Callable[[], Mapping[str, str]] = dict) -> None:
    """Sends the `core`, `components` and `app` loggers to the console and to data/logs. Idempotent.

    `whose` names the visitor whose page is being drawn, if there is one.

    Raises:
        ConfigurationError: when the data directory cannot be written.
    """
    redact_all_records(settings)
    formatter = (JsonFormatter if settings.log_format == "json" else TextFormatter)(whose)
    path = settings.data_dir / "logs" / "seekpoint.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        to_file = RotatingFileHandler(
            path,
            maxBytes=settings.log_max_mb * _MEGABYTE,
            backupCount=settings.log_files,
            encoding="utf-8",
        )
    except OSError as error:
        raise ConfigurationError(
            f"SEEKPOINT_DATA_DIR is {str(settings.data_dir)!r}, which cannot be written: "
            f"{error.strerror}.",
            "Choose a folder this user may write to.",
        ) from error
    handlers: list[logging.Handler] = [to_file, logging.StreamHandler()]
    for handler in handlers:
        handler.setFormatter(formatter)
    for name in ("core", "components", "app"):
        logger = logging.getLogger(name)
        for old in list(logger.handlers):
            logger.removeHandler(old)
            old.close()
        for handler in handlers:
            logger.addHandler(handler)
        logger.setLevel(settings.log_level)
        logger.propagate = False
    # Both libraries log a traceback for failures that we translate and report ourselves.
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
