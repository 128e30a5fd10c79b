"""What the rounds of the package's own method find: how often near documents share a label.

    python -m benchmarks.rounds run       # eight rounds for each corpus, past the point where they would end
    python -m benchmarks.rounds table

Training documents by cosine: of LSI coordinates (round 0), of each round's eigenmap, and of what its
regression predicts from words. A document's share is that of its 25 and 100 nearest that have a label in
common with it. "told" in the results, agreement in the table, is the mean cosine of prediction and eigenmap.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.papers import CORPORA, short
from benchmarks.records import DATA, RESULTS, environment, read, write
from benchmarks.tables import simple_table
from nphash.corpus.protocol import prepare
from nphash.hashers import NeighbourSettings
from nphash.hashers.linear import project
from nphash.hashers.neighbours.nearest import top_cosine
from nphash.hashers.neighbours.rounds import rounds
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.nn.ops import normalise_rows

RESULT = RESULTS / "rounds.json"
NEIGHBOURS = (25, 100)
ROUNDS = 8

Record = dict[str, Any]


def shares(place: Any, y: Any) -> dict[str, float]:
    """Return the share of each labelled document's nearest ones that have a label in common with it.

    Parameters
    ----------
    place
        (n, d), floats; near is by cosine.
    y
        Labels, CSR (n, C).

    Examples
    --------
    >>> import scipy.sparse
    >>> y = scipy.sparse.csr_matrix(np.repeat(np.eye(2), 101, axis=0))
    >>> shares(y.toarray(), y)
    {'25': 1.0, '100': 1.0}
    """
    near, _ = top_cosine(place, max(NEIGHBOURS))
    common = np.column_stack(
        [np.asarray(y[near[:, j]].multiply(y).sum(axis=1) > 0) for j in range(near.shape[1])]
    )
    labelled = np.diff(y.indptr) > 0
    return {str(k): float(common[labelled, :k].mean()) for k in NEIGHBOURS}


def measure(corpus: Any, seed: int = 0) -> list[Record]:
    """Return what LSI and each round find among the training documents."""
    X, y, settings = corpus.X_train, corpus.y_train, NeighbourSettings()
    X = X.astype(np.float32)
    u = project(X, fit_lsi(X, settings.lsi, seed).components[:, : settings.graph_lsi])  # (n, 64)
    records: list[Record] = [{"round": 0, "predicted": shares(normalise_rows(u), y)}]
    start = time.perf_counter()
    for i, found in enumerate(islice(rounds(X, u, settings, seed), ROUNDS), start=1):
        seconds = time.perf_counter() - start
        shared = {"eigenmap": shares(found.eigenmap, y), "predicted": shares(found.predicted, y)}
        records.append({"round": i, **shared, "told": found.agreement, "seconds": seconds})
        start = time.perf_counter()
    return records


@click.group()
def main() -> None:
    """Measure what the rounds find."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--corpora", default=",".join(CORPORA))
def run(data: Path, corpora: str) -> None:
    """Measure the rounds on each corpus."""
    found = {name: measure(prepare(data / f"{name}.jsonl.gz")) for name in corpora.split(",")}
    command = f"python -m benchmarks.rounds run --corpora {corpora}"
    write(RESULT, {"corpora": found, "command": command, **environment()})


def rows(k: int = NEIGHBOURS[0]) -> list[list[str]]:
    """Return the table: a row for LSI and one each for eigenmap and regression of some rounds."""
    found = read(RESULT)["corpora"]
    header = [f"{k} nearest by", *(text for name in found for text in (name, "agreement"))]
    lines = [
        [
            "LSI",
            *(text for records in found.values() for text in (short(records[0]["predicted"][str(k)]), "")),
        ]
    ]
    for i in (1, 2, 4, 8):
        for source, name in (("eigenmap", "its eigenmap"), ("predicted", "its regression on words")):
            cells: list[str] = []
            for records in found.values():
                cells += [
                    short(records[i][source][str(k)]),
                    short(records[i]["told"]) if source == "predicted" else "",
                ]
            lines.append([f"round {i}, {name}", *cells])
    return [header, *lines]


@main.command()
def table() -> None:
    """Print the shares."""
    click.echo(simple_table(rows()))


if __name__ == "__main__":
    main()
