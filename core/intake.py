"""What a source is, before anything is done with it: who, where, how long, and whether it will do."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core import fetch, media
from core.database import valid_text
from core.embedders.base import Embedder
from core.errors import MediaError, MediaUnreachable, SeekpointError
from core.ledger import Ledger
from core.media_store import CONTENT_ID_LENGTH, Location, MediaStore, as_location
from core.models import MediaInfo, SourceEstimate, SourceLine
from core.settings import Settings
from core.shelf import Shelf
from core.state import StoredVideo

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was looked at. `path` is its file, None for a video on the web. `unknown` says
    why `info` is None when it is. `sha256` is that of a file's content, empty when it was not read
    for this."""

    video_id: str
    video_url: str
    path: Location | None
    info: MediaInfo | None
    unknown: str = ""
    sha256: str = ""

    @property
    def minutes(self) -> float | None:
        return None if self.info is None else self.info.duration / 60


def is_url(source: str | Path) -> bool:
    return isinstance(source, str) and "://" in source


def normal_source(source: str | Path) -> str:
    """One spelling per source: a trimmed address, or an absolute path that can be kept as text."""
    if is_url(source):
        return str(source).strip()
    # A name that is no valid text can be neither kept nor shown; its job says it is not there.
    path = Path(valid_text(str(source)))
    try:
        return str(path.expanduser().resolve())
    except (RuntimeError, OSError):
        return str(path.absolute())  # nobody has that home, or the links go in circles


def default_title(source: str) -> str:
    """A readable title from a file name or an address."""
    on_the_web = is_url(source) and urlsplit(source).scheme in {"http", "https"}
    name = unquote(urlsplit(source).path) if on_the_web else source
    return Path(name).stem.replace("_", " ").strip() or source


def video_id_of_url(url: str) -> str:
    """The id of a remote video: a hash of its canonical address."""
    return hashlib.sha256(fetch.canonical_url(url).encode()).hexdigest()[:CONTENT_ID_LENGTH]


def video_id_of_content(sha256: str) -> str:
    """The id of a local video: from the hash of its content, so another name changes nothing."""
    return sha256[:CONTENT_ID_LENGTH]


class Intake:
    """Looks at sources for the queue, and for whoever wants to know before there is a job."""

    def __init__(
        self,
        settings: Settings,
        embedder: Embedder,
        shelf: Shelf,
        ledger: Ledger,
        copies: MediaStore,
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._shelf = shelf
        self._ledger = ledger
        self._copies = copies

    def look(self, source: str) -> Source:
        """Probes a source in its normal spelling.

        Raises:
            MediaError: when it is no video that the embedder takes.
        """
        location = self._copies.located(as_location(source))
        copy_of = self._copies.content_id(location)
        if copy_of is not None:
            found = self._look_at_copy(location, copy_of)
        elif isinstance(location, Path):
            info = media.probe(location)
            sha256 = media.content_hash(location)
            video_id = video_id_of_content(sha256)
            found = Source(video_id, location.as_uri(), location, info, sha256=sha256)
        else:
            found = self._look_at_url(location)
        if found.info is not None:
            self._check_limits(found.info)
        return found

    def known(self, video_id: str) -> StoredVideo | None:
        """The video if it is in the library as it would be embedded now."""
        stored = self._shelf.get(video_id)
        if stored is None or stored.segment_sec not in {None, self._settings.segment_sec}:
            return None
        return stored

    def estimate(self, line: SourceLine) -> SourceEstimate:
        """What adding this source would mean; what is wrong with it is in the answer."""
        minutes = size = price = None
        known = problem = hint = warning = video_id = ""
        try:
            if line.problem:
                raise MediaError(line.problem)
            source = normal_source(line.source)
            stored = self._known_address(source)
            if stored is None:
                found = self.look(source)
                video_id, minutes, warning = found.video_id, found.minutes, found.unknown
                size = found.info.size if found.info is not None else None
                stored = self.known(video_id)
            if stored is not None:
                video_id, known = stored.video.id, stored.video.title
                minutes = stored.video.duration and stored.video.duration / 60
                price = 0.0
            elif self._ledger.resumable(video_id):
                price = 0.0
                warning = "Paid for before: its result is fetched, not bought again."
            else:
                price = self._ledger.price_of(minutes)
        except SeekpointError as error:
            problem, hint = error.message, error.hint
        return SourceEstimate(
            source=line.source,
            minutes=minutes,
            price=price,
            known=known,
            problem=problem,
            hint=hint,
            warning=warning,
            title=line.title,
            category=line.category,
            where=line.where,
            size=size,
            video_id=video_id,
        )

    def _known_address(self, source: str) -> StoredVideo | None:
        """The video of an address that is in the library already: it need not be probed again."""
        if not is_url(source) or self._copies.content_id(source) is not None:
            return None
        url = fetch.check_url(source, allow_private=self._settings.allow_private_urls)
        return self.known(video_id_of_url(url))

    def _look_at_copy(self, location: Location, content_id: str) -> Source:
        """A copy of ours, which lies in a folder named by its content."""
        with self._copies.opened(location) as file:
            info = media.probe(file)
        url = location.as_uri() if isinstance(location, Path) else location
        return Source(content_id, url, location, info)

    def _look_at_url(self, source: str) -> Source:
        """A remote video; without its facts when only the service may be able to reach it."""
        allow_private = self._settings.allow_private_urls
        url = fetch.check_url(source, allow_private=allow_private)
        video_id, info, unknown = video_id_of_url(url), None, ""
        try:
            with fetch.RemoteFile(url, allow_private=allow_private) as remote:
                info = media.probe(remote)
        except fetch.NoRangeSupport:
            unknown = "Its length cannot be read without loading the whole file."
        except MediaUnreachable as error:
            if not self._embedder.remote:
                raise
            logger.info("%s could not be probed from here: %s", url, error)
            unknown = f"Not reached from here, perhaps by the service: {error.message}"
        return Source(video_id, url, None, info, unknown)

    def _check_limits(self, info: MediaInfo) -> None:
        limits = self._embedder.limits
        shorter_side = min(info.width, info.height)
        if limits.video_min_sec and info.duration < limits.video_min_sec:
            raise MediaError(
                f"This video lasts {info.duration:.1f} s; {self._embedder.model} needs at least "
                f"{limits.video_min_sec:g} s.",
                "Add a longer video.",
            )
        if limits.video_max_sec and info.duration > limits.video_max_sec:
            raise MediaError(
                f"This video lasts {info.duration / 3600:.1f} h; {self._embedder.model} takes at "
                f"most {limits.video_max_sec / 3600:g} h.",
                "Split it and add the parts.",
            )
        if limits.video_min_side and shorter_side < limits.video_min_side:
            raise MediaError(
                f"This video is {info.width} x {info.height}; {self._embedder.model} needs at "
                f"least {limits.video_min_side} pixels on the shorter side.",
                "Add a version with a higher resolution.",
            )
