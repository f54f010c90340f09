"""Twelve Labs (Marengo) as an embedder: embed v2 of its SDK, and the only file that knows the SDK.

Nothing that costs money is asked for twice: before a task is created its time is in the
checkpoint, after that its id, and a run that starts with either goes on from there.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import math
import mimetypes
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from uuid import uuid4

import httpx

from core import fetch, media
from core.embedders.base import Limits, OnProgress, Prices, Progress, check_span, unit_vector
from core.embedders.marengo import MB, MediaSource, Request, marengo
from core.embedders.twelvelabs_errors import Gone, expired, nonsense, of_answer, refused
from core.errors import (
    ConfigurationError,
    EmbedderError,
    EmbedderUnavailable,
    MediaError,
    RecipeError,
    UnsupportedMedia,
)
from core.models import EmbeddedSegment, MediaInfo, Stage, Vector
from core.recipe import Media
from core.retry import call_with_retry
from core.settings import DIMENSIONS, SEGMENT_SEC, Settings

if TYPE_CHECKING:
    from twelvelabs import TwelveLabs
    from twelvelabs.types import AssetDetail, EmbeddingData, EmbeddingTaskResponse

logger = logging.getLogger(__name__)

UPLOAD_BYTES = 200 * MB
_DOWNLOAD_BYTES = 2_000 * MB

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_UPLOAD_TIMEOUT_SEC = 600
_QUERY_ATTEMPTS = 4
# A task that is paid for is waited for through an outage of some ten minutes.
_POLL_ATTEMPTS = 30
_POLL_PATIENCE_SEC = 1800
_FIRST_POLL_SEC = 2.0
_LONGEST_POLL_SEC = 15.0
_POLL_GROWTH = 1.5
_ASSET_DEADLINE_SEC = 3600.0
_TASK_DEADLINE_SEC = 6 * 3600.0
# While waiting, progress is reported (and a cancelled job noticed) this often.
_REPORT_SEC = 1.0
# Segments may end a little after the probed duration.
_END_TOLERANCE_SEC = 0.5
_CLOCK_SKEW = timedelta(minutes=5)
_SHRUNK_IMAGE = (2048, 2048)

T = TypeVar("T")


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
        self.model = settings.twelvelabs_model
        self.dimension = settings.twelvelabs_dimension
        self._shape = marengo(self.model, self.dimension)
        self.options = self._shape.options
        self.limits = self._shape.limits
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
            return self._query(self._shape.text(words))
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
        return self._query(self._shape.image(self._image_source(source), text.strip()))

    def embed_clip(
        self, source: Media, start: float | None = None, end: float | None = None
    ) -> Vector:
        """The unit vector of a short clip, or of the stretch from `start` to `end` seconds.

        Raises:
            RecipeError: for a stretch that is empty. MediaError: when it cannot be read.
            UnsupportedMedia: when it is too long or too large. EmbedderError: as for embed_text.
        """
        check_span(start, end)
        return self._query(self._clip_request(source, start, end))

    def embed_video(
        self,
        source: str | Path,
        *,
        info: MediaInfo | None,
        resume: Mapping[str, str],
        on_progress: OnProgress,
    ) -> list[EmbeddedSegment]:
        """Every segment of a video at a URL or in a file; see `Embedder.embed_video`.

        Checkpoint keys: asset_id and filename of an upload, options and has_audio of the request,
        asked_at (when its POST was about to leave), task_id. An empty value means not yet.

        Raises:
            MediaError: for a file or address that cannot be used.
            UnsupportedMedia: when the service refuses it, or its result has expired.
            EmbedderError: when the service cannot answer; what was begun goes on with `resume`.
        """
        run = _Run(resume, on_progress, self._sleep, self._clock)
        if not run.saved("task_id"):
            self._start_task(source, info, run)
        task = self._finished_task(run)
        return self._segments(task, run, info)

    def tidy(self, resume: Mapping[str, str]) -> None:
        """Deletes the uploaded file at the service; what keeps it from that is only logged."""

    def explain(self, query: Vector, segment: Vector) -> str:  # noqa: ARG002
        """Nothing: the service gives no reasons."""
        return ""

    # The connection

    @cached_property
    def _client(self) -> TwelveLabs:
        # Imported here: the SDK takes more than half a second.
        from twelvelabs import TwelveLabs

        base_url = self._settings.twelvelabs_base_url
        return TwelveLabs(
            api_key=_usable_key(self._settings),
            timeout=_TIMEOUT,
            # The key is a plain header: a redirect must not carry it to another host.
            follow_redirects=False,
            **({"base_url": base_url} if base_url else {}),
        )

    def _call(
        self,
        ask: Callable[[], T],
        sleep: Callable[[float], None] | None = None,
        **limits: int,
    ) -> T:
        """What `ask` answers, tried again while that may help, its failures in our words.

        `sleep` is how to wait; `limits` are those of call_with_retry.
        """

        def attempt() -> T:
            with _translated(self._settings.twelvelabs_api_key):
                return ask()

        return call_with_retry(attempt, sleep=sleep or self._sleep, clock=self._clock, **limits)

    # Queries

    def _query(self, request: Request) -> Vector:
        client = self._client
        return self._call(
            lambda: self._one_vector(client.embed.v_2.create(**request).data),
            attempts=_QUERY_ATTEMPTS,
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
        with (
            tempfile.TemporaryDirectory() as folder,
            self._readable(source, Path(folder)) as file,
        ):
            content = self._clip_bytes(file, start, end, Path(folder) / "clip.mp4")
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

    def _start_task(self, source: str | Path, info: MediaInfo | None, run: _Run) -> None:
        has_audio = info.has_audio if info is not None else None
        if isinstance(source, Path):
            asset = self._ready_asset(source, run)
            remote = {"asset_id": run.saved("asset_id")}
            if has_audio is None and asset.technical_metadata is not None:
                has_audio = asset.technical_metadata.has_audio
        else:
            remote = {"url": self._checked(source)}
        options = self.options if has_audio is not False else ("visual",)
        run.save(options=",".join(options), has_audio=str(has_audio))
        request = self._shape.video(remote, options, self._settings.segment_sec)
        run.save(task_id=self._create_task(request, remote.get("url", ""), run))

    def _create_task(self, request: Request, url: str, run: _Run) -> str:
        """The id of the task, which is created unless an earlier, unclear attempt already did."""

        def create() -> str:
            asked_at = run.saved("asked_at")
            found = self._task_since(asked_at, url or run.saved("filename")) if asked_at else ""
            if found:
                return found
            run.save(asked_at=asked_at or datetime.now(UTC).isoformat())
            return self._client.embed.v_2.tasks.create(**request).id

        return self._call(create, run.wait)

    def _task_since(self, asked_at: str, input_name: str) -> str:
        """The task made from this URL or file since then: its POST arrived, the answer did not."""
        earliest = datetime.fromisoformat(asked_at) - _CLOCK_SKEW
        recent = self._client.embed.v_2.tasks.list(
            started_at=earliest.strftime("%Y-%m-%dT%H:%M:%SZ"), page_limit=50
        )
        for task in recent.items or []:
            described = task.video_embedding.metadata if task.video_embedding else None
            if (
                described is not None
                and input_name in {described.input_url, described.input_filename}
                and task.model_name == self.model
                and task.status != "failed"
            ):
                logger.info("found the task of an unanswered request: %s", task.id)
                return task.id or ""
        return ""

    def _ready_asset(self, path: Path, run: _Run) -> AssetDetail:
        if run.saved("asset_id"):
            try:
                return self._processed_asset(run)
            except Gone:
                logger.info("the uploaded copy of %s is gone; uploading it again", path.name)
        self._upload(path, run)
        return self._processed_asset(run)

    def _upload(self, path: Path, run: _Run) -> None:
        size = _size_to_upload(path)
        # The name is ours alone, so that an upload whose answer was lost can be found again.
        stem = path.stem[:60].encode("utf-8", "replace").decode()
        name = f"{stem}-{uuid4().hex[:8]}{path.suffix}"
        tried = False

        def upload() -> str:
            nonlocal tried
            found = self._asset_called(name) if tried else ""
            tried = True
            return found or self._send(path, name, size, run)

        run.stage = Stage.UPLOADING
        run.save(asset_id=self._call(upload, run.wait), filename=name)

    def _send(self, path: Path, name: str, size: int, run: _Run) -> str:
        with _open_upload(path, size, run.report) as file:
            asset = self._client.assets.create(
                method="direct",
                file=(name, file, mimetypes.guess_type(path.name)[0] or "video/mp4"),
                filename=name,
                enable_hls=False,
                enable_thumbnail=False,
                request_options={"timeout_in_seconds": _UPLOAD_TIMEOUT_SEC},
            )
        if not asset.id:
            raise nonsense("an upload without an id")
        return asset.id

    def _asset_called(self, name: str) -> str:
        found = self._client.assets.list(filename=name, page_limit=10).items or []
        return next((asset.id for asset in found if asset.id and asset.filename == name), "")

    def _processed_asset(self, run: _Run) -> AssetDetail:
        run.stage = Stage.WAITING

        def processed() -> AssetDetail | None:
            asset = self._call(
                lambda: self._client.assets.retrieve(run.saved("asset_id")), run.wait
            )
            if asset.status == "failed":
                raise refused(asset.error.message if asset.error else "")
            return asset if asset.status == "ready" else None

        return run.until(processed, _ASSET_DEADLINE_SEC, "the uploaded file")

    def _finished_task(self, run: _Run) -> EmbeddingTaskResponse:
        run.stage = Stage.EMBEDDING

        def finished() -> EmbeddingTaskResponse | None:
            task = self._retrieved_task(run)
            if task.status == "failed":
                raise self._task_failure(task.error.message if task.error else "", run)
            return task if task.status == "ready" else None

        return run.until(finished, _TASK_DEADLINE_SEC, "this video")

    def _retrieved_task(self, run: _Run) -> EmbeddingTaskResponse:
        task_id = run.saved("task_id")
        try:
            return self._call(
                lambda: self._client.embed.v_2.tasks.retrieve(task_id),
                run.wait,
                attempts=_POLL_ATTEMPTS,
                total_sec=_POLL_PATIENCE_SEC,
            )
        except Gone as error:
            raise expired() from error

    @staticmethod
    def _task_failure(said: str, run: _Run) -> EmbedderError:
        if "no longer available" in said:
            return expired()
        if "try again later" in said or "temporarily" in said:
            # The next run has to make a new task; this one will never be ready.
            run.save(task_id="", asked_at="")
            return EmbedderUnavailable(f"Twelve Labs says: {said}", "Try again later.")
        return refused(said)

    def _segments(
        self, task: EmbeddingTaskResponse, run: _Run, info: MediaInfo | None
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


class _Run:
    """One video on its way: what was saved, how it is reported, how to wait."""

    def __init__(
        self,
        resume: Mapping[str, str],
        on_progress: OnProgress,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.stage = Stage.WAITING
        self._checkpoint = dict(resume)
        self._on_progress = on_progress
        self._sleep = sleep
        self._clock = clock

    def saved(self, key: str) -> str:
        return self._checkpoint.get(key, "")

    def save(self, **values: str) -> None:
        """Returns once the values are on disk."""
        self._checkpoint.update(values)
        self.report()

    def report(self, fraction: float | None = None) -> None:
        self._on_progress(Progress(self.stage, fraction, dict(self._checkpoint)))

    def wait(self, seconds: float) -> None:
        """Sleeps, but never for long without giving `on_progress` the chance to end the work."""
        until = self._clock() + seconds
        while (remaining := until - self._clock()) > 0:
            self._sleep(min(remaining, _REPORT_SEC))
            self.report()

    def until(self, ask: Callable[[], T | None], deadline_sec: float, what: str) -> T:
        """What `ask` gives in the end, asked again after growing waits while it gives None.

        Raises:
            EmbedderUnavailable: when `deadline_sec` have passed.
        """
        deadline = self._clock() + deadline_sec
        interval = _FIRST_POLL_SEC
        self.report()
        while (answer := ask()) is None:
            if self._clock() >= deadline:
                raise EmbedderUnavailable(
                    f"Twelve Labs has been working on {what} for {deadline_sec / 3600:.0f} h.",
                    "Try again: the wait goes on where it stopped, and nothing is paid twice.",
                )
            self.wait(interval)
            interval = min(interval * _POLL_GROWTH, _LONGEST_POLL_SEC)
        return answer


class _Upload(io.BufferedReader):
    """A file that tells how much of it was sent; what `report` raises ends the upload."""

    def __init__(self, path: Path, size: int, report: Callable[[float], None]) -> None:
        super().__init__(io.FileIO(path))
        self._total = size
        self._report = report

    def read(self, size: int | None = -1, /) -> bytes:
        self._report(min(self.tell() / self._total, 1.0))
        return super().read(size)


def _open_upload(path: Path, size: int, report: Callable[[float], None]) -> _Upload:
    try:
        return _Upload(path, size, report)
    except OSError as error:
        raise _unreadable(path) from error


def _size_to_upload(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path) from error
    if size == 0:
        raise MediaError(f"{path.name} is empty.", "Choose another file.")
    if size > UPLOAD_BYTES:
        raise UnsupportedMedia(
            f"{path.name} has {size / MB:,.0f} MB; Twelve Labs takes {UPLOAD_BYTES // MB} MB "
            "from a file.",
            "Put it on the web and add its address, or make a smaller version.",
        )
    return size


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


def _usable_key(settings: Settings) -> str:
    key = settings.twelvelabs_api_key
    if not key:
        raise ConfigurationError("There is no Twelve Labs key.", "Set TWELVELABS_API_KEY.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(
            "TWELVELABS_API_KEY contains characters that no key has.", "Copy the key again."
        )
    # The SDK would follow the environment and silently send the key somewhere else.
    environment = os.environ.get("TWELVELABS_BASE_URL", "").strip()
    if settings.twelvelabs_base_url and environment not in {"", settings.twelvelabs_base_url}:
        raise ConfigurationError(
            f"TWELVELABS_BASE_URL is {environment!r} in the environment, but the settings say "
            f"{settings.twelvelabs_base_url!r}.",
            "Make them agree.",
        )
    return key


# Failures


def translate(error: Exception, secret: str = "") -> EmbedderError:
    """Any failure of the SDK or its connection as one of ours, without headers and `secret`."""
    from pydantic import ValidationError
    from twelvelabs.core.api_error import ApiError

    if isinstance(error, ApiError):
        return of_answer(error.status_code or 0, error.body, error.headers or {}, secret)
    if isinstance(error, ValidationError) and error.title == "ErrorResponse":
        # The SDK fails to read a 413 in the other of the two documented shapes.
        return of_answer(httpx.codes.REQUEST_ENTITY_TOO_LARGE, _first_input(error), {}, secret)
    if isinstance(error, httpx.TimeoutException):
        return EmbedderUnavailable("Twelve Labs took too long to answer.", "Try again later.")
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return EmbedderUnavailable(
            "Twelve Labs could not be reached.",
            "Check the connection, and TWELVELABS_BASE_URL if it is set.",
        )
    return nonsense("something unreadable")


def _first_input(error: Any) -> object:
    return next((problem.get("input") for problem in error.errors()), None)


@contextmanager
def _translated(secret: str) -> Iterator[None]:
    from pydantic import ValidationError
    from twelvelabs.core.api_error import ApiError

    try:
        yield
    except (
        ApiError,
        ValidationError,
        json.JSONDecodeError,
        UnicodeDecodeError,
        httpx.HTTPError,
        httpx.InvalidURL,
    ) as error:
        raise translate(error, secret) from error


def _unreadable(path: Path) -> MediaError:
    return MediaError(
        f"{path.name} cannot be read.", "Check that the file exists and may be opened."
    )
