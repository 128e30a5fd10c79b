"""``nphash demo``: the whole journey on a corpus that every machine has."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import nphash
from nphash.cli.fit import fit_collection
from nphash.cli.options import Whole, quiet_option, seed_option, threads_option
from nphash.cli.output import bold, echo_table, terminal_width
from nphash.cli.progress import FitProgress
from nphash.cli.search import HitTable, query_words

if TYPE_CHECKING:
    from nphash.collection import Collection

CORPUS = "docstrings:"
BITS = 64
EPOCHS = 8
SHOWN = 3
QUERIES = (
    "parse a date string",
    "compress and decompress data",
    "sparse matrix in compressed row format",
    "solve a linear system of equations",
    "progress bar in the terminal",
)

HELP = """Fit on the documentation of this machine's Python packages and answer queries.

The corpus is the documentation strings of the standard library, NumPy, SciPy, Numba and click,
read from their source files: nothing is downloaded. It takes less than a minute.
"""


@click.command(help=HELP)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Keep the collection in this new directory."
)
@click.option("--force", is_flag=True, help="Replace the collection that is there.")
@click.option("--bits", type=Whole(1, 4096), default=BITS, show_default=True, help="Length of a code.")
@seed_option("Same seed, same codes.")
@threads_option
@quiet_option
def command(output: Path | None, force: bool, bits: int, seed: int, quiet: bool) -> None:
    """Run ``nphash demo``."""
    started = time.monotonic()
    hasher = nphash.hashers.create("doc2hash", n_bits=bits, random_state=seed, training__epochs=EPOCHS)
    with _directory(output) as directory:
        reading = nphash.corpus.ReadOptions()
        settings = nphash.collection.CreateSettings(force=force)
        collection = fit_collection(CORPUS, directory, hasher, reading, settings, FitProgress(quiet))
        with collection:
            _show_quality(collection)
            _show_answers(collection)
    click.echo(f"\nAll of this took {time.monotonic() - started:.0f} s.")
    kept = output or "docs.nphash"
    if output is None:
        click.echo("The collection was temporary. To keep one and search it yourself:")
        click.echo(f"  nphash fit docstrings: -o {kept}")
    click.echo(f'  nphash search {kept} "split text into words"')


@contextmanager
def _directory(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="nphash-demo-") as folder:
        yield Path(folder) / "collection"


def _show_quality(collection: Collection) -> None:
    evaluation = nphash.collection.evaluation
    labels = collection.segments.labels()
    kinds = [
        evaluation.QuerySample(labels=[of_one[:1] for of_one in labels]),
        evaluation.QuerySample(labels=[of_one[1:2] for of_one in labels]),
    ]
    hashed = [evaluation.evaluate_own(collection, sample=kind) for kind in kinds]
    cosine = [evaluation.cosine_of_own(collection, sample=kind) for kind in kinds]
    rows = [("P@100, 1,000 documents as queries", "same package", "same module")]
    for title, found, name in (
        (f"codes of {-(-collection.n_bits // 8)} bytes, Hamming distance", hashed, "precision"),
        ("TF-IDF cosine of the whole text", cosine, "precision"),
        ("a random order", hashed, "precision_random"),
    ):
        by_package, by_module = (f"{one.figures[name]:.3f}" for one in found)
        rows.append((title, by_package, by_module))
    click.echo()
    echo_table(rows, [False, True, True])


def _show_answers(collection: Collection) -> None:
    for query, hits in zip(QUERIES, collection.search(QUERIES, k=SHOWN), strict=True):
        click.echo(f"\n{bold(query)}")
        for line in HitTable(hits, query_words(collection, query).known, terminal_width()).lines():
            click.echo(line)
