"""Few heaps for many threads, so that the process does not grow with everybody who comes.

Each page is drawn in a thread of its own, and the C library gives threads heaps of their own: eight
per processor, each of which keeps what it was once filled with. Arrow, behind Milvus Lite, does the
same with an allocator it brings along.
"""

from __future__ import annotations

import ctypes
import os

# In glibc's malloc.h.
_M_ARENA_MAX = -8
_HEAPS = 2


def share() -> None:
    """To be called before there are many threads, and before Arrow is imported. What the
    environment says instead stays; another C library is left as it is."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(_M_ARENA_MAX, _HEAPS)
