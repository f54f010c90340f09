"""The library: what pages, benchmarks and scripts use. Everything else in core is behind it."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, Self

import numpy as np

from core import export, fetch, media
from core.embedders import create_embedder
from core.embedders.base import Embedder
from core.errors import MediaError, RecipeError, SeekpointError
from core.ingest import (
    IngestQueue,
    is_url,
    normal_source,
    video_id_of_file,
    video_id_of_url,
)
from core.lock import DataDirLock
from core.models import (
    Capabilities,
    Estimate,
    Filters,
    Heat,
    Job,
    SearchResult,
    Segment,
    SourceEstimate,
    Vector,
    Video,
)
from core.recipe import Part, Recipe, query_vector
from core.search import find_moments
from core.settings import Settings
from core.shelf import Shelf
from core.state import State
from core.store import VectorStore, collection_name
from core.uploads import Uploads

logger = logging.getLogger(__name__)

_KEPT_QUERY_VECTORS = 512
_UNREACHABLE_FOR_SEC = 300.0


def open_library(settings: Settings) -> Library:
    """Opens the library these settings describe and starts its workers.

    Raises:
        StoreLocked: another process has this data directory open.
        StoreUnavailable, CollectionMismatch, ConfigurationError: with what to do about it.
    """
    return Library(settings)


class Library:
    """Videos in, moments out. A context manager; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with ExitStack() as opened:
            opened.callback(DataDirLock(settings.data_dir).release)
            # Half-finished downloads of a process that died.
            shutil.rmtree(settings.data_dir / "tmp", ignore_errors=True)
            self.embedder: Embedder = create_embedder(settings.embedder, settings)
            name, model, dimension = (
                self.embedder.name,
                self.embedder.model,
                self.embedder.dimension,
            )
            self._state = State(
                settings.database_url, collection=collection_name(name, model, dimension)
            )
            opened.callback(self._state.close)
            self._store = VectorStore(
                settings.milvus_uri,
                token=settings.milvus_token,
                embedder=name,
                model=model,
                dimension=dimension,
            )
            opened.callback(self._store.close)
            self._shelf = Shelf(self._state)
            self._uploads = Uploads(settings.data_dir, self._state)
            self.warning = self._compare_row_counts()
            self._vectors = _QueryVectors(self._embed_part)
            self._no_poster_until: dict[str, float] = {}
            self._queue = IngestQueue(
                settings=settings,
                embedder=self.embedder,
                store=self._store,
                state=self._state,
                shelf=self._shelf,
                uploads=self._uploads,
            )
            opened.callback(self._queue.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the workers, flushes, and gives the files free for another process."""
        self._opened.close()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            embedder=self.embedder.name,
            model=self.embedder.model,
            dimension=self.embedder.dimension,
            options=self.embedder.options,
            engine=self._store.engine,
            remote=self.embedder.remote,
        )

    @property
    def collection(self) -> str:
        return self._store.collection

    @property
    def version(self) -> int:
        """Grows whenever a video is added, renamed or removed: results cached before are stale."""
        return self._shelf.version

    # In

    def estimate(self, sources: Sequence[str | Path]) -> Estimate:
        """Per source: minutes, whether it is here already, and what is wrong with it."""
        return Estimate(tuple(self._estimate(source) for source in sources))

    def add(
        self,
        sources: Sequence[str | Path],
        *,
        category: str = "",
        titles: Sequence[str] | None = None,
    ) -> list[Job]:
        """Queues addresses and files. Returns at once; a source named twice is queued once.

        What is wrong with a source shows in its job; the others go on.

        Raises:
            StoreError: for a category that cannot be stored; nothing is queued.
        """
        return self._queue.add(sources, category=category, titles=titles)

    def keep_upload(self, name: str, content: BinaryIO) -> Path:
        """Copies an uploaded file into the data directory, named by its content.

        Raises:
            MediaError: when the disk refuses it; nothing half-written stays.
        """
        return self._uploads.keep(name, content)

    def jobs(self) -> list[Job]:
        """Every job that was not forgotten, oldest first."""
        return self._state.jobs()

    def wait(self, jobs: Sequence[Job] | None = None, timeout: float | None = None) -> list[Job]:
        """Blocks until the jobs (default: all) have finished, `timeout` seconds have passed, or the
        library is closed."""
        return self._queue.wait(jobs, timeout)

    def cancel(self, job_id: str) -> None:
        """Ends a waiting job at once and a running one at its next step; a finished one stays."""
        self._queue.cancel(job_id)

    def retry(self, job_id: str) -> None:
        """Queues a failed or cancelled job again. It goes on from what it had saved."""
        self._queue.retry(job_id)

    def forget(self, job_id: str) -> None:
        """Takes a finished job off the list; its video stays."""
        job = self._state.job(job_id)
        if job is not None and job.stage.finished:
            self._state.forget_job(job_id)
            self._uploads.discard(Path(job.source))

    def videos(self) -> list[Video]:
        """Every video, newest first."""
        return list(self._shelf.videos.values())[::-1]

    def remove(self, video_id: str) -> None:
        """Removes a video: its vectors, its record, its posters and our own copy of its file.

        Vectors go first and the record last, so a removal that is interrupted can be repeated.
        """
        with self._shelf.changing:
            stored = self._shelf.get(video_id)
            if stored is None:
                return
            self._store.delete([segment.id for segment in stored.segments])
            self._shelf.remove(video_id)
        shutil.rmtree(self._poster_folder(video_id), ignore_errors=True)
        self._uploads.discard(stored.path)

    def segments(self, video_id: str) -> list[Segment]:
        """Every segment of a video, in order of start; empty for an unknown video."""
        stored = self._shelf.get(video_id)
        if stored is None:
            return []
        return sorted(stored.segments, key=lambda s: (s.start_offset_sec, s.embedding_option))

    # Out

    def search(
        self,
        recipe: Recipe | str,
        *,
        filters: Filters | None = None,
        limit: int = 24,
        offset: int = 0,
    ) -> SearchResult:
        """The moments that answer a recipe best, from `offset` (counted from 0) on, at most `limit`.

        Raises:
            RecipeError: empty, too long, cancelled out, or an unknown segment.
            EmbedderError, StoreError, MediaError: with what to do about it.
        """
        recipe, filters = _as_recipe(recipe), filters or Filters()
        begun = time.perf_counter()
        asked: list[Part] = []
        direction, length = query_vector(recipe, partial(self._vectors.of, asked=asked))
        embedded = time.perf_counter()
        moments = find_moments(
            self._store,
            self._shelf.videos,
            direction,
            length=length,
            filters=filters,
            limit=limit,
            offset=offset,
            options=len(filters.options or self.embedder.options),
        )
        done = time.perf_counter()
        return SearchResult(
            hits=tuple(hit for moment in moments for hit in moment.hits),
            moments=moments,
            recipe=recipe,
            filters=filters,
            model=self.embedder.model,
            timings={"embed": embedded - begun, "search": done - embedded},
            cached=not asked,
        )

    def why(self, result: SearchResult) -> dict[str, str]:
        """For each moment's best segment, by id, a few words on why it answers; may be empty."""
        if not self.embedder.explains:
            return {}
        ids = [moment.best.segment.id for moment in result.moments]
        direction, _ = query_vector(result.recipe, self._vectors.of)
        lines = {
            segment_id: self.embedder.explain(direction, vector)
            for segment_id, vector in self._store.vectors(ids).items()
        }
        return {segment_id: line for segment_id, line in lines.items() if line}

    def heat(self, recipe: Recipe | str, video_id: str) -> list[Heat]:
        """The score of every segment of a video, in order of start; the best option of each.

        Raises what `search` raises.
        """
        direction, length = query_vector(_as_recipe(recipe), self._vectors.of)
        segments = self.segments(video_id)
        vectors = self._store.vectors([segment.id for segment in segments])
        best: dict[tuple[float, float], float] = {}
        for segment in segments:
            if segment.id not in vectors:
                continue  # the store lost rows; `warning` says so
            span = (segment.start_offset_sec, segment.end_offset_sec)
            score = float(np.dot(vectors[segment.id], direction)) * length
            best[span] = max(score, best.get(span, score))
        return [Heat(start, end, score) for (start, end), score in best.items()]

    def export(self, result: SearchResult, format: Literal["csv"] = "csv") -> bytes:
        """The shown moments as a file."""
        if format != "csv":
            raise ValueError(f"unknown export format {format!r}")
        return export.to_csv(result)

    # Pictures and players

    def media_path(self, video_id: str) -> Path | None:
        """The local file of a video; None for a remote or unknown one, or when it is gone."""
        stored = self._shelf.get(video_id)
        if stored is None or stored.path is None or not stored.path.is_file():
            return None
        return stored.path

    def poster(self, video_id: str, second: float) -> Path | None:
        """A JPEG of the frame at `second`, made on first use and kept; None when there is none.

        A second outside the video is its first or last one.
        """
        stored = self._shelf.get(video_id)
        if stored is None:
            return None
        second = min(max(0.0, second), stored.video.duration or 0.0)
        poster = self._poster_folder(video_id) / f"{round(second * 1000)}.jpg"
        if poster.is_file():
            return poster
        if time.monotonic() < self._no_poster_until.get(video_id, 0.0):
            return None
        try:
            with self._readable(stored.path, stored.video.video_url) as source:
                media.save_poster(source, second, poster)
        except MediaError as error:
            logger.info("no poster of %s: %s", video_id, error)
            self._no_poster_until[video_id] = time.monotonic() + _UNREACHABLE_FOR_SEC
            return None
        return poster

    @contextmanager
    def _readable(self, path: Path | None, url: str) -> Iterator[Path | BinaryIO]:
        if path is not None:
            yield path
            return
        with fetch.RemoteFile(url, allow_private=self.settings.allow_private_urls) as remote:
            yield remote

    def _poster_folder(self, video_id: str) -> Path:
        return self.settings.data_dir / "posters" / video_id

    def _estimate(self, source: str | Path) -> SourceEstimate:
        named = normal_source(source)
        try:
            if is_url(named):
                url = fetch.check_url(named, allow_private=self.settings.allow_private_urls)
                video_id = video_id_of_url(url)
            else:
                video_id = video_id_of_file(Path(named))
            known = self._shelf.get(video_id)
            if known is not None:
                seconds = known.video.duration
            else:
                seconds = None if is_url(named) else media.probe(Path(named)).duration
        except SeekpointError as error:
            return SourceEstimate(
                str(source), None, None, known="", problem=error.message, hint=error.hint
            )
        minutes = None if seconds is None else seconds / 60
        return SourceEstimate(
            str(source), minutes, None, known=known.video.title if known else "", problem=""
        )

    def _embed_part(self, part: Part) -> Vector:
        match part.kind:
            case "text":
                return self.embedder.embed_text(str(part.source))
            case "image":
                return self.embedder.embed_image(part.source, part.text_with)
            case "video":
                return self.embedder.embed_clip(part.source, part.start, part.end)
            case "segment":
                return self._stored_vector(str(part.source))

    def _stored_vector(self, segment_id: str) -> Vector:
        vector = self._store.vectors([segment_id]).get(segment_id)
        if vector is None:
            raise RecipeError(
                "The moment this search starts from is no longer in the library.",
                "Search in words, or pick another moment.",
            )
        return vector

    def _compare_row_counts(self) -> str:
        expected, found = self._state.expected_rows(), self._store.count()
        if found >= expected:
            return ""
        logger.error("the store holds %d rows where %d were kept", found, expected)
        return (
            f"The vector store holds {found:,} of the {expected:,} rows that were kept. Parts of "
            "it were lost or replaced: restore it from a backup, or remove and add the videos again."
        )


def _as_recipe(recipe: Recipe | str) -> Recipe:
    return Recipe.parse(recipe) if isinstance(recipe, str) else recipe


class _QueryVectors:
    """The last query vectors, so that filtering, paging and redrawing ask the embedder nothing."""

    def __init__(self, embed: Callable[[Part], Vector]) -> None:
        self._embed = embed
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Vector] = OrderedDict()

    def of(self, part: Part, *, asked: list[Part] | None = None) -> Vector:
        """The vector of a part; a part that had to be embedded joins `asked`."""
        if part.kind == "segment":
            return self._embed(part)  # the store has it, and it may be removed at any time
        key = _identity(part)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        vector = self._embed(part)
        if asked is not None:
            asked.append(part)
        with self._lock:
            self._kept[key] = vector
            while len(self._kept) > _KEPT_QUERY_VECTORS:
                self._kept.popitem(last=False)
        return vector


def _identity(part: Part) -> Hashable:
    """What decides a part's vector: a small key, so that no upload is kept in memory for it."""
    source: Hashable = part.source
    if isinstance(source, bytes):
        source = hashlib.sha256(source).digest()
    elif isinstance(source, Path):
        source = (source, _version_of_file(source))
    return part.kind, source, part.text_with, part.start, part.end


def _version_of_file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None  # reading it will say why
    return found.st_mtime_ns, found.st_size
