"""A library over the stand-in in which waiting takes no time, and videos to add to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import Job, LedgerEntry, Library, Settings, open_library
from core.embedders.twelvelabs import TwelveLabsEmbedder
from core.store import VectorStore
from tests.clock import Clock
from tests.contract.conftest import KEY
from tests.contract.standin import Medium, StandIn
from tests.media import make_video
from tests.web import Page, Web

# Wall time; what is waited for by the embedder passes on the clock of the world.
TIMEOUT = 60.0
SECONDS = 4.0


def empty_data(folder: Path) -> Path:
    """The data of a library that was opened and closed: to make a collection takes half a second,
    to copy one takes none."""
    settings = Settings(embedder="twelvelabs", twelvelabs_api_key=KEY, data_dir=folder / "data")
    open_library(settings).close()
    return settings.data_dir


class World:
    """The service, the web that videos come from, and the library's data (a copy of `empty`)."""

    def __init__(
        self,
        service: StandIn,
        web: Web,
        clock: Clock,
        data_dir: Path,
        empty: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.service, self.web, self.clock = service, web, clock
        service.allow_private_media = True
        self.settings = Settings(
            embedder="twelvelabs",
            twelvelabs_api_key=KEY,
            twelvelabs_base_url=service.url,
            data_dir=data_dir,
            allow_private_urls=True,
        )
        shutil.copytree(empty, data_dir)
        monkeypatch.setattr("core.model_change.create_embedder", self._embedder)

    def _embedder(self, _name: str, settings: Settings) -> TwelveLabsEmbedder:
        return TwelveLabsEmbedder(settings, sleep=self.clock.sleep, clock=self.clock)

    @contextmanager
    def library(self, **changes: Any) -> Iterator[Library]:
        with open_library(replace(self.settings, **changes)) as library:
            yield library

    def url(self, name: str, clip: Path) -> str:
        """The address of a clip that is on the web under this name."""
        url = self.web.put(f"/{name}.mp4", Page(clip.read_bytes()))
        self.service.media[url] = Medium((name,), SECONDS)
        return url

    def unreachable_url(self, name: str) -> str:
        """An address that the service reaches and we do not: its length is unknown to us."""
        url = self.web.put(f"/{name}.mp4", Page(b"", "text/plain", 503))
        self.service.media[url] = Medium((name,), SECONDS)
        return url


def small_video(path: Path, **changes: Any) -> Path:
    return make_video(path, seconds=SECONDS, size=(64, 48), fps=5, **changes)


def done(library: Library, jobs: Sequence[Job]) -> list[Job]:
    """The jobs when they have finished, or nothing more would happen to them."""
    return library.wait(jobs, timeout=TIMEOUT)


def charged(library: Library) -> list[LedgerEntry]:
    """The videos that were paid for, newest first."""
    return [entry for entry in library.ledger() if entry.kind == "video" and not entry.saved]


def saved(library: Library) -> list[LedgerEntry]:
    """What did not have to be paid for, newest first."""
    return [entry for entry in library.ledger() if entry.saved]


@contextmanager
def store_of(library: Library) -> Iterator[VectorStore]:
    """The library's own store, to look at and to put things into behind its back."""
    embedder = library.embedder
    with VectorStore(
        library.settings.milvus_uri,
        embedder=embedder.name,
        model=embedder.model,
        dimension=embedder.dimension,
    ) as store:
        yield store


def rows_stored(library: Library) -> int:
    with store_of(library) as store:
        return store.count()
