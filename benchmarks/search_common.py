"""What the search benchmarks share: codes to search, and races between ways to search them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.records import DATA
from nphash.codes import Codes
from nphash.core.threads import run_tasks
from nphash.search import HammingIndex

__all__ = ["ARXIV", "make_codes", "numpy_nearest", "race", "random_codes", "reading", "timed"]

ARXIV = DATA / "arxiv-0.jsonl.gz"

_PAUSE = 0.05  # seconds: FAISS's threads keep their processors busy for some time after a search


def make_codes(kind: str, n: int, n_bits: int, n_queries: int) -> tuple[Codes, Codes]:
    """Return n codes and the queries, of the same kind: random, clustered or learned."""
    if kind == "learned":
        codes = learned_codes(n_bits)
        return codes[:n], codes[n : n + n_queries]
    rng = np.random.default_rng(n_bits)
    centres = random_codes(rng, 4000, n_bits)
    share = 1 / np.arange(1, 4001) ** 0.7  # cluster sizes fall off as in real collections
    out = np.empty((n + n_queries, centres.shape[1]), np.uint8)
    for start in range(0, len(out), 10**6):
        part = out[start : start + 10**6]
        part[:] = random_codes(rng, len(part), n_bits)
        if kind == "clustered":  # about 8 % of the bits of a centre are flipped
            rare = [random_codes(rng, len(part), n_bits) for _ in range(6)]
            flips = part & rare[0] & rare[1] & rare[2] | np.bitwise_and.reduce(rare)
            part[:] = centres[rng.choice(4000, len(part), p=share / share.sum())] ^ flips
    return out[:n], out[n:]


def random_codes(rng: np.random.Generator, n: int, n_bits: int) -> Codes:
    """Return n codes of random bits."""
    codes = np.frombuffer(rng.bytes(n * (-(-n_bits // 64) * 8)), np.uint8).reshape(n, -1).copy()
    codes[:, n_bits // 8 :] = 0
    return codes


@cache
def learned_codes(n_bits: int) -> Codes:
    """Return codes of the arXiv abstracts by iterative quantisation of their LSI vectors."""
    from nphash.corpus import ReadOptions, read_documents
    from nphash.hashers import create
    from nphash.text.vectorizer import Vectorizer

    X = Vectorizer().fit_transform(d.text for d in read_documents(str(ARXIV), ReadOptions()))
    codes: Codes = create("itq", n_bits=n_bits).fit(X[:10_000]).transform(X)
    return codes


def timed(function: Callable[[], Any], n_queries: int = 1) -> tuple[float, float]:
    """Return wall-clock and CPU microseconds for a query."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return wall / n_queries * 1e6, cpu / n_queries * 1e6


def race(
    contestants: Mapping[str, tuple[Callable[[], Any], int]], rounds: int, budget: float = 40.0
) -> dict[str, dict[str, float]]:
    """Run all in turn; return median times and spread of each, in microseconds a query.

    Each contestant is a function and the number of queries it answers. After ``budget`` seconds
    no further round is begun, but there are three at least.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    begin = time.perf_counter()
    for number in range(rounds):
        for name, (function, n_queries) in contestants.items():
            time.sleep(_PAUSE)
            times[name].append(timed(function, n_queries))
        if number >= 2 and time.perf_counter() - begin > budget:
            break
    return {
        name: {
            "wall": median(wall for wall, _ in one),
            "cpu": median(cpu for _, cpu in one),
            "spread": (max(one)[0] - min(one)[0]) / median(wall for wall, _ in one),
            "rounds": len(one),
        }
        for name, one in times.items()
    }


def reading(codes: Codes, threads: int) -> Callable[[], Any]:
    """Return a function that reads the codes once, as fast as NumPy does: it takes their maximum."""
    parts = np.array_split(codes.reshape(-1).view(np.uint64), threads)
    return partial(run_tasks, [part.max for part in parts], threads)


def numpy_nearest(index: HammingIndex, query: np.uint64, k: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return distances and ids of the nearest codes, of 64 bits, by plain NumPy."""
    best: list[tuple[int, int]] = []
    for first, words in index._table.rows.segments:
        distances = np.bitwise_count(words[:, 0] ^ query)
        near = np.argsort(distances, kind="stable")[:k]
        best = sorted(best + [(int(distances[i]), int(i) + first) for i in near])[:k]
    return np.array([d for d, _ in best]), np.array([i for _, i in best])
