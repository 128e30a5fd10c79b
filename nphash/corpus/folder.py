"""A folder of text files; the first subfolder is the class (20 Newsgroups comes like this)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nphash.corpus.files import Decoder, decode, has_controls, is_text, kind_of, open_bytes, translate_errors
from nphash.corpus.records import Document, ReadOptions, Skipped
from nphash.errors import CorpusError

_SPLIT = re.compile(r"(?:.*[-_.])?(train|test|valid|validation|cv)", re.IGNORECASE)
_CORPUS = re.compile(r"[^.].*\.(jsonl|ndjson|csv|tsv)(\.gz)?", re.IGNORECASE)

# How a manifest begins; `nphash.collection.manifest` writes it, and stands above the readers.
_manifest = re.compile(rb'\s*\{\s*"format":\s*"nphash collection"').match
_half_made = re.compile(r"documents-\d{6,}\.sqlite").fullmatch


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file, in sorted order; names that begin with a dot are passed over.

    What is no text, links to folders or to nothing, pipes, and collections, such as the one being made of the
    folder, are skipped and reported at the end. The id is the path below the folder, always with ``/``. When
    every subfolder is a part of the data (``train`` and ``test``, or ``20news-bydate-train`` ...), its name
    gives the split and the next subfolder the class.

    CorpusError for a file that cannot be read or is text of another encoding; also if the folder itself holds
    tables or JSON lines, unless the format is given: these are corpora, not documents.
    """
    root = Path(source)
    has_splits = _check_folder(root, options)
    decoder, bad = Decoder(options, "file", "files"), Skipped(options)
    not_text = Skipped(options, "skipped 1 file that is not text", "skipped {} files that are not text")
    one = "skipped 1 link to a folder or to nothing, or special file"
    odd = Skipped(options, one, "skipped {} links to folders or to nothing, or special files")
    ours = Skipped(options, "skipped 1 collection", "skipped {} collections")
    for path in _files(root, odd, ours):
        folders, split = path.relative_to(root).parts[:-1], ""
        if has_splits and folders:
            found = _SPLIT.fullmatch(folders[0])
            split = found.group(1).lower() if found else ""
            split = "valid" if split in {"validation", "cv"} else split
            folders = folders[1:]
        with bad.unusable():
            text = _text(path, options, decoder)
            if text is None:
                not_text.add(path.name)
            else:
                yield Document(path.relative_to(root).as_posix(), text, folders[:1], split)
    for report in (not_text, odd, ours, bad, decoder):
        report.report()


def _check_folder(root: Path, options: ReadOptions) -> bool:
    """Refuse what is no folder of texts; return whether its subfolders are parts of the data."""
    with translate_errors(root):
        if not root.is_dir():
            root.stat()
            raise CorpusError(f"{root} is no folder", "leave out --input-format folder")
        entries = sorted((entry for entry in os.scandir(root) if entry.name[0] != "."), key=lambda e: e.name)
    if is_collection(root):
        hint = "read what it holds: nphash.Collection.open(path).documents, or give it to 'nphash fit'"
        raise CorpusError(f"{root} is a collection, not a folder of texts", hint)
    names = [entry.name for entry in entries if _CORPUS.fullmatch(entry.name)]
    if names and options.input_format is None:
        hint = f"give the file: {root / names[0]}; or --input-format folder to take each file as one document"
        raise CorpusError(f"{root} holds {names[0]}, a file of many documents", hint)
    tops = [entry.name for entry in entries if entry.is_dir() and not is_collection(entry.path)]
    return bool(tops) and all(_SPLIT.fullmatch(top) for top in tops)


def _text(path: Path, options: ReadOptions, decoder: Decoder) -> str | None:
    """Return the text of a file, None if it is none."""
    with open_bytes(path) as stream:
        raw = stream.read(options.max_document_bytes + 1)
    try:
        text = decode(raw, path, options, decoder)
    except CorpusError as error:
        if not is_text(raw):
            return None
        hint = f"{error.hint}; "
        if isinstance(error.__cause__, UnicodeDecodeError):
            both = f"{options.encoding},{'utf-16' if 'utf-16' in error.hint else 'latin-1'}"
            hint += f"with --encoding {both} each file is read in the first that fits; "
        hint += "or leave such files out with --on-bad-record skip"
        raise CorpusError(error.problem, hint) from error
    no_text = "\0" in text or text.startswith("%PDF-") or kind_of(raw) or has_controls(text)
    return None if no_text else text


def _files(folder: Path, odd: Skipped, ours: Skipped) -> Iterator[Path]:
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


def is_collection(folder: str | Path) -> bool:
    """Return whether a folder is a collection of ours, which is output and no corpus, or becomes one."""
    try:
        with suppress(FileNotFoundError), Path(folder, "manifest.json").open("rb") as file:
            return _manifest(file.read(200)) is not None
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return False
    return "lock" in names and any(map(_half_made, names))
