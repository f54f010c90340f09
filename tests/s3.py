"""A small S3 on this machine: as much of it as a client needs to keep, list, read and delete files."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.loopback import Loopback


class S3(Loopback):
    """Objects by `/bucket/key`, and what was asked for: (method, path, Range header). While it is
    `down` it answers nothing but errors."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.down = False
        self._parts: dict[str, dict[int, bytes]] = {}
        super().__init__(_handler(self))

    def listing(self, bucket: str, prefix: str, delimiter: str) -> str:
        """What S3 answers a ListObjectsV2."""
        start = f"/{bucket}/"
        keys = [path.removeprefix(start) for path in self.objects if path.startswith(start)]
        rows, folders = [], set()
        for key in sorted(key for key in keys if key.startswith(prefix)):
            inner, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if found:
                folders.add(f"{prefix}{inner}{delimiter}")
                continue
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[start + key])}</Size>"
                "<LastModified>2026-01-01T00:00:00Z</LastModified><ETag>e</ETag></Contents>"
            )
        rows += [f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders]
        return (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>"
        )


def _handler(s3: S3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._object()

        def do_GET(self) -> None:
            _, query = self._where()
            if "list-type" in query:
                bucket = self._where()[0].strip("/")
                prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
                self._answer(200, s3.listing(bucket, prefix, delimiter).encode())
            else:
                self._object()

        def do_PUT(self) -> None:
            path, _ = self._where()
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                content = _unchunked(content)
            if not s3.down:
                s3.objects[path] = content
            self._answer(200, b"", {"ETag": '"e"'})

        def do_DELETE(self) -> None:
            path, _ = self._where()
            if not s3.down:
                s3.objects.pop(path, None)
            self._answer(204, b"")

        def _where(self) -> tuple[str, dict[str, list[str]]]:
            address = urlsplit(self.path)
            return unquote(address.path), parse_qs(address.query, keep_blank_values=True)

        def _object(self) -> None:
            path, _ = self._where()
            content = s3.objects.get(path)
            if content is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                return
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted is None:
                self._answer(200, content, {"ETag": '"e"'})
                return
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1) + 1
            piece = content[start:end]
            told = f"bytes {start}-{start + len(piece) - 1}/{len(content)}"
            self._answer(206, piece, {"ETag": '"e"', "Content-Range": told})

        def _answer(
            self, status: int, content: bytes, headers: dict[str, str] | None = None
        ) -> None:
            s3.asked.append((self.command, self._where()[0], self.headers.get("Range", "")))
            if s3.down:
                status, content = 403, b"<Error><Code>AccessDenied</Code></Error>"
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Tests say what went wrong themselves."""

    return Handler


def _unchunked(body: bytes) -> bytes:
    """What was sent in chunks with a checksum behind them."""
    content = b""
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if size == 0:
            break
        content, body = content + body[:size], body[size + 2 :]
    return content
