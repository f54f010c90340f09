"""Twelve Labs (Marengo) as an embedder, with embed v2 of its SDK.

Nothing that costs money is asked for twice: before a task is created its time and its charge are in
the checkpoint, after that its id, and a run that starts with either goes on from there.
"""

from __future__ import annotations

import base64
import io
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core import fetch, media
from core.embedders.base import Limits, OnProgress, Prices, check_span, unit_vector
from core.embedders.marengo import MB, MediaSource, Request, marengo
from core.embedders.twelvelabs_assets import Assets
from core.embedders.twelvelabs_errors import Gone, expired, nonsense, refused
from core.embedders.twelvelabs_run import Pace, Run
from core.embedders.twelvelabs_service import AT_ONCE, QUERY, Kind, service_of
from core.errors import (
    BudgetExceeded,
    ConfigurationError,
    EmbedderError,
    EmbedderUnavailable,
    MediaError,
    RecipeError,
    UnsupportedMedia,
)
from core.limiter import Place
from core.models import EmbeddedSegment, MediaInfo, Stage, Vector
from core.recipe import Media
from core.settings import DIMENSIONS, SEGMENT_SEC, Settings

if TYPE_CHECKING:
    from twelvelabs.types import EmbeddingData, EmbeddingTaskResponse, MediaEmbeddingTask

logger = logging.getLogger(__name__)

_DOWNLOAD_BYTES = 2_000 * MB
# Tasks are worked on elsewhere: two more videos can be looked at, sent or stored meanwhile.
_VIDEOS_BESIDE_TASKS = 2
_TASK_DEADLINE_SEC = 6 * 3600.0
# Segments may end a little after the probed duration.
_END_TOLERANCE_SEC = 0.5
_CLOCK_SKEW = timedelta(minutes=5)
# A plan allows 3,000 tasks a day; the list has at most 50 on a page.
_LISTED_PAGES = 60
_LISTED_PER_PAGE = 50
_SHRUNK_IMAGE = (2048, 2048)


class TwelveLabsEmbedder:
    """The Twelve Labs service as an Embedder.

    `sleep` and `clock` (seconds) exist so that tests need not wait. The connection is made on the
    first call, so making an embedder costs nothing and needs no network.

    Raises:
        ConfigurationError: when model, dimension or segment length do not go together.
    """

    name = "twelvelabs"
    limits_text = ""
    explains = False
    remote = True

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_settings(settings)
        self._settings = settings
        self._sleep = sleep
        self._clock = clock
        self._service = service_of(settings, sleep=sleep, clock=clock)
        self._assets = Assets(self._service)
        self._pace = Pace()
        self.model = settings.twelvelabs_model
        self.dimension = settings.twelvelabs_dimension
        self._shape = marengo(self.model, self.dimension)
        self.options = self._shape.options
        self.limits = replace(
            self._shape.limits, parallel_videos=settings.parallel_tasks + _VIDEOS_BESIDE_TASKS
        )
        self.prices = Prices(
            per_minute=settings.price_per_minute,
            per_image=settings.price_per_1000_images / 1000,
            per_text=settings.price_per_1000_texts / 1000,
        )

    def embed_text(self, text: str) -> Vector:
        """The unit vector of a text.

        Raises:
            RecipeError: for an empty text. UnsupportedMedia: for one that is too long.
            EmbedderError: when the service cannot answer.
        """
        words = text.strip()
        if not words:
            raise RecipeError("There is nothing to search for yet.", "Type a few words.")
        try:
            return self._query(Kind.QUERIES, self._shape.text(words))
        except Gone:
            raise
        except UnsupportedMedia as error:
            raise UnsupportedMedia(error.message, self._shorten()) from error

    def embed_image(self, source: Media, text: str = "") -> Vector:
        """The unit vector of a picture, read together with `text` when there is one.

        Raises:
            MediaError: when it is no picture, or a forbidden address.
            UnsupportedMedia: when it is too small. EmbedderError: as for embed_text.
        """
        request = self._shape.image(self._image_source(source), text.strip())
        return self._query(Kind.QUERIES, request)

    def embed_clip(
        self, source: Media, start: float | None = None, end: float | None = None
    ) -> Vector:
        """The unit vector of a short clip, or of the stretch from `start` to `end` seconds.

        Raises:
            RecipeError: for a stretch that is empty. MediaError: when it cannot be read.
            UnsupportedMedia: when it is too long or too large. EmbedderError: as for embed_text.
        """
        check_span(start, end)
        return self._query(Kind.VIDEOS, self._clip_request(source, start, end))

    def embed_video(
        self,
        source: str | Path,
        *,
        info: MediaInfo | None,
        resume: Mapping[str, str],
        on_progress: OnProgress,
    ) -> list[EmbeddedSegment]:
        """Every segment of a video at a URL or in a file; see `Embedder.embed_video`.

        Checkpoint keys: those of an upload (see `Assets`), options and has_audio of the request,
        asked_at (when its POST was about to leave) and charge_id, task_id. An empty value means not
        yet. A charge is reported before each task is asked for, with its task once it is there, and
        as void when the service said no and is not asked again.

        Raises:
            MediaError: for a file or address that cannot be used.
            UnsupportedMedia: when the service refuses it.
            ResultExpired: when its result is gone, or under another account.
            EmbedderError: when the service cannot answer; what was begun goes on with `resume`.
        """
        run = Run(resume, on_progress, self._sleep, self._clock)
        minutes = info.duration / 60 if info is not None else None
        with self._service.limiter.place() as place:
            if run.saved("task_id"):
                place.adopt()
                task = self._finished_task(run, minutes, run.age())
            else:
                self._start_task(source, info, run, place)
                task = self._finished_task(run, minutes)
        return self._segments(task, run, info)

    def tidy(self, resume: Mapping[str, str]) -> None:
        """Deletes the uploaded file at the service; what keeps it from that is only logged."""
        asset_id = resume.get("asset_id", "")
        if asset_id and not self._settings.keep_assets:
            self._assets.delete(asset_id)

    def share_limits(self, servers: int) -> None:
        """See `Embedder.share_limits`."""
        self._service.limiter.share(servers)

    def explain(self, query: Vector, segment: Vector) -> str:  # noqa: ARG002
        """Nothing: the service gives no reasons."""
        return ""

    def check(self) -> None:
        """Lists one task, which costs nothing and needs a key that is accepted."""
        self._service.call(
            Kind.READS,
            lambda: self._service.client.embed.v_2.tasks.list(page_limit=1),
            patience=AT_ONCE,
        )

    # Queries

    def _query(self, kind: Kind, request: Request) -> Vector:
        client = self._service.client
        return self._service.call(
            kind,
            lambda: self._one_vector(client.embed.v_2.create(**request).data),
            patience=QUERY,
        )

    def _one_vector(self, rows: Sequence[EmbeddingData]) -> Vector:
        """One direction for the answer; a clip that came back in pieces is their mean, which is
        the direction nearest to all of them."""
        if not rows:
            raise nonsense("no vector")
        vectors = [unit_vector(row.embedding, self.dimension) for row in rows]
        return vectors[0] if len(vectors) == 1 else unit_vector(sum(vectors), self.dimension)

    def _shorten(self) -> str:
        return (
            f"Shorten the text: {self.model} reads up to {self.limits.text_tokens:,} tokens, "
            "which is about three words for every four tokens."
        )

    def _image_source(self, source: Media) -> MediaSource:
        if isinstance(source, str):
            return {"url": self._checked(source)}
        return {"base64_string": _base64(_image_bytes(source, self.limits))}

    def _clip_request(self, source: Media, start: float | None, end: float | None) -> Request:
        if isinstance(source, str) and (_is_whole(start, end) or self._shape.cuts_clips):
            return self._shape.clip({"url": self._checked(source)}, start, end)
        with _temporary_folder() as folder, self._readable(source, folder) as file:
            content = self._clip_bytes(file, start, end, folder / "clip.mp4")
        return self._shape.clip({"base64_string": _base64(content)}, None, None)

    def _clip_bytes(
        self, file: Path | BinaryIO, start: float | None, end: float | None, dest: Path
    ) -> bytes:
        info = media.probe(file)
        begin, finish = start or 0.0, min(end or info.duration, info.duration)
        if begin >= finish:
            raise RecipeError(
                f"The clip lasts {info.duration:.1f} s; the chosen stretch begins after its end.",
                "Choose an earlier start.",
            )
        longest, largest = self.limits.clip_sec or math.inf, self.limits.clip_bytes or math.inf
        if finish - begin > longest:
            raise UnsupportedMedia(
                f"This clip lasts {finish - begin:.0f} s; {self.model} takes {longest:.0f} s.",
                "Give the start and the end of the stretch to look for.",
            )
        if _is_whole(start, end) and (info.size or 0) <= largest:
            content = _content(file)
        else:
            media.cut(file, begin, finish, dest)
            content = dest.read_bytes()
        if len(content) > largest:
            raise UnsupportedMedia(
                f"This clip has {len(content) / MB:.0f} MB; {self.model} takes {largest / MB:.0f}.",
                "Choose a shorter stretch.",
            )
        return content

    @contextmanager
    def _readable(self, source: Media, folder: Path) -> Iterator[Path | BinaryIO]:
        """A clip as something that can be probed and cut."""
        allow_private = self._settings.allow_private_urls
        if isinstance(source, bytes):
            yield io.BytesIO(source)
        elif isinstance(source, Path):
            yield source
        else:
            try:
                file = fetch.RemoteFile(source, allow_private=allow_private)
            except fetch.NoRangeSupport:
                copy = folder / "source"
                fetch.download(source, copy, allow_private=allow_private, max_bytes=_DOWNLOAD_BYTES)
                yield copy
                return
            with file:
                yield file

    def _checked(self, url: str) -> str:
        return fetch.check_url(url, allow_private=self._settings.allow_private_urls)

    # Videos

    def _start_task(
        self, source: str | Path, info: MediaInfo | None, run: Run, place: Place
    ) -> None:
        has_audio = info.has_audio if info is not None else None
        if isinstance(source, Path):
            asset = self._assets.ready(source, run)
            remote = {"asset_id": run.saved("asset_id")}
            if has_audio is None and asset.technical_metadata is not None:
                has_audio = asset.technical_metadata.has_audio
        else:
            remote = {"url": self._checked(source)}
        options = self.options if has_audio is not False else ("visual",)
        run.save(options=",".join(options), has_audio=str(has_audio))
        request = self._shape.video(remote, options, self._settings.segment_sec)
        # An unknown length counts for nothing: should it be too much, the service says so.
        minutes = info.duration / 60 if info is not None else 0.0
        self._create_task(request, minutes, run, place)

    def _create_task(self, request: Request, minutes: float, run: Run, place: Place) -> None:
        """Creates the task, unless an earlier, unclear attempt already did."""
        unclear = bool(run.saved("asked_at"))

        def create() -> str:
            nonlocal unclear
            if unclear and (found := self._task_asked_for(request, run)):
                place.adopt()
                return found
            place.take(run.wait_for_turn)
            with self._service.turn(Kind.VIDEOS, run, minutes=minutes):
                self._begin_charge(run)
                unclear = True
                try:
                    with self._service.translated():
                        return self._service.client.embed.v_2.tasks.create(**request).id
                except EmbedderUnavailable:
                    raise
                except EmbedderError:
                    unclear = False  # refused: there is no task
                    raise

        try:
            task_id = self._service.keep_trying(create, run)
        except EmbedderError:
            if not unclear and run.saved("charge_id"):
                run.void_charge()
            raise
        run.settle_charge(task_id)

    @staticmethod
    def _begin_charge(run: Run) -> None:
        try:
            run.begin_charge()
        except BudgetExceeded:
            raise  # not even recorded
        except Exception:
            run.void_charge()  # ended by somebody before anything left
            raise

    def _task_asked_for(self, request: Request, run: Run) -> str:
        """The task of an earlier POST that arrived while its answer did not; empty without one."""
        input_name = request["video"]["media_source"].get("url") or run.saved("filename")
        earliest = datetime.fromisoformat(run.saved("asked_at")) - _CLOCK_SKEW
        for page in range(1, _LISTED_PAGES + 1):
            listed = self._listed_tasks(earliest, page, run)
            for task in listed:
                described = task.video_embedding.metadata if task.video_embedding else None
                if (
                    described is not None
                    and input_name in {described.input_url, described.input_filename}
                    and task.model_name == self.model
                    and task.status != "failed"
                ):
                    logger.info("found the task of an unanswered request: %s", task.id)
                    return task.id or ""
            # The SDK's own pager would ask for one page too many.
            if len(listed) < _LISTED_PER_PAGE:
                break
        return ""

    def _listed_tasks(
        self, earliest: datetime, page: int, run: Run
    ) -> Sequence[MediaEmbeddingTask]:
        pager = self._service.call(
            Kind.READS,
            lambda: self._service.client.embed.v_2.tasks.list(
                started_at=earliest.strftime("%Y-%m-%dT%H:%M:%SZ"),
                page=page,
                page_limit=_LISTED_PER_PAGE,
            ),
            run,
        )
        return pager.items or []

    def _finished_task(
        self, run: Run, minutes: float | None, age: float | None = None
    ) -> EmbeddingTaskResponse:
        """The task once it is ready. `age` is that of an adopted one, in seconds."""
        began = self._clock() - (age or 0.0)
        working = 0.0

        def elapsed() -> float:
            return self._clock() - began

        def finished() -> EmbeddingTaskResponse | None:
            nonlocal working
            task = self._retrieved_task(run)
            if task.status == "failed":
                raise self._task_failure(task.error.message if task.error else "", run)
            if task.status == "ready":
                return task
            working = elapsed()
            return None

        run.enter(Stage.EMBEDDING, lambda: self._pace.fraction(minutes, elapsed()))
        if age is None:
            run.wait(self._pace.until_due(minutes))
        task = run.until(
            finished,
            lambda _: self._pace.until_poll(minutes, elapsed()),
            _TASK_DEADLINE_SEC,
            "this video",
        )
        if age is None:
            self._pace.learn(minutes, working, elapsed())
        return task

    def _retrieved_task(self, run: Run) -> EmbeddingTaskResponse:
        client, task_id = self._service.client, run.saved("task_id")
        try:
            return self._service.call(
                Kind.READS, lambda: client.embed.v_2.tasks.retrieve(task_id), run
            )
        except Gone as error:
            raise expired() from error

    @staticmethod
    def _task_failure(said: str, run: Run) -> EmbedderError:
        if "no longer available" in said:
            return expired()
        if "try again later" in said or "temporarily" in said:
            run.forget_task()
            return EmbedderUnavailable(f"Twelve Labs says: {said}", "Try again later.")
        return refused(said)

    def _segments(
        self, task: EmbeddingTaskResponse, run: Run, info: MediaInfo | None
    ) -> list[EmbeddedSegment]:
        """The rows of a finished task, all of them or none."""
        asked = tuple(filter(None, run.saved("options").split(","))) or self.options
        # Two measurements of one video differ a little; neither may cost a paid result.
        said = getattr(task.metadata, "duration", None) or 0.0
        duration = max(said, info.duration if info is not None else 0.0) or math.inf
        segments = [
            segment
            for row in task.data or []
            if row.embedding_scope == "clip"
            and (segment := _segment(row, asked, duration, self.dimension)) is not None
        ]
        segments.sort(key=lambda s: (s.start_offset_sec, s.embedding_option))
        _check_complete(segments, _required(asked, run.saved("has_audio")))
        return segments


# Results


def _segment(
    row: EmbeddingData, asked: Sequence[str], duration: float, dimension: int
) -> EmbeddedSegment | None:
    """A row as a segment; None for a sliver that lies behind the end of the video."""
    option = str(row.embedding_option)
    if option not in asked:
        raise nonsense(f"a vector of {option}, which was not asked for")
    start, end = row.start_sec, row.end_sec
    if start is None or end is None or not (0 <= start < end < math.inf):
        raise nonsense(f"a segment from {start} to {end} s")
    if end > duration + _END_TOLERANCE_SEC:
        raise nonsense(f"a segment up to {end:.1f} s in a video of {duration:.1f} s")
    vector = unit_vector(row.embedding, dimension)
    end = min(end, duration)
    return EmbeddedSegment(start, end, option, vector) if start < end else None


def _required(asked: Sequence[str], has_audio: str) -> set[str]:
    """The options that must have come back.

    A video that cannot be probed from here may turn out to be silent, and one with sound may have
    no speech to transcribe, so neither can be missed for certain.
    """
    return {"visual", "audio"} & set(asked) if has_audio == str(True) else {"visual"}


def _check_complete(segments: Sequence[EmbeddedSegment], required: set[str]) -> None:
    missing = required - {segment.embedding_option for segment in segments}
    if missing:
        raise nonsense(f"no {' and no '.join(sorted(missing))} vectors")
    places = {(segment.start_offset_sec, segment.embedding_option) for segment in segments}
    if len(places) != len(segments):
        raise nonsense("the same segment twice")


# Images and clips


def _image_bytes(source: Path | bytes, limits: Limits) -> bytes:
    """A picture as the service takes it: JPEG or PNG, as it came where possible."""
    picture = media.open_image(source)
    least = limits.image_min_side or 0
    if min(picture.size) < least:
        raise UnsupportedMedia(
            f"This picture has {picture.width} x {picture.height} pixels; at least {least} on "
            "each side are needed.",
            "Choose a larger picture.",
        )
    content = source if isinstance(source, bytes) else source.read_bytes()
    accepted = content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
    if accepted and len(content) <= (limits.image_bytes or math.inf):
        return content
    picture.thumbnail(_SHRUNK_IMAGE)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards; a disk that is full is said so."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except OSError as error:
        raise MediaError(
            "The clip could not be written into the folder for temporary files.",
            "Make room there, or set TMPDIR to another folder.",
        ) from error


def _is_whole(start: float | None, end: float | None) -> bool:
    return start is None and end is None


def _content(file: Path | BinaryIO) -> bytes:
    if isinstance(file, Path):
        return file.read_bytes()
    file.seek(0)
    return file.read()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


# Settings


def _check_settings(settings: Settings) -> None:
    dimensions = DIMENSIONS.get(settings.twelvelabs_model)
    if dimensions is None:
        raise ConfigurationError(
            f"TWELVELABS_MODEL is {settings.twelvelabs_model!r}.",
            f"Legal values: {', '.join(DIMENSIONS)}.",
        )
    if settings.twelvelabs_dimension not in dimensions:
        raise ConfigurationError(
            f"TWELVELABS_DIMENSION is {settings.twelvelabs_dimension}.",
            f"Legal values: {', '.join(map(str, dimensions))}.",
        )
    least, most = SEGMENT_SEC
    if not least <= settings.segment_sec <= most:
        raise ConfigurationError(
            f"SEEKPOINT_SEGMENT_SEC is {settings.segment_sec}.",
            f"Legal values: whole numbers from {least} to {most}.",
        )
