"""The ``.mat`` files of the VDSH paper: ``train``, ``test``, ``cv`` and their labels ``gnd_*``."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from nphash.corpus.matlab import read_variables
from nphash.corpus.matrices import finish
from nphash.corpus.records import Matrix, ReadOptions
from nphash.errors import CorpusError

__all__ = ["read"]

_SPLITS = {"train": "train", "cv": "valid", "test": "test"}


def read(source: str, options: ReadOptions) -> Matrix:
    """Read all parts, one below the other; ``splits`` tells them apart, ids are ``train:1`` and so on.

    Labels are the column numbers of an indicator matrix, or the values of a column of classes.

    Raises
    ------
    CorpusError
        For a damaged file, HDF5 (MATLAB's ``-v7.3``), missing variables or sizes that do not agree.
    """
    if source == "-":
        raise CorpusError("MATLAB files cannot be read from standard input", "give a path")
    parts, truths = _load(source)
    widths = {part.shape[1] for part in parts.values()}
    if len(widths) > 1:
        shapes = ", ".join(f"{name} {part.shape[1]}" for name, part in parts.items())
        raise CorpusError(
            f"the parts of {source} differ in their number of words ({shapes})", "write it again"
        )
    matrix = finish(vstack(list(parts.values()), format="csr"), source, options)
    matrix.ids, matrix.labels, matrix.splits = [], [], []
    for name, part in parts.items():
        n = part.shape[0]
        matrix.ids += [f"{name}:{row}" for row in range(1, n + 1)]
        matrix.splits += [_SPLITS[name]] * n
        truth = truths.get(name)
        matrix.labels += [()] * n if truth is None else _labels(truth, n, f"{source}: gnd_{name}")
    return matrix


def _load(source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found, names = read_variables(source, [*_SPLITS, *(f"gnd_{name}" for name in _SPLITS)])
    if "train" not in found:
        there = ", ".join(names) or "nothing"
        raise CorpusError(f"{source} has no matrix 'train' (it has {there[:200]})", "name it so")
    parts = {name: csr_matrix(found[name]) for name in _SPLITS if name in found}
    return parts, {name: found[f"gnd_{name}"] for name in _SPLITS if f"gnd_{name}" in found}


def _labels(truth: Any, n: int, where: str) -> list[tuple[str, ...]]:
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
