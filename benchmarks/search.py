"""Race the search engine against FAISS: exact search of the same codes, in one process, in turn.

    python benchmarks/search.py run            # about half an hour; writes benchmarks/results/search.json
    python benchmarks/search.py run --quick    # a minute, small sizes: does everything still work?
    python benchmarks/search.py run --only billion

Each contestant of a cell runs once, then each again, and so on: what disturbs the machine
disturbs them alike. Figures are medians, per query; spreads are (largest - smallest) / median. The ratio is
against the faster of FAISS's `IndexBinaryFlat` with and without ``use_heap``.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import numpy.typing as npt

import nphash
from nphash.codes import Codes, as_words
from nphash.index import HammingIndex

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "search.json"
ARXIV = HERE.parent.parent / "shared" / "data" / "arxiv-0.jsonl.gz"
SINGLE = ("popcount", "bit-sliced", "multi-index")


@dataclass(frozen=True)
class Cell:
    """One race: what is searched, and by how much FAISS should be beaten."""

    kind: str
    n_bits: int
    n: int
    n_queries: int
    k: int
    target: float = 0.0


CELLS = [
    Cell("random", 64, 10**6, 1000, 10, 20),
    Cell("random", 64, 10**6, 1000, 100, 16),
    Cell("random", 64, 10**5, 1000, 10),
    Cell("random", 64, 10**5, 1000, 100, 8),
    Cell("random", 64, 10**7, 1000, 10),
    Cell("random", 128, 10**6, 1000, 10, 10),
    Cell("random", 128, 10**6, 1000, 100, 9),
    Cell("random", 32, 10**6, 1000, 10, 25),
    Cell("random", 32, 10**6, 1000, 100, 20),
    Cell("random", 256, 10**6, 1000, 10, 5),
    Cell("random", 64, 10**6, 1, 10, 6),
    Cell("random", 64, 10**7, 1, 10),
    Cell("clustered", 64, 10**6, 1000, 10, 50),
    Cell("clustered", 64, 10**6, 1000, 100),
    Cell("clustered", 64, 10**7, 1000, 10, 200),
    Cell("clustered", 128, 10**6, 1000, 10),
    Cell("clustered", 64, 10**8, 1000, 10, 1000),
    Cell("learned", 64, 49_000, 1000, 10),
    Cell("learned", 64, 49_000, 1000, 100),
]
QUICK = [
    Cell("random", 64, 10**5, 300, 10),
    Cell("random", 64, 10**5, 1, 10),
    Cell("clustered", 64, 2 * 10**5, 300, 10),
]


def make_codes(kind: str, n: int, n_bits: int, n_queries: int) -> tuple[Codes, Codes]:
    """Return n codes and the queries, of the same kind."""
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
    codes = rng.integers(0, 256, (n, -(-n_bits // 64) * 8), dtype=np.uint8)
    codes[:, n_bits // 8 :] = 0
    return codes


def learned_codes(n_bits: int) -> Codes:
    """Return codes of the arXiv abstracts by iterative quantisation of their LSI vectors."""
    from nphash.corpus import ReadOptions, read_documents
    from nphash.hashers import create
    from nphash.text.vectorizer import Vectorizer

    X = Vectorizer().fit_transform(d.text for d in read_documents(str(ARXIV), ReadOptions()))
    codes: Codes = create("itq", n_bits=n_bits).fit(X[:10_000]).transform(X)
    return codes


def timed(function: Callable[[], Any], n_queries: int) -> tuple[float, float]:
    """Return wall-clock and CPU microseconds for a query."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return wall / n_queries * 1e6, cpu / n_queries * 1e6


def race(
    contestants: Mapping[str, tuple[Callable[[], Any], int]], rounds: int, budget: float = 60.0
) -> dict[str, dict[str, float]]:
    """Run all in turn; return median times and spread of each, in microseconds a query."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    begin = time.perf_counter()
    for number in range(rounds):
        for name, (function, n_queries) in contestants.items():
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


def flat_indexes(codes: Codes, n_bits: int, threads: int) -> dict[str, Any]:
    """Return FAISS's exact indexes with and without heap."""
    import faiss

    faiss.omp_set_num_threads(threads)
    found = {}
    for name, use_heap in (("faiss heap", True), ("faiss counts", False)):
        flat: Any = faiss.IndexBinaryFlat(n_bits)
        flat.use_heap = use_heap
        flat.add(np.ascontiguousarray(codes[:, : n_bits // 8]))
        found[name] = flat
    return found


def run_cell(cell: Cell, threads: int, rounds: int) -> dict[str, Any]:
    """Race one cell with so many threads; check that all find the same distances."""
    codes, queries = make_codes(cell.kind, cell.n, cell.n_bits, max(50, cell.n_queries))
    index = HammingIndex(cell.n_bits, threads=threads)
    seconds = timed(partial(index.add, codes), 1)[0] / 1e6
    record: dict[str, Any] = {**asdict(cell), "threads": threads, "add_seconds": seconds}
    if cell.kind != "random":
        start = time.perf_counter()
        record["bucket_bytes"] = index.build() / cell.n
        record["build_seconds"] = time.perf_counter() - start
    few = max(1, min(len(queries), int(3e8 / cell.n)))  # FAISS needs a second for these
    short = np.ascontiguousarray(queries[:few, : cell.n_bits // 8])
    flats = flat_indexes(codes, cell.n_bits, threads)
    indexes = {"nphash": index}
    indexes |= {name: sharing(index, name) for name in (SINGLE if cell.kind != "random" else SINGLE[:2])}
    contestants = {name: (partial(ask, one, queries, cell), len(queries)) for name, one in indexes.items()}
    contestants |= {name: (partial(ask, flat, short, cell), few) for name, flat in flats.items()}
    expected = flats["faiss heap"].search(short, cell.k)[0]
    for _ in range(3):  # the planner learns; kernels are compiled
        for name, one in indexes.items():
            assert np.array_equal(one.search(queries, cell.k)[0][:few], expected), name
            ask(one, queries[:few], cell)
    record["plan"] = str(index.explain(cell.n_queries, cell.k))
    record["times"] = race(contestants, rounds)
    for clock in ("wall", "cpu"):
        times = {name: one[clock] for name, one in record["times"].items()}
        faiss = min(times["faiss heap"], times["faiss counts"])
        record[f"ratio_{clock}"] = faiss / times["nphash"]
        record[f"best_single_{clock}"] = (
            min(times[name] for name in SINGLE if name in times) / times["nphash"]
        )
    if cell.n_queries == 1:
        record["gigabytes_per_second"] = cell.n * codes.shape[1] / record["times"]["nphash"]["wall"] / 1e3
    return record


def ask(index: Any, queries: Codes, cell: Cell) -> None:
    """Search all queries together or, where the cell is about single queries, one after the other."""
    if cell.n_queries > 1:
        index.search(queries, cell.k)
    else:
        for i in range(len(queries)):
            index.search(queries[i : i + 1], cell.k)


def sharing(index: HammingIndex, strategy: str) -> HammingIndex:
    """Return an index with one strategy that shares the codes and buckets of another."""
    other = HammingIndex(index.n_bits, index.threads, strategy)
    other._table, other._engine.buckets = index._table, index._engine.buckets
    return other


def stream_bandwidth(n_bytes: int) -> float:
    """Return GB/s at which one thread reads memory: NumPy's maximum of a large array."""
    array = np.ones(n_bytes // 8, np.uint64)
    return n_bytes / min(timed(array.max, 1)[0] for _ in range(5)) / 1e3


def approximate(n: int, rounds: int) -> list[dict[str, Any]]:
    """Return time and recall of approximate peers on clustered codes, one thread, k = 10."""
    import faiss

    faiss.omp_set_num_threads(1)
    codes, queries = make_codes("clustered", n, 64, 1000)
    index = HammingIndex(64, threads=1)
    index.add(codes)
    index.build()
    exact = index.search(queries, 10)[0]
    ivf = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(64), 64, 1024)
    ivf.train(codes[:100_000])
    hnsw, multi = faiss.IndexBinaryHNSW(64, 16), faiss.IndexBinaryMultiHash(64, 4, 16)
    found = []
    peers: list[tuple[str, Any, list[tuple[str, int]]]] = [
        ("IVF 1024", ivf, [("nprobe", 1), ("nprobe", 8), ("nprobe", 32)]),
        ("HNSW 16", hnsw, [("efSearch", 16), ("efSearch", 64)]),
        ("MultiHash 4 x 16", multi, [("nflip", 1), ("nflip", 2)]),
    ]
    for name, peer, settings in peers:
        start = time.perf_counter()
        peer.add(codes)
        build = time.perf_counter() - start
        for setting, value in settings:
            setattr(peer.hnsw if setting == "efSearch" else peer, setting, value)
            both = {"nphash": index, "peer": peer}
            times = race({who: (partial(one.search, queries, 10), 1000) for who, one in both.items()}, rounds)
            distances = peer.search(queries, 10)[0]
            recall = float((distances <= exact[:, -1:]).mean())
            record = {"peer": f"{name}, {setting} {value}", "recall": recall, "build_seconds": build}
            found.append({**record, "times": times, "n": n})
    return found


def growth(sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Return how time grows with the number of codes and with k, one thread."""
    found = []
    for kind in ("random", "clustered"):
        for n in sizes:
            codes, queries = make_codes(kind, n, 64, 1000)
            index = HammingIndex(64, threads=1)
            add = timed(partial(index.add, codes), 1)[0] / 1e6
            memory = 8.0
            if kind == "clustered":
                memory += index.build() / n
            for k in (1, 10, 100, 1000):
                few = queries[: max(20, min(1000, 10**10 // n))]
                for _ in range(2):
                    index.search(few, k)
                times = race({"nphash": (partial(index.search, few, k), len(few))}, rounds)
                one = times["nphash"] | {"kind": kind, "n": n, "k": k, "add_per_second": n / add}
                found.append(one | {"bytes_per_code": memory, "plan": index.explain(len(few), k).strategy})
    return found


def billion(n: int) -> dict[str, Any]:
    """Search ``n`` random codes that were generated block by block: one query, and a thousand."""
    index, rng = HammingIndex(64), np.random.default_rng(0)
    queries = random_codes(rng, 1000, 64)
    start = time.perf_counter()
    for _ in range(0, n, 10**7):
        index.add(random_codes(rng, min(10**7, n), 64))
    record: dict[str, Any] = {"n": n, "threads": index.threads, "fill_seconds": time.perf_counter() - start}
    index.search(queries[:1], 10)
    record["one_query_seconds"] = (
        median(timed(partial(index.search, queries[:1], 10), 1)[0] for _ in range(5)) / 1e6
    )
    start = time.perf_counter()
    distances, ids = index.search(queries, 10)
    record["thousand_queries_seconds"] = time.perf_counter() - start
    for q in (0, 999):  # against NumPy, block by block
        expected = numpy_nearest(index, as_words(queries)[q, 0], 10)
        assert np.array_equal(expected[0], distances[q]) and np.array_equal(expected[1], ids[q])
    return record


def numpy_nearest(index: HammingIndex, query: np.uint64, k: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return distances and ids of the nearest codes by plain NumPy."""
    best: list[tuple[int, int]] = []
    for first, words in index._table.rows.segments:
        distances = np.bitwise_count(words[:, 0] ^ query)
        near = np.argsort(distances, kind="stable")[:k]
        best = sorted(best + [(int(distances[i]), int(i) + first) for i in near])[:k]
    return np.array([d for d, _ in best]), np.array([i for _, i in best])


def circumstances() -> dict[str, Any]:
    """Return what the figures depend on: command, processor, versions, load."""
    import faiss
    import numba

    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "processors": os.cpu_count(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "faiss_build": faiss.get_compile_options().strip(),
        "versions": {
            "nphash": nphash.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": numba.__version__,
            "faiss": faiss.__version__,
        },
    }


def parts(quick: bool, threads: list[int], rounds: int, only: str) -> Iterator[tuple[str, Any]]:
    """Yield (section, record) as they are measured."""
    for cell in QUICK if quick else CELLS:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        if only not in f"cells {cell}" or (cell.kind == "learned" and not ARXIV.exists()):
            continue
        if cell.n == 10**8 and memory < 10:
            click.echo(f"skipped for want of memory: {cell}")
            continue
        for count in threads if cell.n < 10**8 else threads[-1:]:
            yield "cells", run_cell(cell, count, rounds)
    if only in "approximate":
        yield from (("approximate", record) for record in approximate(10**5 if quick else 10**6, rounds))
    if only in "growth":
        sizes = [10**4, 10**5] if quick else [10**5, 10**6, 10**7]
        yield from (("growth", record) for record in growth(sizes, rounds))
    if only in "bandwidth":
        yield "bandwidth", {"gigabytes_per_second": stream_bandwidth(10**8 if quick else 10**9)}
    if only in "billion":
        yield "billion", billion(2 * 10**7 if quick else 10**9)


@click.group()
def cli() -> None:
    """Race the search engine against FAISS."""


@cli.command()
@click.option("--quick", is_flag=True, help="Small sizes, into another file.")
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads.")
@click.option("--rounds", default=7, show_default=True, help="Rounds of each race.")
@click.option(
    "--only", default="", help="Only cells or sections whose description contains this; kept with the rest."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def run(quick: bool, threads: str, rounds: int, only: str, output: Path) -> None:
    """Measure, and write the results after every record."""
    if quick and output == RESULTS:
        output = RESULTS.with_name("search-quick.json")
    results: dict[str, Any] = {"circumstances": circumstances()}
    if only and output.exists():
        results = json.loads(output.read_text(encoding="utf-8")) | {"circumstances": circumstances()}
    fresh: set[str] = set()
    for section, record in parts(quick, [int(n) for n in threads.split(",")], rounds, only):
        if section not in fresh and not (only and section == "cells"):
            results[section] = []
        fresh.add(section)
        same = [key for key in ("kind", "n_bits", "n", "n_queries", "k", "threads") if key in record]
        if section == "cells":  # a cell measured again takes the place of the old figures
            kept = [old for old in results.get("cells", []) if any(old[key] != record[key] for key in same)]
            results["cells"] = kept
        record["load"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        results.setdefault(section, []).append(record)
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in record.items() if k != "times"}
        click.echo(f"{section}: {shown}")


if __name__ == "__main__":
    cli()
