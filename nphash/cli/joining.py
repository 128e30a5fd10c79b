"""What the commands have in common that compare all documents of a collection with each other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from nphash.cli.progress import SECONDS_BETWEEN_UPDATES

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.corpus import Document

__all__ = ["documents_in_order", "join_progress"]

AT_ONCE = 1000


def join_progress(
    quiet: bool, shows: str = "compared: {:,} of {:,} documents"
) -> Callable[[int, int], None] | None:
    """Return a callback that shows on a terminal how much of all was done, or None."""
    if quiet or not sys.stderr.isatty():
        return None
    shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > SECONDS_BETWEEN_UPDATES or done == total:
            shown = now
            end = "\n" if done == total else ""
            click.echo(f"\r{shows.format(done, total)}{end}", err=True, nl=False)

    return show


def documents_in_order(collection: Collection, positions: Sequence[int]) -> Iterator[Document]:
    """Yield the documents at positions of the index, reading a thousand at a time."""
    for start in range(0, len(positions), AT_ONCE):
        block = positions[start : start + AT_ONCE]
        found = collection.segments.documents_at(block)
        for position in block:
            yield found[position]
