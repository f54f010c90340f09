"""Keys stay out of logs, whoever writes the line, and out of what is shown or raised."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from core import SeekpointError, open_library
from core.log import configure_logging
from core.settings import Settings

pytestmark = pytest.mark.usefixtures("own_loggers")

TWELVE_LABS, MILVUS, DATABASE = "tlk_0123456789ABCDEF", "milvus_sesame", "s/e:s@me_sesame"
SIGNING, METRICS, S3 = "signing_sesame", "metrics_sesame", "s3_sesame"
KINDS = {
    "twelve-labs": TWELVE_LABS,
    "milvus-token": f"root:{MILVUS}",
    "milvus-password": MILVUS,
    "database-password": DATABASE,
    "database-password-in-an-address": "s%2Fe%3As%40me_sesame",
    "signing-secret": SIGNING,
    "metrics-token": METRICS,
    "media-password": S3,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        twelvelabs_api_key=TWELVE_LABS,
        milvus_token=f"root:{MILVUS}",
        database_url="postgresql+psycopg://seek:s%2Fe%3As%40me_sesame@db.example/seekpoint",
        media_url=f"s3://user:{S3}@bucket/videos",
        secret=SIGNING,
        metrics_token=METRICS,
    )


def log_text(settings: Settings) -> str:
    return (settings.data_dir / "logs" / "seekpoint.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("secret", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_key_of_any_kind_is_blotted_out(settings: Settings, secret: str, form: str) -> None:
    configure_logging(replace(settings, log_format=form))
    logging.getLogger("core").info("it was %s, and again <%s>", secret, secret)
    assert secret not in log_text(settings)
    assert log_text(settings).count("[redacted]") == 2


HIDING_PLACES = {
    "api-key-header": ("x-api-key: tlk_another", "tlk_another"),
    "headers": ("{'x-api-key': 'tlk_another', 'accept': '*/*'}", "tlk_another"),
    "headers-in-bytes": ("[(b'x-api-key', b'tlk_another')]", "tlk_another"),
    "json": ('{"api_key": "tlk_another"}', "tlk_another"),
    "bearer": ("Authorization: Bearer abc.sesame", "abc.sesame"),
    "basic": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "password": ("password=sesame", "sesame"),
    "login-provider": ('client_secret = "oidc_sesame"', "oidc_sesame"),
    "login-provider-form": ("grant_type=code&client_secret=oidc_sesame&code=1", "oidc_sesame"),
    "login-cookies": ("cookie_secret: oidc_sesame", "oidc_sesame"),
    "cookie": ("'cookie': '_streamlit_user=oidc_sesame; x=1'", "oidc_sesame"),
    "aws": ("AWS_SECRET_ACCESS_KEY=aws_sesame", "aws_sesame"),
    "signed-by-aws": ("GET https://a.example/v.mp4?X-Amz-Signature=f00d&x=1", "f00d"),
    "signed-by-azure": ("GET https://a.example/v.mp4?sv=2024&sig=f00d%3D&x=1", "f00d"),
    "token-in-an-address": ("GET https://a.example/v.mp4?token=f00d", "f00d"),
    "milvus-address": ("connecting to http://root:sesame@milvus:19530", "sesame"),
    "database-address": ("connecting to postgresql+psycopg://me:p@ss:sesame@db/x", "ss:sesame"),
    "address-without-user": ("connecting to redis://:sesame@cache", "sesame"),
    "token-as-user": ("fetching https://ghp_sesame@host.example/v.mp4", "ghp_sesame"),
}


@pytest.mark.parametrize(("line", "secret"), HIDING_PLACES.values(), ids=HIDING_PLACES.keys())
def test_what_looks_like_a_key_is_blotted_out(settings: Settings, line: str, secret: str) -> None:
    configure_logging(settings)
    logging.getLogger("core").info("%s", line)
    assert secret not in log_text(settings)
    assert "[redacted]" in log_text(settings)


def test_a_key_inside_a_traceback_is_blotted_out(settings: Settings) -> None:
    configure_logging(settings)
    try:
        raise ValueError(f"headers were {{'x-api-key': '{TWELVE_LABS}'}}, the login {DATABASE}")
    except ValueError:
        logging.getLogger("core.embedders").exception("failed with %s", MILVUS)
    text = log_text(settings)
    assert "Traceback" in text
    assert "ValueError" in text
    assert not [secret for secret in KINDS.values() if secret in text]


@pytest.mark.parametrize("name", ["streamlit.runtime", "uvicorn.error", "httpx", "sqlalchemy"])
def test_a_library_that_logs_a_key_logs_none(
    settings: Settings, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    configure_logging(settings)
    try:
        raise RuntimeError(f"no luck with {DATABASE}")
    except RuntimeError:
        logging.getLogger(name).exception("asked with %r", {"x-api-key": TWELVE_LABS})
    assert "[redacted]" in caplog.text
    assert not [secret for secret in KINDS.values() if secret in caplog.text]


def test_settings_do_not_show_their_keys(settings: Settings) -> None:
    settings = replace(settings, milvus_uri=f"http://root:{MILVUS}@milvus:19530")
    shown = f"{settings!r} {settings}"
    assert not [secret for secret in (*KINDS.values(), SIGNING) if secret in shown]


WRONG = {
    "milvus": {"milvus_uri": f"http://root:{MILVUS}@127.0.0.1:9"},
    "database": {"database_url": f"postgresql+psycopg://seek:{MILVUS}@127.0.0.1:9/x"},
    "database-of-no-kind": {"database_url": f"nosuch://seek:{MILVUS}@127.0.0.1/x"},
    "database-without-sense": {"database_url": f"seek:{MILVUS}@127.0.0.1/x"},
    "media": {"media_url": f"nosuch://user:{MILVUS}@bucket/videos"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_opened_is_named_without_its_password(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    with (
        pytest.raises(SeekpointError) as caught,
        open_library(replace(Settings(data_dir=tmp_path), **wrong)),
    ):
        pass
    assert "sesame" not in f"{caught.value} {caught.value!r}"
