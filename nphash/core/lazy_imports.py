"""Names of a package that load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any


def on_first_use(package: str, homes: dict[str, str], modules: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` for its ``modules``, and names with the ``homes`` they come from."""

    def find(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find
