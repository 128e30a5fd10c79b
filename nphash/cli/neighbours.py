"""``nphash duplicates`` and ``nphash neighbours``: all documents of a collection compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

import nphash
from nphash.cli import options as shared
from nphash.cli import output as out
from nphash.cli.progress import compared
from nphash.core.disk import replacing, writing
from nphash.errors import UsageError

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.core.typing import Array, Ints
    from nphash.corpus import Document

FIELDS = ("group", "size", "id", "distance", "similarity", "same_text", "labels", "snippet")
PAIR_FIELDS = ("id", "rank", "neighbour", "distance")
WIDEST_ID = 255  # characters; an array of strings has as many for each
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 1000  # documents of a group whose ids are aligned
COMPARED = "texts compared: {:,} of {:,} documents"

DUPLICATES = """Find groups of documents with the same or nearly the same code.

A document belongs to a group if it is within --radius of any other of it, so the ends of a
group may differ in more bits. The first of a group is the one added first; distances and
similarities (TF-IDF cosine of the texts, from 0 to 1) are from it.

Codes bring together what is merely similar, short ones above all. --min-similarity divides the
groups by their texts.
"""

NEIGHBOURS = """Write the neighbour graph: the nearest other documents of each document.

On standard output one record a pair: id, rank, neighbour, distance. A .npz file holds the
arrays ids (n), neighbours (n, k: rows of ids) and distances (n, k). Where an id has more than
255 characters, the ids are one text in UTF-8, ids_utf8, and the places where each ends, ids_end (n).
"""


@click.command(help=DUPLICATES)
@shared.collection_argument
@click.option(
    "--radius",
    type=shared.Whole(min=0),
    default=0,
    show_default=True,
    help="Codes that differ in at most so many bits belong together.",
)
@click.option(
    "--min-similarity",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True),
    help="Only texts with this TF-IDF cosine, such as 0.9, belong together; 1: the same words.",
)
@out.format_option
@shared.threads_option
@shared.quiet_option
def duplicates(
    directory: Path, radius: int, min_similarity: float | None, output_format: str | None, quiet: bool
) -> None:
    """Run ``nphash duplicates``."""
    with nphash.Collection.open(directory) as collection:
        members = _members(collection, radius, min_similarity, quiet)
        n_groups = members[-1].group if members else 0
        out.note(_summary(members, n_groups, radius, min_similarity), quiet)
        form = out.chosen_format(output_format)
        (_show_table if form == "table" else _show_records)(collection, members, form)


class Member(NamedTuple):
    """A document of a group."""

    group: int  # from 1, in the order of their first documents
    size: int
    position: int
    distance: int  # from the first of the group
    similarity: float  # with the first of the group
    same_text: bool  # as another of the group


def _members(collection: Collection, radius: int, least: float | None, quiet: bool) -> list[Member]:
    grouping = nphash.collection.grouping
    groups = grouping.code_groups(collection, radius, compared(quiet))
    if least is not None:
        groups = grouping.text_groups(collection, groups, least, compared(quiet, COMPARED))
    like = grouping.group_similarity(collection, groups, compared(quiet, COMPARED))
    members: list[Member] = []
    for number, positions in enumerate(groups, start=1):
        codes = collection.segments.codes_at(positions)
        distances = nphash.codes.hamming_distances(codes[:1], codes)[0]
        mine = slice(len(members), len(members) + len(positions))
        figures = distances.tolist(), like.similarity[mine].tolist(), like.same_text[mine].tolist()
        members += [
            Member(number, len(positions), *of_one)
            for of_one in zip(positions.tolist(), *figures, strict=True)
        ]
    return members


def _summary(members: Sequence[Member], n_groups: int, radius: int, least: float | None) -> str:
    """Return what was found in a sentence: what shares a code need not be the same."""
    what = f"with codes within {out.many(radius, 'bit')}" if radius else "with the same code"
    if least is not None:
        what += f" and texts of similarity {least:g} or more"
    copies = sum(member.same_text for member in members)
    said = f"{out.many(copies, 'document')} have the same text as another of the group"  # never one alone
    return f"{out.many(n_groups, 'group')} {what}; {said}"


def _show_records(collection: Collection, members: list[Member], form: str) -> None:
    writer = out.Writer(form, FIELDS)
    documents = shared.documents_in_order(collection, [member.position for member in members])
    for member, document in zip(members, documents, strict=True):
        found = {**member._asdict(), "similarity": round(member.similarity, 6), "id": document.id}
        found |= {"labels": list(document.labels), "snippet": out.snippet(document.text, [], SNIPPET)}
        writer.write({name: found[name] for name in FIELDS})


def _show_table(collection: Collection, members: list[Member], form: str) -> None:
    columns = out.terminal_width()
    copies: dict[int, int] = {}
    for member in members:
        copies[member.group] = copies.get(member.group, 0) + member.same_text
    documents = shared.documents_in_order(collection, [member.position for member in members])
    pairs = zip(members, documents, strict=True)
    for (group, size), of_group in groupby(pairs, lambda pair: (pair[0].group, pair[0].size)):
        same = f", {copies[group]:,} with the same text as another" if copies[group] else ""
        click.echo(("\n" if group > 1 else "") + f"group {group}: {out.many(size, 'document')}{same}")
        while block := list(islice(of_group, AT_ONCE)):
            _show_block(block, columns)


def _show_block(block: Sequence[tuple[Member, Document]], columns: int) -> None:
    """Write documents of a group, distance and similarity first, with their ids in one column."""
    ids = [out.fit_width(out.clean(found.id), columns // 3, keep_end=True) for _, found in block]
    rows = [
        (f"{member.distance:5}", f"{member.similarity:.2f}", id_, "|")
        for (member, _), id_ in zip(block, ids, strict=True)
    ]
    starts = out.table(rows, [True, True, False, False])
    for start, (_, document) in zip(starts, block, strict=True):
        start = start.removesuffix("|")
        text = out.snippet(document.text, [], max(10, columns - out.width(start))) or "(no text)"
        click.echo(out.fit_width(start + text, columns))


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
