"""A folder of text files; the first subfolder is the class (20 Newsgroups comes like this)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from nphash.corpus.files import decode, is_text, open_bytes, translate_errors
from nphash.corpus.records import Document, ReadOptions
from nphash.errors import CorpusError

__all__ = ["read"]

_SPLIT = re.compile(r"(?:.*[-_.])?(train|test|valid|validation|cv)", re.IGNORECASE)
_CORPUS = re.compile(r"[^.].*\.(jsonl|ndjson|csv|tsv)(\.gz)?", re.IGNORECASE)

NAMED = 3  # of what is left out


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file, in sorted order; names that begin with a dot are skipped.

    Files that are not text are left out, and so are links to folders or to nothing, pipes and the like:
    how many there were, and which, is told at the end.

    The id is the path below the folder, with ``/`` on every system. When every subfolder is a
    part of the data (``train`` and ``test``, or ``20news-bydate-train`` ...), the name gives the
    split and the next subfolder the class.

    Raises
    ------
    CorpusError
        Naming the file that cannot be read or is text of another encoding. If the folder itself holds
        tables or JSON lines, unless the format is given: these are corpora, not documents.
    """
    root = Path(source)
    with translate_errors(source):
        if not root.is_dir():
            root.stat()
            raise CorpusError(f"{source} is no folder", "leave out --input-format folder")
        tops = [entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    has_splits = bool(tops) and all(_SPLIT.fullmatch(top) for top in tops)
    if options.input_format is None:
        _check_kind(root)
    not_text, odd = _LeftOut(options.tell), _LeftOut(options.tell)
    for path in _files(root, odd):
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
        text = _text(raw, path, options)
        if text is None:
            not_text.add(path)
        else:
            yield Document("/".join(parts), text, classes[:1], split)
    not_text.tell("file that is not text", "files that are not text")
    odd.tell(
        "link to a folder or to nothing, or special file", "links to folders or to nothing, or special files"
    )


class _LeftOut:
    """Counts what is left out, and keeps the first names."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._names: list[str] = []
        self._count = 0

    def add(self, path: Path) -> None:
        self._count += 1
        if len(self._names) < NAMED:
            self._names.append(path.name)

    def tell(self, one: str, several: str) -> None:
        if self._count:
            more = ", ..." if self._count > len(self._names) else ""
            what = one if self._count == 1 else several
            self._tell(f"left out {self._count:,} {what}: {', '.join(self._names)}{more}")


def _check_kind(root: Path) -> None:
    with translate_errors(root):
        names = sorted(entry.name for entry in os.scandir(root) if _CORPUS.fullmatch(entry.name))
    if names:
        raise CorpusError(
            f"{root} holds {names[0]}, a file of many documents",
            f"give the file: {root / names[0]}; or --input-format folder to take each file as one document",
        )


def _text(raw: bytes, path: Path, options: ReadOptions) -> str | None:
    """Return the text of a file, None if it is none."""
    try:
        text = decode(raw, path, options)
    except CorpusError:
        if is_text(raw):
            raise
        return None
    return None if "\0" in text or text.startswith("%PDF-") else text


def _files(folder: Path, odd: _LeftOut) -> Iterator[Path]:
    """Walk regular files: links to folders could go in circles, pipes would wait for ever."""
    with translate_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), odd)
        elif entry.is_file():
            yield Path(entry.path)
        else:
            odd.add(Path(entry.path))
