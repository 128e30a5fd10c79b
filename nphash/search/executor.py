"""Carrying out searches: asks the planner, runs scans or buckets, and records what each has cost.

Everything here works on positions and packed keys; the ids of rows are the index's affair.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nphash.core.threads import count_threads
from nphash.core.typing import Array, Ints, Progress, Words
from nphash.errors import InputError
from nphash.search import keys as packed
from nphash.search import planner, scan_numpy
from nphash.search.keys import Keys
from nphash.search.planner import Ledger, Plan, Workload
from nphash.search.table import Rows

if TYPE_CHECKING:
    from nphash.search.multi_index import MultiIndex

_TRIAL = 16  # queries that multi-index hashing is tried with before it gets the rest
_SPARSE = 4  # rows are copied out when fewer than one in so many may be found
_SAMPLE = 4096  # codes from which the first limits are taken
_CHUNK = 4096  # rows that are queries at a time when an index is joined with itself


@cache
def why_not_compiled() -> str:
    """Return why kernels are not compiled here, or nothing. It imports Numba: ask only when needed."""
    from nphash.core.jit import WHY_NOT

    return WHY_NOT


class SearchExecutor:
    """The searches of one index; ``strategy`` is ``auto``, or the one of `planner.STRATEGIES` for all."""

    def __init__(self, strategy: str, threads: int | None) -> None:
        if strategy != "auto" and strategy not in planner.STRATEGIES:
            problem = f"strategy is {strategy!r}, but auto, {', '.join(planner.STRATEGIES)} are known"
            raise InputError(problem, "auto is usual")
        self.strategy = strategy
        self.threads = count_threads(threads)
        self.buckets: MultiIndex | None = None
        self._building = threading.Lock()
        self._ledger: Ledger = defaultdict(float)  # what doing without buckets has cost
        self._sample: tuple[Rows | None, int, Words] = (None, 0, np.empty((0, 0), np.uint64))
        self._candidates: dict[int, float] = {}  # by k: candidates of a query, learned from searches

    # -- the k nearest ---------------------------------------------------------------------------

    def nearest(self, rows: Rows, queries: Words, k: int) -> Keys:
        """Return the sorted keys of the ``k`` nearest rows, shape (Q, k); at least ``k`` may be found."""
        if _is_sparse(rows):
            rows, positions = rows.compact()
            return _moved(self._nearest(rows, queries, k, None), positions)
        return self._nearest(rows, queries, k, self._current_buckets(rows))

    def plan(self, rows: Rows, n_queries: int, k: int) -> Plan:
        """Return what `nearest` would do."""
        sparse = _is_sparse(rows)
        work = Workload(rows.n_allowed if sparse else rows.n, rows.n_bits, n_queries, k)
        return self._plan(self.strategy, work, None if sparse else self._current_buckets(rows))

    def _plan(self, strategy: str, work: Workload, buckets: MultiIndex | None = None) -> Plan:
        candidates = None
        if buckets is not None:
            # Never tried with this k: hope for a third of a scan, the trial will show.
            candidates = self._candidates.get(work.k, planner.candidates_per_scan(work) / 3)
        if strategy == "auto":
            plan = planner.choose(work, candidates)
        else:
            plan = Plan(strategy, work, planner.cost(work, candidates), "asked for")
            if strategy == "bit-sliced" and strategy not in plan.costs:
                plan = plan._replace(strategy="popcount", because="codes are too wide for bit-sliced")
        if plan.strategy != "numpy" and why_not_compiled():
            because = f"{plan.strategy} needs compiled code ({why_not_compiled()})"
            return plan._replace(strategy="numpy", because=because)
        return plan

    def _nearest(self, rows: Rows, queries: Words, k: int, buckets: MultiIndex | None) -> Keys:
        work = Workload(rows.n, rows.n_bits, len(queries), k)
        plan = self._plan(self.strategy, work, buckets)
        if plan.strategy == "multi-index" and buckets is not None:
            return self._nearest_by_buckets(buckets, rows, queries, k)
        found = self._scan_nearest(plan, rows, queries, k)
        if self.strategy == "auto":
            planner.record(plan)
            if buckets is None:
                self._record_missed(work, plan, packed.distances(found[:, -1]))
        return found

    def _scan_nearest(
        self, plan: Plan, rows: Rows, queries: Words, k: int, limits: Ints | None = None
    ) -> Keys:
        if plan.strategy == "numpy":
            return scan_numpy.nearest(rows, queries, k, self.threads)
        from nphash.search import scans

        scan = scans.Scan(rows, queries, plan.strategy == "bit-sliced", self.threads)
        return scans.nearest(scan, k, limits, self._sample_of(rows, k))

    def _sample_of(self, rows: Rows, k: int) -> Words:
        """Return words, shape (words of a code, any), to take first limits from; kept with the rows."""
        kept, size, sample = self._sample
        if kept is not rows or size < 2 * k:
            size = max(_SAMPLE, 2 * k)
            sample = np.ascontiguousarray(rows.sample(size).T)
            if not rows.start:  # not one of the passing snapshots of a join
                self._sample = rows, size, sample
        return sample

    def _nearest_by_buckets(self, buckets: MultiIndex, rows: Rows, queries: Words, k: int) -> Keys:
        # Queries given up will be few, and a scan for few costs more than its share of a large one.
        budget = planner.candidates_per_scan(Workload(rows.n, rows.n_bits, 1, k))
        worth = planner.candidates_per_scan(Workload(rows.n, rows.n_bits, len(queries), k))
        out, cost = np.empty((len(queries), k), np.uint64), np.full(len(queries), -1)
        trial = min(_TRIAL, len(queries))
        out[:trial], cost[:trial] = buckets.nearest(rows, queries[:trial], k, budget, self.threads)
        mean = float(np.where(cost[:trial] < 0, budget + worth, cost[:trial]).mean())
        self._candidates[k] = 0.5 * (self._candidates.get(k, mean) + mean)
        if mean < worth or self.strategy == "multi-index":
            out[trial:], cost[trial:] = buckets.nearest(rows, queries[trial:], k, budget, self.threads)
        done = cost >= 0
        if not done.all():
            plan = self._plan("auto", Workload(rows.n, rows.n_bits, int((~done).sum()), k))
            planner.record(plan)  # or a scan that is not loaded yet would never be
            out[~done] = self._scan_nearest(plan, rows, queries[~done], k)
        tail = rows.since(buckets.n)  # rows that have no buckets yet
        if tail.n_allowed and done.any():
            plan = self._plan("auto", Workload(rows.n - buckets.n, rows.n_bits, int(done.sum()), k))
            limits = packed.distances(out[done, -1]).astype(np.int64)
            more = self._scan_nearest(plan, tail, queries[done], min(k, tail.n_allowed), limits)
            out[done] = packed.merge([out[done], more], k)
        return out

    # -- everything within a radius --------------------------------------------------------------

    def within(self, rows: Rows, queries: Words, radius: int) -> tuple[Ints, Keys]:
        """Return (offsets, keys) of all rows at most ``radius`` from each query."""
        if _is_sparse(rows):
            rows, positions = rows.compact()
            offsets, found = self._scan_within(rows, queries, radius)
            return offsets, _moved(found, positions)
        buckets = self._current_buckets(rows)
        if buckets is None or self.strategy not in ("auto", "multi-index"):
            return self._scan_within(rows, queries, radius)
        return self._within_by_buckets(buckets, rows, queries, radius)

    def _scan_within(self, rows: Rows, queries: Words, radius: int) -> tuple[Ints, Keys]:
        work = Workload(rows.n - rows.start, rows.n_bits, len(queries))
        plan = self._plan("auto" if self.strategy == "multi-index" else self.strategy, work)
        if plan.strategy == "numpy":
            return scan_numpy.within(rows, queries, radius, self.threads)
        from nphash.search import scans

        return scans.within(scans.Scan(rows, queries, plan.strategy == "bit-sliced", self.threads), radius)

    def _within_by_buckets(
        self, buckets: MultiIndex, rows: Rows, queries: Words, radius: int
    ) -> tuple[Ints, Keys]:
        budget = planner.candidates_per_scan(Workload(rows.n, rows.n_bits, max(1, len(queries))))
        trial = min(_TRIAL, len(queries))
        each = buckets.within(rows, queries[:trial], radius, budget, self.threads)
        if sum(one is None for one in each) * 2 <= trial or self.strategy == "multi-index":
            each += buckets.within(rows, queries[trial:], radius, budget, self.threads)
        each += [None] * (len(queries) - len(each))
        done = np.array([one is not None for one in each], bool)
        looked_up = [one for one in each if one is not None]
        query = np.repeat(np.flatnonzero(done), np.array([len(one) for one in looked_up], np.int64))
        parts = [(query, np.concatenate([packed.EMPTY, *looked_up]))]
        for chosen, part in ((~done, rows), (done, rows.since(buckets.n))):
            if chosen.any() and part.n_allowed:
                offsets, found = self._scan_within(part, queries[chosen], radius)
                parts.append((np.repeat(np.flatnonzero(chosen), np.diff(offsets)), found))
        # Buckets hold all rows, also those before the ones of a join.
        inside = [packed.positions(found) >= rows.start for _, found in parts]
        parts = [(query[here], found[here]) for (query, found), here in zip(parts, inside, strict=True)]
        return packed.by_query(parts, len(queries))

    # -- an index joined with itself -------------------------------------------------------------

    def pairs(self, rows: Rows, radius: int, distinct: bool, progress: Progress | None) -> tuple[Ints, Keys]:
        """Return (position, key of a later row) of all pairs at most ``radius`` apart.

        Ordered by the first position, then the distance, then the second position. Each chunk is searched
        for among itself and what is behind it, and equal codes only once; `_with_copies` adds the others.
        """
        positions = rows.positions()
        leader = _first_equal(rows.at(positions))
        is_leader, leaders = leader == np.arange(len(leader)), rows
        if not is_leader.all():
            leaders = rows.restricted(np.isin(np.arange(rows.n), positions[is_leader]))
        self._expect_join(leaders, radius)
        parts = [(np.empty(0, np.int64), packed.EMPTY)]
        for start in range(0, len(positions), _CHUNK):
            stop = min(start + _CHUNK, len(positions))
            chunk = positions[start:stop][is_leader[start:stop]]
            if radius and len(chunk):  # different codes differ in at least one bit
                offsets, found = self.within(leaders.since(int(chunk[0])), rows.at(chunk), radius)
                first = np.repeat(chunk, np.diff(offsets))
                later = packed.positions(found) > first
                parts.append((first[later], found[later]))
            if progress:
                progress(stop, len(positions))
        first, found = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return (first, found) if leaders is rows else _with_copies(positions, leader, first, found, distinct)

    def neighbours(self, rows: Rows, k: int, progress: Progress | None) -> Keys:
        """Return the sorted keys, shape (rows, k), of the ``k`` nearest *other* rows of each row."""
        positions = rows.positions()
        out = np.empty((len(positions), k), np.uint64)
        for start in range(0, len(positions), _CHUNK):
            chunk = positions[start : start + _CHUNK]
            found = self.nearest(rows, rows.at(chunk), k + 1)
            # Behind more than k equal rows a row is not in its own list: then the last is left out.
            itself = packed.positions(found) == chunk[:, None]
            itself[:, -1] |= ~itself.any(axis=1)
            out[start : start + len(chunk)] = found[~itself].reshape(len(chunk), k)
            if progress:
                progress(start + len(chunk), len(positions))
        return out

    def _expect_join(self, rows: Rows, radius: int) -> None:
        """Build buckets beforehand if the radius searches of a join will pay for them."""
        if self.strategy != "auto" or rows.n < planner.FEWEST_BUCKETED or self._current_buckets(rows):
            return
        work = Workload(rows.n, rows.n_bits, rows.n_allowed)
        costs = planner.cost(work, planner.expected_candidates(work, np.array([radius])))
        scan = min(costs["popcount"], costs.get("bit-sliced", costs["popcount"])) / 2  # half of all pairs
        if costs["multi-index"] + planner.build_price(work) < scan:
            self.build(rows)

    # -- buckets ---------------------------------------------------------------------------------

    def build(self, rows: Rows) -> None:
        """Fill buckets for all rows, or for those that have none yet; nothing where nothing is compiled."""
        if why_not_compiled():
            return
        from nphash.search import multi_index

        with self._building:
            self.buckets = (self.buckets or multi_index.MultiIndex()).extended(rows, self.threads)

    def arrays(self) -> dict[str, Array]:
        """Return the buckets as arrays for a file; empty without buckets."""
        return {} if self.buckets is None else self.buckets.arrays()

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take the buckets from the arrays of a file, if it has any."""
        if any(name.startswith("bucket_") for name in arrays):
            from nphash.search import multi_index

            self.buckets = multi_index.from_arrays(arrays)

    def _current_buckets(self, rows: Rows) -> MultiIndex | None:
        """Return the buckets if they are of use for these rows; build or extend them when they are due."""
        wanted = self.strategy == "multi-index"
        if not wanted and (self.strategy != "auto" or rows.n < planner.FEWEST_BUCKETED):
            return None
        if not rows.start:  # else part of a join, which has seen to them
            missed = self._ledger["multi-index"] >= planner.build_price(Workload(rows.n, rows.n_bits, 1))
            if rows.n > self.buckets.n if self.buckets else wanted or missed:
                self.build(rows)
        buckets = self.buckets
        # Another thread may have added rows since this search began: its buckets know too much.
        return None if buckets is None or buckets.n > rows.n or why_not_compiled() else buckets

    def _record_missed(self, work: Workload, plan: Plan, furthest: npt.NDArray[np.int32]) -> None:
        """Record what buckets would have saved, judging by how far the k-th neighbours turned out to be."""
        if work.n >= planner.FEWEST_BUCKETED and len(furthest):
            with_buckets = planner.cost(work, planner.expected_candidates(work, furthest))["multi-index"]
            self._ledger["multi-index"] += max(0.0, plan.costs[plan.strategy] - with_buckets)


def _is_sparse(rows: Rows) -> bool:
    return rows.n_allowed * _SPARSE < rows.n - rows.start


def _moved(keys: Keys, positions: Ints) -> Keys:
    """Return keys whose positions are looked up in ``positions``; their order stays."""
    return packed.make(packed.distances(keys), positions[packed.positions(keys)])


def _first_equal(words: Words) -> Ints:
    """Return for each code the row of the first that is equal to it."""
    order = np.lexsort(words.T)  # stable: the first of equal codes comes first
    new = np.concatenate([[True], (words[order[1:]] != words[order[:-1]]).any(axis=1)])
    first = np.empty(len(words), np.int64)
    first[order] = order[new][np.cumsum(new) - 1]
    return first


def _with_copies(
    positions: Ints, leader: Ints, first: Ints, found: Keys, distinct: bool
) -> tuple[Ints, Keys]:
    """Add the pairs of rows whose code an earlier row has to ``first`` and ``found``, those of leaders.

    ``leader`` holds for each row, numbered as in ``positions``, the first with the same code. With
    ``distinct`` each copy is paired with its leader, otherwise with all near ones.
    """
    if distinct:
        copies = np.flatnonzero(leader != np.arange(len(leader)))
        first = np.concatenate([first, positions[leader[copies]]])
        found = np.concatenate([found, packed.make(np.zeros_like(copies), positions[copies])])
    else:
        # Rows in the order of their leaders: those with the same code are neighbours in ``members``.
        members, size = np.argsort(leader, kind="stable"), np.bincount(leader, minlength=len(leader))
        start = np.cumsum(size) - size
        of = leader[members]
        one, step = _counted((start + size)[of] - np.arange(len(of)) - 1)  # later members of the same code
        a, b = np.searchsorted(positions, first), np.searchsorted(positions, packed.positions(found))
        pair, i = _counted(size[a] * size[b])  # every member of one code with every member of the other
        x = np.concatenate([members[one], members[start[a][pair] + i // size[b][pair]]])
        y = np.concatenate([members[one + 1 + step], members[start[b][pair] + i % size[b][pair]]])
        distance = np.concatenate([np.zeros(len(one), np.int32), packed.distances(found)[pair]])
        first, found = positions[np.minimum(x, y)], packed.make(distance, positions[np.maximum(x, y)])
    order = np.lexsort((found, first))
    return first[order], found[order]


def _counted(counts: Ints) -> tuple[Ints, Ints]:
    """Return number i ``counts[i]`` times, and beside it 0, 1, 2, ... up to that count."""
    number = np.repeat(np.arange(len(counts)), counts)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
