"""The app's own records in SQL: videos of each collection, and jobs on their way in.

Vectors live in the store; everything needed to show, find again and finish work lives here.
Times are kept as seconds since the epoch, so that every database returns what it was given.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, create_engine, event, func, select, update
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from core.errors import ConfigurationError, StoreUnavailable
from core.models import Job, Segment, Stage, Video

logger = logging.getLogger(__name__)

_UNFINISHED = [stage.value for stage in Stage if not stage.finished]


class _Base(DeclarativeBase):
    type_annotation_map = {dict[str, str]: JSON, list[list[Any]]: JSON}  # noqa: RUF012


class _VideoRow(_Base):
    __tablename__ = "videos"

    collection: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    video_url: Mapped[str]
    path: Mapped[str]  # empty for a remote video
    duration: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    category: Mapped[str]
    model: Mapped[str]
    segments: Mapped[list[list[Any]]]  # [id, option, scope, start, end] of every stored row
    row_count: Mapped[int]
    added_at: Mapped[float]


class _JobRow(_Base):
    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(index=True)
    position: Mapped[int]  # order of arrival; two jobs may share a clock tick
    source: Mapped[str]
    title: Mapped[str]
    category: Mapped[str]
    stage: Mapped[str] = mapped_column(index=True)
    fraction: Mapped[float | None]
    attempts: Mapped[int]
    error: Mapped[str]
    hint: Mapped[str]
    video_id: Mapped[str]
    checkpoint: Mapped[dict[str, str]]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video with what only the library itself needs: its local file and its stored rows."""

    video: Video
    path: Path | None
    segments: tuple[Segment, ...]


class State:
    """The records of one collection. Every method is one transaction; threads may share it."""

    def __init__(self, url: str, *, collection: str) -> None:
        self._collection = collection
        self._closed = False
        try:
            self._engine = _create_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise ConfigurationError(
                "DATABASE_URL cannot be used: " + str(error).splitlines()[0],
                "Use sqlite:///path/to/file.db or postgresql+psycopg://user@host/name.",
            ) from error
        with _translated():
            _Base.metadata.create_all(self._engine)

    def close(self) -> None:
        """Closes the connections. A worker that comes too late is refused, not let in again."""
        self._closed = True
        self._engine.dispose()

    # Videos

    def videos(self) -> list[StoredVideo]:
        """Every video of the collection, newest first."""
        with self._session() as session:
            rows = session.scalars(
                select(_VideoRow)
                .where(_VideoRow.collection == self._collection)
                .order_by(_VideoRow.added_at.desc(), _VideoRow.id)
            )
            return [_stored_video(row) for row in rows]

    def put_video(self, stored: StoredVideo) -> None:
        video = stored.video
        row = _VideoRow(
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
        )
        with self._session() as session:
            session.merge(row)

    def remove_video(self, video_id: str) -> None:
        with self._session() as session:
            row = session.get(_VideoRow, (self._collection, video_id))
            if row is not None:
                session.delete(row)

    def path_in_use(self, path: Path) -> bool:
        """Whether a video of any collection, or a job still on its way, plays from this file."""
        with self._session() as session:
            videos = select(_VideoRow.id).where(_VideoRow.path == str(path))
            jobs = select(_JobRow.id).where(
                _JobRow.source == str(path), _JobRow.stage.in_(_UNFINISHED)
            )
            return session.scalar(videos) is not None or session.scalar(jobs) is not None

    def expected_rows(self) -> int:
        """How many rows the store must hold for the videos recorded here."""
        with self._session() as session:
            return (
                session.scalar(
                    select(func.coalesce(func.sum(_VideoRow.row_count), 0)).where(
                        _VideoRow.collection == self._collection
                    )
                )
                or 0
            )

    # Jobs

    def add_jobs(self, sources: Sequence[tuple[str, str]], *, category: str) -> list[Job]:
        """Queues (source, title) pairs in the order given."""
        with self._session() as session:
            last = session.scalar(select(func.coalesce(func.max(_JobRow.position), 0))) or 0
            rows = [
                _JobRow(
                    id=uuid.uuid4().hex,
                    collection=self._collection,
                    position=last + number,
                    source=source,
                    title=title,
                    category=category,
                    stage=Stage.QUEUED.value,
                    attempts=0,
                    error="",
                    hint="",
                    video_id="",
                    checkpoint={},
                    created_at=time.time(),
                )
                for number, (source, title) in enumerate(sources, start=1)
            ]
            session.add_all(rows)
            session.flush()
            return [_job(row) for row in rows]

    def jobs(self) -> list[Job]:
        """Every job of the collection, oldest first."""
        with self._session() as session:
            rows = session.scalars(
                select(_JobRow)
                .where(_JobRow.collection == self._collection)
                .order_by(_JobRow.position)
            )
            return [_job(row) for row in rows]

    def job(self, job_id: str) -> Job | None:
        with self._session() as session:
            row = session.get(_JobRow, job_id)
            return None if row is None else _job(row)

    def checkpoint(self, job_id: str) -> dict[str, str]:
        """What an interrupted job left to go on from; empty when nothing."""
        with self._session() as session:
            row = session.get(_JobRow, job_id)
            return {} if row is None else dict(row.checkpoint)

    def claim_job(self) -> Job | None:
        """Takes the oldest queued job and marks it as begun."""
        with self._session() as session:
            oldest = (
                select(_JobRow.id)
                .where(
                    _JobRow.collection == self._collection,
                    _JobRow.stage == Stage.QUEUED.value,
                )
                .order_by(_JobRow.position)
                .limit(1)
                .scalar_subquery()
            )
            # One statement: between a read and a write another worker would take the same job.
            row = session.scalars(
                update(_JobRow)
                .where(_JobRow.id == oldest, _JobRow.stage == Stage.QUEUED.value)
                .values(
                    stage=Stage.PROBING.value,
                    fraction=None,
                    attempts=_JobRow.attempts + 1,
                    started_at=time.time(),
                )
                .returning(_JobRow)
                .execution_options(synchronize_session=False)
            ).first()
            return None if row is None else _job(row)

    def update_job(
        self,
        job_id: str,
        *,
        stage: Stage,
        fraction: float | None = None,
        checkpoint: Mapping[str, str] | None = None,
        video_id: str | None = None,
        error: str = "",
        hint: str = "",
    ) -> None:
        """Moves a job on. A missing row is no error: the job was forgotten meanwhile."""
        with self._session() as session:
            row = session.get(_JobRow, job_id)
            if row is None:
                return
            row.stage = stage.value
            row.fraction = fraction
            row.error = error
            row.hint = hint
            if checkpoint is not None:
                row.checkpoint = dict(checkpoint)
            if video_id is not None:
                row.video_id = video_id
            row.finished_at = time.time() if stage.finished else None

    def move_job(self, job_id: str, start: Collection[Stage], to: Stage) -> bool:
        """Moves a job on if its stage is one of `start`; says whether it was."""
        with self._session() as session:
            # One statement: a worker, or a second click, may get between a read and a write.
            moved = session.scalars(
                update(_JobRow)
                .where(_JobRow.id == job_id, _JobRow.stage.in_([s.value for s in start]))
                .values(
                    stage=to.value,
                    fraction=None,
                    error="",
                    hint="",
                    finished_at=time.time() if to.finished else None,
                )
                .returning(_JobRow.id)
                .execution_options(synchronize_session=False)
            ).first()
            return moved is not None

    def requeue_unfinished(self) -> int:
        """Puts every job that an earlier process left in mid-way back into the queue."""
        with self._session() as session:
            rows = session.scalars(
                select(_JobRow).where(
                    _JobRow.collection == self._collection, _JobRow.stage.in_(_UNFINISHED)
                )
            ).all()
            for row in rows:
                row.stage = Stage.QUEUED.value
                row.fraction = None
            return len(rows)

    def forget_job(self, job_id: str) -> None:
        with self._session() as session:
            row = session.get(_JobRow, job_id)
            if row is not None:
                session.delete(row)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        if self._closed:
            raise StoreUnavailable("The library is closed.", "Open it again.")
        with _translated(), Session(self._engine, expire_on_commit=False) as session:
            yield session
            session.commit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        logger.error("database: %s", cause)
        raise StoreUnavailable(
            f"The app's own records cannot be read or written: {cause}.",
            "Check DATABASE_URL, the disk's free space and the permissions of the data folder.",
        ) from error


def _create_engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _(connection: Any, _record: Any) -> None:
            # Readers never wait for the worker that writes progress.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=10000")

    return engine


def _job(row: _JobRow) -> Job:
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
    )


def _stored_video(row: _VideoRow) -> StoredVideo:
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
        ),
        path=Path(row.path) if row.path else None,
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
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
