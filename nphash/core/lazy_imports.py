"""Names of a package that load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["on_first_use"]


def on_first_use(package: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``, which imports the module that a name is at home in.

    Examples
    --------
    >>> find = on_first_use("nphash", {"HammingIndex": "nphash.search"})
    >>> find("HammingIndex")(8)
    <HammingIndex of 0 codes, 8 bits>
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find
