"""``nphash duplicates``: groups of documents with nearly the same code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

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

__all__ = ["Member", "command"]

FIELDS = ("group", "size", "id", "distance", "similarity", "same_text", "labels", "snippet")
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 1000  # documents of a group whose ids are aligned
COMPARED = "texts compared: {:,} of {:,} documents"


@click.command()
@collection_argument
@click.option(
    "--radius",
    type=Whole(min=0),
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
@format_option
@threads_option
@quiet_option
def command(
    directory: Path,
    radius: int,
    min_similarity: float | None,
    output_format: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Find groups of documents with the same or nearly the same code.

    A document belongs to a group if it is within --radius of any other of it, so the ends of a
    group may be further apart. The first of a group is the one added first; distances and
    similarities (TF-IDF cosine of the texts, from 0 to 1) are from it.

    Codes bring together what is merely similar, short ones above all. --min-similarity divides the
    groups by their texts.
    """
    use_threads(threads)
    with open_collection(directory) as collection:
        members = _members(collection, radius, min_similarity, quiet)
        n_groups = members[-1].group if members else 0
        note(_summary(members, n_groups, radius, min_similarity), quiet)
        form = chosen_format(output_format)
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
    from nphash.collection.grouping import code_groups, group_similarity, text_groups

    groups = code_groups(collection, radius, join_progress(quiet))
    if least is not None:
        groups = text_groups(collection, groups, least, join_progress(quiet, COMPARED))
    like = group_similarity(collection, groups, join_progress(quiet, COMPARED))
    members: list[Member] = []
    for number, positions in enumerate(groups, start=1):
        codes = collection.segments.codes_at(positions)
        distances = np.bitwise_count(codes ^ codes[0]).sum(axis=1)
        mine = slice(len(members), len(members) + len(positions))
        figures = distances.tolist(), like.similarity[mine].tolist(), like.same_text[mine].tolist()
        members += [
            Member(number, len(positions), *of_one)
            for of_one in zip(positions.tolist(), *figures, strict=True)
        ]
    return members


def _summary(members: Sequence[Member], n_groups: int, radius: int, least: float | None) -> str:
    """Return what was found in a sentence: what shares a code need not be the same."""
    what = f"with codes within {many(radius, 'bit')}" if radius else "with the same code"
    if least is not None:
        what += f" and texts of similarity {least:g} or more"
    copies = sum(member.same_text for member in members)
    said = f"{many(copies, 'document')} have the same text as another of the group"  # never one alone
    return f"{many(n_groups, 'group')} {what}; {said}"


def _show_records(collection: Collection, members: list[Member], form: str) -> None:
    writer = Writer(form, FIELDS)
    documents = documents_in_order(collection, [member.position for member in members])
    for member, document in zip(members, documents, strict=True):
        record = {
            "group": member.group,
            "size": member.size,
            "id": document.id,
            "distance": member.distance,
            "similarity": round(member.similarity, 6),
            "same_text": member.same_text,
        }
        beginning = display.snippet(document.text, [], SNIPPET)
        writer.write({**record, "labels": list(document.labels), "snippet": beginning})


def _show_table(collection: Collection, members: list[Member], form: str) -> None:
    columns = display.terminal_width()
    copies: dict[int, int] = {}
    for member in members:
        copies[member.group] = copies.get(member.group, 0) + member.same_text
    documents = documents_in_order(collection, [member.position for member in members])
    pairs = zip(members, documents, strict=True)
    for (group, size), of_group in groupby(pairs, lambda pair: (pair[0].group, pair[0].size)):
        same = f", {copies[group]:,} with the same text as another" if copies[group] else ""
        click.echo(("\n" if group > 1 else "") + f"group {group}: {many(size, 'document')}{same}")
        while block := list(islice(of_group, AT_ONCE)):
            _show_block(block, columns)


def _show_block(block: Sequence[tuple[Member, Document]], columns: int) -> None:
    """Write documents of a group, distance and similarity first, with their ids in one column."""
    ids = [display.fit_width(display.clean(found.id), columns // 3, keep_end=True) for _, found in block]
    rows = [
        (f"{member.distance:5}", f"{member.similarity:.2f}", id_, "|")
        for (member, _), id_ in zip(block, ids, strict=True)
    ]
    starts = display.table(rows, [True, True, False, False])
    for start, (_, document) in zip(starts, block, strict=True):
        start = start.removesuffix("|")
        text = display.snippet(document.text, [], max(10, columns - display.width(start))) or "(no text)"
        click.echo(display.fit_width(start + text, columns))
