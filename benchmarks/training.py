"""Race a training step against PyTorch and JAX: interleaved, one process each, medians and ratios.

    python -m benchmarks.training run            # a quarter of an hour on two quiet cores
    python -m benchmarks.training run --quick    # every kind of measurement, once and small

The contestants (see `training_contestants`) take turns of a few steps, so that whatever else the machine
does meets all of them. A turn's figure is the median of its steps; reported are the median over the
turns, and the smallest and largest turn. Ratios are formed turn by turn. With one thread the CPU time
counts, with more the wall time. Each contestant's process tells its peak memory.

Results are kept cell by cell: what the file has is not measured again, so a run can be stopped and taken
up (``--again`` begins anew). A contestant that cannot be imported is left out: PyTorch and JAX are no
dependencies of the package, so use or give (``--python``) an interpreter that has them, and a corpus
that is not at hand is left out as well.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import scipy.sparse

from benchmarks.records import RESULTS, read, write
from benchmarks.training_data import documents

HERE = Path(__file__).parent
RESULT = RESULTS / "training.json"
DOCUMENTS = 5_000
WARM_UP = {"nphash": 110, "nphash-numpy": 110}  # nphash's Adam puts nothing off in its first 100 steps
WARM_UP_OTHERS = 6  # compiled, and memory in place
SECONDS = 0.2  # of a turn
PAUSE = 0.1  # seconds before a turn: OpenMP threads spin on, and would take a processor from the next one
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}


@dataclass(frozen=True)
class Case:
    """One race. ``words`` is what a corpus is cut to; its own number if it has fewer."""

    data: str
    words: int
    bits: int
    batch: int
    threads: int

    def contestants(self) -> list[str]:
        """Return who takes part: everyone in the main case, the allocator tuned for large vocabularies."""
        main = self in QUICK
        names = ["nphash", "torch", "torch-compiled"]
        if self.words >= 20_000:
            names += ["torch-malloc", "torch-compiled-malloc", "torch-two-compiled-malloc"]
        else:
            names += ["torch-two", "torch-two-compiled"] if main else ["torch-two-compiled"]
        return [*names, "torch-dense", "jax", "nphash-numpy"] if main else [*names, "torch-dense"]


QUICK = [Case("zipf", 10_000, 64, 100, 1), Case("zipf", 10_000, 64, 100, 2)]
ALL = [
    *QUICK,
    Case("zipf", 20_000, 64, 100, 1),
    Case("zipf", 20_000, 64, 100, 2),
    Case("zipf", 50_000, 64, 100, 2),
    Case("zipf", 10_000, 16, 100, 2),
    Case("zipf", 10_000, 128, 100, 2),
    Case("zipf", 10_000, 64, 256, 2),
    Case("zipf", 10_000, 64, 1000, 2),
    Case("reuters-r90", 10_000, 32, 100, 2),
    Case("20ng-bydate", 10_000, 32, 100, 2),
]


@dataclass(frozen=True)
class Growth:
    """One fit whose time and memory are measured."""

    documents: int
    words: int
    bits: int
    threads: int = 2


GROWTH = [
    *(Growth(n, 10_000, 64) for n in (10_000, 30_000, 100_000, 500_000)),
    *(Growth(10_000, words, 64) for words in (5_000, 20_000, 50_000, 100_000)),
    *(Growth(10_000, 10_000, bits) for bits in (16, 32, 128, 256)),
]
QUICK_GROWTH = [Growth(1_000, 10_000, 64), Growth(2_000, 10_000, 64)]


class Contestant:
    """One process that does steps when told to."""

    def __init__(
        self, name: str, case: Case, data: Path, python: str, settings: Mapping[str, str] | None = None
    ) -> None:
        command = [python, str(HERE / "training_contestants.py"), name, str(data)]
        numbers = [str(number) for number in (case.bits, case.batch, case.threads)]
        environment = os.environ | {"OMP_NUM_THREADS": numbers[-1], "PYTHONPATH": str(HERE.parent)}
        environment |= settings or {}
        if name.endswith("malloc"):
            environment |= KEEP_MEMORY
        self.process = subprocess.Popen(
            [*command, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.name, self.turns = name, list[dict[str, Any]]()

    def warm_up(self, steps: int) -> bool:
        """Do the first steps and choose how many a turn has; False if the contestant does not run."""
        first = self.steps(steps)
        if first is None:
            return False
        self.steps_of_a_turn = int(np.clip(SECONDS / median(first["wall"]), 2, 12))
        return True

    def turn(self) -> None:
        """Wait for silence, do a turn and keep its figures."""
        time.sleep(PAUSE)
        turn = self.steps(self.steps_of_a_turn)
        if turn is None:
            raise RuntimeError(f"{self.name} ended in the middle of a race")
        self.turns.append(turn)

    def steps(self, n: int) -> dict[str, Any] | None:
        """Do steps; None if the process ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"steps {n}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else None

    def end(self) -> None:
        """Let the process end, if it has not."""
        self.process.communicate("\n")


def race(case: Case, turns: int, names: list[str], python: str) -> dict[str, dict[str, float]]:
    """Return the figures of each contestant that runs, by name; see `summary`."""
    X = documents(case.data, DOCUMENTS, case.words)
    contestants = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        scipy.sparse.save_npz(data, X[:, : case.words], compressed=False)
        try:
            for name in names:
                contestant = Contestant(name, case, data, python)
                if contestant.warm_up(WARM_UP.get(name, WARM_UP_OTHERS)):
                    contestants.append(contestant)
                else:
                    contestant.end()
                    click.echo(f"  {name}: left out, it does not run here", err=True)
            for _ in range(turns):
                for contestant in contestants:
                    contestant.turn()
        finally:
            for contestant in contestants:
                contestant.end()
    return {contestant.name: summary(contestant.turns, contestants[0].turns) for contestant in contestants}


def cell(case: Case, turns: int, names: list[str], python: str) -> dict[str, Any]:
    """Return what the file keeps of a race."""
    return {"turns": turns, "results": race(case, turns, names, python)}


def summary(turns: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, float]:
    """Return medians in milliseconds, the spread over turns, and how many times as long as ours."""
    figures: dict[str, float] = {"peak_mb": turns[-1]["peak"] / 1024, "start_mb": turns[-1]["start"] / 1024}
    for kind in ("wall", "cpu"):
        each = [1e3 * median(turn[kind]) for turn in turns]
        ratios = [median(turn[kind]) / median(our[kind]) for turn, our in zip(turns, ours, strict=True)]
        figures |= {
            f"{kind}_ms": median(each),
            f"{kind}_ms_min": min(each),
            f"{kind}_ms_max": max(each),
            f"{kind}_ratio": median(ratios),
        }
    return {name: round(value, 3) for name, value in figures.items()}


def grow(growth: Growth, python: str) -> dict[str, Any]:
    """Return the seconds of an epoch and the peak memory of a fit in a process of its own."""
    numbers = [str(number) for number in asdict(growth).values()]
    command = [python, str(HERE / "training_growth.py"), *numbers]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return dict(json.loads(output))


def circumstances(python: str) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = [line.partition(":")[2].strip() for line in info if "model name" in line]
    code = (
        "import importlib.metadata as m, json, sys\n"
        "have = {d.metadata['Name'] for d in m.distributions()}\n"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:] if n in have}))"
    )
    names = ["numpy", "numba", "torch", "jax"]
    versions = subprocess.run(
        [python, "-c", code, *names], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "versions": json.loads(versions),
        "date": date.today().isoformat(),
        "command": "python -m benchmarks.training " + " ".join(sys.argv[1:]),
    }


class Kept:
    """The results file: each measurement is written as soon as it is made."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path = path
        self.found: dict[str, Any] = {"cells": [], "growth": []}
        if not again:
            self.found |= read(path)

    def once(self, kind: str, key: dict[str, Any], least: int, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure unless there is such a measurement of as many turns."""
        same = [one for one in self.found[kind] if key.items() <= one.items()]
        if any(one.get("turns", least) >= least for one in same):
            return
        load = os.getloadavg()[0]
        try:
            figures = {**key, **measure(), "load": round(load, 2)}
        except FileNotFoundError as error:
            click.echo(f"  left out, there is no {error}", err=True)
            return
        click.echo(json.dumps(figures), err=True)
        self.found[kind] = [one for one in self.found[kind] if one not in same] + [figures]
        write(self.path, self.found)


@click.group()
def main() -> None:
    """Race a training step, and see how a fit grows."""


@main.command()
@click.option("--quick", is_flag=True, help="Only the main cases and two small fits, with few turns.")
@click.option("--turns", default=12, help="Turns of each contestant.")
@click.option("--only", default="", help="Contestants, separated by commas; nphash always runs.")
@click.option("--again", is_flag=True, help="Measure also what the file has.")
@click.option("--python", default=sys.executable, help="The interpreter of all contestants.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULT)
def run(quick: bool, turns: int, only: str, again: bool, python: str, output: Path) -> None:
    """Measure and write JSON."""
    kept = Kept(output, again)
    kept.found["circumstances"] = circumstances(python)
    turns = 3 if quick else turns
    for case in QUICK if quick else ALL:
        names = [
            name for name in case.contestants() if name == "nphash" or not only or name in only.split(",")
        ]
        click.echo(f"{case}", err=True)
        kept.once("cells", asdict(case), turns, partial(cell, case, turns, names, python))
    for growth in QUICK_GROWTH if quick else GROWTH:
        kept.once("growth", asdict(growth), 1, partial(grow, growth, python))


if __name__ == "__main__":
    main()
