"""How the search engine scales: more codes, more neighbours, a billion codes; and approximate peers."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from benchmarks.search_common import make_codes, numpy_nearest, race, random_codes, timed
from nphash.codes import Codes, as_words
from nphash.search import HammingIndex

__all__ = ["PEERS", "approximate", "billion", "growth"]

Record = dict[str, Any]

# How each peer is made, and its settings: name of the parameter, and values.
PEERS: dict[str, tuple[str, list[int]]] = {
    "IVF 1024": ("nprobe", [1, 8, 32]),
    "HNSW 16": ("efSearch", [16, 64]),
    "MultiHash 4 x 16": ("nflip", [1, 2]),
}


def approximate(name: str, n: int, rounds: int) -> list[Record]:
    """Return time and recall of an approximate peer on clustered codes, one thread, k = 10."""
    import faiss

    codes, queries = make_codes("clustered", n, 64, 1000)
    index = HammingIndex(64, threads=1)
    index.add(codes)
    index.build()
    exact = index.search(queries, 10)[0]
    faiss.omp_set_num_threads(1)
    start = time.perf_counter()
    peer = _peer(name, codes)
    build = time.perf_counter() - start
    setting, values = PEERS[name]
    found = []
    for value in values:
        setattr(peer.hnsw if setting == "efSearch" else peer, setting, value)
        distances = peer.search(queries, 10)[0]
        both = {"nphash": index, "peer": peer}
        times = race({who: (partial(one.search, queries, 10), 1000) for who, one in both.items()}, rounds)
        recall = float((distances <= exact[:, -1:]).mean())
        record = {"name": name, "peer": f"{name}, {setting} {value}", "n": n, "recall": recall}
        found.append({**record, "build_seconds": build, "times": times})
    return found


def _peer(name: str, codes: Codes) -> Any:
    import faiss

    peer: Any
    if name == "IVF 1024":
        coarse = faiss.IndexBinaryFlat(64)
        peer = faiss.IndexBinaryIVF(coarse, 64, 1024)
        peer.coarse = coarse  # FAISS does not keep it alive
        peer.train(codes[:100_000])
    elif name == "HNSW 16":
        peer = faiss.IndexBinaryHNSW(64, 16)
    else:
        peer = faiss.IndexBinaryMultiHash(64, 4, 16)
    peer.add(codes)
    return peer


def growth(kind: str, n: int, rounds: int) -> list[Record]:
    """Return how time, and memory, grow with k for ``n`` codes; one thread, batches.

    Codes are added a million at a time. Clustered ones get buckets.
    """
    codes, queries = make_codes(kind, n, 64, 1000)
    index = HammingIndex(64, threads=1)
    start = time.perf_counter()
    for first in range(0, n, 10**6):
        index.add(codes[first : first + 10**6])
    facts: Record = {"kind": kind, "n": n, "add_per_second": n / (time.perf_counter() - start)}
    del codes
    facts["bytes_per_code"] = 8.0
    if kind == "clustered":
        start = time.perf_counter()
        facts["bytes_per_code"] += index.build() / n
        facts["build_per_second"] = n / (time.perf_counter() - start)
    found = []
    few = queries[: max(50, min(1000, 10**10 // n))]
    for k in (1, 10, 100, 1000):
        for _ in range(2):  # the planner learns
            index.search(few, k)
        times = race({"nphash": (partial(index.search, few, k), len(few))}, rounds, budget=20)
        found.append({**facts, "k": k, "plan": index.explain(len(few), k).strategy, **times["nphash"]})
    return found


def billion(n: int) -> list[Record]:
    """Search ``n`` random codes that were generated block by block: one query, and a thousand."""
    index, rng = HammingIndex(64), np.random.default_rng(0)
    queries = random_codes(rng, 1000, 64)
    start = time.perf_counter()
    for _ in range(0, n, 10**7):
        index.add(random_codes(rng, min(10**7, n), 64))
    record: Record = {"n": n, "threads": index.threads, "fill_seconds": time.perf_counter() - start}
    for _ in range(2):
        index.search(queries[:1], 10)
    one = [timed(partial(index.search, queries[:1], 10))[0] for _ in range(5)]
    record["one_query_seconds"] = float(np.median(one)) / 1e6
    record["gigabytes_per_second"] = 8 * n / 1e9 / record["one_query_seconds"]
    index.search(queries[:100], 10)
    start = time.perf_counter()
    distances, ids = index.search(queries, 10)
    record["thousand_queries_seconds"] = time.perf_counter() - start
    for q in (0, 999):  # against NumPy, block by block
        expected = numpy_nearest(index, as_words(queries)[q, 0], 10)
        assert np.array_equal(expected[0], distances[q]) and np.array_equal(expected[1], ids[q])
    return [record]
