"""A file that was made for somebody waits until they have fetched it.

Streamlit drops what a download button made as soon as two pages were drawn by whomever, and with
several people about that is often before the browser has asked for it: it then gets a 404.
"""

from __future__ import annotations

import time

from streamlit.runtime import media_file_manager

KEPT_SEC = 60.0


class _Kept(media_file_manager.MediaFileMetadata):
    """What Streamlit notes about a file; it asks here whether it may go, each time it looks."""

    _unused_since: float | None = None

    @property
    def is_marked_for_delete(self) -> bool:
        unused = self._unused_since
        return unused is not None and time.monotonic() - unused >= KEPT_SEC

    def mark_for_delete(self) -> None:
        if self._unused_since is None:
            self._unused_since = time.monotonic()


def keep_for_a_while() -> None:
    """From now on files last for KEPT_SEC after nobody shows them any more."""
    media_file_manager.MediaFileMetadata = _Kept  # type: ignore[misc]
