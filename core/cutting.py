"""Findings as clips: a ZIP file of videos that begin and end with the right frame."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from core import media
from core.errors import JobCancelled, MediaError, MediaUnreachable
from core.media import MediaFile
from core.models import Finding

PROBLEMS = "Clips that could not be made.txt"
_TITLE_BYTES = 120
_UNSAFE = re.compile(r"[^\w .,()+-]+")


def cut_clips(
    findings: Sequence[Finding],
    zip_path: Path,
    *,
    opened: Callable[[Finding], AbstractContextManager[MediaFile]],
    on_progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Path:
    """Writes a clip of every finding; what `opened` cannot give, or is no video, is listed inside.

    The file is there complete or not at all.

    Raises:
        JobCancelled: when `cancelled`. MediaError: when the disk has no room or cannot be written.
    """
    problems: list[str] = []
    names: set[str] = set()
    silent: dict[str, MediaError] = {}
    with (
        media.translated(zip_path),
        TemporaryDirectory(prefix=".clips-", dir=zip_path.parent) as folder,
    ):
        draft, clip = Path(folder) / "clips.zip", Path(folder) / "clip.mp4"
        with ZipFile(draft, "w", ZIP_STORED) as archive:
            for number, finding in enumerate(findings):
                tell = _teller(number, len(findings), on_progress, cancelled)
                tell(0.0)
                try:
                    _cut(finding, clip, opened, tell, silent)
                except media.DiskFull:
                    raise
                except MediaError as error:
                    problems.append(_problem(finding, error))
                    continue
                archive.write(clip, _new_name(finding, names))
            if problems:
                archive.writestr(PROBLEMS, "\r\n".join(problems), ZIP_DEFLATED)
        draft.replace(zip_path)
    on_progress(1.0)
    return zip_path


def _teller(
    number: int,
    total: int,
    on_progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Callable[[float], None]:
    """Turns how far one clip is into how far all are, and ends the work when that was asked for."""

    def tell(fraction: float) -> None:
        if cancelled():
            raise JobCancelled("The clips were not made: somebody cancelled.")
        on_progress((number + fraction) / total)

    return tell


def _cut(
    finding: Finding,
    clip: Path,
    opened: Callable[[Finding], AbstractContextManager[MediaFile]],
    tell: Callable[[float], None],
    silent: dict[str, MediaError],
) -> None:
    """Writes the clip. A video that could not be reached once is not waited for again."""
    moment = finding.moment
    if moment.video.id in silent:
        raise silent[moment.video.id]
    try:
        with opened(finding) as source:
            media.cut_frames(
                source, moment.start_offset_sec, moment.end_offset_sec, clip, on_progress=tell
            )
    except MediaUnreachable as error:
        silent[moment.video.id] = error
        raise


def _new_name(finding: Finding, names: set[str]) -> str:
    """Rank, title and time, as every system takes them; a number tells equal ones apart."""
    moment = finding.moment
    title = " ".join(_UNSAFE.sub(" ", moment.video.title).split()).strip(". ")
    title = title.encode()[:_TITLE_BYTES].decode(errors="ignore").rstrip(". ")
    stem = " ".join(f"{moment.rank:03} {title} {_clock(moment.start_offset_sec)}".split())
    stems = itertools.chain([stem], (f"{stem} ({number})" for number in itertools.count(2)))
    name = next(f"{stem}.mp4" for stem in stems if f"{stem}.mp4".casefold() not in names)
    names.add(name.casefold())
    return name


def _problem(finding: Finding, error: MediaError) -> str:
    moment = finding.moment
    title = " ".join(moment.video.title.split())
    return f"{moment.rank}. {title}, {_clock(moment.start_offset_sec)}: {error}"


def _clock(seconds: float) -> str:
    """h.mm.ss.mmm: no system minds dots in a name."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}.{minute:02}.{second:02}.{milliseconds:03}"
