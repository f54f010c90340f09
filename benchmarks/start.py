"""Start to health: seconds from the command to the first good answer of the server.

`python -m benchmarks.start` starts the app on an empty data directory several times, beside a
Streamlit app of one line as the floor, and prints both medians and their ratio.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROUNDS = 5
GIVE_UP_SEC = 60.0
ROOT = Path(__file__).parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        floor = Path(folder) / "floor.py"
        floor.write_text('import streamlit as st\n\nst.write("ready")\n')
        times: dict[str, list[float]] = {"one-line app": [], "Seekpoint": []}
        for number in range(ROUNDS):
            data = Path(folder) / f"data{number}"
            times["one-line app"].append(start_to_health(floor, data))
            times["Seekpoint"].append(start_to_health(ROOT / "app.py", data))
    for name, taken in times.items():
        print(f"{name:<14}{statistics.median(taken):6.2f} s from start to health")
    ratio = statistics.median(times["Seekpoint"]) / statistics.median(times["one-line app"])
    print(f"{'ratio':<14}{ratio:6.2f}")


def start_to_health(script: Path, data_dir: Path) -> float:
    """Starts the script on a free port, waits until it is healthy, ends it."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    environment = os.environ | {"SEEKPOINT_DATA_DIR": str(data_dir)}
    begun = time.perf_counter()
    server = subprocess.Popen(
        command + options,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not healthy(port):
            if time.perf_counter() - begun > GIVE_UP_SEC or server.poll() is not None:
                raise SystemExit(f"{script.name} did not start")
            time.sleep(0.01)
        return time.perf_counter() - begun
    finally:
        server.terminate()
        server.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def healthy(port: int) -> bool:
    """Whether a Streamlit server answers on this port."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
