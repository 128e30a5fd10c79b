"""Names of a package that load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any


def on_first_use(package: str, homes: dict[str, str], modules: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` for names with the ``homes`` they are from, else its ``modules``."""

    def find(name: str) -> Any:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
