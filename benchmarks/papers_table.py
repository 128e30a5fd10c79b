"""Quality tables of the documentation, from the results of `benchmarks.papers`."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean
from typing import Any

from benchmarks import papers
from benchmarks.tables import simple_table
from nphash.hashers import METHODS, create

__all__ = ["ablations", "protocol", "quality", "summary"]

# Results kept under a tag: the package's own method with one part changed.
ABLATIONS = {
    "": "as it is",
    "one-round": "one round of graph, eigenmap and regression: ``similarity__rounds=1``",
    "four-rounds": "four rounds instead of eight: ``similarity__rounds=4``",
    "no-distillation": "similarities not distilled: ``similarity__weight=0``",
}


def quality(supervised: bool = False, corpora: Iterable[str] = papers.CORPORA) -> str:
    """Return a table for each corpus measured, of the systems that learn from labels or of the others."""
    parts = []
    measured = papers.results()
    systems = {run["system"] for run in measured}
    systems = {system for system in systems if learns_from_labels(system) == supervised}
    for corpus in corpora:
        runs = [run for run in measured if run["corpus"] == corpus and run["system"] in systems]
        rows = papers.table(runs)
        if len(rows) > 1:
            parts.append(f"**{corpus}** ({_seeds(runs)})\n\n{simple_table(rows)}")
    return "\n\n".join(parts)


def summary(bits: int = 32, corpora: Iterable[str] = papers.CORPORA) -> str:
    """Return one table of the systems without labels: a column for each corpus, at one length."""
    runs = [run for run in papers.results() if run["bits"] == bits and not learns_from_labels(run["system"])]
    columns = {name: papers.table([run for run in runs if run["corpus"] == name])[1:] for name in corpora}
    figures = {name: {row[0]: row[1] for row in rows} for name, rows in columns.items()}
    systems = dict.fromkeys(row[0] for rows in columns.values() for row in rows)
    rows = [[name, *(found.get(name, "") for found in figures.values())] for name in systems]
    return simple_table([[f"{bits} bits", *figures], *rows])


def learns_from_labels(system: str) -> bool:
    """Return whether a system of the tables needs labels.

    Examples
    --------
    >>> learns_from_labels("ksh"), learns_from_labels("itq"), learns_from_labels("lsi-cosine")
    (True, False, False)
    """
    return system in METHODS and create(system, n_bits=8).supervised


def _seeds(runs: list[dict[str, Any]]) -> str:
    most = 1 + max(run["seed"] for run in runs)
    return f"mean ± standard deviation of up to {most} seeds; without ±, one" if most > 1 else "one seed"


def protocol(corpus: str, bits: int) -> str:
    """Return what the protocol does to the figures of one corpus at one length.

    Each way is fairer than the one before it: as published; ours with the epoch chosen on the test
    half itself, as published; with the epoch chosen on the validation half; and with documents of the
    same distance in the worst order instead of a random one.
    """
    runs = [run for run in papers.results() if (run["corpus"], run["bits"]) == (corpus, bits)]
    published = papers.published(corpus, bits)
    rows = [["system", "published", "best test epoch", "validation", "ties at worst"]]
    for system in METHODS:
        own = [run for run in runs if run["system"] == system]
        if own:
            cells = [papers.cell(own, name) for name in ("best_test_epoch", "precision", "precision_worst")]
            rows.append([system, published.get(system, ""), *cells])
    return simple_table(rows)


def ablations(bits: int = 32) -> str:
    """Return what each part of the package's own method is worth, on validation and test half."""
    found = {tag: _runs(tag, bits) for tag in ABLATIONS}
    corpora = [name for name in papers.CORPORA if any(run["corpus"] == name for run in found["one-round"])]
    halves = [(name, half) for name in corpora for half in ("validation", "test")]
    header = [f"nphash, {bits} bits", *(f"{name}, {half}" for name, half in halves)]
    rows = [
        [title, *(_mean([run for run in found[tag] if run["corpus"] == name], half) for name, half in halves)]
        for tag, title in ABLATIONS.items()
        if found[tag]
    ]
    return simple_table([header, *rows])


def _runs(tag: str, bits: int) -> list[dict[str, Any]]:
    return [run for run in papers.results(tag) if (run["system"], run["bits"]) == ("nphash", bits)]


def _mean(runs: list[dict[str, Any]], half: str) -> str:
    return papers.short(mean(run[half]["precision"] for run in runs)) if runs else ""
