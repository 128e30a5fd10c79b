"""What each device of the compiled engine is worth: a step and a whole fit, with it and without.

    python -m benchmarks.devices step               # ten minutes on two quiet cores
    python -m benchmarks.devices fit                # `nphash fit` of Reuters
    python -m benchmarks.devices table

A step: Doc2hash, 10,000 words, about 65 of them a document, 64 bits, batches of 100, two threads; one process
a device that does without it, and one that has all, in turn for a few steps each (as `benchmarks.training`).
A fit: ``nphash fit`` of Reuters with the default method, commands in turn, kernels compiled before. Ratios
are formed turn by turn, their medians and quartiles kept, of wall-clock time and of processor time: the
second depends less on what else the machine does, but does not see how well two threads share the work.

What gains less than 5 % of either is to go, with its tests; the results keep its row, and say what became
of it. Such devices, and those that only compilation can switch off, were measured where they still had a
switch: "Each device of the engine can be switched off" in the history.
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

# What each is that `nphash.core.jit.uses` lets a run switch off, and where its lines are.
DEVICES: dict[str, tuple[str, list[str]]] = {
    "sign-tables": (
        "sums of +-1 codes looked up instead of multiplied",
        ["engine/kernels/sign_tables.py"],
    ),
    "deferred": (
        "Adam on rows of words that are not in the batch done later or before",
        ["engine/lazy_rows.py"],
    ),
    "look-ahead": (
        "of these, the steps until the next use at once",
        ["engine/lazy_rows.py:LookAhead,looked_ahead,fill_ahead,_link"],
    ),
    "background": ("update of the decoder beside the next step", ["core/threads.py:Background"]),
    "fused": (
        "gradients in blocks, each used at once",
        ["engine/optim.py:LazyGradient,ProductGradient,RowGradient"],
    ),
    "first-layer": (
        "own product of a batch with W_1, not SciPy's",
        ["engine/kernels/rows.py:_times_dense,csr_times_dense"],
    ),
    "cache": (
        "compiled kernels named by their content",
        ["core/jit/cache.py:KernelFiles,keep_by_content,_ages_in"],
    ),
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
    text, places = DEVICES[name]
    rows[name] = {**rows.get(name, {}), "text": text, "lines": lines_of(places), **figures}
    write(RESULT, {**found, "devices": rows, **environment()})


def without(name: str) -> dict[str, str]:
    """Return what the environment of a process says that does without a device."""
    return {"NPHASH_WITHOUT": "" if name == ALL else name}


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


@main.command()
@click.option("--turns", default=40)
@click.option("--only", default="", help="Devices, separated by commas.")
def step(turns: int, only: str) -> None:
    """Milliseconds of a step of Doc2hash."""
    case, names = QUICK[1], [ALL, *_names(only)]
    runners = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        scipy.sparse.save_npz(data, documents(case.data, 5_000, case.words), compressed=False)
        try:
            for name in names:
                runner = Contestant("nphash", case, data, sys.executable, without(name))
                runners.append(runner)
                if not runner.warm_up(WARM_UP["nphash"]):
                    raise click.ClickException(f"without {name} it does not run")
                runner.steps_of_a_turn = 20
            for turn in range(turns):
                for runner in runners[:: 1 if turn % 2 else -1]:  # whoever is first has it quieter
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
def fit(runs: int, only: str, data: Path) -> None:
    """Seconds of `nphash fit` of Reuters with the default method."""
    names = [ALL, *_names(only)]
    times: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for run in range(runs + 1):
        for name in names:
            seconds = _fit(data / f"{CORPUS}.jsonl.gz", without(name))
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
        about = figures["text"] + (f"; {figures['verdict']}" if "verdict" in figures else "")
        table.append([name, str(figures["lines"]), *gains, about])
    return table


def _gain(figures: dict[str, Any], part: str, kind: str) -> str:
    if part not in figures:
        return ""
    low, high = figures[part][kind]["quartiles"]
    return f"{figures[part][kind]['gain']:+.0%} ({low:+.0%} to {high:+.0%})"


def gains() -> str:
    """Return the table, made from ``benchmarks/results/devices.json``."""
    return simple_table(rows(read(RESULT)))


@main.command()
def table() -> None:
    """Print the table."""
    click.echo(gains())


if __name__ == "__main__":
    main()
