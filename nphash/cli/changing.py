"""``nphash add``, ``update``, ``remove`` and ``compact``: changes of what is in a collection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import nphash
from nphash.cli import options as shared
from nphash.cli.output import many, note, note_wordless
from nphash.cli.progress import counted_documents

if TYPE_CHECKING:
    from nphash.corpus import Document, Matrix, ReadOptions

ADD = """Add documents to a collection.

CORPUS is anything that 'nphash fit' reads. The documents are encoded by the model as it is;
nothing is learned from them. All of them are added or, on any error, none.

Documents without ids get them from file name and line (stdin:1 in a pipe). Another file of that name
needs --id-prefix; --if-exists skips or replaces by such an id only what has the same text.
"""

UPDATE = """Make a collection hold what a corpus holds now.

Documents that are new are added, those that have changed (text, labels, split or fields) are
replaced, and those that are no longer in CORPUS are removed, all in one step or, on any error, not
at all. CORPUS must be the whole of it, named as before: ids are compared. If more than half of
the documents were to go, nothing is done without --force. Nothing is learned.

Where nothing has changed nothing is written, so it can be run as often as you like; --wait lets it
wait for another writer.
"""

REMOVE = """Remove documents from a collection by id.

With - each line of standard input is an id, with the blanks it has; so an id that is - itself can be
given. Removed documents are no longer found, but their text stays in its file until --compact (which
also works without IDS) rewrites it.
"""

COMPACT = """Rewrite the files of a collection as one run, without removed documents.

A collection that an older version made gets its index of words by it.
"""


@click.command(cls=shared.Sectioned, help=ADD)
@shared.collection_argument
@click.argument("corpus")
@click.option(
    "--if-exists",
    type=click.Choice(["error", "skip", "replace"]),
    default="error",
    show_default=True,
    help="What to do with a document whose id is in the collection.",
)
@click.option("--id-prefix", metavar="TEXT", help="Put TEXT before each id.")
@shared.wait_option
@shared.threads_option
@shared.reader_options
@shared.quiet_option
def add(
    directory: Path,
    corpus: str,
    if_exists: str,
    id_prefix: str | None,
    wait: float,
    reading: ReadOptions,
    quiet: bool,
) -> None:
    """Run ``nphash add``."""
    with nphash.Collection.open(directory) as collection:
        documents = counted_documents(shared.read(corpus, reading, collection.manifest.corpus), quiet)
        if id_prefix is not None:
            documents = _prefixed(documents, id_prefix)
        report = collection.add(documents, on_duplicate=if_exists, wait=wait)
        said = [f"{report.added:,} added"]
        said += [f"{report.replaced:,} of them replaced older ones"] if report.replaced else []
        said += [f"{report.skipped:,} skipped"] if report.skipped else []
        note(f"{', '.join(said)}; {many(len(collection), 'document')} in {directory}", quiet)
        note_wordless(report.without_words, quiet, of_them=True)


@click.command(cls=shared.Sectioned, help=UPDATE)
@shared.collection_argument
@click.argument("corpus")
@click.option("--force", is_flag=True, help="Remove also more than half of the documents.")
@shared.wait_option
@shared.threads_option
@shared.reader_options
@shared.quiet_option
def update(directory: Path, corpus: str, force: bool, wait: float, reading: ReadOptions, quiet: bool) -> None:
    """Run ``nphash update``."""
    with nphash.Collection.open(directory) as collection:
        documents = counted_documents(shared.read(corpus, reading, collection.manifest.corpus), quiet)
        report = collection.update(documents, force=force, wait=wait)
        new = report.added - report.replaced
        said = f"{new:,} added, {report.replaced:,} changed, {report.removed:,} removed"
        note(f"{said}; {many(len(collection), 'document')} in {directory}", quiet)
        note_wordless(report.without_words, quiet, of_them=True)


def _prefixed(documents: Iterator[Document] | Matrix, prefix: str) -> Iterator[Document] | Matrix:
    """Put `prefix` before each id; who names a batch knows which ids are in it, so none is generated now."""
    if isinstance(documents, Iterator):
        return (replace(document, id=prefix + document.id, generated_id=False) for document in documents)
    return replace(documents, ids=[prefix + id_ for id_ in documents.ids], generated_id=False)


@click.command(help=REMOVE)
@shared.collection_argument
@click.argument("ids", nargs=-1)
@click.option("--ignore-missing", is_flag=True, help="Pass over ids that are not in the collection.")
@click.option("--compact", is_flag=True, help="Rewrite the files without the removed text.")
@shared.wait_option
@shared.quiet_option
def remove(
    directory: Path, ids: tuple[str, ...], ignore_missing: bool, compact: bool, wait: float, quiet: bool
) -> None:
    """Run ``nphash remove``."""
    if not ids and not compact:
        raise click.UsageError("Give IDS, - to read them from standard input, or --compact.")
    with nphash.Collection.open(directory) as collection:
        if ids:
            gone = list(shared.read_from_arguments(ids, ids=True))
            count = collection.remove(gone, ignore_missing=ignore_missing, wait=wait)
            note(f"{count:,} removed; {many(len(collection), 'document')} in {directory}", quiet)
        if compact:
            collection.compact(wait=wait)
            note(f"compacted: {many(len(collection), 'document')} in {directory}", quiet)


@click.command(help=COMPACT)
@shared.collection_argument
@shared.wait_option
@shared.quiet_option
def compact(directory: Path, wait: float, quiet: bool) -> None:
    """Run ``nphash compact``."""
    with nphash.Collection.open(directory) as collection:
        collection.compact(wait=wait)
        note(f"compacted: {many(len(collection), 'document')} in {directory}", quiet)
