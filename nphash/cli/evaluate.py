"""``nphash evaluate``: how good the codes are, by labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import nphash
from nphash.cli import options as shared
from nphash.cli.output import Writer, chosen_format, echo_table, format_option, note
from nphash.cli.progress import compared, counted_documents

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.collection.evaluation import Evaluation
    from nphash.corpus import ReadOptions

AT_ONCE = 1_000
ASKED = "asked: {:,} of {:,} queries"

# Rows of the table: name of the figure, and what it is called there.
ROWS = {
    "precision": "P@{k}, expected over ties",
    "precision_worst": "P@{k}, worst order of ties",
    "precision_best": "P@{k}, best order of ties",
    "precision_by_order": "P@{k}, ties in order of insertion",
    "precision_random": "P@{k} of a random order",
    "recall": "recall@{k}",
    "map": "mean average precision",
    "ndcg": "NDCG@{k}",
    "precision_radius_2": "precision within 2 bits",
    "balance": "share of ones in a bit, mean",
    "entropy": "entropy of a bit, mean",
    "correlation": "correlation of two bits, mean absolute",
    "distinct": "different codes",
    "n_queries": "queries",
    "n_documents": "documents searched",
}

HELP = """Measure how well codes find documents with the same labels.

QUERIES is a corpus with labels; if it marks documents as test, only those are asked. Without
QUERIES a sample of the collection's own documents is asked (the model has learned from them, so
the figures flatter it a little). A query that is a document of the collection, by its id, is
excluded from what it may find.

It is always the order of Hamming distance that is measured, without reranking. A document is
relevant if it shares a label with the query; documents at the same distance count with their
expected share.
"""


@click.command(cls=shared.Sectioned, help=HELP)
@shared.collection_argument
@click.argument("queries", required=False)
@shared.k_option(100, "Rank at which precision, recall and NDCG are taken.  [default: 100]")
@click.option(
    "--sample",
    type=shared.Whole(min=1),
    default=1000,
    show_default=True,
    help="Documents to ask where there are no QUERIES.",
)
@shared.seed_option("Draws the sample.")
@format_option
@shared.threads_option
@shared.reader_options
@shared.quiet_option
def command(directory: Path, queries: str | None, k: int, reading: ReadOptions, **options: Any) -> None:
    """Run ``nphash evaluate``."""
    evaluation = nphash.collection.evaluation
    quiet = options["quiet"]
    with nphash.Collection.open(directory) as collection:
        if queries is None:
            sample = evaluation.QuerySample(options["sample"], options["seed"])
            result = evaluation.evaluate_own(collection, k, sample, compared(quiet, ASKED))
        else:
            result = _evaluate_queries(collection, queries, k, reading, quiet)
        statistics = nphash.metrics.code_statistics(collection.codes, collection.n_bits)
    if result.n_unlabelled:
        have, were = ("query has", "was") if result.n_unlabelled == 1 else ("queries have", "were")
        note(f"{result.n_unlabelled:,} {have} no label and {were} skipped", quiet)
    if not math.isfinite(result.figures["recall"]):
        note(
            "no query shares a label with a document, so every figure is 0: are the labels of one kind?",
            quiet,
        )
    record = {
        "k": result.k,
        **{name: result.figures[name] for name in ROWS if name in result.figures},
        "balance": float(statistics["balance"].mean()),
        "entropy": float(statistics["entropy"].mean()),
        "correlation": statistics["correlation"],
        "distinct": statistics["distinct"],
        "n_queries": result.n_queries,
        "n_documents": result.n_documents,
    }
    _show(record, chosen_format(options["output_format"]))


def _evaluate_queries(
    collection: Collection, source: str, k: int, reading: ReadOptions, quiet: bool
) -> Evaluation:
    import numpy as np

    creating, evaluation = nphash.collection.creating, nphash.collection.evaluation
    corpus = collection.manifest.corpus
    documents = counted_documents(shared.read(source, reading, corpus), quiet, "queries read")
    blocks, labels, marked, own = [], [], [], []
    for block, X in creating.weighed(documents, collection.vectorizer, AT_ONCE, corpus.get("n_columns")):
        blocks.append(collection.hasher.transform(X))
        labels += [document.labels for document in block]
        marked += [document.split.lower() in creating.HELD_OUT for document in block]
        own.append(evaluation.rows_of_queries(collection, block))
    chosen = np.array(marked) if any(marked) else np.ones(len(labels), dtype=bool)
    if any(marked):
        note(f"{sum(marked):,} of {len(labels):,} documents are marked test and asked", quiet)
    asked_labels = [labels[i] for i in np.flatnonzero(chosen).tolist()]
    themselves = np.concatenate(own)[chosen]
    if known := int((themselves >= 0).sum()):
        are = "query is a document" if known == 1 else "queries are documents"
        note(f"{known:,} {are} of the collection, each excluded from what it may find", quiet)
    codes = np.concatenate(blocks)[chosen]
    return evaluation.evaluate(collection, codes, asked_labels, k, themselves, compared(quiet, ASKED))


def _show(record: dict[str, Any], form: str) -> None:
    if form != "table":
        Writer(form, list(record)).write(record)
        return
    rows = [(ROWS[name].format(k=record["k"]), _shown(record[name])) for name in ROWS if name in record]
    echo_table(rows, [False, True], header=False)


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if math.isfinite(value) else "-"
