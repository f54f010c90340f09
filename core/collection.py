"""A collection: the videos that one embedder has embedded, with all that is kept of them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from core.database import Database
from core.embedders.base import Embedder
from core.ledger import Ledger
from core.settings import Settings
from core.shelf import Shelf
from core.state import State
from core.store import VectorStore

MONTH_BUDGET = "month_budget"


@dataclass(frozen=True, slots=True)
class Collection:
    embedder: Embedder
    store: VectorStore
    state: State
    shelf: Shelf
    ledger: Ledger

    @property
    def name(self) -> str:
        return self.store.collection


def open_collection(
    settings: Settings, embedder: Embedder, database: Database, opened: ExitStack
) -> Collection:
    """The collection of this embedder, which `opened` closes.

    Raises:
        StoreUnavailable, CollectionMismatch: with what to do about it.
    """
    store = VectorStore(
        settings.milvus_uri,
        token=settings.milvus_token,
        database=settings.milvus_database,
        ca_file=settings.milvus_ca_file,
        embedder=embedder.name,
        model=embedder.model,
        dimension=embedder.dimension,
    )
    opened.callback(store.close)
    state = State(database, collection=store.collection)
    ledger = Ledger(
        database,
        collection=store.collection,
        model=embedder.model,
        prices=embedder.prices,
        currency=settings.currency,
        month_budget=month_budget(settings, state),
        segment_sec=settings.segment_sec,
    )
    return Collection(embedder, store, state, Shelf(state), ledger)


def month_budget(settings: Settings, state: State) -> float | None:
    """The month's budget as somebody set it on the screen, or else that of the settings."""
    chosen = state.preference(MONTH_BUDGET, shared=True)
    if chosen is None:
        return settings.budget_per_month
    return float(chosen) if chosen else None
