"""A strict local stand-in for the Twelve Labs Embed API v1.3.

It refuses what the real service is documented to refuse, answers in random order with vectors that
are not of unit length, and can be told to fail in every way a service can. Its vectors mean
something: each is a bag of words (of a text, a file name, or a content's hash), so a text is near
a video whose name has its words, and a clip is near the video with the same bytes.

It can keep the limits of a plan (tasks at once, requests per minute, minutes per hour) and answer 429
beyond them. GET /report, beside the service's own paths, tells programs what it was asked for.

As a program, for running the app without the service: python -m tests.contract.standin --port 8900
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import ipaddress
import itertools
import json
import math
import random
import re
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler
from typing import IO, Any, Literal, cast
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from tests.loopback import Loopback

ROOT = "/v1.3"
WIRE_LENGTH = 3.7
MB = 1_000_000
TEXT_WORDS = {"marengo3.5": 2000, "marengo3.0": 500}
OPTIONS = {"marengo3.5": ("visual", "audio"), "marengo3.0": ("visual", "audio", "transcription")}
HOSTING = ("youtube.com", "youtu.be", "vimeo.com", "dailymotion.com", "drive.google.com")

DIRECT_BYTES = 200 * MB
MULTIPART_BYTES = 10_000 * MB
# Presigned addresses the service gives along with a new upload, and at most per later request.
FIRST_URLS = 5
MOST_URLS = 50
BLOCK = 1 << 20
CHUNK = "PUT /uploads/{id}/{chunk}"

Json = dict[str, Any]


@dataclass(frozen=True)
class Medium:
    """What the service finds when it looks into a video: `words` all through it, `scenes` in its
    segments, in order."""

    words: tuple[str, ...]
    duration: float = 30.0
    has_audio: bool = True
    height: int = 720
    scenes: tuple[tuple[str, ...], ...] = ()


@dataclass
class Asset:
    id: str
    filename: str
    size: int
    medium: Medium | None
    created_at: str
    polls: int = 0


@dataclass
class Task:
    id: str
    body: Json
    medium: Medium
    filename: str
    created_at: str
    began: float
    polls: int = 0

    @property
    def input(self) -> str:
        """The address or the uploaded file's name it was made from."""
        return str(self.body["video"]["media_source"].get("url") or self.filename)


@dataclass
class Upload:
    """A multipart upload: its chunks lie in `file` as they came."""

    id: str
    asset_id: str
    filename: str
    size: int
    chunk_size: int
    file: io.BufferedRandom
    etags: dict[int, str] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)
    signatures: dict[str, int] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        return math.ceil(self.size / self.chunk_size)

    def bytes_of(self, index: int) -> int:
        return min(self.chunk_size, self.size - (index - 1) * self.chunk_size)


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived. `files` are the uploads of a form: name -> content."""

    endpoint: str
    path: str
    query: Mapping[str, str]
    key: str
    body: Json
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Fault:
    """How the next requests at one endpoint go wrong."""

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    connection: Literal["kept", "dropped before work", "dropped after work", "cut in half"] = "kept"


class Refusal(Exception):
    """The service says no; `nested` is the body shape of embed-v2, flat that of all else."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}

    def body(self, nested: bool) -> Json:
        values = {"code": self.code, "message": self.message}
        return {"error": values} if nested else values


def invalid(message: str, code: str = "parameter_invalid") -> Refusal:
    return Refusal(400, code, message)


Spoil = Callable[[list[Json]], list[Json]]


class StandIn(Loopback):
    """The service: its assets and tasks, its faults, and every request it got.

    `polls_needed` is how often an asset or a task answers `processing` before it is ready; a task
    takes `task_seconds` besides. The three limits are those of a plan, None for none.

    `spoil` changes result rows before they are sent, `task_failure` fails every task; `spoil_of` and
    `task_failure_of` do so for the inputs (address or file name) that contain their key.
    `hide_tasks` keeps tasks out of the list. `chunk_size` is that of multipart uploads, in bytes.
    """

    def __init__(
        self,
        *,
        key: str = "",
        polls_needed: int = 1,
        allow_private_media: bool = False,
        parallel_tasks: int | None = None,
        requests_per_minute: int | None = None,
        minutes_per_hour: float | None = None,
        task_seconds: float | None = None,
        port: int = 0,
    ) -> None:
        self.key = key
        self.polls_needed = polls_needed
        self.parallel_tasks = parallel_tasks
        self.requests_per_minute = requests_per_minute
        self.minutes_per_hour = minutes_per_hour
        self.task_seconds = task_seconds
        self.chunk_size = 16 * MB
        self.allow_private_media = allow_private_media
        self.requests: list[Recorded] = []
        self.assets: dict[str, Asset] = {}
        self.tasks: dict[str, Task] = {}
        self.media: dict[str, Medium] = {}
        self.too_many = 0
        self.task_failure = ""
        self.task_failure_of: dict[str, str] = {}
        self.task_status = ""
        self.hide_tasks = False
        self.spoil: Spoil = lambda rows: rows
        self.spoil_of: dict[str, Spoil] = {}
        self._uploads: dict[str, Upload] = {}
        self._numbers = itertools.count(1)
        self._task_requests: deque[float] = deque()
        self._task_minutes: deque[tuple[float, float]] = deque()
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.RLock()
        self._random = random.Random(7)
        super().__init__(_handler(self), port)

    @property
    def url(self) -> str:
        return f"{self.origin}{ROOT}"

    # Switches for tests

    def fail(
        self,
        endpoint: str,
        status: int,
        body: Json | None = None,
        *,
        times: int = 1,
        **headers: str,
    ) -> None:
        """The next `times` requests at `endpoint` get this status and JSON body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.misbehave(endpoint, Fault(status, json.dumps(body or {}).encode(), named), times)

    def misbehave(self, endpoint: str, fault: Fault, times: int = 1) -> None:
        self._faults.setdefault(endpoint, []).extend([fault] * times)

    def forgive(self) -> None:
        """No more faults."""
        self._faults.clear()

    def asked(self, endpoint: str) -> list[Recorded]:
        return [request for request in self.requests if request.endpoint == endpoint]

    def forget_results(self) -> None:
        """Seven days go by."""
        self.tasks.clear()

    def expire_chunk_urls(self) -> None:
        """An hour goes by: no presigned address that was given is any good."""
        with self._lock:
            for upload in self._uploads.values():
                upload.signatures.clear()

    def expire_uploads(self) -> None:
        """A day goes by: what was not uploaded completely is gone."""
        with self._lock:
            self._uploads.clear()

    def report(self) -> Json:
        """What was asked for, for programs: tasks and minutes by input, calls by endpoint."""
        with self._lock:
            return {
                "tasks": dict(Counter(task.input for task in self.tasks.values())),
                "minutes": sum(task.medium.duration for task in self.tasks.values()) / 60,
                "assets": len(self.assets),
                "too_many": self.too_many,
                "calls": dict(Counter(request.endpoint for request in self.requests)),
            }

    # The service

    def handle(self, request: Recorded) -> tuple[int, Json]:
        with self._lock:
            self._check_key(request)
            identifier = request.path.rsplit("/", 1)[-1]
            match request.endpoint:
                case "POST /embed-v2":
                    return 200, self._embed(request.body)
                case "POST /embed-v2/tasks":
                    self._keep_limits()
                    return 202, self._create_task(request.body)
                case "GET /embed-v2/tasks":
                    return 200, self._list_tasks(request.query)
                case "GET /embed-v2/tasks/{id}":
                    return 200, self._task(identifier)
                case "POST /assets":
                    return 201, self._create_asset(request)
                case "GET /assets":
                    return 200, self._list_assets(request.query)
                case "GET /assets/{id}":
                    return 200, self._asset(identifier)
                case "DELETE /assets/{id}":
                    self._delete_asset(identifier, request.query)
                    return 204, {}
                case "POST /assets/multipart-uploads":
                    return 201, self._begin_upload(request.body)
                case "GET /assets/multipart-uploads/{id}":
                    return 200, self._upload_status(identifier, request.query)
                case "POST /assets/multipart-uploads/{id}":
                    return 200, self._take_chunks(identifier, request.body)
                case "POST /assets/multipart-uploads/{id}/presigned-urls":
                    return 200, self._more_urls(request.path.split("/")[-2], request.body)
        raise Refusal(404, "resource_not_exist", "No such endpoint.")

    def next_fault(self, endpoint: str) -> Fault | None:
        with self._lock:
            waiting = self._faults.get(endpoint, [])
            return waiting.pop(0) if waiting else None

    def _check_key(self, request: Recorded) -> None:
        if not request.key or (self.key and request.key != self.key):
            raise Refusal(401, "api_key_invalid", "API Key is either invalid or expired.")

    def _embed(self, body: Json) -> Json:
        model = _model(body, ("text", "image", "text_image", "audio", "video", "multi_input"))
        kind = body["input_type"]
        if model == "marengo3.5" and kind != "multi_input":
            raise invalid(f"input_type {kind} is not supported by marengo3.5")
        part = body[kind]
        match kind:
            case "text":
                _only(part, {"input_text"})
                rows = [self._row(_text_words(part, model, truncate=False), model, body)]
            case "image" | "text_image":
                _only(part, {"media_source", "input_text"})
                if (kind == "text_image") != ("input_text" in part):
                    raise invalid("input_text belongs to text_image")
                words = _text_words(part, model, truncate=False) if kind == "text_image" else ()
                picture = self._source_words(part["media_source"], "image", model)
                rows = [self._row((*words, *picture), model, body)]
            case "video":
                rows = self._clip_rows(part, model, body)
            case "multi_input":
                rows = [self._multi_input(part, model, body)]
            case _:
                raise invalid(f"input_type {kind} is not part of this stand-in")
        answer: Json = {"data": self.spoil(rows), "metadata": {"input_type": kind}}
        if kind == "text":
            del answer["metadata"]
        if kind == "video":
            answer["metadata"] |= {
                "embedding_options": part["embedding_option"],
                "embedding_scopes": part["embedding_scope"],
                "duration": 30.0,
            }
        if model == "marengo3.5":
            answer["metadata"]["embedding_dimension"] = len(rows[0]["embedding"])
            answer["usage"] = {"input_tokens": {"text": 5}, "truncated": False}
        return answer

    def _multi_input(self, part: Json, model: str, body: Json) -> Json:
        _only(part, {"input_text", "media_sources"})
        sources = part.get("media_sources", [])
        if "input_text" not in part and not sources:
            raise invalid("multi_input is empty")
        if len(sources) > 10:
            raise invalid("at most 10 media sources")
        words: tuple[str, ...] = ()
        if "input_text" in part:
            words = _text_words(part, model, truncate=body.get("auto_truncate", False))
            names = {source.get("name") for source in sources}
            if any(name not in names for name in re.findall(r"<@(\w+)>", part["input_text"])):
                raise invalid("placeholder without a media source")
        for source in sources:
            if model == "marengo3.0" and source.get("media_type") != "image":
                raise invalid("marengo3.0 takes images only")
            words += self._source_words(source, str(source.get("media_type")), model)
        return self._row(words, model, body)

    def _clip_rows(self, part: Json, model: str, body: Json) -> list[Json]:
        _only(part, VIDEO_FIELDS)
        _check_video(part, model, self_segmented=False)
        words = self._source_words(part["media_source"], "video", model)
        return [
            self._row(words, model, body, option=option, scope="asset", start=0.0, end=30.0)
            for option in part["embedding_option"]
        ]

    def _keep_limits(self) -> None:
        """Refuses a task beyond what the plan allows; a refused request counts for nothing."""
        now = time.monotonic()
        while self._task_requests and self._task_requests[0] <= now - 60:
            self._task_requests.popleft()
        while self._task_minutes and self._task_minutes[0][0] <= now - 3600:
            self._task_minutes.popleft()
        working = [task for task in self.tasks.values() if self._is_working(task)]
        if self.parallel_tasks is not None and len(working) >= self.parallel_tasks:
            ends = min(task.began for task in working) + (self.task_seconds or 0.0)
            raise _too_many("Task", self.parallel_tasks, ends - now)
        requests = len(self._task_requests)
        if self.requests_per_minute is not None and requests >= self.requests_per_minute:
            raise _too_many("Request", self.requests_per_minute, self._task_requests[0] + 60 - now)
        minutes = sum(length for _, length in self._task_minutes)
        if self.minutes_per_hour is not None and minutes >= self.minutes_per_hour:
            # As seen at the service: what passes the limit succeeds, what follows does not.
            raise _too_many(
                "Duration", self.minutes_per_hour * 60, self._task_minutes[0][0] + 3600 - now
            )
        self._task_requests.append(now)

    def _is_working(self, task: Task) -> bool:
        if self._failure(task):
            return False
        if self.task_seconds is not None:
            return time.monotonic() < task.began + self.task_seconds
        return task.polls <= self.polls_needed

    def _failure(self, task: Task) -> str:
        of_input = (said for name, said in self.task_failure_of.items() if name in task.input)
        return next(of_input, self.task_failure)

    def _status(self, task: Task) -> str:
        if self._failure(task):
            return "failed"
        if task.polls <= self.polls_needed or self._is_working(task):
            return self.task_status or "processing"
        return "ready"

    def _create_task(self, body: Json) -> Json:
        model = _model(body, ("video", "audio", "image", "document"))
        if body["input_type"] != "video":
            raise invalid("only video is part of this stand-in")
        video = body["video"]
        _only(video, VIDEO_FIELDS)
        _check_video(video, model, self_segmented=True)
        source = video["media_source"]
        medium = self._medium(source)
        if model == "marengo3.0" and medium.height < 360:
            raise invalid("The resolution is too low.", "video_resolution_too_low")
        filename = self.assets[source["asset_id"]].filename if "asset_id" in source else ""
        began = time.monotonic()
        task = Task(self._new_id(), body, medium, filename, _now(), began)
        self.tasks[task.id] = task
        self._task_minutes.append((began, medium.duration / 60))
        return {"_id": task.id, "status": "processing", "data": None}

    def _task(self, identifier: str) -> Json:
        task = self.tasks.get(identifier)
        if task is None:
            raise Refusal(404, "resource_not_exist", "The task does not exist.")
        task.polls += 1
        status = self._status(task)
        answer: Json = {"_id": task.id, "created_at": task.created_at, "status": status}
        if status == "failed":
            return answer | {"data": None, "error": {"message": self._failure(task)}}
        if status != "ready":
            return answer | {"data": None}
        of_input = (spoil for name, spoil in self.spoil_of.items() if name in task.input)
        spoil = next(of_input, self.spoil)
        return answer | {"data": spoil(self._segments(task)), "metadata": self._described(task)}

    def _described(self, task: Task) -> Json:
        video = task.body["video"]
        return {
            "input_type": "video",
            "input_url": video["media_source"].get("url"),
            "input_filename": task.filename or None,
            "embedding_scopes": video["embedding_scope"],
            "embedding_options": video["embedding_option"],
            "duration": task.medium.duration,
        }

    def _segments(self, task: Task) -> list[Json]:
        video, model = task.body["video"], task.body["model_name"]
        segmentation = video["segmentation"].get("temporal", video["segmentation"])
        length = next(iter(segmentation[segmentation["strategy"]].values()))
        rows = []
        for option in video["embedding_option"]:
            if option != "visual" and not task.medium.has_audio:
                continue
            for index, start in enumerate(np.arange(0, task.medium.duration, length)):
                scene = next(iter(task.medium.scenes[index : index + 1]), ())
                words = (*task.medium.words, *scene, f"segment{index}", option)
                end = min(start + length, task.medium.duration)
                times = {"start": float(start), "end": float(end)}
                rows.append(
                    self._row(words, model, task.body, option=option, scope="clip", **times)
                )
        self._random.shuffle(rows)
        return rows

    def _list_tasks(self, query: Mapping[str, str]) -> Json:
        since, status = query.get("started_at", ""), query.get("status", "")
        items = [
            {
                "_id": task.id,
                "model_name": task.body["model_name"],
                "status": self._status(task),
                "created_at": task.created_at,
                "video_embedding": {
                    "metadata": {
                        "input_url": task.body["video"]["media_source"].get("url"),
                        "input_filename": task.filename or None,
                    }
                },
            }
            for task in reversed(self.tasks.values())
            if task.created_at >= since and status in {"", self._status(task)}
        ]
        return _paged([] if self.hide_tasks else items, query)

    def _create_asset(self, request: Recorded) -> Json:
        _only(
            request.body,
            {"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata"},
        )
        if request.body.get("method") != "direct" or "file" not in request.files:
            raise invalid("a direct upload needs method and file", "parameter_not_provided")
        content = request.files["file"]
        if len(content) > DIRECT_BYTES:
            raise Refusal(413, "video_filesize_too_large", "The file is larger than 200 MB.")
        name = request.body.get("filename", "upload")
        medium = _probed(io.BytesIO(content), (*_words(name), _content_word(content)))
        asset = Asset(self._new_id(), name, len(content), medium, _now())
        self.assets[asset.id] = asset
        return self._asset_body(asset, "processing")

    def _new_id(self) -> str:
        return f"64f8d2c7e4a1b37f{next(self._numbers):08x}"

    def _asset(self, identifier: str) -> Json:
        asset = self.assets.get(identifier)
        if asset is None:
            raise Refusal(404, "resource_not_exist", "The asset does not exist.")
        asset.polls += 1
        if asset.polls <= self.polls_needed:
            return self._asset_body(asset, "processing")
        if asset.medium is None:
            error = {"message": "The file is corrupt."}
            return self._asset_body(asset, "failed") | {"error": error}
        return self._asset_body(asset, "ready") | {
            "size": asset.size,
            "duration": asset.medium.duration,
            "technical_metadata": {"has_audio": asset.medium.has_audio},
        }

    @staticmethod
    def _asset_body(asset: Asset, status: str) -> Json:
        return {
            "_id": asset.id,
            "method": "direct",
            "status": status,
            "filename": asset.filename,
            "created_at": asset.created_at,
        }

    def _delete_asset(self, identifier: str, query: Mapping[str, str]) -> None:
        if query.get("force", "false") not in {"true", "false"}:
            raise invalid("force is true or false")
        if self.assets.pop(identifier, None) is None:
            raise Refusal(404, "resource_not_exist", "The asset does not exist.")

    def _list_assets(self, query: Mapping[str, str]) -> Json:
        wanted = query.get("filename", "").lower()
        items = [
            self._asset_body(asset, "processing")
            for asset in reversed(self.assets.values())
            if wanted in asset.filename.lower()
        ]
        return _paged(items, query)

    # Uploads in chunks

    def _begin_upload(self, body: Json) -> Json:
        _only(
            body,
            {"filename", "type", "total_size", "enable_hls", "enable_thumbnail", "user_metadata"},
        )
        size = body.get("total_size")
        if not body.get("filename") or body.get("type") != "video" or type(size) is not int:
            raise invalid("filename, type and total_size are needed", "parameter_not_provided")
        if not 0 < size <= MULTIPART_BYTES:
            raise invalid("The file is larger than 10 GB.", "video_filesize_too_large")
        upload = Upload(
            id=self._new_id(),
            asset_id=self._new_id(),
            filename=body["filename"],
            size=size,
            chunk_size=self.chunk_size,
            file=tempfile.TemporaryFile(),  # noqa: SIM115
        )
        self._uploads[upload.id] = upload
        return {
            "upload_id": upload.id,
            "asset_id": upload.asset_id,
            "upload_urls": self._signed(upload, 1, min(FIRST_URLS, upload.chunks)),
            "upload_headers": {},
            "chunk_size": upload.chunk_size,
            "total_chunks": upload.chunks,
            "expires_at": _later(24),
        }

    def _more_urls(self, identifier: str, body: Json) -> Json:
        _only(body, {"start", "count"})
        upload = self._upload(identifier)
        start, count = body.get("start", 0), body.get("count", 0)
        if not (start >= 1 and 1 <= count <= MOST_URLS and start + count - 1 <= upload.chunks):
            raise invalid(f"no addresses for {count} chunks from {start}")
        return {
            "upload_id": upload.id,
            "start_index": start,
            "count": count,
            "upload_urls": self._signed(upload, start, count),
            "expires_at": _later(1),
        }

    def _signed(self, upload: Upload, start: int, count: int) -> list[Json]:
        signed = {index: secrets.token_hex(8) for index in range(start, start + count)}
        upload.signatures.update({signature: index for index, signature in signed.items()})
        return [
            {
                "chunk_index": index,
                "url": f"{self.origin}/uploads/{upload.id}/{index}?signature={signature}",
                "expires_at": _later(1),
            }
            for index, signature in signed.items()
        ]

    def take_chunk(self, path: str, headers: Mapping[str, str], content: IO[bytes]) -> str:
        """Keeps one chunk as the storage behind the service does; gives its ETag."""
        if "x-api-key" in headers or "authorization" in headers:
            raise Refusal(400, "InvalidArgument", "Only one way of authorization is allowed.")
        if "content-length" not in headers:
            raise Refusal(411, "MissingContentLength", "The length is missing.")
        parts = urlsplit(path)
        _, _, identifier, index = parts.path.split("/")
        signature = parse_qs(parts.query).get("signature", [""])[0]
        with self._lock:
            upload = self._uploads.get(identifier)
            # Each address can be used once.
            if upload is None or upload.signatures.pop(signature, None) != int(index):
                raise Refusal(403, "AccessDenied", "Request has expired")
        expected = upload.bytes_of(int(index))
        if int(headers["content-length"]) != expected:
            raise Refusal(400, "EntityTooSmall", f"This chunk has {expected} bytes.")
        digest = hashlib.md5(usedforsecurity=False)
        offset = (int(index) - 1) * upload.chunk_size
        while expected and (block := content.read(min(BLOCK, expected))):
            digest.update(block)
            with self._lock:
                upload.file.seek(offset)
                upload.file.write(block)
            offset += len(block)
            expected -= len(block)
        if expected:
            raise ConnectionError("the client left in the middle of a chunk")
        with self._lock:
            upload.etags[int(index)] = digest.hexdigest()
        return digest.hexdigest()

    def _take_chunks(self, identifier: str, body: Json) -> Json:
        _only(body, {"completed_chunks"})
        upload = self._upload(identifier)
        new: set[int] = set()
        for chunk in body.get("completed_chunks", []):
            _only(chunk, {"chunk_index", "proof", "proof_type", "chunk_size"})
            index = chunk["chunk_index"]
            if chunk["proof_type"] != "etag" or chunk["proof"] != upload.etags.get(index):
                raise invalid(f"chunk {index} has another ETag")
            if chunk["chunk_size"] != upload.bytes_of(index):
                raise invalid(f"chunk {index} has another size")
            new.add(index)
        duplicates = len(new & upload.reported)
        upload.reported |= new
        answer: Json = {
            "processed_chunks": len(new) - duplicates,
            "duplicate_chunks": duplicates,
            "total_completed": len(upload.reported),
        }
        if len(upload.reported) == upload.chunks:
            self._finish_upload(upload)
            answer |= {"asset_id": upload.asset_id, "url": f"{self.origin}/a/{upload.asset_id}"}
        return answer

    def _finish_upload(self, upload: Upload) -> None:
        if upload.asset_id in self.assets:
            return
        upload.file.seek(0)
        word = hashlib.file_digest(upload.file, "sha256").hexdigest()
        upload.file.seek(0)
        medium = _probed(upload.file, (*_words(upload.filename), word))
        self.assets[upload.asset_id] = Asset(
            upload.asset_id, upload.filename, upload.size, medium, _now()
        )

    def _upload_status(self, identifier: str, query: Mapping[str, str]) -> Json:
        upload = self._upload(identifier)
        chunks = [
            {"index": index, "status": "completed" if index in upload.reported else "pending"}
            for index in range(1, upload.chunks + 1)
        ]
        paged = _paged(chunks, query)
        return {
            "upload_id": upload.id,
            "status": "completed" if len(upload.reported) == upload.chunks else "active",
            "uploaded_chunks": paged["data"],
            "chunks_completed": len(upload.reported),
            "chunks_failed": 0,
            "chunks_pending": upload.chunks - len(upload.reported),
            "total_size": upload.size,
            "page_info": paged["page_info"],
        }

    def _upload(self, identifier: str) -> Upload:
        upload = self._uploads.get(identifier)
        if upload is None:
            raise Refusal(404, "resource_not_exist", "The upload does not exist.")
        return upload

    # Media and vectors

    def _medium(self, source: Json) -> Medium:
        _check_source(source, self.allow_private_media)
        if "url" in source:
            words = _words(urlsplit(source["url"]).path)
            return self.media.get(source["url"], Medium(words, has_audio="silent" not in words))
        if "asset_id" in source:
            return self._ready_medium(source["asset_id"])
        content = base64.b64decode(source["base64_string"])
        medium = _probed(io.BytesIO(content), (_content_word(content),))
        if medium is None:
            raise invalid("The file cannot be read.", "video_file_broken")
        return medium

    def _ready_medium(self, identifier: str) -> Medium:
        asset = self.assets.get(identifier)
        if asset is None:
            raise Refusal(404, "resource_not_exist", "The asset does not exist.")
        if asset.medium is None or asset.polls <= self.polls_needed:
            raise invalid("The asset is not ready.")
        return asset.medium

    def _source_words(self, source: Json, kind: str, model: str) -> tuple[str, ...]:
        if kind == "video":
            medium = self._medium(source)
            if model == "marengo3.5" and medium.duration > 30.5:
                raise invalid(
                    f"Duration ({medium.duration:.1f} seconds) exceeds maximum limit of 30 seconds"
                )
            return medium.words
        if kind != "image":
            raise invalid(f"media_type {kind} is not supported")
        _check_source(source, self.allow_private_media)
        if "url" in source:
            return _words(urlsplit(source["url"]).path)
        content = base64.b64decode(source["base64_string"])
        _check_image(content)
        return (_content_word(content),)

    def _row(
        self,
        words: tuple[str, ...],
        model: str,
        body: Json,
        *,
        option: str | None = None,
        scope: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Json:
        dimension = body.get("embedding_dimension", 512)
        return {
            "embedding": vector(words, model)[:dimension].round(6).tolist(),
            "embedding_option": option,
            "embedding_scope": scope,
            "start_sec": start,
            "end_sec": end,
        }


VIDEO_FIELDS = {
    "media_source",
    "start_sec",
    "end_sec",
    "segmentation",
    "embedding_option",
    "embedding_scope",
    "embedding_type",
}


def vector(words: tuple[str, ...], model: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The words' bag as 512 numbers; what tells segments and options apart counts for less."""
    total = np.zeros(512)
    for word in words:
        weight = 0.5 if word.startswith("segment") or word in OPTIONS["marengo3.0"] else 1.0
        seed = int.from_bytes(hashlib.sha256(f"{model} {word}".encode()).digest()[:8])
        total += weight * np.random.default_rng(seed).standard_normal(512)
    return WIRE_LENGTH * total / np.linalg.norm(total)


def _words(text: str) -> tuple[str, ...]:
    stem = re.sub(r"\.\w{2,4}$", "", text.rsplit("/", 1)[-1])
    words = re.findall(r"[a-z0-9]+", stem.lower())
    # What clients add to make names unique means nothing.
    return tuple(word for word in words if not re.fullmatch(r"[0-9a-f]{8}", word)) or ("nothing",)


def _text_words(part: Json, model: str, *, truncate: bool) -> tuple[str, ...]:
    words = tuple(re.findall(r"\w+", str(part.get("input_text", "")).lower()))
    if not words:
        raise invalid("input_text is empty", "parameter_not_provided")
    if len(words) > TEXT_WORDS[model] and not truncate:
        raise invalid(f"The text exceeds the limit of {TEXT_WORDS[model]} tokens.")
    return words[: TEXT_WORDS[model]]


def _content_word(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _probed(content: IO[bytes], words: tuple[str, ...]) -> Medium | None:
    try:
        with av.open(content) as container:
            picture = container.streams.video[0]
            next(container.decode(picture))
            duration = (container.duration or 0) / 1_000_000
            return Medium(words, duration, bool(container.streams.audio), picture.height)
    except (av.FFmpegError, IndexError, StopIteration):
        return None


def _model(body: Json, kinds: tuple[str, ...]) -> str:
    model, kind = body.get("model_name"), body.get("input_type")
    if model not in TEXT_WORDS:
        raise invalid(f"{model} is no longer supported, use marengo3.0")
    if kind not in kinds or kind not in body:
        raise invalid(f"input_type {kind} needs its own field", "parameter_not_provided")
    only_35 = {"embedding_dimension", "auto_truncate", "embedding_uncertainty"}
    common = {"input_type", "model_name", str(kind)}
    _only(body, common | only_35 if model == "marengo3.5" else common)
    if body.get("embedding_dimension", 512) not in {128, 256, 512}:
        raise invalid("embedding_dimension must be 128, 256 or 512")
    return str(model)


def _only(values: Json, allowed: set[str]) -> None:
    unknown = set(values) - allowed
    if unknown:
        raise invalid(f"unknown: {', '.join(sorted(unknown))}", "parameter_unknown")


def _nulls(value: object, path: str = "") -> Iterator[str]:
    if value is None:
        yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, inner in items:
        yield from _nulls(inner, f"{path}.{name}")


def _check_video(video: Json, model: str, *, self_segmented: bool) -> None:
    options = video.get("embedding_option")
    if not options or not set(options) <= set(OPTIONS[model]):
        raise invalid(f"embedding_option {options} is not possible with {model}")
    scopes = video.get("embedding_scope")
    if not scopes or not set(scopes) <= {"clip", "asset"}:
        raise invalid(f"embedding_scope {scopes} is not possible")
    start, end = video.get("start_sec", 0), video.get("end_sec", float("inf"))
    if not 0 <= start < end:
        raise invalid("end_sec must be greater than start_sec")
    if self_segmented or "segmentation" in video:
        _check_segmentation(video.get("segmentation"), model)


def _check_segmentation(segmentation: object, model: str) -> None:
    if not isinstance(segmentation, dict):
        raise invalid("segmentation is missing", "parameter_not_provided")
    if ("temporal" in segmentation) != (model == "marengo3.5"):
        raise invalid(f"segmentation has the wrong shape for {model}")
    inner = segmentation.get("temporal", segmentation)
    ranges = {"fixed": ("duration_sec", 2, 10), "dynamic": ("min_duration_sec", 2, 5)}
    strategy = inner.get("strategy")
    if strategy not in ranges or set(inner) != {"strategy", strategy}:
        raise invalid("segmentation needs exactly its strategy's field")
    name, least, most = ranges[strategy]
    value = inner[strategy].get(name)
    if type(value) is not int or not least <= value <= most:
        raise invalid(f"{name} must be a whole number from {least} to {most}")


def _check_source(source: Json, allow_private: bool) -> None:
    given = {"url", "base64_string", "asset_id"} & set(source)
    if len(given) != 1:
        raise invalid("exactly one of url, base64_string and asset_id is needed")
    _only(source, {"url", "base64_string", "asset_id", "name", "media_type"})
    if "base64_string" in source:
        _check_base64(source["base64_string"])
    if "url" in source:
        _check_media_url(source["url"], allow_private)


def _check_base64(text: str) -> None:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise invalid("base64_string is not base64 (no data: prefix, please)") from error
    if not 0 < len(content) <= 36 * MB:
        raise Refusal(413, "video_filesize_too_large", "The decoded file is too large.")


def _check_media_url(url: str, allow_private: bool) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        raise invalid("url is not an address")
    if any(host == site or host.endswith(f".{site}") for site in HOSTING):
        raise invalid("Video hosting pages are not supported.")
    if host.endswith(".invalid") or (not allow_private and _is_private(host)):
        raise invalid("failed to fetch or materialize source media")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal"))


def _check_image(content: bytes) -> None:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            kind, size = picture.format, picture.size
    except UnidentifiedImageError as error:
        raise invalid("The image cannot be read.") from error
    if kind not in {"JPEG", "PNG"} or min(size) < 128 or len(content) > 32 * MB:
        raise invalid("Images are JPEG or PNG, at least 128 x 128, at most 32 MB.")


def _paged(items: list[Json], query: Mapping[str, str]) -> Json:
    page, limit = int(query.get("page", "1")), int(query.get("page_limit", "10"))
    if page < 1 or not 1 <= limit <= 50:
        raise invalid("page begins at 1 and page_limit must be 50 or less")
    return {
        "data": items[(page - 1) * limit : page * limit],
        "page_info": {
            "limit_per_page": limit,
            "page": page,
            "total_page": math.ceil(len(items) / limit),
            "total_results": len(items),
        },
    }


def _too_many(what: str, limit: float, seconds: float) -> Refusal:
    headers = {
        "Retry-After": str(max(1, math.ceil(seconds))),
        "X-Ratelimit-Dimensions": what,
        f"X-Ratelimit-{what}-Limit": f"{limit:.0f}",
        f"X-Ratelimit-{what}-Remaining": "0",
    }
    return Refusal(429, "too_many_requests", f"The {what.lower()} limit is {limit:g}.", headers)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _later(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _handler(service: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together; apart, each answer would wait for an acknowledgement.
        wbufsize = -1

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            fault = service.next_fault(CHUNK)
            if fault is not None and fault.connection == "dropped before work":
                self._drop()
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.requests.append(
                Recorded(CHUNK, urlsplit(self.path).path, {}, headers.get("x-api-key", ""), {}, {})
            )
            if fault is not None and fault.connection == "kept":
                self.close_connection = True  # the chunk was not read
                self._send(fault.status, fault.content, fault.headers)
                return
            try:
                etag = service.take_chunk(self.path, headers, cast(IO[bytes], self.rfile))
            except Refusal as refusal:
                self.close_connection = True
                said = f"<Error><Code>{refusal.code}</Code></Error>".encode()
                self._send(refusal.status, said, {"Content-Type": "application/xml"})
                return
            if fault is not None:
                self._drop()
            else:
                self._send(200, b"", {"ETag": f'"{etag}"'})

        def handle(self) -> None:
            with suppress(ConnectionError):  # clients may leave early; some tests make them
                super().handle()

        def finish(self) -> None:
            with suppress(ConnectionError):
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            if self.path == "/report":
                self._send(200, json.dumps(service.report()).encode(), {})
                return
            expected = int(self.headers.get("content-length", 0))
            content = self.rfile.read(expected)
            if len(content) < expected:
                raise ConnectionError("the client left in the middle of a request")
            path = urlsplit(self.path).path
            endpoint = f"{self.command} {_pattern(path)}"
            fault = service.next_fault(endpoint)
            if fault is not None and fault.connection == "dropped before work":
                self._drop()
                return
            headers: Mapping[str, str] = {}
            try:
                request = self._recorded(endpoint, path, content)
                service.requests.append(request)
                if fault is not None and fault.connection == "kept":
                    self._send(fault.status, fault.content, fault.headers)
                    return
                status, body = service.handle(request)
            except Refusal as refusal:
                # A key is judged before anything knows which endpoint it is for: flat, like all 401.
                nested = path.startswith(f"{ROOT}/embed-v2") and refusal.status != 401
                status, body = refusal.status, refusal.body(nested)
                headers = refusal.headers
            answer = b"" if status == 204 else json.dumps(body).encode()
            if fault is not None and fault.connection == "dropped after work":
                self._drop()
            elif fault is not None:
                self._send(status, answer, headers, cut=True)
            else:
                self._send(status, answer, headers)

        def _recorded(self, endpoint: str, path: str, content: bytes) -> Recorded:
            kind = self.headers.get("content-type", "")
            body: Json = {}
            files: dict[str, bytes] = {}
            if self.command == "POST":
                expected = (
                    "multipart/form-data" if endpoint == "POST /assets" else "application/json"
                )
                if not kind.startswith(expected):
                    raise invalid(f"send {expected}", "content_type_invalid")
                body, files = (
                    _form(kind, content) if "multipart" in kind else (json.loads(content), {})
                )
                nulls = list(_nulls(body))
                if nulls:
                    raise invalid(f"null is no value for {', '.join(nulls)}")
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            key = self.headers.get("x-api-key", "")
            return Recorded(endpoint, path, query, key, body, files)

        def _send(
            self, status: int, content: bytes, headers: Mapping[str, str], *, cut: bool = False
        ) -> None:
            service.too_many += status == 429
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self._drop()

        def _drop(self) -> None:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def _pattern(path: str) -> str:
    if not path.startswith(f"{ROOT}/"):
        return "nowhere"
    inner = path.removeprefix(ROOT)
    if inner == "/assets/multipart-uploads":
        return inner
    collections = "/embed-v2/tasks|/assets/multipart-uploads|/assets"
    return re.sub(rf"^({collections})/[^/]+(/presigned-urls)?$", r"\1/{id}\2", inner)


def _form(content_type: str, content: bytes) -> tuple[Json, dict[str, bytes]]:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content)
    fields: Json = {}
    files: dict[str, bytes] = {}
    for part in cast(list[Any], message.get_payload()):
        name = str(part.get_param("name", header="content-disposition"))
        value = part.get_payload(decode=True)
        if part.get_filename():
            files[name] = value
        else:
            fields[name] = value.decode()
    return fields, files


def main() -> None:
    parser = argparse.ArgumentParser(description="A local stand-in for the Twelve Labs API.")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--key", default="", help="the only key that is good; any, without it")
    parser.add_argument("--polls", type=int, default=2, help="polls before anything is ready")
    parser.add_argument("--task-seconds", type=float, help="how long a task takes")
    parser.add_argument("--parallel-tasks", type=int, help="429 for more tasks at once")
    parser.add_argument("--requests-per-minute", type=int, help="429 for more new tasks a minute")
    parser.add_argument("--minutes-per-hour", type=float, help="429 for more video an hour")
    parser.add_argument(
        "--allow-private-media", action="store_true", help="accept media URLs of this machine"
    )
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with StandIn(
        key=given.key,
        polls_needed=given.polls,
        allow_private_media=given.allow_private_media,
        parallel_tasks=given.parallel_tasks,
        requests_per_minute=given.requests_per_minute,
        minutes_per_hour=given.minutes_per_hour,
        task_seconds=given.task_seconds,
        port=given.port,
    ) as service:
        key = f"TWELVELABS_API_KEY={given.key}" if given.key else "any TWELVELABS_API_KEY"
        print(f"Set TWELVELABS_BASE_URL={service.url} and {key}.", flush=True)  # noqa: T201
        stop.wait()


if __name__ == "__main__":
    main()
