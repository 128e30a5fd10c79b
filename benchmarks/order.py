"""Order within a distance: what the confidence of a query's bits adds to the distance of codes.

    python -m benchmarks.order run
    python -m benchmarks.order table

A 32-bit code has hundreds of documents at the same distance. Three orders of the same codes, for the test
half: any within a distance (the expectation, and the worst case); those at one distance by the sum of the
query's logits, without signs, in the bits that differ; and all by that sum alone. Documents are bits in all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.papers import short
from benchmarks.records import DATA, RESULTS, environment, read, write
from benchmarks.tables import simple_table
from nphash.core.typing import Array
from nphash.corpus.protocol import Prepared, prepare
from nphash.hashers.nphash import NpHash
from nphash.metrics import retrieval_by_similarity

RESULT = RESULTS / "order.json"
CORPORA = ["reuters-r90", "20ng-bydate", "rcv1-a"]
ORDERS = {
    "distance": "distance",
    "within": "distance, then confidence",
    "weighted": "confidence of the bits that differ",
}


def similarities(logits: Array, signs: Array, order: str) -> Array:
    """Return the similarity (Q, N) of queries, given by logits (Q, L), with codes of signs -1 and 1 (N, L).

    Examples
    --------
    >>> logits, signs = np.array([[3.0, -1.0]]), np.array([[1, 1], [-1, -1], [1, -1]])
    >>> [similarities(logits, signs, order).tolist() for order in ORDERS]
    [[[-1.0, -1.0, 0.0]], [[-1.25, -1.75, 0.0]], [[-0.25, -0.75, 0.0]]]
    """
    logits = logits.astype(np.float64)
    query, L = np.where(logits > 0, 1.0, -1.0), signs.shape[1]
    distance = (L - query @ signs.T) / 2
    sizes = np.abs(logits)
    lost = (sizes.sum(axis=1, keepdims=True) - logits @ signs.T) / 2  # confidence of the bits that differ
    share = np.round(lost / np.maximum(sizes.sum(axis=1, keepdims=True), 1e-12), 9)  # below one
    found: Array = -{"distance": distance, "within": distance + share, "weighted": share}[order]
    return found + 0.0


def measure(corpus: Prepared, bits: int = 32, seed: int = 0) -> dict[str, Any]:
    """Return the figures of each order, of one fit."""
    hasher = NpHash(n_bits=bits, random_state=seed)
    hasher.fit(corpus.X_train, corpus.y_train, X_valid=corpus.X_valid, y_valid=corpus.y_valid)
    logits = [hasher.encoder_logits(hasher.params_, X) for X in (corpus.X_test, corpus.X_train)]
    signs = np.where(logits[1] > 0, 1.0, -1.0)
    figures = {
        order: retrieval_by_similarity(similarities(logits[0], signs, order), corpus.y_test, corpus.y_train)
        for order in ORDERS
    }
    return {"figures": figures, "distinct": len(np.unique(signs, axis=0)) / len(signs), "bits": bits}


@click.group()
def main() -> None:
    """Measure orders within a distance."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--corpora", default=",".join(CORPORA))
def run(data: Path, corpora: str) -> None:
    """Fit the package's own method once a corpus, and measure."""
    found = read(RESULT).get("corpora", {})
    for name in corpora.split(","):
        found[name] = measure(prepare(data / f"{name}.jsonl.gz"))
        write(RESULT, {"corpora": found, "command": "python -m benchmarks.order run", **environment()})


def rows() -> list[list[str]]:
    """Return the table: expectation and worst case of each order."""
    found = read(RESULT)["corpora"]
    lines = [["order", *(text for name in found for text in (name, "worst"))]]
    for order, title in ORDERS.items():
        figures = [record["figures"][order] for record in found.values()]
        lines.append([title, *(short(f[key]) for f in figures for key in ("precision", "precision_worst"))])
    return lines


@main.command()
def table() -> None:
    """Print the figures."""
    click.echo(simple_table(rows()))


if __name__ == "__main__":
    main()
