"""Is Gumbel-softmax a low-variance biased estimator, and straight-through a worse one? Measured exactly.

    python benchmarks/estimators.py run      # some minutes; writes benchmarks/results/estimators.json
    python benchmarks/estimators.py table    # prints what was measured

``nphash study estimators`` at a larger size: 10 bits, and a Doc2hash on the docstrings of NumPy and SciPy.
Problems, estimators and intervals are those of `nphash.study`.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import nphash
from nphash.study import Findings, StudySettings, answer, format_table
from nphash.study import run as measure

RESULTS = Path(__file__).parent / "results" / "estimators.json"
SETTINGS = StudySettings(
    bits=10,
    hidden=100,
    words=1000,
    draws=1000,
    instances=24,
    temperatures=(0.1, 0.3, 0.5, 1.0, 2.0),
    snapshots=(0, 100, 1000, 4000),
    corpus="docstrings:numpy,scipy",
)


@click.group()
def main() -> None:
    """Measure gradient estimators against the exact gradient."""


@main.command()
@click.option("--seed", default=0, show_default=True)
def run(seed: int) -> None:
    """Measure everything and write the results file."""
    start = time.perf_counter()

    def done(problem: str) -> None:
        click.echo(f"{time.perf_counter() - start:6.1f} s  {problem}", err=True)

    found = measure(SETTINGS, seed, done)
    about = {
        "command": f"python benchmarks/estimators.py run --seed {seed}",
        "nphash": nphash.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "bits": SETTINGS.bits,
        "draws": SETTINGS.draws,
        "instances": SETTINGS.instances,
        "seconds": round(time.perf_counter() - start, 1),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"about": about, "problems": found}, indent=1) + "\n", encoding="utf-8")
    show(found)


@main.command()
def table() -> None:
    """Print the results file."""
    show(load()["problems"])


def load() -> dict[str, Any]:
    """Return what was measured."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def show(found: Findings) -> None:
    """Print the tables and the answer."""
    click.echo(format_table(found))
    click.echo(f"\n{answer(found)}")


if __name__ == "__main__":
    main()
