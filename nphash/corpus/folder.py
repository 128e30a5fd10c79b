"""A folder of text files; the first subfolder is the class (20 Newsgroups comes like this)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nphash.corpus.files import decode, open_bytes, translate_errors
from nphash.corpus.records import Document, ReadOptions
from nphash.errors import CorpusError

__all__ = ["read"]

_SPLIT = re.compile(r"(?:.*[-_.])?(train|test|valid|validation|cv)", re.IGNORECASE)


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file, in sorted order; names that begin with a dot are skipped.

    The id is the path below the folder, with ``/`` on every system. When every subfolder is a
    part of the data (``train`` and ``test``, or ``20news-bydate-train`` ...), the name gives the
    split and the next subfolder the class.

    Raises
    ------
    CorpusError
        Naming the file that cannot be read or decoded.
    """
    root = Path(source)
    with translate_errors(source):
        if not root.is_dir():
            root.stat()
            raise CorpusError(f"{source} is no folder", "leave out --input-format folder")
        tops = [entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    has_splits = bool(tops) and all(_SPLIT.fullmatch(top) for top in tops)
    for path in _files(root):
        parts = path.relative_to(root).parts
        split = ""
        classes = parts[:-1]
        if has_splits and classes:
            found = _SPLIT.fullmatch(classes[0])
            split = found.group(1).lower() if found else ""
            split = "valid" if split in {"validation", "cv"} else split
            classes = classes[1:]
        with open_bytes(path) as stream:
            raw = stream.read(options.max_document_bytes + 1)
        text = decode(raw, path, options)
        if "\0" in text:
            raise CorpusError(f"{path} is no text file (it has zero bytes)", "move it out of the folder")
        yield Document("/".join(parts), text, classes[:1], split)


def _files(folder: Path) -> Iterator[Path]:
    """Walk regular files: links to folders could go in circles, pipes would wait for ever."""
    with translate_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)
