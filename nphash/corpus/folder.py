"""A folder of text files; the first subfolder is the class (20 Newsgroups comes like this)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nphash.corpus.binary import has_controls, kind_of
from nphash.corpus.files import decode, is_text, open_bytes, translate_errors
from nphash.corpus.left_out import LeftOut
from nphash.corpus.own import is_collection
from nphash.corpus.records import Document, ReadOptions
from nphash.errors import CorpusError

__all__ = ["read"]

_SPLIT = re.compile(r"(?:.*[-_.])?(train|test|valid|validation|cv)", re.IGNORECASE)
_CORPUS = re.compile(r"[^.].*\.(jsonl|ndjson|csv|tsv)(\.gz)?", re.IGNORECASE)


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file, in sorted order; names that begin with a dot are skipped.

    Files that are not text are left out, and so are links to folders or to nothing, pipes and the like, and
    collections, such as the one that is being made of the folder: how many there were, and which, is told
    at the end.

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
        tops = [
            entry.name
            for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith(".") and not is_collection(entry.path)
        ]
    if is_collection(root):
        hint = "read what it holds: nphash.Collection.open(path).documents, or give it to 'nphash fit'"
        raise CorpusError(f"{source} is a collection, not a folder of texts", hint)
    has_splits = bool(tops) and all(_SPLIT.fullmatch(top) for top in tops)
    if options.input_format is None:
        _check_kind(root)
    not_text, odd, bad, ours = (LeftOut(options) for _ in range(4))
    for path in _files(root, odd, ours):
        parts = path.relative_to(root).parts
        split = ""
        classes = parts[:-1]
        if has_splits and classes:
            found = _SPLIT.fullmatch(classes[0])
            split = found.group(1).lower() if found else ""
            split = "valid" if split in {"validation", "cv"} else split
            classes = classes[1:]
        usable = None
        with bad.unusable():
            text = _text(path, options)
            if text is None:
                not_text.add(path.name)
            else:
                usable = Document("/".join(parts), text, classes[:1], split)
        if usable is not None:
            yield usable
    not_text.tell("file that is not text", "files that are not text")
    odd.tell(
        "link to a folder or to nothing, or special file", "links to folders or to nothing, or special files"
    )
    ours.tell("collection", "collections")
    bad.tell()


def _check_kind(root: Path) -> None:
    with translate_errors(root):
        names = sorted(entry.name for entry in os.scandir(root) if _CORPUS.fullmatch(entry.name))
    if names:
        raise CorpusError(
            f"{root} holds {names[0]}, a file of many documents",
            f"give the file: {root / names[0]}; or --input-format folder to take each file as one document",
        )


def _text(path: Path, options: ReadOptions) -> str | None:
    """Return the text of a file, None if it is none."""
    with open_bytes(path) as stream:
        raw = stream.read(options.max_document_bytes + 1)
    try:
        text = decode(raw, path, options)
    except CorpusError as error:
        if is_text(raw):
            hint = f"{error.hint}; or leave such files out with --on-bad-record skip"
            raise CorpusError(error.problem, hint) from error
        return None
    no_text = "\0" in text or text.startswith("%PDF-") or kind_of(raw) or has_controls(text)
    return None if no_text else text


def _files(folder: Path, odd: LeftOut, ours: LeftOut) -> Iterator[Path]:
    """Walk regular files: links to folders could go in circles, pipes would wait for ever."""
    with translate_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if is_collection(entry.path):
                ours.add(entry.name)
            else:
                yield from _files(Path(entry.path), odd, ours)
        elif entry.is_file():
            yield Path(entry.path)
        else:
            odd.add(entry.name)
