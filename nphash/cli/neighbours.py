"""``nphash neighbours``: the nearest other documents of every document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from nphash.cli import display
from nphash.cli.joining import documents_in_order, join_progress
from nphash.cli.options import (
    collection_argument,
    k_option,
    open_collection,
    quiet_option,
    threads_option,
    use_threads,
)
from nphash.cli.output import (
    Writer,
    chosen_format,
    echo_table,
    format_option,
    note,
    output_file,
    refuse_existing,
)
from nphash.core.disk import replacing, writing
from nphash.errors import UsageError

__all__ = ["command"]

FIELDS = ("id", "rank", "neighbour", "distance")


@click.command()
@collection_argument
@k_option(10, "Neighbours a document.  [default: 10]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a .npz file instead.")
@click.option("--force", is_flag=True, help="Overwrite the file that is there.")
@format_option
@threads_option
@quiet_option
def command(
    directory: Path, k: int, output: Path | None, force: bool, threads: int | None, **options: Any
) -> None:
    """Write the neighbour graph: the nearest other documents of each document.

    On standard output one record a pair: id, rank, neighbour, distance. A .npz file holds the
    arrays ids (n), neighbours (n, k: rows of ids) and distances (n, k).
    """
    output = output_file(output)
    if output is not None:
        if output.suffix != ".npz":
            raise UsageError(
                f"{output} does not end in .npz", "name a .npz file, or leave -o out for JSON lines"
            )
        refuse_existing(output, force)
    use_threads(threads)
    with open_collection(directory) as collection:
        if len(collection) < 2:
            note("a collection of fewer than two documents has no neighbours", options["quiet"])
            return
        distances, positions = collection.index.search_self(k, progress=join_progress(options["quiet"]))
        own = collection.segments.live_positions()
        ids = [document.id for document in documents_in_order(collection, own.tolist())]
        rows = np.searchsorted(own, positions)  # positions of removed documents are not among them
        if output is None:
            _show(ids, rows, distances, chosen_format(options["output_format"]))
        else:
            _write(output, {"ids": np.array(ids), "neighbours": rows, "distances": distances})
            note(f"{output}: {len(ids):,} documents, {rows.shape[1]} neighbours each", options["quiet"])


def _show(ids: list[str], rows: Any, distances: Any, form: str) -> None:
    records = (
        {"id": ids[i], "rank": rank, "neighbour": ids[row], "distance": distance}
        for i in range(len(ids))
        for rank, (row, distance) in enumerate(zip(rows[i].tolist(), distances[i].tolist(), strict=True), 1)
    )
    if form == "table":
        cells = [[display.clean(str(record[name])) for name in FIELDS] for record in records]
        echo_table([FIELDS, *cells], [False, True, False, True])
        return
    writer = Writer(form, FIELDS)
    for record in records:
        writer.write(record)


def _write(path: Path, arrays: dict[str, Any]) -> None:
    with writing(path.parent), replacing(path) as file:
        np.savez(file, **arrays)
