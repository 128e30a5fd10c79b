"""The choice of a strategy: the cheapest of four, counting what has to be loaded or built first.

The costs are rough models of this kind of processor; only their ratios matter. A slower way that is ready is
used until what it has cost more than the best one reaches the price of getting that ready (the ski-rental
problem): never more than twice the time of somebody who knew the future. docs/develop/search.rst
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache, lru_cache
from importlib import import_module
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

STRATEGIES = ("numpy", "popcount", "bit-sliced", "multi-index")

_MOST_SLICED = 512  # bits: beyond, the tables leave the cache and the unrolled code grows
FEWEST_BUCKETED = 50_000  # rows: below, a scan costs no more than a few look-ups

_LONGEST = 26  # bits of a substring: 2^26 buckets are 256 MB


def _counts_vectors() -> bool:
    """Return whether an instruction counts the ones in vectors of words; asked without loading Numba."""
    features = getattr(import_module("numpy._core._multiarray_umath"), "__cpu_features__", {})
    return bool(features.get("AVX512VPOPCNTDQ", False))


# Microseconds on one core.
_NUMPY_QUERY, _NUMPY_WORD = 15.0, 2.6e-3
_READ_WORD = 0.9e-4  # of a code, from memory or the third-level cache, once for all queries
_POPCOUNT_CODE, _POPCOUNT_WORD = (5e-6, 2.6e-5) if _counts_vectors() else (0.0, 1.1e-4)
_SLICED_CALL, _SLICED_BLOCK_WORD, _SLICED_WORD = 50.0, 0.45, 2.4e-5
_SCAN_QUERY, _SCAN_NEIGHBOUR = 1.0, 0.06
_BUCKET_QUERY, _BUCKET_CANDIDATE = 2.0, 9e-3
_BUCKET_BUILD = 0.05  # for a row and substring

# Microseconds that doing without a strategy has cost, in this process or for one index. There is no lock: an
# estimate may lose one search that another thread records at the same moment.
Ledger: TypeAlias = defaultdict[str, float]

_PRICE = {"numpy": 0.0, "popcount": 0.8e6, "bit-sliced": 2.5e6}  # loading compiled code, or compiling it


class Workload(NamedTuple):
    """A search to plan."""

    n: int  # rows
    n_bits: int
    n_queries: int
    k: int = 10  # neighbours wanted


class Plan(NamedTuple):
    """The way of a search and, as ``str(plan)``, why; ``costs`` has the microseconds of each possible one."""

    strategy: str
    work: Workload
    costs: dict[str, float]
    because: str = ""  # why, if not for its costs

    @property
    def reason(self) -> str:
        """Why this strategy was chosen."""
        if self.because:
            return self.because
        n_queries, n, best = self.work.n_queries, self.work.n, min(self.costs, key=self.costs.__getitem__)
        queries = "1 query" if n_queries == 1 else f"{n_queries:,} queries"
        size = f"{queries} over {n:,} codes of {self.work.n_bits} bits"
        if self.strategy == best:
            return f"the fastest for {size} (about {self.costs[best] / 1e3:.3g} ms on one core)"
        return f"for {size}, loading the code of {best} would take longer than it saves"

    def __str__(self) -> str:
        return f"{self.strategy}: {self.reason}"


@lru_cache(maxsize=256)  # a search asks several times, and the next is often like it
def cost(work: Workload, candidates: float | None = None) -> dict[str, float]:
    """Return the estimated microseconds of each strategy that can do the work.

    ``candidates`` is how many codes multi-index hashing looks at for a query, scans of given-up
    queries included; without it, that strategy is not offered.
    """
    n, q, words = work.n, work.n_queries, -(-work.n_bits // 64)
    each = _SCAN_QUERY + min(work.k, n) * _SCAN_NEIGHBOUR
    costs = {
        "numpy": q * (_NUMPY_QUERY + n * words * _NUMPY_WORD),
        "popcount": n * words * _READ_WORD + q * (n * (_POPCOUNT_CODE + words * _POPCOUNT_WORD) + each),
    }
    if work.n_bits <= _MOST_SLICED:
        blocks = n / 512 * words * _SLICED_BLOCK_WORD
        costs["bit-sliced"] = _SLICED_CALL + blocks + q * (n * (work.n_bits / 64) * _SLICED_WORD + each)
    if candidates is not None and n >= FEWEST_BUCKETED:
        costs["multi-index"] = q * (_BUCKET_QUERY + candidates * _BUCKET_CANDIDATE)
    return costs


def n_substrings(n_bits: int, n: int) -> int:
    """Return into how many substrings codes are cut: a bucket should hold a handful of codes."""
    by_size = round(n_bits / max(4.0, math.log2(max(n, 2)) - 2))
    return max(1, by_size, -(-n_bits // _LONGEST))


def build_price(work: Workload) -> float:
    """Return the estimated microseconds that filling the buckets takes."""
    return work.n * n_substrings(work.n_bits, work.n) * _BUCKET_BUILD


def expected_candidates(work: Workload, furthest: npt.NDArray[np.integer]) -> float:
    """Return about how many codes have to be looked at to be sure of everything up to these distances."""
    # As if codes were spread evenly over the buckets; each query at most once over all codes.
    m, most = n_substrings(work.n_bits, work.n), 2.0 * candidates_per_scan(work)
    sample = furthest[:: max(1, len(furthest) // 64)].tolist()
    return float(sum(min(most, _candidates(work.n_bits, work.n, m, d // m)) for d in sample) / len(sample))


@cache
def _candidates(n_bits: int, n: int, m: int, radius: int) -> float:
    if radius > 8:  # never worth it
        return math.inf
    length = math.ceil(n_bits / m)
    opened = m * sum(math.comb(length, i) for i in range(radius + 1))
    return float(opened * (4 + n / 2**length))


def candidates_per_scan(work: Workload) -> int:
    """Return how many candidates from buckets cost as much as scanning all rows for one query."""
    costs = cost(work)
    return int(min(costs["popcount"], costs.get("bit-sliced", 1e300)) / work.n_queries / _BUCKET_CANDIDATE)


_process: Ledger = defaultdict(float)


def choose(work: Workload, candidates: float | None = None, ledger: Ledger = _process) -> Plan:
    """Return the plan for a workload: the cheapest strategy that is ready, or was missed for too long."""
    costs = cost(work, candidates)
    order = sorted(costs, key=costs.__getitem__)
    ready = next(name for name in order if name == "multi-index" or is_loaded(name, work.n_bits))
    for better in order[: order.index(ready)]:
        if ledger[better] + costs[ready] - costs[better] >= _PRICE[better]:
            return Plan(better, work, costs)
    return Plan(ready, work, costs)


def record(plan: Plan, ledger: Ledger = _process) -> None:
    """Record what the strategies that were not ready would have saved."""
    for strategy, time in plan.costs.items():
        if time < plan.costs[plan.strategy]:
            ledger[strategy] += plan.costs[plan.strategy] - time


# Scans whose compiled code has run in this process, the bit-sliced one for each number of bytes. It is a fact
# kept here, not looked up in the scans' module, which another thread may just be importing.
_loaded: set[tuple[str, int]] = set()


def record_loaded(strategy: str, n_bits: int) -> None:
    """Record that the compiled code of a scan is there: it has run."""
    _loaded.add((strategy, -(-n_bits // 8) if strategy == "bit-sliced" else 0))


def is_loaded(strategy: str, n_bits: int) -> bool:
    """Return whether a scan can begin at once: its compiled code is there, or it needs none."""
    return strategy == "numpy" or not _loaded.isdisjoint({(strategy, 0), (strategy, -(-n_bits // 8))})
