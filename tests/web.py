"""A small web server on this machine that can behave well or badly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.loopback import Loopback


@dataclass(frozen=True)
class Page:
    """What is at one path. `cut` breaks the connection half way."""

    content: bytes = b""
    kind: str = "video/mp4"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = True
    says_length: bool = True
    cut: bool = False


class Web(Loopback):
    """Pages by path, and what was asked for: (path, Host header, Range header)."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str, str]] = []
        super().__init__(_handler(self))

    def put(self, path: str, page: Page) -> str:
        """Puts a page at a path and returns its address."""
        self.pages[path] = page
        return f"http://127.0.0.1:{self.port}{path}"


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            wanted = self.headers.get("range", "")
            web.asked.append((self.path, self.headers.get("host", ""), wanted))
            page = web.pages.get(self.path, Page(status=404, kind="text/plain"))
            content, status, headers = page.content, page.status, dict(page.headers)
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
            if span and page.ranges and status == 200:
                start, last = int(span[1]), min(int(span[2]), len(content) - 1)
                headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
                status, content = 206, content[start : last + 1]
                if start >= len(page.content):
                    status, headers["Content-Range"] = 416, f"bytes */{len(page.content)}"
            self.send_response(status)
            for name, value in {"Content-Type": page.kind, **headers}.items():
                self.send_header(name, value)
            if page.says_length:
                self.send_header("Content-Length", str(len(content)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if page.cut else content)
            self.close_connection = page.cut or not page.says_length

        def handle(self) -> None:
            with suppress(ConnectionError):  # clients may leave early; some tests make them
                super().handle()

        def finish(self) -> None:
            with suppress(ConnectionError):
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
