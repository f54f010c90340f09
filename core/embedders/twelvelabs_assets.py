"""Files at Twelve Labs: sent whole or in chunks, waited for, deleted when they are of no more use."""

from __future__ import annotations

import io
import json
import logging
import mimetypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from core.embedders.marengo import MB
from core.embedders.twelvelabs_errors import Gone, nonsense, refused
from core.embedders.twelvelabs_run import Run, growing_wait
from core.embedders.twelvelabs_service import TIDYING, TIMEOUT, Kind, Service
from core.errors import EmbedderError, EmbedderUnavailable, MediaError, UnsupportedMedia
from core.models import Stage

if TYPE_CHECKING:
    from twelvelabs.types import AssetDetail, CompletedChunk, PresignedUrlChunk

logger = logging.getLogger(__name__)

# What the service takes in one request, and in chunks.
DIRECT_BYTES = 200 * MB
LARGEST_BYTES = 10_000 * MB
_BLOCK_BYTES = 1 << 20
_DIRECT_TIMEOUT_SEC = 600
# Chunks are reported together; those not reported yet are sent again after a crash.
_REPORTED_TOGETHER = 5
_URLS_PER_CALL = 50
_PAGE = 50
_PROCESSED_DEADLINE_SEC = 3600.0


class Assets:
    """The files of one account at the service.

    Checkpoint keys: `filename` before a file is sent whole, `upload` while chunks are on their way,
    `asset_id` and `filename` after that.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def ready(self, path: Path, run: Run) -> AssetDetail:
        """The file at the service, uploaded unless an earlier run did, and ready for use.

        Raises:
            MediaError: when the file cannot be read. UnsupportedMedia: when it is not accepted.
            EmbedderError: when the service cannot answer.
        """
        if run.saved("asset_id"):
            try:
                return self._processed(run)
            except Gone:
                logger.info("the uploaded copy of %s is gone; uploading it again", path.name)
        run.enter(Stage.UPLOADING)
        size = _size_to_upload(path)
        if size > DIRECT_BYTES:
            self._send_in_chunks(path, size, run)
        else:
            self._send_whole(path, size, run)
        return self._processed(run)

    def delete(self, asset_id: str) -> None:
        """Deletes a file at the service; what keeps it from that is only logged."""
        try:
            self._service.call(
                Kind.READS,
                lambda: self._service.client.assets.delete(asset_id, force=True),
                patience=TIDYING,
            )
        except Gone:
            pass
        except EmbedderError as error:
            logger.warning("the uploaded file %s could not be deleted: %s", asset_id, error)

    def _processed(self, run: Run) -> AssetDetail:
        run.enter(Stage.WAITING)

        def processed() -> AssetDetail | None:
            asset = self._service.call(
                Kind.READS,
                lambda: self._service.client.assets.retrieve(run.saved("asset_id")),
                run,
            )
            if asset.status == "failed":
                raise refused(asset.error.message if asset.error else "")
            return asset if asset.status == "ready" else None

        return run.until(processed, growing_wait, _PROCESSED_DEADLINE_SEC, "the uploaded file")

    # In one request

    def _send_whole(self, path: Path, size: int, run: Run) -> None:
        # Its name is on disk before the file leaves: by that it is found if the answer is lost.
        tried = bool(run.saved("filename"))
        name = run.saved("filename") or _name_at_service(path)
        run.save(filename=name)

        def upload() -> str:
            nonlocal tried
            found = self._called(name) if tried else ""
            tried = True
            return found or self._create(path, name, size, run)

        run.save(asset_id=self._service.call(Kind.UPLOADS, upload, run))

    def _create(self, path: Path, name: str, size: int, run: Run) -> str:
        with _open_upload(path, size, run.report) as file:
            asset = self._service.client.assets.create(
                method="direct",
                file=(name, file, mimetypes.guess_type(path.name)[0] or "video/mp4"),
                filename=name,
                enable_hls=False,
                enable_thumbnail=False,
                request_options={"timeout_in_seconds": _DIRECT_TIMEOUT_SEC},
            )
        if not asset.id:
            raise nonsense("an upload without an id")
        return asset.id

    def _called(self, name: str) -> str:
        found = self._service.client.assets.list(filename=name, page_limit=10).items or []
        return next((asset.id for asset in found if asset.id and asset.filename == name), "")

    # In chunks

    def _send_in_chunks(self, path: Path, size: int, run: Run) -> None:
        """Sends what the service does not have yet, a few chunks at a time."""
        from twelvelabs.types import CompletedChunk

        upload, urls, missing = self._begun_upload(path, size, run)
        with httpx.Client(timeout=TIMEOUT) as storage:
            for first in range(0, len(missing), _REPORTED_TOGETHER):
                together = missing[first : first + _REPORTED_TOGETHER]
                sent = [
                    CompletedChunk(
                        chunk_index=index,
                        proof=self._send_chunk(storage, path, upload, index, urls, run),
                        proof_type="etag",
                        chunk_size=upload.bytes_of(index),
                    )
                    for index in together
                ]
                self._report(upload, sent, run)
        run.save(asset_id=upload.asset_id, filename=upload.filename, upload="")

    def _begun_upload(
        self, path: Path, size: int, run: Run
    ) -> tuple[_Upload, dict[int, str], list[int]]:
        """An upload, the addresses that are known for its chunks, and which of them are missing."""
        if saved := run.saved("upload"):
            upload = _Upload(**json.loads(saved))
            try:
                return upload, {}, self._missing(upload, run)
            except Gone:
                logger.info("the begun upload of %s is gone; beginning again", path.name)
        upload, urls = self._begin(path, size, run)
        return upload, urls, list(range(1, upload.chunks + 1))

    def _begin(self, path: Path, size: int, run: Run) -> tuple[_Upload, dict[int, str]]:
        name = _name_at_service(path)
        answer = self._service.call(
            Kind.UPLOADS,
            lambda: self._service.client.multipart_upload.create(
                filename=name,
                type="video",
                total_size=size,
                enable_hls=False,
                enable_thumbnail=False,
            ),
            run,
        )
        if not (answer.upload_id and answer.asset_id and answer.chunk_size):
            raise nonsense("an upload without an id or the size of its chunks")
        upload = _Upload(
            answer.upload_id,
            answer.asset_id,
            name,
            size,
            answer.chunk_size,
            answer.upload_headers or {},
        )
        run.save(upload=json.dumps(asdict(upload)))
        return upload, _by_chunk(answer.upload_urls)

    def _missing(self, upload: _Upload, run: Run) -> list[int]:
        """The chunks that the service does not have, by its own account."""
        known: set[int] = set()
        for page in range(1, upload.chunks // _PAGE + 2):
            found = self._service.call(
                Kind.READS,
                lambda page=page: self._service.client.multipart_upload.get_status(  # type: ignore[misc]
                    upload.id, page=page, page_limit=_PAGE
                ),
                run,
            )
            known |= {c.index for c in found.items or [] if c.index and c.status == "completed"}
        return [index for index in range(1, upload.chunks + 1) if index not in known]

    def _send_chunk(
        self,
        storage: httpx.Client,
        path: Path,
        upload: _Upload,
        index: int,
        urls: dict[int, str],
        run: Run,
    ) -> str:
        """The ETag of a chunk that has arrived.

        An address is good for one request and for an hour, so every attempt takes a new one.
        """

        def attempt() -> str:
            if index not in urls:
                urls.update(self._more_urls(upload, index, run))
            with self._service.translated():
                answer = storage.put(
                    urls.pop(index),
                    content=_blocks(path, upload, index, run.report),
                    headers={
                        "Content-Type": "application/octet-stream",
                        "Content-Length": str(upload.bytes_of(index)),
                        **upload.headers,
                    },
                )
            etag = answer.headers.get("ETag", "").strip('"')
            if not answer.is_success or not etag:
                raise EmbedderUnavailable(
                    f"A part of the file was not taken (status {answer.status_code}).",
                    "Try again: the upload goes on where it stopped.",
                )
            return str(etag)

        return self._service.keep_trying(attempt, run)

    def _more_urls(self, upload: _Upload, start: int, run: Run) -> dict[int, str]:
        count = min(_URLS_PER_CALL, upload.chunks - start + 1)
        answer = self._service.call(
            Kind.UPLOADS,
            lambda: self._service.client.multipart_upload.get_additional_presigned_urls(
                upload.id, start=start, count=count
            ),
            run,
        )
        urls = _by_chunk(answer.upload_urls)
        if start not in urls:
            raise nonsense("no address for a part of the file")
        return urls

    def _report(self, upload: _Upload, sent: Sequence[CompletedChunk], run: Run) -> None:
        self._service.call(
            Kind.UPLOADS,
            lambda: self._service.client.multipart_upload.report_chunk_batch(
                upload.id, completed_chunks=sent
            ),
            run,
        )


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file that is sent in chunks. They are numbered from 1; all but the last have one size."""

    id: str
    asset_id: str
    filename: str
    size: int
    chunk_size: int
    headers: dict[str, str]

    @property
    def chunks(self) -> int:
        return -(-self.size // self.chunk_size)

    def start_of(self, index: int) -> int:
        return (index - 1) * self.chunk_size

    def bytes_of(self, index: int) -> int:
        return min(self.chunk_size, self.size - self.start_of(index))


def _blocks(
    path: Path, upload: _Upload, index: int, report: Callable[[float], None]
) -> Iterator[bytes]:
    """A chunk, a little at a time; what `report` raises ends the upload."""
    at, end = upload.start_of(index), upload.start_of(index) + upload.bytes_of(index)
    try:
        with path.open("rb") as file:
            file.seek(at)
            while at < end:
                report(at / upload.size)
                block = file.read(min(_BLOCK_BYTES, end - at))
                if not block:
                    raise MediaError(f"{path.name} became shorter.", "Add the file again.")
                yield block
                at += len(block)
    except OSError as error:
        raise _unreadable(path) from error


def _by_chunk(urls: Sequence[PresignedUrlChunk] | None) -> dict[int, str]:
    return {url.chunk_index: url.url for url in urls or [] if url.chunk_index and url.url}


def _name_at_service(path: Path) -> str:
    """A name that is ours alone, so that an upload whose answer was lost can be found again."""
    stem = path.stem[:60].encode("utf-8", "replace").decode()
    return f"{stem}-{uuid4().hex[:8]}{path.suffix}"


class _Reader(io.BufferedReader):
    """A file that tells how much of it was sent; what `report` raises ends the upload."""

    def __init__(self, path: Path, size: int, report: Callable[[float], None]) -> None:
        super().__init__(io.FileIO(path))
        self._total = size
        self._report = report

    def read(self, size: int | None = -1, /) -> bytes:
        self._report(min(self.tell() / self._total, 1.0))
        return super().read(size)


def _open_upload(path: Path, size: int, report: Callable[[float], None]) -> _Reader:
    try:
        return _Reader(path, size, report)
    except OSError as error:
        raise _unreadable(path) from error


def _size_to_upload(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path) from error
    if size == 0:
        raise MediaError(f"{path.name} is empty.", "Choose another file.")
    if size > LARGEST_BYTES:
        raise UnsupportedMedia(
            f"{path.name} has {size / MB / 1000:.1f} GB; Twelve Labs takes "
            f"{LARGEST_BYTES // MB // 1000} GB from a file.",
            "Make a smaller version, or split it and add the parts.",
        )
    return size


def _unreadable(path: Path) -> MediaError:
    return MediaError(
        f"{path.name} cannot be read.", "Check that the file exists and may be opened."
    )
