from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.database import Database
from core.errors import ConfigurationError
from core.settings import Settings

KEY = "tlk_0123456789"


def read(**environ: str) -> Settings:
    return Settings.from_env(environ, dotenv=None)


def test_an_empty_environment_gives_the_local_embedder_and_a_data_folder_here() -> None:
    settings = read()
    assert settings.embedder == "local"
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.milvus_uri == str(settings.data_dir / "milvus.db")
    assert settings.database_url == f"sqlite:///{settings.data_dir / 'seekpoint.db'}"
    assert (settings.segment_sec, settings.log_level, settings.allow_private_urls) == (
        4,
        "INFO",
        False,
    )


def test_an_empty_environment_agrees_with_the_defaults_of_the_class() -> None:
    assert read() == Settings()


def test_every_variable_reaches_its_field(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    settings = read(
        SEEKPOINT_EMBEDDER="TwelveLabs",
        TWELVELABS_API_KEY=f" {KEY} ",
        TWELVELABS_BASE_URL="http://127.0.0.1:1",
        TWELVELABS_MODEL="marengo3.5",
        TWELVELABS_DIMENSION="256",
        SEEKPOINT_DATA_DIR=str(tmp_path),
        MILVUS_URI="http://milvus:19530",
        MILVUS_TOKEN="root:Milvus",
        MILVUS_DATABASE="videos",
        MILVUS_CA_FILE=str(authority),
        DATABASE_URL="postgresql+psycopg://db/seekpoint",
        SEEKPOINT_SEGMENT_SEC="10",
        TWELVELABS_PRICE_PER_MINUTE="0.05",
        TWELVELABS_PRICE_PER_1000_IMAGES="marengo3.0=1, marengo3.5=2",
        TWELVELABS_PRICE_PER_1000_TEXTS="marengo3.0=1",
        SEEKPOINT_CURRENCY="EUR",
        SEEKPOINT_BUDGET_PER_RUN="5",
        SEEKPOINT_BUDGET_PER_MONTH="100.50",
        TWELVELABS_PARALLEL_TASKS="25",
        TWELVELABS_REQUESTS_PER_MINUTE="50",
        TWELVELABS_MINUTES_PER_HOUR="1200",
        TWELVELABS_KEEP_ASSETS="yes",
        SEEKPOINT_MEDIA_FOLDER=str(tmp_path),
        SEEKPOINT_ALLOW_PRIVATE_URLS="Yes",
        SEEKPOINT_MEDIA_URL="s3://videos",
        SEEKPOINT_ROLE_CLAIM="role",
        SEEKPOINT_ADMINS="Ann@Example.com, *@admins.example.com",
        SEEKPOINT_ANALYSTS="*@example.com,",
        SEEKPOINT_VIEWERS="*",
        SEEKPOINT_SECRET="hush",
        SEEKPOINT_ALLOWED_HOSTS="seekpoint.example.com",
        SEEKPOINT_METRICS_TOKEN="metrics",
        SEEKPOINT_LOG_LEVEL="debug",
        SEEKPOINT_LOG_FORMAT="JSON",
        SEEKPOINT_LOG_MAX_MB="50",
        SEEKPOINT_LOG_FILES="20",
    )
    assert dataclasses.asdict(settings) == {
        "embedder": "twelvelabs",
        "twelvelabs_api_key": KEY,
        "twelvelabs_base_url": "http://127.0.0.1:1",
        "twelvelabs_model": "marengo3.5",
        "twelvelabs_dimension": 256,
        "data_dir": tmp_path,
        "milvus_uri": "http://milvus:19530",
        "milvus_token": "root:Milvus",
        "milvus_database": "videos",
        "milvus_ca_file": authority,
        "media_url": "s3://videos",
        "role_claim": "role",
        "admins": ("ann@example.com", "*@admins.example.com"),
        "analysts": ("*@example.com",),
        "viewers": ("*",),
        "secret": "hush",
        "allowed_hosts": ("seekpoint.example.com",),
        "metrics_token": "metrics",
        "log_format": "json",
        "log_max_mb": 50,
        "log_files": 20,
        "database_url": "postgresql+psycopg://db/seekpoint",
        "segment_sec": 10,
        "price_per_minute": 0.05,
        "price_per_1000_images": 2.0,
        "price_per_1000_texts": 0.07,
        "currency": "EUR",
        "budget_per_run": 5.0,
        "budget_per_month": 100.5,
        "parallel_tasks": 25,
        "requests_per_minute": 50,
        "minutes_per_hour": 1200,
        "keep_assets": True,
        "media_folder": tmp_path,
        "allow_private_urls": True,
        "log_level": "DEBUG",
    }


@pytest.mark.parametrize(
    ("name", "wrong", "legal"),
    [
        ("SEEKPOINT_EMBEDDER", "clip", "auto, twelvelabs, local"),
        ("TWELVELABS_MODEL", "marengo2.7", "marengo3.5, marengo3.0"),
        ("TWELVELABS_DIMENSION", "1024", "512, 256, 128"),
        ("MILVUS_CA_FILE", "/no/such/file.pem", "a file that exists"),
        ("SEEKPOINT_LOG_FORMAT", "xml", "text, json"),
        ("SEEKPOINT_SEGMENT_SEC", "1", "from 2 to 10"),
        ("SEEKPOINT_SEGMENT_SEC", "11", "from 2 to 10"),
        ("SEEKPOINT_SEGMENT_SEC", "4.5", "from 2 to 10"),
        ("SEEKPOINT_SEGMENT_SEC", "four", "from 2 to 10"),
        ("SEEKPOINT_ALLOW_PRIVATE_URLS", "maybe", "0, 1, false, true, no, yes"),
        ("TWELVELABS_PRICE_PER_MINUTE", "cheap", "numbers from 0 up"),
        ("TWELVELABS_PRICE_PER_MINUTE", "nan", "numbers from 0 up"),
        ("TWELVELABS_PRICE_PER_MINUTE", "marengo2.7=0.1", "marengo3.5, marengo3.0"),
        ("SEEKPOINT_BUDGET_PER_RUN", "-1", "numbers from 0 up"),
        ("TWELVELABS_PARALLEL_TASKS", "0", "from 1 to 100"),
        ("SEEKPOINT_MEDIA_FOLDER", "/nowhere/at/all", "a folder that exists"),
        ("SEEKPOINT_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_and_what_it_may_be(
    name: str, wrong: str, legal: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(**{name: wrong})
    assert name in refusal.value.message
    assert wrong in refusal.value.message
    assert legal in refusal.value.hint


def test_a_dimension_the_chosen_model_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(TWELVELABS_MODEL="marengo3.0", TWELVELABS_DIMENSION="256")
    assert "TWELVELABS_DIMENSION" in refusal.value.message
    assert refusal.value.hint == "Legal values: 512."


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SEEKPOINT_SEGMENT_SEC=6\nSEEKPOINT_LOG_LEVEL=WARNING\n")
    settings = Settings.from_env({"SEEKPOINT_LOG_LEVEL": "ERROR"}, dotenv=dotenv)
    assert settings.segment_sec == 6
    assert settings.log_level == "ERROR"


def test_the_dotenv_of_the_working_directory_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("SEEKPOINT_SEGMENT_SEC=7\n")
    assert Settings.from_env().segment_sec == 7


def test_a_missing_dotenv_is_no_problem(tmp_path: Path) -> None:
    assert Settings.from_env({}, dotenv=tmp_path / "nowhere") == Settings()


def test_a_dotenv_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes("TWELVELABS_API_KEY=abc".encode("utf-16"))
    with pytest.raises(ConfigurationError, match=r"\.env"):
        Settings.from_env({}, dotenv=dotenv)


def test_auto_takes_twelve_labs_when_there_is_a_key_and_local_when_not() -> None:
    assert read(SEEKPOINT_EMBEDDER="auto", TWELVELABS_API_KEY=KEY).embedder == "twelvelabs"
    assert read(TWELVELABS_API_KEY=KEY).embedder == "twelvelabs"
    assert read(SEEKPOINT_EMBEDDER="auto").embedder == "local"
    assert read(TWELVELABS_API_KEY="   ").embedder == "local"


def test_local_stays_local_even_with_a_key() -> None:
    assert read(SEEKPOINT_EMBEDDER="local", TWELVELABS_API_KEY=KEY).embedder == "local"


@pytest.mark.parametrize("name", ["TWELVELABS_API_KEY", "TWELVE_LABS_API_KEY"])
def test_both_names_of_the_key_are_read(name: str) -> None:
    assert read(**{name: KEY}).twelvelabs_api_key == KEY


def test_our_own_name_of_the_key_wins() -> None:
    settings = read(TWELVELABS_API_KEY=KEY, TWELVE_LABS_API_KEY="other")
    assert settings.twelvelabs_api_key == KEY


def test_twelve_labs_without_a_key_is_refused_with_the_name_of_the_key() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(SEEKPOINT_EMBEDDER="twelvelabs")
    assert "TWELVELABS_API_KEY" in refusal.value.hint


def test_secrets_are_not_in_the_representation() -> None:
    settings = read(
        TWELVELABS_API_KEY=KEY,
        MILVUS_TOKEN="root:hush",
        DATABASE_URL="postgresql://user:sesame@host/name",
    )
    for secret in (KEY, "hush", "sesame"):
        assert secret not in repr(settings)


def test_two_spellings_of_one_data_folder_are_one_path(tmp_path: Path) -> None:
    roundabout = tmp_path / "a" / ".." / "b"
    assert read(SEEKPOINT_DATA_DIR=str(roundabout)) == read(SEEKPOINT_DATA_DIR=str(tmp_path / "b"))
    assert read(SEEKPOINT_DATA_DIR="~/x").data_dir == Path.home() / "x"


def test_a_home_that_nobody_has_is_refused_by_the_name_of_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="SEEKPOINT_DATA_DIR"):
        read(SEEKPOINT_DATA_DIR="~nobody_of_that_name/x")


@pytest.mark.parametrize("name", ["what?", "a%20b#c", "with space", "日本"])
def test_the_records_stand_in_the_data_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    settings = read(SEEKPOINT_DATA_DIR=str(tmp_path / name))
    settings.data_dir.mkdir()
    Database(settings.database_url).close()
    assert (settings.data_dir / "seekpoint.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
