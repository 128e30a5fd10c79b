"""How a table is written: what separates cells, and whether quotes enclose them or are part of the text.

Commas, semicolons and ``|`` come with quoting (RFC 4180). Tab-separated files come in both kinds: those of
spreadsheets enclose cells that hold tabs, line ends or quotes; those of MS MARCO, GLUE or TREC never do.
Which one it is stands in the lines themselves, if anywhere: read literally every line is a row of the right
length, or only the quoted reading gives such rows. Where both do, quotes are text, unless cells show doubled
quotes or all are enclosed.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from nphash.corpus.records import ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["Dialect", "Lines", "find_dialect", "records"]

DELIMITERS = ",;\t|"

#: So many characters are looked at before a table is read.
SAMPLE = 2**20

# Excel's first line that names the separator.
_separator_line = re.compile(r'"?sep=([^\w"])"?').fullmatch

_NO_QUOTES = "if quotes are part of the text, give --no-quotes; else double the quotes inside quoted cells"
_QUOTE = "if quotes enclose cells that hold separators or line ends, give --quote; else correct the line"
_EITHER = "say which with --quote or --no-quotes"

Numbered = tuple[int, str]


@dataclass(frozen=True)
class Dialect:
    """What separates cells, and whether they may be enclosed in quotes.

    Parameters
    ----------
    delimiter
        One character.
    quote
        Whether quotes enclose cells.
    n_columns
        Cells of a row; 0: as many as the first one has.
    sure
        Whether `quote` was given or goes without saying.
    """

    delimiter: str
    quote: bool
    n_columns: int
    sure: bool = True


class Lines:
    """Numbered lines that can be looked at before they are taken, and given back afterwards.

    Examples
    --------
    >>> lines = Lines(iter([(1, "a"), (2, "b")]))
    >>> lines.look(), next(lines)
    (['a', 'b'], (1, 'a'))
    """

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

    Parameters
    ----------
    lines
        From the first one on.
    usual
        The delimiter that the file's name promises.
    options
        Their ``delimiter``, ``quote`` and ``columns`` decide what they say something about.

    Raises
    ------
    CorpusError
        For a delimiter that is not one character.
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
        width = len(options.columns) or (
            len(_cells(sample[0], delimiter)) if quote and sample else len(header)
        )
        return Dialect(delimiter, quote, width)
    width = len(options.columns or header)
    quote = _quotes_enclose([line for line in sample if line], width, sum(map(len, sample)) < SAMPLE)
    return Dialect(delimiter, quote, width, sure=False)


def _delimiter(sample: list[str], usual: str, options: ReadOptions) -> str:
    """Return what separates the cells of the first line: the usual, unless only another one fits."""
    texts = {options.text_field} if isinstance(options.text_field, str) else set(options.text_field)
    several, fitting = [], {}
    for delimiter in dict.fromkeys(usual + DELIMITERS):
        try:
            cells = [cell.strip() for cell in _cells(sample[0], delimiter)] if sample else []
        except csv.Error:
            continue
        if not options.columns and texts <= set(cells):
            return delimiter
        others = len(options.columns) - 1
        if options.columns and sample and others in (len(cells) - 1, sample[0].count(delimiter)):
            fitting[delimiter] = sum(line.count(delimiter) == others for line in sample)
        if len(cells) > 1:
            several.append(delimiter)
    if options.columns:
        return max(fitting, key=fitting.__getitem__, default=usual)
    return next(iter(several), usual)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


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

    A row that cannot be read is its first line: the next row begins on the line after.
    """
    for number, line in lines:
        cells: list[str] | CorpusError
        if dialect.quote and '"' in line:
            cells = _quoted(number, line, lines, dialect, source)
        else:
            cells = line.split(dialect.delimiter)
        if isinstance(cells, CorpusError) or any(cells):
            if not dialect.n_columns and not isinstance(cells, CorpusError):
                dialect = replace(dialect, n_columns=len(cells))
            yield number, _checked(cells, number, line, dialect, source)


def _quoted(number: int, line: str, lines: Lines, dialect: Dialect, source: str) -> list[str] | CorpusError:
    """Read a row with quoted cells, and as many more lines as these hold."""
    taken: list[Numbered] = []

    def feed() -> Iterator[str]:
        yield line + "\n"
        for item in lines:
            taken.append(item)
            if item[0] != number + len(taken):  # a line in between was left out
                raise csv.Error(f"line {number + len(taken)} of it cannot be used")
            yield item[1] + "\n"

    try:
        # Strict: an unclosed quote would otherwise swallow the rest of the file as one cell.
        return next(csv.reader(feed(), delimiter=dialect.delimiter, strict=True), [])
    except csv.Error as error:
        last = f", up to line {number + len(taken)}" if taken else ""
        lines.give_back(taken)
        problem = f"{show(source)}, line {number}: the row cannot be read ({error}){last}"
        return CorpusError(problem, _NO_QUOTES)


def _checked(
    cells: list[str] | CorpusError, number: int, line: str, dialect: Dialect, source: str
) -> list[str] | CorpusError:
    """Return the cells of a row of the right length, or what is wrong with it."""
    if isinstance(cells, CorpusError):
        return cells
    where, others = f"{show(source)}, line {number}", dialect.n_columns - 1
    if len(cells) != dialect.n_columns:
        quoted = not dialect.quote and (line.startswith('"') or f'{dialect.delimiter}"' in line)
        hint = _QUOTE if quoted else "quote cells that hold the separator"
        return CorpusError(f"{where} has {len(cells)} cells for {dialect.n_columns} columns", hint)
    if not dialect.sure and dialect.quote and others:
        for cell in cells:
            if any(piece.count(dialect.delimiter) == others for piece in cell.split("\n")[1:]):
                return CorpusError(f"{where}: a quoted cell holds what looks like rows of their own", _EITHER)
    return cells
