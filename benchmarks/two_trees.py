"""Another state of the package beside this one: what a change costs or gains, in one run.

    git worktree add ../before COMMIT
    python -m benchmarks.two_trees ../before            # minutes; needs the Reuters corpus for the fit
    python -m benchmarks.two_trees ../before --only step --rounds 9

Each measurement is a program of its own that runs with one tree, then with the other, and so on in turn: the
machine's speed drifts, the ratio of neighbours in time does not. Every program measures itself and prints
seconds; it uses only what both trees have.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import click

from benchmarks.records import DATA, RESULTS, environment, read, write

RESULT = RESULTS / "two_trees.json"
ROOT = Path(__file__).resolve().parent.parent

STEP = """
import time, numpy as np
from benchmarks.training_data import documents
from nphash.hashers import create
X, bits = documents("zipf", 6_000, 10_000), 64
def fit(epochs):
    hasher = create("doc2hash", n_bits=bits, random_state=0, threads=2)
    hasher.set_params(training__epochs=epochs, training__validation_share=0.0, training__engine="{engine}")
    start = time.perf_counter(); hasher.fit(X); return time.perf_counter() - start
fit(1)
print((fit({more}) - fit({less})) / (({more} - {less}) * 60))
"""

SEARCH = """
import time, numpy as np, nphash
rng = np.random.default_rng(0)
codes = rng.integers(0, 256, (1_000_000, {bits} // 8), dtype=np.uint8)
queries = rng.integers(0, 256, ({queries}, {bits} // 8), dtype=np.uint8)
index = nphash.HammingIndex({bits}); index.add(codes)
index.search(queries, {k})
times = []
for _ in range({repeats}):
    start = time.perf_counter(); index.search(queries, {k}); times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""

COMMAND = """
import subprocess, sys, tempfile, time
with tempfile.TemporaryDirectory() as folder:
    command = [word.replace("FOLDER", folder) for word in {words!r}]
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    print(time.perf_counter() - start)
"""

REUTERS = str(DATA / "reuters-r90.jsonl.gz")
PROGRAMS = {
    "import nphash": COMMAND.format(words=["-c", "import nphash"]),
    "nphash --help": COMMAND.format(words=["-m", "nphash", "--help"]),
    "step of doc2hash, 64 bits, numba": STEP.format(engine="numba", less=1, more=5),
    "step of doc2hash, 64 bits, numpy": STEP.format(engine="numpy", less=1, more=2),
    "search of 1e6 codes, 64 bits, 1000 queries, k = 10": SEARCH.format(
        bits=64, queries=1000, k=10, repeats=9
    ),
    "search of 1e6 codes, 64 bits, 1000 queries, k = 100": SEARCH.format(
        bits=64, queries=1000, k=100, repeats=9
    ),
    "search of 1e6 codes, 64 bits, one query, k = 10": SEARCH.format(bits=64, queries=1, k=10, repeats=99),
    "search of 1e6 codes, 128 bits, 1000 queries, k = 10": SEARCH.format(
        bits=128, queries=1000, k=10, repeats=9
    ),
    "search of 1e6 codes, 1024 bits, 1000 queries, k = 10": SEARCH.format(
        bits=1024, queries=1000, k=10, repeats=3
    ),
    "default fit of Reuters": COMMAND.format(words=["-m", "nphash", "fit", REUTERS, "-o", "FOLDER/c", "-q"]),
}


def run(program: str, tree: Path) -> float:
    """Return the seconds that a program prints when it runs with the package of a tree."""
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tree, env=environ, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def compare(program: str, other: Path, rounds: int) -> dict[str, float]:
    """Run a program with both trees in turn; return medians, and the ratios this / other of each pair."""
    pairs = []
    for i in range(rounds + 1):  # the first one warms caches up
        order = (other, ROOT) if i % 2 else (ROOT, other)
        seconds = {tree: run(program, tree) for tree in order}
        pairs.append((seconds[ROOT], seconds[other]))
    ratios = sorted(this / that for this, that in pairs[1:])
    return {
        "this, seconds": median(this for this, _ in pairs[1:]),
        "other, seconds": median(that for _, that in pairs[1:]),
        "ratio, median": median(ratios),
        "ratio, least": ratios[0],
        "ratio, most": ratios[-1],
        "rounds": rounds,
    }


@click.command()
@click.argument("other", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only", default="", help="Only measurements with this in their names.")
@click.option("--rounds", default=5)
def main(other: Path, only: str, rounds: int) -> None:
    """Measure this tree against OTHER, and keep the figures."""
    for name, program in PROGRAMS.items():
        if only not in name:
            continue
        figures = compare(program, other.resolve(), rounds)
        click.echo(f"{name}: {figures['ratio, median']:.3f} ({figures['this, seconds']:.4g} s)")
        write(RESULT, {**read(RESULT), name: figures, "environment": environment()})


if __name__ == "__main__":
    main()
