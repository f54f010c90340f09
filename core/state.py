"""The app's own records in SQL: videos of each collection, and jobs on their way in.

Vectors live in the store; everything needed to show, find again and finish work lives here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Literal

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from core.database import (
    UNFINISHED,
    Database,
    JobRow,
    PreferenceRow,
    ReturnedRow,
    RevisionRow,
    VideoRow,
    upsert,
)
from core.errors import JobTaken
from core.leases import Lease
from core.media_store import Location, as_location
from core.models import Job, Segment, Stage, Video

_RUNNING = [stage for stage in UNFINISHED if stage != Stage.QUEUED.value]


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video with what only the library itself needs: its file, when that is on this machine or
    in the media store, and its stored rows."""

    video: Video
    path: Location | None
    segments: tuple[Segment, ...]
    segment_sec: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The videos that were changed up to `revision`, oldest first, and the ids of all there are."""

    revision: int
    stored: list[StoredVideo]
    ids: set[str]


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is known of a job when it is queued."""

    source: str
    title: str
    category: str = ""
    minutes: float | None = None


class State:
    """The records of one collection. Every method is one transaction; threads may share it.

    A job that runs belongs to the server that has claimed it, until that ends it, puts it back or
    lets its `lease` end. Whoever writes about a job that is no longer its own meets JobTaken.
    """

    def __init__(self, database: Database, *, collection: str) -> None:
        self.lease = Lease(database, collection=collection)
        self._collection = collection
        self._database = database
        self._session = database.session

    def alone(self, what: str) -> AbstractContextManager[None]:
        """Keeps other servers out of a short piece of work in this collection."""
        return self._database.alone(f"{what} in {self._collection}")

    # Videos

    def videos(self) -> list[StoredVideo]:
        """Every video of the collection, newest first, but for those that are being removed."""
        with self._session() as session:
            rows = session.scalars(
                select(VideoRow)
                .where(VideoRow.collection == self._collection, VideoRow.removing.is_(False))
                .order_by(VideoRow.added_at.desc(), VideoRow.id)
            )
            return [_stored_video(row) for row in rows]

    def revision(self) -> int:
        """How often the videos were changed so far."""
        with self._session() as session:
            return self._revision(session)

    def _revision(self, session: Session) -> int:
        mine = select(RevisionRow.number).where(RevisionRow.collection == self._collection)
        return session.scalar(mine) or 0

    def _next_revision(self, session: Session) -> int:
        """That of a change within this transaction; until its end no other change gets one."""
        first = RevisionRow(collection=self._collection, number=1)
        upsert(session, first, {"number": RevisionRow.number + 1})
        return self._revision(session)

    def changes(self, since: int) -> Changes:
        """What became of the videos after this revision."""
        mine = (VideoRow.collection == self._collection, VideoRow.removing.is_(False))
        changed = select(VideoRow).where(*mine, VideoRow.revision > since)
        with self._session() as session:
            # First: what is changed from here on is read again next time.
            revision = self._revision(session)
            rows = session.scalars(changed.order_by(VideoRow.added_at, VideoRow.id)).all()
            ids = set(session.scalars(select(VideoRow.id).where(*mine)))
        return Changes(revision, [_stored_video(row) for row in rows], ids)

    def put_video(self, stored: StoredVideo) -> int:
        """Keeps a video, in place of what was kept of it; returns the revision since then."""
        video = stored.video
        row = VideoRow(
            collection=self._collection,
            id=video.id,
            title=video.title,
            video_url=video.video_url,
            path=str(stored.path or ""),
            duration=video.duration,
            width=video.width,
            height=video.height,
            category=video.category,
            model=video.model,
            segments=[
                [s.id, s.embedding_option, s.embedding_scope, s.start_offset_sec, s.end_offset_sec]
                for s in stored.segments
            ],
            row_count=len(stored.segments),
            added_at=video.added_at.timestamp(),
            segment_sec=stored.segment_sec,
            frame_rate=None if video.frame_rate is None else str(video.frame_rate),
            sha256=video.sha256,
            recorded_at=None if video.recorded_at is None else video.recorded_at.timestamp(),
            removing=False,
        )
        with self._session() as session:
            row.revision = self._next_revision(session)
            upsert(session, row)
            return row.revision

    def collections(self) -> dict[str, int]:
        """The collections that hold videos, with how many."""
        with self._session() as session:
            rows = session.execute(
                select(VideoRow.collection, func.count()).group_by(VideoRow.collection)
            )
            return {collection: number for collection, number in rows}

    def returned(self) -> dict[str, datetime]:
        """The ids of the videos that searches have shown, with when each was first."""
        with self._session() as session:
            rows = session.scalars(
                select(ReturnedRow).where(ReturnedRow.collection == self._collection)
            )
            return {row.video_id: _time(row.first_at) for row in rows}

    def note_returned(self, video_ids: Iterable[str], at: datetime) -> None:
        with self._session() as session:
            for video_id in video_ids:
                upsert(
                    session,
                    ReturnedRow(
                        collection=self._collection, video_id=video_id, first_at=at.timestamp()
                    ),
                )

    def begin_removal(self, video_id: str) -> None:
        """Notes that a video goes, so that a removal that is cut off is finished later."""
        with self._session() as session:
            revision = self._next_revision(session)
            row = session.get(VideoRow, (self._collection, video_id))
            if row is not None:
                row.removing, row.revision = True, revision

    def removals(self) -> list[StoredVideo]:
        """The videos whose removal was begun and not finished."""
        with self._session() as session:
            rows = session.scalars(
                select(VideoRow).where(
                    VideoRow.collection == self._collection, VideoRow.removing.is_(True)
                )
            )
            return [_stored_video(row) for row in rows]

    def video_ids(self) -> set[str]:
        """The ids of the videos of every collection."""
        with self._session() as session:
            return set(session.scalars(select(VideoRow.id)))

    def remove_video(self, video_id: str) -> int:
        """Forgets a video, if it is there; returns the revision since then."""
        with self._session() as session:
            revision = self._next_revision(session)
            row = session.get(VideoRow, (self._collection, video_id))
            if row is not None:
                session.delete(row)
            return revision

    def path_in_use(self, path: Location) -> bool:
        """Whether a video of any collection that is to stay, or a job that may still run, is made
        from this copy. Its folder and name are its own, and what they lie in may have moved."""
        ending = "/" + "/".join(PurePosixPath(path).parts[-2:])
        with self._session() as session:
            videos = select(VideoRow.id).where(
                VideoRow.path.endswith(ending, autoescape=True), VideoRow.removing.is_(False)
            )
            jobs = select(JobRow.id).where(
                JobRow.source.endswith(ending, autoescape=True), JobRow.stage != Stage.READY.value
            )
            return session.scalar(videos) is not None or session.scalar(jobs) is not None

    def expected_rows(self) -> int:
        """How many rows the store must hold for the videos recorded here."""
        with self._session() as session:
            return (
                session.scalar(
                    select(func.coalesce(func.sum(VideoRow.row_count), 0)).where(
                        VideoRow.collection == self._collection
                    )
                )
                or 0
            )

    # Jobs

    def add_jobs(
        self, new: Sequence[NewJob], *, max_cost: float | None = None, priority: int = 0
    ) -> list[Job]:
        """Queues jobs in the order given, as one run."""
        run = uuid.uuid4().hex
        with self._session() as session:
            last = session.scalar(select(func.coalesce(func.max(JobRow.position), 0))) or 0
            rows = [
                JobRow(
                    id=uuid.uuid4().hex,
                    collection=self._collection,
                    position=last + number,
                    source=job.source,
                    title=job.title,
                    category=job.category,
                    minutes=job.minutes,
                    stage=Stage.QUEUED.value,
                    attempts=0,
                    error="",
                    hint="",
                    video_id="",
                    checkpoint={},
                    created_at=time.time(),
                    run=run,
                    max_cost=max_cost,
                    priority=priority,
                )
                for number, job in enumerate(new, start=1)
            ]
            session.add_all(rows)
            session.flush()
            return [_job(row) for row in rows]

    def jobs(
        self,
        stages: Collection[Stage] | None = None,
        *,
        run: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """The jobs of the collection in these stages and of this run (default: all), oldest
        first."""
        wanted = select(JobRow).where(JobRow.collection == self._collection)
        if stages is not None:
            wanted = wanted.where(JobRow.stage.in_([stage.value for stage in stages]))
        if run is not None:
            wanted = wanted.where(JobRow.run == run)
        with self._session() as session:
            return [
                _job(row) for row in session.scalars(wanted.order_by(JobRow.position).limit(limit))
            ]

    def latest_ready(self, limit: int) -> list[Job]:
        """The jobs that became ready last, newest first."""
        wanted = (
            select(JobRow)
            .where(JobRow.collection == self._collection, JobRow.stage == Stage.READY.value)
            .order_by(JobRow.finished_at.desc())
            .limit(limit)
        )
        with self._session() as session:
            return [_job(row) for row in session.scalars(wanted)]

    def counts(self) -> dict[Stage, int]:
        """How many jobs are in each stage; stages without one are left out."""
        with self._session() as session:
            rows = session.execute(
                select(JobRow.stage, func.count())
                .where(JobRow.collection == self._collection)
                .group_by(JobRow.stage)
            )
            return {Stage(stage): number for stage, number in rows}

    def batch(self) -> tuple[int, datetime | None]:
        """The current batch: how many of it are finished, and when the first of it was begun.

        It is what is unfinished, and what finished since the oldest of that was added.
        """
        mine = JobRow.collection == self._collection
        begun = func.min(JobRow.started_at)
        with self._session() as session:
            since, of_unfinished = session.execute(
                select(func.min(JobRow.created_at), begun).where(mine, JobRow.stage.in_(UNFINISHED))
            ).one()
            if since is None:
                return 0, None
            finished, of_finished = session.execute(
                select(func.count(), begun).where(mine, JobRow.finished_at >= since)
            ).one()
        begins = [second for second in (of_unfinished, of_finished) if second is not None]
        return finished, _time(min(begins)) if begins else None

    def job(self, job_id: str) -> Job | None:
        with self._session() as session:
            row = session.get(JobRow, job_id)
            return None if row is None else _job(row)

    def checkpoint(self, job_id: str) -> dict[str, str]:
        """What an interrupted job left to go on from; empty when nothing."""
        with self._session() as session:
            row = session.get(JobRow, job_id)
            return {} if row is None else dict(row.checkpoint)

    def claim_job(self) -> Job | None:
        """Takes the next queued job that nothing holds back and marks it as begun."""
        with self._session() as session:
            following = (
                select(JobRow.id)
                .where(
                    JobRow.collection == self._collection,
                    JobRow.stage == Stage.QUEUED.value,
                    JobRow.held == "",
                )
                .order_by(JobRow.priority.desc(), JobRow.position)
                .limit(1)
                # Servers that ask at once each get another one.
                .with_for_update(skip_locked=True)
                .scalar_subquery()
            )
            # One statement: between a read and a write another worker would take the same job.
            row = session.scalars(
                update(JobRow)
                .where(JobRow.id == following, JobRow.stage == Stage.QUEUED.value)
                .values(
                    stage=Stage.PROBING.value,
                    fraction=None,
                    attempts=JobRow.attempts + 1,
                    started_at=time.time(),
                    stage_since=time.time(),
                    server=self.lease.server,
                    has_video=False,
                )
                .returning(JobRow)
                .execution_options(synchronize_session=False)
            ).first()
            return None if row is None else _job(row)

    def _own(self, session: Session, job: Job) -> JobRow:
        """The row of a job that this server runs, in this attempt; nobody changes it meanwhile."""
        row = session.get(JobRow, job.id, with_for_update=True)
        if row is None or (row.server, row.attempts) != (self.lease.server, job.attempts):
            raise JobTaken
        return row

    def hold_video(self, job: Job, at_work: Collection[str]) -> bool:
        """Lets a running job work on its video, unless another one does; says whether it may.

        `at_work` are the jobs that this server works on: it may have had to leave others.

        Raises:
            JobTaken: this server does not run the job any more.
        """
        others = and_(
            JobRow.collection == self._collection,
            JobRow.video_id == job.video_id,
            JobRow.has_video,
            JobRow.stage.in_(_RUNNING),
            JobRow.id != job.id,
            or_(JobRow.server != self.lease.server, JobRow.id.in_(at_work)),
            self.lease.runs(),
        )
        with self.alone(f"job of {job.video_id}"), self._session() as session:
            row = self._own(session, job)
            row.has_video = session.scalar(select(JobRow.id).where(others).limit(1)) is None
            return row.has_video

    def update_job(
        self,
        job: Job,
        *,
        stage: Stage,
        fraction: float | None = None,
        note: str = "",
        checkpoint: Mapping[str, str] | None = None,
        video_id: str | None = None,
        minutes: float | None = None,
        error: str = "",
        hint: str = "",
        must_confirm: bool = False,
    ) -> None:
        """Moves a running job on.

        Raises:
            JobTaken: this server does not run it any more; nothing was written.
        """
        now = time.time()
        with self._session() as session:
            row = self._own(session, job)
            if row.stage != stage.value:
                spent = now - (row.stage_since or now)
                before = row.stage_seconds.get(row.stage, 0.0)
                row.stage_seconds = {**row.stage_seconds, row.stage: before + spent}
                row.stage_since = now
            row.stage = stage.value
            row.fraction = fraction
            row.note = note
            row.error = error
            row.hint = hint
            row.must_confirm = must_confirm
            if checkpoint is not None:
                row.checkpoint = dict(checkpoint)
            if video_id is not None:
                row.video_id = video_id
            if minutes is not None:
                row.minutes = minutes
            row.finished_at = now if stage.finished else None
            if stage.value not in _RUNNING:
                row.server = ""

    def move_job(self, job_id: str, start: Collection[Stage], to: Stage) -> bool:
        """Moves a job on if its stage is one of `start`; says whether it was."""
        with self._session() as session:
            # One statement: a worker, or a second click, may get between a read and a write.
            moved = session.scalars(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.stage.in_([s.value for s in start]))
                .values(
                    stage=to.value,
                    fraction=None,
                    note="",
                    error="",
                    hint="",
                    held="",
                    must_confirm=False,
                    cancel_asked="",
                    finished_at=time.time() if to.finished else None,
                )
                .returning(JobRow.id)
                .execution_options(synchronize_session=False)
            ).first()
            return moved is not None

    def forget_checkpoint(self, job_id: str) -> None:
        """The job begins from nothing when it runs again."""
        with self._session() as session:
            row = session.get(JobRow, job_id)
            if row is not None:
                row.checkpoint = {}

    def ask_to_cancel(self, job_id: str, result: Literal["keep", "drop"]) -> None:
        """Notes the wish to end a running job, so that a restart knows of it too."""
        with self._session() as session:
            row = session.get(JobRow, job_id)
            if row is not None:
                row.cancel_asked = result

    def asked_to_cancel(self, job_id: str) -> str:
        """`keep` or `drop` (the result at the service) for a job somebody cancelled, else empty."""
        with self._session() as session:
            row = session.get(JobRow, job_id)
            return "" if row is None else row.cancel_asked

    def put_first(self, job_id: str) -> None:
        """Makes a queued job the next one."""
        with self._session() as session:
            highest = session.scalar(
                select(func.max(JobRow.priority)).where(
                    JobRow.collection == self._collection, JobRow.stage == Stage.QUEUED.value
                )
            )
            row = session.get(JobRow, job_id)
            if row is not None:
                row.priority = (highest or 0) + 1

    def hold_run(self, run: str, reason: str) -> None:
        """Keeps the queued jobs of a run from being started; what runs goes on."""
        self._set_for_run(run, JobRow.stage == Stage.QUEUED.value, held=reason)

    def release_run(self, run: str, max_cost: float | None) -> None:
        """Gives a run another budget, also for jobs that are tried again later, and lets its jobs
        be started."""
        self._set_for_run(run, held="", max_cost=max_cost)

    def _set_for_run(self, run: str, *which: ColumnElement[bool], **values: object) -> None:
        with self._session() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.collection == self._collection, JobRow.run == run, *which)
                .values(**values)
                .execution_options(synchronize_session=False)
            )

    def run_budget(self, job_id: str) -> float | None:
        with self._session() as session:
            row = session.get(JobRow, job_id)
            return None if row is None else row.max_cost

    def asked_to_end(self) -> list[Job]:
        """The unfinished jobs that somebody has cancelled."""
        wanted = select(JobRow).where(
            JobRow.collection == self._collection,
            JobRow.stage.in_(UNFINISHED),
            JobRow.cancel_asked != "",
        )
        with self._session() as session:
            return [_job(row) for row in session.scalars(wanted)]

    def requeue_left(self, at_work: Collection[str] = ()) -> int:
        """Puts every job that was left in mid-way back into the queue: those of servers that are
        not alive any more, and those of this one that it does not work on. Says how many."""
        mine = JobRow.server == self.lease.server
        with self._session() as session:
            left = session.scalars(
                update(JobRow)
                .where(
                    JobRow.collection == self._collection,
                    JobRow.stage.in_(_RUNNING),
                    or_(~self.lease.runs(), and_(mine, JobRow.id.not_in(at_work))),
                )
                .values(stage=Stage.QUEUED.value, fraction=None, note="", server="")
                .returning(JobRow.id)
                .execution_options(synchronize_session=False)
            )
            return len(left.all())

    def forget_job(self, job_id: str) -> None:
        with self._session() as session:
            row = session.get(JobRow, job_id)
            if row is not None:
                session.delete(row)

    def forget_jobs(self, stages: Collection[Stage]) -> None:
        with self._session() as session:
            session.execute(
                delete(JobRow).where(
                    JobRow.collection == self._collection,
                    JobRow.stage.in_([stage.value for stage in stages]),
                )
            )

    # Preferences

    def preference(self, name: str, *, shared: bool = False) -> str | None:
        """What somebody chose; `shared` for what holds for every collection."""
        with self._session() as session:
            row = session.get(PreferenceRow, ("" if shared else self._collection, name))
            return None if row is None else row.value

    def set_preference(self, name: str, value: str | None, *, shared: bool = False) -> None:
        collection = "" if shared else self._collection
        with self._session() as session:
            if value is not None:
                upsert(session, PreferenceRow(collection=collection, name=name, value=value))
            elif (row := session.get(PreferenceRow, (collection, name))) is not None:
                session.delete(row)


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        source=row.source,
        title=row.title,
        category=row.category,
        stage=Stage(row.stage),
        fraction=row.fraction,
        attempts=row.attempts,
        error=row.error,
        hint=row.hint,
        video_id=row.video_id,
        task_id=row.checkpoint.get("task_id", ""),
        created_at=_time(row.created_at),
        started_at=None if row.started_at is None else _time(row.started_at),
        finished_at=None if row.finished_at is None else _time(row.finished_at),
        run=row.run,
        priority=row.priority,
        minutes=row.minutes,
        note=row.note,
        held=row.held,
        must_confirm=row.must_confirm,
        stage_since=None if row.stage_since is None else _time(row.stage_since),
        stage_seconds=dict(row.stage_seconds),
    )


def _stored_video(row: VideoRow) -> StoredVideo:
    return StoredVideo(
        video=Video(
            id=row.id,
            title=row.title,
            video_url=row.video_url,
            duration=row.duration,
            category=row.category,
            model=row.model,
            segments=row.row_count,
            added_at=_time(row.added_at),
            width=row.width,
            height=row.height,
            frame_rate=None if row.frame_rate is None else Fraction(row.frame_rate),
            sha256=row.sha256,
            recorded_at=None if row.recorded_at is None else _time(row.recorded_at),
        ),
        path=as_location(row.path) if row.path else None,
        segments=tuple(
            Segment(
                id=segment_id,
                video_id=row.id,
                start_offset_sec=start,
                end_offset_sec=end,
                embedding_scope=scope,
                embedding_option=option,
            )
            for segment_id, option, scope, start, end in row.segments
        ),
        segment_sec=row.segment_sec,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
