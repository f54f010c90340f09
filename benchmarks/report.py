"""Every benchmark, one after the other, as one Markdown report: `python -m benchmarks.report [file]`.

Each is a command of its own, which can be run alone. The report says what it ran on, shows what each
printed and how long that took, and goes to the screen as it grows, and to the file if one is named.
It ends with 1 if one of them failed; the others run all the same.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from benchmarks.start import ROOT

# What a reader may ask, and the command that answers.
BENCHMARKS = (
    ("Search quality on the samples", "samples.evaluate"),
    ("Search over the bare engine", "benchmarks.search"),
    ("Engines: file, server, numpy; recall under every filter", "benchmarks.engines"),
    ("Partitions: what a search within one category costs", "benchmarks.partitions"),
    ("What a score means", "benchmarks.calibration"),
    ("The heat of a video", "benchmarks.heat"),
    ("Clusters, outliers, copies", "benchmarks.analysis"),
    ("Exploring 100,000 segments", "benchmarks.explore"),
    ("The built-in embedder", "benchmarks.local_embedder"),
    ("Adding videos", "benchmarks.ingest"),
    ("A large upload", "benchmarks.upload"),
    ("A question in a browser", "benchmarks.page"),
    ("A thumb in a browser", "benchmarks.rerank"),
    ("A move to a server and back", "benchmarks.move"),
    ("Cold start", "benchmarks.start"),
    ("A fresh clone", "benchmarks.fresh"),
    ("Many visitors at once", "benchmarks.sessions"),
    ("Many visitors for long", "benchmarks.soak"),
    ("Up to 100 million segments, on paper", "benchmarks.scale_model"),
)
PACKAGES = ("streamlit", "pymilvus", "milvus-lite", "numpy", "av", "onnxruntime")


def main() -> int:
    if len(sys.argv) < 2:
        return write_report([sys.stdout])
    with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        return write_report([sys.stdout, file])


def write_report(outputs: list[TextIO]) -> int:
    def write(text: str) -> None:
        for output in outputs:
            print(text, file=output, flush=True)

    write(f"# Seekpoint's benchmarks\n\n{machine()}")
    failed = [module for title, module in BENCHMARKS if not run(title, module, write)]
    if failed:
        write(f"\n**Failed:** {', '.join(failed)}")
    return 1 if failed else 0


def machine() -> str:
    """When and on what this runs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, version {commit or 'unknown'}, "
        f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, {platform.platform()}, "
        f"Python {platform.python_version()}.\n\n{packages}."
    )


def run(title: str, module: str, write: Callable[[str], None]) -> bool:
    """Runs one and writes its part; says whether it ended well."""
    write(f"\n## {title}\n\n`python -m {module}`\n")
    begun = time.monotonic()
    # What servers and libraries log goes to the other stream, and stays on the screen.
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    printed = done.stdout.strip()
    write(printed if "|---" in printed else f"```\n{printed}\n```")
    write(f"\n{(time.monotonic() - begun) / 60:.1f} minutes")
    if done.returncode:
        write(f"\n**It ended with {done.returncode}.**")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
