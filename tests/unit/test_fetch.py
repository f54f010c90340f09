from __future__ import annotations

import io
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import fetch, media
from core.errors import JobCancelled, MediaError, MediaUnreachable, SeekpointError
from core.fetch import (
    NoRangeSupport,
    RemoteFile,
    canonical_url,
    check_url,
    download,
    fetch_bytes,
)
from tests.media import make_video
from tests.web import Page, Web

CONTENT = bytes(range(256)) * 20_000  # 5 MB, and no place looks like another's start

# Addresses


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        (" HTTPS://Example.COM:443/A.mp4#t=10 ", "https://example.com/A.mp4"),
        ("http://example.com:80/a?b=C", "http://example.com/a?b=C"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("https://example.com/a%2Fb?sig=a%2Bb%3D", "https://example.com/a%2Fb?sig=a%2Bb%3D"),
        ("https://example.com/a b.mp4", "https://example.com/a%20b.mp4"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
    ],
)
def test_an_address_has_one_spelling(given_url: str, expected: str) -> None:
    assert canonical_url(given_url) == expected


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "video.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/a",
        "javascript:alert(1)",
        "https://",
        "https:///a",
        "http://a b.com/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "https://user:secret@example.com/a.mp4",
        "http://exa\nmple.com",
        "http://0177.0.0.1/",
    ],
)
def test_what_is_no_plain_web_address_is_refused(bad: str) -> None:
    with pytest.raises(MediaError) as caught:
        canonical_url(bad)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_with_one_spelling_or_refused(text: str) -> None:
    try:
        once = canonical_url(text)
    except SeekpointError:
        return
    assert canonical_url(once) == once


@given(st.from_regex(r"https?://[a-zA-Z0-9.-]{1,20}(:[0-9]{1,5})?(/[^\s]{0,30})?", fullmatch=True))
def test_spelling_an_address_twice_changes_nothing(url: str) -> None:
    try:
        once = canonical_url(url)
    except SeekpointError:
        return
    assert canonical_url(once) == once


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.youtube.com/watch?v=abc", "YouTube"),
        ("https://youtu.be/abc", "YouTube"),
        ("https://vimeo.com/123", "Vimeo"),
        ("https://www.dailymotion.com/video/x", "Dailymotion"),
        ("https://www.tiktok.com/@a/video/1", "TikTok"),
        ("https://drive.google.com/file/d/1/view", "Google Drive"),
        ("https://www.dropbox.com/s/x/a.mp4?dl=0", "Dropbox"),
    ],
)
def test_the_page_of_a_video_site_is_refused_by_name(url: str, site: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(MediaError, match=site):
            check_url(url, allow_private=allow_private)


def test_a_name_that_only_ends_alike_is_no_video_site() -> None:
    url = "https://notyoutube.com/a.mp4"
    assert check_url(url, allow_private=False) == url


def test_the_sixth_redirect_is_not_followed(web: Web) -> None:
    for step in range(7):
        url = web.put(f"/{step}", Page(status=302, headers={"Location": f"/{step + 1}"}))
    web.put("/7", Page(CONTENT))
    with pytest.raises(MediaError, match="redirects more than 5 times"):
        fetch_bytes(url.replace("/6", "/0"), allow_private=True, max_bytes=10**7)
    assert len(web.asked) == 6
    assert fetch_bytes(url.replace("/6", "/2"), allow_private=True, max_bytes=10**7) == CONTENT


# Answers


@pytest.mark.parametrize(
    ("page", "words", "kind"),
    [
        (Page(status=404), r"no such file \(404\)", MediaError),
        (Page(status=410), r"no such file \(410\)", MediaError),
        (Page(status=403), r"does not let us .* \(403\).*freshly signed", MediaUnreachable),
        (Page(status=401), r"does not let us .* \(401\)", MediaUnreachable),
        (Page(status=400), "status 400.* may have run out", MediaUnreachable),
        (Page(status=429), "status 429.* again later", MediaUnreachable),
        (Page(status=500), "status 500.* again later", MediaUnreachable),
        (Page(b"<p>Hello", kind="text/html; charset=utf-8"), "is a page", MediaError),
        (Page(b"\n <!DOCTYPE html><p>"), "is a page", MediaError),
        (Page(b"\xef\xbb\xbf<html>"), "is a page", MediaError),
        (Page(b'{"a": 1}', kind="application/json"), "is text", MediaError),
        (Page(b"Not found, sorry."), "is text", MediaError),
        (Page(b"#EXTM3U\n#EXT-X-VERSION:3\n"), "is a playlist", MediaError),
        (Page(b"PK\x03\x04\x14\0\0\0"), "is a ZIP archive", MediaError),
        (Page(b"%PDF-1.7\n%\xe2\xe3"), "is a PDF document", MediaError),
        (Page(b""), "is empty", MediaError),
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_a_bad_answer_is_named(
    web: Web, tmp_path: Path, page: Page, words: str, kind: type[MediaError], ranges: bool
) -> None:
    url = web.put("/a.mp4", replace(page, ranges=ranges))
    ways: list[Callable[[], object]] = [
        lambda: download(url, tmp_path / "a.mp4", allow_private=True, max_bytes=10**7),
        lambda: fetch_bytes(url, allow_private=True, max_bytes=10**7),
        lambda: RemoteFile(url, allow_private=True),
    ]
    for read in ways:
        with pytest.raises(MediaError, match=words) as caught:
            read()
        assert type(caught.value) is kind
        assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_breaks_off_leaves_nothing(web: Web, tmp_path: Path) -> None:
    url = web.put("/a.mp4", Page(CONTENT, cut=True))
    with pytest.raises(MediaUnreachable, match="broke off"):
        download(url, tmp_path / "a.mp4", allow_private=True, max_bytes=10**7)
    with pytest.raises(MediaUnreachable, match="broke off"):
        RemoteFile(url, allow_private=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
def test_media_that_a_server_calls_something_else_is_still_media(web: Web, kind: str) -> None:
    url = web.put("/a.mkv", Page(CONTENT, kind=kind))
    assert fetch_bytes(url, allow_private=True, max_bytes=10**7) == CONTENT
    with RemoteFile(url, allow_private=True) as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("content_type", ["text/html", "video/mp4"])
def test_an_address_that_leads_to_a_login_says_so(web: Web, content_type: str) -> None:
    form = b"<form action=/login>"
    login = web.put("/login?next=/a.mp4", Page(form, kind=content_type))
    url = web.put("/a.mp4", Page(status=302, headers={"Location": login}))
    with pytest.raises(MediaError, match=r"leads to a page on 127\.0\.0\.1, perhaps a login"):
        RemoteFile(url, allow_private=True)


def test_a_redirect_to_the_same_page_is_no_login(web: Web) -> None:
    web.put("/a.mp4?page=1", Page(b"<p>", kind="text/html"))
    url = web.put("/a.mp4", Page(status=302, headers={"Location": "/a.mp4?page=1"}))
    with pytest.raises(MediaError, match="is a page, not a media file"):
        RemoteFile(url, allow_private=True)


def test_a_host_that_does_not_listen_is_named() -> None:
    with pytest.raises(MediaUnreachable, match=r"127\.0\.0\.1 could not be reached"):
        fetch_bytes("http://127.0.0.1:9/a.mp4", allow_private=True, max_bytes=10)


def test_a_host_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.mp4"
        with pytest.raises(MediaUnreachable, match=r"127\.0\.0\.1 took too long to answer"):
            RemoteFile(url, allow_private=True)


@pytest.mark.parametrize("says_length", [True, False])
def test_more_than_was_agreed_is_not_taken(web: Web, tmp_path: Path, says_length: bool) -> None:
    url = web.put("/a.mp4", Page(CONTENT, says_length=says_length))
    with pytest.raises(MediaError, match="larger than 2 MB"):
        download(url, tmp_path / "a.mp4", allow_private=True, max_bytes=2_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_download_reports_how_far_it_is(web: Web, tmp_path: Path) -> None:
    seen: list[float | None] = []
    url = web.put("/a.mp4", Page(CONTENT))
    dest = tmp_path / "a.mp4"
    download(url, dest, allow_private=True, max_bytes=10**7, on_progress=seen.append)
    assert dest.read_bytes() == CONTENT
    fractions = [fraction for fraction in seen if fraction is not None]
    assert len(fractions) == len(seen) > 1
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_cancelled_download_leaves_nothing(web: Web, tmp_path: Path) -> None:
    def cancel(_: float | None) -> None:
        raise JobCancelled("Stop.")

    url = web.put("/a.mp4", Page(CONTENT, says_length=False))
    with pytest.raises(JobCancelled):
        download(url, tmp_path / "a.mp4", allow_private=True, max_bytes=10**7, on_progress=cancel)
    assert list(tmp_path.iterdir()) == []


# Reading in places


def test_a_remote_file_reads_like_a_local_one(web: Web) -> None:
    local = io.BytesIO(CONTENT)
    with RemoteFile(web.put("/a", Page(CONTENT)), allow_private=True) as remote:
        assert remote.size == len(CONTENT)
        moves = [(0, 0), (4_999_999, 0), (-7, 2), (1_048_570, 0), (100, 1), (0, 2), (-2_000_000, 1)]
        for offset, whence in moves:
            assert remote.seek(offset, whence) == local.seek(offset, whence)
            assert remote.read(20) == local.read(20)
            assert remote.tell() == local.tell()
        remote.seek(0)
        assert remote.read() == CONTENT


def test_many_small_reads_cost_few_requests(web: Web) -> None:
    with RemoteFile(web.put("/a", Page(CONTENT)), allow_private=True) as remote:
        while remote.read(4096):
            pass
    assert len(web.asked) == 10


def test_a_video_is_probed_without_being_downloaded_whole(web: Web, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=2, fps=10, faststart=False)
    padded = path.read_bytes() + (8_000_000).to_bytes(4) + b"free" + bytes(7_999_992)
    with RemoteFile(web.put("/a.mp4", Page(padded)), allow_private=True) as remote:
        info = media.probe(remote)
    assert (info.width, info.height) == (640, 360)
    assert len(web.asked) < 8


def test_probing_a_well_formed_video_takes_one_request(web: Web, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", fps=10)
    free = (8_000_000).to_bytes(4) + b"free" + bytes(7_999_992)
    with RemoteFile(web.put("/a.mp4", Page(path.read_bytes() + free)), allow_private=True) as file:
        media.probe(file)
    assert len(web.asked) == 1


def test_probing_a_video_with_its_index_at_the_end_takes_two(web: Web, tmp_path: Path) -> None:
    content = make_video(tmp_path / "a.mp4", fps=10, faststart=False).read_bytes()
    index = content.index(b"moov") - 4
    free = (8_000_000).to_bytes(4) + b"free" + bytes(7_999_992)
    late = content[:index] + free + content[index:]
    with RemoteFile(web.put("/a.mp4", Page(late)), allow_private=True) as file:
        media.probe(file)
    assert len(web.asked) == 2


def test_a_server_without_ranges_is_told_apart(web: Web) -> None:
    with pytest.raises(NoRangeSupport, match="whole files"):
        RemoteFile(web.put("/a", Page(CONTENT, ranges=False)), allow_private=True)


def test_a_file_that_changes_while_it_is_read_is_noticed(web: Web) -> None:
    url = web.put("/a", Page(CONTENT))
    with RemoteFile(url, allow_private=True) as remote:
        web.put("/a", Page(CONTENT + b"more"))
        with pytest.raises(MediaUnreachable, match="changed"):
            remote.read()


def test_a_failure_in_the_middle_of_a_video_is_still_ours(web: Web, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=2, fps=10, faststart=False)
    padded = (8_000_000).to_bytes(4) + b"free" + bytes(7_999_992) + path.read_bytes()
    url = web.put("/a.mp4", Page(padded))
    with RemoteFile(url, allow_private=True) as remote:
        web.put("/a.mp4", Page(status=403))
        with pytest.raises(MediaError):
            media.probe(remote)


def test_a_download_that_cannot_be_written_is_a_media_error(web: Web, tmp_path: Path) -> None:
    url = web.put("/v.mp4", Page(b"\0" * 100))
    for dest in (tmp_path / "missing" / "v.mp4", tmp_path):
        with pytest.raises(MediaError, match="cannot be written"):
            download(url, dest, allow_private=True, max_bytes=1000)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}.*")) == []
