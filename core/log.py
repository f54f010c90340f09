"""Logging: one rotating file and the console, with keys blotted out."""

from __future__ import annotations

import logging
import re
from logging.handlers import RotatingFileHandler

from core.errors import ConfigurationError
from core.settings import Settings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_MAX_BYTES = 5_000_000
_KEPT_FILES = 5
# Whatever follows the name of a secret is blotted out, also inside URLs and header dumps.
_SECRET = re.compile(
    r"(?i)((?:api[_-]?key|token|authorization|password|signature|[?&]sig)['\"]?\s{0,9}[:=,]\s{0,9}"
    r"(?:b?['\"])?)(?:(?:bearer|basic)\s+)?[^\s'\"&,;}]+"
)
# Begins at "://": a pattern that begins with a repetition takes minutes on one very long word.
_URL_LOGIN = re.compile(r"(?<=://)[^\s/?#]{1,300}@")


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, and blots out every known or likely secret."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(_FORMAT)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        text = _SECRET.sub(r"\1[redacted]", text)
        return _URL_LOGIN.sub("[redacted]@", text)


def configure_logging(settings: Settings) -> None:
    """Sends the `core`, `components` and `app` loggers to the console and to data/logs. Idempotent.

    Raises:
        ConfigurationError: when the data directory cannot be written.
    """
    formatter = RedactingFormatter((settings.twelvelabs_api_key, settings.milvus_token))
    path = settings.data_dir / "logs" / "seekpoint.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        to_file = RotatingFileHandler(
            path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8"
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
