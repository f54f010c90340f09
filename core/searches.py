"""Searches that were made: the history, those kept under a name, and the media they ask with."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from core.database import BasketRow, Database, SearchRow, upsert
from core.errors import MediaError, RecipeError
from core.media_store import CONTENT_ID_LENGTH, Location, MediaStore
from core.models import Filters
from core.recipe import Part, Recipe

logger = logging.getLogger(__name__)

HISTORY = 200
_ID_CHARS = 10
_NAME_CHARS = 100
# Media that no search asks with are left this long: the search may be about to be made.
_SPARE_SEC = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search under its id. `name` is empty for one that was only made."""

    id: str
    recipe: Recipe
    filters: Filters
    name: str
    used_at: datetime


class Searches:
    """The searches of one collection. Safe to share between threads.

    The id of a search is a digest of what it asks, so the same search has one id and one row. The
    media it asks with are in `data_dir`, and in `shared`, from where other servers have them.
    """

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        *,
        collection: str,
        shared: MediaStore | None = None,
    ) -> None:
        self._session = database.session
        self._collection = collection
        self._media = data_dir / "searches"
        self._shared = shared
        self._nowhere: set[str] = set()

    def keep_media(self, content: bytes, suffix: str) -> Path:
        """Keeps a picture or a clip that a search asks with; the same content is kept once.

        Raises:
            MediaError: when the disk, or the media store, refuses it.
        """
        path = self._media / f"{hashlib.sha256(content).hexdigest()}{suffix.lower()[:8]}"
        try:
            if not path.exists():
                # First for the others: what is here is taken to be there too.
                if self._shared is not None:
                    with self._draft(path, content) as draft:
                        self._shared.put(draft, _shared_location(self._shared, path))
                with self._draft(path, content) as draft:
                    draft.replace(path)
        except OSError as error:
            raise MediaError(
                f"The file could not be kept: {error.strerror}.",
                "Free some space on the server's disk, then try again.",
            ) from error
        return path

    @contextmanager
    def _draft(self, path: Path, content: bytes) -> Iterator[Path]:
        """A file beside `path`, to be moved into its place."""
        self._media.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        draft.write_bytes(content)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def keep(self, recipe: Recipe, filters: Filters) -> str:
        """Notes a search as the newest of the history; returns its id.

        Raises:
            MediaError: when a picture or clip of it cannot be kept.
        """
        recipe_json = self._to_json(recipe)
        filters_json = _filters_to_json(filters)
        digest = hashlib.sha256(f"{recipe_json}\n{filters_json}".encode()).digest()
        search_id = base64.b32encode(digest).decode().lower()[:_ID_CHARS]
        with self._session() as session:
            row = SearchRow(
                collection=self._collection,
                id=search_id,
                recipe=recipe_json,
                filters=filters_json,
                name="",
                used_at=time.time(),
            )
            # One that is there keeps its name.
            upsert(session, row, {"used_at": row.used_at})
        self._drop_oldest()
        return search_id

    def get(self, search_id: str) -> SavedSearch | None:
        """The search of this id, None when there is none (any more).

        Raises:
            RecipeError: when it cannot be read.
        """
        with self._session() as session:
            row = session.get(SearchRow, (self._collection, search_id))
            return None if row is None else self._saved(row)

    def named(self) -> list[SavedSearch]:
        """Those kept under a name, by name."""
        return sorted(self._all(SearchRow.name != ""), key=lambda search: search.name.casefold())

    def history(self) -> list[SavedSearch]:
        """Every search that was made, the newest first."""
        return list(self._all())

    def rename(self, search_id: str, name: str) -> None:
        """Keeps a search under a name; without one it is a step of the history again."""
        with self._session() as session:
            row = session.get(SearchRow, (self._collection, search_id))
            if row is not None:
                row.name = " ".join(name.split())[:_NAME_CHARS]

    def forget(self, search_id: str) -> None:
        with self._session() as session:
            row = session.get(SearchRow, (self._collection, search_id))
            if row is not None:
                session.delete(row)

    def forget_history(self) -> None:
        """Forgets every search without a name."""
        with self._session() as session:
            session.execute(delete(SearchRow).where(self._mine(), SearchRow.name == ""))

    def drop_unused_media(self) -> None:
        """Deletes the media that no search of any collection asks with, nor found what is in a
        basket."""
        with self._session() as session:
            wanted = "\n".join(session.scalars(select(SearchRow.recipe)))
            wanted += "\n".join(session.scalars(select(BasketRow.finding)))
        for path in self._media.glob("*"):
            old = path.stat().st_mtime < time.time() - _SPARE_SEC
            if old and path.name not in wanted:
                path.unlink(missing_ok=True)
                self._drop_shared(path)

    def _drop_shared(self, path: Path) -> None:
        if self._shared is None:
            return
        try:
            self._shared.delete(_shared_location(self._shared, path))
        except (OSError, MediaError) as error:
            logger.warning("%s stays in the media store: %s", path.name, error)

    def _all(self, *which: ColumnElement[bool]) -> Iterator[SavedSearch]:
        with self._session() as session:
            rows = session.scalars(
                select(SearchRow).where(self._mine(), *which).order_by(SearchRow.used_at.desc())
            ).all()
        for row in rows:
            try:
                yield self._saved(row)
            except RecipeError:
                logger.warning("the search %s cannot be read and is left out", row.id)

    def _mine(self) -> ColumnElement[bool]:
        return SearchRow.collection == self._collection

    def _drop_oldest(self) -> None:
        unnamed = (self._mine(), SearchRow.name == "")
        with self._session() as session:
            oldest = session.scalar(
                select(SearchRow.used_at)
                .where(*unnamed)
                .order_by(SearchRow.used_at.desc())
                .offset(HISTORY - 1)
                .limit(1)
            )
            if oldest is not None:
                session.execute(delete(SearchRow).where(*unnamed, SearchRow.used_at < oldest))

    # As text, for an address: whoever reads it has the same records and the same media.

    def to_text(self, recipe: Recipe, filters: Filters) -> str:
        """All that is asked.

        Raises:
            MediaError: when a picture or clip of it cannot be kept.
        """
        return f"{self._to_json(recipe)}\n{_filters_to_json(filters)}"

    def from_text(self, text: str) -> tuple[Recipe, Filters]:
        """The inverse of `to_text`. Raises RecipeError for anything else."""
        recipe, _, filters = text.partition("\n")
        return self.as_usable(Recipe.from_json(recipe)), _filters_from_json(filters)

    # Our own media stand in the records by name: the data folder may move.

    def as_kept(self, recipe: Recipe) -> Recipe:
        """A recipe to be written down: its pictures and clips are kept here and named."""
        return with_sources(recipe, self._named)

    def as_usable(self, recipe: Recipe) -> Recipe:
        """A recipe that was written down, with its pictures and clips where they are now."""
        return with_sources(recipe, self._located)

    def _to_json(self, recipe: Recipe) -> str:
        return self.as_kept(recipe).to_json()

    def _saved(self, row: SearchRow) -> SavedSearch:
        return SavedSearch(
            id=row.id,
            recipe=self.as_usable(Recipe.from_json(row.recipe)),
            filters=_filters_from_json(row.filters),
            name=row.name,
            used_at=datetime.fromtimestamp(row.used_at, UTC),
        )

    def _named(self, part: Part) -> Part:
        source = part.source
        if isinstance(source, bytes):
            source = self.keep_media(source, ".mp4" if part.kind == "video" else ".img")
        if isinstance(source, Path) and source.parent == self._media:
            source = Path(source.name)
        return replace(part, source=source)

    def _located(self, part: Part) -> Part:
        source = part.source
        if isinstance(source, Path) and not source.is_absolute():
            source = self._media / source.name
            self._fetch(source)
        return replace(part, source=source)

    def _fetch(self, path: Path) -> None:
        """Brings here what another server keeps; where that fails, whoever reads it says so."""
        if self._shared is None or path.exists() or path.name in self._nowhere:
            return
        kept, temporary = _shared_location(self._shared, path), self._media.parent / "tmp"
        try:
            with (
                self._shared.on_disk(kept, temporary, lambda _: None) as copy,
                self._draft(path, copy.read_bytes()) as draft,
            ):
                draft.replace(path)
        except (OSError, MediaError) as error:
            # Asked for once: a list of searches would ask with every look at it.
            self._nowhere.add(path.name)
            logger.info("%s cannot be had from the media store: %s", path.name, error)


def _shared_location(shared: MediaStore, path: Path) -> Location:
    return shared.location(path.stem[:CONTENT_ID_LENGTH], path.name)


def with_sources(recipe: Recipe, change: Callable[[Part], Part]) -> Recipe:
    """The recipe with every part of both sides changed."""
    then = None if recipe.then is None else with_sources(recipe.then, change)
    return replace(recipe, parts=tuple(change(part) for part in recipe.parts), then=then)


def _filters_to_json(filters: Filters) -> str:
    set_ones = {name: value for name, value in asdict(filters).items() if value not in (None, ())}
    return json.dumps(set_ones, sort_keys=True, default=lambda moment: moment.isoformat())


def _filters_from_json(text: str) -> Filters:
    try:
        values = {name: _value(name, value) for name, value in json.loads(text).items()}
        return Filters(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise RecipeError("This saved search cannot be read.", "Search again.") from error


def _value(name: str, value: Any) -> Any:
    if name.startswith("added_"):
        return datetime.fromisoformat(value)
    if isinstance(value, list):
        return tuple(_value("", inner) for inner in value)
    return value
