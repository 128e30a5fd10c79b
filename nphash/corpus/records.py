"""Documents, matrices and options of the readers; ids, labels and skipped records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nphash.core.typing import CSR
from nphash.errors import CorpusError

NAMED = 3  # of what was skipped
_undecoded = re.compile("[\ud800-\udfff]").search
_undecoded_all = re.compile("[\ud800-\udfff]").sub
_packed = re.compile(r"(?<=.)(\.(gz|bz2|xz|zst|zip))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """One text.

    Parameters
    ----------
    id
        Unique in its corpus; the reader makes one from file name and line where the input has none.
    text
        The whole text; may be empty.
    labels
        Zero or more names.
    split
        ``"train"``, ``"test"``, ``"valid"`` or whatever the input says; empty where it says nothing.
    generated_id
        Whether the reader made the id from file name and line: another file may give the same one to another
        text. It is not stored, and two documents may differ in it and be equal.
    fields
        What else is known of it, by name, as text: ``title`` of files that have one, and the columns that
        `ReadOptions.fields` asks for. Names that a document lacks are left out.

    Examples
    --------
    >>> Document("a", "some text").labels
    ()
    """

    id: str
    text: str
    labels: tuple[str, ...] = ()
    split: str = ""
    generated_id: bool = field(default=False, compare=False, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass
class Matrix:
    """Documents that came as word counts or weights.

    Parameters
    ----------
    X
        scipy.sparse.csr_matrix, float32 of shape (n_documents, n_words): finite, none negative,
        indices sorted without repetitions.
    ids, labels, splits
        One a row, as in `Document`.
    vocabulary
        One word a column, or None where the input has no words.
    generated_id
        Whether the reader made the ids, as in `Document`.
    """

    X: Any
    ids: list[str]
    labels: list[tuple[str, ...]]
    splits: list[str]
    vocabulary: list[str] | None = None
    generated_id: bool = False


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading a corpus; the defaults suit files that name their fields as we do.

    Parameters
    ----------
    input_format
        A name in `nphash.corpus.FORMATS`; None goes by the file's suffix.
    text_field, id_field, label_field, split_field
        Names of JSON fields or CSV columns. The text must be there; several names, as a tuple, give their
        texts with a blank line between. The others may be missing as long as they have their default
        name; ``"labels"`` then also finds ``"label"``.
    fields
        Names of further JSON fields or columns to keep with each document, or ``"all"`` of them.
    encoding
        Of text files; one that begins with the mark of UTF-8, -16 or -32 is read as that, whatever is given.
        Several, separated by commas: each file of a folder, each line of any other file, is read in the first
        that fits it, and which files were read in a later one is reported.
    vocabulary
        File with one word a line for a matrix; UCI files find ``vocab.*`` beside them by themselves.
    columns
        Column names for a CSV or TSV file that has no header line.
    delimiter
        What separates the cells of a CSV or TSV file, one character; empty: what fits its first line.
    quote
        Whether quotes enclose cells of a CSV or TSV file, or are part of the text. None: they enclose
        them, but between tabs only where the file shows it.
    index_base
        First column number in svmlight files: ``"0"``, ``"1"``, or ``"auto"``: 1 unless a 0 occurs.
    max_document_bytes
        A longer line or file is refused instead of being read into memory.
    on_bad_record
        ``"error"`` stops at a document that cannot be used (broken JSON, no text, a repeated id, bytes of
        another encoding); ``"skip"`` goes on without it. Only for texts.
    n_columns
        Columns of an svmlight file, whose last ones may not occur; None: as many as do.
    given
        Names of options that were given although they have their default, and so go before those that a
        collection keeps of its own reading. With ``"fields"``, a table must have all of ``fields``.
    found
        What a reader guessed is written here: ``input_format``, ``delimiter``, ``quote``, ``index_base``.
    report
        Is given a line about what was skipped, such as files of a folder that are not text, or what may have
        been misread. The default logs it as a warning.

    Examples
    --------
    >>> ReadOptions(text_field="body").text_field
    'body'
    """

    input_format: str | None = None
    text_field: str | tuple[str, ...] = "text"
    id_field: str = "id"
    label_field: str = "labels"
    split_field: str = "split"
    fields: tuple[str, ...] | Literal["all"] = ()
    encoding: str = "utf-8"
    vocabulary: str | Path | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    quote: bool | None = None
    index_base: str = "auto"
    max_document_bytes: int = 64 * 2**20
    on_bad_record: str = "error"
    n_columns: int | None = None
    given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    found: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    report: Callable[[str], None] = field(
        default=logging.getLogger("nphash").warning, repr=False, compare=False
    )


class UniqueIds:
    """Refuses an id that was seen before, and says where."""

    def __init__(self, source: str, unit: str = "line") -> None:
        self._source, self._unit, self._lines = source, unit, dict[str, int]()

    def add(self, id: str, line: int) -> None:
        """Add ``id``; CorpusError when it is not new."""
        first = self._lines.setdefault(id, line)
        if first != line:
            where, unit = show(self._source), self._unit
            problem = f"{where}, {unit} {line}: the id {id!r} was already used on {unit} {first}"
            hint = "ids must be unique; choose another id field, or remove the repeated document"
            raise CorpusError(problem, hint)


class Skipped:
    """Count what is skipped or doubtful, keep the first names, and report both at the end.

    The report is ``one`` or ``several``, where ``{}`` stands for the number.
    """

    def __init__(
        self,
        options: ReadOptions,
        one: str = "skipped 1 document that cannot be used",
        several: str = "skipped {} documents that cannot be used",
    ) -> None:
        self._options, self._one, self._several = options, one, several
        self._names, self._count = list[str](), 0

    def add(self, name: str) -> None:
        """Count one."""
        self._count += 1
        if len(self._names) < NAMED:
            self._names.append(name)

    @contextmanager
    def unusable(self) -> Iterator[None]:
        """Count a document in which an error is raised inside the block, if such are to be skipped."""
        try:
            yield
        except CorpusError as error:
            if self._options.on_bad_record != "skip":
                raise
            self.add(error.problem)

    def report(self) -> None:
        """Say how many there were, if any."""
        if self._count:
            what = self._one if self._count == 1 else self._several.format(f"{self._count:,}")
            more = "; ..." if self._count > len(self._names) else ""
            self._options.report(f"{what}: {'; '.join(self._names)}{more}")


def readable(name: str) -> str:
    r"""Return a name with each byte that is no UTF-8 as ``\xe9``: it can be written, and stays distinct."""
    if _undecoded(name) is None:
        return name
    return _undecoded_all(_escape, name.replace("\\", "\\\\"))


def storable(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot hold."""
    return text if _undecoded(text) is None else text.encode("utf-8", "replace").decode("utf-8")


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def show(source: str | Path) -> str:
    """Return how messages name a source."""
    return "standard input" if str(source) == "-" else str(source)


def stem(source: str | Path) -> str:
    """Return the name that generated ids begin with."""
    return "stdin" if str(source) == "-" else readable(unpacked_name(Path(source).name))


def unpacked_name(name: str) -> str:
    """Return the name of a file without the suffixes of packing."""
    return _packed.sub("", name)


def clean_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels without blanks around them, empty ones and repetitions, in order."""
    return tuple(dict.fromkeys(label for label in map(str.strip, labels) if label))


def label_matrix(labels: Sequence[tuple[str, ...]], names: list[str] | None = None) -> tuple[CSR, list[str]]:
    """Return which document has which label, bool CSR of shape (n_documents, n_labels), and their names.

    The names are in the order of the columns: those given, where other labels are ignored, or all, sorted.

    Examples
    --------
    >>> y, names = label_matrix([("b",), (), ("a", "b")])
    >>> names, y.toarray().astype(int).tolist()
    (['a', 'b'], [[0, 1], [0, 0], [1, 1]])
    """
    from scipy.sparse import csr_matrix  # not at the top: documents can be read without SciPy

    if names is None:
        names = sorted({label for row in labels for label in row})
    column = {name: at for at, name in enumerate(names)}
    rows = [sorted({column[label] for label in row if label in column}) for row in labels]
    indices = np.fromiter(chain.from_iterable(rows), np.int32)
    indptr = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    shape = (len(labels), len(names))
    return csr_matrix((np.ones(len(indices), dtype=bool), indices, indptr), shape=shape), names
