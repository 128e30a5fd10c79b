"""Is Gumbel-softmax a low-variance biased estimator, and straight-through a worse one? Measured exactly.

    python -m benchmarks.estimators run      # some minutes; writes benchmarks/results/estimators.json
    python -m benchmarks.estimators table    # prints what was measured

``nphash study estimators`` at a larger size: 10 bits, and a Doc2hash on the docstrings of NumPy and SciPy.
Problems, estimators and intervals are those of `nphash.teaching.study`.
"""

from __future__ import annotations

import time

import click

from benchmarks.records import RESULTS, environment, read, write
from nphash.teaching.study import StudyResults, StudySettings, answer, format_table
from nphash.teaching.study import run as measure

RESULT = RESULTS / "estimators.json"
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
        "command": f"python -m benchmarks.estimators run --seed {seed}",
        **environment(),
        "bits": SETTINGS.bits,
        "draws": SETTINGS.draws,
        "instances": SETTINGS.instances,
        "seconds": round(time.perf_counter() - start, 1),
    }
    write(RESULT, {"about": about, "problems": found})
    show(found)


@main.command()
def table() -> None:
    """Print the results file."""
    show(read(RESULT)["problems"])


def show(found: StudyResults) -> None:
    """Print the tables and the answer."""
    click.echo(format_table(found))
    click.echo(f"\n{answer(found)}")


if __name__ == "__main__":
    main()
