"""Files that are no text, known by their first bytes or by their control characters.

A decoding error does not tell: latin-1 decodes whatever there is.
"""

from __future__ import annotations

import codecs
import re

from nphash.corpus.records import show
from nphash.errors import CorpusError

__all__ = ["check_text", "has_controls", "kind_of"]

_UNPACK = "unpack it first, or pipe it: {} FILE | nphash ... -"
_CONVERT = "write it as CSV or JSON lines with the program it is from"
_EXTRACT = "unpack it and give the file or folder that was in it"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"BZh[1-9]1AY&SY", "is packed with bzip2", _UNPACK.format("bzip2 -dc")),
    (rb"\xfd7zXZ\0", "is packed with xz", _UNPACK.format("xz -dc")),
    (rb"\x28\xb5\x2f\xfd", "is packed with zstd", _UNPACK.format("zstd -dc")),
    (rb"\x04\x22\x4d\x18", "is packed with lz4", _UNPACK.format("lz4 -dc")),
    (rb"PK\x03\x04", "is a zip archive", _EXTRACT),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive", _EXTRACT),
    (rb"(?s).{257}ustar", "is a tar archive", _EXTRACT),
    (rb"PAR1[\x00-\x1f]", "is a Parquet file", _CONVERT),
    (rb"ARROW1\0\0", "is an Arrow file", _CONVERT),
    (rb"SQLite format 3\0", "is an SQLite database", _CONVERT),
    (rb"\x89HDF\r\n\x1a\n", "is an HDF5 file", _CONVERT),
    (rb"\x93NUMPY", "is a NumPy array", "give a sparse matrix of scipy.sparse.save_npz"),
)

# Control characters that a text hardly ever holds; packed data do everywhere.
_CONTROLS = dict.fromkeys(set(range(32)) - set(b"\b\t\n\v\f\r\x1a\x1b"))
FEWEST = 1024  # a shorter text may be odd
HEAD = 2**16


def kind_of(head: bytes) -> tuple[str, str] | None:
    r"""Return what a file is, by its first bytes, and what to do about it; None for what may be text.

    Examples
    --------
    >>> kind_of(b"\xfd7zXZ\x00...")
    ('is packed with xz', 'unpack it first, or pipe it: xz -dc FILE | nphash ... -')
    """
    return next(((what, hint) for pattern, what, hint in _KINDS if re.match(pattern, head)), None)


def has_controls(text: str) -> bool:
    """Return whether a text of some length has so many control characters that it is none."""
    head = text[:HEAD]
    return len(head) >= FEWEST and 100 * (len(head) - len(head.translate(_CONTROLS))) > len(head)


def check_text(head: bytes, source: str, encoding: str) -> None:
    """Raise for the first bytes of a file that are no text in its encoding; wrong bytes are told elsewhere.

    Raises
    ------
    CorpusError
        Saying what the file is, or that it looks like UTF-16 or like no text.
    """
    if (kind := kind_of(head)) is not None:
        raise CorpusError(f"{show(source)} {kind[0]}", kind[1])
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        return
    wide = _looks_wide(head)
    if wide and "\0" in text:
        raise CorpusError(
            f"{show(source)} has a zero in every second byte, and is read as {encoding}",
            f"it looks like UTF-16: try --encoding {wide}",
        )
    if has_controls(text):
        raise CorpusError(
            f"{show(source)} is full of control characters, read as {encoding}",
            "this looks like no text file",
        )


def _looks_wide(head: bytes) -> str:
    """Return how bytes are encoded of which every second one is zero, or an empty string."""
    first, second = head[::2], head[1::2]
    if len(head) >= 16 and not first.count(0) and 2 * second.count(0) > len(second):
        return "utf-16-le"
    if len(head) >= 16 and not second.count(0) and 2 * first.count(0) > len(first):
        return "utf-16-be"
    return ""
