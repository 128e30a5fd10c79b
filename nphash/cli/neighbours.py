"""``nphash duplicates`` and ``nphash neighbours``: all documents of a collection compared with each other."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import click

import nphash
from nphash.cli import options as shared
from nphash.cli import output as out
from nphash.cli.progress import compared
from nphash.core.disk import replacing, writing
from nphash.errors import UsageError

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.collection.grouping import GroupSimilarity, Match, Redundant, Texts
    from nphash.core.typing import Array, Ints
    from nphash.corpus import Document

    F = TypeVar("F", bound="Member | Match | Redundant")
    Pairs: TypeAlias = Iterator[tuple[F, Document]]

FIELDS = ("group", "size", "id", "distance", "similarity", "same_text", "labels", "snippet")
MATCH_FIELDS = ("id", "match", "similarity", "same_text", "labels", "snippet")
DROP_FIELDS = ("id", "kept", "similarity", "same_text")
PREVIEW_FIELDS = ("groups", "documents", "largest")
PAIR_FIELDS = ("id", "rank", "neighbour", "distance")
WIDEST_ID = 255  # characters; an array of strings has as many for each
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 1000  # documents of a group whose ids are aligned
READ = "texts read: {:,} of {:,} documents"
LEAST = 0.95  # spelled out, so that --help imports no collection; a test compares

DUPLICATES = """Find groups of documents with the same or nearly the same text.

A document belongs to a group if its text is similar enough (TF-IDF cosine, from 0 to 1) to that
of any other of it. The first of a group is the one added first; similarities, and distances of
the codes in bits, are from it. --preview shows how many groups other thresholds give.

--keep writes ids to drop instead, each near a document that is kept:

\b
nphash duplicates DIR --keep first | nphash remove DIR -

--against asks which documents of DIR the collection OTHER has already. --radius alone groups by
codes: quick for millions, but short ones bring together what is merely about the same.
"""

NEIGHBOURS = """Write the neighbour graph: the nearest other documents of each document.

On standard output one record a pair: id, rank, neighbour, distance. A .npz file holds the
arrays ids (n), neighbours (n, k: rows of ids) and distances (n, k). Where an id has more than
255 characters, the ids are one text in UTF-8, ids_utf8, and the places where each ends, ids_end (n).
"""


@click.command(help=DUPLICATES)
@shared.collection_argument
@click.option(
    "--min-similarity",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True),
    help="Texts with this TF-IDF cosine belong together; 1: the same words.  [default: 0.95]",
)
@click.option(
    "--radius",
    type=shared.Whole(min=0),
    help="Codes must not differ in more bits; without --min-similarity that is enough.",
)
@click.option("--preview", is_flag=True, help="Show how many groups each threshold gives.")
@click.option(
    "--keep",
    type=click.Choice(["first", "longest", "newest"]),
    help="Write the ids of all but these of what is similar, one a line.",
)
@click.option(
    "--against",
    metavar="OTHER",
    type=click.Path(path_type=Path),
    help="Find the documents of DIR that are in this collection; with --keep first, ids to drop.",
)
@out.format_option
@shared.threads_option
@shared.quiet_option
def duplicates(
    directory: Path,
    min_similarity: float | None,
    radius: int | None,
    preview: bool,
    keep: str | None,
    against: Path | None,
    output_format: str | None,
    quiet: bool,
) -> None:
    """Run ``nphash duplicates``."""
    if preview and (keep or against or min_similarity):
        raise click.UsageError(
            "--preview is for all thresholds: leave out --keep, --against, --min-similarity."
        )
    with nphash.Collection.open(directory) as collection:
        if against is not None:
            if radius is not None or keep not in (None, "first"):
                raise click.UsageError(
                    "--against compares texts, and OTHER is kept: no --radius or other --keep."
                )
            _show_matches(collection, against, min_similarity or LEAST, keep, output_format, quiet)
            return
        least = LEAST if min_similarity is None and radius is None else min_similarity
        if preview:
            _show_preview(collection, radius, out.chosen_format(output_format), quiet)
            return
        found = _find(collection, radius, least, quiet)
        if keep is not None:
            _show_drops(collection, found, keep, output_format, quiet)
            return
        out.note(_summary(found), quiet)
        form = out.chosen_format(output_format)
        (_show_table if form == "table" else _show_records)(collection, found, form)


class Found(NamedTuple):
    """Groups of similar documents."""

    groups: list[Ints]  # positions
    texts: Texts
    like: GroupSimilarity  # of all groups
    radius: int | None
    least: float | None


def _find(collection: Collection, radius: int | None, least: float | None, quiet: bool) -> Found:
    grouping = nphash.collection.grouping
    groups = None if radius is None else grouping.code_groups(collection, radius, compared(quiet))
    texts = grouping.Texts(collection, groups, compared(quiet, READ))
    if groups is None or least is not None:
        groups = texts.groups(least or LEAST)
    return Found(groups, texts, texts.similarity(groups), radius, least)


def _summary(found: Found) -> str:
    """Return what was found in a sentence: what shares a code need not be the same."""
    codes = (
        "with the same code"
        if found.radius == 0
        else f"with codes within {out.many(found.radius or 0, 'bit')}"
    )
    texts = f"texts of similarity {found.least:g} or more" if found.least is not None else ""
    what = f"with {texts}" if found.radius is None else " and ".join(filter(None, (codes, texts)))
    said = out.many(int(found.like.same_text.sum()), "document")  # never one alone
    return f"{out.many(len(found.groups), 'group')} {what}; {said} have the same text as another of the group"


class Member(NamedTuple):
    """A document of a group."""

    group: int  # from 1, in the order of their first documents
    size: int
    position: int
    distance: int  # from the first of the group
    similarity: float  # with the first of the group
    same_text: bool  # as another of the group


def _members(collection: Collection, found: Found) -> Iterator[Member]:
    """Yield the documents of all groups."""
    start = 0
    for number, positions in enumerate(found.groups, start=1):
        codes = collection.segments.codes_at(positions)
        distances = nphash.codes.hamming_distances(codes[:1], codes)[0]
        mine, start = slice(start, start + len(positions)), start + len(positions)
        figures = found.like.similarity[mine].tolist(), found.like.same_text[mine].tolist()
        for of_one in zip(positions.tolist(), distances.tolist(), *figures, strict=True):
            yield Member(number, len(positions), *of_one)


def _with_documents(collection: Collection, found: Iterable[F]) -> Pairs[F]:
    """Yield what has a position with its document, reading a thousand at a time."""
    found = iter(found)
    while block := list(islice(found, AT_ONCE)):
        documents = collection.segments.documents_at([one.position for one in block])
        for one in block:
            yield one, documents[one.position]


def _record(one: Member | Match | Redundant, document: Document, columns: int = SNIPPET) -> dict[str, Any]:
    figures = {**one._asdict(), "similarity": round(one.similarity, 6)}
    text = out.snippet(document.text, [], columns)
    return {**figures, "id": document.id, "labels": list(document.labels), "snippet": text}


def _show_records(collection: Collection, found: Found, form: str) -> None:
    writer = out.Writer(form, FIELDS)
    for member, document in _with_documents(collection, _members(collection, found)):
        record = _record(member, document)
        writer.write({name: record[name] for name in FIELDS})


def _show_table(collection: Collection, found: Found, form: str) -> None:
    columns = out.terminal_width()
    ends = [0, *accumulate(map(len, found.groups))]
    pairs = _with_documents(collection, _members(collection, found))
    for (group, size), of_group in groupby(pairs, lambda pair: (pair[0].group, pair[0].size)):
        copies = int(found.like.same_text[ends[group - 1] : ends[group]].sum())
        same = f", {copies:,} with the same text as another" if copies else ""
        click.echo(("\n" if group > 1 else "") + f"group {group}: {out.many(size, 'document')}{same}")
        while block := list(islice(of_group, AT_ONCE)):
            starts = [(f"{member.distance:5}", f"{member.similarity:.2f}") for member, _ in block]
            _show_block(starts, [document for _, document in block], columns)


def _show_block(starts: Sequence[tuple[str, ...]], documents: Sequence[Document], columns: int) -> None:
    """Write documents behind what is known of them, with their ids in one column."""
    ids = [out.fit_width(out.clean(found.id), columns // 3, keep_end=True) for found in documents]
    rows = [(*start, id_, "|") for start, id_ in zip(starts, ids, strict=True)]
    lines = out.table(rows, [True, True, False, False])
    for line, document in zip(lines, documents, strict=True):
        start = line.removesuffix("|")
        text = out.snippet(document.text, [], max(10, columns - out.width(start))) or "(no text)"
        click.echo(out.fit_width(start + text, columns))


def _show_preview(collection: Collection, radius: int | None, form: str, quiet: bool) -> None:
    grouping = nphash.collection.grouping
    found: Iterable[tuple[float, list[Ints]]]
    if radius is None:
        texts = grouping.Texts(collection, None, compared(quiet, READ))
        thresholds = grouping.THRESHOLDS
        what, found = "min_similarity", zip(thresholds, texts.preview(thresholds), strict=True)
    else:
        what, found = "radius", ((r, grouping.code_groups(collection, r)) for r in range(radius + 1))
    sizes = ((at, [len(group) for group in groups]) for at, groups in found)
    records = (
        {what: at, "groups": len(of), "documents": sum(of), "largest": max(of, default=0)} for at, of in sizes
    )
    out.write_records(records, form, (what, *PREVIEW_FIELDS), [True] * 4)


def _show_drops(collection: Collection, found: Found, keep: str, form: str | None, quiet: bool) -> None:
    """Write what can go."""
    near = nphash.collection.grouping.nearness(collection, found.radius, found.least)
    drops = [one for group in found.groups for one in found.texts.redundant(group, keep, near)]
    kept = _with_documents(collection, [one._replace(position=one.kept) for one in drops])
    _write(_with_documents(collection, drops), kept, form, DROP_FIELDS, ids=form is None)
    what = f"{out.many(len(drops), 'document')} to drop"
    out.note(f"{what}: {sum(one.same_text for one in drops):,} with the same text as one that stays", quiet)


def _show_matches(
    collection: Collection, against: Path, found_with: float, keep: str | None, form: str | None, quiet: bool
) -> None:
    """Write the documents that another collection has too."""
    grouping = nphash.collection.grouping
    with nphash.Collection.open(against) as other:
        if other.path.samefile(collection.path):
            raise UsageError(f"{against} is the collection itself", "leave --against out, or name another")
        texts = grouping.Texts(collection, None, compared(quiet, READ))
        found = list(grouping.matches(texts, other, found_with, compared(quiet, READ)))
        out.note(
            f"{len(found):,} of {out.many(len(collection), 'document')} are in {against}, of similarity "
            f"{found_with:g} or more: {sum(match.same_text for match in found):,} with the same text",
            quiet,
        )
        theirs = _with_documents(other, [match._replace(position=match.other) for match in found])
        ids = keep is not None and form is None
        _write(_with_documents(collection, found), theirs, form, MATCH_FIELDS, ids)


def _write(found: Pairs[F], others: Pairs[F], form: str | None, fields: Sequence[str], ids: bool) -> None:
    """Write documents with the ids of those that they are like, or their own ids alone, one a line."""
    form = out.chosen_format(form)
    short = form == "table" and out.terminal_width() // 3

    def records() -> Iterator[dict[str, Any]]:
        for (one, document), (_, other) in zip(found, others, strict=True):
            record = _record(one, document, short or SNIPPET) | {"kept": other.id, "match": other.id}
            yield {name: record[name] for name in fields}

    if not ids:
        out.write_records(records(), form, fields, [False] * len(fields))
        return
    n_skipped = 0
    for _, document in found:
        if document.id != document.id.strip() or len(document.id.splitlines()) != 1:  # read as others
            n_skipped += 1
            continue
        click.echo(out.printable(document.id) if sys.stdout.isatty() else document.id)
    if n_skipped:
        out.note(
            f"{out.many(n_skipped, 'id')} cannot stand on a line and is left out: --format jsonl has all"
        )


@click.command(help=NEIGHBOURS)
@shared.collection_argument
@shared.k_option(10, "Neighbours a document.  [default: 10]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a .npz file instead.")
@shared.force_option
@out.format_option
@shared.threads_option
@shared.quiet_option
def command(
    directory: Path, k: int, output: Path | None, force: bool, output_format: str | None, quiet: bool
) -> None:
    """Run ``nphash neighbours``."""
    import numpy as np

    output = out.output_file(output)
    if output is not None:
        if output.suffix != ".npz":
            raise UsageError(
                f"{output} does not end in .npz", "name a .npz file, or leave -o out for JSON lines"
            )
        out.refuse_existing(output, force)
    with nphash.Collection.open(directory) as collection:
        if len(collection) < 2:
            out.note("a collection of fewer than two documents has no neighbours", quiet)
            return
        distances, positions = collection.index.search_self(k, progress=compared(quiet))
        own = collection.segments.live_positions()
        ids = [document.id for document in shared.documents_in_order(collection, own.tolist())]
        rows = own.searchsorted(positions)  # positions of removed documents are not among them
        if output is None:
            records = _pairs(ids, rows, distances)
            out.write_records(
                records, out.chosen_format(output_format), PAIR_FIELDS, [False, True, False, True]
            )
        else:
            with writing(output), replacing(output) as file:
                np.savez(file, **_id_arrays(ids), neighbours=rows, distances=distances)  # type: ignore[arg-type]
            out.note(f"{output}: {len(ids):,} documents, {rows.shape[1]} neighbours each", quiet)


def _id_arrays(ids: list[str]) -> dict[str, Array]:
    """Return ids as arrays for a file without pickle: strings of one width, unless one of them is long."""
    import numpy as np

    if max(map(len, ids)) <= WIDEST_ID:
        return {"ids": np.array(ids)}
    encoded = [id_.encode("utf-8", "surrogatepass") for id_ in ids]
    ends = np.cumsum([len(id_) for id_ in encoded])
    return {"ids_utf8": np.frombuffer(b"".join(encoded), np.uint8), "ids_end": ends}


def _pairs(ids: list[str], rows: Ints, distances: Array) -> Iterator[dict[str, str | int]]:
    """Yield a record for each document and each of its neighbours."""
    for id_, of_one, at in zip(ids, rows.tolist(), distances.tolist(), strict=True):
        for rank, (row, distance) in enumerate(zip(of_one, at, strict=True), start=1):
            yield {"id": id_, "rank": rank, "neighbour": ids[row], "distance": distance}
