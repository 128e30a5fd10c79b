"""MATLAB 5 files of the VDSH paper: ``train``, ``test``, ``cv`` and their labels ``gnd_*``.

SciPy's reader knows more kinds of variables, but a damaged file can crash the whole process in it (seen with
SciPy 1.17). Here every length is checked against the bytes that are there, and nothing is unpacked to more
than a fixed multiple of its size.

After a header of 128 bytes come elements: (type, size) and a payload padded to 8 bytes. A matrix is one of
elements: flags, sizes, name, and the numbers; a compressed element holds one matrix in zlib's form.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix, vstack

from nphash.core.typing import CSR, Array
from nphash.corpus.files import open_bytes
from nphash.corpus.matrices import check_claims, checked_csr, finish, foreign_parser, most_bytes
from nphash.corpus.records import Matrix, ReadOptions, show
from nphash.errors import CorpusError

_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_SPARSE_CLASS, _NUMERIC_CLASSES = 5, range(6, 16)
_COMPLEX = 0x0800
_SPLITS = {"train": "train", "cv": "valid", "test": "test"}


def read(source: str, options: ReadOptions) -> Matrix:
    """Read all parts, one below the other; ``splits`` says which, ids are ``train:1`` and so on.

    Labels are the column numbers of an indicator matrix, or the values of a column of classes. CorpusError
    for a damaged file, HDF5 (MATLAB's ``-v7.3``), missing variables or sizes that do not agree.
    """
    if source == "-":
        raise CorpusError("MATLAB files cannot be read from standard input", "give a path")
    found, names = read_variables(source, [*_SPLITS, *(f"gnd_{name}" for name in _SPLITS)])
    if "train" not in found:
        there = ", ".join(names) or "nothing"
        raise CorpusError(f"{source} has no matrix 'train' (it has {there[:200]})", "name it so")
    parts = {name: csr_matrix(found[name]) for name in _SPLITS if name in found}
    if len({part.shape[1] for part in parts.values()}) > 1:
        shapes = ", ".join(f"{name} {part.shape[1]}" for name, part in parts.items())
        problem = f"the parts of {source} differ in their number of words ({shapes})"
        raise CorpusError(problem, "write it again")
    matrix = finish(vstack(list(parts.values()), format="csr"), source, options)
    rows = [(name, row) for name, part in parts.items() for row in range(1, part.shape[0] + 1)]
    matrix.ids = [f"{name}:{row}" for name, row in rows]
    matrix.splits = [_SPLITS[name] for name, _ in rows]
    matrix.labels = []
    for name, part in parts.items():
        truth, n = found.get(f"gnd_{name}"), part.shape[0]
        matrix.labels += [()] * n if truth is None else _labels(truth, n, f"{source}: gnd_{name}")
    return matrix


def _labels(truth: Array | CSR, n: int, where: str) -> list[tuple[str, ...]]:
    marks = csr_matrix(truth)
    if marks.shape[0] != n and marks.shape[1] == n:
        marks = csr_matrix(marks.T)
    values = marks.data.astype(np.float64)
    if marks.shape[0] != n:
        raise CorpusError(f"{where} has {marks.shape[0]} rows for {n} documents", "write the file again")
    if not np.all(np.isfinite(values)):
        raise CorpusError(f"{where} holds values that are no numbers", "write the file again")
    if marks.shape[1] == 1:
        return [(f"{value:g}",) for value in marks.toarray()[:, 0].astype(np.float64)]
    marks.eliminate_zeros()
    marks.sort_indices()
    rows = np.split(marks.indices, marks.indptr[1:-1])
    return [tuple(str(column) for column in row) for row in rows]


def read_variables(source: str, wanted: Collection[str]) -> tuple[dict[str, Array | CSR], list[str]]:
    """Return the wanted variables of a file, ndarray or CSR of two dimensions, and the names of all."""
    with open_bytes(source) as file:
        head = file.read(640)
        order = _byte_order(head, source)
        most = most_bytes(Path(source).stat().st_size)
        content = memoryview(head + file.read(most))
    if len(content) > most:
        raise CorpusError(f"{show(source)} would unpack to more than {most} bytes", "the file is damaged")
    found: dict[str, Array | CSR] = {}
    names = []
    with foreign_parser(source, "a MATLAB file"):
        elements = _Elements(content[128:], order)
        while elements:
            kind, payload = elements.next()
            if not len(payload):
                raise ValueError("it holds an empty element")
            if kind == _COMPRESSED:
                kind, payload = _Elements(_unpack(payload, source), order).next()
            if kind != _MATRIX:
                continue
            parts = _Elements(payload, order)
            flags, shape, name = parts.header()
            names.append(name)
            if name in wanted:
                found[name] = _matrix(parts, flags, shape, f"{show(source)}: {name}")
    return found, names


class _Elements:
    """The elements in some bytes, one after the other."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.data, self.order = data, order

    def __bool__(self) -> bool:
        return len(self.data) >= 8

    def next(self) -> tuple[int, memoryview]:
        """Take the next element: its type and payload."""
        kind, size = struct.unpack_from(f"{self.order}II", self.data)
        start, step = 8, 8 + size if kind == _COMPRESSED else 8 + -(-size // 8) * 8
        if kind >> 16:  # up to four bytes stand in the place of the size
            kind, size, start, step = kind & 0xFFFF, kind >> 16, 4, 8
        if size > len(self.data) - start or start + size > step:
            raise ValueError(f"it ends inside an element of {size} bytes")
        payload, self.data = self.data[start : start + size], self.data[step:]
        return kind, payload

    def numbers(self) -> Array:
        """Take the next element as an array in this machine's byte order."""
        kind, payload = self.next()
        if kind not in _DTYPES:
            raise ValueError(f"numbers of the unknown type {kind}")
        found = np.frombuffer(payload, f"{self.order}{_DTYPES[kind]}")
        return found.astype(found.dtype.newbyteorder("="))

    def header(self) -> tuple[int, tuple[int, ...], str]:
        """Return flags, shape and name of a matrix."""
        flags = int(self.numbers()[0])
        shape = tuple(int(size) for size in self.numbers())
        return flags, shape, bytes(self.next()[1]).decode("latin-1")


def _byte_order(head: bytes, source: str) -> str:
    if b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520]) or b"MATLAB 7.3" in head[:116]:
        raise CorpusError(f"{show(source)} is of MATLAB's HDF5 form", "save it again with -v7")
    marks = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
    if head[124:128] not in marks:
        problem = f"{show(source)} is no MATLAB 5 file"
        raise CorpusError(problem, "save it again with -v7 or with scipy.io.savemat")
    return marks[head[124:128]]


def _unpack(payload: memoryview, source: str) -> memoryview:
    limit = most_bytes(len(payload))
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(payload, limit)
    except zlib.error as error:
        raise ValueError(f"a variable cannot be unpacked: {error}") from error
    if unpacker.unconsumed_tail:
        problem = f"{show(source)}: a variable of {len(payload)} bytes would unpack to more than {limit}"
        raise CorpusError(problem, "the file is damaged")
    return memoryview(data)


def _matrix(parts: _Elements, flags: int, shape: tuple[int, ...], where: str) -> Any:
    size = len(parts.data)
    kind = flags & 0xFF
    if len(shape) != 2 or flags & _COMPLEX or not (kind == _SPARSE_CLASS or kind in _NUMERIC_CLASSES):
        raise CorpusError(f"{where} is no matrix of real numbers", "save it as a numeric or sparse matrix")
    check_claims(where, shape[0], shape[1], 0, size)
    if kind != _SPARSE_CLASS:
        values = parts.numbers()
        if len(values) != math.prod(shape):
            raise ValueError(f"{len(values)} numbers for a matrix of shape {shape}")
        return values.reshape(shape, order="F")
    rows, starts, values = parts.numbers(), parts.numbers(), parts.numbers()
    if len(starts) != shape[1] + 1 or not 0 <= int(starts[-1]) <= min(len(rows), len(values)):
        raise ValueError(f"broken index arrays for a matrix of shape {shape}")
    entries = int(starts[-1])
    return checked_csr(csc_matrix((values[:entries], rows[:entries], starts), shape=shape), where)
