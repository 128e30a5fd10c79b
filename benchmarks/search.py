"""Race the search engine against FAISS: exact search of the same codes, in one process, in turn.

    python -m benchmarks.search run            # about half an hour; writes benchmarks/results/search.json
    python -m benchmarks.search run --quick    # a minute, small sizes: does everything still work?
    python -m benchmarks.search run --again --only billion

Each contestant of a cell runs once, then each again, and so on: what disturbs the machine
disturbs them alike. Figures are medians, per query; spreads are (largest - smallest) / median. The ratio is
against the faster of FAISS's `IndexBinaryFlat` with and without ``use_heap``.

What the file has is not measured again, so a run can be stopped and taken up (``--again`` begins anew).
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

import nphash
from benchmarks.records import RESULTS, read, write
from benchmarks.search_common import ARXIV, make_codes, race, reading, timed
from benchmarks.search_scale import PEERS, approximate, billion, growth
from nphash.codes import Codes
from nphash.core.threads import run_tasks
from nphash.search import HammingIndex

RESULT = RESULTS / "search.json"


@dataclass(frozen=True)
class Cell:
    """One race: what is searched, and by how much FAISS should be beaten."""

    kind: str
    n_bits: int
    n: int
    n_queries: int
    k: int
    target: float = 0.0
    after_pause: bool = False  # one query at a time, each after the caches and threads have gone cold

    def key(self) -> dict[str, Any]:
        """Return what names the cell's records: without the target, and a pause only where there is one."""
        pause = {"after_pause": True} if self.after_pause else {}
        names = ("kind", "n_bits", "n", "n_queries", "k")
        return {**{name: getattr(self, name) for name in names}, **pause}


CELLS = [
    Cell("random", 64, 10**6, 1000, 10, 25),
    Cell("random", 64, 10**6, 1000, 100, 22),
    Cell("random", 64, 10**5, 1000, 10),
    Cell("random", 64, 10**5, 1000, 100, 10),
    Cell("random", 64, 10**7, 1000, 10),
    Cell("random", 128, 10**6, 1000, 10, 10),
    Cell("random", 128, 10**6, 1000, 100, 9),
    Cell("random", 32, 10**6, 1000, 10, 25),
    Cell("random", 32, 10**6, 1000, 100, 20),
    Cell("random", 256, 10**6, 1000, 10, 8),
    Cell("random", 512, 10**6, 1000, 10, 3),
    Cell("random", 768, 10**6, 1000, 10, 3),
    Cell("random", 1024, 10**6, 1000, 10, 3),
    Cell("random", 4096, 10**6, 1000, 10, 2.5),
    Cell("clustered", 1024, 10**6, 1000, 10),
    Cell("random", 64, 10**6, 1, 10, 8),
    Cell("random", 64, 10**6, 1, 10, 6, after_pause=True),
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
    Cell("random", 64, 10**5, 1, 10, after_pause=True),
    Cell("random", 1024, 10**5, 300, 10),
    Cell("clustered", 64, 2 * 10**5, 300, 10),
]


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


def run_cell(cell: Cell, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Race one cell with so many threads; check that all find the same distances."""
    codes, queries = make_codes(cell.kind, cell.n, cell.n_bits, max(50, cell.n_queries))
    index = HammingIndex(cell.n_bits, threads=threads)
    seconds = timed(partial(index.add, codes))[0] / 1e6
    record: dict[str, Any] = {**cell.key(), "target": cell.target, "threads": threads, "add_seconds": seconds}
    if has_buckets(cell):
        start = time.perf_counter()
        record["bucket_bytes"] = index.build() / cell.n
        record["build_seconds"] = time.perf_counter() - start
    few = max(1, min(len(queries), int(3e8 / cell.n * min(1, 512 / cell.n_bits))))  # FAISS needs a second
    short = np.ascontiguousarray(queries[:few, : cell.n_bits // 8])
    flats = flat_indexes(codes, cell.n_bits, threads)
    indexes = {"nphash": index} | {name: sharing(index, name) for name in strategies(cell)}
    expected = flats["faiss heap"].search(short, cell.k)[0]
    for name, one in indexes.items():
        for _ in range(3 if name == "nphash" else 1):  # the planner learns; kernels are compiled
            assert np.array_equal(one.search(queries, cell.k)[0][:few], expected), name
        ask(one, queries[:few], cell)
    asked = {name: (one, queries) for name, one in indexes.items()}
    asked |= {name: (flat, short) for name, flat in flats.items()}
    contestants: dict[str, tuple[Callable[[], Any], int]] = {}
    for name, (one, given) in asked.items():
        each = (
            (next_of(one, given, cell.k), 1)
            if cell.after_pause
            else (partial(ask, one, given, cell), len(given))
        )
        contestants[name] = each
    if cell.after_pause:  # `race` pauses before every call
        rounds *= 5
    elif cell.n_queries == 1:
        contestants["reading"] = (reading(codes, threads), 1)
    if cell.kind == "random" and cell.n_bits == 1024 and find_spec("numkong"):
        contestants["numkong"] = (numkong_nearest(codes, short, cell.k, threads, expected), few)
    record["plan"] = str(index.explain(cell.n_queries, cell.k))
    record["times"] = times = race(contestants, rounds)
    for clock in ("wall", "cpu"):
        ours = times["nphash"][clock]
        record[f"ratio_{clock}"] = min(times["faiss heap"][clock], times["faiss counts"][clock]) / ours
        record[f"best_single_{clock}"] = min(times[name][clock] for name in strategies(cell)) / ours
    if "reading" in times:
        record["share_of_reading"] = times["reading"]["wall"] / times["nphash"]["wall"]
    return [record]


def strategies(cell: Cell) -> list[str]:
    """Return the strategies that run on their own as well; the planner is compared with the best of them."""
    names = ["bit-sliced"] if cell.n_bits <= 512 else []
    if cell.n_queries == 1 or cell.n <= 10**6:  # else out of the question, and slow
        names.append("popcount")
    if has_buckets(cell):
        names.append("multi-index")
    return names


def has_buckets(cell: Cell) -> bool:
    """Whether look-ups can pay: not for random codes, nor for wide ones, cut into too many parts."""
    return cell.kind != "random" and cell.n_bits <= 128


def next_of(index: Any, queries: Codes, k: int) -> Callable[[], Any]:
    """Return a function that asks an index for the next of the queries at every call."""
    starts = cycle(range(len(queries)))

    def ask_next() -> Any:
        start = next(starts)
        return index.search(queries[start : start + 1], k)

    return ask_next


def numkong_nearest(codes: Codes, queries: Codes, k: int, threads: int, expected: Any) -> Callable[[], Any]:
    """Return a search by NumKong's packed distances and NumPy's partition, which says how far, not who."""
    import numkong

    blocks = [numkong.hammings_pack(codes[i : i + 2**16], dtype="uint1") for i in range(0, len(codes), 2**16)]

    def best_of(block: Any) -> Any:
        distances = np.asarray(numkong.hammings_packed(queries, block))
        return np.partition(distances, k - 1, axis=1)[:, :k]

    def nearest() -> Any:
        found = run_tasks([partial(best_of, block) for block in blocks], threads)
        return np.sort(np.concatenate(found, axis=1), axis=1)[:, :k]

    assert np.array_equal(nearest(), expected), "numkong"
    return nearest


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
    other._unchecked_table, other._executor.buckets = index._table, index._executor.buckets
    return other


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
            **({"numkong": version("numkong")} if find_spec("numkong") else {}),
        },
    }


class Job(NamedTuple):
    """Something to measure: where its records go, what names them, and the memory it needs."""

    section: str
    key: Mapping[str, Any]
    measure: Callable[[], list[dict[str, Any]]]
    gigabytes: float = 0.0


def jobs(quick: bool, threads: list[int], rounds: int) -> Iterator[Job]:
    """Yield everything there is to measure."""
    for cell in QUICK if quick else CELLS:
        if cell.kind == "learned" and not ARXIV.exists():
            continue
        for count in threads if cell.n < 10**8 else threads[-1:]:
            key = {**cell.key(), "threads": count}
            yield Job("cells", key, partial(run_cell, cell, count, rounds), cell.n * cell.n_bits / 6.4e8)
    n = 10**5 if quick else 10**6
    for name in PEERS:
        yield Job("approximate", {"name": name, "n": n}, partial(approximate, name, n, rounds))
    for kind in ("random", "clustered"):
        for n in [10**4, 10**5] if quick else [10**5, 10**6, 10**7, 10**8]:
            yield Job("growth", {"kind": kind, "n": n}, partial(growth, kind, n, rounds), n / 1e7)
    n = 2 * 10**7 if quick else 10**9
    yield Job("billion", {"n": n}, partial(billion, n), n / 1e8)


def _same(record: dict[str, Any], job: Job) -> bool:
    return {"after_pause": False, **record}.items() >= {"after_pause": False, **job.key}.items()


class Kept:
    """The results file; records of a job take the place of those it had before."""

    def __init__(self, path: Path, empty: bool) -> None:
        self._path = path
        self._results = {} if empty else read(path)

    def has(self, job: Job) -> bool:
        """Tell whether there are records of this job."""
        return any(_same(one, job) for one in self._results.get(job.section, []))

    def put(self, job: Job, records: list[dict[str, Any]]) -> None:
        """Write the job's records, and under which circumstances they came about, to the file."""
        old = self._results.get(job.section, [])
        same = [i for i, one in enumerate(old) if _same(one, job)]
        place = same[0] if same else len(old)
        after = [one for i, one in enumerate(old) if i >= place and i not in same]
        self._results["circumstances"] = circumstances()
        self._results[job.section] = old[:place] + records + after
        write(self._path, self._results)


@click.group()
def cli() -> None:
    """Race the search engine against FAISS."""


@cli.command()
@click.option("--quick", is_flag=True, help="Small sizes, into another file.")
@click.option("--again", is_flag=True, help="Measure also what the file has.")
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads.")
@click.option("--rounds", default=7, show_default=True, help="Rounds of each race.")
@click.option("--only", default="", help="Only what has this in its name, as printed; the rest is kept.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULT, show_default=True)
def run(quick: bool, again: bool, threads: str, rounds: int, only: str, output: Path) -> None:
    """Measure what the file of results has not yet, and write to it after every race."""
    if quick and output == RESULT:
        output = RESULT.with_name("search-quick.json")
    kept = Kept(output, empty=again and not only)
    for job in jobs(quick, [int(n) for n in threads.split(",")], rounds):
        name = " ".join([job.section, *(f"{key}={value}" for key, value in job.key.items())])
        if only not in name or (kept.has(job) and not again):
            continue
        if _free_gigabytes() < job.gigabytes:
            click.echo(f"{name}: left out for want of memory")
            continue
        start, load = time.perf_counter(), os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        today = time.strftime("%Y-%m-%d")
        records = [{**record, "load": load, "date": today} for record in job.measure()]
        kept.put(job, records)
        click.echo(f"{name}: {time.perf_counter() - start:.0f} s")
        for record in records:
            shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in record.items()}
            click.echo("   " + str({k: v for k, v in shown.items() if k not in {"times", *job.key}}))


def _free_gigabytes() -> float:
    if not hasattr(os, "sysconf"):  # Windows: take the chance
        return float("inf")
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


if __name__ == "__main__":
    cli()
