"""Jobs: each brings one video into the library, survives a restart, and says how far it is.

queued -> probing -> uploading -> waiting -> embedding -> storing -> ready, or failed, or cancelled.
The embedder's checkpoint is in the state database before the embedder goes on, so that nothing it
has begun elsewhere (and been paid for) is begun twice.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core import fetch, media
from core.embedders.base import Embedder, Progress
from core.errors import (
    JobCancelled,
    MediaError,
    MediaUnreachable,
    SeekpointError,
    UnsupportedMedia,
)
from core.models import EmbeddedSegment, Job, MediaInfo, Segment, Stage, Vector, Video
from core.settings import Settings
from core.shelf import Shelf
from core.state import State, StoredVideo
from core.store import VectorStore, stored_text
from core.uploads import Uploads

logger = logging.getLogger(__name__)

# Progress within a stage is written at most this often; stages and checkpoints always are.
_PROGRESS_EVERY_SEC = 0.5
_CLOSE_SEC = 30.0
_RECORDS_AGAIN_SEC = 1.0
_ID_LENGTH = 32


class _Closing(Exception):
    """The process is ending: leave the job as it stands, the next start adopts it."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A source that was looked at: who it is, where it is, and what is in it."""

    video_id: str
    video_url: str
    location: str | Path
    info: MediaInfo | None


def is_url(source: str | Path) -> bool:
    return isinstance(source, str) and "://" in source


def normal_source(source: str | Path) -> str:
    """One spelling per source: a trimmed address, or an absolute path that can be kept as text."""
    if is_url(source):
        return str(source).strip()
    # A name that is no valid text can be neither kept nor shown; its job says it is not there.
    path = Path(_valid_text(str(source)).replace("\0", "?"))
    try:
        return str(path.expanduser().resolve())
    except (RuntimeError, OSError):
        return str(path.absolute())  # nobody has that home, or the links go in circles


def default_title(source: str) -> str:
    """A readable title from a file name or an address."""
    name = unquote(urlsplit(source).path) if is_url(source) else source
    return Path(name).stem.replace("_", " ").strip() or source


def video_id_of_url(url: str) -> str:
    """The id of a remote video: a hash of its canonical address."""
    return hashlib.sha256(fetch.canonical_url(url).encode()).hexdigest()[:_ID_LENGTH]


def video_id_of_file(path: Path) -> str:
    """The id of a local video: a hash of its content, so another name changes nothing."""
    return media.content_hash(path)[:_ID_LENGTH]


class IngestQueue:
    """Owns the worker threads. `close()` stops them between two steps and loses nothing."""

    def __init__(
        self,
        *,
        settings: Settings,
        embedder: Embedder,
        store: VectorStore,
        state: State,
        shelf: Shelf,
        uploads: Uploads,
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._store = store
        self._state = state
        self._shelf = shelf
        self._uploads = uploads
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # With the attempt, so that a late wish to cancel one never ends the next.
        self._cancelled: set[tuple[str, int]] = set()
        self._busy_videos: set[str] = set()
        # Jobs in a worker's hands: a finished one is still there while it clears up after itself.
        self._running: set[str] = set()
        adopted = state.requeue_unfinished()
        if adopted:
            logger.info("%d unfinished jobs of an earlier run go on", adopted)
        self._workers = [
            threading.Thread(target=self._work, name=f"ingest-{number}", daemon=True)
            for number in range(embedder.limits.parallel_videos)
        ]
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        self._closing.set()
        self._announce()
        deadline = time.monotonic() + _CLOSE_SEC
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                logger.warning(
                    "%s did not stop in time; the next start adopts its job", worker.name
                )

    def add(
        self, sources: Iterable[str | Path], *, category: str, titles: Sequence[str] | None
    ) -> list[Job]:
        named: dict[str, str] = {}
        for source, title in zip_longest(map(normal_source, sources), titles or ()):
            if source is not None:
                named.setdefault(source, _valid_text(title or default_title(source)))
        # Refused here: after the embedding, which is paid for, it would be too late.
        category = stored_text(category.strip(), "a category")
        jobs = self._state.add_jobs(list(named.items()), category=category)
        self._uploads.are_queued(named)
        self._announce()
        return jobs

    def wait(self, jobs: Sequence[Job] | None, timeout: float | None) -> list[Job]:
        """Blocks until the jobs (or all) have finished, the time is up, or the queue is closed;
        returns them as they are."""
        wanted = None if jobs is None else {job.id for job in jobs}
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                current = [j for j in self._state.jobs() if wanted is None or j.id in wanted]
                done = all(j.stage.finished and j.id not in self._running for j in current)
                if done or self._closing.is_set():
                    return current
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return current
                self._changed.wait(min(remaining or 1.0, 1.0))

    def cancel(self, job_id: str) -> None:
        """Ends a waiting job at once, a running one at its next step."""
        if not self._state.move_job(job_id, {Stage.QUEUED}, Stage.CANCELLED):
            job = self._state.job(job_id)
            if job is not None and not job.stage.finished:
                self._cancelled.add((job.id, job.attempts))
        self._announce()

    def retry(self, job_id: str) -> None:
        if self._state.move_job(job_id, {Stage.FAILED, Stage.CANCELLED}, Stage.QUEUED):
            self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._run(job)
            except SeekpointError:
                logger.exception("what became of job %s cannot be recorded", job.id)
            with self._changed:
                self._running.discard(job.id)
                self._changed.notify_all()

    def _next_job(self) -> Job | None:
        """Waits for a job; None when the queue closes."""
        # Held from the look to the wait, so that a job that comes in between is not missed.
        with self._changed:
            while not self._closing.is_set():
                try:
                    job = self._state.claim_job()
                    pause = None
                except SeekpointError:
                    logger.exception("the records cannot be read or written; trying again")
                    job, pause = None, _RECORDS_AGAIN_SEC
                if job is not None:
                    self._running.add(job.id)
                    return job
                self._changed.wait(pause)
            return None

    def _run(self, job: Job) -> None:
        logger.info("job %s begins: %s", job.id, job.title)
        try:
            self._ingest(job)
        except _Closing:
            logger.info("job %s is left for the next start", job.id)
        except JobCancelled:
            self._state.update_job(job.id, stage=Stage.CANCELLED)
        except SeekpointError as error:
            if self._closing.is_set():
                # The store may have been closed under it: no fault of the video.
                logger.info("job %s is left for the next start: %s", job.id, error)
                return
            logger.warning("job %s failed: %s", job.id, error)
            self._fail(job, error)
        except Exception:
            # A bug in one job must not take the worker, and with it every other job, down.
            logger.exception("job %s hit a defect", job.id)
            self._fail(job, SeekpointError("Something unexpected went wrong.", "See the log file."))

    def _fail(self, job: Job, error: SeekpointError) -> None:
        # A task the service itself gave up on must not be adopted by a retry.
        hopeless = isinstance(error, UnsupportedMedia)
        self._state.update_job(
            job.id,
            stage=Stage.FAILED,
            error=error.message,
            hint=error.hint,
            checkpoint={} if hopeless else None,
        )

    def _ingest(self, job: Job) -> None:
        source = self._look_at(job.source)
        self._check_limits(source.info)
        self._state.update_job(job.id, stage=Stage.PROBING, video_id=source.video_id)
        with self._alone_with(source.video_id, job):
            if not self._rename(job, source):
                embedded = self._embedder.embed_video(
                    source.location,
                    info=source.info,
                    resume=self._state.checkpoint(job.id),
                    on_progress=_Recorder(self._state, job.id, lambda: self._stop_if_asked(job)),
                )
                self._state.update_job(job.id, stage=Stage.STORING)
                self._keep(job, source, embedded)
        self._state.update_job(job.id, stage=Stage.READY, fraction=1.0)
        self._uploads.discard(source.location)
        logger.info("job %s is ready", job.id)

    def _stop_if_asked(self, job: Job) -> None:
        # In this order: a job that was cancelled must not be adopted by the next start.
        if (job.id, job.attempts) in self._cancelled:
            raise JobCancelled("This job was cancelled.")
        if self._closing.is_set():
            raise _Closing

    @contextmanager
    def _alone_with(self, video_id: str, job: Job) -> Iterator[None]:
        """Waits until no other job has this video: what that one pays for, this one then finds."""
        with self._changed:
            while True:
                self._stop_if_asked(job)
                if video_id not in self._busy_videos:
                    break
                self._changed.wait()
            self._busy_videos.add(video_id)
        try:
            yield
        finally:
            self._busy_videos.discard(video_id)
            self._announce()

    def _look_at(self, source: str) -> _Source:
        if is_url(source):
            allow_private = self._settings.allow_private_urls
            url = fetch.check_url(source, allow_private=allow_private)
            return _Source(video_id_of_url(url), url, url, self._probe_url(url))
        path = Path(source)
        info = media.probe(path)
        return _Source(video_id_of_file(path), path.as_uri(), path, info)

    def _probe_url(self, url: str) -> MediaInfo | None:
        """The probe of a remote video; None when only the service may be able to reach it."""
        try:
            with fetch.RemoteFile(url, allow_private=self._settings.allow_private_urls) as remote:
                return media.probe(remote)
        except fetch.NoRangeSupport:
            return None  # it can be had, but only as a whole
        except MediaUnreachable as error:
            if not self._embedder.remote:
                raise
            logger.info("%s could not be probed from here: %s", url, error)
            return None

    def _check_limits(self, info: MediaInfo | None) -> None:
        if info is None:
            return
        limits = self._embedder.limits
        shorter_side = min(info.width, info.height)
        if limits.video_min_sec and info.duration < limits.video_min_sec:
            raise MediaError(
                f"This video lasts {info.duration:.1f} s; {self._embedder.model} needs at least "
                f"{limits.video_min_sec:g} s.",
                "Add a longer video.",
            )
        if limits.video_max_sec and info.duration > limits.video_max_sec:
            raise MediaError(
                f"This video lasts {info.duration / 3600:.1f} h; {self._embedder.model} takes at "
                f"most {limits.video_max_sec / 3600:g} h.",
                "Split it and add the parts.",
            )
        if limits.video_min_side and shorter_side < limits.video_min_side:
            raise MediaError(
                f"This video is {info.width} x {info.height}; {self._embedder.model} needs at least "
                f"{limits.video_min_side} pixels on the shorter side.",
                "Add a version with a higher resolution.",
            )

    def _rename(self, job: Job, source: _Source) -> bool:
        """The same video again: nothing is embedded, a new title or category is applied.

        A title that was only made from the file's name replaces none that somebody gave. False when it is new, or some of its vectors are gone: then it must be embedded.
        """
        with self._shelf.changing:
            known = self._shelf.get(source.video_id)
            if known is None:
                return False
            ids = [segment.id for segment in known.segments]
            if len(self._store.segments(ids)) < len(ids):
                return False
            named = job.title != default_title(job.source)
            video = replace(
                known.video,
                title=job.title if named else known.video.title,
                category=job.category or known.video.category,
            )
            path = known.path
            if path is not None and not path.is_file() and isinstance(source.location, Path):
                # The file was moved; where it is now is where it plays from.
                path = source.location
                video = replace(video, video_url=source.video_url)
            if video.category != known.video.category:
                vectors = self._store.vectors(ids)
                embedded = [_embedded(s, vectors[s.id]) for s in known.segments]
                self._store.upsert(video.id, video.category, video.added_at, embedded)
            self._shelf.put(replace(known, video=video, path=path))
            return True

    def _keep(self, job: Job, source: _Source, embedded: Sequence[EmbeddedSegment]) -> None:
        """Vectors first, the record second: a crash in between leaves rows that nobody shows, and
        the adopted job writes the same rows again."""
        with self._shelf.changing:
            known = self._shelf.get(source.video_id)
            added_at = datetime.now(UTC) if known is None else known.video.added_at
            segments = self._store.upsert(
                source.video_id, job.category, added_at, [_to_milliseconds(e) for e in embedded]
            )
            if known is not None:
                # Segments of another length have other ids; the old ones would still be found.
                self._store.delete(list({s.id for s in known.segments} - {s.id for s in segments}))
            self._shelf.put(self._record(job, source, segments, added_at))

    def _record(
        self, job: Job, source: _Source, segments: Sequence[Segment], added_at: datetime
    ) -> StoredVideo:
        info = source.info
        last = max((s.end_offset_sec for s in segments), default=None)
        video = Video(
            id=source.video_id,
            title=job.title,
            video_url=source.video_url,
            duration=info.duration if info else last,
            category=job.category,
            model=self._embedder.model,
            segments=len(segments),
            added_at=added_at,
            width=info.width if info else None,
            height=info.height if info else None,
        )
        path = source.location if isinstance(source.location, Path) else None
        return StoredVideo(video, path, tuple(segments))


def _valid_text(text: str) -> str:
    """Text that can be kept: a name of bytes that are no text brings halves of characters along."""
    return text.encode(errors="replace").decode()


def _embedded(segment: Segment, vector: Vector) -> EmbeddedSegment:
    return EmbeddedSegment(
        segment.start_offset_sec,
        segment.end_offset_sec,
        segment.embedding_option,
        vector,
        segment.embedding_scope,
    )


def _to_milliseconds(segment: EmbeddedSegment) -> EmbeddedSegment:
    """Offsets as the ids name them: what is shown, exported and looked up is one number."""
    return replace(
        segment,
        start_offset_sec=round(segment.start_offset_sec, 3),
        end_offset_sec=round(segment.end_offset_sec, 3),
    )


class _Recorder:
    """Writes an embedder's progress to the state and ends the work when somebody asked for it."""

    def __init__(self, state: State, job_id: str, interrupted: Callable[[], None]) -> None:
        self._state = state
        self._job_id = job_id
        self._interrupted = interrupted
        self._stage: Stage | None = None
        self._checkpoint: dict[str, str] = {}
        self._written_at = 0.0

    def __call__(self, progress: Progress) -> None:
        checkpoint = {**self._checkpoint, **progress.checkpoint}
        now = time.monotonic()
        if (
            progress.stage is not self._stage
            or checkpoint != self._checkpoint
            or now - self._written_at >= _PROGRESS_EVERY_SEC
        ):
            self._state.update_job(
                self._job_id,
                stage=progress.stage,
                fraction=progress.fraction,
                checkpoint=checkpoint or None,
            )
            self._stage, self._checkpoint, self._written_at = progress.stage, checkpoint, now
        self._interrupted()
