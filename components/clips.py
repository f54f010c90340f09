"""The moments of a session as clips: cut in the background, shown as they come, to be downloaded."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from components.feedback import show_error
from components.format import count, size
from components.selection import mark_exported
from core import Finding, JobCancelled, Library, SeekpointError

logger = logging.getLogger(__name__)

_CUTTING = "search_clips"
_REFRESH_SEC = 0.5


class Cutting:
    """Clips that are being cut. `fraction` is done, 0 to 1; in the end there is a `path` or an
    `error`, or neither when somebody cancelled."""

    def __init__(self, library: Library, findings: Sequence[Finding]) -> None:
        self.number = len(findings)
        self.fraction = 0.0
        self.path: Path | None = None
        self.error: SeekpointError | None = None
        self.ids = [finding.id for finding in findings]
        # Cleared at the next start, should the session end before the download.
        temporary = library.settings.data_dir / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="clips-", dir=temporary))
        self._cancelled = threading.Event()
        self._thread = threading.Thread(
            target=self._cut, args=(library, list(findings)), name="clips", daemon=True
        )
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        """Returns when there is nothing more to do."""
        self._thread.join()

    def cancel(self) -> None:
        """Ends the work at the next frame, and deletes what was made."""
        self._cancelled.set()
        self.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self, library: Library, findings: list[Finding]) -> None:
        try:
            self.path = library.cut_clips(
                findings,
                self._folder / "seekpoint-clips.zip",
                on_progress=self._progress,
                cancelled=self._cancelled.is_set,
            )
        except JobCancelled:
            logger.info("cutting %d clips was cancelled", len(findings))
        except SeekpointError as error:
            self.error = error

    def _progress(self, fraction: float) -> None:
        self.fraction = fraction


def begin(library: Library, findings: Sequence[Finding]) -> None:
    """Cuts these moments in the background, in place of those before."""
    dismiss()
    st.session_state[_CUTTING] = Cutting(library, findings)


def dismiss() -> None:
    """Cancels what is being cut and forgets what was."""
    cutting: Cutting | None = st.session_state.pop(_CUTTING, None)
    if cutting is not None:
        cutting.cancel()


def clips(library: Library) -> None:
    """How far the clips are, and the file once they are there; nothing when nobody wants any."""
    cutting: Cutting | None = st.session_state.get(_CUTTING)
    if cutting is not None:
        running = cutting.running
        st.fragment(_bar, run_every=_REFRESH_SEC if running else None)(
            library, cutting, polling=running
        )


def _bar(library: Library, cutting: Cutting, *, polling: bool) -> None:
    if polling and not cutting.running:
        st.rerun()  # nothing more to wait for
    if cutting.error is not None:
        show_error(cutting.error)
    with st.container(horizontal=True, vertical_alignment="center", key="search_clips"):
        if polling:
            st.progress(cutting.fraction, text=f"Cutting {count(cutting.number, 'clip')}")
        elif cutting.path is not None:
            path, ids = cutting.path, cutting.ids

            def read() -> bytes:
                content = path.read_bytes()
                mark_exported(library, ids)
                return content

            st.text(f"{count(cutting.number, 'clip')}, {size(path.stat().st_size)}")
            st.download_button(
                "Download the clips",
                data=read,
                file_name="seekpoint-clips.zip",
                mime="application/zip",
                icon=":material/download:",
                on_click="ignore",
            )
        if st.button("Cancel" if polling else "Dismiss", type="tertiary", key="search_clips_end"):
            dismiss()
            st.rerun()
