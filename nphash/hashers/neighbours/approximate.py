"""Nearest neighbours among very many documents: compare only within groups of similar ones.

Documents are parted into cells around centres (spherical k-means on a sample of their coordinates).
Each looks for its neighbours among the documents of its own cell and of the cells whose centres are
nearest to its cell's own, which costs n * probes * n / cells products instead of n^2. Which of these are
nearest is told by the coordinates or by words. What is missed are neighbours that the coordinates hold for
different: few, but where LSI is poor a graph is much the worse for it (`nphash.hashers.neighbours.rounds`).

Shapes: n documents, V words, d dimensions, c cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.threads import count_threads, cut, run_blocks, single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.neighbours.exact import largest, mean_cosines, top_cosine, unit_parts
from nphash.hashers.neighbours.lsi import fit_lsi, normalise_rows, project

__all__ = ["approximate_cosine", "neighbours_of_any_number"]


# With so many documents the exact search takes a minute or two on two cores.
MOST_EXACT = 100_000
DIMS = 64
TURNS = 5
SAMPLE_PER_CELL = 50
BLOCK = 4096  # rows assigned to cells at once
COMPARED = 256  # rows compared with their candidates at once


def neighbours_of_any_number(X: Any, k: int, seed: int, threads: int | None = None) -> tuple[Array, Array]:
    """Return neighbours by cosine: exact by words, up to 100,000 documents exact, else within cells by LSI.

    Parameters
    ----------
    X
        Documents, CSR (n, V).
    k
        How many neighbours.
    seed
        Of the approximate search.

    Returns
    -------
    tuple
        Indices (n, k) int32 and similarities (n, k) float32, as `top_cosine` gives them.
    """
    if X.shape[0] <= MOST_EXACT:
        return top_cosine(X, k, threads=threads)
    rows = project(X, fit_lsi(X, DIMS, seed).components, count_threads(threads))
    return approximate_cosine(X, k, seed, by=rows, threads=threads)


def approximate_cosine(
    rows: Any,
    k: int,
    seed: int,
    *,
    by: Array | None = None,
    cells: int | None = None,
    probes: int = 32,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Return most of each row's nearest rows by cosine.

    Parameters
    ----------
    rows
        What is compared: dense coordinates (n, d), CSR (n, V), or a list of such arrays whose cosines are
        averaged, as for `top_cosine`.
    k
        How many neighbours; fewer come back if there are not so many rows.
    seed
        Of the first centres.
    by
        Dense coordinates (n, d) that part the rows into cells; None for the rows themselves.
    cells
        c; None for the square root of n.
    probes
        How many cells a row is compared with, its own included: more find more.
    threads
        How many threads; the result is the same for any number.

    Returns
    -------
    tuple
        Indices (n, k) int32 and similarities (n, k) float32, by falling similarity.

    Raises
    ------
    InputError
        If ``k``, ``cells`` or ``probes`` is below 1, or there is one row only.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> approximate_cosine(rows, 1, seed=0, cells=2, probes=2)[0].ravel()
    array([1, 0, 3, 2], dtype=int32)
    """
    parts = unit_parts(rows)
    unit = parts[0] if by is None else unit_parts(by)[0]  # (n, d)
    n = len(unit)
    cells = round(np.sqrt(n)) if cells is None else cells
    if min(k, cells, probes) < 1 or n < 2:
        raise InputError(
            f"{k} neighbours were asked for among {n} documents in {probes} of {cells} cells",
            "give 1 or more of each, and two documents or more",
        )
    k = min(k, n - 1)
    with single_threaded_blas():
        members, order = _parted(unit, min(cells, n), seed, count_threads(threads))
        indices, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)

        def one_cell(home: int, _: int) -> None:
            own = members[home]
            candidates = _candidates(members, home, order[home], probes, k)
            found, near = _top_of([part[candidates] for part in parts], len(own), k)
            indices[own], similarities[own] = candidates[found], near

        run_blocks(one_cell, cut(len(members), 1), count_threads(threads))
    return indices, similarities


def _parted(unit: Array, cells: int, seed: int, threads: int) -> tuple[list[Array], Array]:
    """Return the rows of each cell, and the cells nearest to each, (c, c)."""
    centres = _centres(unit, cells, seed)  # (c, d)
    members = _members(_nearest_centre(unit, centres, threads), len(centres))
    return members, np.argsort(-(centres @ centres.T), axis=1, kind="stable")


def _top_of(candidates: list[Any], n_own: int, k: int) -> tuple[Array, Array]:
    """Return the k nearest of the first rows among all."""
    found, near = np.empty((n_own, k), np.int32), np.empty((n_own, k), np.float32)
    scores = mean_cosines(candidates, candidates)
    for start in range(0, n_own, COMPARED):
        rows = slice(start, min(start + COMPARED, n_own))
        largest(scores(rows.start, rows.stop), start, found[rows], near[rows])
    return found, near


def _candidates(members: list[Array], home: int, order: Array, probes: int, k: int) -> Array:
    """Return the rows of a cell, then those of the cells nearest to it: at least k besides each row."""
    parts, count = [members[home]], len(members[home])
    for taken, other in enumerate((other for other in order if other != home), start=1):
        if taken >= probes and count > k:
            break
        parts.append(members[other])
        count += len(members[other])
    return np.concatenate(parts)


def _centres(unit: Array, cells: int, seed: int) -> Array:
    """Return centres of length one by spherical k-means on a sample."""
    rng = np.random.default_rng([seed, cells])
    rows = np.sort(rng.permutation(len(unit))[: cells * SAMPLE_PER_CELL])
    sample = unit[rows]
    centres = sample[np.sort(rng.permutation(len(sample))[:cells])].copy()
    for _ in range(TURNS):
        cell = _nearest_centre(sample, centres, 1)
        for i, own in enumerate(_members(cell, cells)):
            if len(own):  # an empty cell keeps its centre
                centres[i] = sample[own].sum(axis=0)
        centres = normalise_rows(centres)
    return centres


def _nearest_centre(unit: Array, centres: Array, threads: int) -> Array:
    blocks = cut(len(unit), BLOCK)
    nearest = run_blocks(lambda start, stop: (unit[start:stop] @ centres.T).argmax(axis=1), blocks, threads)
    return np.concatenate(nearest)


def _members(cell: Array, cells: int) -> list[Array]:
    """Return the rows of each cell, rising."""
    order = np.argsort(cell, kind="stable")
    return np.split(order, np.searchsorted(cell[order], np.arange(1, cells)))
