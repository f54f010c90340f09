"""How each Marengo model wants to be asked: the bodies of requests, and what they may hold.

Nothing here speaks to the service; `twelvelabs.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core.embedders.base import Limits

# The documentation does not say which megabyte it means; the smaller one is safe.
MB = 1_000_000

Request = dict[str, Any]
MediaSource = dict[str, str]


def marengo(model: str, dimension: int) -> Marengo:
    """The shapes of `model`, one of those in `core.settings.DIMENSIONS`."""
    return Marengo35(dimension) if model == "marengo3.5" else Marengo30()


class Marengo(Protocol):
    """How one model wants to be asked. Every method gives the arguments of an SDK call."""

    @property
    def options(self) -> tuple[str, ...]: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def cuts_clips(self) -> bool:
        """Whether the service itself takes a stretch out of a clip."""
        ...

    def text(self, words: str) -> Request: ...
    def image(self, source: MediaSource, text: str) -> Request: ...
    def clip(self, source: MediaSource, start: float | None, end: float | None) -> Request: ...
    def video(self, source: MediaSource, options: Sequence[str], segment_sec: int) -> Request: ...


class Marengo35:
    """Marengo 3.5 takes every query as `multi_input` and has speech inside `audio`."""

    options = ("visual", "audio")
    limits = Limits(
        text_tokens=2000,
        image_bytes=32 * MB,
        image_min_side=128,
        clip_sec=30.0,
        clip_bytes=32 * MB,
    )
    cuts_clips = False

    def __init__(self, dimension: int) -> None:
        self._model: Request = {"model_name": "marengo3.5", "embedding_dimension": dimension}

    def text(self, words: str) -> Request:
        return self._query({"input_text": words})

    def image(self, source: MediaSource, text: str) -> Request:
        words = {"input_text": text} if text else {}
        return self._query({**words, "media_sources": [{"media_type": "image", **source}]})

    def clip(self, source: MediaSource, start: float | None, end: float | None) -> Request:  # noqa: ARG002
        return self._query({"media_sources": [{"media_type": "video", **source}]})

    def video(self, source: MediaSource, options: Sequence[str], segment_sec: int) -> Request:
        segmentation = {"temporal": _fixed(segment_sec)}
        return {
            "input_type": "video",
            **self._model,
            "video": _task_video(source, options, segmentation),
        }

    def _query(self, parts: Request) -> Request:
        request = {"input_type": "multi_input", **self._model, "multi_input": parts}
        if "input_text" in parts:
            # `<@name>` would refer to a media source; what a person types never does.
            parts["input_text"] = parts["input_text"].replace("<@", "< @")
            # Half a question finds the wrong moments; better to be told that it is too long.
            request["auto_truncate"] = False
        return request


class Marengo30:
    """Marengo 3.0 has a request of its own for each kind of query and a fixed dimension."""

    options = ("visual", "audio", "transcription")
    limits = Limits(
        text_tokens=500,
        image_bytes=32 * MB,
        image_min_side=128,
        clip_sec=600.0,
        clip_bytes=36 * MB,
        video_min_sec=4.0,
        video_max_sec=4 * 3600.0,
        video_min_side=360,
    )
    cuts_clips = True

    def text(self, words: str) -> Request:
        return self._request("text", {"input_text": words})

    def image(self, source: MediaSource, text: str) -> Request:
        if text:
            return self._request("text_image", {"media_source": source, "input_text": text})
        return self._request("image", {"media_source": source})

    def clip(self, source: MediaSource, start: float | None, end: float | None) -> Request:
        span = {"start_sec": start, "end_sec": end}
        return self._request(
            "video",
            {
                "media_source": source,
                **{name: seconds for name, seconds in span.items() if seconds is not None},
                # One vector for the whole clip, of what is seen: a query is one direction.
                "embedding_option": ["visual"],
                "embedding_scope": ["asset"],
            },
        )

    def video(self, source: MediaSource, options: Sequence[str], segment_sec: int) -> Request:
        return self._request("video", _task_video(source, options, _fixed(segment_sec)))

    @staticmethod
    def _request(kind: str, body: Request) -> Request:
        return {"input_type": kind, "model_name": "marengo3.0", kind: body}


def _fixed(segment_sec: int) -> Request:
    return {"strategy": "fixed", "fixed": {"duration_sec": segment_sec}}


def _task_video(source: MediaSource, options: Sequence[str], segmentation: Request) -> Request:
    # Options and scope are always said: the defaults differ by model and mix in other rows.
    return {
        "media_source": source,
        "segmentation": segmentation,
        "embedding_option": list(options),
        "embedding_scope": ["clip"],
    }
