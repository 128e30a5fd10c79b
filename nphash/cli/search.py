"""``nphash search``: documents nearest to queries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import nphash
from nphash.cli import options as shared
from nphash.cli import output as out

if TYPE_CHECKING:
    from nphash.collection import Collection, Explanation, Hit, SearchSettings

FIELDS = ("query", "rank", "id", "score", "bm25", "distance", "labels", "fields", "unknown_words", "snippet")
BY = ("both", "words", "codes")
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 64
NUMBERS = 19  # columns of rank, score and distance
SHOWN = 5  # words that are not known
MOST = 50  # words of a query

HELP = """Find the documents of a collection that fit queries.

QUERIES are words or whole texts, one an argument. With - or in a pipe, each line of standard
input is a query.

Words and codes together decide the order (column score): the BM25 score of all words that a
document shares with the query, and how near its code is (column dist: differing bits), which also
finds documents about the same in other words. --by takes one of the two alone; --explain shows
what each says.

\b
"open pit"            these words in a row are needed
min*                  any word that begins so
gold -silver          without documents that hold silver
gold AND (tin OR ore) what is needed; in capitals
NEAR(gold mine, 5)    with at most 5 words between them

Anything else is plain words: C++, a lone ", a dash or ( needs no quoting. A text of several lines
or more than 32 words is plain throughout. Words that no document holds are reported; misspelt
words are not guessed. Before a query that begins with a dash put --.
"""


@click.command(help=HELP)
@shared.collection_argument
@click.argument("queries", nargs=-1)
@click.option("--like", metavar="ID", multiple=True, help="Find documents like this one of the collection.")
@shared.k_option(None, "Results a query.  [default: 10, or all with --radius]")
@click.option("--radius", type=shared.Whole(min=0), help="Only codes that differ in at most so many bits.")
@click.option(
    "--where",
    metavar="FILTER",
    multiple=True,
    help="Only documents such as label=sport or 'date>=2020-01-01'; all of several.",
)
@click.option("--by", type=click.Choice(BY), default="both", help="What decides the order.  [default: both]")
@click.option("--explain", is_flag=True, help="Show shared words, differing bits, and what they count.")
@click.option("--full-text", is_flag=True, help="Whole texts instead of snippets.")
@out.format_option
@shared.threads_option
@shared.quiet_option
def command(directory: Path, queries: tuple[str, ...], like: tuple[str, ...], **options: Any) -> None:
    """Run ``nphash search``."""
    if like and queries:
        raise click.UsageError("Give QUERIES or --like, not both.")
    if not like and not queries and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("Give a query, --like ID, or - to read queries from standard input.")
    if any(not query.strip() for query in queries):
        raise click.UsageError("A query is empty.")
    settings = _settings(options)
    with nphash.Collection.open(directory) as collection:
        form = out.chosen_format(options["output_format"])
        show = _show_table if form == "table" else _show_records
        if not len(collection):
            out.note(f"note: the collection {directory} is empty", options["quiet"])
        elif not collection.segments.are_indexed:
            out.note(
                f"note: the collection {directory} was made without an index of its words, which is made for "
                f"every search now; 'nphash compact {directory}' keeps one",
                options["quiet"],
            )
        answers = _answers(collection, queries, like, settings, options["where"] or None)
        show(collection, _noted(answers, form, options["quiet"] or not len(collection)), form, options)


def _settings(options: dict[str, Any]) -> SearchSettings:
    k = options["k"]
    if k is None and options["radius"] is None:
        k = 10
    return nphash.collection.SearchSettings(k, options["radius"], options["by"])


class _Answer(NamedTuple):
    """What a query found."""

    asked: str
    words: QueryWords
    hits: list[Hit]
    like: str | None = None  # the id of the document that is asked for


@dataclass(frozen=True)
class QueryWords:
    """The words of a query, each once and in order: at most 50 that some document holds, and the others."""

    known: list[str]
    unknown: list[str]

    def note(self, query: str) -> str:
        """Return what is to be said of `query`, ``""`` if all its words are known."""
        asked = out.fit_width(out.clean(query), 40)
        if not self.known and not self.unknown:
            return f"note: {asked!r} holds no word that is searched for, so nothing is found"
        if not self.known:
            return f"note: no document holds a word of {asked!r}, so nothing is found"
        return f"note: in no document: {_listed(self.unknown)}" if self.unknown else ""


def _listed(words: list[str]) -> str:
    shown = ", ".join(out.fit_width(out.clean(word), 40) for word in words[:SHOWN])
    return shown + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def query_words(collection: Collection, text: str, is_plain: bool = False) -> QueryWords:
    """Return the words of a query, or of a plain text."""
    known, unknown = collection.state.searcher.terms(text, is_plain)
    return QueryWords(list(map(str, known[:MOST])), list(map(str, unknown)))


def _answers(
    collection: Collection,
    queries: tuple[str, ...],
    like: tuple[str, ...],
    settings: SearchSettings,
    where: tuple[str, ...] | None,
) -> Iterator[_Answer]:
    for id_ in like:
        words = query_words(collection, collection.documents[id_].text, is_plain=True)
        hits = collection.search_like(id_, settings=settings, where=where)
        yield _Answer(f"like {id_}", words, hits, id_)
    if like:
        return
    texts = shared.read_from_arguments(queries)
    # Lines of a pipe are answered as they come: its writer may be waiting for the answer.
    at_once = AT_ONCE if queries and queries != ("-",) else 1
    while block := list(islice(texts, at_once)):
        found = collection.search(block, settings=settings, where=where)
        for text, hits in zip(block, found, strict=True):
            yield _Answer(text, query_words(collection, text), hits)


def _noted(answers: Iterator[_Answer], form: str, quiet: bool) -> Iterator[_Answer]:
    """Pass answers on, and say which words are not known; records name them, unless there are none."""
    any_query = False
    for answer in answers:
        any_query = True
        message = answer.words.note(answer.asked)
        if message and (form == "table" or not answer.words.known):
            out.note(message, quiet)
        elif not answer.hits and form != "table":  # a table says so itself
            out.note(f"note: no document meets all that {out.clean(answer.asked)!r} asks for", quiet)
        yield answer
    if not any_query:
        out.note("note: there was no query on standard input", quiet)


def _show_records(
    collection: Collection, answers: Iterator[_Answer], form: str, options: dict[str, Any]
) -> None:
    fields = [*FIELDS[:-1], "text"] if options["full_text"] else list(FIELDS)
    if options["explain"]:
        fields += ["shared_words", "differing_bits", "from_words", "from_codes"]
    writer = out.Writer(form, fields)
    for answer in answers:
        reasons = _reasons(collection, answer) if options["explain"] else []
        for at, hit in enumerate(answer.hits):
            words, text = answer.words.known, hit.document.text
            shown = text if options["full_text"] else out.snippet(text, words, SNIPPET)
            record: dict[str, Any] = {
                "query": answer.asked,
                **hit_record(hit),
                "unknown_words": answer.words.unknown,
                "text" if options["full_text"] else "snippet": shown,
            }
            if form == "jsonl":  # a cell of a table has no room for them
                record["marks"] = out.marks(shown, words)
            if options["explain"]:
                why = reasons[at]
                record["shared_words"] = {word: round(part, 4) for word, part in why.shared_words}
                record["differing_bits"] = why.differing_bits
                record["from_words"], record["from_codes"] = (
                    round(why.from_words, 6),
                    round(why.from_codes, 6),
                )
            writer.write(record)


def hit_record(hit: Hit) -> dict[str, Any]:
    """Return what a record says of a hit, but for its text."""
    return {
        "rank": hit.rank,
        "id": hit.id,
        "score": round(hit.score, 6),
        "bm25": round(hit.bm25, 4),
        "distance": hit.distance,
        "labels": list(hit.document.labels),
        "fields": dict(hit.document.fields),
    }


def _reasons(collection: Collection, answer: _Answer) -> list[Explanation]:
    """Return why each hit was found; all of an answer at once, since every document is scored for it."""
    state = collection.state
    positions = [state.documents.position(hit.id) for hit in answer.hits]
    if answer.like is None:
        return state.searcher.explain(answer.asked, positions)
    return state.searcher.explain_like(state.documents.position(answer.like), positions)


def _show_table(
    collection: Collection, answers: Iterator[_Answer], form: str, options: dict[str, Any]
) -> None:
    columns = out.terminal_width()
    for number, answer in enumerate(answers):
        if number:
            click.echo()
        click.echo(out.bold(out.fit_width(out.clean(answer.asked), columns)))
        if not answer.hits:
            radius = options["radius"] if answer.words.known and len(collection) else None
            click.echo("  no document" + (f" within {radius} bits" if radius is not None else ""))
            continue
        lines = HitTable(answer.hits, answer.words.known, columns, options["full_text"]).lines()
        click.echo(next(lines))
        reasons = _reasons(collection, answer) if options["explain"] else []
        for at, line in enumerate(lines):
            click.echo(line)
            if options["explain"]:
                why = reasons[at]
                shared = ", ".join(f"{word} {part:.2f}" for word, part in why.shared_words[:8]) or "none"
                bits = " ".join(map(str, why.differing_bits)) or "none"
                for what, part, shown in (
                    ("shared words", why.from_words, shared),
                    ("differing bits", why.from_codes, bits),
                ):
                    click.echo(out.fit_width(f"      {part:.2f} {what}: {out.clean(shown)}", columns))


class HitTable:
    """One or more hits of a query as lines for a terminal; snippets are cut around the query's `words`."""

    def __init__(self, hits: list[Hit], words: list[str], columns: int, full_text: bool = False) -> None:
        self.hits, self.words, self.columns, self.full_text = hits, words, max(columns, 40), full_text

    def lines(self) -> Iterator[str]:
        """Yield the heading, then for each hit its line with the text below it."""
        columns = self.columns - NUMBERS
        rows = [("rank", "score", "dist", "id", "labels")]
        for hit in self.hits:
            id_ = out.fit_width(out.clean(hit.id), columns * 2 // 3, keep_end=True)
            rows.append((str(hit.rank), f"{hit.score:.3f}", str(hit.distance), id_, self._labels(hit)))
        heading, *lines = out.table(rows, [True, True, True, False, False])
        yield out.bold(heading, 2)
        for hit, line in zip(self.hits, lines, strict=True):
            title = hit.document.fields.get("title", "")
            text = hit.document.text.lstrip().removeprefix(title)
            shown = (
                out.clean(text) if self.full_text else out.snippet(text, self.words, columns)
            ) or "(no text)"
            below = [part for part in (out.fit_width(out.clean(title), columns), shown) if part]
            below = [out.highlight(part, self.words) for part in below] if out.use_color() else below
            yield "\n".join([out.fit_width(line, self.columns), *(" " * NUMBERS + part for part in below)])

    def _labels(self, hit: Hit) -> str:
        return out.fit_width(out.clean(", ".join(hit.document.labels)), (self.columns - NUMBERS) // 3)
