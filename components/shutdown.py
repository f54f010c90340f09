"""A process that was asked to end does so within five seconds, whatever is still open.

Nothing is lost by that: uploads and jobs are on disk as far as they came, and go on from there.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

import uvicorn

logger = logging.getLogger(__name__)

# For answers that are nearly through; an upload or a paused player would be open for ever.
OPEN_REQUESTS_SEC = 1
# For closing the library, after that.
CLOSING_SEC = 3.5


def limit_open_requests() -> None:
    """Lets the server end with requests still open. To be called once it is starting.

    Streamlit has no setting for that, so the server is found where it waits for the signal.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, uvicorn.Server):
        server.config.timeout_graceful_shutdown = OPEN_REQUESTS_SEC


def end_in_time() -> None:
    """Ends the process when it has not ended by itself soon. To be called when it begins to end."""
    timer = threading.Timer(CLOSING_SEC, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    running = ", ".join(sorted(thread.name for thread in threading.enumerate()))
    logger.warning("the process ends although these still run: %s", running)
    os._exit(0)
