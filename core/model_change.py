"""Another model: the library answers with the vectors it has until all videos are embedded anew.

Vectors of two models cannot be compared, so each model has a collection of its own. The one that
answers stays the same whatever the settings say, until somebody changes to that of the settings:
at once, or when all videos are in it. Both stay, so that there is a way back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import delete, update

from core.collection import Collection
from core.database import BasketRow, Database, ReturnedRow, SearchRow
from core.embedders import create_embedder
from core.embedders.base import Embedder
from core.errors import ConfigurationError, SeekpointError
from core.ingest import IngestQueue
from core.intake import Intake
from core.metrics import Metrics
from core.models import Job, Stage
from core.settings import Settings
from core.state import NewJob, State, StoredVideo
from core.store import collection_name
from core.uploads import Uploads

logger = logging.getLogger(__name__)

_ANSWERS = "answering_collection"
_BEGUN = "model_change_begun"
_LOOK_AGAIN_SEC = 1.0
_UNFINISHED = {stage for stage in Stage if not stage.finished}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that has embedded videos here, and can be asked with these settings."""

    name: str  # its embedder
    model: str
    dimension: int
    videos: int
    collection: str


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What is still to do before the new model can answer for every video.

    `price` and `minutes` as far as lengths are known; those of `unknown` videos are not.
    """

    videos: int
    minutes: float
    price: float
    unknown: int
    currency: str


@dataclass(frozen=True, slots=True)
class ChangeProgress:
    """How far a change is: of `total` videos `ready` are embedded; the jobs that `failed`."""

    total: int
    ready: int
    failed: tuple[Job, ...]
    paused: str  # the reason; empty while it goes on
    hint: str = ""


class AnsweringModel:
    """Which model answers, as it is kept in the records for all servers and for the next start."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._given = settings
        self._state = State(database, collection="")
        self._database = database
        self.warning = ""
        # The one that the settings name, and the one that answers.
        self.configured = create_embedder(settings.embedder, settings)
        self.settings, self.embedder = self._choose(settings, self.configured)
        # None on an empty library: whatever the settings name is then the one.
        self._kept = self._state.preference(_ANSWERS, shared=True)
        self._superseded = False
        self._look_again = 0.0

    @property
    def collection(self) -> str:
        return _collection_of(self.embedder)

    @property
    def as_configured(self) -> bool:
        return self.collection == _collection_of(self.configured)

    def _choose(self, settings: Settings, configured: Embedder) -> tuple[Settings, Embedder]:
        there = self._state.collections()
        wanted = _collection_of(configured)
        kept = self._state.preference(_ANSWERS, shared=True)
        if there and kept not in {wanted, *there}:
            kept = wanted if wanted in there else max(there, key=lambda name: there[name])
            self._state.set_preference(_ANSWERS, kept, shared=True)
        if kept is None or kept == wanted or not there:
            return settings, configured
        found = self._find(kept)
        if found is None:
            videos = "1 video here was" if there[kept] == 1 else f"{there[kept]:,} videos here were"
            self.warning = (
                f"{videos} embedded by a model that these settings cannot use ({kept}), and cannot "
                "be shown with this one. Set the key of that model to have them back."
            )
            return settings, configured
        return found

    def _find(self, collection: str) -> tuple[Settings, Embedder] | None:
        for settings in self._given.with_other_models():
            try:
                embedder = create_embedder(settings.embedder, settings)
            except ConfigurationError:  # its key is missing
                continue
            if _collection_of(embedder) == collection:
                return settings, embedder
        return None

    def known(self) -> list[KnownModel]:
        """The models that have embedded videos here, but for the one that answers."""
        found = []
        for collection, videos in sorted(self._state.collections().items()):
            if collection == self.collection or (other := self._find(collection)) is None:
                continue
            _, embedder = other
            found.append(
                KnownModel(embedder.name, embedder.model, embedder.dimension, videos, collection)
            )
        return found

    @property
    def superseded(self) -> bool:
        """Whether another model was chosen since: here, or about a second ago on another server."""
        if not self._superseded and time.monotonic() >= self._look_again:
            kept = self._state.preference(_ANSWERS, shared=True)
            self._superseded = kept is not None and kept not in (self._kept, self.collection)
            self._look_again = time.monotonic() + _LOOK_AGAIN_SEC
        return self._superseded

    def change_to(self, collection: str) -> None:
        """Lets another collection answer from the next opening on. What people have kept goes
        along: searches, the basket, and what was shown."""
        with self._database.session() as session:
            for table in (SearchRow, BasketRow, ReturnedRow):
                session.execute(delete(table).where(table.collection == collection))
                session.execute(
                    update(table)
                    .where(table.collection == self.collection)
                    .values(collection=collection)
                )
        self._state.set_preference(_ANSWERS, collection, shared=True)
        self._superseded = True
        logger.info("%s answers from now on, instead of %s", collection, self.collection)


class ModelChange:
    """The way from the collection that answers to the one that the settings name."""

    def __init__(
        self,
        settings: Settings,
        *,
        answering: AnsweringModel,
        old: Collection,
        new: Collection,
        uploads: Uploads,
        may_change: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        self._answering = answering
        self._old = old
        self._new = new
        self._may_change = may_change
        self._lock = threading.Lock()
        self._begun = new.state.preference(_BEGUN) is not None
        self._queue = IngestQueue(
            settings=settings,
            embedder=new.embedder,
            store=new.store,
            state=new.state,
            shelf=new.shelf,
            uploads=uploads,
            ledger=new.ledger,
            intake=Intake(settings, new.embedder, new.shelf, new.ledger, uploads.copies),
            metrics=metrics,
            former=old.shelf,
        )
        sources = {job.source for job in new.state.jobs({*_UNFINISHED, Stage.FAILED})}
        self._asked = {
            (stored.video.id, stored.video.category)
            for stored in old.shelf.stored
            if _source(stored) in sources
        }

    def close(self) -> None:
        self._queue.close()

    @property
    def embedder(self) -> Embedder:
        """The one that the settings name."""
        return self._new.embedder

    @property
    def begun(self) -> bool:
        return self._begun

    def plan(self) -> ChangePlan:
        """What a change would mean now. Videos that were paid for before cost nothing again."""
        missing = self._missing()
        lengths = [stored.video.duration for stored in missing]
        to_pay = [s for s in missing if not self._new.ledger.resumable(s.video.id)]
        prices = [
            self._new.ledger.price_of(None if d is None else d / 60)
            for d in (stored.video.duration for stored in to_pay)
        ]
        return ChangePlan(
            videos=len(missing),
            minutes=sum(length or 0.0 for length in lengths) / 60,
            price=sum(price or 0.0 for price in prices),
            unknown=sum(price is None for price in prices),
            currency=self._new.ledger.currency,
        )

    def progress(self) -> ChangeProgress:
        pause = self._queue.paused
        total = len(self._old.shelf.videos)
        return ChangeProgress(
            total=total,
            ready=total - len(self._missing()),
            failed=tuple(self._new.state.jobs({Stage.FAILED})),
            paused="" if pause is None else pause.reason or "Paused.",
            hint="" if pause is None else pause.hint,
        )

    def begin(self, *, max_cost: float | None = None) -> None:
        """Embeds every video anew in the background, for `max_cost` in all, and changes to the new
        model once all of them are ready."""
        self._new.state.forget_jobs({Stage.CANCELLED})
        self._new.state.set_preference(_BEGUN, "yes")
        self._begun = True
        self._go_on(max_cost)

    def stop(self) -> None:
        """Ends what `begin` began. What is ready stays, and is not paid for again."""
        self._new.state.set_preference(_BEGUN, None)
        self._begun = False
        with self._lock:
            for job in self._new.state.jobs(_UNFINISHED):
                self._queue.cancel(job.id)
            self._asked.clear()

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until what was begun has finished, is held up, or `timeout` seconds are over."""
        self._queue.wait(None, timeout)

    def pause(self) -> None:
        self._queue.pause()

    def resume(self) -> None:
        self._queue.resume()

    def retry_failed(self) -> None:
        """Tries the failed videos again, but for those that would have to be paid for again."""
        for job in self._new.state.jobs({Stage.FAILED}):
            self._queue.retry(job.id)

    def advance(self) -> None:
        """Takes along what was added meanwhile, and changes to the new model when all is ready.
        Cheap enough to be called with every page."""
        if not self._begun:
            return
        try:
            self._go_on()
            waits = self._missing() or self._new.state.jobs(_UNFINISHED, limit=1)
            if not waits and self._may_change():
                self.finish()
        except SeekpointError as error:
            logger.warning("the change of the model waits: %s", error)

    def finish(self) -> None:
        """Changes now; videos that are not ready are not found by the new model until they are.

        Raises:
            ConfigurationError: videos are still on their way into the library as it is.
        """
        if not self._may_change():
            raise still_adding()
        for stored in self._old.shelf.stored:
            self._take_title(stored)
        self._new.state.set_preference(_BEGUN, None)
        self._begun = False
        self._answering.change_to(self._new.name)

    def remove(self, video_id: str) -> None:
        """Leaves out a video that was removed from the library, and its new vectors with it."""
        known = self._old.shelf.get(video_id)
        source = None if known is None else _source(known)
        for job in self._new.state.jobs():
            if job.source == source or job.video_id == video_id:
                self._queue.cancel(job.id)
                self._new.state.forget_job(job.id)
        with self._new.shelf.changing(video_id):
            stored = self._new.shelf.get(video_id)
            if stored is not None:
                self._new.store.delete([segment.id for segment in stored.segments])
                self._new.shelf.remove(video_id)

    def set_month_budget(self, amount: float | None) -> None:
        self._queue.set_month_budget(amount)

    def _missing(self) -> list[StoredVideo]:
        """The videos of the library that the new model has not embedded, oldest first; also those
        that were put into another category since."""
        new = self._new.shelf.videos
        return [
            stored
            for stored in self._old.shelf.stored
            if (known := new.get(stored.video.id)) is None
            or known.category != stored.video.category
        ]

    def _go_on(self, max_cost: float | None = None) -> None:
        with self._lock:
            fresh = [
                stored
                for stored in self._missing()
                if (stored.video.id, stored.video.category) not in self._asked
            ]
            self._queue.add([_job(stored) for stored in fresh], max_cost=max_cost)
            self._asked.update((stored.video.id, stored.video.category) for stored in fresh)

    def _take_title(self, stored: StoredVideo) -> None:
        known = self._new.shelf.get(stored.video.id)
        if known is not None and known.video.title != stored.video.title:
            self._new.shelf.put(
                replace(known, video=replace(known.video, title=stored.video.title))
            )


def still_adding() -> ConfigurationError:
    return ConfigurationError(
        "Videos are still being added.",
        "Wait until they are ready, or cancel them; then change the model.",
    )


def _collection_of(embedder: Embedder) -> str:
    return collection_name(embedder.name, embedder.model, embedder.dimension)


def _source(stored: StoredVideo) -> str:
    return str(stored.path or stored.video.video_url)


def _job(stored: StoredVideo) -> NewJob:
    video = stored.video
    return NewJob(
        source=_source(stored),
        title=video.title,
        category=video.category,
        minutes=None if video.duration is None else video.duration / 60,
    )
