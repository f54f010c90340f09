from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_process_ends_although_something_in_it_never_does(project: Path) -> None:
    stuck = (
        "import threading; from components import shutdown; shutdown.CLOSING_SEC = 0.1;"
        "threading.Thread(target=threading.Event().wait, name='stuck').start();"
        "shutdown.end_in_time()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", stuck],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert "these still run" in ended.stderr
    assert "stuck" in ended.stderr
