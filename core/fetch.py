"""Reading from the web on a user's word: only public addresses, only media, never without limits.

Everything the server itself fetches goes through here, except what the service's SDK asks of the
service.

A name is looked up once, every address it has is checked, and the connection goes to the address
that was checked: a name that changes its mind between check and use gains nothing. Each redirect
is checked the same way.

What another network might still reach is MediaUnreachable; everything else that is wrong with an
address or its content is a plain MediaError.
"""

from __future__ import annotations

import codecs
import ipaddress
import os
import re
import socket
import ssl
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx

from core.errors import MediaError, MediaUnreachable
from core.media import is_text
from core.seekable import SeekableFile

MAX_REDIRECTS = 5
# Of one wait for the next bytes. Who sends a byte now and then is stopped by the limits below.
_TIMEOUT = httpx.Timeout(20.0, connect=10.0)
_HEAD_SEC = 30.0
_BODY_SEC, _BODY_BYTES_PER_SEC = 30.0, 16_000
_OPEN_SEC = 600.0
# Sizes and ranges are those of the file itself, so nothing may be compressed on the way.
_HEADERS = {"accept-encoding": "identity", "user-agent": "Seekpoint"}
_HOST = re.compile(r"[\w.:-]+")
_HIGHEST_PORT = 65535
_CHUNK = 256 * 1024
# One block holds what a probe wants of most videos; a larger one would only cost more.
_BLOCK = 512 * 1024
_BLOCKS_KEPT = 16
_SNIFFED = 512

_HOSTING_PAGES = {
    "youtube.com": "YouTube",
    "youtube-nocookie.com": "YouTube",
    "youtu.be": "YouTube",
    "vimeo.com": "Vimeo",
    "dailymotion.com": "Dailymotion",
    "dai.ly": "Dailymotion",
    "tiktok.com": "TikTok",
    "twitch.tv": "Twitch",
    "facebook.com": "Facebook",
    "fb.watch": "Facebook",
    "instagram.com": "Instagram",
    "twitter.com": "X",
    "x.com": "X",
    "bilibili.com": "Bilibili",
    "rumble.com": "Rumble",
    "loom.com": "Loom",
    "drive.google.com": "Google Drive",
    "docs.google.com": "Google Drive",
    "photos.app.goo.gl": "Google Photos",
    "dropbox.com": "Dropbox",
    "onedrive.live.com": "OneDrive",
    "1drv.ms": "OneDrive",
    "sharepoint.com": "SharePoint",
    "box.com": "Box",
    "icloud.com": "iCloud",
    "wetransfer.com": "WeTransfer",
    "we.tl": "WeTransfer",
}
_PASSING = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
_HTML = {"text/html", "application/xhtml+xml"}
_OTHER_CONTENT = {
    b"PK\x03\x04": "a ZIP archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF-": "a PDF document",
    b"#EXTM3U": "a playlist",
}
_PRIVATE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "localdomain")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What Python calls global is more than that: old kinds of local addresses, and some for protocols.
_ROUTED_IPV6 = ipaddress.ip_network("2000::/3")
_FOR_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")


class NoRangeSupport(MediaUnreachable):
    """The server hands out whole files only."""


def canonical_url(url: str) -> str:
    """One spelling per address: lower-case scheme and host, no default port, no fragment.

    Raises:
        MediaError: when it is no http(s) address, names no host, or carries a login.
    """
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise _not_an_address() from error
    if parsed.scheme not in {"http", "https"} or not _HOST.fullmatch(parsed.host):
        raise _not_an_address()
    if parsed.port is not None and parsed.port > _HIGHEST_PORT:
        raise _not_an_address()
    if parsed.userinfo:
        raise MediaError(
            "This address contains a login.", "Use a link that works without a password."
        )
    return str(parsed.copy_with(fragment=None))


def check_url(url: str, *, allow_private: bool) -> str:
    """The canonical form of an address that may be used as a media source. Looks nothing up.

    Raises:
        MediaError: for the pages of video and file-sharing sites and, unless `allow_private`,
            for addresses that are not on the public internet.
    """
    canonical = canonical_url(url)
    host = httpx.URL(canonical).host.rstrip(".")
    site = next((name for domain, name in _HOSTING_PAGES.items() if _is_under(host, domain)), "")
    if site:
        raise MediaError(
            f"This is a {site} page, not a video file.",
            "Use the direct address of the file, or download it and add the file.",
        )
    if not allow_private and _is_private_host(host):
        raise _forbidden(host)
    return canonical


def download(
    url: str,
    dest: Path,
    *,
    allow_private: bool,
    max_bytes: int,
    on_progress: Callable[[float | None], None] | None = None,
) -> None:
    """Writes what is at `url` to `dest`, which appears only when it is complete.

    `on_progress` gets the fraction done, None while the size is unknown; what it raises ends the
    download and passes through.

    Raises:
        MediaError: when it cannot be had, is a page, is larger than `max_bytes`, or when `dest`
            cannot be written.
    """
    with _written_whole(dest) as file, _get(url, allow_private, max_bytes) as response:
        total = _declared_size(response)
        done = 0
        for chunk in _body(response, max_bytes):
            file.write(chunk)
            done += len(chunk)
            if on_progress is not None:
                on_progress(min(done / total, 1.0) if total else None)


def fetch_bytes(url: str, *, allow_private: bool, max_bytes: int) -> bytes:
    """What is at `url`.

    Raises:
        MediaError: when it cannot be had, is a page, or is larger than `max_bytes`.
    """
    with _get(url, allow_private, max_bytes) as response:
        return b"".join(_body(response, max_bytes))


class RemoteFile(SeekableFile, BinaryIO):
    """A file on the web that can be read at any place without being downloaded whole.

    Reads go through whole blocks, of which the last few are kept, so that a demuxer's many small
    reads cost few requests.

    Raises:
        MediaError: on opening or reading, when the file cannot be had; NoRangeSupport when the
            server hands out whole files only.
    """

    def __init__(self, url: str, *, allow_private: bool) -> None:
        super().__init__(size=0)
        self._client = _client(allow_private)
        self._url = check_url(url, allow_private=allow_private)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._until = time.monotonic() + _OPEN_SEC
        try:
            self._block(0)
        except MediaError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()
        super().close()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        filled = 0
        while filled < len(buffer) and self._position < self.size:
            index, offset = divmod(self._position, _BLOCK)
            piece = self._block(index)[offset : offset + len(buffer) - filled]
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _block(self, index: int) -> bytes:
        if index in self._blocks:
            self._blocks.move_to_end(index)
        else:
            self._blocks[index] = self._request(index * _BLOCK)
            if len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return self._blocks[index]

    def _request(self, start: int) -> bytes:
        if time.monotonic() > self._until:
            raise _too_slow(httpx.URL(self._url).host)
        wanted = {"range": f"bytes={start}-{start + _BLOCK - 1}"}
        with (
            _plain_errors(self._url),
            self._client.stream("GET", self._url, headers=wanted) as response,
        ):
            _refuse_failure(response)
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                _refuse_other_content(next(response.iter_raw(_SNIFFED), b""), response)
                raise NoRangeSupport(
                    f"{response.url.host} only hands out whole files.",
                    "Download the video and add the file.",
                )
            size = _total_of_range(response, start)
            if self.size and size != self.size:
                raise MediaUnreachable(f"The file at {response.url.host} changed.", "Try again.")
            self.size = size
            content = b"".join(_body(response, _BLOCK, start))
        if len(content) != min(_BLOCK, size - start):
            raise MediaUnreachable(f"{response.url.host} sent only part of the file.", "Try again.")
        return content


class _CheckedTransport(httpx.BaseTransport):
    """Checks where each request goes, redirects included, and goes exactly there.

    One inner transport per host: two names at one address must not share a TLS connection.
    """

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._routes: dict[tuple[str, int], tuple[str, httpx.HTTPTransport]] = {}
        self._socket: socket.socket | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_url(str(request.url), allow_private=self._allow_private)
        host = request.url.raw_host.decode("ascii")
        address, transport = self._route(host, request.url.port or _default_port(request.url))
        # The Host header was set from the name; TLS asks for, and checks, the name as well.
        checked = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host, "trace": self._note_socket},
        )
        late = threading.Timer(_HEAD_SEC, self._hang_up)
        late.daemon = True
        late.start()
        try:
            return transport.handle_request(checked)
        finally:
            late.cancel()

    def close(self) -> None:
        for _, transport in self._routes.values():
            transport.close()

    def _note_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._socket = info["return_value"].get_extra_info("socket")

    def _hang_up(self) -> None:
        """Ends a wait for the head of an answer, whatever still trickles in."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _route(self, host: str, port: int) -> tuple[str, httpx.HTTPTransport]:
        if (host, port) not in self._routes:
            address = _checked_address(host, port, self._allow_private)
            self._routes[host, port] = (address, httpx.HTTPTransport(verify=_tls()))
        return self._routes[host, port]


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than most requests."""
    return httpx.create_ssl_context()


def _client(allow_private: bool) -> httpx.Client:
    return httpx.Client(
        transport=_CheckedTransport(allow_private),
        headers=_HEADERS,
        timeout=_TIMEOUT,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )


@contextmanager
def _get(url: str, allow_private: bool, max_bytes: int) -> Iterator[httpx.Response]:
    """An answer whose head has been judged; its body is read inside the `with`."""
    checked = check_url(url, allow_private=allow_private)
    with (
        _client(allow_private) as client,
        _plain_errors(checked),
        client.stream("GET", checked) as response,
    ):
        _refuse_failure(response)
        if _declared_size(response) > max_bytes:
            raise _too_large(response.url.host, max_bytes)
        yield response


@contextmanager
def _written_whole(dest: Path) -> Iterator[BinaryIO]:
    """A file to write to, which becomes `dest` when all went well and goes away when not."""
    try:
        handle, name = tempfile.mkstemp(dir=dest.parent, prefix=f".{dest.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            part.replace(dest)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MediaError(
            f"A download cannot be written: {error.strerror}.",
            "Free some space on the server's disk, then try again.",
        ) from error


def _body(response: httpx.Response, max_bytes: int, start: int = 0) -> Iterator[bytes]:
    """The content in chunks; `start` is its place in the file, whose beginning is judged."""
    chunks = _chunks(response)
    first = next(chunks, b"")
    if start == 0:
        _refuse_other_content(first, response)
    done = 0
    for chunk in chain([first], chunks):
        done += len(chunk)
        if done > max_bytes:
            raise _too_large(response.url.host, max_bytes)
        yield chunk


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    """The content in larger pieces as it comes, for as long as it comes fast enough."""
    began, received, chunk = time.monotonic(), 0, bytearray()
    # As sent: a few bytes that a server compressed could grow to any size.
    for piece in response.iter_raw():
        received += len(piece)
        chunk += piece
        seconds = time.monotonic() - began
        if seconds > _BODY_SEC and received < seconds * _BODY_BYTES_PER_SEC:
            raise _too_slow(response.url.host)
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


@contextmanager
def _plain_errors(url: str) -> Iterator[None]:
    host = httpx.URL(url).host
    try:
        yield
    except httpx.TimeoutException as error:
        raise MediaUnreachable(f"{host} took too long to answer.", "Try again later.") from error
    except httpx.ConnectError as error:
        raise MediaUnreachable(f"{host} could not be reached.", "Check the address.") from error
    except httpx.TooManyRedirects as error:
        raise MediaError(
            f"{host} redirects more than {MAX_REDIRECTS} times.", "Use the final address."
        ) from error
    except httpx.HTTPError as error:
        raise MediaUnreachable(f"The connection to {host} broke off.", "Try again.") from error
    except httpx.InvalidURL as error:
        raise MediaError(f"{host} redirects to nowhere.", "Use the final address.") from error


def _refuse_failure(response: httpx.Response) -> None:
    host = response.url.host
    status = response.status_code
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise MediaError(f"{host} has no such file ({status}).", "Check the address.")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise MediaUnreachable(
            f"{host} does not let us read this file ({status}).",
            "Use a public or a freshly signed link.",
        )
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise _empty(host)
    if response.is_client_error and status not in _PASSING:
        raise MediaUnreachable(
            f"{host} answered with status {status}.",
            "Check the address; a signed link may have run out.",
        )
    if not response.is_success:
        raise MediaUnreachable(f"{host} answered with status {status}.", "Try again later.")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _HTML:
        raise _a_page(response)


def _refuse_other_content(beginning: bytes, response: httpx.Response) -> None:
    """Judges by the content itself: some servers call anything media, others call media text."""
    host = response.url.host
    head = beginning[:_SNIFFED].removeprefix(codecs.BOM_UTF8).lstrip()
    if not beginning:
        raise _empty(host)
    if head.startswith(b"<"):
        raise _a_page(response)
    other = next((name for mark, name in _OTHER_CONTENT.items() if head.startswith(mark)), "")
    if other or is_text(head):
        raise MediaError(
            f"What {host} sent is {other or 'text'}, not a media file.",
            "Use the direct address of the file.",
        )


def _declared_size(response: httpx.Response) -> int:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _total_of_range(response: httpx.Response, start: int) -> int:
    """The size of the whole file, out of `Content-Range: bytes 0-99/1234`."""
    span, _, total = response.headers.get("content-range", "").partition("/")
    if not total.isdecimal() or not span.startswith(f"bytes {start}-"):
        raise NoRangeSupport(
            f"{response.url.host} does not say how large the file is.",
            "Download the video and add the file.",
        )
    return int(total)


def _default_port(url: httpx.URL) -> int:
    return 443 if url.scheme == "https" else 80


def _checked_address(host: str, port: int, allow_private: bool) -> str:
    """The address to connect to; every address of the name has to pass."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaUnreachable(
            f"There is no server called {host}.", "Check the address for a typing error."
        ) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and any(not _is_public(address) for address in addresses):
        raise _forbidden(host)
    return addresses[0]


def _is_under(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _is_private_host(host: str) -> bool:
    if any(_is_under(host, name) for name in _PRIVATE_NAMES):
        return True
    literal = _literal_address(host)
    # A name without a dot can only be of the local network.
    return not _is_public(literal) if literal else "." not in host


def _literal_address(host: str) -> str:
    """The address a host spells out, also as 127.1 or 0x7f000001; empty for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return ""


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = _embedded_ipv4(parsed)
        if inner is not None:
            return _is_public(str(inner))
        return parsed.is_global and parsed in _ROUTED_IPV6
    return parsed.is_global and not parsed.is_multicast and parsed not in _FOR_PROTOCOLS


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo or NAT64."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def _not_an_address() -> MediaError:
    return MediaError(
        "This is not a web address.", "It should look like https://example.com/video.mp4."
    )


def _forbidden(host: str) -> MediaError:
    return MediaError(
        f"{host} is not an address on the public internet.",
        "Add the file itself, or set SEEKPOINT_ALLOW_PRIVATE_URLS if you run this server.",
    )


def _a_page(response: httpx.Response) -> MediaError:
    host = response.url.host
    asked = response.history[0].url if response.history else response.url
    if (asked.host, asked.path) != (host, response.url.path):
        return MediaError(
            f"This address leads to a page on {host}, perhaps a login.",
            "Use a link that gives the file itself to anybody, such as a freshly signed one.",
        )
    return MediaError(
        f"What {host} sent is a page, not a media file.", "Use the direct address of the file."
    )


def _empty(host: str) -> MediaError:
    return MediaError(f"The file at {host} is empty.", "Check the address.")


def _too_slow(host: str) -> MediaUnreachable:
    return MediaUnreachable(
        f"{host} sends too slowly.", "Try again later, or download the video and add the file."
    )


def _too_large(host: str, max_bytes: int) -> MediaError:
    return MediaError(
        f"The file at {host} is larger than {max_bytes / 1_000_000:,.0f} MB.",
        "Use a smaller file.",
    )
