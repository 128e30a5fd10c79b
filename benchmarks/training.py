"""Race a training step against PyTorch and JAX: interleaved, one process each, medians and ratios.

    python benchmarks/training.py run               # all cases, about an hour on two cores
    python benchmarks/training.py run --quick       # V = 10,000, 64 bits, batches of 100
    python benchmarks/training.py table

The contestants (see `training_contestants.py`) take turns of a few steps, so that whatever else the
machine does meets all of them. A turn's figure is the median of its steps; reported are the median over the
turns, and the smallest and largest turn. Ratios are formed turn by turn. With one thread the CPU time
counts, with more the wall time. A contestant that cannot be imported is left out: PyTorch and JAX are no
dependencies of the package, so give an interpreter that has them by --python.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import scipy.sparse

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "training.json"
CONTESTANTS = (
    "nphash", "torch", "torch-compiled", "torch-malloc", "torch-two", "torch-two-compiled", "torch-dense",
    "jax", "nphash-numpy",
)  # fmt: skip
WARM_UP = 110  # steps: everything compiled, memory in place, nphash's Adam past its first 100 steps
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}

Case = tuple[int, int, int, int]  # words, bits, batch, threads
QUICK: list[Case] = [(10_000, 64, 100, 1), (10_000, 64, 100, 2)]
ALL: list[Case] = [
    *QUICK,
    (20_000, 64, 100, 1),
    (20_000, 64, 100, 2),
    (50_000, 64, 100, 2),
    (10_000, 16, 100, 2),
    (10_000, 128, 100, 2),
    (10_000, 64, 256, 2),
    (10_000, 64, 1000, 2),
]


def zipf_documents(n: int, words: int, mean_words: int = 70, seed: int = 0) -> Any:
    """Return documents whose words follow Zipf's law, half of each from one of 20 topics: CSR (n, words)."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(words) + 10.0)
    topics = np.stack([np.cumsum(share * rng.gamma(0.3, 1.0, words)) for _ in range(20)])
    topics /= topics[:, -1:]
    general = np.cumsum(share) / share.sum()
    lengths = np.maximum(5, rng.gamma(3.0, mean_words * 1.22 / 3, n)).astype(int)
    rows = np.repeat(np.arange(n), lengths)
    topic = rng.integers(0, 20, n)[rows]
    draws, columns = rng.random(rows.size), np.empty(rows.size, int)
    columns[::2] = np.searchsorted(general, draws[::2])
    for k in range(20):
        mine = np.flatnonzero(topic[1::2] == k) * 2 + 1
        columns[mine] = np.searchsorted(topics[k], draws[mine])
    X = scipy.sparse.csr_matrix((np.ones(rows.size, "f"), (rows, columns.clip(0, words - 1))), (n, words))
    X.data = np.log1p(X.data)
    return X


class Contestant:
    """One process that does steps when told to."""

    def __init__(self, name: str, case: Case, data: Path, python: str) -> None:
        _, bits, batch, threads = case
        command = [python, str(HERE / "training_contestants.py"), name, str(data)]
        number = str(threads)
        environment = os.environ | {"OMP_NUM_THREADS": number, "PYTHONPATH": str(HERE.parent)}
        if name == "torch-malloc":
            environment |= KEEP_MEMORY
        self.process = subprocess.Popen(
            [*command, str(bits), str(batch), number],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.name, self.turns = name, list[dict[str, Any]]()

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
        """Let the process end."""
        if self.process.poll() is None:
            self.process.communicate("\n")


def race(case: Case, turns: int, steps: int, names: list[str], python: str) -> dict[str, Any]:
    """Return the figures of all contestants for one case."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "documents.npz"
        scipy.sparse.save_npz(data, zipf_documents(5_000, case[0]), compressed=False)
        contestants = []
        for name in names:
            contestant = Contestant(name, case, data, python)
            first = contestant.steps(WARM_UP)
            if first is None:
                click.echo(f"  {name}: left out, it does not run here", err=True)
                continue
            contestants.append(contestant)
        for _ in range(turns):
            for contestant in contestants:
                turn = contestant.steps(steps)
                if turn is not None:
                    contestant.turns.append(turn)
        for contestant in contestants:
            contestant.end()
    return {contestant.name: summary(contestant.turns, contestants[0].turns) for contestant in contestants}


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


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    cpu = [
        line
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if "model name" in line
    ]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def table(path: Path = RESULTS) -> list[list[str]]:
    """Return the results as rows of a table: milliseconds a step, and how many times ours in brackets."""
    if not path.exists():
        return []
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    names = [name for name in CONTESTANTS if any(name in case["results"] for case in cases)]
    rows = [["words", "bits", "batch", "threads", *names]]
    for case in cases:
        kind = "cpu" if case["threads"] == 1 else "wall"
        cells = []
        for name in names:
            figures = case["results"].get(name)
            cells.append(f"{figures[f'{kind}_ms']:.1f} ({figures[f'{kind}_ratio']:.1f}x)" if figures else "")
        rows.append([f"{case['words']:,}", *(str(case[key]) for key in ("bits", "batch", "threads")), *cells])
    return rows


@click.group()
def main() -> None:
    """Race a training step."""


@main.command()
@click.option("--quick", is_flag=True, help="Only the main case, with few turns.")
@click.option("--turns", default=15, help="Turns of each contestant.")
@click.option("--steps", default=12, help="Steps in a turn.")
@click.option("--only", default="", help="Contestants, separated by commas; nphash always runs.")
@click.option("--python", default=sys.executable, help="The interpreter of all contestants.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def run(quick: bool, turns: int, steps: int, only: str, python: str, output: Path) -> None:
    """Measure and write JSON; existing cases of the file are replaced."""
    names = [name for name in CONTESTANTS if name == "nphash" or not only or name in only.split(",")]
    cases = []
    for case in QUICK if quick else ALL:
        words, bits, batch, threads = case
        results = race(case, 5 if quick else turns, steps, names, python)
        cases.append({"words": words, "bits": bits, "batch": batch, "threads": threads, "results": results})
        for name, figures in results.items():
            click.echo(f"{case} {name:15s} {figures}", err=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine(), "cases": cases}, indent=1)
        output.write_text(text + "\n", encoding="utf-8")


@main.command(name="table")
def print_table() -> None:
    """Print the results."""
    rows = table()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
