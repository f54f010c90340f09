"""The real app as a process of its own, on a free port of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
START_SEC = 60
LOOK_AGAIN_SEC = 0.05


@dataclass(frozen=True)
class Server:
    """A started app: where it answers, where its data is, what it has printed."""

    url: str
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Ends it, and whatever it has started, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SEC
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/_stcore/health", timeout=5).is_success:
                    return
            except httpx.TransportError:
                # The app needs the processor more than the question does.
                time.sleep(LOOK_AGAIN_SEC)
        raise AssertionError(f"the app did not start:\n{self.log.read_text()}")


@contextmanager
def running_app(
    folder: Path,
    *,
    script: str = "app.py",
    port: int | None = None,
    base_path: str = "",
    **environment: str,
) -> Iterator[Server]:
    """An app that answers, with its own data directory, ended afterwards."""
    with started_app(
        folder, script=script, port=port, base_path=base_path, **environment
    ) as server:
        server.wait_until_healthy()
        yield server


@contextmanager
def started_app(
    folder: Path,
    *,
    script: str = "app.py",
    port: int | None = None,
    base_path: str = "",
    **environment: str,
) -> Iterator[Server]:
    """The same from its very beginning, before it answers; on a free port unless one is given.

    What it printed is shown by pytest when a test fails.
    """
    port = port or _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    data_dir, output = folder / "data", folder / "server.log"
    settings = {
        "SEEKPOINT_EMBEDDER": "local",
        "SEEKPOINT_DATA_DIR": str(data_dir),
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_BASE_URL_PATH": base_path,
        "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
        "STREAMLIT_SERVER_HEADLESS": "true",
        "PYTHONPATH": str(ROOT),
    }
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script],
            cwd=ROOT,
            env=os.environ | settings | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(f"http://127.0.0.1:{port}{base_path}", data_dir, output, process)
    finally:
        process.terminate()
        process.wait(timeout=60)
        sys.stderr.write(output.read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
