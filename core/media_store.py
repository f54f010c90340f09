"""Where the copies of uploaded videos are kept: in a folder, or anywhere that fsspec reaches.

A copy lies under `<content id>/<name>`. Records and jobs name it by its location: a path in a
folder, and elsewhere an address, in which no password ever stands.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from core import media
from core.errors import ConfigurationError, MediaError, MediaUnreachable
from core.media import MediaFile
from core.settings import Settings

logger = logging.getLogger(__name__)

Location = Path | str

# The first characters of the SHA-256 of a content, in hexadecimal, are its id.
CONTENT_ID_LENGTH = 32

_CONTENT_ID = re.compile(rf"[0-9a-f]{{{CONTENT_ID_LENGTH}}}")
_ON_THE_WEB = re.compile("https?://", re.IGNORECASE)
# A demuxer reads here and there: a few blocks are kept, and none is larger than a poster is worth.
_BLOCK_BYTES = 1 << 20
_BLOCKS_KEPT = 16
_PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A copy that is not on this machine. `read` gives the bytes from the first number up to, but
    not including, the second one, and asks the store for no others. It raises MediaError."""

    name: str
    size: int
    content_id: str
    read: Callable[[int, int], bytes]


def as_location(noted: str) -> Location:
    """A location as it was noted in a record, or as the source of a job."""
    return noted if "://" in noted else Path(noted)


def open_media_store(settings: Settings) -> MediaStore:
    """The store of these settings; nothing is asked of it yet.

    Raises:
        ConfigurationError: nothing installed here can open SEEKPOINT_MEDIA_URL.
    """
    url, own = settings.media_url, settings.data_dir / "media"
    if not url:
        return MediaStore(own)
    scheme = urlsplit(url).scheme if "://" in url else "file"
    try:
        if scheme == "file":
            path = unquote(urlsplit(url).path) if "://" in url else url
            return MediaStore(Path(path).expanduser().resolve(), own)
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(url)
        password = urlsplit(url).password
        if password and password in root:  # it would be in every location
            raise ValueError("addresses of this kind have no password")
        return _RemoteMediaStore(filesystem, root, own)
    except Exception as error:  # noqa: BLE001 - each kind of store refuses in its own way
        # Its words may hold the address, and that a password: only their kind is told.
        logger.warning("SEEKPOINT_MEDIA_URL cannot be opened: %s", type(error).__name__)
        raise ConfigurationError(
            f"SEEKPOINT_MEDIA_URL begins with {scheme}, and cannot be opened.",
            "Legal values: a folder, or an address that fsspec opens, like s3://bucket/folder. "
            "Each kind needs its package: s3fs for s3, gcsfs for gs, adlfs for abfs.",
        ) from None


class MediaStore:
    """The copies in a folder. Threads may share it.

    Any other file on this machine can be read through it as well. `former` are folders where
    copies were kept before: those still there stay ours.

    Raises OSError where this machine's disk refuses something.
    """

    def __init__(self, folder: Path, *former: Path) -> None:
        self._folder = folder
        self._folders = {folder, *former}

    def location(self, content_id: str, name: str) -> Location:
        """Where a copy is, or would be."""
        return self._folder / content_id / name

    def content_id(self, location: Location) -> str | None:
        """Which content a location is the copy of; None when it is no copy of ours."""
        path = Path(location)
        ours = path.parent.parent in self._folders and _CONTENT_ID.fullmatch(path.parent.name)
        return path.parent.name if ours else None

    def located(self, location: Location) -> Location:
        """Where a file is now: copies may have been moved together, from one folder or store to
        another, since somebody noted where they are."""
        *_, folder, name = ("", "", *PurePosixPath(location).parts)
        if not _CONTENT_ID.fullmatch(folder) or _ON_THE_WEB.match(str(location)):
            return location
        if isinstance(location, Path) and location.is_file():
            return location
        return self.location(folder, name)

    def find(self, content_id: str, size: int) -> Location | None:
        """The complete copy of this content; one of another size was cut off on its way."""
        copies = self._folder.glob(f"{content_id}/[!.]*")
        return next((copy for copy in copies if copy.stat().st_size == size), None)

    def put(self, file: Path, location: Location) -> None:
        """Takes a file in, by moving it where that can be done. The copy is complete or not there;
        `find` tells them apart where a store shows what is still on its way."""
        copy = Path(location)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.replace(copy)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # Another disk. A second try of the same file writes over what a first one left.
            draft = copy.with_name(f".{file.name}")
            with file.open("rb") as source, draft.open("wb") as dest:
                shutil.copyfileobj(source, dest, _PIECE_BYTES)
                os.fsync(dest.fileno())
            draft.replace(copy)

    def delete(self, location: Location) -> None:
        """Deletes a copy; one that is gone needs nothing."""
        copy = Path(location)
        copy.unlink(missing_ok=True)
        try:
            copy.parent.rmdir()
        except OSError:
            return  # gone already, or on its way in a second time

    def exists(self, location: Location) -> bool:
        return Path(location).is_file()

    def served(self, location: Location) -> Path | StoredFile | None:
        """What a player is given: the path of a file on this machine, or a copy to be read from
        its store; None when there is none."""
        path = Path(location)
        return path if path.is_file() else None

    @contextmanager
    def opened(self, location: Location) -> Iterator[MediaFile]:
        """What `core.media` reads a file from, a little here and a little there."""
        yield Path(location)

    @contextmanager
    def on_disk(
        self, location: Location, temporary: Path, on_progress: Callable[[float], None]
    ) -> Iterator[Path]:
        """A path on this machine, for who needs all of a file. What has to be brought here for it
        lies in the folder `temporary`, and is gone afterwards."""
        found = self.served(location)
        if isinstance(found, StoredFile):
            with _brought(found, temporary, on_progress) as path:
                yield path
        else:
            yield Path(location)


class _RemoteMediaStore(MediaStore):
    """The copies in a place that fsspec reaches. What is asked of it raises MediaError."""

    def __init__(self, filesystem: Any, root: str, own: Path) -> None:
        super().__init__(own)
        self._files = filesystem
        self._root = root.rstrip("/")

    def location(self, content_id: str, name: str) -> str:
        return str(self._files.unstrip_protocol(f"{self._root}/{content_id}/{name}"))

    def content_id(self, location: Location) -> str | None:
        if isinstance(location, Path):
            return super().content_id(location)
        *_, folder, name = ("", "", *location.split("/"))
        ours = _CONTENT_ID.fullmatch(folder) and location == self.location(folder, name)
        return folder if ours else None

    def find(self, content_id: str, size: int) -> Location | None:
        folder = f"{self._root}/{content_id}"
        with _translated("This file"):
            try:
                entries = self._files.ls(folder, detail=True)
            except FileNotFoundError:
                return None
            # Kept, it would hide what other servers bring and take away.
            self._files.invalidate_cache()
        for entry in entries:
            if entry["type"] == "file" and entry["size"] == size:
                return self.location(content_id, PurePosixPath(entry["name"]).name)
        return None

    def put(self, file: Path, location: Location) -> None:
        path, size = self._path(location), file.stat().st_size
        with _translated(_name(location)):
            self._files.put_file(str(file), path)
            if self._files.info(path)["size"] != size:
                raise OSError("not all of it arrived")

    def delete(self, location: Location) -> None:
        if isinstance(location, Path):
            super().delete(location)
            return
        with _translated(_name(location)):
            try:
                self._files.rm_file(self._path(location))
            except FileNotFoundError:
                return

    def exists(self, location: Location) -> bool:
        return self.served(location) is not None

    def served(self, location: Location) -> Path | StoredFile | None:
        if isinstance(location, Path):
            return super().served(location)
        path, name = self._path(location), _name(location)

        def read(start: int, end: int) -> bytes:
            with _translated(name):
                return bytes(self._files.cat_file(path, start=start, end=end))

        with _translated(name):
            try:
                size = self._files.info(path)["size"]
            except FileNotFoundError:
                return None
        return StoredFile(name, size, PurePosixPath(path).parent.name, read)

    @contextmanager
    def opened(self, location: Location) -> Iterator[MediaFile]:
        if isinstance(location, Path):
            yield location
            return
        name = _name(location)
        with _translated(name):
            file = self._files.open(
                self._path(location),
                "rb",
                block_size=_BLOCK_BYTES,
                cache_type="blockcache",
                cache_options={"maxblocks": _BLOCKS_KEPT},
            )
        with _Reader(file, name) as reader:
            yield reader

    def _path(self, location: Location) -> str:
        """What fsspec calls a copy of ours."""
        content_id = self.content_id(location)
        if content_id is None:
            raise _gone(_name(location))
        return f"{self._root}/{content_id}/{_name(location)}"


class _Reader(io.RawIOBase, BinaryIO):
    """An open file of fsspec whose failures are ours, also in the middle of FFmpeg's work."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _translated(self._name):
            return int(self._file.seek(offset, whence))

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        with _translated(self._name):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _brought(
    file: StoredFile, temporary: Path, on_progress: Callable[[float], None]
) -> Iterator[Path]:
    with media.translated(temporary):
        temporary.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=temporary)
    with folder:
        path = Path(folder.name) / file.name
        with media.translated(path), path.open("wb") as copy:
            for start in range(0, file.size, _PIECE_BYTES):
                on_progress(start / file.size)
                copy.write(file.read(start, min(start + _PIECE_BYTES, file.size)))
        yield path


def _name(location: Location) -> str:
    return PurePosixPath(location).name


def _gone(name: str) -> MediaError:
    return MediaError(f"{name} is no longer where videos are kept.", "Add it again.")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """The one place where failures of a store become ours, about the file `name`."""
    try:
        yield
    except FileNotFoundError as error:
        raise _gone(name) from error
    except Exception as error:  # each kind of store has exceptions of its own
        logger.warning("%s cannot be had from the media store: %s", name, error)
        raise MediaUnreachable(
            f"{name} cannot be reached where videos are kept.",
            "Try again. If it stays so, whoever runs this server finds the reason in its log.",
        ) from error
