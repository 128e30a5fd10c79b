"""``nphash add``: more documents for a collection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nphash.cli.options import (
    Sectioned,
    collection_argument,
    open_collection,
    quiet_option,
    read,
    reader_options,
    threads_option,
    use_threads,
    wait_option,
)
from nphash.cli.output import many, note, note_wordless
from nphash.cli.progress import counted

if TYPE_CHECKING:
    from nphash.corpus import Document, Matrix, ReadOptions

__all__ = ["command"]


@click.command(cls=Sectioned)
@collection_argument
@click.argument("corpus")
@click.option(
    "--if-exists",
    type=click.Choice(["error", "skip", "replace"]),
    default="error",
    show_default=True,
    help="What to do with a document whose id is in the collection.",
)
@click.option("--id-prefix", metavar="TEXT", help="Put TEXT before each id.")
@wait_option
@threads_option
@reader_options
@quiet_option
def command(
    directory: Path,
    corpus: str,
    if_exists: str,
    id_prefix: str | None,
    wait: float,
    threads: int | None,
    reading: ReadOptions,
    quiet: bool,
) -> None:
    """Add documents to a collection.

    CORPUS is anything that 'nphash fit' reads. The documents are encoded by the model as it is;
    nothing is learned from them. All of them are added or, on any error, none.

    Documents without ids get them from file name and line (stdin:1 in a pipe). Another file of that name
    needs --id-prefix; --if-exists skips or replaces by such an id only what has the same text.
    """
    from nphash.corpus import Matrix

    use_threads(threads)
    with open_collection(directory) as collection:
        documents = read(corpus, reading, collection.manifest.corpus)
        if not isinstance(documents, Matrix):
            documents = counted(documents, "documents read", quiet)
        if id_prefix is not None:
            documents = _prefixed(documents, id_prefix)
        report = collection.add(documents, on_duplicate=if_exists, wait=wait)
        said = [f"{report.added:,} added"]
        said += [f"{report.replaced:,} of them replaced older ones"] if report.replaced else []
        said += [f"{report.skipped:,} skipped"] if report.skipped else []
        note(f"{', '.join(said)}; {many(len(collection), 'document')} in {directory}", quiet)
        note_wordless(report.without_words, quiet, of_them=True)


def _prefixed(documents: Iterator[Document] | Matrix, prefix: str) -> Iterator[Document] | Matrix:
    """Put `prefix` before each id; who names a batch knows which ids are in it, so none is made up now."""
    from nphash.corpus import Matrix

    if isinstance(documents, Matrix):
        return replace(documents, ids=[prefix + id_ for id_ in documents.ids], generated_id=False)
    return (replace(document, id=prefix + document.id, generated_id=False) for document in documents)
