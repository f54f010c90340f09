"""Whatever address somebody gives, the server goes only where it should, and not forever."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core import fetch
from core.errors import MediaError, MediaUnreachable
from core.fetch import RemoteFile, canonical_url, check_url, download, fetch_bytes
from tests.web import Page, Web

PUBLIC = "93.184.216.34"

CONTENT = bytes(range(256)) * 400  # begins like no page, text or archive

Internet = tuple[dict[str, list[str]], list[str]]


@pytest.fixture
def internet(web: Web, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """A name service of our own; a connection to the public address reaches the test's server.

    Gives the names (host -> addresses) and the list of addresses that were connected to.
    """
    names: dict[str, list[str]] = {}
    connected: list[str] = []
    connect = socket.create_connection

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host not in names:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in names[host]]

    def create_connection(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        connected.append(address[0])
        monkeypatch.setattr(socket, "getaddrinfo", real)
        try:
            return connect(("127.0.0.1", web.port), *args, **kwargs)
        finally:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    return names, connected


PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[::127.0.0.1]",
    "[2001:0:7f00:1::80ff:fffe]",
    "[fec0::1]",
    "0x7f.1",
    "017700000001",
    "127.0.0.1.",
    "127。0。0。1",
    "192.0.0.8",
    "0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "printer.local",
    "metadata.google.internal",
    "intranet",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_an_address_off_the_public_internet_needs_permission(host: str) -> None:
    url = f"http://{host}/a.mp4"
    with pytest.raises(MediaError, match="public internet"):
        check_url(url, allow_private=False)
    assert check_url(url, allow_private=True) == canonical_url(url)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "[2606:4700::1111]", "a.local.example"])
def test_a_public_address_passes(host: str) -> None:
    assert check_url(f"http://{host}/a.mp4", allow_private=False) == f"http://{host}/a.mp4"


# Connections


def test_the_connection_goes_to_the_address_that_was_checked(web: Web, internet: Internet) -> None:
    names, connected = internet
    names["media.example.com"] = [PUBLIC]
    web.put("/a.mp4", Page(CONTENT))
    content = fetch_bytes("http://media.example.com/a.mp4", allow_private=False, max_bytes=10**7)
    assert content == CONTENT
    assert connected == [PUBLIC]
    assert web.asked[0][1] == "media.example.com"


DISGUISED = [
    "http://①②⑦.⓪.⓪.①/a.mp4",
    "http://１２７.0.0.1/a.mp4",
    "http://0177.0.0.1/a.mp4",
    "http://localhost%2e/a.mp4",
    "http://[::ffff:0x7f.1]/a.mp4",
    "http://127.0.0.1%00.example.com/a.mp4",
    "http://example.com\\@127.0.0.1/a.mp4",
    "http://example.com@127.0.0.1/a.mp4",
    "http://example.com:80@127.0.0.1/a.mp4",
    "file:///etc/passwd",
    "file://example.com/etc/passwd",
    "gopher://127.0.0.1:25/_mail",
    "ftp://example.com/a.mp4",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "//127.0.0.1/a.mp4",
    "concat:http://example.com/a|/etc/passwd",
]


@pytest.mark.parametrize("url", DISGUISED)
def test_an_address_that_hides_where_it_leads_is_none(url: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(MediaError):
            check_url(url, allow_private=allow_private)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["fe80::1%eth0"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b:1::a00:1"],
    ],
    ids=" and ".join,
)
def test_a_public_name_of_a_private_address_is_refused(
    web: Web, internet: Internet, addresses: list[str]
) -> None:
    names, connected = internet
    names["media.example.com"] = addresses
    with pytest.raises(MediaError, match="public internet"):
        fetch_bytes("http://media.example.com/a.mp4", allow_private=False, max_bytes=10**7)
    assert connected == []
    assert web.asked == []


def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(
    web: Web, internet: Internet
) -> None:
    names, connected = internet
    names["media.example.com"] = [PUBLIC]
    web.put("/a.mp4", Page(CONTENT))
    with RemoteFile("http://media.example.com/a.mp4", allow_private=False) as file:
        names["media.example.com"] = ["127.0.0.1"]
        assert file.read() == CONTENT
    assert set(connected) == {PUBLIC}


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/secret",
        "http://169.254.169.254/latest/meta-data",
        "http://inside.example.com/secret",
        "https://www.youtube.com/watch?v=1",
        "file:///etc/passwd",
        "http://user:pw@media.example.com/a.mp4",
    ],
)
def test_each_redirect_is_checked(web: Web, internet: Internet, target: str) -> None:
    names, connected = internet
    names |= {"media.example.com": [PUBLIC], "inside.example.com": ["10.0.0.1"]}
    web.put("/a.mp4", Page(status=302, headers={"Location": target}))
    with pytest.raises(MediaError):
        fetch_bytes("http://media.example.com/a.mp4", allow_private=False, max_bytes=10**7)
    assert len(web.asked) == 1
    assert connected == [PUBLIC]


def test_a_redirect_to_another_public_name_is_followed(web: Web, internet: Internet) -> None:
    names, _ = internet
    names |= {"media.example.com": [PUBLIC], "cdn.example.com": [PUBLIC]}
    web.put("/a.mp4", Page(status=302, headers={"Location": "http://cdn.example.com/b.mp4"}))
    web.put("/b.mp4", Page(CONTENT))
    url = "http://media.example.com/a.mp4"
    assert fetch_bytes(url, allow_private=False, max_bytes=10**7) == CONTENT
    assert [host for _, host, _ in web.asked] == ["media.example.com", "cdn.example.com"]


@pytest.mark.usefixtures("internet")
def test_a_dead_host_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreachable, match="gone.example.com"):
        download("http://gone.example.com/a.mp4", tmp_path / "a", allow_private=False, max_bytes=10)


# Answers that never end


@contextmanager
def trickling(head: bytes) -> Iterator[str]:
    """The address of a server that sends `head`, and after it a byte now and then."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(head)
                while not done.wait(0.02):
                    connection.sendall(b"\x01")

        thread = threading.Thread(target=trickle)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        done.set()
        thread.join()


def test_a_head_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_HEAD_SEC", 0.2)
    with trickling(b"HTTP/1.1 200 OK\r\nX-Long: ") as url, pytest.raises(MediaUnreachable):
        fetch_bytes(url, allow_private=True, max_bytes=10**7)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000\r\n"])
def test_a_body_that_trickles_in_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: bytes
) -> None:
    monkeypatch.setattr(fetch, "_BODY_SEC", 0.2)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n"
    with trickling(head) as url, pytest.raises(MediaUnreachable, match="sends too slowly"):
        download(url, tmp_path / "a.mp4", allow_private=True, max_bytes=10**7)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_read_for_ever(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_BLOCK", 1000)
    monkeypatch.setattr(fetch, "_OPEN_SEC", 0.0)
    url = web.put("/a.mp4", Page(CONTENT))
    with pytest.raises(MediaUnreachable, match="sends too slowly"):
        RemoteFile(url, allow_private=True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_what_a_server_compressed_is_not_let_grow(web: Web, encoding: str) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    url = web.put("/a.mp4", Page(bomb, headers={"Content-Encoding": encoding}))
    with pytest.raises(MediaError, match="is a gzip archive, not a media file"):
        fetch_bytes(url, allow_private=True, max_bytes=10**6)


def test_a_size_that_is_a_lie_is_noticed(web: Web) -> None:
    lie = {"Content-Range": f"bytes 0-99/{10**15}"}
    url = web.put("/a.mp4", Page(CONTENT, status=206, headers=lie))
    with pytest.raises(MediaError):
        RemoteFile(url, allow_private=True)
