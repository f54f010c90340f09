"""The processes that decode for another one."""

from __future__ import annotations

from pathlib import Path


def workers_of(process: int) -> set[int]:
    """Those that a process has started and that have not ended."""
    children = [
        int(child)
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    # What has ended has no command any more.
    return {
        child for child in children if "core.decoding" in Path(f"/proc/{child}/cmdline").read_text()
    }
