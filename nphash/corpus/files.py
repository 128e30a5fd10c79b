"""Open and decode files of any origin: gzip, standard input, wrong encodings, endless lines, no text."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, cast

from nphash.corpus.packed import unpack_head, unpacked
from nphash.corpus.records import ReadOptions, Skipped, show
from nphash.errors import CorpusError

_PDF = b"%PDF-"  # the one kind of file that may be ASCII throughout and yet no text
_UTF_16 = {b"\xff\xfe", b"\xfe\xff"}

_UNPACK = "unpack it first, or pipe it: {} FILE | nphash ... -"
_CONVERT = "write it as CSV or JSON lines with the program it is from"
_BY_PYARROW = f"give --input-format parquet, or {_CONVERT}"
_EXTRACT = "unpack it and give the file or folder that was in it"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x28\xb5\x2f\xfd", "is packed with zstd", _UNPACK.format("zstd -dc")),
    (rb"\x04\x22\x4d\x18", "is packed with lz4", _UNPACK.format("lz4 -dc")),
    (rb"PK\x03\x04", "is a zip archive", _EXTRACT),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive", _EXTRACT),
    (rb"(?s).{257}ustar", "is a tar archive", _EXTRACT),
    (rb"PAR1[\x00-\x1f]", "is a Parquet file", _BY_PYARROW),
    (rb"ARROW1\0\0", "is an Arrow file", _BY_PYARROW),
    (rb"SQLite format 3\0", "is an SQLite database", "give sqlite:FILE?table=NAME"),
    (rb"\x89HDF\r\n\x1a\n", "is an HDF5 file", _CONVERT),
    (rb"\x93NUMPY", "is a NumPy array", "give a sparse matrix of scipy.sparse.save_npz"),
)

# Control characters that no encoding uses for letters and a text hardly ever holds; packed data do.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1a\x1b"))
_DELETE_CONTROLS = dict.fromkeys(_CONTROLS)
FEWEST = 1024  # a shorter text may be odd
HEAD = 2**16
MANY_BLANK = 2**12

# ---------------------------------------------------------------------- bytes


@contextmanager
def open_bytes(source: str | Path, archives: bool = True) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for ``"-"``, and unpack it; CorpusError for whatever can go wrong.

    Zip archives of one file are unpacked unless the format is itself one.
    """
    with translate_errors(source):
        if str(source) == "-":
            with _standard_input() as stream:
                yield unpacked(stream, show(source), archives)
            return
        with Path(source).open("rb") as file, unpacked(file, show(source), archives) as opened:
            yield opened


@contextmanager
def translate_errors(source: str | Path) -> Iterator[None]:
    """Turn the errors of opening, reading and unpacking ``source`` into a CorpusError."""
    try:
        yield
    except FileNotFoundError as error:
        raise CorpusError(f"{show(source)} does not exist", "check the path") from error
    except IsADirectoryError as error:
        hint = "give --input-format folder, or the path of a file in it"
        raise CorpusError(f"{show(source)} is a folder, but a file is needed", hint) from error
    except OSError as error:
        problem = f"{show(source)} cannot be read ({error.strerror or error})"
        raise CorpusError(problem, "check that it is a file and that you may read it") from error


@contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    stream = getattr(sys.stdin, "buffer", None)  # None without a terminal, text only in some editors
    if stream is None:
        raise CorpusError("there is no standard input here", "give the path of a file")
    if hasattr(stream, "peek"):
        yield cast(io.BufferedReader, stream)
        return
    # Replaced by a test or an embedding program.
    reader = cast(io.BufferedReader, io.BufferedReader(cast(io.RawIOBase, stream)))
    try:
        yield reader
    finally:
        reader.detach()  # or it would close what is not its own


def peek_standard_input(size: int = 2**13) -> bytes:
    """Return some first bytes of standard input, unpacked, without taking them away."""
    stream = getattr(sys.stdin, "buffer", None) or io.BytesIO()
    if hasattr(stream, "peek"):
        head = cast(io.BufferedReader, stream).peek(size)[:size]
    elif stream.seekable():
        at = stream.tell()
        head = stream.read(size)
        stream.seek(at)
    else:
        return b""
    return unpack_head(head, size)


# ---------------------------------------------------------------------- what is no text


def kind_of(head: bytes) -> tuple[str, str] | None:
    """Return what a file is, by its first bytes, and what to do about it; None for what may be text."""
    return next(((what, hint) for pattern, what, hint in _KINDS if re.match(pattern, head)), None)


def has_controls(text: str) -> bool:
    """Return whether a text of some length has so many control characters that it is none."""
    head = text[:HEAD]
    return len(head) >= FEWEST and 100 * (len(head) - len(head.translate(_DELETE_CONTROLS))) > len(head)


def is_text(raw: bytes) -> bool:
    """Return whether bytes look like a text, if perhaps one of another encoding."""
    if raw[:2] in _UTF_16:
        return True
    head = raw[:HEAD]
    n_controls = len(head) - len(head.translate(None, _CONTROLS))
    return not raw.startswith(_PDF) and b"\0" not in raw and 100 * n_controls <= len(head)


def is_no_text(raw: bytes, text: str) -> bool:
    """Return whether a file is no text, although its bytes fit an encoding."""
    return "\0" in text or text.startswith("%PDF-") or kind_of(raw) is not None or has_controls(text)


def check_text(head: bytes, source: str, encoding: str) -> None:
    """Raise CorpusError for first bytes of a file that are UTF-16 or no text, if they fit the encoding."""
    if (kind := kind_of(head)) is not None:
        raise CorpusError(f"{show(source)} {kind[0]}", kind[1])
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        return  # the reader will say so, with the line
    wide = _looks_wide(head)
    if wide and "\0" in text:
        problem = f"{show(source)} has a zero in every second byte, and is read as {encoding}"
        raise CorpusError(problem, f"it looks like UTF-16: try --encoding {wide}")
    if has_controls(text):
        problem = f"{show(source)} is full of control characters, read as {encoding}"
        raise CorpusError(problem, "this looks like no text file")


def _looks_wide(head: bytes) -> str:
    """Return how bytes are encoded of which every second one is zero, or an empty string."""
    zeros = head[::2].count(0), head[1::2].count(0)
    if len(head) >= 16 and not zeros[0] and 4 * zeros[1] > len(head):
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 16 and not zeros[1] and 4 * zeros[0] > len(head) else ""


# ---------------------------------------------------------------------- text


class Decoder:
    """Decode pieces of text in the first encoding that fits, and report which may be misread.

    Pieces are called ``one`` and ``several``; where they are of one encoding (``together``), one that is no
    UTF-8 shows that none is. CorpusError for an encoding that there is not.
    """

    def __init__(self, options: ReadOptions, one: str, several: str, together: bool = False) -> None:
        first, *others = self.names = [name.strip() for name in options.encoding.split(",")]
        self.codec, *_ = map(_codec, self.names)
        later = " or ".join(others)
        what = f"not {first}, and {{}} read as {later}"
        self._later = Skipped(
            options, f"1 {one} is {what.format('was')}", f"{{}} {several} are {what.format('were')}"
        )
        what = f"read as {first}, and {{}} valid UTF-8 (if letters are wrong, give --encoding utf-8)"
        self._misread = Skipped(
            options, f"1 {one} was {what.format('is')}", f"{{}} {several} were {what.format('are')}"
        )
        self._together, self._is_mixed = together, self.codec.startswith("utf") or bool(others)

    def decode(self, raw: bytes, name: str) -> str:
        """Return the text, noting `name` of one that is doubtful; UnicodeDecodeError where nothing fits."""
        try:
            text = raw.decode(self.names[0])
        except UnicodeDecodeError as error:
            for later in self.names[1:]:
                try:
                    text = raw.decode(later)
                except UnicodeDecodeError:
                    continue
                if self._is_used(raw, text):
                    self._later.add(name)
                return text
            raise error
        if not self._is_mixed and not raw.isascii():
            if raw.decode("utf-8", "ignore").encode() == raw:
                if self._is_used(raw, text):
                    self._misread.add(name)
            else:
                self._is_mixed = self._together
        return text

    def _is_used(self, raw: bytes, text: str) -> bool:
        """Return whether a piece is read: a whole file that is no text is skipped."""
        return self._together or not is_no_text(raw, text)

    def report(self) -> None:
        """Say which pieces were read in another encoding than the first, or may have to be."""
        self._later.report()
        if not self._is_mixed:
            self._misread.report()


def numbered_lines(
    source: str | Path, options: ReadOptions, skipped: Skipped | None = None
) -> Generator[tuple[int, str], None, None]:
    r"""Yield (line number from 1, line without its end, ``\n`` or ``\r\n``) of a text file, without its mark.

    A caller that may stop before the end closes the generator, and with it the file. A line that does not fit
    the encoding goes to ``skipped`` where that takes it; otherwise, and if one is too long, CorpusError.
    """
    with open_bytes(source) as stream:
        head = cast(io.BufferedReader, stream).peek(HEAD)[:HEAD]
        if marked := _marked(head, options):
            options = replace(options, encoding=marked)
        decoder = Decoder(options, f"line of {show(source)}", f"lines of {show(source)}", together=True)
        check_text(head, str(source), decoder.codec)
        if b"\n".decode(decoder.codec, "replace") != "\n":  # UTF-16 and -32, EBCDIC
            others = _other_lines(stream, source, decoder.codec, options.max_document_bytes)
            for number, line in enumerate(others, start=1):
                yield number, line.removeprefix("\ufeff") if number == 1 else line
            return
        number, offset, limit = 0, 0, options.max_document_bytes
        while raw := stream.readline(limit + 1):
            number += 1
            if raw == b"\n":
                n_more = _skip_blank_lines(cast(io.BufferedReader, stream))
                number, offset = number + n_more, offset + n_more
            if len(raw) > limit:
                raise _too_long(f"{show(source)}, line {number}", limit)
            offset += len(raw)
            try:
                line = decoder.decode(raw, f"line {number}").rstrip("\r\n")
            except UnicodeDecodeError as error:
                more = cast(io.BufferedReader, stream).peek(HEAD)
                where = f"{show(source)}, line {number}"
                wrong = _not_decodable(where, raw, error.start, options, offset - len(raw), more)
                with (skipped or Skipped(options)).unusable():
                    raise wrong from error
                continue
            yield number, line.removeprefix("\ufeff") if number == 1 else line
    decoder.report()


def _skip_blank_lines(stream: io.BufferedReader) -> int:
    """Skip blank lines as long as there are thousands of them, and return how many."""
    skipped = 0
    while len(head := stream.peek(1)) >= MANY_BLANK and not head.strip(b"\n"):
        skipped += len(stream.read(len(head)))
    return skipped


def _other_lines(stream: IO[bytes], source: str | Path, encoding: str, limit: int) -> Iterator[str]:
    """Yield lines where the byte 10 does not end them; in EBCDIC it is NEL that does."""
    decoder = codecs.getincrementaldecoder(encoding)()
    nel = "\n" if not encoding.startswith("utf") else "\x85"
    number, waiting = 1, io.StringIO()
    try:
        for raw in chain(iter(lambda: stream.read(2**13), b""), [b""]):
            for at, piece in enumerate(decoder.decode(raw, not raw).replace("\x85", nel).split("\n")):
                if at:
                    yield waiting.getvalue().rstrip("\r")
                    number, waiting = number + 1, io.StringIO()
                if waiting.tell() + waiting.write(piece) > limit:
                    raise _too_long(f"{show(source)}, line {number}", limit)
    except UnicodeError as error:
        problem = f"{show(source)} is not {encoding} ({error}), near line {number}"
        raise CorpusError(problem, "give its encoding with --encoding") from error
    if waiting.tell():
        yield waiting.getvalue().rstrip("\r")


def decode(raw: bytes, source: str | Path, options: ReadOptions, decoder: Decoder | None = None) -> str:
    """Decode a whole file's bytes; CorpusError when they are too many or do not fit the encoding."""
    decoder = decoder or Decoder(options, "file", "files")
    if marked := _marked(raw, options):
        options = replace(options, encoding=marked)
        decoder = Decoder(options, "file", "files")
    if len(raw) > options.max_document_bytes:
        raise _too_long(show(source), options.max_document_bytes)
    try:
        return decoder.decode(raw, Path(source).name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _not_decodable(f"{show(source)}, line {line}", raw, error.start, options) from error


def _marked(head: bytes, options: ReadOptions) -> str:
    """Return the encoding that first bytes are the mark of, whichever was given, unless it reads the mark."""
    first = _codec(options.encoding.partition(",")[0].strip())
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and not first.startswith("utf-16"):
        return "utf-32"
    if head[:2] in _UTF_16:
        return "utf-16"
    # Lines of another encoding may follow: they are read in what was given.
    other = head.startswith(codecs.BOM_UTF8) and not first.startswith("utf-8")
    return f"utf-8,{options.encoding}" if other else ""


def _codec(encoding: str) -> str:
    try:
        "a".encode(encoding)  # LookupError also for codecs that are not for text
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        problem = f"{encoding!r} is no text encoding"
        raise CorpusError(problem, "give one that Python knows, such as utf-8 or latin-1") from error


def _too_long(where: str, limit: int) -> CorpusError:
    size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
    problem = f"{where} is longer than {size}"
    return CorpusError(problem, "split the document, or check that this is a text file")


def _not_decodable(
    where: str, raw: bytes, start: int, options: ReadOptions, offset: int = 0, more: bytes = b""
) -> CorpusError:
    """Return the error about a byte of ``raw``, read at ``offset`` of a file and followed by ``more``."""
    hint = "this looks like no text file"
    if raw[:2] in _UTF_16 and offset == 0:
        hint = "it begins with the mark of UTF-16, but is damaged or no text: leave it out"
    elif is_text(raw + more):
        guess = "cp1252" if re.search(rb"[\x80-\x9f]", raw + more) else "latin-1"
        hint = f"give its encoding, for example --encoding {guess}"
    byte = f"byte 0x{raw[start]:02x} at offset {offset + start}"
    return CorpusError(f"{where}: {byte} is not {options.encoding}", hint)
