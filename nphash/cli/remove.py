"""``nphash remove``: take documents out of a collection."""

from __future__ import annotations

from pathlib import Path

import click

from nphash.cli.options import (
    collection_argument,
    open_collection,
    quiet_option,
    read_from_arguments,
    wait_option,
)
from nphash.cli.output import many, note

__all__ = ["command"]


@click.command()
@collection_argument
@click.argument("ids", nargs=-1)
@click.option("--ignore-missing", is_flag=True, help="Pass over ids that are not in the collection.")
@click.option("--compact", is_flag=True, help="Rewrite the files without the removed text.")
@wait_option
@quiet_option
def command(
    directory: Path, ids: tuple[str, ...], ignore_missing: bool, compact: bool, wait: float, quiet: bool
) -> None:
    """Remove documents from a collection by id.

    With - each line of standard input is an id. Removed documents are no longer found, but their
    text stays in its file until --compact (which also works without IDS) rewrites it.
    """
    if not ids and not compact:
        raise click.UsageError("Give IDS, - to read them from standard input, or --compact.")
    with open_collection(directory) as collection:
        if ids:
            count = collection.remove(
                list(read_from_arguments(ids)), ignore_missing=ignore_missing, wait=wait
            )
            note(f"{count:,} removed; {many(len(collection), 'document')} in {directory}", quiet)
        if compact:
            collection.compact(wait=wait)
            note(f"compacted: {many(len(collection), 'document')} in {directory}", quiet)
