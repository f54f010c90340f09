"""Somebody with the app open, without a browser: Streamlit's own protocol over its web socket, and
the app's routes over HTTP. The server does for them all that it does for a browser.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

PATIENCE_SEC = 120.0
# A browser asks again when the server closes a connection just as it is used; httpx does not, so it
# closes them first. The server does after 5 seconds.
IDLE_SEC = 2.0
# How the app marks an error that it shows.
ERROR_MARK = ":red[:material/error:]"
# What a player asks for at first.
PLAYED_BYTES = 1 << 19


class Failed(Exception):
    """The app showed an error, refused something, or did not answer."""


# What may become of a visit when the app is in trouble.
TROUBLE = (Failed, OSError, httpx.HTTPError, WebSocketException)


class Visitor:
    """One open page. A context manager; for one thread at a time."""

    def __init__(self, url: str) -> None:
        self._socket = connect(
            url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            open_timeout=PATIENCE_SEC,
        )
        self._http = httpx.Client(
            base_url=url,
            timeout=PATIENCE_SEC,
            limits=httpx.Limits(keepalive_expiry=IDLE_SEC),
        )
        self._session_id = ""
        self._query = ""
        self._page = ""
        self._elements: list[Element] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._socket.close()
        self._http.close()

    def open(self, page: str = "", **query: str) -> float:
        """Goes to a page; seconds until all of it was sent."""
        self._page, self._query = page, urlencode(query)
        return self.run()

    def run(self, *widgets: WidgetState) -> float:
        """Draws the page again after these widgets were used; seconds until all of it was sent."""
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.page_name = self._page
        message.rerun_script.widget_states.widgets.extend(widgets)
        self._elements = []
        begun = time.perf_counter()
        self._socket.send(message.SerializeToString())
        while (news := self._next()).WhichOneof("type") != "script_finished" or (
            news.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
        ):
            self._take(news)
        taken = time.perf_counter() - begun
        if news.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            raise Failed("The page cannot be compiled.")
        for element in self._elements:
            if element.WhichOneof("type") == "exception":
                raise Failed(element.exception.message)
        if ERROR_MARK in (words := self.words()):
            raise Failed(words.partition(ERROR_MARK)[2])
        return taken

    def cards(self) -> list[dict[str, Any]]:
        """The cards of the results grid."""
        for element in self._elements:
            if element.WhichOneof("type") == "bidi_component":
                data = json.loads(element.bidi_component.json or "{}")
                if data.get("cards"):
                    return list(data["cards"])
        return []

    def words(self) -> str:
        """All plain text of the page."""
        return "\n".join(
            getattr(element, kind).body
            for element in self._elements
            if (kind := element.WhichOneof("type")) in {"text", "markdown"}
        )

    def find(self, kind: str, label: str) -> Any:
        """The widget of this kind whose label begins so; None when there is none."""
        for element in self._elements:
            if element.WhichOneof("type") == kind:
                widget = getattr(element, kind)
                if widget.label.startswith(label):
                    return widget
        return None

    def get(self, address: str, headers: Mapping[str, str] | None = None) -> bytes:
        """What a route of the app answers."""
        answer = self._http.get(address, headers=headers)
        if not answer.is_success:
            raise Failed(f"{address[:40]} answered {answer.status_code}: {answer.text[:200]}")
        return answer.content

    def play(self, card: Mapping[str, Any]) -> None:
        """What a player loads first."""
        self.get(card["src"], {"Range": f"bytes=0-{PLAYED_BYTES - 1}"})

    def download(self, button: Any) -> bytes:
        """The file behind a download button that writes it when it is pressed."""
        message = BackMsg()
        request = message.backend_operation_request
        request.request_id = uuid.uuid4().hex
        request.session_id = self._session_id
        request.deferred_file.file_id = button.deferred_file_id
        self._socket.send(message.SerializeToString())
        while (news := self._next()).WhichOneof("type") != "backend_operation_response":
            self._take(news)
        answer = news.backend_operation_response
        if answer.error_msg:
            raise Failed(f"no export: {answer.error_msg}")
        return self.get(answer.deferred_file.url)

    def _next(self) -> ForwardMsg:
        message = ForwardMsg()
        content = self._socket.recv(timeout=PATIENCE_SEC)
        message.ParseFromString(content if isinstance(content, bytes) else content.encode())
        return message

    def _take(self, news: ForwardMsg) -> None:
        match news.WhichOneof("type"):
            case "new_session":
                self._session_id = news.new_session.initialize.session_id
                self._elements = []
            case "delta" if news.delta.HasField("new_element"):
                self._elements.append(news.delta.new_element)
            case "page_info_changed":
                self._query = news.page_info_changed.query_string


def typed(widget: Any, text: str) -> WidgetState:
    """The state of a text field in which somebody wrote."""
    return WidgetState(id=widget.id, string_value=text)


def pressed(widget: Any) -> WidgetState:
    """The state of a button that was just pressed."""
    return WidgetState(id=widget.id, trigger_value=True)
