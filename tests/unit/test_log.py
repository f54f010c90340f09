from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.log import configure_logging, working_on
from core.settings import Settings

KEY = "tlk_0123456789ABCDEF"
LOGGERS = ("core", "components", "app")


pytestmark = pytest.mark.usefixtures("own_loggers")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        twelvelabs_api_key=KEY,
        milvus_token="root:hush",
        database_url="postgresql+psycopg://seek:p@ss:word@db.example/seekpoint",
    )


def log_text(settings: Settings) -> str:
    return (settings.data_dir / "logs" / "seekpoint.log").read_text(encoding="utf-8")


def test_lines_of_our_loggers_reach_the_file_and_the_console(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings)
    for name in LOGGERS:
        logging.getLogger(f"{name}.part").info("hello from %s", name)
    console = capsys.readouterr().err
    for name in LOGGERS:
        assert f"INFO    {name}.part: hello from {name}" in log_text(settings)
        assert f"hello from {name}" in console


def test_the_level_is_the_one_that_was_set(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, log_level="WARNING")
    configure_logging(settings)
    logging.getLogger("core.part").info("quiet")
    logging.getLogger("core.part").warning("loud")
    assert "quiet" not in log_text(settings)
    assert "loud" in log_text(settings)


def test_configuring_twice_writes_a_line_once(settings: Settings) -> None:
    configure_logging(settings)
    configure_logging(settings)
    logging.getLogger("core").info("only once")
    assert log_text(settings).count("only once") == 1


@pytest.mark.parametrize(
    "line",
    [
        "GET https://a.example/@user/v.mp4?x=1 is fine",
        "wrote to someone@example.com about https://a.example/v.mp4",
        "12 tokens: a normal sentence",
    ],
)
def test_what_is_no_secret_stays_readable(settings: Settings, line: str) -> None:
    configure_logging(settings)
    logging.getLogger("core").info("%s", line)
    assert line in log_text(settings)


def test_a_line_says_whose_page_and_which_job_it_is_about(settings: Settings) -> None:
    configure_logging(settings, whose=lambda: {"session": "a1b2"})
    logger = logging.getLogger("core.part")
    with working_on(job="j1"):
        with working_on(request="r2"):
            logger.info("both")
        logger.info("one")
        other = threading.Thread(target=logger.info, args=("elsewhere",))
        other.start()
        other.join()
    assert [line.split(" ", 4)[4] for line in log_text(settings).splitlines()] == [
        "  core.part session=a1b2 job=j1 request=r2: both",
        "  core.part session=a1b2 job=j1: one",
        "  core.part session=a1b2: elsewhere",
    ]


def test_json_is_one_object_a_line_without_secrets(settings: Settings) -> None:
    key = 'quoted"key'
    settings = replace(settings, log_format="json", twelvelabs_api_key=key)
    configure_logging(settings)
    with working_on(job="j1"):
        logging.getLogger("core.part").info("two\nlines and %s, ünd so", key)
    try:
        raise ValueError(f"headers were {key}")
    except ValueError:
        logging.getLogger("core").exception("failed")
    first, second = (json.loads(line) for line in log_text(settings).splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": "core.part",
        "message": "two\nlines and [redacted], ünd so",
        "job": "j1",
    }
    assert "ValueError: headers were [redacted]" in second["exception"]


def test_the_file_begins_anew_at_its_size_and_only_so_many_are_kept(settings: Settings) -> None:
    configure_logging(replace(settings, log_max_mb=1, log_files=2))
    logger = logging.getLogger("core")
    console = logger.handlers.pop()  # megabytes would flood the screen
    for number in range(5):
        logger.info("%d %s", number, "x" * 600_000)
    console.close()
    files = sorted((settings.data_dir / "logs").iterdir())
    assert [file.name for file in files] == [
        "seekpoint.log",
        "seekpoint.log.1",
        "seekpoint.log.2",
    ]
    assert " 4 xxx" in files[0].read_text()
    assert " 2 xxx" in files[2].read_text()


def test_a_data_folder_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="SEEKPOINT_DATA_DIR"):
        configure_logging(Settings(data_dir=tmp_path / "file"))
