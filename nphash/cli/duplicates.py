"""``nphash duplicates``: groups of documents with nearly the same code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt

from nphash.cli import display
from nphash.cli.joining import documents_in_order, join_progress
from nphash.cli.options import (
    Whole,
    collection_argument,
    open_collection,
    quiet_option,
    threads_option,
    use_threads,
)
from nphash.cli.output import Writer, chosen_format, format_option, many, note

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.corpus import Document

__all__ = ["Member", "command", "groups_of"]

FIELDS = ("group", "size", "id", "distance", "labels", "snippet")
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 1000  # documents of a group whose ids are aligned


@click.command()
@collection_argument
@click.option(
    "--radius",
    type=Whole(min=0),
    default=0,
    show_default=True,
    help="Codes that differ in at most so many bits belong together.",
)
@format_option
@threads_option
@quiet_option
def command(
    directory: Path, radius: int, output_format: str | None, threads: int | None, quiet: bool
) -> None:
    """Find groups of documents with the same or nearly the same code.

    A document belongs to a group if it is within --radius of any other of it, so the ends of a
    group may be further apart. The first of a group is the one added first; distances are from
    it. The codes are judged, not the texts: short codes bring together what is merely similar.
    """
    use_threads(threads)
    with open_collection(directory) as collection:
        members = _members(collection, radius, quiet)
        n_groups = members[-1].group if members else 0
        extra = many(len(members) - n_groups, "document")
        note(f"{many(n_groups, 'group')}, {extra} too many", quiet)
        form = chosen_format(output_format)
        (_show_table if form == "table" else _show_records)(collection, members, form)


class Member(NamedTuple):
    """A document of a group."""

    group: int  # from 1, in the order of their first documents
    size: int
    position: int
    distance: int  # from the first of the group


def groups_of(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the connected groups that pairs of positions make; each ascending, ordered by their first.

    Examples
    --------
    >>> [group.tolist() for group in groups_of(np.array([7, 1, 3]), np.array([9, 3, 5]))]
    [[1, 3, 5], [7, 9]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    positions, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    if not len(positions):
        return []
    pairs = numbers[: len(first)], numbers[len(first) :]
    graph = coo_array((np.ones(len(first), np.int8), pairs), shape=(len(positions),) * 2)
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    return sorted(np.split(positions[order].astype(np.int64), cuts), key=lambda members: int(members[0]))


def _members(collection: Collection, radius: int, quiet: bool) -> list[Member]:
    if not len(collection):
        return []
    first, second, _ = collection.index.self_join(radius, progress=join_progress(quiet))
    members = []
    for number, positions in enumerate(groups_of(first, second), start=1):
        codes = collection.segments.codes_at(positions)
        distances = np.bitwise_count(codes ^ codes[0]).sum(axis=1)
        members += [
            Member(number, len(positions), *pair)
            for pair in zip(positions.tolist(), distances.tolist(), strict=True)
        ]
    return members


def _show_records(collection: Collection, members: list[Member], form: str) -> None:
    writer = Writer(form, FIELDS)
    documents = documents_in_order(collection, [member.position for member in members])
    for member, document in zip(members, documents, strict=True):
        record = {"group": member.group, "size": member.size, "id": document.id, "distance": member.distance}
        beginning = display.snippet(document.text, [], SNIPPET)
        writer.write({**record, "labels": list(document.labels), "snippet": beginning})


def _show_table(collection: Collection, members: list[Member], form: str) -> None:
    columns = display.terminal_width()
    documents = documents_in_order(collection, [member.position for member in members])
    pairs = zip(members, documents, strict=True)
    for (group, size), of_group in groupby(pairs, lambda pair: (pair[0].group, pair[0].size)):
        click.echo(("\n" if group > 1 else "") + f"group {group}: {many(size, 'document')}")
        while block := list(islice(of_group, AT_ONCE)):
            _show_block(block, columns)


def _show_block(block: Sequence[tuple[Member, Document]], columns: int) -> None:
    """Write documents of a group with their ids in one column."""
    ids = [display.fit_width(display.clean(found.id), columns // 3, keep_end=True) for _, found in block]
    starts = display.table(
        [(f"{member.distance:5}", id_, "|") for (member, _), id_ in zip(block, ids, strict=True)],
        [True, False, False],
    )
    for start, (_, document) in zip(starts, block, strict=True):
        start = start.removesuffix("|")
        text = display.snippet(document.text, [], max(10, columns - display.width(start))) or "(no text)"
        click.echo(display.fit_width(start + text, columns))
