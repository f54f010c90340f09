"""A real PostgreSQL server on this machine, for as long as a test needs one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

_START_SEC = 60.0
# It refuses to run as root.
_UNPRIVILEGED = "postgres" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Postgres:
    """A server; `url` is one of an empty database, without a driver, as people write it."""

    port: int

    def url(self) -> str:
        name = f"d{uuid.uuid4().hex}"
        with self.connected() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://seekpoint@127.0.0.1:{self.port}/{name}"

    def connected(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="seekpoint", dbname="postgres", autocommit=True
        )


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server of Debian's package that forgets everything with the block."""
    # Not in pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if _UNPRIVILEGED is not None:
        shutil.chown(folder, _UNPRIVILEGED)
    try:
        data = folder / "data"
        _run("initdb", "-D", str(data), "-U", "seekpoint", "-A", "trust", "-E", "UTF8", "--no-sync")
        port = _free_port()
        server = _start(
            "postgres", "-D", str(data), "-k", str(folder), "-h", "127.0.0.1", "-p", str(port), "-F"
        )
        try:
            running = Postgres(port)
            _wait_until_ready(running, server)
            yield running
        finally:
            server.terminate()  # ends once the connections have
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    newest = max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return subprocess.Popen(
        [newest, *arguments],
        user=_UNPRIVILEGED,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _run(program: str, *arguments: str) -> None:
    assert _start(program, *arguments).wait() == 0, f"{program} failed"


def _wait_until_ready(postgres: Postgres, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SEC
    while True:
        try:
            postgres.connected().close()
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL did not start"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
