"""Carrying out searches: asks the planner, runs the scans or the buckets, keeps account of both.

Everything here works on positions and packed keys; names of rows are the index's affair.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nphash.core.threads import count_threads
from nphash.core.typing import Ints, Words
from nphash.errors import InputError
from nphash.search import keys as packed
from nphash.search import planner, scan_numpy
from nphash.search.keys import Keys
from nphash.search.planner import Ledger, Plan, Task
from nphash.search.rows import Rows

if TYPE_CHECKING:
    from nphash.search.multi_index import MultiIndex

__all__ = ["Engine"]

Step = Callable[[int], None]

_TRIAL = 16  # queries that multi-index hashing is tried with before it gets the rest
_SPARSE = 4  # rows are copied out when fewer than one in so many may be found


class Engine:
    """The search engine of one index.

    Parameters
    ----------
    strategy
        ``auto``, or one of `planner.STRATEGIES` for every search.
    threads
        Threads of one search.
    """

    def __init__(self, strategy: str, threads: int | None) -> None:
        if strategy != "auto" and strategy not in planner.STRATEGIES:
            raise InputError(
                f"strategy is {strategy!r}, but auto, {', '.join(planner.STRATEGIES)} are known",
                "auto is usual",
            )
        self.strategy = strategy
        self.threads = count_threads(threads)
        self.buckets: MultiIndex | None = None
        self._building = threading.Lock()
        self._ledger = Ledger()  # what doing without buckets has cost
        self._sample: tuple[Rows | None, int, Words] = (None, 0, np.empty((0, 0), np.uint64))
        self._looks: dict[int, float] = {}  # by k: codes looked at for a query, learned from searches

    # -- the k nearest ---------------------------------------------------------------------------

    def nearest(self, rows: Rows, queries: Words, k: int) -> Keys:
        """Return the sorted keys of the ``k`` nearest rows, shape (Q, k); at least ``k`` may be found."""
        if _sparse(rows):
            rows, positions = rows.compact()
            return _moved(self._nearest(rows, queries, k, buckets=None), positions)
        return self._nearest(rows, queries, k, self._current_buckets(rows))

    def plan(self, rows: Rows, n_queries: int, k: int) -> Plan:
        """Return what `nearest` would do."""
        copied = _sparse(rows)
        buckets = None if copied else self._current_buckets(rows)
        return self._plan(Task(rows.n_allowed if copied else rows.n, rows.n_bits, n_queries, k), buckets)

    def _plan(self, task: Task, buckets: MultiIndex | None) -> Plan:
        looks = None
        if buckets is not None:
            # Never tried with this k: hope for a third of a scan, the trial will tell.
            looks = self._looks.get(task.k, planner.looks_per_scan(task) / 3)
        if self.strategy == "auto":
            return planner.choose(task, looks)
        costs = planner.cost(task, looks)
        wanted = self.strategy
        if wanted == "bit-sliced" and wanted not in costs:
            wanted = "popcount"  # codes too wide
        return Plan(wanted, task, costs, asked_for=True)

    def _nearest(self, rows: Rows, queries: Words, k: int, buckets: MultiIndex | None) -> Keys:
        task = Task(rows.n, rows.n_bits, len(queries), k)
        plan = self._plan(task, buckets)
        if plan.strategy == "multi-index" and buckets is not None:
            return self._nearest_by_buckets(buckets, rows, queries, k)
        found = self._scan_nearest(plan.strategy, rows, queries, k, None)
        if self.strategy == "auto":
            planner.note(task, plan)
            if buckets is None:
                self._note_missed(task, plan, packed.distances(found[:, -1]))
        return found

    def _scan_nearest(self, strategy: str, rows: Rows, queries: Words, k: int, limits: Ints | None) -> Keys:
        if strategy == "numpy":
            return _numpy_nearest(rows, queries, k)
        from nphash.search import scans

        work = scans.Work(strategy == "bit-sliced", self.threads)
        return scans.nearest(rows, queries, k, limits, work, self._sample_of(rows, k))

    def _sample_of(self, rows: Rows, k: int) -> Words:
        """Return words, shape (words of a code, any), to take first limits from; kept with the rows."""
        from nphash.search import scans

        kept, size, sample = self._sample
        if kept is not rows or size < 2 * k:
            size = max(scans.SAMPLE, 2 * k)
            sample = np.ascontiguousarray(rows.sample(size).T)
            if not rows.start:  # not one of the passing snapshots of a join
                self._sample = rows, size, sample
        return sample

    def _nearest_by_buckets(self, buckets: MultiIndex, rows: Rows, queries: Words, k: int) -> Keys:
        from nphash.search import multi_index

        # Queries given up will be few, and a scan for few costs more than its share of a large one.
        budget = planner.looks_per_scan(Task(rows.n, rows.n_bits, 1, k))
        worth = planner.looks_per_scan(Task(rows.n, rows.n_bits, len(queries), k))
        out, work = np.empty((len(queries), k), np.uint64), np.full(len(queries), -1)
        trial = min(_TRIAL, len(queries))
        out[:trial], work[:trial] = multi_index.nearest(
            buckets, rows, queries[:trial], k, budget, self.threads
        )
        mean = float(np.where(work[:trial] < 0, budget + worth, work[:trial]).mean())
        self._looks[k] = 0.5 * (self._looks.get(k, mean) + mean)
        if mean < worth or self.strategy == "multi-index":
            out[trial:], work[trial:] = multi_index.nearest(
                buckets, rows, queries[trial:], k, budget, self.threads
            )
        done = work >= 0
        if not done.all():
            given_up = Task(rows.n, rows.n_bits, int((~done).sum()), k)
            plan = planner.choose(given_up)
            planner.note(given_up, plan)  # or a scan that is not loaded yet would never be
            out[~done] = self._scan_nearest(plan.strategy, rows, queries[~done], k, None)
        if buckets.n < rows.n and done.any():  # rows that have no buckets yet
            tail = rows.since(buckets.n)
            plan = planner.choose(Task(rows.n - buckets.n, rows.n_bits, int(done.sum()), k))
            limits = packed.distances(out[done, -1]).astype(np.int64)
            size = min(k, tail.n_allowed)
            if size:
                more = self._scan_nearest(plan.strategy, tail, queries[done], size, limits)
                out[done] = packed.merge([out[done], more], k)
        return out

    # -- everything within a radius --------------------------------------------------------------

    def within(self, rows: Rows, queries: Words, radius: int, step: Step | None = None) -> tuple[Ints, Keys]:
        """Return (offsets, keys) of all rows at most ``radius`` from each query."""
        if _sparse(rows):
            rows, positions = rows.compact()
            offsets, found = self._scan_within(rows, queries, radius, step)
            return offsets, _moved(found, positions)
        buckets = self._current_buckets(rows)
        if buckets is None or self.strategy not in ("auto", "multi-index"):
            return self._scan_within(rows, queries, radius, step)
        return self._within_by_buckets(buckets, rows, queries, radius, step)

    def _scan_within(self, rows: Rows, queries: Words, radius: int, step: Step | None) -> tuple[Ints, Keys]:
        task = Task(rows.n - rows.start, rows.n_bits, len(queries))
        plan = self._plan(task, None) if self.strategy != "multi-index" else planner.choose(task)
        if plan.strategy == "numpy":
            return _numpy_within(rows, queries, radius)
        from nphash.search import scans

        work = scans.Work(plan.strategy == "bit-sliced", self.threads, *([step] if step else []))
        return scans.within(rows, queries, radius, work)

    def _within_by_buckets(
        self, buckets: MultiIndex, rows: Rows, queries: Words, radius: int, step: Step | None
    ) -> tuple[Ints, Keys]:
        from nphash.search import multi_index

        budget = planner.looks_per_scan(Task(rows.n, rows.n_bits, max(1, len(queries))))
        trial = min(_TRIAL, len(queries))
        each = multi_index.within(buckets, rows, queries[:trial], radius, budget, self.threads)
        if sum(one is None for one in each) * 2 <= trial or self.strategy == "multi-index":
            each += multi_index.within(buckets, rows, queries[trial:], radius, budget, self.threads)
        done = np.array([one is not None for one in each] + [False] * (len(queries) - len(each)), bool)
        parts = [_split(np.flatnonzero(done), [one for one in each if one is not None])]
        for chosen, part in ((~done, rows), (done, rows.since(buckets.n))):
            if chosen.any() and part.n_allowed:
                offsets, found = self._scan_within(part, queries[chosen], radius, step)
                parts.append((np.repeat(np.flatnonzero(chosen), np.diff(offsets)), found))
        query, keys = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        inside = packed.positions(keys) >= rows.start  # buckets hold all rows, also those before
        query, keys = query[inside], keys[inside]
        order = np.lexsort((keys, query))
        counts = np.bincount(query, minlength=len(queries))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), keys[order]

    # -- buckets ---------------------------------------------------------------------------------

    def build(self, rows: Rows) -> None:
        """Fill buckets for all rows, or for those that have none yet."""
        from nphash.search import multi_index

        with self._building:
            if self.buckets is None:
                self.buckets = multi_index.build(rows, self.threads)
            else:
                self.buckets = multi_index.extended(self.buckets, rows, self.threads)

    def expect_join(self, rows: Rows, n_queries: int, radius: int) -> None:
        """Build buckets beforehand if so many radius searches are to come that they will pay."""
        if (
            self._current_buckets(rows) is not None
            or self.strategy != "auto"
            or rows.n < planner.FEWEST_BUCKETED
        ):
            return
        task = Task(rows.n, rows.n_bits, n_queries)
        looks = planner.expected_looks(task, np.array([radius]))
        costs = planner.cost(task, looks)
        scan = min(costs["popcount"], costs.get("bit-sliced", costs["popcount"])) / 2  # half of all pairs
        if costs["multi-index"] + _build_price(rows) < scan:
            self.build(rows)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the buckets as arrays for a file; empty without buckets."""
        if self.buckets is None:
            return {}
        from nphash.search import multi_index

        return multi_index.arrays(self.buckets)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take the buckets from the arrays of a file, if it has any."""
        if any(name.startswith("bucket_") for name in arrays):
            from nphash.search import multi_index

            self.buckets = multi_index.from_arrays(arrays)

    def _current_buckets(self, rows: Rows) -> MultiIndex | None:
        """Return the buckets if they are of use for these rows; build or extend them when they are due."""
        wanted = self.strategy == "multi-index"
        if rows.start:
            return self.buckets  # part of a join, which has seen to them
        if not wanted and (self.strategy != "auto" or rows.n < planner.FEWEST_BUCKETED):
            return None
        if self.buckets is None:
            due = wanted or self._ledger.rent("multi-index") >= _build_price(rows)
        else:
            due = rows.n > self.buckets.n
        if due:
            self.build(rows)
        buckets = self.buckets
        # Another thread may have added rows since this search began: its buckets know too much.
        return None if buckets is None or buckets.n > rows.n else buckets

    def _note_missed(self, task: Task, plan: Plan, furthest: npt.NDArray[np.int32]) -> None:
        """Note what buckets would have saved, judging by how far the k-th neighbours turned out to be."""
        if task.n < planner.FEWEST_BUCKETED or not len(furthest):
            return
        looks = planner.expected_looks(task, furthest)
        with_buckets = planner.cost(task, looks)["multi-index"]
        self._ledger.pay("multi-index", max(0.0, plan.costs[plan.strategy] - with_buckets))


def _sparse(rows: Rows) -> bool:
    return rows.n_allowed * _SPARSE < rows.n - rows.start


def _build_price(rows: Rows) -> float:
    return planner.build_price(Task(rows.n, rows.n_bits, 1))


def _moved(keys: Keys, positions: Ints) -> Keys:
    """Return keys whose positions are looked up in ``positions``; their order stays."""
    return packed.make(packed.distances(keys), positions[packed.positions(keys)])


def _split(queries: Ints, each: list[Keys]) -> tuple[Ints, Keys]:
    lengths = np.array([len(one) for one in each], dtype=np.int64)
    return np.repeat(queries, lengths), np.concatenate([np.empty(0, np.uint64), *each])


def _numpy_nearest(rows: Rows, queries: Words, k: int) -> Keys:
    found = np.full((len(queries), k), packed.NONE)
    for q, query in enumerate(queries):
        parts = [
            scan_numpy.nearest(words, first, query, k, rows.allowed)[None] for first, words in rows.segments
        ]
        best = packed.merge(parts, k)[0]
        found[q, : len(best)] = best
    return found


def _numpy_within(rows: Rows, queries: Words, radius: int) -> tuple[Ints, Keys]:
    each = [
        np.concatenate(
            [scan_numpy.within(words, first, query, radius, rows.allowed) for first, words in rows.segments]
        )
        for query in queries
    ]
    for one in each:
        one.sort()
    query, found = _split(np.arange(len(queries)), each)
    return np.concatenate([[0], np.cumsum(np.bincount(query, minlength=len(queries)))]).astype(
        np.int64
    ), found
