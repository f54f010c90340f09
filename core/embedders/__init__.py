"""The registry of embedders. A new one is a file in this folder and one line here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from core.embedders.base import Embedder
from core.errors import ConfigurationError
from core.settings import Settings

# Name -> "module:class". Imported on use: each embedder brings heavy libraries of its own.
_REGISTRY = {
    "local": "core.embedders.local:LocalEmbedder",
    "twelvelabs": "core.embedders.twelvelabs:TwelveLabsEmbedder",
}


def available_embedders() -> list[str]:
    return sorted(_REGISTRY)


def create_embedder(name: str, settings: Settings) -> Embedder:
    """The embedder called `name`, made from the settings.

    Raises:
        ConfigurationError: for an unknown name.
    """
    if name not in _REGISTRY:
        raise ConfigurationError(
            f"SEEKPOINT_EMBEDDER is {name!r}, which is not known.",
            f"Use one of: auto, {', '.join(available_embedders())}.",
        )
    module, _, class_name = _REGISTRY[name].partition(":")
    factory = cast(Callable[[Settings], Embedder], getattr(import_module(module), class_name))
    return factory(settings)
