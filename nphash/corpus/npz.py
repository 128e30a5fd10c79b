"""SciPy's ``save_npz`` files, checked before they are unpacked."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np
from scipy.sparse import load_npz

from nphash.corpus.files import open_bytes
from nphash.corpus.matrices import MAX_RATIO, SMALL_BYTES, check_claims, check_file, finish, foreign_parser
from nphash.corpus.records import Matrix, ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["read"]


def read(source: str, options: ReadOptions) -> Matrix:
    """Read a sparse matrix of any SciPy format; rows are documents.

    CorpusError for a damaged file, an archive without a sparse matrix, Python objects inside (never
    unpickled), or sizes that do not fit.
    """
    check_file(source, "npz")
    with open_bytes(source) as file, foreign_parser(source, "a SciPy .npz matrix"):
        _check_archive(source, file)
        file.seek(0)
        return finish(load_npz(file), source, options)


def _check_archive(source: str, file: IO[bytes]) -> None:
    packed = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        unpacked = sum(member.file_size for member in members.values())
        if unpacked > max(SMALL_BYTES, MAX_RATIO * packed):
            raise CorpusError(
                f"{show(source)} has {packed} bytes and would unpack to {unpacked}", "the file is damaged"
            )
        if not {"format", "shape"} <= members.keys():
            there = ", ".join(sorted(members)) or "nothing"
            raise CorpusError(
                f"{show(source)} holds no sparse matrix (it has {there[:200]})",
                "write it with scipy.sparse.save_npz",
            )
        for name, member in members.items():
            with archive.open(member) as stream:
                shape, dtype = _array_header(stream)
            if dtype.hasobject:
                raise CorpusError(f"{show(source)}: {name} holds Python objects", "write plain numbers")
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise CorpusError(
                    f"{show(source)}: {name} promises {math.prod(shape)} numbers, more than its "
                    f"{member.file_size} bytes can hold",
                    "the file is damaged",
                )
        with archive.open(members["shape"]) as stream:
            rows, columns = (int(size) for size in np.lib.format.read_array(stream, allow_pickle=False))
    check_claims(source, rows, columns, 0, unpacked)


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    return shape, dtype
