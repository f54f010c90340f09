"""Opens a library and lets it work until somebody kills the process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection

import twelvelabs  # noqa: F401  (imported on first use otherwise, which takes a second)

from core import Settings, open_library
from core.log import configure_logging


def work(environment: Mapping[str, str], _: Connection) -> None:
    settings = Settings.from_env(environment, dotenv=None)
    configure_logging(settings)
    with open_library(settings):
        threading.Event().wait()
