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
    from nphash.collection import Collection, Hit, SearchSettings
    from nphash.core.typing import Array

FIELDS = ("query", "rank", "id", "distance", "similarity", "labels", "unknown_words", "snippet")
SNIPPET = 200  # columns, where there is no terminal to fill
AT_ONCE = 64
NUMBERS = 18  # columns of rank, distance and similarity
SHOWN = 5  # words that are not known
MOST = 50  # words of a query

HELP = """Find the documents of a collection nearest to queries.

QUERIES are words or whole texts, one an argument. With - or in a pipe, each line of standard
input is a query.

The documents with the nearest codes are candidates; they are ordered by TF-IDF cosine of their
text with the query's (column sim), because a short query makes a poor code. --no-rerank shows
the order of the codes (column dist: differing bits). Similar documents with far codes are found
by more --candidates, which take longer.

Words that are not in the collection's vocabulary are reported. A query of such words and stop
words alone finds nothing. Before words that begin with a dash put --.
"""


@click.command(help=HELP)
@shared.collection_argument
@click.argument("queries", nargs=-1)
@click.option("--like", metavar="ID", multiple=True, help="Find documents like this one of the collection.")
@shared.k_option(None, "Results a query.  [default: 10, or all with --radius]")
@click.option("--radius", type=shared.Whole(min=0), help="Only codes that differ in at most so many bits.")
@click.option("--no-rerank", is_flag=True, help="Order by Hamming distance alone.")
@click.option(
    "--candidates",
    type=shared.Whole(min=1),
    help="Nearest codes to rerank.  [default: a tenth, 2000 to 5000, >= 10 k]",
)
@click.option("--explain", is_flag=True, help="Show shared words and differing bits.")
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
        answers = _answers(collection, queries, like, settings)
        show(collection, _noted(answers, form, options["quiet"]), form, options)


def _settings(options: dict[str, Any]) -> SearchSettings:
    k = options["k"]
    if k is None and options["radius"] is None:
        k = 10
    settings = nphash.collection.SearchSettings(
        k, options["radius"], not options["no_rerank"], options["candidates"]
    )
    if options["candidates"] is not None and options["candidates"] < (k or 1):
        raise click.UsageError(f"--candidates {options['candidates']} are fewer than -k {k}.")
    return settings


class _Answer(NamedTuple):
    """What a query found."""

    asked: str
    text: str
    words: QueryWords
    hits: list[Hit]
    code: Array | None = None  # where it is not the text's


@dataclass(frozen=True)
class QueryWords:
    """The words of a query, each once and in order: at most 50 in the vocabulary, others, and stop words."""

    known: list[str]
    unknown: list[str]
    stopped: list[str]

    def note(self, query: str) -> str:
        """Return what is to be said of `query`, ``""`` if all its words are known or stop words."""
        if not self.known:
            asked = out.fit_width(out.clean(query), 40)
            kind = "is a stop word" if len(self.stopped) == 1 else "are stop words"
            why = f" ({_listed(self.stopped)} {kind})" if self.stopped else ""
            return f"note: no word of {asked!r} is known{why}, so nothing is found"
        return f"note: not known: {_listed(self.unknown)}" if self.unknown else ""


def _listed(words: list[str]) -> str:
    shown = ", ".join(out.fit_width(out.clean(word), 40) for word in words[:SHOWN])
    return shown + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def query_words(collection: Collection, text: str) -> QueryWords:
    """Return the words of a query."""
    from nphash.text import tokenizer

    vectorizer = collection.vectorizer
    columns = vectorizer.encode_text(text)[0].tolist()
    vocabulary = {vectorizer.vocabulary_[column] for column in columns}
    words = list(dict.fromkeys(tokenizer.tokenize(text, vectorizer.settings.pattern)))
    others = [word for word in words if word not in vocabulary]
    stopping = vectorizer.stop_words_ if others else set[str]()
    return QueryWords(
        [word for word in words if word in vocabulary][:MOST],
        [word for word in others if word not in stopping],
        [word for word in others if word in stopping],
    )


def _answers(
    collection: Collection, queries: tuple[str, ...], like: tuple[str, ...], settings: SearchSettings
) -> Iterator[_Answer]:
    """Yield the answers; a query without a known word has the code of an empty document, and so no hits."""
    for id_ in like:
        code = collection.segments.codes_at([collection.documents.position(id_)])
        text = collection.documents[id_].text
        words = query_words(collection, text)
        hits = collection.search_like(id_, settings=settings) if words.known else []
        yield _Answer(f"like {id_}", text, words, hits, code)
    if like:
        return
    texts = shared.read_from_arguments(queries)
    # Lines of a pipe are answered as they come: its writer may be waiting for the answer.
    at_once = AT_ONCE if queries and queries != ("-",) else 1
    while block := list(islice(texts, at_once)):
        words_of = [query_words(collection, text) for text in block]
        known = [text for text, words in zip(block, words_of, strict=True) if words.known]
        found = iter(collection.search(known, settings=settings))
        for text, words in zip(block, words_of, strict=True):
            yield _Answer(text, text, words, next(found) if words.known else [])


def _noted(answers: Iterator[_Answer], form: str, quiet: bool) -> Iterator[_Answer]:
    """Pass answers on, and say which words are not known; records name them, unless there are none."""
    any_query = False
    for answer in answers:
        any_query = True
        message = answer.words.note(answer.asked)
        if message and (form == "table" or not answer.words.known):
            out.note(message, quiet)
        yield answer
    if not any_query:
        out.note("note: there was no query on standard input", quiet)


def _show_records(
    collection: Collection, answers: Iterator[_Answer], form: str, options: dict[str, Any]
) -> None:
    fields = [*FIELDS[:-1], "text"] if options["full_text"] else list(FIELDS)
    if options["explain"]:
        fields += ["shared_words", "differing_bits"]
    writer = out.Writer(form, fields)
    for asked, text, words, hits, code in answers:
        for hit in hits:
            record: dict[str, Any] = {
                "query": asked,
                "rank": hit.rank,
                "id": hit.id,
                "distance": hit.distance,
                "similarity": round(hit.similarity, 6),
                "labels": list(hit.document.labels),
                "unknown_words": words.unknown,
            }
            if options["full_text"]:
                record["text"] = hit.document.text
            else:
                record["snippet"] = out.snippet(hit.document.text, words.known, SNIPPET)
            if options["explain"]:
                why = collection.explain(text, hit.id, code)
                record["shared_words"] = {word: round(part, 4) for word, part in why.shared_words}
                record["differing_bits"] = why.differing_bits
            writer.write(record)


def _show_table(
    collection: Collection, answers: Iterator[_Answer], form: str, options: dict[str, Any]
) -> None:
    columns = out.terminal_width()
    for number, (asked, text, words, hits, code) in enumerate(answers):
        if number:
            click.echo()
        click.echo(out.bold(out.fit_width(out.clean(asked), columns)))
        if not hits:
            radius = options["radius"] if words.known and len(collection) else None
            click.echo("  no document" + (f" within {radius} bits" if radius is not None else ""))
            continue
        lines = HitTable(hits, words.known, columns, options["full_text"]).lines()
        click.echo(next(lines))
        for hit, line in zip(hits, lines, strict=True):
            click.echo(line)
            if options["explain"]:
                why = collection.explain(text, hit.id, code)
                shared = ", ".join(f"{word} {part:.2f}" for word, part in why.shared_words[:8]) or "none"
                bits = " ".join(map(str, why.differing_bits)) or "none"
                for what, shown in (("shared words", shared), ("differing bits", bits)):
                    click.echo(out.fit_width(f"      {what}: {out.clean(shown)}", columns))


class HitTable:
    """One or more hits of a query as lines for a terminal; snippets are cut around the query's `words`."""

    def __init__(self, hits: list[Hit], words: list[str], columns: int, full_text: bool = False) -> None:
        self.hits, self.words, self.columns, self.full_text = hits, words, max(columns, 40), full_text

    def lines(self) -> Iterator[str]:
        """Yield the heading, then for each hit its line with the text below it."""
        columns = self.columns - NUMBERS
        rows = [("rank", "dist", "sim", "id", "labels")]
        for hit in self.hits:
            id_ = out.fit_width(out.clean(hit.id), columns * 2 // 3, keep_end=True)
            rows.append((str(hit.rank), str(hit.distance), f"{hit.similarity:.2f}", id_, self._labels(hit)))
        heading, *lines = out.table(rows, [True, True, True, False, False])
        yield out.bold(heading, 2)
        for hit, line in zip(self.hits, lines, strict=True):
            text = hit.document.text
            shown = (
                out.clean(text) if self.full_text else out.snippet(text, self.words, columns)
            ) or "(no text)"
            shown = out.highlight(shown, self.words) if out.use_color() else shown
            yield f"{out.fit_width(line, self.columns)}\n{' ' * NUMBERS}{shown}"

    def _labels(self, hit: Hit) -> str:
        return out.fit_width(out.clean(", ".join(hit.document.labels)), (self.columns - NUMBERS) // 3)
