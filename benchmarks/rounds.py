"""What the rounds of the package's own method find, and whether halves of documents tell it without labels.

    python -m benchmarks.rounds run       # eight rounds for each corpus, past the point where they would end
    python -m benchmarks.rounds table

Training documents by cosine: of LSI coordinates, of each round's eigenmap, and of what its regression
predicts from words, alone and beside LSI as in a teacher. A document's share is that of its 25 and 100
nearest that have a label in common with it. The overlap is that of `HalvedDocuments`, by which a fit chooses
round and share; its rank correlation with the shares over all settings says how far that is right.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.papers import short
from benchmarks.records import DATA, RESULTS, environment, read, write
from benchmarks.tables import simple_table
from nphash.corpus.protocol import RECIPES, prepare
from nphash.corpus.read import read_documents
from nphash.corpus.records import label_matrix
from nphash.hashers import NeighbourSettings
from nphash.hashers.kernels import largest
from nphash.hashers.linear import project
from nphash.hashers.neighbours.rounds import LSI_AXES, SHARES, HalvedDocuments, _last_round, joined, rounds
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.nn.ops import normalise_rows
from nphash.text.vectorizer import Vectorizer

RESULT = RESULTS / "rounds.json"
CORPORA = ["reuters-r90", "20ng-bydate", "tmc-500words", "rcv1-a", "snippets", "arxiv-0"]
MOST_DOCUMENTS = 10_000  # of a corpus without parts
ASKED = 2_000  # documents whose nearest are looked at
NEIGHBOURS = (25, 100)
ROUNDS = 8
SHARES_ALL = (*SHARES, 0.25)
LSI_ALONE = (16, 32, 64, 128)

Record = dict[str, Any]


def training_part(path: Path) -> tuple[Any, Any]:
    """Return documents (n, V) and labels (n, C): of a corpus without parts the first ones."""
    documents = list(islice(read_documents(str(path), None), MOST_DOCUMENTS))
    if any(document.split for document in documents):
        prepared = prepare(path)
        return prepared.X_train, prepared.y_train
    vectorizer = Vectorizer(RECIPES["vdsh"].settings)
    X = vectorizer.weigh(vectorizer.fit_counts(document.text for document in documents))
    names = sorted({label for document in documents for label in document.labels})
    return X, label_matrix([document.labels for document in documents], names)[0]


def shares(place: Any, y: Any) -> dict[str, float]:
    """Return the share of labelled documents' nearest ones that have a label in common with them.

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
    unit = normalise_rows(np.asarray(place, np.float32))
    asked = np.random.default_rng(0).permutation(np.flatnonzero(np.diff(y.indptr) > 0))[:ASKED]
    common = np.empty((len(asked), max(NEIGHBOURS)), bool)
    for start in range(0, len(asked), 256):
        rows = asked[start : start + 256]
        scores = unit[rows] @ unit.T
        scores[np.arange(len(rows)), rows] = -np.inf
        near, _ = largest(scores, max(NEIGHBOURS))  # (rows, 100)
        relevant = np.asarray((y[rows].astype(np.float32) @ y.T.astype(np.float32)).toarray()) > 0
        common[start : start + 256] = np.take_along_axis(relevant, near.astype(np.int64), axis=1)
    return {str(k): float(common[:, :k].mean()) for k in NEIGHBOURS}


def measure(X: Any, y: Any, seed: int = 0) -> list[Record]:
    """Return what LSI and each round find among the training documents, and what a fit would choose."""
    X, settings = X.astype(np.float32), NeighbourSettings()
    lsi = fit_lsi(X, settings.lsi, seed).components
    u = project(X, lsi[:, : settings.graph_lsi])  # (n, 64)
    halved = HalvedDocuments(X, lsi, seed)
    records: list[Record] = []
    for axes in LSI_ALONE:
        W = np.ascontiguousarray(lsi[:, :axes])
        records.append(
            {"lsi": axes, **shares(project(X, W), y), "overlap": float(halved.overlaps(W, [1.0]).mean())}
        )
    found = list(islice(rounds(X, u, settings, seed), ROUNDS))
    for i, one in enumerate(found, start=1):
        records.append({"round": i, "eigenmap": shares(one.eigenmap, y)})
        overlaps = halved.overlaps(one.W, SHARES_ALL)
        for share, overlap in zip(SHARES_ALL, overlaps.mean(axis=0), strict=True):
            teacher = joined(u[:, :LSI_AXES], one.predicted, share)
            records.append({"round": i, "share": share, **shares(teacher, y), "overlap": float(overlap)})
    last, share = _last_round(iter(found), halved, settings)
    chosen = next(i for i, one in enumerate(found, start=1) if one is last)
    return [*records, {"chosen": {"round": chosen, "share": share}}]


@click.group()
def main() -> None:
    """Measure what the rounds find."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--corpora", default=",".join(CORPORA))
def run(data: Path, corpora: str) -> None:
    """Measure the rounds on each corpus."""
    found = read(RESULT).get("corpora", {})
    for name in corpora.split(","):
        found[name] = measure(*training_part(data / f"{name}.jsonl.gz"))
        command = "python -m benchmarks.rounds run"
        write(RESULT, {"corpora": found, "command": command, **environment()})


def settings_of(records: list[Record]) -> list[Record]:
    """Return the records of coordinates that have an overlap: LSI alone, and every round with every share."""
    return [record for record in records if "overlap" in record]


def rank_correlation(records: list[Record], k: int = NEIGHBOURS[-1]) -> float:
    """Return Spearman's rank correlation of overlap and shared labels over all settings of a corpus.

    Examples
    --------
    >>> rank_correlation([{"100": 0.1 * i, "overlap": 0.2 * i} for i in range(5)])
    1.0
    """
    from scipy.stats import spearmanr

    both = [(record["overlap"], record[str(k)]) for record in settings_of(records)]
    return float(round(spearmanr(*zip(*both, strict=True)).statistic, 6))


def rows(k: int = NEIGHBOURS[0]) -> list[list[str]]:
    """Return the table: a row for LSI and some for eigenmap and regression of some rounds."""
    found = read(RESULT)["corpora"]
    places: list[tuple[str, Record]] = [(f"LSI, {axes} axes", {"lsi": axes}) for axes in (32, 64)]
    for i in (i for i in (1, 2, 4, 8) if i <= ROUNDS):
        places.append((f"round {i}, its eigenmap", {"round": i, "eigenmap": None}))
        places.append((f"round {i}, its regression on words", {"round": i, "share": 1.0}))
        places.append((f"round {i}, half of it, half LSI", {"round": i, "share": 0.5}))
    lines = [[f"{k} nearest by", *found]]
    for name, wanted in places:
        cells = []
        for records in found.values():
            if "eigenmap" in wanted:
                by_graph = (record for record in records if record.get("eigenmap"))
                cells.append(
                    short(next(r["eigenmap"] for r in by_graph if r["round"] == wanted["round"])[str(k)])
                )
            else:
                cells.append(short(_record(records, wanted)[str(k)]))
        lines.append([name, *cells])
    return lines


def criterion_rows(k: int = NEIGHBOURS[-1]) -> list[list[str]]:
    """Return the table of the criterion: what it chooses for each corpus, and how well it orders settings."""
    lines = [["corpus", "rank correlation", "chosen", f"its share of {k}", "best", "LSI, 32 axes", "round 8"]]
    for name, records in read(RESULT)["corpora"].items():
        chosen = records[-1]["chosen"]
        text = f"round {chosen['round']}, {chosen['share']:.0%}".replace("%", " %")
        best = max(record[str(k)] for record in settings_of(records))
        others = [
            _record(records, wanted) for wanted in (chosen, {"lsi": 32}, {"round": ROUNDS, "share": 1.0})
        ]
        figures = [others[0][str(k)], best, others[1][str(k)], others[2][str(k)]]
        lines.append([name, f"{rank_correlation(records, k):.2f}", text, *map(short, figures)])
    return lines


def _record(records: list[Record], wanted: Record) -> Record:
    return next(r for r in settings_of(records) if all(r.get(key) == wanted[key] for key in wanted))


@main.command()
def table() -> None:
    """Print the shares, and what the criterion says of them."""
    click.echo(simple_table(rows()))
    click.echo(simple_table(criterion_rows()))


if __name__ == "__main__":
    main()
