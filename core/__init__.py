"""Seekpoint's core: a plain Python library that knows nothing of the screen."""

from __future__ import annotations

from core.embedders import available_embedders, create_embedder
from core.embedders.base import Embedder, Limits, Progress
from core.errors import (
    BudgetExceeded,
    CollectionMismatch,
    ConfigurationError,
    EmbedderBusy,
    EmbedderError,
    EmbedderRejected,
    EmbedderUnavailable,
    JobCancelled,
    MediaError,
    MediaUnreachable,
    QuotaExceeded,
    RecipeError,
    SeekpointError,
    StoreError,
    StoreLocked,
    StoreUnavailable,
    UnsupportedMedia,
)
from core.library import Library, open_library
from core.models import (
    Capabilities,
    Estimate,
    Filters,
    Heat,
    Hit,
    Job,
    Moment,
    SearchResult,
    Segment,
    SourceEstimate,
    Stage,
    Video,
)
from core.recipe import Part, Recipe
from core.settings import Settings

__all__ = [
    "BudgetExceeded",
    "Capabilities",
    "CollectionMismatch",
    "ConfigurationError",
    "Embedder",
    "EmbedderBusy",
    "EmbedderError",
    "EmbedderRejected",
    "EmbedderUnavailable",
    "Estimate",
    "Filters",
    "Heat",
    "Hit",
    "Job",
    "JobCancelled",
    "Library",
    "Limits",
    "MediaError",
    "MediaUnreachable",
    "Moment",
    "Part",
    "Progress",
    "QuotaExceeded",
    "Recipe",
    "RecipeError",
    "SearchResult",
    "SeekpointError",
    "Segment",
    "Settings",
    "SourceEstimate",
    "Stage",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "UnsupportedMedia",
    "Video",
    "available_embedders",
    "create_embedder",
    "open_library",
]
