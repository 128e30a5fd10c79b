"""Section 3.3 of the Doc2hash paper: what the sample does to the codes when nothing else differs.

    python -m benchmarks.samplers run          # fits 4 samples x 3 seeds on Reuters at 32 bits
    python -m benchmarks.samplers table
    python -m benchmarks.samplers plot -o samplers.png

The paper compares Doc2hash, trained through the Gumbel-softmax relaxation, with NASH, trained straight
through, and ascribes it to the sample that NASH sets fewer bits and decides them less. The two published
programs differ in more: learning rate, epochs, prior weight, dropout, noise, and a divergence of which
NASH's has only one side. Here encoder, decoder, divergence, dropout, steps and seeds are the same, and
only the sample changes.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import numpy as np

from benchmarks.records import DATA, RESULTS, environment, read, write
from nphash.codes import unpack
from nphash.corpus.protocol import Prepared, prepare
from nphash.hashers import create
from nphash.metrics import code_statistics, retrieval
from nphash.nn.ops import sigmoid

__all__ = ["SAMPLES", "measure", "rows"]

RESULT = RESULTS / "samplers.json"
N_BITS = 32
SAME = {"n_bits": N_BITS, "kl_weight": 0.1, "target": "input", "hidden": (500, 500), "dropout": 0.2}

SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "Gumbel-softmax, relaxed": ("doc2hash", {"sampling": "relaxed"}),
    "Gumbel-softmax, straight through": ("doc2hash", {"sampling": "straight-through"}),
    "Bernoulli, straight through": ("nash", {"sampling": "stochastic"}),
    "no noise, straight through": ("nash", {"sampling": "deterministic"}),
}

P_BINS = np.linspace(0, 1, 21)
LOGIT_BINS = np.linspace(-30, 30, 31)


def measure(sample: str, corpus: Prepared, seed: int, **params: Any) -> dict[str, Any]:
    """Fit with one sample; return figures of its codes and of p(z|x), and two histograms.

    Parameters
    ----------
    sample
        A key of `SAMPLES`.
    params
        Parameters of the hasher that differ from `SAME`, for tests.
    """
    method, own = SAMPLES[sample]
    hasher = create(method, **{**SAME, **own, "random_state": seed, **params})
    hasher.fit(corpus.X_train, corpus.y_train, X_valid=corpus.X_valid, y_valid=corpus.y_valid)
    n_bits = hasher.get_params()["n_bits"]
    database = hasher.transform(corpus.X_train)
    a = hasher.decision_function(corpus.X_train)  # (n, L)
    p, _ = sigmoid(a)
    ones = unpack(database, n_bits).mean(axis=0)  # (L,)
    found = retrieval(hasher.transform(corpus.X_test), corpus.y_test, database, corpus.y_train, n_bits)
    return {
        "sample": sample,
        "seed": seed,
        "precision": found["precision"],
        "share of ones": float(ones.mean()),
        "least of a bit": float(ones.min()),
        "most of a bit": float(ones.max()),
        "undecided": float(((p > 0.1) & (p < 0.9)).mean()),
        "median |logit|": float(np.median(np.abs(a))),
        "bit entropy": float(np.mean(code_statistics(database, n_bits)["entropy"])),
        "p": (np.histogram(p, P_BINS)[0] / p.size).tolist(),
        "logits": (np.histogram(np.clip(a, -30, 30), LOGIT_BINS)[0] / a.size).tolist(),
    }


def rows(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return a table, header first: for each sample the mean over seeds, for precision with its spread."""
    table = [["sample", "P@100", "ones", "of a bit", "undecided", "median abs. logit"]]
    for sample in SAMPLES:
        own = [run for run in runs if run["sample"] == sample]
        if not own:
            continue
        precision = [run["precision"] for run in own]
        spread = f" ± {stdev(precision):.3f}" if len(own) > 1 else ""
        average = {key: mean(run[key] for run in own) for key in own[0] if isinstance(own[0][key], float)}
        table.append(
            [
                sample,
                f"{mean(precision):.3f}{spread}",
                f"{average['share of ones']:.1%}",
                f"{average['least of a bit']:.0%} to {average['most of a bit']:.0%}",
                f"{average['undecided']:.1%}",
                f"{average['median |logit|']:.1f}",
            ]
        )
    return table


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Draw the histograms of p(z|x) and of the logits, a row for each sample, into a picture file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.2 * len(SAMPLES)), layout="constrained")
    axes = figure.subplots(len(SAMPLES), 2, sharex="col", sharey="col", squeeze=False)
    for (left, right), sample in zip(axes, SAMPLES, strict=True):
        own = [run for run in runs if run["sample"] == sample]
        for axis, key, bins in ((left, "p", P_BINS), (right, "logits", LOGIT_BINS)):
            axis.stairs(np.mean([run[key] for run in own], axis=0), bins, fill=True)
        left.set_title(sample, loc="left")
        left.set_ylabel("share of all bits")
    axes[-1][0].set_xlabel("p(z = 1 | x)")
    axes[-1][1].set_xlabel("logit, those beyond 30 at the ends")
    figure.savefig(path)


@click.group()
def main() -> None:
    """Compare the samples."""


@main.command()
@click.option("--seeds", default=3)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    default=DATA / "reuters-r90.jsonl.gz",
)
def run(seeds: int, data: Path) -> None:
    """Fit every sample with every seed and keep the figures."""
    corpus, runs = prepare(data), []
    for seed in range(seeds):
        for sample in SAMPLES:
            runs.append(measure(sample, corpus, seed))
            click.echo(f"seed {seed}, {sample}: {runs[-1]['precision']:.4f}")
    about = {"command": f"python -m benchmarks.samplers run --seeds {seeds}", **environment()}
    write(RESULT, {**about, "runs": runs}, indent=None)


@main.command()
def table() -> None:
    """Print the table."""
    for row in rows(read(RESULT)["runs"]):
        click.echo("  ".join(text.ljust(34 if i == 0 else 14) for i, text in enumerate(row)).rstrip())


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def plot(output: Path) -> None:
    """Draw the histograms; needs matplotlib (pip install matplotlib)."""
    draw(read(RESULT)["runs"], output)


if __name__ == "__main__":
    main()
