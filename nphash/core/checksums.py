"""Checksums of files: whether what is read is what was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["sha256_of"]

_PIECE = 1 << 20  # bytes read at once


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; a file of any size is read in pieces.

    Raises
    ------
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     sha256_of(Path(file.name))[:16]
    'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
