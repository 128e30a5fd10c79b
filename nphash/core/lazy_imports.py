"""Names of a package that load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

__all__ = ["on_first_use"]


def on_first_use(package: str, homes: dict[str, str], modules: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``, which imports what is asked for.

    Parameters
    ----------
    package
        Its full name.
    homes
        For each name, the module that defines it.
    modules
        Modules and packages inside the package.

    Examples
    --------
    >>> find = on_first_use("nphash", {"HammingIndex": "nphash.search"}, modules=["codes"])
    >>> find("HammingIndex")(8)
    <HammingIndex of 0 codes, 8 bits>
    >>> find("codes").__name__
    'nphash.codes'
    """

    def find(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find
