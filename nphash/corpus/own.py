"""Collections of ours inside what is to be read: they are output, and no documents."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_collection"]

# How a manifest begins; `nphash.collection.manifest` writes it, and stands above the readers.
_manifest = re.compile(rb'\s*\{\s*"format":\s*"nphash collection"').match
_half_made = re.compile(r"documents-\d{6,}\.sqlite").fullmatch


def is_collection(folder: str | Path) -> bool:
    """Return whether a folder is a collection, or one that is just being made.

    Examples
    --------
    >>> is_collection(".")
    False
    """
    try:
        with Path(folder, "manifest.json").open("rb") as file:
            return _manifest(file.read(200)) is not None
    except FileNotFoundError:
        pass
    except OSError:
        return False
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return False
    return "lock" in names and any(map(_half_made, names))
