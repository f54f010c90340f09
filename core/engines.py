"""Where the vectors are: in a Milvus Lite file, or on a server, cluster or Zilliz Cloud.

Each kind says which index it wants and what it needs around a write. What a search must be told
follows from the index that is there, whoever made it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import ssl
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from core.errors import ConfigurationError, StoreLocked, StoreUnavailable
from core.lock import holder
from core.milvus_errors import translated

logger = logging.getLogger(__name__)

CONNECT_SEC = 10.0
READ_SEC = 60.0
WRITE_SEC = 120.0
# Loading builds missing indexes, and that takes half a minute per million rows.
LOAD_SEC = 600.0

# A collection says in this property which space it holds.
LABEL = "seekpoint"
# What a flush, its index and a compaction need beside the rows themselves.
_SPARE_BYTES = 64 * 2**20


class Server:
    """A Milvus server, cluster or Zilliz Cloud. It needs none of the care a file needs."""

    engine: Literal["lite", "server"] = "server"
    writing: AbstractContextManager[object] = nullcontext()

    # Best first: one that chooses the index itself may refuse to be told which.
    indexes: ClassVar[list[dict[str, Any]]] = [
        {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}},
        {"index_type": "AUTOINDEX"},
    ]

    def __init__(self, uri: str, token: str, database: str, ca_file: Path | None) -> None:
        self.lock = threading.RLock()
        self.client: Any = None
        self._uri = uri
        self._token = token
        self._database = database
        self._ca_file = ca_file
        self._host = urlsplit(uri).hostname or ""
        self._port = urlsplit(uri).port
        self._encrypted = urlsplit(uri).scheme.lower() == "https"
        self.where = f"the Milvus server {self._host or uri}"
        if ca_file:
            self._check_authority(ca_file)

    def label(self, _label: str) -> dict[str, Any]:
        return {}

    def open(self) -> Any:
        if self.client is None:
            self._knock()
            try:
                self.client = self._connect()
            except StoreUnavailable:
                self._check_certificate()
                raise
        return self.client

    def _check_authority(self, file: Path) -> None:
        if not self._encrypted:
            raise ConfigurationError(
                "MILVUS_CA_FILE is set, but MILVUS_URI does not begin with https://.",
                "Begin it with https://, or leave MILVUS_CA_FILE empty.",
            )
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            raise ConfigurationError(
                f"MILVUS_CA_FILE is {str(file)!r}, which holds no certificate.",
                "Set it to the certificate of an authority, as a PEM file.",
            ) from error

    def _connect(self) -> Any:
        trusted = {"server_pem_path": str(self._ca_file)} if self._ca_file else {}
        with translated("open", self.where):
            return _new_client(
                self._uri,
                token=self._token,
                db_name=self._database,
                timeout=CONNECT_SEC,
                **trusted,
            )

    def _knock(self) -> None:
        """Fails at once where nobody listens; pymilvus would keep trying until its timeout."""
        if urlsplit(self._uri).scheme == "unix":
            return
        try:
            self._reach().close()
        except OSError as error:
            raise StoreUnavailable(
                f"Nobody answers at {self.where}, port {self._address[1]}.",
                "Check MILVUS_URI and whether the server is running.",
            ) from error

    def _reach(self) -> socket.socket:
        return socket.create_connection(self._address, timeout=CONNECT_SEC)

    @property
    def _address(self) -> tuple[str, int]:
        return self._host, self._port or (443 if self._encrypted else 19530)

    def _check_certificate(self) -> None:
        """Says when it was the certificate; pymilvus says only that it could not connect."""
        if not self._encrypted:
            return
        context = ssl.create_default_context(cafile=self._ca_file)
        try:
            with self._reach() as plain:
                context.wrap_socket(plain, server_hostname=self._host).close()
        except ssl.SSLCertVerificationError as error:
            raise StoreUnavailable(
                f"The certificate of {self.where} is not trusted: {error.verify_message}.",
                "Set MILVUS_CA_FILE to the certificate of the authority that signed it.",
            ) from error
        except OSError as error:
            raise StoreUnavailable(
                f"No encrypted connection to {self.where} comes about.",
                "Begin MILVUS_URI with http:// if the server does not encrypt.",
            ) from error

    def flush(self, client: Any, collection: str) -> None:
        """Nothing: a server flushes by itself, and asking for it takes seconds."""

    def finish_delete(self, client: Any, collection: str) -> None:
        """Waits until the rows are gone: else a search would find them for a moment longer."""
        # A server says when it stored a row, which later reads wait for, but not when it deleted
        # one. This waits for everything that was asked of it before.
        client.get(collection, ids=["-"], timeout=READ_SEC, consistency_level="Strong")

    def check_room(self, size: int) -> None:
        """Nothing: the server's disk is not ours to see."""

    def forget_indexes(self, collection: str) -> None:
        """Nothing: a server looks after its indexes."""

    def drop(self) -> None:
        """Nothing: a failed call leaves a server as it was."""

    def leave(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


class LiteFile:
    """A Milvus Lite file, shared by all stores of this process that use it."""

    engine: Literal["lite", "server"] = "lite"
    # One lock for the whole process: Lite writes its log from any thread that asks, and a log
    # written by two at once cannot be read back after a crash.
    lock = threading.RLock()
    writing: AbstractContextManager[object] = lock
    # One list is exact under every filter; its HNSW, which AUTOINDEX stands for, is not. The
    # parameters are nested on purpose: Lite drops them otherwise.
    indexes: ClassVar[list[dict[str, Any]]] = [
        {"index_type": "IVF_FLAT", "params": {"params": {"nlist": 1}}},
    ]
    _shared: ClassVar[dict[Path, LiteFile]] = {}

    def __init__(self, path: Path) -> None:
        self.client: Any = None
        self.where = str(path)
        self._path = path
        self._users = 0

    @classmethod
    def share(cls, path: Path) -> LiteFile:
        with cls.lock:
            file = cls._shared.setdefault(path, cls(path))
            file._users += 1
            return file

    def label(self, label: str) -> dict[str, Any]:
        return {"properties": {LABEL: label}}

    def open(self) -> Any:
        if self.client is None:
            _look_before_opening(self._path)
            with translated("open", self.where):
                self.client = _new_client(str(self._path), timeout=CONNECT_SEC)
        return self.client

    def flush(self, client: Any, collection: str) -> None:
        # A row that is not flushed costs a search as much as 75 that are.
        client.flush(collection, timeout=LOAD_SEC)

    finish_delete = flush

    def check_room(self, size: int) -> None:
        """Refuses a write of `size` bytes of vectors that the disk could not hold."""
        free = shutil.disk_usage(self._path).free
        if size and free < 2 * size + _SPARE_BYTES:
            raise StoreUnavailable(
                f"The disk that holds {self.where} has only {free // 2**20} MB left.",
                "Free some space and try again; nothing was stored.",
            )

    def forget_indexes(self, collection: str) -> None:
        """Removes the built indexes of a closed file; loading builds them again from the rows."""
        logger.warning("Rebuilding the search index of %s", collection)
        for index in (self._path / "collections" / collection).rglob("*.idx"):
            index.unlink()

    def drop(self) -> None:
        """Closes the file. Its log brings back every acknowledged row when it is next opened."""
        if self.client is None:
            return
        from milvus_lite.server_manager import server_manager_instance

        self.client.close()
        self.client = None
        self._end_background_work(server_manager_instance)
        # Closing the client alone would keep the file locked.
        server_manager_instance.release_server(str(self._path))

    def _end_background_work(self, servers: Any) -> None:
        """Waits until merges and indexes are done. Lite itself waits only where its close does not
        fail, as it does on a full disk: the merge would go on beside whoever opens the file next,
        and remove what that one counts on."""
        _, files, _ = servers._servers[str(self._path)]
        for collection in tuple(files._collections.values()):
            collection._wait_for_bg()

    def leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.drop()
            del self._shared[self._path]


def _new_client(*args: Any, **kwargs: Any) -> Any:
    from pymilvus import MilvusClient

    # Its import lets it speak: warnings that are none, and failures that we explain ourselves.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    # pymilvus keeps a shared connection for ever, and gives it to whoever next asks for its address,
    # whatever they say of encryption and authorities: a Lite file may get the port of another.
    return MilvusClient(*args, dedicated=True, **kwargs)


Connection = LiteFile | Server


def connection_to(uri: str, token: str, database: str, ca_file: Path | None) -> Connection:
    """The place at `uri`, not opened yet. `token`, `database` and `ca_file` are a server's."""
    if urlsplit(uri).scheme.lower() in {"http", "https", "tcp", "unix"}:
        return Server(uri, token, database, ca_file)
    return LiteFile.share(_lite_path(uri))


def search_params(index: dict[str, Any], limit: int) -> dict[str, Any]:
    """What a search for `limit` hits must tell an index, as `describe_index` describes it."""
    match index["index_type"]:
        case "HNSW":
            # A narrower search loses hits as soon as a filter is set.
            return {"params": {"ef": max(256, 2 * limit)}}
        case "IVF_FLAT" if "nlist" in index:
            return {"params": {"nprobe": int(index["nlist"])}}
        case _:
            return {}


def _lite_path(uri: str) -> Path:
    """One spelling for one file, links followed: Lite refuses to open a file twice."""
    if not uri.endswith(".db"):
        raise StoreUnavailable(
            f"MILVUS_URI is {uri!r}.",
            "Use a path that ends in .db, or the address of a server such as http://host:19530.",
        )
    try:
        return Path(uri).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreUnavailable(
            f"MILVUS_URI is {uri!r}, which is no usable path.", "Set it to another path."
        ) from error


def _look_before_opening(path: Path) -> None:
    """Says why a Lite file cannot be opened; pymilvus says "failed" whatever the cause."""
    try:
        if path.is_file():
            raise _not_a_database(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailable(
            f"{path} cannot be opened for writing: {error.strerror}.",
            "Give this user the right to write there, or set MILVUS_URI to another path.",
        ) from error
    try:
        _try_lock(lock, path)
    finally:
        os.close(lock)
    _check_manifests(path)


def _check_manifests(path: Path) -> None:
    """Stops at a broken manifest: Lite would delete every data file that it does not name."""
    files = path.glob("collections/*/partitions/*/data/*.parquet")
    for folder in sorted({file.parents[3] for file in files}):
        manifest = folder / "manifest.json"
        try:
            whole = isinstance(json.loads(manifest.read_bytes()), dict)
        except (OSError, ValueError):
            whole = False
        if not whole:
            raise StoreUnavailable(
                f"{path} is damaged: {manifest} cannot be read.",
                "Bring back a copy of it, or move it aside and add the videos again.",
            )


def _not_a_database(path: Path) -> StoreUnavailable:
    with path.open("rb") as file:
        old = file.read(15) == b"SQLite format 3"
    what = "was written by an older Milvus Lite" if old else "is a file of another program"
    return StoreUnavailable(
        f"{path} {what}.",
        "Move it aside and add the videos again, or set MILVUS_URI to another path.",
    )


def _try_lock(lock: int, path: Path) -> None:
    if sys.platform == "win32":
        return  # no flock there; opening will fail with the general message instead
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreLocked(
            f"{path} is in use by another program{holder(lock)}.",
            "Close the other Seekpoint, or run a Milvus server for both and set MILVUS_URI to it.",
        ) from error
