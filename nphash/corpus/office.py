"""Documents of word processors, e-books and PDF: .docx, .odt, .epub and .pdf.

The first three are archives of XML: no external entity is followed, none may be declared, and no more is
unpacked than a document may be long. Programs in documents are never run. PDF needs the package pypdf, or the
program ``pdftotext`` on the path.
"""

from __future__ import annotations

import io
import logging
import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import IO
from urllib.parse import unquote
from xml.parsers import expat

from nphash.corpus.markup import Content, html_encoding, read_html, titled
from nphash.corpus.packed import open_archive, open_member
from nphash.errors import CorpusError

PDF_SECONDS = 60
# Empty elements of Word and OpenDocument that stand for a blank or a line end.
_MARKS = {"tab": "\t", "s": " ", "br": "\n", "cr": "\n", "line-break": "\n"}
_INFO = "{} cannot be read as {} ({})"


class _Archive:
    """The members of a document, unpacked up to so many bytes together."""

    def __init__(self, raw: bytes, where: str, most: int) -> None:
        self.where, self._left = where, most
        self._archive = open_archive(io.BytesIO(raw), where)

    def read(self, name: str, default: bytes | None = None) -> bytes:
        try:
            member = self._archive.getinfo(name)
        except KeyError:
            if default is not None:
                return default
            problem = f"{self.where} is not what its name says: it has no {name}"
            raise CorpusError(problem, "check it") from None
        try:
            with open_member(self._archive, member, self.where) as stream:
                content = stream.read(self._left + 1)
        except CorpusError:
            raise
        except Exception as error:  # zlib.error, BadZipFile, EOFError, ...
            raise CorpusError(f"{self.where}: {name} is damaged ({error})", "fetch it again") from error
        self._left -= len(content)
        if self._left < 0:
            raise CorpusError(f"{self.where} unpacks to far more than a document", "leave it out")
        return content


def _parse(content: bytes, where: str, **handlers: Callable[..., None]) -> None:
    """Go through XML; CorpusError where it is broken or declares entities, of which a few make gigabytes."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise CorpusError(f"{where} declares entities, as no document needs to", "leave it out")

    for name, handler in {**handlers, "EntityDecl": refuse}.items():
        setattr(parser, f"{name}Handler", handler)
    try:
        parser.Parse(content, True)
    except CorpusError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise CorpusError(f"{where} is damaged: its XML is broken ({error})", "fetch it again") from error


def _xml_text(
    content: bytes, where: str, only: str = "", marks: Mapping[str, str] = _MARKS, lines: str = "p h title"
) -> str:
    """Return the text of XML: in elements called ``only`` if given, with ``marks`` and lines for others."""
    pieces, depth, ends = list[str](), 0, frozenset(lines.split())

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal depth
        name = tag.rpartition(" ")[2]
        depth += name == only
        if name in marks:
            pieces.append(marks[name])

    def close(tag: str) -> None:
        nonlocal depth
        name = tag.rpartition(" ")[2]
        depth -= name == only
        if name in ends:
            pieces.append("\n")

    def text(piece: str) -> None:
        if depth or not only:
            pieces.append(piece)

    _parse(content, where, StartElement=start, EndElement=close, CharacterData=text)
    return "".join(pieces).strip()


def _title(content: bytes, where: str) -> str:
    """Return the first title in the XML about a document."""
    return _xml_text(content, where, "title", {}).partition("\n")[0] if content else ""


def read_docx(raw: bytes, where: str, most: int) -> Content:
    """Return the text of a Word document, with its notes, and its title."""
    archive = _Archive(raw, where, most)
    parts = [
        archive.read("word/document.xml"),
        *(archive.read(f"word/{n}notes.xml", b"") for n in ("foot", "end")),
    ]
    text = "\n".join(_xml_text(part, where, "t") for part in parts if part)
    return titled(text.strip(), _title(archive.read("docProps/core.xml", b""), where))


def read_odt(raw: bytes, where: str, most: int) -> Content:
    """Return the text of an OpenDocument text, and its title."""
    archive = _Archive(raw, where, most)
    text = _xml_text(archive.read("content.xml"), where)
    return titled(text, _title(archive.read("meta.xml", b""), where))


def read_epub(raw: bytes, where: str, most: int) -> Content:
    """Return the chapters of an e-book in their order, and its title."""
    archive = _Archive(raw, where, most)
    roots, files, order = list[str](), dict[str, str](), list[str]()

    def start(tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if name == "rootfile":
            roots.append(attributes.get("full-path", ""))
        elif name == "item" and "html" in attributes.get("media-type", ""):
            files[attributes.get("id", "")] = attributes.get("href", "")
        elif name == "itemref":
            order.append(attributes.get("idref", ""))

    _parse(archive.read("META-INF/container.xml"), where, StartElement=start)
    package = archive.read(roots[0] if roots else "content.opf")
    _parse(package, where, StartElement=start)
    folder = posixpath.dirname(roots[0]) if roots else ""
    chapters = []
    for href in (files[id_] for id_ in order if id_ in files):
        page = archive.read(posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0]))))
        chapters.append(read_html(_decoded(page))[0])
    return titled("\n\n".join(filter(None, chapters)), _title(package, where))


def _decoded(page: bytes) -> str:
    try:
        return page.decode(html_encoding(page) or "utf-8-sig", "replace")
    except LookupError:
        return page.decode("utf-8-sig", "replace")


# ---------------------------------------------------------------------- PDF


def read_pdf(raw: bytes, where: str, most: int) -> Content:
    """Return the text of a PDF document, page after page, and its title."""
    if find_spec("pypdf") is not None:
        with _silent("pypdf"):
            text, title = _by_pypdf(raw, where, most)
    elif (program := shutil.which("pdftotext")) is not None:
        text, title = _by_pdftotext(program, raw, where, most), ""
    else:
        problem = f"{where} is a PDF file, for which pypdf (the extra [pdf]) or pdftotext is needed"
        raise CorpusError(problem, "install one of them")
    if not text.strip():
        raise CorpusError(f"{where} has no text: perhaps its pages are pictures", "leave it out")
    return titled(text, title)


def _by_pypdf(raw: bytes, where: str, most: int) -> tuple[str, str]:
    pypdf = import_module("pypdf")
    try:
        document = pypdf.PdfReader(io.BytesIO(raw))
        if document.is_encrypted and not document.decrypt(""):
            raise CorpusError(f"{where} is encrypted", "write it again without a password")
        pages, length = list[str](), 0
        for page in document.pages:
            pages.append(page.extract_text())
            length += len(pages[-1])
            if length > most:
                raise CorpusError(f"{where} unpacks to far more than a document", "leave it out")
        return "\n".join(pages), str((document.metadata or {}).get("/Title") or "")
    except CorpusError:
        raise
    except Exception as error:  # it raises nearly anything on a damaged file
        raise CorpusError(_INFO.format(where, "PDF", _reason(error)), "fetch it again") from error


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a package from logging: what matters of a file is in our own messages."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _reason(error: Exception) -> str:
    """Return what pypdf says is wrong with a file; its other errors are accidents with a damaged one."""
    said = " ".join(str(error).split()).rstrip(".")
    return said[:200] if said and type(error).__module__.startswith("pypdf") else "it is damaged"


def _by_pdftotext(program: str, raw: bytes, where: str, most: int) -> str:
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file, tempfile.TemporaryFile() as out:
        file.write(raw)
        file.flush()
        command = [program, "-q", "-enc", "UTF-8", file.name, "-"]
        try:
            subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=PDF_SECONDS, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            said = (getattr(error, "stderr", b"") or str(error).encode()).decode("utf-8", "replace").strip()
            hint = "write it again without a password" if "assword" in said else "fetch it again"
            raise CorpusError(_INFO.format(where, "PDF", said[:200]), hint) from error
        return _head_of(out, most, where)


def _head_of(stream: IO[bytes], most: int, where: str) -> str:
    stream.seek(0)
    content = stream.read(most + 1)
    if len(content) > most:
        raise CorpusError(f"{where} unpacks to far more than a document", "leave it out")
    return content.decode("utf-8", "replace")
