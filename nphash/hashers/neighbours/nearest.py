"""Nearest neighbours of training documents by cosine: exact, among candidates, or by an inverted file.

No n x n matrix is ever held: rows are compared in blocks. Rows may be sparse (word weights), dense (LSI
coordinates), or both, whose cosines are averaged.

Among more than 100,000 documents the exact search takes minutes. An inverted file then assigns documents to
cells around centres (spherical k-means on a sample of their coordinates), and each is compared with those of
its own cell and of the cells whose centres are nearest to its cell's own: n * probes * n / cells products
instead of n^2. Neighbours are missed where the coordinates separate them: few, but where LSI is poor a
graph is much the worse for it (`nphash.hashers.neighbours.rounds`).

All results are indices (n, k) int32 and similarities (n, k) float32, by falling similarity, then rising
index, the same for any number of threads. A row of zeros has similarity 0 to all.

Shapes: n documents, V words or d dimensions, k neighbours, c cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, issparse

from nphash.core.threads import count_threads, run_blocks, single_threaded_blas, split_range
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.kernels import largest, products, products_with
from nphash.hashers.linear import project
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.nn.ops import normalise_rows

Rows: TypeAlias = csr_matrix | Array
Neighbours: TypeAlias = tuple[Array, Array]  # indices (n, k), similarities (n, k)
Scores: TypeAlias = Callable[[int, int], Array]  # rows from start to stop against all, (rows, n)

BLOCK = 256  # rows compared with all others at once
CANDIDATE_ROWS = 1024  # rows compared with their own candidates at once

MOST_EXACT = 100_000  # documents; with so many the exact search takes a minute or two on two cores
DIMS = 64  # of LSI, whose coordinates assign documents to cells
KMEANS_STEPS = 5
SAMPLE_PER_CELL = 50
ASSIGNED = 4096  # rows assigned to cells at once


def nearest_by_words(X: csr_matrix, k: int, seed: int, threads: int | None = None) -> Neighbours:
    """Return the k nearest documents by words: exact up to 100,000, else within cells of similar LSI."""
    if X.shape[0] <= MOST_EXACT:
        return top_cosine(X, k, threads=threads)
    coordinates = project(X, fit_lsi(X, DIMS, seed).components, count_threads(threads))
    return approximate_cosine(X, k, seed, by=coordinates, threads=threads)


# ---------------------------------------------------------------------- exact


def top_cosine(A: Rows | Sequence[Rows], k: int, *, threads: int | None = None) -> Neighbours:
    """Return each row's most similar other rows by cosine, exactly.

    ``A`` are rows, CSR (n, V) or dense (n, d), or a list of such arrays, whose cosines are averaged. Fewer
    than k come back if there are not so many rows.
    """
    parts = _unit_parts(A)
    n = int(parts[0].shape[0])
    if k < 1 or n < 2:
        raise InputError(
            f"{k} neighbours were asked for among {n - 1} documents", "ask for 1 or more among more"
        )
    with single_threaded_blas():
        return _nearest_of_first(parts, n, min(k, n - 1), count_threads(threads))


def _nearest_of_first(parts: list[Rows], n_first: int, k: int, threads: int) -> Neighbours:
    """Return the nearest, among all rows, of the first ones."""
    functions = [_cosines(part) for part in parts]

    def one_block(start: int, stop: int) -> Neighbours:
        scores = functions[0](start, stop)
        for function in functions[1:]:
            scores += function(start, stop)
        if len(parts) > 1:
            scores /= np.float32(len(parts))
        return largest(scores, k, start)

    return _stacked(run_blocks(one_block, split_range(n_first, BLOCK), threads))


def _stacked(found: list[Neighbours]) -> Neighbours:
    return np.concatenate([indices for indices, _ in found]), np.concatenate([near for _, near in found])


def _unit_parts(A: Rows | Sequence[Rows]) -> list[Rows]:
    """Return the arrays of a list, or one array, with rows of length one: CSR or dense, float32."""
    parts = list(A) if isinstance(A, (list, tuple)) else [A]
    return [
        _unit_rows(part) if issparse(part) else normalise_rows(np.asarray(part, np.float32)) for part in parts
    ]


def _unit_rows(X: csr_matrix) -> csr_matrix:
    """Return sparse rows of length one as float32 CSR; empty rows stay empty.

    In float32 throughout, unlike `scale_rows` of `nphash.nn`: the rounding decides between neighbours
    that are as near, and codes of a seed keep their bytes.
    """
    X = csr_matrix(X, dtype=np.float32)
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())  # (n,)
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    data = X.data * np.repeat(scale, np.diff(X.indptr))
    return csr_matrix((data, X.indices, X.indptr), shape=X.shape)


def _cosines(rows: Rows) -> Scores:
    """Return a function for the cosines of some rows of length one with all."""
    if isinstance(rows, np.ndarray):
        return lambda start, stop: rows[start:stop] @ rows.T
    by_word = rows.T.tocsr()  # (V, n)
    return lambda start, stop: products(rows[start:stop], by_word)


# ---------------------------------------------------------------------- among candidates


def top_of_candidates(
    A: Rows | Sequence[Rows], candidates: Array, k: int, *, threads: int | None = None
) -> Neighbours:
    """Return each row's most similar rows among its candidates, as `top_cosine` does among all.

    ``candidates`` are the rows of A that may be chosen, (n, c) integers; a row itself and repetitions do not
    count. Each row needs k candidates beside these.
    """
    parts = [part if isinstance(part, np.ndarray) else part.sorted_indices() for part in _unit_parts(A)]

    def one_block(start: int, stop: int) -> Neighbours:
        rows = np.arange(start, stop, dtype=np.int32)
        chosen = np.sort(candidates[start:stop], axis=1).astype(np.int32)  # (rows, c)
        scores = np.mean([_cosines_with(part, rows, chosen) for part in parts], axis=0)
        repeated = np.diff(chosen, axis=1, prepend=-1) == 0
        scores[repeated | (chosen == rows[:, None])] = -np.inf
        columns, similarities = largest(scores, k)
        return np.take_along_axis(chosen, columns.astype(np.int64), axis=1), similarities

    with single_threaded_blas():
        blocks = split_range(len(candidates), CANDIDATE_ROWS)
        return _stacked(run_blocks(one_block, blocks, count_threads(threads)))


def _cosines_with(part: Rows, rows: Array, candidates: Array) -> Array:
    """Return the inner products (rows, c) of some rows with their candidates."""
    if issparse(part):
        return products_with(part, rows, candidates)
    cosines: Array = np.matmul(part[candidates], part[rows][:, :, None])[:, :, 0]
    return cosines


# ---------------------------------------------------------------------- inverted file


def approximate_cosine(
    rows: Rows | Sequence[Rows],
    k: int,
    seed: int,
    *,
    by: Array | None = None,
    cells: int | None = None,
    probes: int = 32,
    threads: int | None = None,
) -> Neighbours:
    """Return most of each row's nearest rows by cosine.

    Rows are given as for `top_cosine`. They are assigned to cells (None: the square root of n) by dense
    coordinates (n, d), or by themselves, around centres drawn from the seed; and compared with ``probes``
    cells, their own included: more find more.
    """
    parts = _unit_parts(rows)
    unit = parts[0] if by is None else _unit_parts(by)[0]  # (n, d)
    n = len(unit)
    cells = round(np.sqrt(n)) if cells is None else cells
    if min(k, cells, probes) < 1 or n < 2:
        raise InputError(
            f"{k} neighbours were asked for among {n} documents in {probes} of {cells} cells",
            "give 1 or more of each, and two documents or more",
        )
    k = min(k, n - 1)
    indices, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    with single_threaded_blas():
        members, order = _inverted_file(unit, min(cells, n), seed, count_threads(threads))

        def one_cell(home: int, _: int) -> None:
            own = members[home]
            if len(own):
                candidates = _candidates(members, home, order[home], probes, k)
                found, near = _nearest_of_first([part[candidates] for part in parts], len(own), k, 1)
                indices[own], similarities[own] = candidates[found], near

        run_blocks(one_cell, split_range(len(members), 1), count_threads(threads))
    return indices, similarities


def _inverted_file(unit: Array, cells: int, seed: int, threads: int) -> tuple[list[Array], Array]:
    """Return the rows of each cell, and the cells nearest to each, (c, c)."""
    centres = _centres(unit, cells, seed)  # (c, d)
    members = _members(_nearest_centre(unit, centres, threads), len(centres))
    return members, np.argsort(-(centres @ centres.T), axis=1, kind="stable")


def _candidates(members: list[Array], home: int, order: Array, probes: int, k: int) -> Array:
    """Return the rows of a cell, then those of the cells nearest to it: at least k besides each row."""
    rows, count = [members[home]], len(members[home])
    for taken, other in enumerate((other for other in order if other != home), start=1):
        if taken >= probes and count > k:
            break
        rows.append(members[other])
        count += len(members[other])
    return np.concatenate(rows)


def _centres(unit: Array, cells: int, seed: int) -> Array:
    """Return centres of length one by spherical k-means on a sample."""
    rng = np.random.default_rng([seed, cells])
    rows = np.sort(rng.permutation(len(unit))[: cells * SAMPLE_PER_CELL])
    sample = unit[rows]
    centres = sample[np.sort(rng.permutation(len(sample))[:cells])].copy()
    for _ in range(KMEANS_STEPS):
        cell = _nearest_centre(sample, centres, 1)
        for i, own in enumerate(_members(cell, cells)):
            if len(own):  # an empty cell keeps its centre
                centres[i] = sample[own].sum(axis=0)
        centres = normalise_rows(centres)
    return centres


def _nearest_centre(unit: Array, centres: Array, threads: int) -> Array:
    blocks = split_range(len(unit), ASSIGNED)
    nearest = run_blocks(lambda start, stop: (unit[start:stop] @ centres.T).argmax(axis=1), blocks, threads)
    return np.concatenate(nearest)


def _members(cell: Array, cells: int) -> list[Array]:
    """Return the rows of each cell, rising."""
    order = np.argsort(cell, kind="stable")
    return np.split(order, np.searchsorted(cell[order], np.arange(1, cells)))
