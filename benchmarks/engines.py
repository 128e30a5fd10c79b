"""Whether both training engines end at the same quality, and what a user waits for with each.

    python -m benchmarks.engines quality       # Reuters, 32 bits, 5 seeds: about ten minutes
    python -m benchmarks.engines journey       # `nphash fit` of Reuters from text to collection
    python -m benchmarks.engines journey --method nphash --corpus arxiv-0 --engines numba
    python -m benchmarks.engines table

Quality: the same seeds with ``engine="numba"`` and ``engine="numpy"``; the figure is validation precision at
100 of the epoch chosen by it. Batches and noise are the same, only rounding differs, but rounding is
enough for two fits to part after some hundred steps; so means are compared, by the spread of the seeds. Each
fit is kept as soon as it is done, and not done again. Journey: fresh processes, engines in turn.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import click

from benchmarks.records import DATA, RESULTS, environment, read, write
from benchmarks.tables import simple_table

RESULT = RESULTS / "engines.json"
ENGINES = ("numba", "numpy")
CORPUS = "reuters-r90"

Figures = dict[str, Any]


def keep(**figures: Any) -> None:
    """Write what has been measured beside the rest, and on what."""
    write(RESULT, {**read(RESULT), **figures, **environment()})


def verdict(numba: list[float], numpy: list[float]) -> Figures:
    """Compare the means by the larger of the standard deviations over the seeds.

    Examples
    --------
    >>> verdict([0.80, 0.82], [0.81, 0.83])["within one standard deviation"]
    True
    """
    spread = max(stdev(numba), stdev(numpy))
    difference = mean(numba) - mean(numpy)
    return {
        "means": {"numba": mean(numba), "numpy": mean(numpy)},
        "standard deviations": {"numba": stdev(numba), "numpy": stdev(numpy)},
        "difference": difference,
        "within one standard deviation": abs(difference) <= spread,
    }


def cpu_of_children() -> float:
    """Return how long processes that have ended kept processors busy: it depends less on the load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@click.group()
def main() -> None:
    """Compare the training engines."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--seeds", default=5, help="Seeds 0 to SEEDS - 1.")
@click.option("--epochs", default=20)
@click.option("--bits", default=32)
def quality(data: Path, seeds: int, epochs: int, bits: int) -> None:
    """Fit Doc2hash by both engines with the same seeds."""
    from nphash.corpus.protocol import prepare
    from nphash.hashers import create

    corpus = prepare(data / f"{CORPUS}.jsonl.gz")
    settings = {"corpus": CORPUS, "method": "doc2hash", "bits": bits, "epochs": epochs}
    found = read(RESULT).get("quality", {})
    if found.get("settings") != settings:
        found = {"settings": settings, "precision": {}, "seconds": {}}
    for seed in range(seeds):
        for engine in ENGINES:
            if str(seed) in found["precision"].get(engine, {}):
                continue
            hasher: Any = create("doc2hash", n_bits=bits, random_state=seed)
            hasher.set_params(training__epochs=epochs, training__engine=engine)
            start = time.perf_counter()
            hasher.fit(corpus.X_train, corpus.y_train, X_valid=corpus.X_valid, y_valid=corpus.y_valid)
            record = hasher.history_[hasher.best_epoch_ - 1]
            found["precision"].setdefault(engine, {})[str(seed)] = record["P@100"]
            found["seconds"].setdefault(engine, {})[str(seed)] = round(time.perf_counter() - start, 2)
            click.echo(f"{engine}, seed {seed}: {record['P@100']:.4f}")
            keep(quality=found)
    if seeds > 1:
        of = {engine: list(found["precision"][engine].values()) for engine in ENGINES}
        keep(quality={**found, **verdict(of["numba"], of["numpy"])})


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--runs", default=3)
@click.option("--bits", default=32)
@click.option("--method", default="doc2hash")
@click.option("--corpus", default=CORPUS)
@click.option("--engines", default=",".join(ENGINES))
def journey(data: Path, runs: int, bits: int, method: str, corpus: str, engines: str) -> None:
    """Time ``nphash fit`` of a corpus, engines in turn."""
    before, seconds, busy = os.getloadavg(), dict[str, list[float]](), dict[str, list[float]]()
    for _ in range(runs):
        for engine in engines.split(","):
            with tempfile.TemporaryDirectory() as folder:
                fit = ["fit", str(data / f"{corpus}.jsonl.gz"), "-o", f"{folder}/c", "--bits", str(bits)]
                how = ["--method", method, "-p", f"training__engine={engine}", "--quiet"]
                command = [sys.executable, "-m", "nphash", *fit, *how]
                start, used = time.perf_counter(), cpu_of_children()
                subprocess.run(command, check=True)
                seconds.setdefault(engine, []).append(time.perf_counter() - start)
                busy.setdefault(engine, []).append(cpu_of_children() - used)
    found = {
        "seconds": seconds,
        "medians": {engine: median(times) for engine, times in seconds.items()},
        "seconds of processors": busy,
        "medians of processors": {engine: median(times) for engine, times in busy.items()},
        "processors": os.cpu_count(),
        "load before and after": [before, os.getloadavg()],
    }
    command_line = f"nphash fit {corpus}.jsonl.gz --bits {bits} --method {method}"
    keep(journeys={**read(RESULT).get("journeys", {}), command_line: found})


def fits() -> str:
    """Return a table of whole fits: a row for each command and engine."""
    rows = [["", "engine", "seconds", "spread", "seconds of a processor"]]
    for command, found in read(RESULT)["journeys"].items():
        for engine, times in found["seconds"].items():
            spread = f"{min(times):.1f} to {max(times):.1f}" if len(times) > 1 else ""
            medians = [f"{found[name][engine]:.1f}" for name in ("medians", "medians of processors")]
            rows.append([f"``{command}``", engine, medians[0], spread, medians[1]])
    return simple_table(rows)


def agreement() -> str:
    """Return in words how near the engines' figures are."""
    found = read(RESULT)["quality"]
    figures = [f"{found['means'][name]:.4f} ± {found['standard deviations'][name]:.4f}" for name in ENGINES]
    seeds = len(found["precision"]["numba"])
    return (
        f"Validation precision at 100 of {found['settings']['method']}, {found['settings']['bits']} bits, "
        f'{seeds} seeds: {figures[0]} with ``engine="numba"``, {figures[1]} with ``engine="numpy"``.'
    )


@main.command()
def table() -> None:
    """Print both comparisons."""
    click.echo(agreement())
    click.echo(fits())


if __name__ == "__main__":
    main()
