"""The vector store: segments and their unit vectors in Milvus, on a file (Lite) or a server.

This is the only file that imports pymilvus. One collection holds one embedding space, one partition
holds one embedding_option, one row is one embedding, under a key that can be computed from the
segment. Three rules keep a Lite file whole: writers take turns, every video ends with a flush, and
after a failed write the file is let go and opened again, because Lite would go on without the rows
it had already acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import shutil
import socket
import sys
import threading
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from core.errors import CollectionMismatch, StoreError, StoreLocked, StoreUnavailable
from core.models import EmbeddedSegment, Filters, ScoredSegment, Segment, Vector

logger = logging.getLogger(__name__)

Value = str | int | float | bool
T = TypeVar("T")

# Milvus itself answers no more hits than this.
MAX_LIMIT = 16_384
# Bytes of UTF-8, which is how a server counts them.
MAX_TEXT_BYTES = 1024

_CONNECT_SEC = 10.0
_READ_SEC = 60.0
_WRITE_SEC = 120.0
# Loading builds missing indexes, and that takes half a minute per million rows.
_LOAD_SEC = 600.0

_WRITE_ROWS = 1000
_READ_ROWS = 300
_PAGE_ROWS = MAX_LIMIT
# What a flush, its index and a compaction need beside the rows themselves.
_SPARE_BYTES = 64 * 2**20

_SEGMENT_FIELDS = [
    "video_id",
    "start_offset_sec",
    "end_offset_sec",
    "embedding_scope",
    "embedding_option",
]
_FIELDS = {"id", *_SEGMENT_FIELDS, "category", "added_at", "embedding"}
_LABEL = "seekpoint"
_EVERYTHING = Filters()

_SAFE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
_SAFE_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SAFE_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")


# --- names and literals ---------------------------------------------------------------------------


def collection_name(embedder: str, model: str, dimension: int) -> str:
    """The collection of one embedding space, such as `seekpoint_local_concepts_v1_1000`."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", f"seekpoint_{embedder}_{model}_{dimension}")
    if len(name) <= 200:
        return name
    return f"{name[:180]}_{_digest(f'{embedder}|{model}|{dimension}')[:16]}"


def segment_id(video_id: str, option: str, start_offset_sec: float) -> str:
    """The key of a segment, `video:option:milliseconds`, of letters, digits and `_.:-` only.

    Raises:
        StoreError: for an option that cannot name a partition.
    """
    if not _SAFE_OPTION.fullmatch(option):
        raise StoreError(
            f"{option!r} cannot be the name of an embedding option.",
            "Use up to 32 letters, digits and underscores.",
        )
    # Keys reach Milvus unescaped, so a video id that is not plain is replaced by its hash. The dot
    # keeps such a hash apart from every plain id.
    video = video_id if _SAFE_VIDEO_ID.fullmatch(video_id) else f".{_digest(video_id)}"
    return f"{video}:{option}:{round(start_offset_sec * 1000)}"


def literal(value: Value | Sequence[Value]) -> str:
    """`value` as it may stand in a filter. No other function writes a value into one.

    Raises:
        StoreError: for a control character, half a surrogate pair, or a number Milvus cannot hold.
    """
    if isinstance(value, str):
        return json.dumps(_checked_text(value, "a filter"), ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise StoreError(f"{value} is too large for a filter.", "Use a smaller number.")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StoreError("A filter holds a number that is not finite.", "Use a real number.")
        return repr(value)
    return f"[{', '.join(literal(item) for item in value)}]"


def _checked_text(text: str, where: str) -> str:
    # Tab, newline and carriage return have an escape that Lite and servers both know; the others
    # either break the expression or are lost on the way.
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in text):
        raise StoreError(
            f"The text of {where} has control characters: {text[:60]!r}.", "Remove them."
        )
    return text


def stored_text(text: str, where: str) -> str:
    """`text`, which the store can hold; `where` says in a message what it is.

    Raises:
        StoreError: for control characters, or more than MAX_TEXT_BYTES.
    """
    size = len(_checked_text(text, where).encode())
    if size > MAX_TEXT_BYTES:
        raise StoreError(
            f"The text of {where} takes {size:,} bytes; {MAX_TEXT_BYTES:,} is the most.",
            "Shorten it.",
        )
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _expression(filters: Filters, without: Collection[str] = ()) -> str:
    """All of `filters` but the options, which are partitions, and min_score, which is no field."""
    terms: list[str] = []
    if filters.video_ids:
        terms.append(f"video_id in {literal(filters.video_ids)}")
    if without:
        terms.append(f"video_id not in {literal(sorted(without))}")
    if filters.categories:
        terms.append(f"category in {literal(filters.categories)}")
    if filters.start is not None:
        terms.append(f"end_offset_sec > {literal(float(filters.start))}")
    if filters.end is not None:
        terms.append(f"start_offset_sec < {literal(float(filters.end))}")
    if filters.added_after is not None:
        terms.append(f"added_at >= {literal(filters.added_after.timestamp())}")
    if filters.added_before is not None:
        terms.append(f"added_at < {literal(filters.added_before.timestamp())}")
    return " and ".join(terms)


# --- the store ------------------------------------------------------------------------------------


class VectorStore:
    """The segments of one embedding space. Safe to share between threads.

    `engine` is "lite" for a file and "server" for everything else. Several stores of one process
    may use the same file; the last one to close lets go of it.
    """

    engine: Literal["lite", "server"]
    collection: str

    def __init__(
        self, uri: str, *, token: str = "", embedder: str, model: str, dimension: int
    ) -> None:
        """Opens the collection of (embedder, model, dimension) at `uri`, or creates it.

        `uri` is a path that ends in .db, or the address of a server.

        Raises:
            StoreLocked: another process has the file open.
            CollectionMismatch: the collection holds vectors of another space.
            StoreUnavailable: everything else that keeps it from opening, explained.
        """
        self.collection = collection_name(embedder, model, dimension)
        self._space = {"embedder": embedder, "model": model, "dimension": dimension}
        self._dimension = dimension
        self._partitions: set[str] = set()
        self._prepared: Any = None
        self._closed = False
        self._connection: _LiteFile | _Server
        if _is_address(uri):
            self._connection = _Server(uri, token)
        else:
            self._connection = _LiteFile.share(_lite_path(uri))
        self.engine = self._connection.engine
        try:
            self._client()
        except BaseException:
            self.close()
            raise
        logger.info("Opened collection %s (%s)", self.collection, self.engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the collection; the last store on a Lite file frees it. Idempotent."""
        with self._connection.lock:
            if self._closed:
                return
            self._closed = True
            self._connection.leave()
        logger.info("Closed collection %s", self.collection)

    # writing

    def upsert(
        self,
        video_id: str,
        category: str,
        added_at: datetime,
        segments: Sequence[EmbeddedSegment],
    ) -> list[Segment]:
        """Stores segments of one video and returns them as stored, by start, then option.

        A row with the same video, option and start is replaced. `added_at` is timezone-aware.

        Raises:
            StoreError: a vector or a text that must not be stored; nothing was.
            StoreUnavailable: the write failed. It may be repeated as it is.
        """
        if not segments:
            return []
        rows = self._rows(video_id, category, added_at, segments)
        with self._writing("store a video", room_for=len(rows)) as client:
            for option in sorted({row["embedding_option"] for row in rows.values()}):
                self._add_partition(client, option)
                mine = [row for row in rows.values() if row["embedding_option"] == option]
                for batch in _batches(mine, _WRITE_ROWS):
                    client.upsert(
                        self.collection, list(batch), partition_name=option, timeout=_WRITE_SEC
                    )
            self._connection.flush(client, self.collection)
        logger.info("Stored %d segments in %s", len(rows), self.collection)
        return _in_order([_segment(key, row) for key, row in rows.items()])

    def delete(self, ids: Sequence[str]) -> None:
        """Removes rows by segment id; ids that are not there are ignored."""
        safe = [key for key in ids if _SAFE_ID.fullmatch(key)]
        if not safe:
            return
        with self._writing("delete segments") as client:
            for batch in _batches(safe, _WRITE_ROWS):
                client.delete(self.collection, ids=list(batch), timeout=_WRITE_SEC)
            self._connection.flush(client, self.collection)
        logger.info("Deleted up to %d segments from %s", len(safe), self.collection)

    # reading

    def search(
        self,
        vector: Vector,
        *,
        filters: Filters = _EVERYTHING,
        without: Collection[str] = (),
        limit: int,
    ) -> list[ScoredSegment]:
        """The nearest segments by cosine, best first, equals by id; at most MAX_LIMIT.

        `vector` has shape (dimension,). Videos in `without` give no answer. A segment passes `added_after` from that moment on and
        `added_before` up to it, and needs a score of at least `min_score`.
        """
        query = self._checked_vectors([vector])
        limit = min(limit, MAX_LIMIT)
        if limit < 1:
            return []
        with self._reading("search") as client:
            partitions = self._existing(client, filters.options)
            if filters.options and not partitions:
                return []
            answer = client.search(
                self.collection,
                query,
                filter=_expression(filters, without),
                limit=limit,
                output_fields=_SEGMENT_FIELDS,
                search_params=self._connection.search_params(limit),
                partition_names=partitions,
                timeout=_READ_SEC,
                consistency_level="Session",
            )
        return _scored(answer[0], filters.min_score)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored unit vectors by segment id; ids that are not there are left out."""
        rows = self._get(ids, ["embedding"])
        return {key: np.asarray(row["embedding"], dtype=np.float32) for key, row in rows.items()}

    def segments(self, ids: Sequence[str]) -> list[Segment]:
        """The stored segments of these ids, by start, then option; unknown ids are left out."""
        rows = self._get(ids, _SEGMENT_FIELDS)
        return _in_order([_segment(key, row) for key, row in rows.items()])

    def ids(self) -> set[str]:
        """The id of every row."""
        found: set[str] = set()
        with self._reading("list the rows") as client:
            pages = client.query_iterator(
                self.collection, batch_size=_PAGE_ROWS, filter="", output_fields=["id"]
            )
            while page := pages.next():
                found.update(row["id"] for row in page)
            pages.close()
        return found

    def count(self) -> int:
        """How many rows the collection holds."""
        with self._reading("count the rows") as client:
            answer = client.query(
                self.collection,
                filter="",
                output_fields=["count(*)"],
                timeout=_READ_SEC,
                consistency_level="Session",
            )
        return int(answer[0]["count(*)"])

    def _get(self, ids: Sequence[str], fields: list[str]) -> dict[str, Any]:
        # pymilvus writes ids into a filter without escaping them.
        safe = [key for key in dict.fromkeys(ids) if _SAFE_ID.fullmatch(key)]
        rows: dict[str, Any] = {}
        with self._reading("read segments") as client:
            for batch in _batches(safe, _READ_ROWS):
                answer = client.get(
                    self.collection,
                    ids=list(batch),
                    output_fields=["id", *fields],
                    timeout=_READ_SEC,
                    consistency_level="Session",
                    # Vectors as arrays; lists of numbers take half as long again.
                    strict_float32=True,
                )
                rows.update((row["id"], row) for row in answer)
        return rows

    # rows

    def _rows(
        self,
        video_id: str,
        category: str,
        added_at: datetime,
        segments: Sequence[EmbeddedSegment],
    ) -> dict[str, dict[str, Any]]:
        """The rows to store by id; of two with one id the later one stays."""
        shared = {
            "video_id": stored_text(video_id, "a video's id"),
            "category": stored_text(category, "a category"),
            "added_at": added_at.timestamp(),
        }
        vectors = self._checked_vectors([segment.vector for segment in segments])
        rows: dict[str, dict[str, Any]] = {}
        for segment, vector in zip(segments, vectors, strict=True):
            start, end = float(segment.start_offset_sec), float(segment.end_offset_sec)
            if not (math.isfinite(start) and math.isfinite(end)):
                raise StoreError("A segment has no finite start and end.", "Nothing was stored.")
            key = segment_id(video_id, segment.embedding_option, start)
            rows[key] = shared | {
                "id": key,
                "start_offset_sec": start,
                "end_offset_sec": end,
                "embedding_scope": stored_text(segment.embedding_scope, "a scope"),
                "embedding_option": segment.embedding_option,
                "embedding": vector,
            }
        return rows

    def _checked_vectors(self, vectors: Sequence[Vector]) -> NDArray[np.float32]:
        """The vectors as one float32 array (n, dimension). Lite would store NaN without a word."""
        if any(np.shape(vector) != (self._dimension,) for vector in vectors):
            raise StoreError(
                f"A vector does not have {self._dimension} values.",
                "It was made by another model; nothing was stored or searched.",
            )
        matrix = np.asarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(matrix, axis=1)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise StoreError(
                "A vector is zero or holds values that are not numbers.",
                "Nothing was stored or searched.",
            )
        return matrix

    # partitions

    def _add_partition(self, client: Any, option: str) -> None:
        if option in self._partitions:
            return
        if not client.has_partition(self.collection, option, timeout=_READ_SEC):
            client.create_partition(self.collection, option, timeout=_WRITE_SEC)
        self._partitions.add(option)

    def _existing(self, client: Any, options: Sequence[str]) -> list[str] | None:
        """Those of `options` that have a partition; None when all may answer."""
        if not options:
            return None
        if not self._partitions.issuperset(options):
            # Another process may have added one to a server meanwhile.
            self._partitions |= set(client.list_partitions(self.collection, timeout=_READ_SEC))
        return [option for option in dict.fromkeys(options) if option in self._partitions]

    # the connection

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Any]:
        client = self._client()
        with _translated(doing, self._connection.where):
            yield client

    @contextmanager
    def _writing(self, doing: str, *, room_for: int = 0) -> Iterator[Any]:
        with self._connection.writing:
            client = self._client()
            self._connection.check_room(room_for * self._dimension * 4)
            with self._all_or_dropped(doing):
                yield client

    @contextmanager
    def _all_or_dropped(self, doing: str) -> Iterator[None]:
        """Lets go of a Lite file when a step that writes to it fails; the next call reopens it."""
        try:
            with _translated(doing, self._connection.where):
                yield
        except CollectionMismatch:
            raise
        except StoreError:
            self._connection.drop()
            raise

    def _client(self) -> Any:
        """A client whose collection is loaded; opens the file again where it was let go."""
        client = self._connection.client
        if client is not None and client is self._prepared and not self._closed:
            return client
        with self._connection.lock:
            if self._closed:
                raise StoreUnavailable("The library is closed.", "Open it again.")
            try:
                self._prepared = self._opened()
            except _BrokenIndex:
                # A disk that was full leaves half an index behind. The rows are elsewhere.
                self._connection.forget_indexes(self.collection)
                self._prepared = self._opened()
            return self._prepared

    def _opened(self) -> Any:
        client = self._connection.open()
        if client is not self._prepared:
            with self._all_or_dropped("open the collection"):
                self._prepare(client)
        return client

    def _prepare(self, client: Any) -> None:
        name = self.collection
        if client.has_collection(name, timeout=_READ_SEC):
            self._check_space(client.describe_collection(name, timeout=_READ_SEC))
        else:
            self._create(client)
        # Looked for even in an old collection: the process may have died right after creating it.
        if not client.list_indexes(name, timeout=_READ_SEC):
            index = client.prepare_index_params()
            index.add_index("embedding", metric_type="COSINE", **self._connection.index)
            client.create_index(name, index, timeout=_LOAD_SEC)
        client.load_collection(name, timeout=_LOAD_SEC)
        # After a crash between flush and clean-up Lite shows rows twice until the next flush.
        self._connection.flush(client, name)
        self._partitions = set(client.list_partitions(name, timeout=_READ_SEC))

    def _create(self, client: Any) -> None:
        from pymilvus import DataType

        label = json.dumps(self._space)
        schema = client.create_schema(
            auto_id=False, enable_dynamic_field=False, description=f"{_LABEL} {label}"
        )
        schema.add_field("id", DataType.VARCHAR, max_length=256, is_primary=True)
        schema.add_field("video_id", DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        schema.add_field("embedding_option", DataType.VARCHAR, max_length=32)
        schema.add_field("embedding_scope", DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        schema.add_field("category", DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        for field in ("start_offset_sec", "end_offset_sec", "added_at"):
            schema.add_field(field, DataType.DOUBLE)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=self._dimension)
        client.create_collection(
            self.collection,
            schema=schema,
            consistency_level="Session",
            timeout=_WRITE_SEC,
            **self._connection.label(label),
        )

    def _check_space(self, found: dict[str, Any]) -> None:
        fields = {field["name"]: field for field in found["fields"]}
        dimension = fields.get("embedding", {}).get("params", {}).get("dim")
        space = _label_of(found)
        if (
            fields.keys() == _FIELDS
            and int(dimension) == self._dimension
            and space in (self._space, None)
        ):
            return
        held = "{embedder}, {model}, {dimension}".format_map(space) if space else "something else"
        raise CollectionMismatch(
            f"The collection {self.collection} holds {held}, not "
            f"{self._space['embedder']}, {self._space['model']}, {self._dimension}.",
            "Go back to the embedder that filled it, or set MILVUS_URI to another file or server.",
        )


def _label_of(found: dict[str, Any]) -> dict[str, Any] | None:
    """The space a collection says it holds: Lite keeps only properties, servers a description."""
    text = found.get("properties", {}).get(_LABEL) or str(found.get("description", ""))
    try:
        space = json.loads(text.removeprefix(_LABEL))
    except ValueError:
        return None
    known = isinstance(space, dict) and space.keys() == {"embedder", "model", "dimension"}
    return space if known else None


def _segment(key: str, row: Any) -> Segment:
    return Segment(
        key,
        row["video_id"],
        row["start_offset_sec"],
        row["end_offset_sec"],
        row["embedding_scope"],
        row["embedding_option"],
    )


def _scored(hits: Any, min_score: float | None) -> list[ScoredSegment]:
    # The hits come best first, so cutting here equals a range search, which costs Lite five times
    # the rows and servers some of their recall.
    least = -math.inf if min_score is None else min_score
    found: dict[str, ScoredSegment] = {}
    for hit in hits:
        key, score = hit["id"], min(1.0, max(-1.0, hit["distance"]))
        if score >= least and key not in found:
            found[key] = ScoredSegment(_segment(key, hit["entity"]), score)
    return sorted(found.values(), key=lambda scored: (-scored.score, scored.segment.id))


def _in_order(segments: list[Segment]) -> list[Segment]:
    return sorted(segments, key=lambda s: (s.start_offset_sec, s.embedding_option, s.id))


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


# --- connections ----------------------------------------------------------------------------------


class _Server:
    """A Milvus server, cluster or Zilliz Cloud. It needs none of the care a file needs."""

    engine: Literal["lite", "server"] = "server"
    writing: AbstractContextManager[object] = nullcontext()

    def __init__(self, uri: str, token: str) -> None:
        self.lock = threading.RLock()
        self.client: Any = None
        self._uri = uri
        self._token = token
        self._host = urlsplit(uri).hostname or ""
        self.where = f"the Milvus server {self._host or uri}"
        self._chooses_index = re.search(r"(^|\.)zilliz(cloud)?\.com(\.cn)?$", self._host)

    @property
    def index(self) -> dict[str, Any]:
        if self._chooses_index:
            return {"index_type": "AUTOINDEX"}
        return {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}

    def search_params(self, limit: int) -> dict[str, Any]:
        # A narrower search loses hits as soon as a filter is set.
        return {} if self._chooses_index else {"params": {"ef": max(256, 2 * limit)}}

    def label(self, _label: str) -> dict[str, Any]:
        return {}

    def open(self) -> Any:
        if self.client is None:
            self._knock()
            self.client = _connect(self._uri, self._token, self.where)
        return self.client

    def _knock(self) -> None:
        """Fails at once where nobody listens; pymilvus would keep trying until its timeout."""
        parts = urlsplit(self._uri)
        if parts.scheme == "unix":
            return
        port = parts.port or (443 if parts.scheme == "https" else 19530)
        try:
            socket.create_connection((self._host, port), timeout=_CONNECT_SEC).close()
        except OSError as error:
            raise StoreUnavailable(
                f"Nobody answers at {self.where}, port {port}.",
                "Check MILVUS_URI and whether the server is running.",
            ) from error

    def flush(self, client: Any, collection: str) -> None:
        """Nothing: a server flushes by itself, and asking for it takes seconds."""

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


class _LiteFile:
    """A Milvus Lite file, shared by all stores of this process that use it."""

    engine: Literal["lite", "server"] = "lite"
    # One lock for the whole process: Lite writes its log from any thread that asks, and a log
    # written by two at once cannot be read back after a crash.
    lock = threading.RLock()
    writing: AbstractContextManager[object] = lock
    # One list is exact under every filter; its HNSW, which AUTOINDEX stands for, is not. The
    # parameters are nested on purpose: Lite drops them otherwise.
    index: ClassVar[dict[str, Any]] = {
        "index_type": "IVF_FLAT",
        "params": {"params": {"nlist": 1}},
    }
    _shared: ClassVar[dict[Path, _LiteFile]] = {}

    def __init__(self, path: Path) -> None:
        self.client: Any = None
        self.where = str(path)
        self._path = path
        self._users = 0

    @classmethod
    def share(cls, path: Path) -> _LiteFile:
        with cls.lock:
            file = cls._shared.setdefault(path, cls(path))
            file._users += 1
            return file

    def search_params(self, _limit: int) -> dict[str, Any]:
        return {}

    def label(self, label: str) -> dict[str, Any]:
        return {"properties": {_LABEL: label}}

    def open(self) -> Any:
        if self.client is None:
            _look_before_opening(self._path)
            self.client = _connect(str(self._path), "", self.where)
        return self.client

    def flush(self, client: Any, collection: str) -> None:
        # A row that is not flushed costs a search as much as 75 that are.
        client.flush(collection, timeout=_LOAD_SEC)

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
        # Closing the client alone would keep the file locked.
        server_manager_instance.release_server(str(self._path))

    def leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.drop()
            del self._shared[self._path]


def _connect(uri: str, token: str, where: str) -> Any:
    with _translated("open", where):
        from pymilvus import MilvusClient

        return MilvusClient(uri, token=token, timeout=_CONNECT_SEC)


def _is_address(uri: str) -> bool:
    return urlsplit(uri).scheme.lower() in {"http", "https", "tcp", "unix"}


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
            f"{path} is in use by another program.",
            "Close the other Seekpoint, or run a Milvus server for both and set MILVUS_URI to it.",
        ) from error


# --- errors ---------------------------------------------------------------------------------------


class _BrokenIndex(StoreUnavailable):
    """A built index of a Lite file cannot be read."""


# What the text of a failure says -> what to tell. The first match counts.
_CAUSES: tuple[tuple[str, type[StoreError], str, str], ...] = (
    (
        r"no space left|file too large|disk quota|errno (28|27|122)\b",
        StoreUnavailable,
        "The disk that holds {where} is full.",
        "Free some space and try again; everything stored before is safe.",
    ),
    (
        r"open local milvus failed",
        StoreUnavailable,
        "{where} cannot be opened.",
        "Close other programs that use it, or move it aside and add the videos again.",
    ),
    (
        r"faiss|\.idx\b",
        _BrokenIndex,
        "The search index inside {where} is damaged.",
        "Close Seekpoint, delete the .idx files in that folder and start again: it rebuilds them.",
    ),
    (
        r"parquet|corrupt|unexpected end of stream|schema file|manifest|errno 17\b",
        StoreUnavailable,
        "{where} is damaged.",
        "Bring back a copy of it, or move it aside and add the videos again.",
    ),
    (
        r"unauthenticated|auth check|not authenticated|incorrect password",
        StoreUnavailable,
        "The user name, password or token was refused by {where}.",
        "Check MILVUS_TOKEN.",
    ),
    (
        r"permission_?denied|permission deny|privilege",
        StoreUnavailable,
        "This account may not do that at {where}.",
        "Ask its owner for the right to read and write, or change MILVUS_TOKEN.",
    ),
    (
        r"unimplemented",
        StoreUnavailable,
        "{where} does not understand what is asked of it.",
        "Check that MILVUS_URI is the address of a Milvus of version 2.3.5 or newer.",
    ),
    (
        r"deadline_?exceeded|timed? ?out",
        StoreUnavailable,
        "No answer came in time from {where}.",
        "Try again; if it happens often, look at its load.",
    ),
    (
        r"resource_?exhausted|rate limit|quota",
        StoreUnavailable,
        "Too much at once for {where}.",
        "Wait a moment and try again.",
    ),
    (
        r"unavailable|fail(ed)? connecting|channel closed|closed channel|is closed|create connection",
        StoreUnavailable,
        "The connection failed to {where}.",
        "Try again; if it stays so, check MILVUS_URI and whether the server is running.",
    ),
)


@contextmanager
def _translated(doing: str, where: str) -> Iterator[None]:
    """Turns what pymilvus and gRPC raise into our own errors."""
    import grpc  # type: ignore[import-untyped]
    from pymilvus.exceptions import MilvusException

    try:
        yield
    # A ValueError is what gRPC raises for a call on a channel that another thread has closed.
    except (MilvusException, grpc.RpcError, ValueError) as error:
        raise _explained(error, doing, where) from error


def _explained(error: Exception, doing: str, where: str) -> StoreError:
    detail = _detail(error)
    logger.warning("Could not %s at %s: %s", doing, where, detail)
    for pattern, kind, message, hint in _CAUSES:
        if re.search(pattern, detail, re.IGNORECASE):
            text = message.format(where=where)
            return kind(text[0].upper() + text[1:], hint)
    return StoreError(
        f"{where} could not {doing}: {detail.rstrip('.')}.", "Try again; the log has the details."
    )


def _detail(error: BaseException) -> str:
    """The words of an error and of its cause, each once, without the names of their classes."""
    words: list[str] = []
    link: BaseException | None = error
    # pymilvus says only "fail connecting" and leaves the reason in the cause. Both libraries chain
    # errors to themselves, so the chain is not followed to its end, which it may not have.
    for _ in range(4):
        if link is None:
            break
        words.append(_words_of(link))
        link = link.__cause__ or link.__context__
    return "; ".join(dict.fromkeys(word for word in words if word))


def _words_of(error: BaseException) -> str:
    """pymilvus keeps its words in an attribute, gRPC behind two methods."""
    message = getattr(error, "message", None)
    if message:
        return str(message)
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    if callable(code) and callable(details):
        return f"{getattr(code(), 'name', code())}: {details()}"
    return str(error)
