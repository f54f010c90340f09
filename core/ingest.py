"""Jobs: each brings one video into the library, survives a restart, and says how far it is.

queued -> probing -> uploading -> waiting -> embedding -> storing -> ready, or failed, or cancelled.
The embedder's checkpoint is in the state database before the embedder goes on, so that nothing it
has begun elsewhere (and been paid for) is begun twice. Several servers may take jobs from one
database: each runs those it has claimed, and takes over those of a server that is gone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from core import media
from core.collection import month_budget
from core.embedders.base import Embedder, OnProgress, Progress
from core.errors import (
    BudgetExceeded,
    ConfigurationError,
    EmbedderRejected,
    JobCancelled,
    JobTaken,
    QuotaExceeded,
    ResultExpired,
    SeekpointError,
    UnsupportedMedia,
)
from core.intake import Intake, Source, default_title
from core.ledger import Ledger
from core.log import working_on
from core.media_store import Location
from core.metrics import Metrics
from core.models import EmbeddedSegment, Job, Segment, Stage, Vector, Video
from core.settings import Settings
from core.shelf import Shelf
from core.state import NewJob, State, StoredVideo
from core.store import VectorStore
from core.uploads import Uploads

logger = logging.getLogger(__name__)

# Progress within a stage is written at most this often; stages and checkpoints always are.
_PROGRESS_EVERY_SEC = 0.5
# The whole app has to end within five seconds.
_CLOSE_SEC = 3.0
# How often a server looks at what the others do: well within its lease, and soon enough for users.
_LOOK_SEC = 2.0
_RECORDS_AGAIN_SEC = 1.0
# A month's budget has room again when the next month begins.
_BUDGET_AGAIN_SEC = 60.0
_PAUSED_BY_USER = "paused"


class _Closing(Exception):
    """The process is ending: leave the job as it stands, the next start adopts it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why no job is begun at the moment."""

    by: Literal["user", "service", "budget"]
    reason: str = ""
    hint: str = ""
    price: float = 0.0  # of the call that the budget had no room for


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
        ledger: Ledger,
        intake: Intake,
        metrics: Metrics,
        former: Shelf | None = None,
    ) -> None:
        """Videos that `former` has too keep the day they were added there."""
        self._former = former
        self._settings = settings
        self._embedder = embedder
        self._store = store
        self._state = state
        self._shelf = shelf
        self._uploads = uploads
        self._copies = uploads.copies
        self._ledger = ledger
        self._intake = intake
        self._metrics = metrics
        # Only what a user asked for outlives the process: a new one may have another key or budget.
        asked_for = state.preference(_PAUSED_BY_USER) is not None
        self.paused: Pause | None = Pause("user") if asked_for else None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # With the attempt, so that a late wish to cancel one never ends the next.
        self._cancelled: set[tuple[str, int]] = set()
        # Jobs in a worker's hands, and their attempts: a finished one is still there while it clears
        # up after itself, and one that another server took may have come back to another worker.
        self._running: dict[str, int] = {}
        self._servers = 1
        self._renew_lease()
        self._take_over()
        self._threads = [
            threading.Thread(target=self._work, name=f"ingest-{number}", daemon=True)
            for number in range(embedder.limits.parallel_videos)
        ]
        if state.lease.shared:
            self._threads.append(
                threading.Thread(target=self._keep_in_touch, name="ingest-servers", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing.set()
        self._announce()
        deadline = time.monotonic() + _CLOSE_SEC
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.warning("%s did not stop in time; its job is adopted later", thread.name)
        try:
            self._state.lease.end()
        except SeekpointError as error:
            logger.warning("other servers wait before they take over the jobs: %s", error)

    def add(
        self, new: Sequence[NewJob], *, max_cost: float | None = None, priority: int = 0
    ) -> list[Job]:
        """Queues jobs as one run that may cost `max_cost` in all."""
        jobs = self._state.add_jobs(new, max_cost=max_cost, priority=priority)
        self._uploads.are_queued([job.source for job in new])
        self._announce()
        return jobs

    def wait(self, jobs: Sequence[Job] | None, timeout: float | None) -> list[Job]:
        """Blocks until the jobs (or all) have finished, nothing more would happen because the queue
        is paused or a budget holds them, the time is up, or the queue is closed; returns them as
        they are."""
        wanted = None if jobs is None else {job.id for job in jobs}
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                remaining = deadline - time.monotonic()
                over = self._closing.is_set() or remaining <= 0
                # While one of them runs, a look at thousands of others would only hold it up.
                if over or not (self._running if wanted is None else self._running.keys() & wanted):
                    current = [j for j in self._state.jobs() if wanted is None or j.id in wanted]
                    if over or all(self._is_at_rest(job) for job in current):
                        return current
                self._changed.wait(min(remaining, 1.0))

    def _is_at_rest(self, job: Job) -> bool:
        if job.id in self._running:
            return False
        stopped = self.paused is not None or bool(job.held)
        return job.stage.finished or (job.stage is Stage.QUEUED and stopped)

    def pause(self) -> None:
        """Begins no further job until `resume`, also after a restart; what runs goes on."""
        with self._changed:
            self._state.set_preference(_PAUSED_BY_USER, "yes")
            # Whatever stopped it before: only its user lets it go on from here.
            self.paused = Pause("user")
            self._changed.notify_all()

    def resume(self) -> None:
        """Goes on, whatever the reason of the pause was."""
        with self._changed:
            self._state.set_preference(_PAUSED_BY_USER, None)
            self.paused = None
            self._changed.notify_all()

    def _stop(self, pause: Pause) -> None:
        with self._changed:
            if self.paused is None:
                self.paused = pause
                logger.warning("the queue is paused by the %s: %s", pause.by, pause.reason)
            self._changed.notify_all()

    def cancel(self, job_id: str, *, drop: bool = False) -> None:
        """Ends a waiting job at once, a running one at its next step.

        What the service makes of it is kept for the next job of this video, unless `drop`.
        """
        ended = self._state.move_job(job_id, {Stage.QUEUED}, Stage.CANCELLED)
        job = self._state.job(job_id)
        if job is None:
            return
        if not job.stage.finished:
            self._state.ask_to_cancel(job.id, "drop" if drop else "keep")
            self._cancelled.add((job.id, job.attempts))
        elif drop and (ended or job.stage is Stage.CANCELLED):
            self._state.forget_checkpoint(job.id)
            self._drop_result(job)
        self._announce()

    def retry(self, job_id: str, *, pay_again: bool = False) -> None:
        """Queues a failed or cancelled job again. One that has to be paid for again stays unless
        `pay_again`."""
        job = self._state.job(job_id)
        if job is None or (job.must_confirm and not pay_again):
            return
        if self._state.move_job(job_id, {Stage.FAILED, Stage.CANCELLED}, Stage.QUEUED):
            self._announce()

    def prioritise(self, job_id: str) -> None:
        self._state.put_first(job_id)

    def set_month_budget(self, amount: float | None) -> None:
        """Another budget, with which a queue that the former one had stopped goes on."""
        self._ledger.month_budget = amount
        if self.paused is not None and self.paused.by == "budget":
            self.resume()

    def raise_run_budget(self, run: str, amount: float | None) -> None:
        self._state.release_run(run, amount)
        self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # Other servers

    def _keep_in_touch(self) -> None:
        while not self._closing.wait(_LOOK_SEC):
            try:
                self._renew_lease()
                self._look_at_others()
            except SeekpointError as error:
                logger.warning("what other servers do is not known: %s", error)

    def _renew_lease(self) -> None:
        servers = self._state.lease.renew()
        if servers != self._servers:
            logger.info("%d servers share the work and the limits of the account", servers)
            self._embedder.share_limits(servers)
            self._servers = servers

    def _look_at_others(self) -> None:
        """Learns what was wished for on other servers, and takes over what is left of theirs."""
        with self._changed:
            self._take_over()
            for job in self._state.asked_to_end():
                if job.id in self._running:
                    self._cancelled.add((job.id, job.attempts))
            if self._state.preference(_PAUSED_BY_USER) is not None:
                self.paused = Pause("user")
            elif self.paused is not None and self.paused.by == "user":
                self.paused = None
            self._ledger.month_budget = month_budget(self._settings, self._state)
            if self._state.jobs({Stage.QUEUED}, limit=1):
                self._changed.notify_all()

    def _take_over(self) -> None:
        """Queues what nobody works on any more; what was to be cancelled ends here."""
        taken = self._state.requeue_left(self._running)
        if taken:
            logger.info("%d jobs that were left in mid-way go on", taken)
        for job in self._state.asked_to_end():
            if job.stage is Stage.QUEUED:
                self.cancel(job.id, drop=self._state.asked_to_cancel(job.id) == "drop")

    # Workers

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                with working_on(job=job.id):
                    self._run(job)
            except JobTaken:
                logger.warning("job %s is left: it is not this server's any more", job.id)
            except SeekpointError:
                logger.exception("what became of job %s cannot be recorded", job.id)
            with self._changed:
                if self._running.get(job.id) == job.attempts:
                    del self._running[job.id]
                self._changed.notify_all()

    def _next_job(self) -> Job | None:
        """Waits for a job; None when the queue closes."""
        # Held from the look to the wait, so that a job that comes in between is not missed.
        with self._changed:
            while not self._closing.is_set():
                job, again_sec = self._claimed()
                if job is not None:
                    self._running[job.id] = job.attempts
                    return job
                self._changed.wait(again_sec)
            return None

    def _claimed(self) -> tuple[Job | None, float | None]:
        """The next job if there is one, and after how many seconds to look again if not."""
        paused = self.paused
        if paused is not None and paused.by == "budget" and self._ledger.room_for(paused.price):
            self.paused = paused = None
        if paused is not None:
            return None, _BUDGET_AGAIN_SEC
        try:
            return self._state.claim_job(), None
        except SeekpointError:
            logger.exception("the records cannot be read or written; trying again")
            return None, _RECORDS_AGAIN_SEC

    def _run(self, job: Job) -> None:
        logger.info("job %s begins: %s", job.id, job.title)
        try:
            self._ingest(job)
        except _Closing:
            logger.info("job %s is left for the next start", job.id)
        except JobTaken:
            raise
        except JobCancelled:
            self._end_cancelled(job)
        except SeekpointError as error:
            if self._closing.is_set():
                # The store may have been closed under it: no fault of the video.
                logger.info("job %s is left for the next start: %s", job.id, error)
                return
            self._end_unfinished(job, error)
        except Exception:
            if self._closing.is_set():
                logger.info("job %s is left for the next start", job.id, exc_info=True)
                return
            # A bug in one job must not take the worker, and with it every other job, down.
            logger.exception("job %s hit a defect", job.id)
            self._fail(job, SeekpointError("Something unexpected went wrong.", "See the log file."))

    def _end_unfinished(self, job: Job, error: SeekpointError) -> None:
        """What becomes of a job, and of the queue, that met an error."""
        self._metrics.failed(error)
        match error:
            case BudgetExceeded(scope="month", price=price):
                self._put_back(job, Pause("budget", error.message, error.hint, price))
            case BudgetExceeded(scope="run"):
                self._put_back(job)
                self._state.hold_run(job.run, error.message)
            case EmbedderRejected() | QuotaExceeded() | ConfigurationError():
                # Every other job would meet the same: one pause instead of a thousand failures.
                self._put_back(job, Pause("service", error.message, error.hint))
            case _:
                self._fail(job, error)

    def _put_back(self, job: Job, pause: Pause | None = None) -> None:
        if pause is not None:
            self._stop(pause)
        self._state.update_job(job, stage=Stage.QUEUED)

    def _fail(self, job: Job, error: SeekpointError) -> None:
        logger.warning("job %s failed: %s", job.id, error)
        # A task the service itself gave up on, or has forgotten, must not be adopted.
        anew = isinstance(error, UnsupportedMedia | ResultExpired)
        self._state.update_job(
            job,
            stage=Stage.FAILED,
            error=error.message,
            hint=error.hint,
            must_confirm=isinstance(error, ResultExpired),
            checkpoint={} if anew else None,
        )
        if anew:
            self._drop_result(job)

    def _end_cancelled(self, job: Job) -> None:
        drop = self._state.asked_to_cancel(job.id) == "drop"
        self._state.update_job(job, stage=Stage.CANCELLED, checkpoint={} if drop else None)
        if drop:
            self._drop_result(job)

    def _drop_result(self, job: Job) -> None:
        """What was made of its video elsewhere is fetched by no other job either."""
        current = self._state.job(job.id)
        if current is not None and current.video_id:
            self._ledger.drop(current.video_id)

    def _ingest(self, job: Job) -> None:
        source = self._intake.look(job.source)
        # An address that is silent now may have told its length before, to a review.
        minutes = job.minutes if source.minutes is None else source.minutes
        job = replace(job, video_id=source.video_id, minutes=minutes)
        self._state.update_job(job, stage=Stage.PROBING, video_id=job.video_id, minutes=job.minutes)
        self._wait_for_video(job)
        if not self._rename(job, source):
            recorder = _Recorder(self._state, self._ledger, job, lambda: self._stop_if_asked(job))
            with self._at_hand(source, recorder) as file:
                embedded = self._embedder.embed_video(
                    file or source.video_url,
                    info=source.info,
                    resume=self._resume(job),
                    on_progress=recorder,
                )
                self._state.update_job(job, stage=Stage.STORING)
                if file is not None and not source.sha256:
                    source = replace(source, sha256=media.content_hash(file))
            self._keep(job, source, embedded)
        self._embedder.tidy(self._state.checkpoint(job.id))
        self._state.update_job(job, stage=Stage.READY, fraction=1.0)
        self._uploads.discard(source.path)
        logger.info("job %s is ready", job.id)

    @contextmanager
    def _at_hand(self, source: Source, on_progress: OnProgress) -> Iterator[Path | None]:
        """The file of a source on this machine; None for a video on the web."""
        if source.path is None:
            yield None
            return

        def tell(done: float) -> None:
            on_progress(Progress(Stage.UPLOADING, done))

        temporary = self._settings.data_dir / "tmp"
        with self._copies.on_disk(source.path, temporary, tell) as file:
            yield file

    def _resume(self, job: Job) -> dict[str, str]:
        """Where the video was paid for, be it by an earlier job, or else where this job stopped;
        nothing when that was for segments of another length."""
        paid = self._ledger.resumable(job.video_id)
        if paid or self._ledger.paid_for_other_segments(job.id):
            return paid
        return self._state.checkpoint(job.id)

    def _stop_if_asked(self, job: Job) -> None:
        # In this order: a job that was cancelled must not be adopted by the next start.
        if (job.id, job.attempts) in self._cancelled:
            raise JobCancelled("This job was cancelled.")
        if self._closing.is_set():
            raise _Closing

    def _wait_for_video(self, job: Job) -> None:
        """Waits until no other job has its video, which is then this one's until it ends: what the
        other one pays for, this one finds."""
        again_sec = _LOOK_SEC if self._state.lease.shared else None
        with self._changed:
            while True:
                self._stop_if_asked(job)
                if self._state.hold_video(job, self._running):
                    return
                self._changed.wait(again_sec)

    def _rename(self, job: Job, source: Source) -> bool:
        """The same video again: nothing is embedded, a new title or category is applied.

        A title that was only made from the file's name replaces none that somebody gave. False when
        it is new, or some of its vectors are gone: then it must be embedded.
        """
        with self._shelf.changing(source.video_id):
            known = self._intake.known(source.video_id)
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
            if path is not None and source.path is not None and not self._is_there(path):
                # The file was moved; where it is now is where it plays from.
                path = source.path
                video = replace(video, video_url=source.video_url)
            if video.category != known.video.category:
                vectors = self._store.vectors(ids)
                embedded = [_embedded(s, vectors[s.id]) for s in known.segments]
                self._store.upsert(video.id, video.category, video.added_at, embedded)
            self._shelf.put(replace(known, video=video, path=path))
        self._note_saving(job, video)
        return True

    def _is_there(self, path: Location) -> bool:
        return self._copies.exists(self._copies.located(path))

    def _note_saving(self, job: Job, video: Video) -> None:
        """What a job that did not have to pay for its video would have cost."""
        if self._embedder.remote and job.id not in self._ledger.costs([job.id]):
            self._ledger.save_video(job, video.duration and video.duration / 60)

    def _keep(self, job: Job, source: Source, embedded: Sequence[EmbeddedSegment]) -> None:
        """Vectors first, the record second: a crash in between leaves rows that nobody shows, and
        the adopted job writes the same rows again."""
        with self._shelf.changing(source.video_id):
            known = self._shelf.get(source.video_id)
            added_at = self._added_at(source.video_id)
            segments = self._store.upsert(
                source.video_id, job.category, added_at, [_to_milliseconds(e) for e in embedded]
            )
            if known is not None:
                # Segments of another length have other ids; the old ones would still be found.
                self._store.delete(list({s.id for s in known.segments} - {s.id for s in segments}))
            stored = self._record(job, source, segments, added_at)
            self._shelf.put(stored)
        if stored.video.duration is not None:
            self._ledger.settle(job.video_id, stored.video.duration / 60)
        self._note_saving(job, stored.video)

    def _added_at(self, video_id: str) -> datetime:
        for shelf in (self._shelf, self._former):
            if shelf is not None and (known := shelf.get(video_id)) is not None:
                return known.video.added_at
        return datetime.now(UTC)

    def _record(
        self, job: Job, source: Source, segments: Sequence[Segment], added_at: datetime
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
            frame_rate=info.frame_rate if info else None,
            sha256=source.sha256,
            recorded_at=info.recorded_at if info else None,
        )
        return StoredVideo(video, source.path, tuple(segments), self._settings.segment_sec)


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
    """Writes an embedder's progress to the state, its charges to the ledger, and ends the work when
    somebody asked for it."""

    def __init__(
        self, state: State, ledger: Ledger, job: Job, interrupted: Callable[[], None]
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._job = job
        self._interrupted = interrupted
        self._written: tuple[Stage, str, Mapping[str, str]] | None = None
        self._checkpoint: dict[str, str] = {}
        self._written_at = 0.0

    def __call__(self, progress: Progress) -> None:
        checkpoint = {**self._checkpoint, **progress.checkpoint}
        if progress.charge is not None:
            budget = self._state.run_budget(self._job.id)
            self._ledger.charge(self._job, progress.charge, checkpoint, run_budget=budget)
        now = time.monotonic()
        news = (progress.stage, progress.note, checkpoint)
        if news != self._written or now - self._written_at >= _PROGRESS_EVERY_SEC:
            self._state.update_job(
                self._job,
                stage=progress.stage,
                fraction=progress.fraction,
                note=progress.note,
                checkpoint=checkpoint or None,
            )
            self._checkpoint, self._written, self._written_at = checkpoint, news, now
        self._interrupted()
