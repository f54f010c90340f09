"""Links: who may write one, what it names, how long it lasts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from itsdangerous import BadData

from components.links import HALF_DAY_SEC, SECRET_BYTES, Links, secret_of
from core.errors import ConfigurationError
from core.models import Video
from core.settings import Settings
from tests.clock import Clock


def video(url: str) -> Video:
    return Video("ab12", "A film", url, None, "", "test", 1, datetime(2026, 1, 1, tzinfo=UTC))


LOCAL = video("file:///films/a.mp4")


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(secret_of(Settings(data_dir=tmp_path)))


def test_a_remote_video_is_loaded_from_its_own_address(links: Links) -> None:
    assert (
        links.video_url(video("https://example.com/a.mp4?x=1")) == "https://example.com/a.mp4?x=1"
    )


def test_a_local_video_gets_a_token_that_reads_back_as_its_id(links: Links) -> None:
    folder, token = links.video_url(LOCAL).rsplit("/", 1)
    assert folder == "/video"
    assert links.read(token, "video") == ["ab12"]


def test_a_poster_is_named_to_the_millisecond(links: Links) -> None:
    _, folder, token, name = links.poster_url(LOCAL, 12.3456).split("/")
    assert (folder, name) == ("poster", "12346.jpg")
    assert links.read(token, "poster") == ["ab12"]


def test_a_token_is_good_for_one_purpose_only(links: Links) -> None:
    token = links.poster_url(LOCAL, 0).split("/")[2]
    with pytest.raises(BadData):
        links.read(token, "video")


def test_the_right_to_upload_is_no_right_to_a_video(links: Links) -> None:
    assert links.read(links.upload_token(), "upload") == []
    with pytest.raises(BadData):
        links.read(links.upload_token(), "video")
    with pytest.raises(BadData):
        links.read(links.video_url(LOCAL).rsplit("/", 1)[1], "upload")


@pytest.mark.parametrize("token", ["", "ab12", "ImFiMTIi.AAAA", "../../etc/passwd"])
def test_a_token_this_server_did_not_write_is_refused(links: Links, token: str) -> None:
    with pytest.raises(BadData):
        links.read(token, "video")


def test_a_link_survives_a_restart(links: Links, tmp_path: Path) -> None:
    again = Links(secret_of(Settings(data_dir=tmp_path)))
    assert again.video_url(LOCAL) == links.video_url(LOCAL)


def test_two_installations_do_not_accept_each_others_links(links: Links, tmp_path: Path) -> None:
    other = Links(secret_of(Settings(data_dir=tmp_path / "other")))
    with pytest.raises(BadData):
        other.read(links.video_url(LOCAL).rsplit("/", 1)[1], "video")


def test_the_secret_is_readable_by_its_owner_only(links: Links, tmp_path: Path) -> None:
    assert links.video_url(LOCAL)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_first_starts_at_the_same_moment_agree_on_one_secret(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        urls = pool.map(lambda _: Links(secret_of(settings)).video_url(LOCAL), range(32))
    assert len(set(urls)) == 1


def test_a_damaged_secret_is_named_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="damaged"):
        secret_of(Settings(data_dir=tmp_path))


def test_a_data_directory_that_cannot_be_used_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        secret_of(Settings(data_dir=tmp_path / "file"))


def test_addresses_stand_below_the_base_path(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "/films/"}.get)
    assert links.video_url(LOCAL).startswith("/films/video/")
    assert links.poster_url(LOCAL, 1).startswith("/films/poster/")
    assert links.video_url(video("https://example.com/a.mp4")) == "https://example.com/a.mp4"


def test_the_address_of_scores_carries_their_question(links: Links) -> None:
    folder, token = links.heat_url("a question", LOCAL).rsplit("/", 1)
    assert folder == "/heat"
    assert links.read(token, "heat") == ["a question", "ab12"]


def test_an_address_stays_for_half_a_day_and_is_read_until_the_next_one_has_passed() -> None:
    clock = Clock()
    links = Links(b"a secret", now=clock)
    url = links.video_url(LOCAL)
    token = url.rsplit("/", 1)[1]
    clock.sleep(HALF_DAY_SEC - 1)
    assert links.video_url(LOCAL) == url
    clock.sleep(HALF_DAY_SEC)
    assert links.video_url(LOCAL) != url
    assert links.read(token, "video") == ["ab12"]
    clock.sleep(1)
    with pytest.raises(BadData):
        links.read(token, "video")


def test_an_address_is_good_for_whom_it_was_written(links: Links) -> None:
    token = links.of("anna@example.com").video_url(LOCAL).rsplit("/", 1)[1]
    assert links.of("anna@example.com").read(token, "video") == ["ab12"]
    for other in (links, links.of("ben@example.com")):
        with pytest.raises(BadData):
            other.read(token, "video")


def test_servers_with_one_secret_read_each_others_addresses(tmp_path: Path) -> None:
    first, second = (
        Links(secret_of(Settings(data_dir=tmp_path / name, secret="s" * SECRET_BYTES)))
        for name in ("first", "second")
    )
    assert first.video_url(LOCAL) == second.video_url(LOCAL)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SEEKPOINT_SECRET has 6 characters"):
        secret_of(Settings(data_dir=tmp_path, secret="secret"))
