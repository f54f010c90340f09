from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As glibc tells it in malloc_info, once all of these threads hold memory at the same time.
COUNT_HEAPS = """
import ctypes, sys, threading

c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.fopen.restype = ctypes.c_void_p
together = threading.Barrier(17)

def hold():
    c.malloc(ctypes.c_size_t(1000))
    together.wait()

for _ in range(16):
    threading.Thread(target=hold).start()
together.wait()
out = ctypes.c_void_p(c.fopen(sys.argv[1].encode(), b"w"))
c.malloc_info(0, out)
c.fclose(out)
"""


def heaps_of(code: str, project: Path, report: Path, **environment: str) -> int:
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    subprocess.run(
        [sys.executable, "-c", code + COUNT_HEAPS, report],
        cwd=project,
        env=plain | environment,
        timeout=60,
        check=True,
    )
    return report.read_text().count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_many_threads_share_two_heaps_unless_the_environment_says_otherwise(
    project: Path, tmp_path: Path
) -> None:
    report = tmp_path / "heaps.xml"
    share = "from components import heaps; heaps.share()\n"

    assert heaps_of("", project, report) > 2
    assert heaps_of(share, project, report) == 2
    assert heaps_of(share, project, report, MALLOC_ARENA_MAX="3") == 3
