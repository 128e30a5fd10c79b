"""A folder of files, each one document; the first subfolder is the class (20 Newsgroups comes like this).

How a file is read goes by its suffix: HTML, Markdown, word processors, mail, PDF. The same readers serve a
single file of such a kind, and a zip archive in the place of a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePosixPath

from nphash.corpus.files import Decoder, decode, is_no_text, is_text, kind_of, open_bytes, translate_errors
from nphash.corpus.markup import Content, html_encoding
from nphash.corpus.packed import check_ratio, open_archive, open_member
from nphash.corpus.records import (
    Document,
    ReadOptions,
    Skipped,
    readable,
    show,
    stem,
    storable,
    unpacked_name,
)
from nphash.errors import CorpusError

_SPLIT = re.compile(r"(?:.*[-_.])?(train|test|valid|validation|cv)", re.IGNORECASE)
_CORPUS = re.compile(r"[^.].*\.(jsonl|ndjson|csv|tsv)(\.(gz|bz2|xz|zst|zip))?", re.IGNORECASE)
_ALONE = re.compile(r".*\.(sqlite3?|db|zip|parquet|arrow|feather|npz|mat)", re.IGNORECASE)
_escaped = re.compile(r"\\x[0-9a-f]{2}").search
_html = re.compile(rb"\s*<(!doctype\s+html|html)\b", re.IGNORECASE).match

# Readers by suffix. Some are given text, others the bytes, their name and how long a text may be.
_OF_TEXT = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), "markup.read_html"),
    **dict.fromkeys((".md", ".markdown"), "markup.read_markdown"),
    ".rst": "markup.read_rst",
}
_OF_BYTES = {
    ".docx": "office.read_docx",
    ".odt": "office.read_odt",
    ".epub": "office.read_epub",
    ".pdf": "office.read_pdf",
    ".eml": "mail.read_message",
    ".ipynb": "markup.read_notebook",
}

# How a manifest begins; `nphash.collection.manifest` writes it, and stands above the readers.
_manifest = re.compile(rb'\s*\{\s*"format":\s*"nphash collection"').match
_half_made = re.compile(r"documents-\d{6,}\.sqlite").fullmatch


class _ChangedError(CorpusError):
    """A file is not the one any more that was begun to be read."""


class _Reports:
    """What is said at the end of files that were left out, or may be misread."""

    def __init__(self, options: ReadOptions) -> None:
        self.decoder, self.bad = Decoder(options, "file", "files"), Skipped(options)
        self.not_text = Skipped(
            options, "skipped 1 file that is not text", "skipped {} files that are not text"
        )
        what = "of the skipped files can be read by"
        self.alone = Skipped(options, f"1 {what} itself", f"{{}} {what} themselves")
        one, what = "1 file that may hold many documents was", "taken as one (if it does, give it by itself)"
        several = "{} files that may hold many documents were"
        self.many = Skipped(options, f"{one} {what}", f"{several} each {what}")
        self._is_guessed = options.input_format is None
        self.unread = Skipped(
            options, "skipped 1 file that cannot be read", "skipped {} files that cannot be read"
        )
        one = "skipped 1 link to a folder or to nothing, or special file"
        self.odd = Skipped(options, one, "skipped {} links to folders or to nothing, or special files")
        self.ours = Skipped(options, "skipped 1 collection", "skipped {} collections")

    def skip(self, name: str, raw: bytes) -> None:
        """Note a file that is no text, and whether it may hold documents all the same."""
        self.not_text.add(readable(name))
        if _ALONE.fullmatch(name) and kind_of(raw) is not None:
            self.alone.add(readable(name))

    def take(self, name: str) -> None:
        """Note a file that is taken as one document, if its name is that of many and no format was given."""
        if self._is_guessed and _CORPUS.fullmatch(name):
            self.many.add(readable(name))

    def report(self) -> None:
        """Say it."""
        skipped = self.not_text, self.alone, self.unread, self.odd, self.ours, self.bad
        for report in (self.many, *skipped, self.decoder):
            report.report()


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file, in sorted order; names that begin with a dot are passed over.

    What is no text, damaged or locked, links to folders or to nothing, pipes, and collections, such as the
    one being made of the folder, are skipped and reported at the end. The id is the path below the folder,
    always with ``/``. When every subfolder is a part of the data (``train`` and ``test``, or
    ``20news-bydate-train`` ...), its name gives the split and the next subfolder the class.

    CorpusError for a text file that cannot be read or is of another encoding; also if the folder itself holds
    tables or JSON lines, unless the format is given: these are corpora, not documents. In subfolders
    each is taken as one document, and reported.
    """
    root, reports = Path(source), _Reports(options)
    has_splits = _check_folder(root, options)
    for path in _files(root, reports):
        folders, split = path.relative_to(root).parts[:-1], ""
        if has_splits and folders:
            found = _SPLIT.fullmatch(folders[0])
            split = found.group(1).lower() if found else ""
            split = "valid" if split in {"validation", "cv"} else split
            folders = folders[1:]
        id_, labels = _id(path.relative_to(root).as_posix()), tuple(map(readable, folders[:1]))
        if path.name.lower().endswith(".mbox"):
            try:
                lenient = replace(options, on_bad_record="skip")
                for message in import_module("nphash.corpus.mail").read_mbox(str(path), lenient):
                    number = message.id.rpartition(":")[2]
                    yield replace(message, id=f"{id_}:{number}", labels=labels, split=split)
            except CorpusError as error:
                reports.unread.add(error.problem)
            continue
        with reports.bad.unusable():
            content = _left_out(path, options, reports)
            if content is not None:
                reports.take(path.name)
                yield Document(id_, content[0], labels, split, fields=content[1])
    reports.report()


def read_document(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the one document of a file."""
    if source == "-":
        raise CorpusError("one document is not read from standard input", "give the path of its file")
    reports = _Reports(options)
    content = _content(_whole(source, options), Path(source).name, show(source), options, reports.decoder)
    if content is None:
        raise CorpusError(f"{show(source)} looks like no text file", "leave it out")
    reports.report()
    yield Document(stem(source), content[0], generated_id=True, fields=content[1])


def read_zip(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a file of a zip archive, as of a folder."""
    reports, made = _Reports(options), 0
    with open_bytes(source, archives=False) as stream:
        archive = open_archive(stream, show(source))
        names = [member for member in archive.infolist() if not member.is_dir()]
        for member in sorted(names, key=lambda member: member.filename):
            name = PurePosixPath(member.filename)
            if any(part.startswith(".") for part in name.parts) or name.parts[0] == "__MACOSX":
                continue
            where = f"{show(source)}: {readable(member.filename)}"
            made += min(member.file_size, options.max_document_bytes)  # no more is ever unpacked of it
            check_ratio(made, Path(source).stat().st_size, show(source))
            try:
                with open_member(archive, member, show(source)) as opened:
                    raw = opened.read(options.max_document_bytes + 1)
                content = _content(raw, name.name, where, options, reports.decoder)
            except CorpusError as error:
                reports.unread.add(error.problem)
                continue
            except Exception as error:  # of damaged members: zlib.error, BadZipFile, EOFError, ...
                reports.unread.add(f"{where} is damaged ({error})")
                continue
            if content is None:
                reports.not_text.add(readable(name.name))
            else:
                labels = tuple(map(readable, name.parts[:-1][:1]))
                reports.take(name.name)
                yield Document(_id(member.filename), content[0], labels, fields=content[1])
    reports.report()


def _id(name: str) -> str:
    """Return the id of a file; one that looks like the spelling of a name that is no UTF-8 gets another."""
    return readable(name.replace("\\", "\\\\") if _escaped(name) and name == readable(name) else name)


def _left_out(path: Path, options: ReadOptions, reports: _Reports) -> Content | None:
    """Return what a file of a folder holds, or note why it is left out."""
    try:
        raw = _whole(path, options)
        content = _content(raw, path.name, str(path), options, reports.decoder)
    except CorpusError as error:
        gone = isinstance(error, _ChangedError) or isinstance(error.__cause__, FileNotFoundError)
        if not gone and _suffix(path.name) not in _OF_BYTES:
            raise
        reports.unread.add(error.problem)
        return None
    if content is None:
        reports.skip(path.name, raw)
    return content


def _suffix(name: str) -> str:
    return Path(unpacked_name(name.lower())).suffix


def _whole(path: str | Path, options: ReadOptions) -> bytes:
    """Return the bytes of a file, no more than one beyond what a document may have."""
    with translate_errors(path):
        before = Path(path).stat()
    with open_bytes(path, archives=False) as stream:
        raw = stream.read(options.max_document_bytes + 1)
    with translate_errors(path):
        after = Path(path).stat()
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise _ChangedError(f"{show(path)} was changed while it was read", "read it when it is complete")
    return raw


def _content(raw: bytes, name: str, where: str, options: ReadOptions, decoder: Decoder) -> Content | None:
    """Return text and fields of a file by the reader of its kind; None for what is no text."""
    suffix = _suffix(name)
    if len(raw) > options.max_document_bytes and suffix in _OF_BYTES:
        raise CorpusError(f"{where} is longer than {options.max_document_bytes} bytes", "leave it out")
    if suffix in _OF_BYTES:
        module, _, function = _OF_BYTES[suffix].partition(".")
        reader = getattr(import_module(f"nphash.corpus.{module}"), function)
        text, fields = reader(raw, where, options.max_document_bytes)
        return storable(text), {name: storable(value) for name, value in fields.items()}
    is_html = _OF_TEXT.get(suffix) == "markup.read_html" or (suffix not in _OF_TEXT and _html(raw[:200]))
    text = _page(raw, options) if is_html else None
    if text is None:
        text = _text(raw, where, options, decoder)
    if text is None or not (is_html or suffix in _OF_TEXT):
        return None if text is None else (text, {})
    module, _, function = _OF_TEXT.get(suffix, "markup.read_html").partition(".")
    made: Content = getattr(import_module(f"nphash.corpus.{module}"), function)(text)
    return made


def _page(raw: bytes, options: ReadOptions) -> str | None:
    """Return HTML in the encoding that it names, else, as a browser, in that of Windows if it is no UTF-8."""
    if not is_text(raw) or raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return None
    with suppress(LookupError):
        if encoding := html_encoding(raw):
            return raw.decode(encoding, "replace")
    if options.encoding == ReadOptions().encoding and "encoding" not in options.given:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode("cp1252", "replace")
    return None


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


def _text(raw: bytes, where: str, options: ReadOptions, decoder: Decoder) -> str | None:
    """Return the text of a file, None if it is none."""
    try:
        text = decode(raw, where, options, decoder)
    except CorpusError as error:
        if not is_text(raw):
            return None
        hint = f"{error.hint}; "
        if isinstance(error.__cause__, UnicodeDecodeError) and "mark of UTF-16" not in error.hint:
            hint += f"with --encoding {options.encoding},latin-1 each file is read in the first that fits; "
        hint += "or leave such files out with --on-bad-record skip"
        raise CorpusError(error.problem, hint) from error
    return None if is_no_text(raw, text) else text


def _files(folder: Path, reports: _Reports) -> Iterator[Path]:
    """Walk regular files: links to folders could go in circles, pipes would wait for ever."""
    with translate_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if is_collection(entry.path):
                reports.ours.add(readable(entry.name))
            else:
                yield from _files(Path(entry.path), reports)
        elif entry.is_file():
            yield Path(entry.path)
        else:
            reports.odd.add(readable(entry.name))


def is_collection(folder: str | Path) -> bool:
    """Return whether a folder is a collection of ours, which is output and no corpus, or becomes one."""
    try:
        with suppress(FileNotFoundError), Path(folder, "manifest.json").open("rb") as file:
            return _manifest(file.read(200)) is not None
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return False
    return "lock" in names and any(map(_half_made, names))
