"""Options that several commands share, and what they give: collections, documents, lines of input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

import nphash
from nphash.cli.output import begin_line, note
from nphash.errors import CollectionError, CorpusError, UsageError

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.corpus import Document, Matrix, ReadOptions

Command: TypeAlias = Callable[..., None]
AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])

# Spelled out here, and not taken from nphash.corpus, so that --help does not import the readers; a
# test compares the two.
INPUT_FORMATS = (
    "jsonl", "csv", "tsv", "lines", "folder", "zip", "document", "mbox", "sqlite", "parquet", "docstrings",
    "svmlight", "npz", "mtx", "uci", "mat",
)  # fmt: skip

# The options of `fit` that say what the words are.
WORD_NAMES = ("preset", "weighting", "min_documents", "max_share", "max_words", "stop_words", "pattern")

AT_ONCE = 1000  # documents

_READER_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--input-format", {"type": click.Choice(INPUT_FORMATS), "metavar": "NAME", "help":
        f"{', '.join(INPUT_FORMATS)}.  [default: by the suffix]"}),
    ("--text-field", {"metavar": "NAME", "multiple": True, "help":
        "Field or column of the text; given several times, these are joined.  [default: text]"}),
    ("--id-field", {"metavar": "NAME", "help": "Field or column of the id.  [default: id]"}),
    ("--label-field", {"metavar": "NAME", "help": "Field or column of labels.  [default: labels]"}),
    ("--split-field", {"metavar": "NAME", "help":
        "Field that says train, valid (also validation, val, dev, cv) or test.  [default: split]"}),
    ("--encoding", {"metavar": "NAME", "help":
        "Encoding of text files; of NAME,NAME the first that fits.  [default: utf-8]"}),
    ("--on-bad-record", {"type": click.Choice(["error", "skip"]), "help":
        "Stop at a document that cannot be used, or leave it out.  [default: error]"}),
    ("--columns", {"metavar": "A,B,...", "help": "Column names of a CSV or TSV file without a header."}),
    ("--delimiter", {"metavar": "CHARACTER", "help": "What separates cells, such as ';' or tab."}),
    ("--quote/--no-quotes", {"default": None, "help":
        "Quotes enclose cells, or are text.  [default: they enclose, between tabs if the file shows it]"}),
    ("--vocabulary", {"metavar": "FILE", "help": "Words of a matrix, one a line."}),
    ("--index-base", {"type": click.Choice(["auto", "0", "1"]), "help": "First column in svmlight files."}),
)  # fmt: skip
_READER_NAMES = [option.partition("/")[0][2:].replace("-", "_") for option, _ in _READER_OPTIONS]

_READER = "Reading the corpus"
_WORDS = "Words"
_SECTIONS = dict.fromkeys(_READER_NAMES, _READER) | dict.fromkeys(WORD_NAMES, _WORDS)


class Whole(click.IntRange):
    """A whole number whose bounds are named when they are broken, not in every line of the help."""

    name = "whole number"

    def get_metavar(self, *_: object, **__: object) -> str:
        """Return N; click 8.1 gives the parameter, later versions the context too."""
        return "N"

    def _describe_range(self) -> str:
        return ""

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; for one out of bounds the error names them."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        if (self.min is not None and number < self.min) or (self.max is not None and number > self.max):
            bounds = f"{self.min} or more" if self.max is None else f"from {self.min} to {self.max}"
            self.fail(f"{number} is not in the range: give {bounds}.", param, ctx)
        return number


class Sectioned(click.Command):
    """A command with many options: its help puts those of words and of readers under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options section by section."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], _WORDS: [], _READER: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[_SECTIONS.get(parameter.name or "", "Options")].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def reader_options(function: Command) -> Command:
    """Add the options of readers to a command, which gets them as one ``reading: ReadOptions``."""

    @wraps(function)
    def command(*args: Any, **values: Any) -> None:
        given = {name: values.pop(name) for name in _READER_NAMES}
        fields = given["text_field"]
        given["text_field"] = fields if len(fields) > 1 else next(iter(fields), None)
        given["delimiter"] = _one_character(given["delimiter"])
        if given["columns"] is not None:
            names = tuple(name.strip() for name in given["columns"].split(","))
            given["columns"] = names if any(names) else ()  # --columns "": there is a header again
        given = {name: value for name, value in given.items() if value is not None}
        report = partial(_report_skipped, quiet=values.get("quiet", False))
        reading = nphash.corpus.ReadOptions(**given, given=frozenset(given), report=report)
        return function(*args, reading=reading, **values)

    for option, settings in reversed(_READER_OPTIONS):
        command = click.option(option, **settings)(command)
    return command


def _one_character(delimiter: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.UsageError(f"--delimiter {delimiter!r} is not one character: give it, or tab.")
    return delimiter


def _report_skipped(message: str, quiet: bool) -> None:
    """Say what was skipped of a corpus, where the count of documents may stand on the terminal."""
    if not quiet:
        begin_line()
        note(message)


def use_threads(threads: int | None) -> int | None:
    """Make `threads` the number that everything in this process uses."""
    if threads is not None:
        os.environ["NPHASH_THREADS"] = str(threads)
    return threads


def k_option(default: int | None, help: str) -> Callable[[AnyCommand], AnyCommand]:
    """Add ``-k``."""
    return click.option("-k", type=Whole(min=1), default=default, help=help)


def threads_option(function: AnyCommand, expose_value: bool = False) -> AnyCommand:
    """Add ``--threads``, which holds for the whole process; a command gets it only if it is exposed."""
    return click.option(
        "--threads",
        type=Whole(min=1),
        help="Worker threads.  [default: one a processor]",
        expose_value=expose_value,
        callback=lambda ctx, parameter, threads: use_threads(threads),
    )(function)


collection_argument = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing on standard error but errors.")
force_option = click.option("--force", is_flag=True, help="Overwrite the file that is there.")
wait_option = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Wait so long while another process is changing the collection.  [default: 0]",
)


def seed_option(help: str) -> Callable[[AnyCommand], AnyCommand]:
    """Add ``--seed``, which is 0 where it is not given."""
    return click.option("--seed", type=Whole(min=0), default=0, show_default=True, help=help)


def documents_in_order(collection: Collection, positions: Sequence[int]) -> Iterator[Document]:
    """Yield the documents at positions of the index, reading a thousand at a time."""
    for start in range(0, len(positions), AT_ONCE):
        block = positions[start : start + AT_ONCE]
        found = collection.segments.documents_at(block)
        for position in block:
            yield found[position]


def read(
    source: str, reading: ReadOptions, corpus: Mapping[str, Any] | None = None
) -> Iterator[Document] | Matrix:
    """Return the documents of a source as a stream, or the matrix it holds; a collection gives its own.

    Where `reading` leaves it open, they are read as those of the collection whose `corpus` is given were.
    """
    from nphash.corpus.folder import is_collection

    if reading.input_format is None and is_collection(source):
        _check_options("a collection", reading)
        return _stored(Path(source))
    if corpus:
        reading = nphash.corpus.read.with_kept_options(source, reading, corpus)
    name = nphash.corpus.detect_format(source, reading)
    _check_options(name, reading)
    if nphash.corpus.is_matrix(name):
        return nphash.corpus.read_matrix(source, reading)
    return nphash.corpus.read_documents(source, reading)


def _stored(directory: Path) -> Iterator[Document]:
    """Yield what a collection holds, to fit or search it anew; one made of a matrix holds no texts."""
    with nphash.Collection.open(directory) as collection:
        corpus = collection.manifest.corpus
        if corpus.get("matrix", corpus.get("weights_given")):
            raise CollectionError(f"{directory} was made of a matrix and holds no texts", "give the matrix")
        yield from collection.documents


def _check_options(name: str, reading: ReadOptions) -> None:
    """Refuse options that would be accepted and ignored."""
    usual = nphash.corpus.ReadOptions()
    for option, formats in nphash.corpus.read.OPTION_FORMATS.items():
        if name not in formats and getattr(reading, option) != getattr(usual, option):
            shown = option.replace("_", "-")
            raise UsageError(f"--{shown} is not for {name}", f"it is for {', '.join(formats)}")


def read_from_arguments(given: tuple[str, ...], ids: bool = False) -> Iterator[str]:
    """Yield arguments; for a lone ``-`` or none at all the lines of standard input that are not blank.

    Blanks around a line belong to ids, and bytes that are no UTF-8 may: so names of files have them.
    """
    if given and given != ("-",):
        yield from given
        return
    if sys.stdin is None:
        return
    for number, line in enumerate(iter(sys.stdin.buffer.readline, b""), start=1):
        try:
            errors = "surrogateescape" if ids else "strict"
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors)
        except UnicodeDecodeError:
            raise CorpusError(
                f"standard input, line {number} is not UTF-8", "convert it: iconv -f latin1 -t utf-8"
            ) from None
        text = text.rstrip("\r\n") if ids else text.strip()
        if text:
            yield text
