"""Open and decode files of any origin: gzip, standard input, wrong encodings, endless lines."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from nphash.corpus.binary import HEAD, check_text
from nphash.corpus.left_out import LeftOut
from nphash.corpus.records import ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["decode", "is_text", "numbered_lines", "open_bytes", "peek_standard_input", "translate_errors"]

_GZIP = b"\x1f\x8b"
_PDF = b"%PDF-"  # the one kind of file that may be ASCII throughout and yet no text

_UTF_16 = {b"\xff\xfe", b"\xfe\xff"}

# Bytes that no encoding of text uses for letters, and a text hardly ever holds; packed data does everywhere.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1a\x1b"))


@contextmanager
def open_bytes(source: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for ``"-"``, and unpack gzip, whatever the file is called.

    Raises
    ------
    CorpusError
        For whatever can go wrong with a file, also while it is being read inside the block.
    """
    with translate_errors(source):
        if str(source) == "-":
            with _standard_input() as stream:
                yield _unpacked(stream)
            return
        with Path(source).open("rb") as file, _unpacked(file) as stream:
            yield stream


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
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{show(source)} is a damaged gzip file ({error})", "fetch or pack it again"
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{show(source)} cannot be read ({error.strerror or error})",
            "check that it is a file and that you may read it",
        ) from error


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


def _unpacked(stream: io.BufferedReader) -> IO[bytes]:
    if stream.peek(2)[:2] == _GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    return stream


def peek_standard_input() -> bytes:
    """Return some first bytes of standard input, unpacked, without taking them away."""
    stream = getattr(sys.stdin, "buffer", None) or io.BytesIO()
    if hasattr(stream, "peek"):
        head = cast(io.BufferedReader, stream).peek(512)
    elif stream.seekable():
        at = stream.tell()
        head = stream.read(512)
        stream.seek(at)
    else:
        return b""
    if head[:2] == _GZIP:
        try:
            return zlib.decompressobj(31).decompress(head, 512)
        except zlib.error:
            return b""
    return head


def numbered_lines(
    source: str | Path, options: ReadOptions, left_out: LeftOut | None = None
) -> Generator[tuple[int, str], None, None]:
    r"""Yield (line number from 1, line without its end) of a text file.

    Lines end with ``\n`` or ``\r\n``. A byte order mark is left out. A caller that may stop before
    the end closes the generator, and with it the file. A line that does not fit the encoding is left out
    where ``left_out`` takes it.

    Raises
    ------
    CorpusError
        When the file cannot be read or is no text, a line is too long, or bytes do not fit the encoding.
    """
    name = _check_encoding(options.encoding)
    with open_bytes(source) as stream:
        check_text(cast(io.BufferedReader, stream).peek(HEAD)[:HEAD], str(source), name)
        if name.startswith(("utf-16", "utf-32")):  # their line ends are not the byte 10
            yield from _wide_lines(stream, source, options)
            return
        offset, limit = 0, options.max_document_bytes
        for number, raw in enumerate(iter(lambda: stream.readline(limit + 1), b""), start=1):
            if len(raw) > limit:
                raise _too_long(f"{show(source)}, line {number}", limit)
            try:
                line = raw.decode(options.encoding)
            except UnicodeDecodeError as error:
                readable = is_text(raw + cast(io.BufferedReader, stream).peek(2**16))
                wrong = _not_decodable(source, raw, error, options, number, offset, readable)
                offset += len(raw)
                with (left_out or LeftOut(options)).unusable():
                    raise wrong from error
                continue
            offset += len(raw)
            yield number, line.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else line.rstrip("\r\n")


def _wide_lines(stream: IO[bytes], source: str | Path, options: ReadOptions) -> Iterator[tuple[int, str]]:
    text = io.TextIOWrapper(stream, encoding=options.encoding, newline="\n")
    number, limit = 0, options.max_document_bytes
    try:
        for number, line in enumerate(iter(lambda: text.readline(limit + 1), ""), start=1):
            if len(line) > limit:
                raise _too_long(f"{show(source)}, line {number}", limit)
            yield number, line.removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeError as error:
        raise CorpusError(
            f"{show(source)} is not {options.encoding} ({error}), near line {number + 1}",
            "give its encoding with --encoding",
        ) from error
    finally:
        text.detach()


def decode(raw: bytes, source: str | Path, options: ReadOptions) -> str:
    """Decode a whole file's bytes.

    Raises
    ------
    CorpusError
        When they are too many or do not fit the encoding.
    """
    _check_encoding(options.encoding)
    if len(raw) > options.max_document_bytes:
        raise _too_long(show(source), options.max_document_bytes)
    try:
        return raw.decode(options.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _not_decodable(source, raw, error, options, line, 0, is_text(raw)) from error


def is_text(raw: bytes) -> bool:
    r"""Tell whether bytes look like a text, if perhaps one of another encoding.

    Examples
    --------
    >>> is_text("caf\xe9".encode("latin-1")), is_text(b"\x89PNG\r\n\x1a\n\0\0\0\r"), is_text(b"%PDF-1.7")
    (True, False, False)
    """
    if raw[:2] in _UTF_16:
        return True
    head = raw[: 2**16]
    n_controls = len(head) - len(head.translate(None, _CONTROLS))
    return not raw.startswith(_PDF) and b"\0" not in raw and 100 * n_controls <= len(head)


def _check_encoding(encoding: str) -> str:
    try:
        "a".encode(encoding)  # LookupError also for codecs that are not for text
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise CorpusError(
            f"{encoding!r} is no text encoding", "give one that Python knows, such as utf-8 or latin-1"
        ) from error


def _too_long(where: str, limit: int) -> CorpusError:
    size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
    return CorpusError(
        f"{where} is longer than {size}", "split the document, or check that this is a text file"
    )


def _not_decodable(
    source: str | Path,
    raw: bytes,
    error: UnicodeDecodeError,
    options: ReadOptions,
    line: int,
    offset: int,
    readable: bool,
) -> CorpusError:
    hint = "give its encoding, for example --encoding latin-1" if readable else "this looks like no text file"
    if raw[:2] in _UTF_16 and offset == 0:
        hint = "it begins like UTF-16: try --encoding utf-16"
    return CorpusError(
        f"{show(source)}, line {line}: byte 0x{raw[error.start]:02x} at offset {offset + error.start} "
        f"is not {options.encoding}",
        hint,
    )
