"""Limits of matrix files before memory is asked for, checks of what was read, and SciPy's own files."""

from __future__ import annotations

import math
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_matrix, issparse, load_npz

from nphash.core.csr import to_csr
from nphash.core.typing import CSR, Array
from nphash.corpus.files import numbered_lines, open_bytes, translate_errors
from nphash.corpus.records import Matrix, ReadOptions, show, stem
from nphash.errors import CorpusError, InputError

#: More columns are no vocabulary; models have a row of weights for each.
MAX_WORDS = 2**24

#: What is packed must not take more than so many times its size in memory, unless it is small.
MAX_RATIO = 100
SMALL_BYTES = 2**27

#: Rows and columns that may be empty in a small file, before a header that promises more is disbelieved.
EMPTY_ROWS, EMPTY_COLUMNS = 2**16, 2**17
_ENTRY_BYTES = 16  # a float64 and an index of 64 bits


def finish(X: CSR | Array, source: str, options: ReadOptions, vocabulary: list[str] | None = None) -> Matrix:
    """Return a matrix as float32 CSR with sorted, distinct indices, no stored zeros and ids ``name:row``.

    ``vocabulary`` are words that the format itself provides; the file of ``options`` goes before them.
    """
    _check_shape(X, source)
    if options.vocabulary is not None:
        vocabulary = read_vocabulary(options.vocabulary, options)
    if vocabulary is not None and len(vocabulary) != X.shape[1]:
        turned = "; the matrix may be transposed" if len(vocabulary) == X.shape[0] else ""
        problem = f"the vocabulary of {show(source)} has {len(vocabulary)} words for {X.shape[1]} columns"
        raise CorpusError(problem, f"give the file that belongs to this matrix, one word a line{turned}")
    if X.dtype.kind not in "buif":
        raise CorpusError(f"{show(source)} holds {X.dtype} entries", "word weights are real numbers")
    checked = checked_csr(X, source, np.float32 if X.dtype == np.float32 else np.float64)
    _check_entries(checked, source)
    weights = checked.astype(np.float32, copy=True)
    weights.eliminate_zeros()
    name, n = stem(source), X.shape[0]
    ids = [f"{name}:{row}" for row in range(1, n + 1)]
    return Matrix(weights, ids, [()] * n, [""] * n, vocabulary, generated_id=True)


def checked_csr(X: CSR | Array, source: str, dtype: DTypeLike | None = None) -> CSR:
    """Convert an array or sparse matrix that came from a file to CSR; CorpusError for broken index arrays."""
    if not issparse(X):
        X = csr_matrix(X)
    try:
        checked: CSR = to_csr(X, "the matrix", dtype)
    except InputError as error:
        problem = f"{show(source)} is no valid sparse matrix ({error.problem})"
        raise CorpusError(problem, "write it again") from error
    return checked


def _check_shape(X: CSR | Array, source: str) -> None:
    if len(X.shape) != 2 or X.shape[0] < 1 or X.shape[1] < 1:
        problem = f"{show(source)} holds no document (a matrix of shape {X.shape})"
        raise CorpusError(problem, "check that this is the right file")
    if X.shape[1] > MAX_WORDS:
        problem = f"{show(source)} has {X.shape[1]} columns, but at most {MAX_WORDS} are possible"
        raise CorpusError(problem, "check that rows are documents, or hash the words into fewer columns")


def _check_entries(X: CSR, source: str) -> None:
    with np.errstate(over="ignore"):
        data = X.data.astype(np.float32)  # a finite float64 may be infinite here
    bad = np.flatnonzero(~(np.isfinite(data) & (data >= 0)))
    if len(bad):
        row = int(np.searchsorted(X.indptr, bad[0], side="right"))
        value, column = X.data[bad[0]], int(X.indices[bad[0]]) + 1
        problem = f"{show(source)}: the entry in row {row}, column {column} is {value}"
        raise CorpusError(problem, "word weights are finite and not negative; correct or remove it")


def check_claims(source: str, rows: int, columns: int, entries: int, content_bytes: int) -> None:
    """Raise CorpusError for a header that promises more than the file can hold: memory is asked for later."""
    if min(rows, columns, entries) < 0:
        raise CorpusError(f"the header of {show(source)} has a negative size", "write the file again")
    if columns > MAX_WORDS:
        problem = f"promises {columns} columns, but at most {MAX_WORDS} are possible"
        raise CorpusError(f"the header of {show(source)} {problem}", "check that rows are documents")
    empty = {"entries": (entries, 0), "rows": (rows, EMPTY_ROWS)}
    empty["columns"] = (columns, EMPTY_COLUMNS + 4 * content_bytes)
    for what, (promised, possible) in empty.items():
        if promised > content_bytes + possible:
            problem = f"promises {promised} {what}, more than its {content_bytes} bytes can hold"
            hint = "the file is damaged or not of this format"
            raise CorpusError(f"the header of {show(source)} {problem}", hint)


def check_file(source: str, what: str) -> None:
    """Raise CorpusError for what cannot be read twice: standard input, a pipe, ``<(...)`` of a shell."""
    if source == "-":
        raise CorpusError(f"{what} files cannot be read from standard input", "give a path")
    with translate_errors(source):
        mode = Path(source).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        problem = f"{source} is a pipe or a device, and {what} files cannot be read from one"
        raise CorpusError(problem, "write it to a file first, and give its path")


def unpacked_bytes(source: str) -> int:
    """Return the size of a file's content; a gzip file is read through once, a piece at a time."""
    with open_bytes(source) as stream:
        return sum(len(piece) for piece in iter(lambda: stream.read(2**20), b""))


@contextmanager
def foreign_parser(source: str, what: str) -> Iterator[None]:
    """Turn whatever a parser raises on arbitrary bytes into a CorpusError: KeyError, struct.error, ..."""
    with translate_errors(source):
        try:
            yield
        except (CorpusError, OSError):
            raise
        except MemoryError as error:
            raise CorpusError(f"{show(source)} does not fit into memory", "give fewer documents") from error
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            hint = "the file is damaged or not of this format; see --input-format"
            raise CorpusError(f"{show(source)} cannot be read as {what} ({reason[0][:200]})", hint) from error


def read_vocabulary(path: str | Path, options: ReadOptions) -> list[str]:
    """Return the words of a file in order; CorpusError for anything but one word a line, each once."""
    line_of: dict[str, int] = {}
    for number, line in numbered_lines(path, options):
        word = line.strip()
        if not word:
            raise CorpusError(f"{path}, line {number} is empty", "give one word a line, one line a column")
        if word in line_of:
            problem = f"{path}, line {number}: the word {word!r} was already on line {line_of[word]}"
            raise CorpusError(problem, "give one word a line, each once")
        line_of[word] = number
    return list(line_of)


def read_npz(source: str, options: ReadOptions) -> Matrix:
    """Read a sparse matrix of SciPy's ``save_npz``, checked before it is unpacked; objects are refused."""
    check_file(source, "npz")
    with open_bytes(source, archives=False) as file, foreign_parser(source, "a SciPy .npz matrix"):
        _check_npz(source, file)
        file.seek(0)
        return finish(load_npz(file), source, options)


def most_bytes(packed: int) -> int:
    """Return how much memory the content of a packed file may take."""
    return max(SMALL_BYTES, MAX_RATIO * packed)


def _check_needed(needed: int, packed: int, source: str) -> None:
    if needed > most_bytes(packed):
        problem = f"{show(source)} has {packed} bytes and would unpack to {needed} in memory"
        raise CorpusError(problem, "the file is damaged, or else save it uncompressed")


def _check_npz(source: str, file: IO[bytes]) -> None:
    packed = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        unpacked = needed = sum(member.file_size for member in members.values())
        _check_needed(needed, packed, source)
        if not {"format", "shape"} <= members.keys():
            there = ", ".join(sorted(members)) or "nothing"
            problem = f"{show(source)} holds no sparse matrix (it has {there[:200]})"
            raise CorpusError(problem, "write it with scipy.sparse.save_npz")
        for name, member in members.items():  # what it names is not unpacked yet
            with archive.open(member) as stream:
                shape, dtype = _array_header(stream)
            if dtype.hasobject:
                raise CorpusError(f"{show(source)}: {name} holds Python objects", "write plain numbers")
            needed += math.prod(shape) * _ENTRY_BYTES
            if math.prod(shape) * dtype.itemsize > member.file_size:
                room = f"its {member.file_size} bytes can hold"
                problem = f"{show(source)}: {name} promises {math.prod(shape)} numbers, more than {room}"
                raise CorpusError(problem, "the file is damaged")
        _check_needed(needed, packed, source)
        with archive.open(members["shape"]) as stream:
            rows, columns = (int(size) for size in np.lib.format.read_array(stream, allow_pickle=False))
    check_claims(source, rows, columns, 0, min(unpacked, MAX_RATIO * packed))


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    old, new = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    shape, _, dtype = old(stream) if version == (1, 0) else new(stream)
    return shape, dtype
