"""The library: what pages, benchmarks and scripts use. Everything else in core is behind it."""

from __future__ import annotations

import io
import logging
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Self
from weakref import WeakSet

from core import fetch, media
from core.answers import Answers
from core.audit import Audit
from core.basket import Basket
from core.collection import MONTH_BUDGET, open_collection
from core.database import Database
from core.embedders import available_embedders, create_embedder
from core.embedders.base import Embedder
from core.errors import ConfigurationError, MediaError
from core.explorer import Explorer
from core.exporter import Exporter, ExportFormat
from core.findings import findings_of
from core.forecast import batch_fraction, batch_remaining_sec, pace, remaining_sec
from core.ingest import IngestQueue
from core.intake import Intake, default_title, normal_source
from core.lock import DataDirLock
from core.media_store import Location, MediaStore, StoredFile, as_location, open_media_store
from core.metrics import Metrics, Status, spread
from core.model_change import AnsweringModel, KnownModel, ModelChange, still_adding
from core.models import (
    Calibration,
    Capabilities,
    Estimate,
    Filters,
    Finding,
    Heat,
    Job,
    LedgerEntry,
    Moment,
    QueueState,
    SearchResult,
    Segment,
    SourceEstimate,
    SourceLine,
    Spending,
    Stage,
    Video,
)
from core.recipe import Recipe
from core.review import Review
from core.searches import Searches
from core.settings import Settings
from core.sources import folder_files
from core.state import NewJob, StoredVideo
from core.store import collection_name, stored_text
from core.uploads import Uploads

logger = logging.getLogger(__name__)

_PACE_JOBS = 20
_STATUS_JOBS = 200
_FEW_JOBS = 500  # databases take only so many values in one question
_RUNNING = {stage for stage in Stage if not stage.finished} - {Stage.QUEUED}
_UNREACHABLE_FOR_SEC = 300.0
_HALF_DOWNLOADS_SEC = 24 * 3600.0


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
        self.metrics = Metrics()
        given = settings
        with ExitStack() as opened:
            lock = DataDirLock(settings.data_dir, shared=settings.on_servers)
            opened.callback(lock.release)
            _drop_half_downloads(settings)
            database = Database(settings.database_url)
            opened.callback(database.close)
            self._answering = AnsweringModel(given, database)
            self.settings = settings = self._answering.settings
            self.embedder: Embedder = self._answering.embedder
            own = open_collection(settings, self.embedder, database, opened)
            collection = own.name
            self._store, self._state, self._shelf = own.store, own.state, own.shelf
            self._ledger = own.ledger
            self.uploads = Uploads(settings.data_dir, self._state, open_media_store(settings))
            self._copies = self.uploads.copies
            self._finish_removals()
            self.warning = " ".join(
                filter(None, (self._answering.warning, self._compare_row_counts()))
            )
            self._intake = Intake(
                settings, self.embedder, self._shelf, self._ledger, self.uploads.copies
            )
            self.searches = Searches(
                database,
                settings.data_dir,
                collection=collection,
                shared=_media_of_searches(settings),
            )
            self.searches.drop_unused_media()
            self.audit = Audit(database)
            self.basket = Basket(
                database,
                collection=collection,
                videos=lambda: self._shelf.videos,
                as_kept=self.searches.as_kept,
                as_usable=self.searches.as_usable,
            )
            self._exporter = Exporter(
                self._shelf,
                self.searches,
                embedder=self.embedder,
                collection=collection,
                readable=self._readable,
                search=lambda recipe, filters, limit: self.search(
                    recipe, filters=filters, limit=limit
                ),
                poster=self.poster,
            )
            self._answers = Answers(
                settings,
                embedder=self.embedder,
                store=self._store,
                shelf=self._shelf,
                state=self._state,
                database=database,
                ledger=self._ledger,
            )
            self.explorer = Explorer(
                settings,
                collection=collection,
                dimension=self.embedder.dimension,
                shelf=self._shelf,
                state=self._state,
                read=self._store.vectors,
                answers=self._answers,
                model=self.embedder.model,
            )
            opened.callback(self.explorer.close)
            self._no_poster_until: dict[str, float] = {}
            self._queue = IngestQueue(
                settings=settings,
                embedder=self.embedder,
                store=self._store,
                state=self._state,
                shelf=self._shelf,
                uploads=self.uploads,
                ledger=self._ledger,
                intake=self._intake,
                metrics=self.metrics,
            )
            opened.callback(self._queue.close)
            # The way to the model that the settings name; None when it is the one that answers.
            self.model_change: ModelChange | None = None
            if not self._answering.as_configured:
                self.model_change = ModelChange(
                    given,
                    answering=self._answering,
                    old=own,
                    new=open_collection(given, self._answering.configured, database, opened),
                    uploads=self.uploads,
                    may_change=self._is_at_rest,
                    metrics=self.metrics,
                )
                opened.callback(self.model_change.close)
            self._database = database
            self._others = _Others()
            opened.callback(self._others.close)
            self._reviews: WeakSet[Review] = WeakSet()
            opened.callback(self._close_reviews)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the workers, flushes, and gives the files free for another process."""
        self._opened.close()

    def warm(self) -> None:
        """Reads what the first calibration would otherwise wait for.

        Raises:
            StoreError: the store cannot be read.
        """
        self._answers.warm()

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

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """For each part this depends on, what asks it for a sign of life: it raises a
        SeekpointError when there is none."""
        return {
            "store": lambda: self._store.segments(["sign-of-life"]),
            "state": lambda: self._state.preference("sign-of-life"),
            "embedder": self.embedder.check,
        }

    def status(self) -> Status:
        """How the library is doing.

        Raises:
            StoreError: the store or the records cannot be read.
        """
        latest = self._state.latest_ready(_STATUS_JOBS)
        spent = {
            stage: [job.stage_seconds[stage] for job in latest if stage in job.stage_seconds]
            for stage in Stage
        }
        disk = shutil.disk_usage(self.settings.data_dir)
        return Status(
            rows=self._store.count(),
            expected_rows=self._state.expected_rows(),
            stages={stage: spread(seconds) for stage, seconds in spent.items() if seconds},
            free_bytes=disk.free,
            disk_bytes=disk.total,
        )

    @property
    def collection(self) -> str:
        return self._store.collection

    @property
    def version(self) -> int:
        """Grows whenever a video is added, renamed or removed: results cached before are stale."""
        return self._shelf.version

    # Models

    @property
    def superseded(self) -> bool:
        """Whether another model answers since this library was opened: open it again. Also takes
        a change of the model a step further, so ask now and then."""
        if self.model_change is not None:
            self.model_change.advance()
        return self._answering.superseded

    def known_models(self) -> list[KnownModel]:
        """The other models that have embedded videos here and can be asked with these settings."""
        return self._answering.known()

    def answer_with(self, model: KnownModel) -> None:
        """Lets another model answer, from the next opening on. Nothing is embedded, nothing lost.

        Raises:
            ConfigurationError: videos are still on their way into the library as it is.
        """
        if not self._is_at_rest():
            raise still_adding()
        self._answering.change_to(model.collection)

    def _is_at_rest(self) -> bool:
        return not self._state.jobs({stage for stage in Stage if not stage.finished}, limit=1)

    # In

    def estimate(self, sources: Sequence[str | Path | SourceLine]) -> Estimate:
        """Per source: length, size and price, whether it is here already, and what is wrong."""
        return Estimate(tuple(self._intake.estimate(_as_line(source)) for source in sources))

    def review(self, lines: Sequence[SourceLine]) -> Review:
        """The same for many, in the background, with what stands twice in the list marked."""
        review = Review(lines, self._intake.estimate)
        self._reviews.add(review)
        return review

    def folder_files(self) -> list[Path]:
        """The videos in the operator's media folder; empty when there is none."""
        folder = self.settings.media_folder
        return [] if folder is None else folder_files(folder)

    def add(
        self,
        sources: Sequence[str | Path | SourceEstimate],
        *,
        category: str = "",
        titles: Sequence[str] | None = None,
        max_cost: float | None = None,
        priority: int = 0,
    ) -> list[Job]:
        """Queues addresses, files and what a review found. Returns at once; a source named twice is
        queued once, and one that a review has a problem with is left out.

        All of them may cost `max_cost` together (default: the setting); the call that would pass
        it is not made. Higher priorities come first. What is wrong with a source shows in its job;
        the others go on.

        Raises:
            StoreError: for a category that cannot be stored; nothing is queued.
        """
        new: dict[str, NewJob] = {}
        for source, title in zip_longest(sources, titles or ()):
            if source is not None and not (isinstance(source, SourceEstimate) and source.problem):
                job = _new_job(source, title or "", category)
                new.setdefault(job.source, job)
        if max_cost is None:
            max_cost = self.settings.budget_per_run
        return self._described(
            self._queue.add(list(new.values()), max_cost=max_cost, priority=priority)
        )

    def jobs(
        self,
        stages: Collection[Stage] | None = None,
        *,
        run: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """The jobs in these stages and of this run (default: all) that were not forgotten, oldest
        first."""
        return self._described(self._state.jobs(stages, run=run, limit=limit))

    def job(self, job_id: str) -> Job | None:
        """The job of this id; None when it was forgotten."""
        job = self._state.job(job_id)
        return None if job is None else self._described([job])[0]

    def _described(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs with what they cost and how long they will still take."""
        few = len(jobs) <= _FEW_JOBS
        costs = self._ledger.costs([job.id for job in jobs] if few else None)
        usual = pace(self._state.latest_ready(_PACE_JOBS))
        now = datetime.now(UTC)
        return [
            replace(job, cost=costs.get(job.id, 0.0), remaining_sec=remaining_sec(job, usual, now))
            for job in jobs
        ]

    def queue(self) -> QueueState:
        """The queue as a whole; cheap enough to ask for every second."""
        counts = self._state.counts()
        finished, begun = self._state.batch()
        unfinished = sum(n for stage, n in counts.items() if not stage.finished)
        running = self._state.jobs(_RUNNING) if unfinished else []
        waiting = counts.get(Stage.QUEUED, 0)
        fraction = batch_fraction(finished, running, waiting)
        pause = self._queue.paused
        return QueueState(
            paused=pause.by if pause is not None else "",
            reason=pause.reason if pause is not None else "",
            hint=pause.hint if pause is not None else "",
            counts=counts,
            done=finished,
            total=finished + unfinished,
            fraction=fraction,
            remaining_sec=batch_remaining_sec(fraction, begun, datetime.now(UTC)),
        )

    def pause(self) -> None:
        """Begins no further job until `resume`, also after a restart; what runs goes on."""
        self._queue.pause()

    def resume(self) -> None:
        """Goes on, whatever the reason of the pause was."""
        self._queue.resume()

    def wait(self, jobs: Sequence[Job] | None = None, timeout: float | None = None) -> list[Job]:
        """Blocks until the jobs (default: all) have finished, nothing more would happen because the
        queue is paused or a budget holds them, `timeout` seconds have passed, or the library is
        closed."""
        return self._described(self._queue.wait(jobs, timeout))

    def cancel(self, job_id: str, *, drop: bool = False) -> None:
        """Ends a waiting job at once and a running one at its next step; a finished one stays.

        A task that runs at a service runs on and is billed. Its result is kept for the next job of
        this video, unless `drop`.
        """
        self._queue.cancel(job_id, drop=drop)

    def retry(self, job_id: str, *, pay_again: bool = False) -> None:
        """Queues a failed or cancelled job again. It goes on from what it had saved; one whose paid
        result is gone stays as it is unless `pay_again`."""
        self._queue.retry(job_id, pay_again=pay_again)

    def retry_failed(self) -> int:
        """Queues every failed job again that does not have to be paid for again; says how many."""
        failed = [job for job in self._state.jobs({Stage.FAILED}) if not job.must_confirm]
        for job in failed:
            self._queue.retry(job.id)
        return len(failed)

    def prioritise(self, job_id: str) -> None:
        """Makes a waiting job the next one."""
        self._queue.prioritise(job_id)

    def forget(self, job_id: str) -> None:
        """Takes a finished job off the list; its video stays."""
        job = self._state.job(job_id)
        if job is not None and job.stage.finished:
            self._state.forget_job(job_id)
            self.uploads.discard(as_location(job.source))

    def forget_all(self, stages: Collection[Stage]) -> None:
        """Takes every job in these stages off the list, but for unfinished ones."""
        finished = {stage for stage in stages if stage.finished}
        sources = [job.source for job in self._state.jobs(finished)]
        self._state.forget_jobs(finished)
        for source in sources:
            self.uploads.discard(as_location(source))

    def spending(self) -> Spending:
        """What was spent, what the waiting jobs will cost, and what the caches saved."""
        return self._ledger.spending()

    def ledger(self, limit: int | None = None) -> list[LedgerEntry]:
        """Every paid call, and those that did not have to be made, newest first."""
        return self._ledger.entries(limit)

    def ledger_csv(self) -> bytes:
        """The whole ledger as CSV, oldest first."""
        return self._ledger.to_csv()

    def set_month_budget(self, amount: float | None) -> None:
        """The most a calendar month may cost from now on, None for no limit. Outlives a restart,
        and lets a queue go on that the former budget had stopped."""
        chosen = "" if amount is None else str(amount)
        self._state.set_preference(MONTH_BUDGET, chosen, shared=True)
        self._queue.set_month_budget(amount)
        if self.model_change is not None:
            self.model_change.set_month_budget(amount)

    def raise_run_budget(self, run: str, amount: float | None) -> None:
        """Another budget for the jobs of a run, None for no limit; lets them go on."""
        self._queue.raise_run_budget(run, amount)

    def videos(self) -> list[Video]:
        """Every video, newest first."""
        return list(self._shelf.videos.values())[::-1]

    def remove(self, video_id: str) -> None:
        """Removes a video: its vectors, its record, its posters and our own copy of its file.

        A removal that is cut off is finished by the next start.
        """
        with self._shelf.changing(video_id):
            stored = self._shelf.get(video_id)
            if stored is None:
                return
            self._state.begin_removal(video_id)
            if self.model_change is not None:
                self.model_change.remove(video_id)
            self._clear_away(stored)
            self._shelf.remove(video_id)
            self.explorer.forget()

    def _clear_away(self, stored: StoredVideo) -> None:
        """All of a video but its record, which goes last: with it the next start finishes this."""
        self._store.delete([segment.id for segment in stored.segments])
        shutil.rmtree(self._poster_folder(stored.video.id), ignore_errors=True)
        self.uploads.discard(stored.path)

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
        per_video: int | None = None,
    ) -> SearchResult:
        """The moments that answer a recipe best, from `offset` (counted from 0) on, at most `limit`;
        of a recipe with `then` pairs of moments. With `per_video` only so many of each video are
        moments of the answer, its best. While the library stays as it is, pages that go on where
        the last one ended repeat and lose none.

        Raises:
            RecipeError: empty, too long, cancelled out, or an unknown segment.
            EmbedderError, StoreError, MediaError: with what to do about it.
        """
        with self.metrics.measured("search"):
            result = self._answers.search(
                recipe, filters=filters, limit=limit, offset=offset, per_video=per_video
            )
        self.metrics.searched(result)
        return result

    def fold(self, moments: Sequence[Moment]) -> list[Moment]:
        """The same moments, with those that look almost like a better one as its `similar`."""
        return self._answers.fold(moments)

    def why(self, result: SearchResult) -> dict[str, str]:
        """For each moment's best segment, by id, a few words on why it answers; may be empty. Of a
        "then" it is about the first side."""
        return self._answers.why(result)

    def calibrate(self, result: SearchResult) -> Calibration:
        """How far an answer can be trusted: what each score means, where the answer may end, and
        whether there is one at all. `core/calibration.py` says how.

        The vectors of a sample of the library are read first and kept; then it takes milliseconds.

        Raises what `search` raises.
        """
        with self.metrics.measured("calibrate"):
            return self._answers.calibrate(result)

    def heat(
        self, recipe: Recipe | str, video_id: str, *, filters: Filters | None = None
    ) -> list[Heat]:
        """The scores of every segment of a video, in order of start. Of a "then" they are those of
        the first side, where watching begins.

        Of the filters only options and their weights count: a strip shows the whole video.

        Raises what `search` raises.
        """
        with self.metrics.measured("heat"):
            return self._answers.heat(recipe, video_id, filters=filters)

    def other_models(self) -> tuple[str, ...]:
        """The embedders that have left vectors of their own in this store, and can be asked."""
        there = self._state.collections()
        return tuple(
            name
            for name in available_embedders()
            if name != self.embedder.name
            and (other := self._embedder_called(name)) is not None
            and collection_name(other.name, other.model, other.dimension) in there
        )

    def model(self, name: str) -> Answers:
        """What another embedder's vectors answer: the same searches over the videos it embedded.

        Raises:
            ConfigurationError: it cannot be used, or has left nothing here. StoreError.
        """
        if name not in self.other_models():
            raise ConfigurationError(
                f"There is nothing here that {name} has embedded.",
                f"Set SEEKPOINT_EMBEDDER to {name} and add videos, then set it back.",
            )
        return self._others.get(name, partial(self._open_model, name))

    def _embedder_called(self, name: str) -> Embedder | None:
        try:
            return create_embedder(name, self.settings)
        except ConfigurationError:  # its key is missing
            return None

    def _open_model(self, name: str, opened: ExitStack) -> Answers:
        other = open_collection(
            self.settings, create_embedder(name, self.settings), self._database, opened
        )
        return Answers(
            self.settings,
            embedder=other.embedder,
            store=other.store,
            shelf=other.shelf,
            state=other.state,
            database=self._database,
            ledger=other.ledger,
        )

    # Away, and back

    def findings(
        self,
        result: SearchResult,
        calibration: Calibration | None = None,
        only: Collection[str] | None = None,
    ) -> list[Finding]:
        """The moments of an answer, in its order, to be taken away; `only` those with these best
        segments."""
        return findings_of(result, calibration, only)

    def export(self, what: SearchResult | Sequence[Finding], format: ExportFormat = "csv") -> bytes:
        """Moments as a file: a table, evidence, a cut list, a timeline or a contact sheet.

        Frame rates that are not on record are read from the videos, for a few seconds at most.

        Raises:
            TimelineError: for what a cut list cannot hold.
        """
        return self._exporter.export(what, format)

    def load(self, exported_json: bytes) -> SearchResult:
        """Evidence as the answer it was: the same moments and scores in the same order. The videos
        are as they are today, or marked as removed; `notes` say what differs from then.

        Raises:
            EvidenceError: for a file that is cut off, of a later version, or no evidence at all.
        """
        return self._exporter.load(exported_json)

    def cut_clips(
        self,
        findings: Sequence[Finding],
        zip_path: Path,
        *,
        on_progress: Callable[[float], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Writes a ZIP file of MP4s, one for each moment, exact to the frame; those that cannot be
        made are listed in it. `on_progress` gets the fraction done. The file is there complete or
        not at all.

        Raises:
            JobCancelled: when `cancelled` says so. MediaError: when the disk has no room.
        """
        return self._exporter.cut_clips(findings, zip_path, on_progress, cancelled)

    # Pictures and players

    def media_file(self, video_id: str) -> Path | StoredFile | None:
        """What a player is given of a video: the path of its file, or the copy in the media store;
        None for a remote or unknown video, or when it is gone.

        Raises:
            MediaError: the media store cannot be reached.
        """
        stored = self._shelf.get(video_id)
        if stored is None or stored.path is None:
            return None
        return self._copies.served(self._copies.located(stored.path))

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
            with (
                self.metrics.measured("poster"),
                self._readable(stored.path, stored.video.video_url) as source,
            ):
                media.save_poster(source, second, poster)
        except MediaError as error:
            logger.info("no poster of %s: %s", video_id, error)
            self._no_poster_until[video_id] = time.monotonic() + _UNREACHABLE_FOR_SEC
            return None
        return poster

    def frame(self, video_id: str, second: float) -> bytes:
        """The frame of a video that is on the screen at `second`, as PNG.

        Raises:
            MediaError: for an unknown video, or one that cannot be read from here.
        """
        stored = self._shelf.get(video_id)
        if stored is None:
            raise MediaError("This video is no longer in the library.", "Search again.")
        with self._readable(stored.path, stored.video.video_url) as source:
            picture = media.frame_at(source, max(0.0, second))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    @contextmanager
    def _readable(self, path: Location | None, url: str) -> Iterator[Path | BinaryIO]:
        if path is not None:
            with self._copies.opened(self._copies.located(path)) as file:
                yield file
            return
        with fetch.RemoteFile(url, allow_private=self.settings.allow_private_urls) as remote:
            yield remote

    def _poster_folder(self, video_id: str) -> Path:
        return self.settings.data_dir / "posters" / video_id

    def _close_reviews(self) -> None:
        for review in list(self._reviews):
            review.close()

    def _finish_removals(self) -> None:
        """Ends what a process that died had begun to remove."""
        for stored in self._state.removals():
            self._clear_away(stored)
            self._state.remove_video(stored.video.id)
        self._remove_strays()

    def _remove_strays(self) -> None:
        """Rows and posters of videos that nobody knows of: left by a process that died in between.

        A server may be filled by others at the same time, so only a file of our own is cleared.
        """
        if self._store.engine == "lite" and self._store.count() > self._state.expected_rows():
            kept = {segment.id for stored in self._state.videos() for segment in stored.segments}
            strays = self._store.ids() - kept
            logger.warning("removing %d rows of videos that were never completed", len(strays))
            self._store.delete(sorted(strays))
        known = self._state.video_ids()
        for folder in (self.settings.data_dir / "posters").glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _compare_row_counts(self) -> str:
        expected, found = self._state.expected_rows(), self._store.count()
        if found >= expected:
            return ""
        logger.error("the store holds %d rows where %d were kept", found, expected)
        return (
            f"The vector store holds {found:,} of the {expected:,} rows that were kept. Parts of "
            "it were lost or replaced: restore it from a backup, or remove and add the videos again."
        )


class _Others:
    """The models that were opened beside the library's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._answers: dict[str, Answers] = {}

    def get(self, name: str, open_model: Callable[[ExitStack], Answers]) -> Answers:
        with self._lock:
            if name not in self._answers:
                self._answers[name] = open_model(self._opened)
            return self._answers[name]

    def close(self) -> None:
        with self._lock:
            self._opened.close()


def _media_of_searches(settings: Settings) -> MediaStore | None:
    """Where other servers find what searches ask with; None where all is in the data folder."""
    if not settings.media_url:
        return None
    return open_media_store(replace(settings, media_url=f"{settings.media_url}/searches"))


def _drop_half_downloads(settings: Settings) -> None:
    """What processes that died were about to read; in a folder that is shared others may read it."""
    old_sec = _HALF_DOWNLOADS_SEC if settings.on_servers else 0.0
    for path in (settings.data_dir / "tmp").glob("*"):
        with suppress(FileNotFoundError):  # somebody has just read it
            if path.stat().st_mtime <= time.time() - old_sec:
                shutil.rmtree(path, ignore_errors=True)


def _as_line(source: str | Path | SourceLine) -> SourceLine:
    return source if isinstance(source, SourceLine) else SourceLine(str(source))


def _new_job(source: str | Path | SourceEstimate, title: str, category: str) -> NewJob:
    minutes = None
    if isinstance(source, SourceEstimate):
        minutes = source.minutes
        title, category = title or source.title, source.category or category
        source = source.source
    named = normal_source(source)
    return NewJob(
        source=named,
        title=title or default_title(named),
        # Refused here: after the embedding, which is paid for, it would be too late.
        category=stored_text(category.strip(), "a category"),
        minutes=minutes,
    )
