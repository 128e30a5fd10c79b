"""Which way to search: the cheapest of four, counting what has to be loaded or built first.

The costs are rough models of this kind of processor; only their ratios matter. Compiled code
and buckets cost time before they save any. Whether they will, nobody knows beforehand, so they
are treated like skis that can be rented or bought: a slower way that is ready is used until
what it has cost more than the best one reaches the price of getting the best one ready. In total
that is never more than twice the time of somebody who knew the future.
"""

from __future__ import annotations

import math
import sys
import threading
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "FEWEST_BUCKETED",
    "STRATEGIES",
    "Ledger",
    "Plan",
    "build_price",
    "choose",
    "cost",
    "expected_looks",
    "is_loaded",
    "looks_per_scan",
    "n_substrings",
    "note",
]

STRATEGIES = ("numpy", "popcount", "bit-sliced", "multi-index")

_MOST_SLICED = 512  # bits: beyond, the tables leave the cache and the unrolled code grows
FEWEST_BUCKETED = 50_000  # rows: below, a scan costs no more than a few look-ups

_LONGEST = 26  # bits of a substring: 2^26 buckets are 256 MB

# Microseconds on one core.
_NUMPY_QUERY, _NUMPY_WORD = 15.0, 2.6e-3
_POPCOUNT_QUERY, _POPCOUNT_WORD, _POPCOUNT_NEIGHBOUR = 1.0, 1.1e-4, 0.25
_SLICED_CALL, _SLICED_BLOCK_WORD = 50.0, 0.7
_SLICED_QUERY, _SLICED_WORD, _SLICED_NEIGHBOUR = 1.0, 3.6e-5, 0.06
_BUCKET_QUERY, _BUCKET_LOOK = 2.0, 9e-3
_BUCKET_BUILD = 0.05  # for a row and substring

_PRICE = {"numpy": 0.0, "popcount": 0.8e6, "bit-sliced": 2.5e6}  # loading compiled code, or compiling it


class Task(NamedTuple):
    """A search to plan."""

    n: int  # rows
    n_bits: int
    n_queries: int
    k: int = 10  # neighbours wanted


class Plan(NamedTuple):
    """What a search will do, or would do, and why.

    ``str(plan)`` is a sentence; ``costs`` has the estimated microseconds of each possible strategy.
    """

    strategy: str
    task: Task
    costs: dict[str, float]
    asked_for: bool = False

    @property
    def reason(self) -> str:
        """Why this strategy was chosen."""
        if self.asked_for:
            return "asked for"
        n_queries, n, best = self.task.n_queries, self.task.n, min(self.costs, key=self.costs.__getitem__)
        queries = "1 query" if n_queries == 1 else f"{n_queries:,} queries"
        size = f"{queries} over {n:,} codes of {self.task.n_bits} bits"
        if self.strategy == best:
            return f"the fastest for {size} (about {self.costs[best] / 1e3:.3g} ms on one core)"
        return f"for {size}, loading the code of {best} would take longer than it saves"

    def __str__(self) -> str:
        return f"{self.strategy}: {self.reason}"


class Ledger:
    """What slower strategies have cost more than the best one, in this process or for one index."""

    def __init__(self) -> None:
        self._rent: dict[str, float] = {}
        self._lock = threading.Lock()

    def rent(self, wanted: str) -> float:
        """Return what doing without ``wanted`` has cost so far, in microseconds."""
        return self._rent.get(wanted, 0.0)

    def pay(self, wanted: str, extra: float) -> None:
        """Note that doing without ``wanted`` cost ``extra`` microseconds more."""
        with self._lock:
            self._rent[wanted] = self._rent.get(wanted, 0.0) + extra


@lru_cache(maxsize=256)  # a search asks several times, and the next is often like it
def cost(task: Task, looks: float | None = None) -> dict[str, float]:
    """Return the estimated microseconds of each strategy that can do the task.

    ``looks`` is how many codes multi-index hashing looks at for a query, scans of given-up
    queries included; without it, that strategy is not offered.

    Examples
    --------
    >>> costs = cost(Task(n=1_000_000, n_bits=64, n_queries=1000))
    >>> min(costs, key=costs.get)
    'bit-sliced'
    """
    n, q, words = task.n, task.n_queries, -(-task.n_bits // 64)
    k = min(task.k, n)
    costs = {
        "numpy": q * (_NUMPY_QUERY + n * words * _NUMPY_WORD),
        "popcount": q * (_POPCOUNT_QUERY + n * words * _POPCOUNT_WORD + k * _POPCOUNT_NEIGHBOUR),
    }
    if task.n_bits <= _MOST_SLICED:
        each = _SLICED_QUERY + n * (task.n_bits / 64) * _SLICED_WORD + k * _SLICED_NEIGHBOUR
        costs["bit-sliced"] = _SLICED_CALL + n / 512 * words * _SLICED_BLOCK_WORD + q * each
    if looks is not None and n >= FEWEST_BUCKETED:
        costs["multi-index"] = q * (_BUCKET_QUERY + looks * _BUCKET_LOOK)
    return costs


def n_substrings(n_bits: int, n: int) -> int:
    """Return into how many substrings codes are cut: a bucket should hold a handful of codes."""
    by_size = round(n_bits / max(4.0, math.log2(max(n, 2)) - 2))
    return max(1, by_size, -(-n_bits // _LONGEST))


def build_price(task: Task) -> float:
    """Return the estimated microseconds that filling the buckets takes."""
    return task.n * n_substrings(task.n_bits, task.n) * _BUCKET_BUILD


def expected_looks(task: Task, furthest: npt.NDArray[np.integer]) -> float:
    """Return about how many codes have to be looked at to be sure of everything up to these distances.

    As if codes were spread evenly over the buckets; each query at most once over all codes.
    """
    m, most = n_substrings(task.n_bits, task.n), 2.0 * looks_per_scan(task)
    sample = furthest[:: max(1, len(furthest) // 64)].tolist()
    return float(sum(min(most, _looks(task.n_bits, task.n, m, d // m)) for d in sample) / len(sample))


@cache
def _looks(n_bits: int, n: int, m: int, radius: int) -> float:
    if radius > 8:  # never worth it
        return math.inf
    length = math.ceil(n_bits / m)
    opened = m * sum(math.comb(length, i) for i in range(radius + 1))
    return float(opened * (4 + n / 2**length))


def looks_per_scan(task: Task) -> int:
    """Return how many looks into buckets cost as much as scanning all rows for one query."""
    costs = cost(task)
    return int(min(costs["popcount"], costs.get("bit-sliced", 1e300)) / task.n_queries / _BUCKET_LOOK)


_process = Ledger()


def choose(task: Task, looks: float | None = None, ledger: Ledger | None = None) -> Plan:
    """Return the plan for a task, and why.

    Examples
    --------
    >>> choose(Task(n=1000, n_bits=32, n_queries=1)).strategy in ("numpy", "popcount")
    True
    """
    ledger = ledger or _process
    costs = cost(task, looks)
    order = sorted(costs, key=costs.__getitem__)
    for strategy in order:
        if strategy == "multi-index" or is_loaded(strategy, task.n_bits):
            return Plan(strategy, task, costs)
        missed = ledger.rent(strategy) + costs[_ready(order, task.n_bits)] - costs[strategy]
        if missed >= _PRICE[strategy]:
            return Plan(strategy, task, costs)
    raise AssertionError("the NumPy scan is always ready")


def note(task: Task, plan: Plan, ledger: Ledger | None = None) -> None:
    """Note what the strategies that were not ready would have saved."""
    for strategy, time in plan.costs.items():
        if time < plan.costs[plan.strategy]:
            (ledger or _process).pay(strategy, plan.costs[plan.strategy] - time)


def _ready(order: list[str], n_bits: int) -> str:
    return next(name for name in order if name == "multi-index" or is_loaded(name, n_bits))


def is_loaded(strategy: str, n_bits: int) -> bool:
    """Tell whether the compiled code of a strategy is there already."""
    if strategy == "numpy":
        return True
    module = sys.modules.get("nphash.search.scans")
    return (
        module is not None and (strategy, -(-n_bits // 8) if strategy == "bit-sliced" else 0) in module.used
    )
