"""Documents of word processors, e-books and PDF: .docx, .odt, .epub and .pdf.

The first three are archives of XML: no external entity is followed, none may be declared, and no more is
unpacked than a document may be long. Programs in documents are never run. PDF needs the package pypdf, or the
program ``pdftotext`` on the path.
"""

from __future__ import annotations

import io
import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import IO
from urllib.parse import unquote
from xml.parsers import expat

from nphash.corpus.markup import Content, html_encoding, read_html, titled
from nphash.corpus.packed import open_archive, open_member
from nphash.errors import CorpusError

PDF_SECONDS = 60
_DC = "http://purl.org/dc/elements/1.1/ "
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
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


def _parse(
    content: bytes, where: str, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:  # fmt: skip
    """Go through XML; CorpusError where it is broken or declares entities, of which a few make gigabytes."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text

    def refuse(*_: object) -> None:
        raise CorpusError(f"{where} declares entities, as no document needs to", "leave it out")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{where} is damaged: its XML is broken ({error})", "fetch it again") from error


def _texts_of(content: bytes, where: str, name: str) -> list[str]:
    """Return the texts of the elements of one name."""
    found: list[str] = []
    inside = [False]

    def start(tag: str, _: dict[str, str]) -> None:
        inside[0] = tag == name
        found.extend([""] * inside[0])

    def text(piece: str) -> None:
        if inside[0]:
            found[-1] += piece

    _parse(content, where, start, lambda _: inside.__setitem__(0, False), text)
    return found


def _title(content: bytes, where: str) -> str:
    return next(filter(None, map(str.strip, _texts_of(content, where, f"{_DC}title"))), "") if content else ""


def _paragraphs(content: bytes, where: str, marks: dict[str, str], only: str = "", ends: str = "") -> str:
    """Return the text of XML, in elements called ``only`` if given, with marks for empty elements."""
    pieces: list[str] = []
    depth = [0]

    def start(tag: str, _: dict[str, str]) -> None:
        depth[0] += tag == only
        if tag in marks:
            pieces.append(marks[tag])

    def close(tag: str) -> None:
        depth[0] -= tag == only
        if tag in ends.split(","):
            pieces.append("\n")

    def text(piece: str) -> None:
        if depth[0] or not only:
            pieces.append(piece)

    _parse(content, where, start, close, text)
    return "".join(pieces).strip()


def read_docx(raw: bytes, where: str, most: int) -> Content:
    """Return the text of a Word document, with its notes, and its title."""
    archive = _Archive(raw, where, most)
    marks = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
    texts = []
    for part in ("document", "footnotes", "endnotes"):
        content = archive.read(f"word/{part}.xml", None if part == "document" else b"")
        if content:
            texts.append(_paragraphs(content, where, marks, f"{_WORD}t", f"{_WORD}p"))
    return titled("\n".join(filter(None, texts)), _title(archive.read("docProps/core.xml", b""), where))


def read_odt(raw: bytes, where: str, most: int) -> Content:
    """Return the text of an OpenDocument text, and its title."""
    archive = _Archive(raw, where, most)
    marks = {f"{_TEXT}tab": "\t", f"{_TEXT}s": " ", f"{_TEXT}line-break": "\n"}
    text = _paragraphs(archive.read("content.xml"), where, marks, "", f"{_TEXT}p,{_TEXT}h")
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

    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    _parse(archive.read("META-INF/container.xml"), where, start, nothing, nothing)
    package = archive.read(roots[0] if roots else "content.opf")
    _parse(package, where, start, nothing, nothing)
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
        raise CorpusError(_INFO.format(where, "PDF", f"{error!r:.200}"), "fetch it again") from error


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
