"""The index of all words of a segment: which documents hold a word, and how often; written once, then mapped.

A file is a run of parts, each of at most 65,536 documents, in order; a part is a header and seven arrays, one
after the other, each padded to eight bytes::

    header     int64   (7,)              MAGIC, VERSION, and the five numbers in the shapes below
    starts     uint32  (n_words + 1,)    where the postings of each word begin
    ends       uint32  (n_words + 1,)    where its letters begin in `words`
    lengths    uint32  (n_documents,)    words of each document, repetitions included
    documents  uint16  (n_postings,)     numbers within the part, ascending for each word
    counts     uint8   (n_postings,)     how often it holds the word; 255 stands for a count in `large`
    large      uint32  (n_large, 2)      posting and count, where that is 255 or more
    words      uint8   (n_bytes,)        all words in UTF-8, in ascending order

Three bytes a posting need no decoding: a query reads its words' postings where they lie. The size of a part
bounds the memory that writing takes, and lets 16 bits number a document. No word is too rare or too frequent.
"""

from __future__ import annotations

import io
import mmap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, count
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from nphash.core.checksums import Blocks, FileRecord
from nphash.core.disk import cannot_read
from nphash.core.typing import Array
from nphash.errors import DamagedError
from nphash.text.tokenizer import make_tokenizer
from nphash.text.vocabulary import count_blocks, join_blocks
from nphash.text.weighting import Counts

MAGIC = int.from_bytes(b"nphwords", "little")
VERSION = 1
MOST_DOCUMENTS = 1 << 16  # of a part
LARGE = 255  # a count that a byte cannot hold
N_HEADER = 7


class Shape(NamedTuple):
    """The five numbers of a part's header."""

    n_documents: int
    n_words: int
    n_postings: int
    n_large: int
    n_bytes: int

    def sections(self) -> list[tuple[str, str, int]]:
        """Return name, type and number of items of each array behind the header."""
        return [
            ("starts", "<u4", self.n_words + 1),
            ("ends", "<u4", self.n_words + 1),
            ("lengths", "<u4", self.n_documents),
            ("documents", "<u2", self.n_postings),
            ("counts", "u1", self.n_postings),
            ("large", "<u4", 2 * self.n_large),
            ("words", "u1", self.n_bytes),
        ]


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // 8) * 8


# ---------------------------------------------------------------------- writing


class IndexWriter:
    """Write the parts of an index to an open file, as blocks of counted documents come."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks: list[Counts] = []
        self._pending = 0
        self._names: Sequence[str] = ()

    def _add(self, counts: Counts, names: Sequence[str]) -> None:
        """Append documents, rows of `counts`, whose columns are `names`; these may grow later on."""
        self._names = names
        start, n_rows = 0, len(counts.indptr) - 1
        while start < n_rows:
            stop = min(n_rows, start + MOST_DOCUMENTS - self._pending)
            entries = slice(int(counts.indptr[start]), int(counts.indptr[stop]))
            rows = counts.indptr[start : stop + 1] - counts.indptr[start]
            self._blocks.append(Counts(counts.data[entries], counts.indices[entries], rows))
            self._pending += stop - start
            start = stop
            if self._pending == MOST_DOCUMENTS:
                self._finish()

    def add_texts(self, texts: Iterable[str], pattern: str) -> None:
        """Append documents by their text, cut into words by a pattern of `nphash.text.tokenizer`."""
        number: defaultdict[str, int] = defaultdict(count().__next__)
        look_up = number.__getitem__
        words = make_tokenizer(pattern)
        for block in count_blocks(texts, words, lambda tokens: map(look_up, tokens)):
            self._add(block, list(number))
        self._finish()

    def _finish(self) -> None:
        """Write what is pending as a part."""
        if not self._pending:
            return
        blocks, self._blocks, self._pending = self._blocks, [], 0
        for section in _part(join_blocks(blocks), self._names):
            self._file.write(section.tobytes())
            self._file.write(bytes(_padded(section.nbytes) - section.nbytes))


def _part(counts: Counts, names: Sequence[str]) -> list[Array]:
    """Return the arrays of a part, `counts` turned from rows of documents to rows of words."""
    from scipy.sparse import csr_matrix

    n_documents = len(counts.indptr) - 1
    used = np.unique(counts.indices)
    letters = [names[column].encode("utf-8", "surrogatepass") for column in used.tolist()]
    order = sorted(range(len(letters)), key=letters.__getitem__)
    letters = [letters[i] for i in order]
    row_of = np.zeros(int(used[-1]) + 1 if used.size else 0, dtype=np.int64)
    row_of[used[order]] = np.arange(len(used))
    by_document = csr_matrix(
        (counts.data, row_of[counts.indices], counts.indptr), shape=(n_documents, len(used))
    )
    by_word = by_document.tocsc()  # documents ascend within a word
    large = np.flatnonzero(by_word.data >= LARGE)
    shape = Shape(n_documents, len(used), len(by_word.data), len(large), sum(map(len, letters)))
    return [
        np.array([MAGIC, VERSION, *shape], "<i8"),
        by_word.indptr.astype("<u4"),
        np.fromiter(accumulate(map(len, letters), initial=0), "<u4"),
        np.asarray(by_document.sum(axis=1)).ravel().astype("<u4"),
        by_word.indices.astype("<u2"),
        np.minimum(by_word.data, LARGE).astype("u1"),
        np.stack([large, by_word.data[large]], axis=1).astype("<u4"),
        np.frombuffer(b"".join(letters), "u1"),
    ]


# ---------------------------------------------------------------------- reading


class Postings(NamedTuple):
    """The documents of a part that hold a word, ascending, and how often."""

    documents: Array  # int64
    counts: Array  # float32


class Part:
    """A part of an index; what is read of it is checked before it is believed."""

    def __init__(self, index: WordIndex, shape: Shape, start: int) -> None:
        self.n_documents, self.n_words = shape.n_documents, shape.n_words
        self._index = index
        self._first: dict[str, int] = {}  # byte of the file at which an array begins
        self._arrays: dict[str, Array] = {}
        for name, kind, size in shape.sections():
            self._arrays[name] = np.frombuffer(index.buffer, kind, size, start)
            self._first[name] = start
            start += _padded(self._arrays[name].nbytes)
        self.stop = start
        self._is_checked = False

    def lengths(self) -> Array:
        """Return the number of words of each document, uint32, shape (n_documents,)."""
        return self._items("lengths", 0, self.n_documents)

    def word(self, number: int) -> bytes:
        """Return a word in UTF-8; they ascend with their numbers."""
        start, stop = self._arrays["ends"][number : number + 2].tolist()
        return self._index.buffer[self._first["words"] + start : self._first["words"] + stop]

    def numbers(self, word: str, is_prefix: bool = False) -> range:
        """Return the number of a word, or those of all words that begin with it."""
        self._check_dictionary()
        letters = word.encode("utf-8", "surrogatepass")
        first = self._first_from(letters)
        if is_prefix:  # no letter in UTF-8 has the byte 255
            return range(first, self._first_from(letters + b"\xff"))
        return range(first, first + (first < self.n_words and self.word(first) == letters))

    def postings(self, number: int) -> Postings:
        """Return the postings of a word."""
        start, stop = self._arrays["starts"][number : number + 2].tolist()
        documents = self._items("documents", start, stop).astype(np.int64)
        counts = self._items("counts", start, stop).astype(np.float32)
        if documents.size and int(documents.max()) >= self.n_documents:
            raise self._index.damaged("a word has a document that is none")
        if (counts == LARGE).any():
            large = self._items("large", 0, len(self._arrays["large"])).reshape(-1, 2)
            mine = large[(large[:, 0] >= start) & (large[:, 0] < stop)]
            counts[mine[:, 0].astype(np.int64) - start] = mine[:, 1]
        return Postings(documents, counts)

    def words(self) -> Iterator[bytes]:
        """Yield all words in UTF-8, ascending."""
        self._check_dictionary()
        return map(self.word, range(self.n_words))

    def _first_from(self, letters: bytes) -> int:
        low, high = 0, self.n_words
        while low < high:
            middle = (low + high) // 2
            if self.word(middle) < letters:
                low = middle + 1
            else:
                high = middle
        return low

    def _check_dictionary(self) -> None:
        if not self._is_checked:
            for name in ("starts", "ends", "words"):
                self._items(name, 0, len(self._arrays[name]))
            ends, starts = self._arrays["ends"], self._arrays["starts"]
            n_postings, n_bytes = len(self._arrays["documents"]), len(self._arrays["words"])
            if ends[-1] != n_bytes or starts[-1] != n_postings or (starts[1:] < starts[:-1]).any():
                raise self._index.damaged("its numbers contradict each other")
            self._is_checked = True

    def _items(self, name: str, start: int, stop: int) -> Array:
        array, first = self._arrays[name], self._first[name]
        self._index.check(first + start * array.itemsize, first + stop * array.itemsize)
        return array[start:stop]


class WordIndex:
    """An index in a mapped file, or made in memory for documents that have none in a file.

    `known` is the record of a file that nobody has compared with it: then each block is, before it is read.
    """

    def __init__(
        self, buffer: mmap.mmap | bytes, path: Path | None = None, known: FileRecord | None = None
    ) -> None:
        self.buffer, self.path = buffer, path
        mapped = buffer if isinstance(buffer, mmap.mmap) else None
        self._blocks = Blocks(path, known, mapped) if path and known and mapped else None
        self.parts = list(self._parts())
        self.n_documents = sum(part.n_documents for part in self.parts)

    @classmethod
    def open(cls, path: Path, known: FileRecord | None = None) -> WordIndex:
        """Map a file; `DamagedError` if it is none of ours, `CollectionError` if it cannot be opened."""
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            raise _damaged(path, "it is empty") from None
        except OSError as error:
            raise cannot_read(path, error) from None
        return cls(mapped, path, known)

    @classmethod
    def of_texts(cls, texts: Iterable[str], pattern: str) -> WordIndex:
        """Return the index of texts, in memory."""
        file = io.BytesIO()
        IndexWriter(file).add_texts(texts, pattern)
        return cls(file.getvalue())

    def check(self, start: int, stop: int) -> None:
        """Check bytes `start` to `stop` that have not been; `DamagedError` if some were altered."""
        if self._blocks:
            self._blocks.check(start, stop)

    def damaged(self, why: str) -> DamagedError:
        """Return the error that says what is wrong with the file."""
        return _damaged(self.path, why)

    def _parts(self) -> Iterator[Part]:
        start, size = 0, len(self.buffer)
        while start < size:
            if start + 8 * N_HEADER > size:
                raise self.damaged("it was cut")
            self.check(start, start + 8 * N_HEADER)
            magic, version, *numbers = np.frombuffer(self.buffer, "<i8", N_HEADER, start).tolist()
            if magic != MAGIC or version != VERSION or min(numbers) < 0 or max(numbers) > size:
                raise self.damaged("it is no index of words")
            shape = Shape(*numbers)
            needed = sum(_padded(np.dtype(kind).itemsize * items) for _, kind, items in shape.sections())
            start += 8 * N_HEADER
            if start + needed > size:
                raise self.damaged("it was cut")
            yield (part := Part(self, shape, start))
            start = part.stop


def _damaged(path: Path | None, why: str) -> DamagedError:
    return DamagedError(
        f"{path or 'the index of words'} is damaged: {why}", "restore the directory from a copy"
    )
