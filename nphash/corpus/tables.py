"""CSV and TSV with a header line, or with column names given: the dialect is found first, then rows are read.

Commas, semicolons and ``|`` come with quoting (RFC 4180). Tab-separated files come in both kinds: those of
spreadsheets enclose cells that hold tabs, line ends or quotes; those of MS MARCO, GLUE or TREC never do.
The lines themselves show which, if anything does: read literally every line is a row of the right length, or
only the quoted reading gives such rows. Where both do, quotes are text, unless cells show doubled quotes or
all are enclosed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from nphash.corpus.files import numbered_lines
from nphash.corpus.lines import check_fields, make_document, text_fields
from nphash.corpus.records import Document, ReadOptions, Skipped, UniqueIds, show, stem
from nphash.errors import CorpusError

DELIMITERS = ",;\t|"

#: So many characters are looked at before a table is read.
SAMPLE = 2**20

_separator_line = re.compile(r'"?sep=([^\w"])"?').fullmatch  # Excel's first line

_NO_QUOTES = "if quotes are part of the text, give --no-quotes; else double the quotes inside quoted cells"
_QUOTE = "if quotes enclose cells that hold separators or line ends, give --quote; else correct the line"
_EITHER = "say which with --quote or --no-quotes"

Numbered = tuple[int, str]


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a row; a cell of labels may hold several, separated by semicolons.

    Tabs separate when the format is ``"tsv"`` or the name ends so, commas otherwise; unless the first line
    has the text's column with another of comma, semicolon, tab and ``|``, or is Excel's ``sep=;``.
    CorpusError, naming file and line, for broken quotes, rows of another length, missing columns.
    """
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), min(options.max_document_bytes, 2**31 - 1)))
    ids, name, columns = UniqueIds(source), stem(source), list(options.columns)
    skipped, first = Skipped(options), True
    if columns:
        _check_header(columns, show(source), options)
    with closing(numbered_lines(source, options, skipped)) as numbered:
        lines = Lines(numbered)
        is_tsv = (options.input_format or stem(source)).lower().endswith(("tsv", "tab"))
        dialect = find_dialect(lines, "\t" if is_tsv else ",", options)
        options.found["delimiter"] = dialect.delimiter
        if options.quote is not None or dialect.quote != (dialect.delimiter != "\t"):
            options.found["quote"] = dialect.quote
        for number, cells in records(lines, dialect, source):
            where = f"{show(source)}, line {number}"
            if first and (not columns or cells == columns):  # a header, if perhaps beside --columns
                columns = [cell.strip() for cell in _usable(cells)]
                _check_header(columns, where, options)
            else:
                with skipped.unusable():
                    fields = _fields(columns, _usable(cells), options)
                    document = make_document(fields, where, f"{name}:{number}", options)
                    ids.add(document.id, number)
                    yield document
            first = False
    skipped.report()


def table_format(head: str, options: ReadOptions) -> str:
    """Return ``"csv"`` or ``"tsv"`` where options, or a header with the text's column, show a table."""
    first, *following = [line.strip("\r") for line in head.removeprefix("\ufeff").split("\n")][:3]
    if options.delimiter or options.columns or options.quote is not None:
        return "tsv" if "\t" in (options.delimiter or first) else "csv"
    if _separator_line(first):
        return "csv"
    delimiter = next((mark for mark in DELIMITERS if _is_header(first, mark, options)), "")
    whole = following[0] if len(following) > 1 and '"' not in following[0] else ""
    if not delimiter or (whole and len(_cells(whole, delimiter)) != len(_cells(first, delimiter))):
        return ""
    return "tsv" if delimiter == "\t" else "csv"


def _is_header(line: str, delimiter: str, options: ReadOptions) -> bool:
    """Return whether the text's column is among several cells of a line."""
    cells = {cell.strip() for cell in _cells(line, delimiter)}
    return len(cells) > 1 and set(text_fields(options)) <= cells


def _fields(columns: list[str], cells: list[str], options: ReadOptions) -> dict[str, object]:
    fields: dict[str, object] = dict(zip(columns, cells, strict=True))
    for label_field in (options.label_field, "label"):
        if label_field in fields:
            fields[label_field] = str(fields[label_field]).split(";")
            break
    return fields


def _usable(cells: list[str] | CorpusError) -> list[str]:
    if isinstance(cells, CorpusError):
        raise cells
    return cells


def _check_header(columns: list[str], where: str, options: ReadOptions) -> None:
    """Refuse a name that is asked for and that two columns have, and further fields that none has."""
    counts = Counter(columns)
    for name in (*text_fields(options), options.id_field, options.label_field, "label", options.split_field):
        if counts[name] > 1:
            raise CorpusError(f"{where}: two columns are named {name!r}", "give each column its own name")
    check_fields(columns, where, options)


# ---------------------------------------------------------------------- dialect


@dataclass(frozen=True)
class Dialect:
    """Separator of cells, and whether cells may be enclosed in quotes."""

    delimiter: str
    quote: bool
    n_columns: int  # cells of a row; 0: as many as the first one has
    sure: bool = True  # whether `quote` was given or goes without saying


class Lines:
    """Numbered lines that can be looked at before they are taken, and given back afterwards."""

    def __init__(self, lines: Iterator[Numbered]) -> None:
        self._lines = lines
        self._ahead: deque[Numbered] = deque()
        self.ended = False  # whether what was looked at goes to the end

    def __iter__(self) -> Iterator[Numbered]:
        return self

    def __next__(self) -> Numbered:
        return self._ahead.popleft() if self._ahead else next(self._lines)

    def give_back(self, taken: Iterable[Numbered]) -> None:
        """Put lines back in front of the others, in their order."""
        self._ahead.extendleft(reversed(list(taken)))

    def look(self, characters: int = SAMPLE) -> list[str]:
        """Return the next lines, about so many characters of them, without taking them."""
        length = sum(len(line) + 1 for _, line in self._ahead)
        while length < characters and not self.ended:
            item = next(self._lines, None)
            if item is None:
                self.ended = True
            else:
                self._ahead.append(item)
                length += len(item[1]) + 1
        return [line for _, line in self._ahead]


def find_dialect(lines: Lines, usual: str, options: ReadOptions) -> Dialect:
    """Return how the coming lines are written; a line that only names the separator is taken away.

    Options go before ``usual``, which the file's name promises. CorpusError for an impossible delimiter.
    """
    if options.delimiter and (len(options.delimiter) > 1 or options.delimiter in '"\r\n'):
        raise CorpusError(f"{options.delimiter!r} separates no cells", "give one character as delimiter")
    sample = lines.look()
    named = _separator_line(sample[0]) if sample else None
    if named:
        next(lines)
        sample = sample[1:]
    sample = [line for line in sample if line.strip(DELIMITERS)]
    given = options.delimiter or (named.group(1) if named else "")
    delimiter = given or _delimiter(sample, usual, options)
    header = [] if options.columns or not sample else sample[0].split(delimiter)
    enclosed = any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in header)
    if options.quote is not None or delimiter != "\t" or enclosed:
        quote = options.quote is not False
        first = _cells(sample[0], delimiter) if quote and sample else header
        return Dialect(delimiter, quote, len(options.columns or first))
    width = len(options.columns or header)
    quote = _quotes_enclose([line for line in sample if line], width, sum(map(len, sample)) < SAMPLE)
    return Dialect(delimiter, quote, width, sure=False)


def _delimiter(sample: list[str], usual: str, options: ReadOptions) -> str:
    """Return what separates the cells of the first line: the usual, unless only another one fits."""
    first = sample[0] if sample else ""
    usual_first = list(dict.fromkeys(usual + DELIMITERS))
    if not options.columns:
        header = (mark for mark in usual_first if _is_header(first, mark, options))
        several = (mark for mark in usual_first if len(_cells(first, mark)) > 1)
        return next(header, None) or next(several, usual)
    others = len(options.columns) - 1
    fitting = [mark for mark in usual_first if others in (len(_cells(first, mark)) - 1, first.count(mark))]
    rows = {mark: sum(line.count(mark) == others for line in sample) for mark in fitting}
    return max(rows, key=rows.__getitem__, default=usual)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; none where it cannot be read alone."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _quotes_enclose(sample: list[str], width: int, complete: bool) -> bool:
    """Return whether the quotes of a tab-separated file evidently enclose cells."""
    if not any(line.startswith('"') or '\t"' in line for line in sample):
        return False
    rows: list[list[str]] = []
    reader = csv.reader((line + "\n" for line in sample), delimiter="\t", strict=True)
    try:
        rows.extend(reader)
    except csv.Error:
        if complete or reader.line_num < len(sample):  # else a cell that goes on behind the sample
            return False
    wrong = sum(line.count("\t") != width - 1 for line in sample)
    if wrong:
        return sum(len(row) != width for row in rows) < wrong
    if len(rows) < len(sample):  # lines that are rows of their own would be swallowed
        return False
    cells = [cell for line in sample for cell in line.split("\t")]
    enclosed = [cell[1:-1] for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == '"']
    others = len(cells) - len(enclosed)
    bare = any('"' in cell for cell in cells if not cell.startswith('"'))
    return not bare and (any('""' in inner for inner in enclosed) or not others)


def records(lines: Lines, dialect: Dialect, source: str) -> Iterator[tuple[int, list[str] | CorpusError]]:
    """Yield (number of its first line, cells) of each row that is not blank, or what is wrong with it.

    A row that cannot be read is its first line: the next row begins on the line after. Empty cells in quotes
    are a blank row only where it is sure that quotes enclose cells: else they may be two characters of text.
    """
    for number, line in lines:
        where, quoted = f"{show(source)}, line {number}", dialect.quote and '"' in line
        try:
            cells = _quoted(number, line, lines, dialect, where) if quoted else line.split(dialect.delimiter)
            if any(cells) or (not dialect.sure and '"' in line):
                if not dialect.n_columns:
                    dialect = replace(dialect, n_columns=len(cells))
                _check_cells(cells, line, dialect, where)
                yield number, cells
        except CorpusError as error:
            yield number, error


def _quoted(number: int, line: str, lines: Lines, dialect: Dialect, where: str) -> list[str]:
    """Read a row with quoted cells, and as many more lines as these hold."""
    taken: list[Numbered] = []

    def feed() -> Iterator[str]:
        yield line + "\n"
        for item in lines:
            taken.append(item)
            if item[0] != number + len(taken):  # a line in between was skipped
                raise csv.Error(f"line {number + len(taken)} of it cannot be used")
            yield item[1] + "\n"

    try:
        # Strict: an unclosed quote would otherwise swallow the rest of the file as one cell.
        return next(csv.reader(feed(), delimiter=dialect.delimiter, strict=True), [])
    except csv.Error as error:
        last = f", up to line {number + len(taken)}" if taken else ""
        lines.give_back(taken)
        raise CorpusError(f"{where}: the row cannot be read ({error}){last}", _NO_QUOTES) from error


def _check_cells(cells: list[str], line: str, dialect: Dialect, where: str) -> None:
    """Refuse a row of another length, or with what looks like rows in a cell."""
    others = dialect.n_columns - 1
    if len(cells) != dialect.n_columns:
        quoted = not dialect.quote and (line.startswith('"') or f'{dialect.delimiter}"' in line)
        hint = _QUOTE if quoted else "quote cells that hold the separator"
        raise CorpusError(f"{where} has {len(cells)} cells for {dialect.n_columns} columns", hint)
    if not dialect.sure and dialect.quote and others:
        inner = (piece for cell in cells for piece in cell.split("\n")[1:])
        if any(piece.count(dialect.delimiter) == others for piece in inner):
            raise CorpusError(f"{where}: a quoted cell holds what looks like rows of their own", _EITHER)
