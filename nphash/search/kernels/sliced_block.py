"""One block of the bit-sliced scan as processor instructions: 512 codes against one query.

Numba cannot say "add these 44 vectors of 512 bits with logic gates and keep everything in
registers", so this function is emitted as LLVM instructions, unrolled for the number of bits.
The plain Python function is the same computation on NumPy arrays, with the same adder tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.jit import emitted
from nphash.core.jit.words import LANES
from nphash.core.typing import Words
from nphash.search.kernels.adder_tree import AdderTree, NumpyGates, n_levels
from nphash.search.kernels.bit_planes import PER_SINGLE, PER_TRIPLE, layout

if TYPE_CHECKING:
    from nphash.core.jit.emission import Array, WordEmitter

__all__ = ["scan_block"]


def _emit_scan_block(
    out: WordEmitter,
    n_bytes: int,
    tables: Array,
    queries: Array,
    parities: Array,
    bias: Array,
    hits: Array,
    q: Any,
    h: Any,
) -> Any:
    hit = _hits(out, 8 * n_bytes, tables.start, queries.row(q), parities.row(q), bias.row(q))
    lanes = out.lanes_with_ones(hit)
    out.store(hit, hits.row(h))  # also when it is zero: a branch would be guessed wrong at every hit
    return lanes


def _hits(out: WordEmitter, n_bits: int, table: Any, query: Any, parity: Any, digits: Any) -> Any:
    plan, levels = layout(n_bits), n_levels(n_bits)
    tree: AdderTree[Any] = AdderTree(levels, out)
    patterns = [out.load_number(query, word) for word in range(plan.n_words)]
    odds = [out.load_number(parity, word) for word in range(plan.n_words)]
    digit = [out.spread(out.load_number(digits, level)) for level in range(levels)]
    for level in range(levels - 1):
        tree.add(level, digit[level])
    for i, (word, shift) in enumerate(plan.triples):
        base = out.plus(table, PER_TRIPLE * i)
        tree.add(1, out.entry(base, patterns[word], shift, 3))
        tree.add(0, out.entry(out.plus(base, 8), odds[word], shift, 1))
    for i, (word, shift) in enumerate(plan.singles):
        base = out.plus(table, PER_TRIPLE * len(plan.triples) + PER_SINGLE * i)
        tree.add(0, out.entry(base, patterns[word], shift, 1))
    return out.inverse(out.and_(tree.overflow(), digit[-1]))


@emitted(_emit_scan_block)
def scan_block(
    width: tuple[int, ...],
    tables: Words,
    queries: Words,
    parities: Words,
    bias: Words,
    hits: Words,
    q: int,
    h: int,
) -> int:
    """Write to ``hits[h]`` which of the block's codes are nearer to query ``q`` than its limit.

    Parameters
    ----------
    width
        A tuple with one number for each byte of a code. Numba compiles and caches one version for
        each type of argument, and the length of a tuple is part of its type: so the number of
        bits reaches the compiler. The numbers mean nothing.
    tables
        The block's tables (`bit_planes.fill`).
    queries, parities
        Shape (Q, words): the queries, and the parity of each three consecutive bits of them.
    bias
        Shape (Q, levels): the digits of 2^levels - limit, each spread over a whole word.
    hits
        Shape (more than h, 8), written: bit i of word w stands for code 8 * i + w of the block.
    q, h
        Which query, and which row of ``hits``.

    Returns
    -------
    int
        The words of ``hits[h]`` that are not zero, as bits: 0 if there is no hit.
    """
    n_bits = 8 * len(width)
    plan = layout(n_bits)
    tree: AdderTree[Words] = AdderTree(n_levels(n_bits), NumpyGates())
    ones = np.full(LANES, np.uint64(2**64 - 1))
    for level in range(n_levels(n_bits) - 1):
        tree.add(level, ones & bias[q, level])
    for i, (word, shift) in enumerate(plan.triples):
        pattern, parity = int(queries[q, word]) >> shift & 7, int(parities[q, word]) >> shift & 1
        tree.add(1, tables[PER_TRIPLE * i + pattern])
        tree.add(0, tables[PER_TRIPLE * i + 8 + parity])
    for i, (word, shift) in enumerate(plan.singles):
        bit = int(queries[q, word]) >> shift & 1
        tree.add(0, tables[PER_TRIPLE * len(plan.triples) + PER_SINGLE * i + bit])
    # The highest digit of the bias is zero only for limits so high that (nearly) all may pass.
    hits[h] = ~(tree.overflow() & bias[q, n_levels(n_bits) - 1])
    return sum(1 << lane for lane in range(LANES) if hits[h, lane])
