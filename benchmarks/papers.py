"""Measure every system under one honest protocol and print tables in the shape of the papers'.

    python -m benchmarks.papers run --systems doc2hash,itq --corpora reuters-r90 --bits 32 --seeds 3
    python -m benchmarks.papers table

Each (system, corpus, bits, seed) is one JSON file in ``benchmarks/results/papers``; what is already
there is not measured again, so a run can be stopped and taken up. The corpora are prepared as
`nphash.corpus.protocol` says: the standard training part trains and is the database, half of the
test part chooses the epoch, the other half is reported. Precision is the tie-aware expectation.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import numpy as np

from benchmarks.records import DATA, RESULTS, environment, read, write
from nphash.corpus.protocol import Prepared, prepare
from nphash.hashers import METHODS, Progress, create
from nphash.hashers.autoencoder import VariationalHasher
from nphash.metrics import code_statistics, precision_at_k, retrieval, retrieval_by_similarity

RESULT = RESULTS / "papers"
PUBLISHED = Path(__file__).parent / "published.json"
CORPORA = ["reuters-r90", "20ng-bydate", "tmc-500words"]
FLOATS = ["tfidf-cosine", "lsi-cosine"]  # baselines without hashing
SEEDLESS = {"tfidf-cosine", "lsi-cosine"}


def measure(system: str, corpus: Prepared, bits: int, seed: int, params: dict[str, Any]) -> dict[str, Any]:
    """Fit one system and return its figures on the test part."""
    start = time.perf_counter()
    if system in FLOATS:
        return {"test": similarity_baseline(system, corpus, bits), "seconds": time.perf_counter() - start}
    hasher = create(system, n_bits=bits, **params)
    if "random_state" in hasher.get_params():
        hasher.set_params(random_state=seed)
    test_by_epoch: list[float] = []
    compared = system in published(CORPORA[0], 32)  # only these: it takes as long as the fit

    def watch(progress: Progress) -> None:
        if compared and progress.step == progress.steps and isinstance(hasher, VariationalHasher):
            params = hasher.finalise_params(progress.params, corpus.X_train)  # VDSH's medians
            codes = [hasher.encode(params, X) for X in (corpus.X_test, corpus.X_train)]
            test_by_epoch.append(precision_at_k(codes[0], corpus.y_test, codes[1], corpus.y_train, bits))

    hasher.fit(corpus.X_train, corpus.y_train, X_valid=corpus.X_valid, y_valid=corpus.y_valid, callback=watch)
    seconds = time.perf_counter() - start
    database = hasher.transform(corpus.X_train)

    def figures(X: Any, y: Any) -> dict[str, float]:
        return retrieval(hasher.transform(X), y, database, corpus.y_train, bits)

    return {
        "test": figures(corpus.X_test, corpus.y_test),
        "validation": figures(corpus.X_valid, corpus.y_valid),
        "best_test_epoch": max(test_by_epoch, default=None),
        "epoch": getattr(hasher, "best_epoch_", None),
        "codes": {key: float(np.mean(value)) for key, value in code_statistics(database, bits).items()},
        "seconds": seconds,
    }


def similarity_baseline(system: str, corpus: Prepared, dims: int) -> dict[str, float]:
    """Return precision without hashing: cosine of TF-IDF rows, or of as many LSI floats as there are bits."""
    train, test = corpus.X_train, corpus.X_test
    if system == "lsi-cosine":
        from scipy.sparse.linalg import svds

        v0 = np.random.default_rng(0).standard_normal(min(train.shape))
        _, _, components = svds(train.astype(np.float64), k=dims, v0=v0)
        train, test = train @ components.T, test @ components.T
        train, test = (
            rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (train, test)
        )
    columns = train.T
    figures = retrieval_by_similarity(
        lambda start, stop: test[start:stop] @ columns, corpus.y_test, corpus.y_train
    )
    return {"precision": figures["precision"]}


def path_of(system: str, corpus: str, bits: int, seed: int, tag: str) -> Path:
    """Return the file of one measurement."""
    return RESULT / corpus / f"{system}{'+' + tag if tag else ''}-{bits}-{seed}.json"


@click.group()
def main() -> None:
    """Measure systems and print the papers' tables."""


@main.command()
@click.option("--systems", default=",".join(METHODS), help="Names, or tfidf-cosine and lsi-cosine.")
@click.option("--corpora", default=",".join(CORPORA))
@click.option("--bits", default="8,16,32,64,128")
@click.option("--seeds", default=3, help="Seeds 0 to SEEDS - 1.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("-p", "--param", multiple=True, help="NAME=JSON for the system, for experiments; needs --tag.")
@click.option("--tag", default="", help="Kept in the file's name: results of an experiment stand apart.")
@click.option("--quick", is_flag=True, help="Reuters, 32 bits, one seed.")
def run(
    systems: str,
    corpora: str,
    bits: str,
    seeds: int,
    data: Path,
    param: tuple[str, ...],
    tag: str,
    quick: bool,
) -> None:
    """Measure what is not there yet."""
    if param and not tag:
        raise click.UsageError("-p changes a system: give its results a --tag")
    params = {name: json.loads(value) for name, _, value in (item.partition("=") for item in param)}
    if quick:
        corpora, bits, seeds = "reuters-r90", "32", 1
    for name in corpora.split(","):
        prepared = prepare(data / f"{name}.jsonl.gz")
        for system in systems.split(","):
            for width in map(int, bits.split(",")):
                for seed in range(1 if system in SEEDLESS else seeds):
                    _run_one(system, name, prepared, width, seed, params, tag)


def _run_one(
    system: str, name: str, prepared: Prepared, bits: int, seed: int, params: dict[str, Any], tag: str
) -> None:
    path = path_of(system, name, bits, seed, tag)
    if path.exists():
        return
    result = measure(system, prepared, bits, seed, params)
    about = {"system": system, "corpus": name, "bits": bits, "seed": seed, "params": params}
    write(path, {**about, **result, "command": command(about, tag), **environment()})
    figure, seconds = result["test"]["precision"], result["seconds"]
    click.echo(f"{name} {system} {bits} bits, seed {seed}: {figure:.4f} ({seconds:.0f} s)")


def command(about: dict[str, Any], tag: str) -> str:
    """Return what measures one result again.

    Examples
    --------
    >>> about = {"system": "itq", "corpus": "reuters-r90", "bits": 8, "seed": 0, "params": {"n": 3}}
    >>> command(about, "test")
    'python -m benchmarks.papers run --systems itq --corpora reuters-r90 --bits 8 --seeds 1 --tag test -p n=3'
    """
    which = f"--systems {about['system']} --corpora {about['corpus']} --bits {about['bits']}"
    changed = "".join(f" -p {name}={json.dumps(value)}" for name, value in about["params"].items())
    tagged = f" --tag {tag}" if tag else ""
    return f"python -m benchmarks.papers run {which} --seeds {about['seed'] + 1}{tagged}{changed}"


def results(tag: str = "") -> list[dict[str, Any]]:
    """Return all measurements, of an experiment if a tag is given."""
    files = sorted(RESULT.glob("*/*.json"))
    return [read(file) for file in files if (f"+{tag}-" in file.name if tag else "+" not in file.name)]


def short(figure: float) -> str:
    """Return a share as tables show it.

    Examples
    --------
    >>> short(0.8124)
    '.812'
    """
    return f"{figure:.3f}".lstrip("0")


def cell(runs: list[dict[str, Any]], figure: str = "precision") -> str:
    """Return mean and standard deviation over seeds of a test figure, as in ``.812 ± .004``."""
    places = [run if figure == "best_test_epoch" else run["test"] for run in runs]
    values = [place[figure] for place in places if place.get(figure) is not None]
    if not values:
        return ""
    text = short(mean(values))
    return text + (f" ± {stdev(values):.3f}".replace("0.", ".") if len(values) > 1 else "")


def table(runs: list[dict[str, Any]], figure: str = "precision") -> list[list[str]]:
    """Return the rows of a corpus: system, then one cell for each number of bits; the header first."""
    widths = sorted({run["bits"] for run in runs})
    order = [*FLOATS, *METHODS]
    rows = [["system", *(f"{bits} bits" for bits in widths)]]
    for system in sorted(
        {run["system"] for run in runs}, key=lambda name: order.index(name) if name in order else 99
    ):
        own = [run for run in runs if run["system"] == system]
        rows.append([system, *(cell([run for run in own if run["bits"] == bits], figure) for bits in widths)])
    return rows


def published(corpus: str, bits: int) -> dict[str, str]:
    """Return the figures of the Doc2hash paper for one corpus and length, by system.

    Examples
    --------
    >>> published("reuters-r90", 32)["lsh"]
    '.386'
    """
    known = read(PUBLISHED)
    at = known["bits"].index(bits)
    return {system: short(row[at]) for system, row in known.get(corpus, {}).items()}


@main.command("table")
@click.option("--figure", default="precision", help="A figure of `retrieval`.")
@click.option("--tag", default="")
def show(figure: str, tag: str) -> None:
    """Print a table for each corpus, with the figures of the best test epoch and the published ones."""
    measured = results(tag)
    for corpus in sorted({run["corpus"] for run in measured}):
        runs = [run for run in measured if run["corpus"] == corpus]
        header, *rows = table(runs, figure)
        best = {row[0]: row[1:] for row in table(runs, "best_test_epoch")}
        click.echo(f"\n{corpus}: {figure} at 100, test half, epoch chosen on the validation half")
        theirs = [published(corpus, int(text.split()[0])) for text in header[1:]]
        for row in [header, *rows]:
            _echo(row)
            if any(best[row[0]]) and row is not header:
                _echo(["  best test epoch", *best[row[0]]])
            if row[0] in theirs[0]:
                _echo(["  published", *(known[row[0]] for known in theirs)])


def _echo(row: list[str]) -> None:
    click.echo("  ".join(text.ljust(17 if i == 0 else 11) for i, text in enumerate(row)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
