"""Time what a user waits for: imports, help, a one-shot search, encoding and a thousand queries.

    python -m benchmarks.journey

Corpus: the 50,000 abstracts of ``arxiv-0``; for the one-shot search they are added again under other
ids, which makes 100,000 documents. Every command is a fresh process, run several times; medians and the
whole spread are kept, with the machine's load while it ran, in ``benchmarks/results/journey.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.records import DATA, RESULTS, environment, write
from nphash import Collection, HammingIndex
from nphash.corpus import read_documents

RESULT = RESULTS / "journey.json"
WARM = 20  # searches until compiled code is worth loading
QUERY = "superconducting phase transition in thin films"


def seconds(action: Callable[[], Any], runs: int) -> dict[str, float]:
    """Return the median and the spread of an action's wall time."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return {"median": median(times), "least": min(times), "most": max(times), "runs": runs}


def process(*words: str) -> Callable[[], None]:
    """Return an action that runs a fresh Python process."""

    def run() -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return run


def commands(folder: Path, corpus: str, epochs: int) -> Path:
    """Fit a collection of 100,000 documents with the command line and return its folder."""
    collection = folder / "arxiv.nphash"
    fit = ["fit", corpus, "-o", str(collection), "--epochs", str(epochs), "--bits", "64", "--quiet"]
    process("-m", "nphash", *fit)()
    documents = list(read_documents(corpus))
    again = folder / "again.jsonl"
    with again.open("w", encoding="utf-8") as file:
        for document in documents:
            row = {"id": f"{document.id}-again", "text": document.text, "labels": document.labels}
            file.write(json.dumps(row) + "\n")
    process("-m", "nphash", "add", str(collection), str(again), "--quiet")()
    return collection


def encoding(path: Path, texts: list[str], runs: int) -> dict[str, Any]:
    """Time vectorizing, encoding and a thousand queries in one process, kernels compiled before."""
    with Collection.open(path) as collection:
        X = collection.vectorizer.transform(texts)
        codes = collection.hasher.transform(X)
        index = HammingIndex(collection.n_bits)
        index.add(codes)
        queries = codes[:: len(codes) // 1000][:1000]
        for _ in range(WARM):
            index.search(queries, 10)
        return {
            "documents": len(texts),
            "vectorize": seconds(lambda: collection.vectorizer.transform(texts), runs),
            "encode": seconds(lambda: collection.hasher.transform(X), runs),
            "search 1,000 queries, k = 10": seconds(lambda: index.search(queries, 10), runs),
            "search 1,000 queries, k = 100": seconds(lambda: index.search(queries, 100), runs),
        }


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA)
@click.option("--epochs", default=2, help="Of the model that encodes; its quality does not matter here.")
@click.option("--runs", default=7)
def main(data: Path, epochs: int, runs: int) -> None:
    """Measure and write benchmarks/results/journey.json."""
    corpus = str(data / "arxiv-0.jsonl.gz")
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        collection = commands(Path(name), corpus, epochs)
        search = ["-m", "nphash", "search", str(collection), QUERY]
        figures: dict[str, Any] = {
            "python -c pass": seconds(process("-c", "pass"), runs),
            "import nphash": seconds(process("-c", "import nphash"), runs),
            "nphash --help": seconds(process("-m", "nphash", "--help"), runs),
            "nphash search, 100,000 documents": seconds(process(*search), runs),
            "arxiv-0": encoding(collection, [document.text for document in read_documents(corpus)], runs),
        }
    about = {
        "command": "python -m benchmarks.journey",
        "unit": "seconds of wall time",
        "load before and after": [load_before, os.getloadavg()],
        "processors": os.cpu_count(),
    }
    write(RESULT, {**about, **figures, **environment()})
    click.echo(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
