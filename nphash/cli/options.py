"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nphash.cli.output import note

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.corpus import Document, Matrix, ReadOptions

__all__ = [
    "WORD_NAMES",
    "Sectioned",
    "Whole",
    "collection_argument",
    "k_option",
    "open_collection",
    "quiet_option",
    "read",
    "read_from_arguments",
    "reader_options",
    "threads_option",
    "use_threads",
    "wait_option",
]

Command = Callable[..., Any]

# Spelled out here, and not taken from nphash.corpus, so that --help does not import the readers; a
# test compares the two.
INPUT_FORMATS = (
    "jsonl",
    "csv",
    "tsv",
    "lines",
    "folder",
    "docstrings",
    "svmlight",
    "npz",
    "mtx",
    "uci",
    "mat",
)

# The options of `fit` that say what the words are.
WORD_NAMES = ("preset", "weighting", "min_documents", "max_share", "max_words", "stop_words", "pattern")

_READER_OPTIONS = (
    click.option(
        "--input-format",
        metavar="NAME",
        type=click.Choice(INPUT_FORMATS),
        help=f"{', '.join(INPUT_FORMATS)}.  [default: by the suffix]",
    ),
    click.option(
        "--text-field",
        metavar="NAME",
        multiple=True,
        help="Field or column of the text; given several times, these are joined.  [default: text]",
    ),
    click.option("--id-field", metavar="NAME", help="Field or column of the id.  [default: id]"),
    click.option("--label-field", metavar="NAME", help="Field or column of labels.  [default: labels]"),
    click.option(
        "--split-field",
        metavar="NAME",
        help="Field that says train, valid (also validation, val, dev, cv) or test.  [default: split]",
    ),
    click.option(
        "--encoding",
        metavar="NAME",
        help="Encoding of text files; of NAME,NAME the first that fits.  [default: utf-8]",
    ),
    click.option(
        "--on-bad-record",
        type=click.Choice(["error", "skip"]),
        help="Stop at a document that cannot be used, or leave it out.  [default: error]",
    ),
    click.option("--columns", metavar="A,B,...", help="Column names of a CSV or TSV file without a header."),
    click.option("--delimiter", metavar="CHARACTER", help="What separates cells, such as ';' or tab."),
    click.option(
        "--quote/--no-quotes",
        default=None,
        help="Quotes enclose cells, or are text.  [default: they enclose, between tabs if the file shows it]",
    ),
    click.option("--vocabulary", metavar="FILE", help="Words of a matrix, one a line."),
    click.option(
        "--index-base", type=click.Choice(["auto", "0", "1"]), help="First column in svmlight files."
    ),
)
_READER_NAMES = (
    "input_format",
    "text_field",
    "id_field",
    "label_field",
    "split_field",
    "encoding",
    "on_bad_record",
    "columns",
    "delimiter",
    "quote",
    "vocabulary",
    "index_base",
)


_READER = "Reading the corpus"
_WORDS = "Words"
_SECTIONS = dict.fromkeys(_READER_NAMES, _READER) | dict.fromkeys(WORD_NAMES, _WORDS)


class Whole(click.IntRange):
    """A whole number whose bounds are told when they are broken, not in every line of the help."""

    name = "whole number"

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """Return N; click 8.1 gives the parameter, later versions the context too."""
        return "N"

    def _describe_range(self) -> str:
        return ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; one out of bounds is told which there are."""
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
    def command(*args: Any, **values: Any) -> Any:
        from nphash.corpus import ReadOptions

        given = {name: values.pop(name) for name in _READER_NAMES}
        given["text_field"] = _one_or_several(given["text_field"])
        given["delimiter"] = _one_character(given["delimiter"])
        if given["columns"] is not None:
            names = tuple(name.strip() for name in given["columns"].split(","))
            given["columns"] = names if any(names) else ()  # --columns "": there is a header again
        given = {name: value for name, value in given.items() if value is not None}
        reading = ReadOptions(
            **given,
            given=frozenset(given),
            report=partial(_report, quiet=values.get("quiet", False)),
        )
        return function(*args, reading=reading, **values)

    for option in reversed(_READER_OPTIONS):
        command = option(command)
    return command


def _one_or_several(names: tuple[str, ...]) -> str | tuple[str, ...] | None:
    return names if len(names) > 1 else next(iter(names), None)


def _one_character(delimiter: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.UsageError(f"--delimiter {delimiter!r} is not one character: give it, or tab.")
    return delimiter


def _report(message: str, quiet: bool) -> None:
    """Say what was skipped of a corpus, where the count of documents may stand on the terminal."""
    note(("\r" if sys.stderr.isatty() else "") + message, quiet)


def collection_argument(function: Command) -> Command:
    """Add the argument DIR, the directory of a collection."""
    return click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))(function)


def quiet_option(function: Command) -> Command:
    """Add ``-q``."""
    return click.option("-q", "--quiet", is_flag=True, help="Say nothing on standard error but errors.")(
        function
    )


def wait_option(function: Command) -> Command:
    """Add ``--wait``."""
    return click.option(
        "--wait",
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        default=0.0,
        help="Wait so long while another process is changing the collection.  [default: 0]",
    )(function)


def threads_option(function: Command) -> Command:
    """Add ``--threads``."""
    return click.option("--threads", type=Whole(min=1), help="Worker threads.  [default: one a processor]")(
        function
    )


def k_option(default: int | None, help: str) -> Callable[[Command], Command]:
    """Add ``-k``."""
    return click.option("-k", type=Whole(min=1), default=default, help=help)


def use_threads(threads: int | None) -> None:
    """Make `threads` the number that everything in this process uses."""
    if threads is not None:
        import os

        os.environ["NPHASH_THREADS"] = str(threads)


def open_collection(directory: Path) -> Collection:
    """Open a collection for a command."""
    from nphash.collection import Collection

    return Collection.open(directory)


def read(
    source: str, reading: ReadOptions, corpus: Mapping[str, Any] | None = None
) -> Iterator[Document] | Matrix:
    """Return the documents of a source as a stream, or the matrix it holds.

    A collection gives its own documents. Where `reading` leaves it open, they are read as those of the
    collection whose `corpus` is given were.

    Raises
    ------
    UsageError
        For an option that says nothing about this kind of source.
    """
    from nphash.corpus import detect_format, is_matrix, read_documents, read_matrix
    from nphash.corpus.folder import is_collection

    if reading.input_format is None and is_collection(source):
        _check_options("a collection", reading)
        return _stored(Path(source))
    if corpus:
        from nphash.corpus.read import with_kept_options

        reading = with_kept_options(source, reading, corpus)
    name = detect_format(source, reading)
    _check_options(name, reading)
    if is_matrix(name):
        return read_matrix(source, reading)
    return read_documents(source, reading)


def _stored(directory: Path) -> Iterator[Document]:
    """Yield what a collection holds, to fit or search it anew.

    Raises
    ------
    CollectionError
        If it was made of a matrix: its weights are not there any more.
    """
    from nphash.errors import CollectionError

    with open_collection(directory) as collection:
        corpus = collection.manifest.corpus
        if corpus.get("matrix", corpus.get("weights_given")):
            raise CollectionError(f"{directory} was made of a matrix and holds no texts", "give the matrix")
        yield from collection.documents


def _check_options(name: str, reading: ReadOptions) -> None:
    """Refuse options that would be accepted and ignored."""
    from nphash.corpus import ReadOptions
    from nphash.corpus.read import OPTION_FORMATS
    from nphash.errors import UsageError

    usual = ReadOptions()
    for option, wanted in OPTION_FORMATS.items():
        if getattr(reading, option) == getattr(usual, option):
            continue
        if name not in wanted:
            raise UsageError(
                f"--{option.replace('_', '-')} is not for {name}", f"it is for {', '.join(wanted)}"
            )


def read_from_arguments(given: tuple[str, ...]) -> Iterator[str]:
    """Yield arguments; for a lone ``-`` or none at all the lines of standard input that are not blank.

    Raises
    ------
    CorpusError
        If standard input is not UTF-8.
    """
    if given and given != ("-",):
        yield from given
        return
    from nphash.errors import CorpusError

    if sys.stdin is None:
        return
    for number, line in enumerate(iter(sys.stdin.buffer.readline, b""), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            raise CorpusError(
                f"standard input, line {number} is not UTF-8", "convert it: iconv -f latin1 -t utf-8"
            ) from None
        if text:
            yield text
