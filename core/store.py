"""The vector store: segments and their unit vectors in Milvus, on a file (Lite) or a server.

One collection holds one embedding space, one partition holds one embedding_option, one row is one
embedding, under a key that can be computed from the segment. Three rules keep a Lite file whole:
writers take turns, every video ends with a flush, and after a failed write the file is let go and
opened again, because Lite would go on without the rows it had already acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.engines import LABEL, LOAD_SEC, READ_SEC, WRITE_SEC, connection_to, search_params
from core.errors import CollectionMismatch, StoreError, StoreUnavailable
from core.milvus_errors import BrokenIndex, translated
from core.models import EmbeddedSegment, Filters, ScoredSegment, Segment, Vector

logger = logging.getLogger(__name__)

Value = str | int | float | bool
Row = dict[str, Any]
T = TypeVar("T")

# Milvus itself answers no more hits than this.
MAX_LIMIT = 16_384
# Bytes of UTF-8, which is how a server counts them.
MAX_TEXT_BYTES = 1024

_WRITE_ROWS = 1000
_READ_ROWS = 300
_PAGE_ROWS = MAX_LIMIT
# Servers refuse messages of 64 MB.
_PAGE_BYTES = 16 * 2**20

_SEGMENT_FIELDS = [
    "video_id",
    "start_offset_sec",
    "end_offset_sec",
    "embedding_scope",
    "embedding_option",
]
_FIELDS = {"id", *_SEGMENT_FIELDS, "category", "added_at", "embedding"}
_EVERYTHING = Filters()

_SAFE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
_SAFE_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SAFE_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")


# --- names and literals ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Space:
    """What made the vectors of a collection."""

    embedder: str
    model: str
    dimension: int


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


def filter_expression(filters: Filters, without: Collection[str] = ()) -> str:
    """All of `filters` but the options, which are partitions, and min_score, which is no field, as
    Milvus reads them. Videos in `without` do not pass."""
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


def stored_spaces(
    uri: str, *, token: str = "", database: str = "", ca_file: Path | None = None
) -> list[Space]:
    """The embedding spaces that have a collection at `uri`, by name; a new file has none.

    Raises:
        ConfigurationError, StoreLocked, StoreUnavailable: as for VectorStore.
    """
    connection = connection_to(uri, token, database, ca_file)
    try:
        client = connection.open()
        with translated("list the collections", connection.where):
            names = sorted(client.list_collections(timeout=READ_SEC))
            found = [_label_of(client.describe_collection(n, timeout=READ_SEC)) for n in names]
    finally:
        connection.leave()
    return [Space(**label) for label in found if label is not None]


# --- the store ------------------------------------------------------------------------------------


class VectorStore:
    """The segments of one embedding space. Safe to share between threads.

    `engine` is "lite" for a file and "server" for everything else. Several stores of one process
    may use the same file; the last one to close lets go of it.
    """

    engine: Literal["lite", "server"]
    collection: str

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "",
        ca_file: Path | None = None,
        embedder: str,
        model: str,
        dimension: int,
    ) -> None:
        """Opens the collection of (embedder, model, dimension) at `uri`, or creates it.

        `uri` is a path that ends in .db, or the address of a server, which may want a token, a
        database of its name, and the certificate authority that it is to be known by.

        Raises:
            ConfigurationError: an authority for an address without encryption.
            StoreLocked: another process has the file open.
            CollectionMismatch: the collection holds vectors of another space.
            StoreUnavailable: everything else that keeps it from opening, explained.
        """
        self.collection = collection_name(embedder, model, dimension)
        self._space = {"embedder": embedder, "model": model, "dimension": dimension}
        self._dimension = dimension
        self._partitions: set[str] = set()
        self._prepared: Any = None
        self._index: dict[str, Any] = {}
        self._closed = False
        self._connection = connection_to(uri, token, database, ca_file)
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
            self._write(client, rows.values())
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
                client.delete(self.collection, ids=list(batch), timeout=WRITE_SEC)
            self._connection.finish_delete(client, self.collection)
        logger.info("Deleted up to %d segments from %s", len(safe), self.collection)

    # copying

    def pages(self) -> Iterator[list[Row]]:
        """Every row with all of its fields, by id, in pages of some megabytes."""
        page_rows = max(1, min(_PAGE_ROWS, _PAGE_BYTES // (4 * self._dimension)))
        return self._pages(sorted(_FIELDS), page_rows)

    def put(self, rows: Sequence[Row]) -> None:
        """Stores rows as `pages` gives them, each in place of the one with the same id. Many of
        them end with `settle`."""
        with self._writing("store rows", room_for=len(rows)) as client:
            self._write(client, rows)

    def settle(self) -> None:
        """Ends a load by `put`: what was only in memory or in a log is written and indexed."""
        with self._writing("finish the load") as client:
            client.flush(self.collection, timeout=LOAD_SEC)

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

        `vector` has shape (dimension,). Videos in `without` give no answer. A segment passes
        `added_after` from that moment on and `added_before` up to it, and needs a score of at least
        `min_score`.
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
                filter=filter_expression(filters, without),
                limit=limit,
                output_fields=_SEGMENT_FIELDS,
                search_params=search_params(self._index, limit),
                partition_names=partitions,
                timeout=READ_SEC,
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
        return {row["id"] for page in self._pages(["id"], _PAGE_ROWS) for row in page}

    def count(self) -> int:
        """How many rows the collection holds, with all that anybody has stored so far."""
        with self._reading("count the rows") as client:
            answer = client.query(
                self.collection,
                filter="",
                output_fields=["count(*)"],
                timeout=READ_SEC,
                # It is compared with the records, and these know of other processes' rows as well.
                consistency_level="Strong",
            )
        return int(answer[0]["count(*)"])

    def _pages(self, fields: list[str], page_rows: int) -> Iterator[list[Row]]:
        # An iterator does not wait for what was just stored; a count does, and what it has waited
        # for is there from then on.
        self.count()
        with self._reading("read all rows") as client:
            pages = client.query_iterator(
                self.collection,
                batch_size=page_rows,
                filter="",
                output_fields=fields,
                timeout=READ_SEC,
                strict_float32=True,
            )
            while page := pages.next():
                yield [dict(row) for row in page]
            pages.close()

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
                    timeout=READ_SEC,
                    consistency_level="Session",
                    # Vectors as arrays; lists of numbers take half as long again.
                    strict_float32=True,
                )
                rows.update((row["id"], row) for row in answer)
        return rows

    # rows

    def _write(self, client: Any, rows: Collection[Row]) -> None:
        for option in sorted({row["embedding_option"] for row in rows}):
            self._add_partition(client, option)
            mine = [row for row in rows if row["embedding_option"] == option]
            for batch in _batches(mine, _WRITE_ROWS):
                client.upsert(
                    self.collection, list(batch), partition_name=option, timeout=WRITE_SEC
                )

    def _rows(
        self,
        video_id: str,
        category: str,
        added_at: datetime,
        segments: Sequence[EmbeddedSegment],
    ) -> dict[str, Row]:
        """The rows to store by id; of two with one id the later one stays."""
        shared = {
            "video_id": stored_text(video_id, "a video's id"),
            "category": stored_text(category, "a category"),
            "added_at": added_at.timestamp(),
        }
        vectors = self._checked_vectors([segment.vector for segment in segments])
        rows: dict[str, Row] = {}
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
        if not client.has_partition(self.collection, option, timeout=READ_SEC):
            client.create_partition(self.collection, option, timeout=WRITE_SEC)
        self._partitions.add(option)

    def _existing(self, client: Any, options: Sequence[str]) -> list[str] | None:
        """Those of `options` that have a partition; None when all may answer."""
        if not options:
            return None
        if not self._partitions.issuperset(options):
            # Another process may have added one to a server meanwhile.
            self._partitions |= set(client.list_partitions(self.collection, timeout=READ_SEC))
        return [option for option in dict.fromkeys(options) if option in self._partitions]

    # the connection

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Any]:
        client = self._client()
        with translated(doing, self._connection.where):
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
            with translated(doing, self._connection.where):
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
            except BrokenIndex:
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
        if client.has_collection(name, timeout=READ_SEC):
            self._check_space(client.describe_collection(name, timeout=READ_SEC))
        else:
            self._create(client)
        # Looked for even in an old collection: the process may have died right after creating it.
        if not client.list_indexes(name, timeout=READ_SEC):
            self._create_index(client)
        (index,) = client.list_indexes(name, timeout=READ_SEC)
        self._index = client.describe_index(name, index, timeout=READ_SEC)
        client.load_collection(name, timeout=LOAD_SEC)
        # After a crash between flush and clean-up Lite shows rows twice until the next flush.
        self._connection.flush(client, name)
        self._partitions = set(client.list_partitions(name, timeout=READ_SEC))

    def _create(self, client: Any) -> None:
        from pymilvus import DataType

        label = json.dumps(self._space)
        schema = client.create_schema(
            auto_id=False, enable_dynamic_field=False, description=f"{LABEL} {label}"
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
            timeout=WRITE_SEC,
            **self._connection.label(label),
        )

    def _create_index(self, client: Any) -> None:
        """Makes the best index that is not refused."""
        from pymilvus.exceptions import MilvusException

        *wanted, last = self._connection.indexes
        for profile in wanted:
            try:
                self._ask_for_index(client, profile)
            except MilvusException as error:
                logger.info("No %s in %s: %s", profile, self.collection, error.message)
            else:
                return
        self._ask_for_index(client, last)

    def _ask_for_index(self, client: Any, profile: dict[str, Any]) -> None:
        index = client.prepare_index_params()
        index.add_index("embedding", metric_type="COSINE", **profile)
        client.create_index(self.collection, index, timeout=LOAD_SEC)

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
    text = found.get("properties", {}).get(LABEL) or str(found.get("description", ""))
    try:
        space = json.loads(text.removeprefix(LABEL))
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
