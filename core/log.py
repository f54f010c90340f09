"""Logging: one rotating file and the console, with keys blotted out.

A line says which visitor's page, which request and which job it is about, where there is one:
`working_on` is put around the work, and everything that is logged inside carries it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from types import MappingProxyType

from core.errors import ConfigurationError
from core.settings import Settings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s%(about)s: %(message)s"
_MEGABYTE = 1_000_000
# Whatever follows the name of a secret is blotted out, also inside URLs and header dumps.
_SECRET = re.compile(
    r"(?i)((?:api[_-]?key|token|authorization|password|signature|[?&]sig)['\"]?\s{0,9}[:=,]\s{0,9}"
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


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, and blots out every known or likely secret.

    `whose` names the visitor whose page is being drawn, if there is one.
    """

    def __init__(
        self, secrets: tuple[str, ...], whose: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        super().__init__(_FORMAT)
        self._secrets = tuple(secret for secret in secrets if secret)
        self._whose = whose

    def about(self) -> dict[str, str]:
        """What this thread is working on."""
        return {**self._whose(), **_about.get()}

    def format(self, record: logging.LogRecord) -> str:
        record.about = "".join(f" {name}={value}" for name, value in self.about().items())
        return self.redacted(super().format(record))

    def redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        text = _SECRET.sub(r"\1[redacted]", text)
        return _URL_LOGIN.sub("[redacted]@", text)


class JsonFormatter(RedactingFormatter):
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
            fields["exception"] = self.formatException(record.exc_info)
        # Blotted out before it is JSON: a key may be spelled otherwise in there.
        return json.dumps(
            {name: self.redacted(value) for name, value in fields.items()}, ensure_ascii=False
        )


def configure_logging(settings: Settings, whose: Callable[[], Mapping[str, str]] = dict) -> None:
    """Sends the `core`, `components` and `app` loggers to the console and to data/logs. Idempotent.

    `whose` names the visitor whose page is being drawn, if there is one.

    Raises:
        ConfigurationError: when the data directory cannot be written.
    """
    form = JsonFormatter if settings.log_format == "json" else RedactingFormatter
    formatter = form((settings.twelvelabs_api_key, settings.milvus_token), whose)
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
