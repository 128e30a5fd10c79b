"""What each device of the compiled engine is worth: a step and a whole fit, with it and without.

    python -m benchmarks.devices step               # ten minutes on two quiet cores
    python -m benchmarks.devices fit                # `nphash fit` of Reuters
    python -m benchmarks.devices table

A step: Doc2hash, 10,000 words, about 65 of them a document, 64 bits, batches of 100, two threads; one process
a device that does without it, and one that has all, in turn for a few steps each (as `benchmarks.training`).
A fit: ``nphash fit`` of Reuters with the default method, commands in turn, kernels compiled before. Ratios
are formed turn by turn, their medians and quartiles kept, of wall-clock time and of processor time: the
second depends less on what else the machine does, but does not see how well two threads share the work.

What gains less than 5 % of either is to go, with its tests; the results keep its row.
"""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click
import scipy.sparse

from benchmarks.records import DATA, RESULTS, environment, read, write
from benchmarks.tables import simple_table
from benchmarks.training import QUICK, WARM_UP, Contestant
from benchmarks.training_data import documents

ROOT = Path(__file__).parent.parent
RESULT = RESULTS / "devices.json"
CORPUS = "reuters-r90"
ALL = "all"

KINDS = ("wall", "cpu")

# By name: what it is, whether kernels are compiled otherwise without it, and where its lines are.
DEVICES: dict[str, tuple[str, bool, list[str]]] = {
    "sign-tables": (
        "sums of +-1 codes looked up instead of multiplied",
        False,
        ["engine/kernels/sign_tables.py"],
    ),
    "emission": (
        "the same as emitted instructions, not as loops",
        True,
        [
            "core/jit/floats.py",
            "engine/kernels/sign_tables.py:_emit_fill_sums,_emit_look_up,_each_place,_emit_add_by_pattern,"
            "_emit_separate,_sum,_fill_sums,_look_up,_add_by_pattern,_separate",
        ],
    ),
    "butterfly": ("transpose of a tile in registers", True, ["core/jit/butterfly.py"]),
    "prefetch": ("hints to the memory", True, ["core/jit/prefetch.py"]),
    "deferred": (
        "Adam on rows of words that are not in the batch done later or before",
        False,
        [
            "engine/lazy_rows.py",
            "engine/look_ahead.py",
            "engine/kernels/first_layer.py:fill_ahead,"
            "_unbiased,link,mark,take_stale,fill_table,catch_up,_shrink",
        ],
    ),
    "look-ahead": (
        "of these, the steps until the next use at once",
        False,
        ["engine/look_ahead.py", "engine/kernels/first_layer.py:fill_ahead,link"],
    ),
    "background": ("update of the decoder beside the next step", False, ["engine/background.py"]),
    "fused": ("gradients in blocks, each used at once", False, ["engine/lazy_gradient.py"]),
    "csr-to-csc": ("own transpose of a batch, not SciPy's", False, ["engine/kernels/csr_to_csc.py:_sort"]),
    "first-layer": (
        "own product of a batch with W_1, not SciPy's",
        False,
        ["engine/kernels/sparse.py:_times_dense,csr_times_dense"],
    ),
    "row-kernels": (
        "own kernels for rows of a batch, their length, the rectifier",
        False,
        [
            "engine/kernels/sparse.py:_count,_copy_rows,take_rows,scaled_rows",
            "engine/kernels/relu.py:rectify,pass_positive",
        ],
    ),
    "column-blocks": (
        "products of hidden layers cut for the threads",
        False,
        ["engine/compiled.py:_product"],
    ),
    "pool": ("own pool of threads, not the standard library's", False, ["core/pool.py"]),
    "cache": ("compiled kernels named by their content", False, ["core/jit/_cache.py"]),
}


def lines_of(places: Iterable[str], package: Path = ROOT / "nphash") -> int:
    """Return how many lines files, or some functions of a file (``file:a,b``), have."""
    total = 0
    for place in places:
        path, _, names = place.partition(":")
        text = (package / path).read_text(encoding="utf-8")
        if not names:
            total += len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names.split(","):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                total += (node.end_lineno or node.lineno) - first + 1
    return total


def keep(name: str, **figures: Any) -> None:
    """Write what has been measured of a device beside the rest, and on what."""
    found = read(RESULT)
    rows = found.get("devices", {})
    text, _, places = DEVICES[name]
    rows[name] = {**rows.get(name, {}), "text": text, "lines": lines_of(places), **figures}
    write(RESULT, {**found, "devices": rows, **environment()})


def without(name: str, caches: Path) -> dict[str, str]:
    """Return the environment of a process that does without a device."""
    cache = caches / (name if name in DEVICES and DEVICES[name][1] else ALL)
    return {"NPHASH_WITHOUT": "" if name == ALL else name, "NUMBA_CACHE_DIR": str(cache)}


def figures_of(times: list[dict[str, float]], others: list[dict[str, float]]) -> dict[str, Any]:
    """Return medians, and by how much longer it takes without: median and quartiles over the turns.

    Examples
    --------
    >>> found = figures_of([{"wall": 2.0, "cpu": 2.0}] * 2, [{"wall": 3.0, "cpu": 2.0}] * 2)
    >>> found["wall"]["gain"], found["cpu"]["gain"]
    (0.5, 0.0)
    """
    found: dict[str, Any] = {"turns": len(times)}
    for kind in KINDS:
        gains = [other[kind] / time[kind] - 1 for time, other in zip(times, others, strict=True)]
        low, _, high = quantiles(gains, n=4) if len(gains) > 1 else [gains[0]] * 3
        found[kind] = {
            "with": round(median(time[kind] for time in times), 4),
            "without": round(median(time[kind] for time in others), 4),
            "gain": round(median(gains), 4),
            "quartiles": [round(low, 4), round(high, 4)],
        }
    return found


@click.group()
def main() -> None:
    """Measure what each device is worth."""


def _names(only: str) -> list[str]:
    return only.split(",") if only else list(DEVICES)


caches_option = click.option("--caches", type=click.Path(path_type=Path), default=Path(".numba-caches"))


@main.command()
@click.option("--turns", default=40)
@click.option("--only", default="", help="Devices, separated by commas.")
@caches_option
def step(turns: int, only: str, caches: Path) -> None:
    """Milliseconds of a step of Doc2hash."""
    case, names = QUICK[1], [ALL, *_names(only)]
    runners = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        scipy.sparse.save_npz(data, documents(case.data, 5_000, case.words), compressed=False)
        try:
            for name in names:
                runner = Contestant("nphash", case, data, sys.executable, without(name, caches))
                runners.append(runner)
                if not runner.warm_up(WARM_UP["nphash"]):
                    raise click.ClickException(f"without {name} it does not run")
                runner.steps_of_a_turn = 20
            for _ in range(turns):
                for runner in runners:
                    runner.turn()
        finally:
            for runner in runners:
                runner.end()
    first, *rest = [
        [{kind: 1e3 * median(turn[kind]) for kind in KINDS} for turn in runner.turns] for runner in runners
    ]
    for name, times in zip(names[1:], rest, strict=True):
        keep(name, step=figures_of(first, times))


@main.command()
@click.option("--runs", default=5)
@click.option("--only", default="", help="Devices, separated by commas.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@caches_option
def fit(runs: int, only: str, data: Path, caches: Path) -> None:
    """Seconds of `nphash fit` of Reuters with the default method."""
    names = [ALL, *_names(only)]
    times: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for run in range(runs + 1):
        for name in names:
            seconds = _fit(data / f"{CORPUS}.jsonl.gz", without(name, caches))
            if run > 0:  # the first compiles
                times[name].append(seconds)
                click.echo(f"{name}: {seconds['wall']:.2f} s, {seconds['cpu']:.2f} s of processors", err=True)
        for name in names[1:] if run > 0 else []:
            keep(name, fit=figures_of(times[ALL], times[name]))


def _fit(corpus: Path, environment: dict[str, str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nphash", "fit", str(corpus), "-o", f"{folder}/c", "--quiet"]
        start, used = time.perf_counter(), _cpu_of_children()
        subprocess.run(command, check=True, env=os.environ | environment)
        return {"wall": time.perf_counter() - start, "cpu": _cpu_of_children() - used}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows(found: dict[str, Any]) -> list[list[str]]:
    """Return a header and a row for each device that was ever measured."""
    table = [["device", "lines", "step, wall", "step, CPU", "fit, wall", "fit, CPU", ""]]
    for name, figures in found["devices"].items():
        gains = [_gain(figures, part, kind) for part in ("step", "fit") for kind in KINDS]
        about = f"{figures['text']}; {figures['verdict']}" if "verdict" in figures else figures["text"]
        table.append([name, str(figures["lines"]), *gains, about])
    return table


def _gain(figures: dict[str, Any], part: str, kind: str) -> str:
    if part not in figures:
        return ""
    low, high = figures[part][kind]["quartiles"]
    return f"{figures[part][kind]['gain']:+.0%} ({low:+.0%} to {high:+.0%})"


@main.command()
def table() -> None:
    """Print the table."""
    click.echo(simple_table(rows(read(RESULT))))


if __name__ == "__main__":
    main()
