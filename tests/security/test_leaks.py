from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent
# The key is put together only there: what stands here is no leak.
TESTS = """
import logging, pytest

KEY = "tl" + "k_0123"

def test_one(tmp_path):
    (tmp_path / "server.log").write_text(f"the key is {KEY}")

def test_two(tmp_path):
    (tmp_path / "seekpoint.log.1").write_text(f"the key is {KEY}")

def test_three():
    print("The key is", KEY)

def test_four():
    logging.getLogger("core").warning("The key is %s", KEY)

def test_five(tmp_path):
    (tmp_path / "server.log").write_text("the key is [redacted]")
"""


def test_a_run_that_leaks_a_key_fails_and_says_where() -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "test_some.py").write_text(TESTS)
        plugins = ["-p", "tests.leaks", "-p", "no:cacheprovider"]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, f"--basetemp={folder}/base", "test_some.py"],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "5 passed" in run.stdout
    assert run.returncode == 1
    leaks = run.stdout.partition("Secrets that leaked")[2]
    for place in ("test_one0/server.log", "seekpoint.log.1", "::test_three", "::test_four"):
        assert place in leaks
    assert "test_five" not in leaks
