"""A real Milvus server on this machine, for as long as a test needs one."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milvus import MilvusServer, MilvusServerConfig


@contextmanager
def running_milvus(folder: Path) -> Iterator[str]:
    """A server that keeps its data in `folder`; gives its address and ends with the block.

    It runs in a process of its own, which ends as well when this one is killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.milvus_server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http"), "the server did not start; its logs are in its folder"
        yield address
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def _run_until_the_parent_ends(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    server = MilvusServer(MilvusServerConfig(data_dir=str(folder)))
    # It looks for free ports and lets go of them before it takes them: one start at a time.
    with (Path(tempfile.gettempdir()) / "milvus-start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ["ETCD_CONFIG_PATH"] = str(_etcd_config(folder))
        server.start()
    print(f"http://127.0.0.1:{server.listen_port}", flush=True)  # noqa: T201
    sys.stdin.read()
    server.stop()


def _etcd_config(folder: Path) -> Path:
    """Other ports for the etcd inside the server. It would take the same ones each time, and no
    second server could start."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        peer, client = (f"http://127.0.0.1:{probe.getsockname()[1]}" for probe in (one, other))
    config = folder / "etcd.yaml"
    config.write_text(
        f"""\
name: seekpoint
data-dir: {folder}/etcd
log-outputs: [{folder}/etcd.log]
listen-peer-urls: {peer}
initial-advertise-peer-urls: {peer}
initial-cluster: seekpoint={peer}
listen-client-urls: {client}
advertise-client-urls: {client}
"""
    )
    return config


if __name__ == "__main__":
    _run_until_the_parent_ends(Path(sys.argv[1]))
