"""The two compiled scans: blocks of codes against all queries, fed in pieces to several threads.

Both scans turn a block of codes once for all queries, and say in masks which codes are nearer to a query
than its limit. The few hits are measured exactly here.

Few queries: every thread takes pieces of the rows for all of them, while there are any. Many: every thread
takes tiles of queries through all rows. No call of a kernel lasts much longer than a tenth of a second, for
Ctrl-C.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from nphash.core.jit import jit
from nphash.core.jit.words import LANES, lowest_one, popcount
from nphash.core.threads import run_blocks, split_range
from nphash.core.typing import Ints, Words
from nphash.search import bit_sliced, planner, popcount_scan, top_k
from nphash.search import keys as packed
from nphash.search.bit_sliced import Planes
from nphash.search.keys import SHIFT, Keys
from nphash.search.popcount_scan import Floats
from nphash.search.table import Allowed, Rows
from nphash.search.top_k import TopK

T = TypeVar("T")
Pieces: TypeAlias = Iterator[tuple[int, Words]]  # (first position, flat words)
Found: TypeAlias = tuple[Ints, Words]  # the query of each result, and its key

BLOCK, GROUP = bit_sliced.BLOCK, popcount_scan.GROUP  # codes of a block, at most; and of its groups
_TILE = 1024  # queries: more of them in one pass fall out of the cache
_WORDS = 1 << 29  # that one kernel call may compare: some hundredths of a second
_LEAST = 1 << 16  # words of the codes of one kernel call: for fewer it takes longer to begin than to run
_MEMORY = 1 << 26  # bytes for the buffers of one tile
_USUAL = 24.0  # bits of a word in which two codes differ, where they are not known: half of them, or less
_SHARE = 1 << 20  # words compared: for less, waking another thread takes longer than it saves

# -- kernels -------------------------------------------------------------------------------------


class Workspace(NamedTuple):
    """Queries and memory of one thread: the current block, and masks of the queries with hits."""

    queries: Words  # (Q, words)
    n_groups: int  # of 64 codes, in a block
    means: Floats  # (Q,) bits of a word in which codes differ from the query
    looks: Ints  # (Q,) words after which the popcount scan looks first
    block: Words  # of the popcount scan
    planes: Planes | None  # of the bit-sliced scan
    hits: Words  # (Q + 1, 8)
    hit_queries: Ints  # (Q + 1,)
    hit_lanes: Ints  # (Q + 1,) which words of the mask are not zero, as bits
    found_queries: Ints  # (more than 512,) codes in the masks: which query,
    found_keys: Words  # and distance and position


def workspace(n_bits: int, queries: Words, sliced: bool) -> Workspace:
    """Return memory for a scan for ``queries`` of ``n_bits`` bits, shape (Q, words)."""
    n_queries, n_words = queries.shape
    shape, n_groups = popcount_scan.block_shape(n_words)
    return Workspace(
        queries,
        BLOCK // GROUP if sliced else n_groups,
        np.full(n_queries, _USUAL),
        np.empty(n_queries, np.int64),
        bit_sliced.aligned((0, 0) if sliced else shape),
        bit_sliced.planes_for(n_bits, queries) if sliced else None,
        np.empty((n_queries + 1, LANES), np.uint64),
        np.empty(n_queries + 1, np.int64),
        np.empty(n_queries + 1, np.int64),
        np.empty(2 * BLOCK + n_queries, np.int64),
        np.empty(2 * BLOCK + n_queries, np.uint64),
    )


@jit()
def scan_nearest(flat: Words, first: int, k: int, allowed: Allowed, top: TopK, space: Workspace) -> None:
    """Pass all codes of ``flat`` by the queries of ``space``; keep the ``k`` best in ``top``.

    The first code is at position ``first``. ``allowed`` is 0 for each position that must not be found, or
    empty for "all may".
    """
    n_queries, n_words = space.queries.shape
    if n_queries == 1 and n_words in (1, 2, 4) and space.planes is None:
        _scan_one(flat, first, k, allowed, top, space)
        return
    n, start, out = flat.size // n_words, 0, (space.found_queries, space.found_keys)
    _new_limits(top.limit, np.arange(n_queries), space, space.planes)
    while start < n:
        start, n_hit = _scan(flat, start, top.limit, space, space.planes)
        h = 0
        while h < n_hit:
            h, found = _measure(flat, start, first, allowed, 64 * n_words, space, h, n_hit, out, 0)
            top_k.take(top, k, out[0], out[1], found)
            _new_limits(top.limit, out[0][:found], space, space.planes)
        start += GROUP * space.n_groups


@jit()
def _scan_one(flat: Words, first: int, k: int, allowed: Allowed, top: TopK, space: Workspace) -> None:
    """Pass all codes by one query where they are: a block would be made for it alone."""
    query, limits, searches, keys = space.queries[0], top.limit, space.found_queries, space.found_keys
    n_words, start, found = query.size, 0, 0
    n, step, most = flat.size // n_words, popcount_scan.AT_ONCE // n_words, min(k, BLOCK)
    searches[:] = 0
    while start < n:
        limit = limits[0]
        if n_words == 1:
            start = popcount_scan.next_near((0,), flat, start, n, query, limit)
        elif n_words == 2:
            start = popcount_scan.next_near((0, 0), flat, start, n, query, limit)
        else:
            start = popcount_scan.next_near((0, 0, 0, 0), flat, start, n, query, limit)
        for i in range(start, min(start + step, n)):
            distance = 0
            for w in range(n_words):
                distance += popcount(flat[i * n_words + w] ^ query[w])
            if distance < limit and (allowed.size == 0 or allowed[first + i] != 0):
                keys[found] = (np.uint64(distance) << SHIFT) | np.uint64(first + i)
                found += 1
        start += step
        if found >= most or start >= n:  # with k more the limit may come down
            top_k.take(top, k, searches, keys, found)
            found = 0


@jit()
def scan_within(
    flat: Words, first: int, start: int, radius: int, allowed: Allowed, space: Workspace, out: Found
) -> tuple[int, int]:
    """Write (query, key) pairs of codes at most ``radius`` away, block by block, until ``out`` is full.

    Returns how many were written and the code to go on with (n or more at the end). ``out`` needs space
    for all hits of one block, at most 512 for each query, and 512 more.
    """
    n_queries, n_words = space.queries.shape
    n, used, limits = flat.size // n_words, 0, np.full(n_queries, radius + 1)
    _new_limits(limits, np.arange(n_queries), space, space.planes)
    while start < n:
        start, n_hit = _scan(flat, start, limits, space, space.planes)
        ones = 0
        for word in space.hits[:n_hit].flat:
            ones += popcount(word)
        if used + ones > out[0].size - BLOCK:
            break
        _, used = _measure(flat, start, first, allowed, radius, space, 0, n_hit, out, used)
        start += GROUP * space.n_groups
    return used, start


# Numba compiles only that branch on ``planes`` which their type, an argument's, says is taken.


@jit()
def _new_limits(limits: Ints, queries: Ints, space: Workspace, planes: Planes | None) -> None:
    if planes is not None:
        bit_sliced.set_limits(limits, queries, planes)
        return
    looks, means, n_words = space.looks, space.means, space.queries.shape[1]
    for q in queries:
        looks[q] = popcount_scan.first_look(limits[q], means[q], n_words) if n_words > 1 else 1


@jit()
def _scan(flat: Words, start: int, limits: Ints, space: Workspace, planes: Planes | None) -> tuple[int, int]:
    """Run all queries against the blocks of codes from ``start`` on, until one has hits.

    Returns where that block begins, and how many queries have hits in it: none if it is the last one.
    """
    # Arrays leave their tuples here: see `top_k.take`.
    queries, looks, hits, block = space.queries, space.looks, space.hits, space.block
    hit_queries, hit_lanes, n_groups = space.hit_queries, space.hit_lanes, space.n_groups
    n_queries, n_words = queries.shape
    n, size = flat.size // n_words, GROUP * n_groups
    if planes is not None:
        width, tables, parities, bias = planes.width, planes.tables, planes.parities, planes.bias
    while True:
        if planes is not None:
            bit_sliced.load(flat, n_words, start, planes)
        else:
            popcount_scan.load(flat, n_words, start, n_groups, block)
        found = 0
        for q in range(n_queries):
            if planes is not None:
                lanes = bit_sliced.scan_block(width, tables, queries, parities, bias, hits, q, found)
            else:
                lanes = popcount_scan.scan_block(
                    block, n_groups, queries[q], looks[q], limits[q], hits, found
                )
            hit_queries[found], hit_lanes[found] = q, lanes  # the next writes over it if there is none
            found += lanes != 0
        if found or start + size >= n:
            return start, found
        start += size


@jit()
def _measure(
    flat: Words,
    start: int,
    first: int,
    allowed: Allowed,
    furthest: int,
    space: Workspace,
    h: int,
    stop: int,
    out: Found,
    found: int,
) -> tuple[int, int]:
    """Append (query, key) of the codes in hit masks ``h`` to ``stop`` to ``out``, while it has space.

    Masks of a large limit hold more: only codes at most ``furthest`` away are wanted. Returns the first
    mask that is left, and the number of codes in ``out``, which had ``found``.
    """
    # Arrays leave their tuples here: see `top_k.take`.
    queries, hits, hit_queries, hit_lanes = space.queries, space.hits, space.hit_queries, space.hit_lanes
    found_queries, found_keys = out
    n_words = queries.shape[1]
    n, most = flat.size // n_words, found_keys.size - BLOCK
    while h < stop and found <= most:
        q, lanes = hit_queries[h], hit_lanes[h]
        some = hits[h, lowest_one(np.uint64(lanes))]  # bits set in any word; mostly there is only one word
        if lanes & (lanes - 1):
            for lane in range(LANES):
                some |= hits[h, lane]
        while some != 0:  # in insertion order: bit by bit, and for each bit word by word
            bit = lowest_one(some)
            some &= some - np.uint64(1)
            left = lanes
            while left != 0:
                lane = lowest_one(np.uint64(left))
                left &= left - 1
                i = start + LANES * bit + lane
                if (hits[h, lane] >> np.uint64(bit)) & np.uint64(1) and i < n:
                    distance = 0
                    for w in range(n_words):
                        distance += popcount(flat[i * n_words + w] ^ queries[q, w])
                    if distance <= furthest and (allowed.size == 0 or allowed[first + i] != 0):
                        found_queries[found] = q
                        found_keys[found] = (np.uint64(distance) << SHIFT) | np.uint64(first + i)
                        found += 1
        h += 1
    return h, found


# -- pieces --------------------------------------------------------------------------------------


class Scan(NamedTuple):
    """Queries, the rows they are compared with, and how."""

    rows: Rows
    queries: Words  # (Q, words of a code)
    sliced: bool  # bit-sliced scan, or popcount scan
    threads: int


def nearest(scan: Scan, k: int, limits: Ints | None, sample: Words) -> Keys:
    """Return the sorted keys of the ``k`` nearest rows of each query, shape (Q, k); missing ones are NONE.

    With ``limits``, (Q,), only nearer rows are wanted. ``sample``, (words, any), comes from `Rows.sample`.
    """
    rows, queries = scan.rows, scan.queries
    if not len(queries) or not rows.n_allowed:
        return np.full((len(queries), k), packed.NONE)
    if limits is not None:
        return _nearest(scan, k, limits, sample, k)
    out = _nearest(scan, k, None, sample, _rank(k, sample.shape[1], rows.n_allowed))
    short = out[:, -1] == packed.NONE
    if short.any():
        out[short] = _nearest(scan._replace(queries=queries[short]), k, None, sample, k)
    return out


def _rank(k: int, size: int, n: int) -> int:
    """Return how many of ``size`` sampled rows below a limit mean, almost surely, ``k`` of all ``n``."""
    # The k nearest rows bring k * size / n into the sample on average, and hardly ever four standard
    # deviations more. A limit that so many are below is guessed too low once in ten thousand queries, which
    # are then searched again; but it is much lower than the safe one, with k rows of the sample below it.
    mean = k * size / n
    return min(k, math.ceil(mean + 4 * math.sqrt(mean) + 2))


def _first_limits(sample: Words, space: Workspace, rank: int, n_bits: int) -> Ints:
    """Return limits that ``rank`` rows of the sample are below; k of them cannot exclude a neighbour."""
    n_words, size = sample.shape
    groups = min(size, 1 << (8 * rank).bit_length())
    members = size // groups if groups else 0
    grouped = np.ascontiguousarray(sample[:, : members * groups]).reshape(n_words, members, groups)
    limits: Ints = popcount_scan.sample_limits(grouped, space.queries, rank, n_bits, space.means)
    return limits


def _nearest(scan: Scan, k: int, limits: Ints | None, sample: Words, rank: int) -> Keys:
    rows, queries = scan.rows, scan.queries

    def one_tile(start: int, stop: int, pieces: Pieces) -> Keys:
        chosen = queries[start:stop]
        space = workspace(rows.n_bits, chosen, scan.sliced)
        most = _first_limits(sample, space, rank, rows.n_bits)
        top = top_k.empty(most if limits is None else np.minimum(limits[start:stop], most), k, rows.n_bits)
        for first, flat in pieces:
            scan_nearest(flat, first, k, rows.allowed, top, space)
        found = np.empty((len(chosen), k), np.uint64)
        top_k.finish(top, found)
        return found

    tiles = _run(one_tile, scan, min(_TILE, max(1, _MEMORY // (16 * k + 4 * rows.n_bits))))
    merged = [packed.merge(parts, k) for parts in tiles]
    return merged[0] if len(merged) == 1 else np.concatenate(merged)


def within(scan: Scan, radius: int) -> tuple[Ints, Keys]:
    """Return (offsets, keys): the sorted keys of all rows at most ``radius`` from each query."""
    rows, queries = scan.rows, scan.queries
    radius = min(radius, rows.n_bits)

    def one_tile(start: int, stop: int, pieces: Pieces) -> list[Found]:
        chosen, found = queries[start:stop], []
        space = workspace(rows.n_bits, chosen, scan.sliced)
        capacity = max(1 << 14, BLOCK * (len(chosen) + 1))
        out = np.empty(capacity, np.int64), np.empty(capacity, np.uint64)
        for first, flat in pieces:
            code = 0
            while code < flat.size // rows.n_words:
                used, code = scan_within(flat, first, code, radius, rows.allowed, space, out)
                found.append((out[0][:used] + start, out[1][:used].copy()))
        return found

    tiles = _run(one_tile, scan, _TILE) if len(queries) and rows.n_allowed else []
    return packed.by_query([found for parts in tiles for part in parts for found in part], len(queries))


def _run(one_tile: Callable[[int, int, Pieces], T], scan: Scan, tile: int) -> list[list[T]]:
    """Run ``one_tile`` over all queries and rows; return each tile's results, one for a share of the rows."""
    rows, stopped = scan.rows, [False]
    n, (n_queries, n_words) = rows.n - rows.start, scan.queries.shape
    threads = max(1, min(scan.threads, n * n_words * n_queries // _SHARE))
    few = n_queries < (64 if scan.sliced else 16) * threads
    tiles = split_range(n_queries, tile if few else min(tile, -(-n_queries // threads)))
    least = -(-_LEAST // n_words)
    size = max(least, _WORDS // (tiles[0][1] * n_words))
    if few and threads > 1:  # one that wakes up late finds fewer pieces left, and nobody waits for it
        size = min(size, max(least, -(-n // (8 * threads))))
    # Rows wait in order: what a thread takes ascends, as the k best need it.
    waiting = [deque(rows.pieces(rows.start, rows.n, size)) for _ in tiles]
    jobs = [i for i in range(len(tiles)) for _ in range(threads if few else 1)]

    def pieces(tile: int) -> Pieces:
        while waiting[tile]:
            if stopped[0]:
                raise KeyboardInterrupt
            try:
                first, words = waiting[tile].popleft()
            except IndexError:  # another thread was faster
                return
            yield first, words.reshape(-1)

    def one_job(job: int, _: int) -> T:
        try:
            return one_tile(*tiles[jobs[job]], pieces(jobs[job]))
        except BaseException:  # Ctrl-C as well: the other threads see it before their next piece
            stopped[0] = True
            raise

    try:
        results = run_blocks(one_job, split_range(len(jobs), 1), threads)
    finally:
        stopped[0] = True
    planner.record_loaded("bit-sliced" if scan.sliced else "popcount", rows.n_bits)
    each = len(jobs) // len(tiles)
    return [results[i : i + each] for i in range(0, len(results), each)]
