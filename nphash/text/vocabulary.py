"""Count words block by block and choose those to keep: one pass, memory that follows the distinct words."""

from __future__ import annotations

import logging
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

from nphash.core.csr import to_csr
from nphash.core.frames import one_column
from nphash.core.typing import CSR, Array
from nphash.errors import InputError
from nphash.text.settings import SMALL_CORPUS, VectorizerSettings, as_source, stop_words, yielded
from nphash.text.tokenizer import SYLLABIC, WORD, make_tokenizer
from nphash.text.weighting import Counts

_log = logging.getLogger(__name__)
_scripts = {name: re.compile(f"[{characters}]").search for name, characters in SYLLABIC.items()}

NAMED = 5  # of stop words without effect
FEWEST_PAIRS = 20  # of a script, before they are reported

#: A block ends with the document that reaches this many words: a few tens of megabytes of buffers.
TOKENS_PER_BLOCK = 1 << 20

#: Of one document: more would take gigabytes.
MOST_WORDS = 1 << 24


def checked_counts(counts: CSR, n_words: int) -> CSR:
    """Return a matrix of counts that came from outside as CSR; InputError for what is none of `n_words`."""
    if getattr(counts, "format", None) is None or len(counts.shape) != 2:
        problem = f"the counts are of type {type(counts).__name__}, but a sparse matrix of SciPy is needed"
        raise InputError(problem, "give what Vectorizer.counts returns")
    if counts.shape[1] != n_words:
        problem = f"the counts have {counts.shape[1]} columns for {n_words} words"
        raise InputError(problem, "count the same vocabulary")
    checked: CSR = to_csr(counts, "the matrix of counts")
    return checked


def count_blocks(
    texts: Iterable[str],
    words: Callable[[str], Iterable[str]],
    number: Callable[[Iterable[str]], Iterable[int]],
    first: int = 0,
) -> Iterator[Counts]:
    """Yield the word counts of successive blocks of documents: int32, int32, int64, indices ascending.

    ``words`` cuts a text into words, ``number`` turns these into numbers (int32), of which those below
    ``first`` are dropped: stop words, or unknown words numbered -1. InputError for one single string, a
    table of several columns, or an item that is not a string.
    """
    if isinstance(texts, (str, bytes)):
        raise InputError("the texts are one single string", "give a list of strings, one a document")
    tokens, lengths = array("i"), array("q")
    for at, text in enumerate(one_column(texts, "texts")):
        if not isinstance(text, str):
            problem = f"document {at} is of type {type(text).__name__}, but texts are strings"
            raise InputError(problem, "decode bytes, and replace missing texts by empty strings")
        before = len(tokens)
        try:
            numbers = number(words(text))
            tokens.extend(numbers if len(text) < TOKENS_PER_BLOCK else islice(numbers, MOST_WORDS + 1))
        except InputError as error:
            raise InputError(f"document {at} {error.problem}", error.hint) from None
        lengths.append(len(tokens) - before)
        if lengths[-1] > MOST_WORDS:
            raise InputError(f"document {at} has more than {MOST_WORDS:,} words", "split it, or leave it out")
        if len(tokens) >= TOKENS_PER_BLOCK:
            yield _compress(tokens, lengths, first)
            tokens, lengths = array("i"), array("q")
    if lengths:
        yield _compress(tokens, lengths, first)


def _compress(tokens: array[int], lengths: array[int], first: int) -> Counts:
    """Sort (document, word) keys; equal neighbours are one entry."""
    numbers = np.frombuffer(tokens, np.int32) if tokens else np.empty(0, np.int32)
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), np.frombuffer(lengths, np.int64))
    keep = numbers >= first
    keys = rows[keep] << 32 | numbers[keep]
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    data = np.diff(starts, append=len(keys)).astype(np.int32)
    keys = keys[starts]
    per_row = np.bincount(keys >> 32, minlength=len(lengths))
    indptr = np.concatenate(([0], np.cumsum(per_row))).astype(np.int64)
    return Counts(data, (keys & 0xFFFFFFFF).astype(np.int32), indptr)


def join_blocks(blocks: list[Counts]) -> Counts:
    """Stack blocks of rows into one, in order (no block gives no row)."""
    sizes = np.concatenate([[0], *(np.diff(block.indptr) for block in blocks)])
    return Counts(
        np.concatenate([np.empty(0, np.int32), *(block.data for block in blocks)]),
        np.concatenate([np.empty(0, np.int32), *(block.indices for block in blocks)]),
        np.cumsum(sizes, dtype=np.int64),
    )


def select(block: Counts, columns: Array) -> Counts:
    """Keep the entries of chosen words, renumbered."""
    indices = columns[block.indices]
    keep = indices >= 0
    kept_before = np.concatenate(([0], np.cumsum(keep)))
    return Counts(block.data[keep], indices[keep], kept_before[block.indptr])


@dataclass(frozen=True)
class Vocabulary:
    """The kept words in code-point order and what was counted of them."""

    words: list[str]
    document_frequency: Array  # (n_words,) number of documents that hold each word, int64
    n_documents: int
    mean_length: float  # mean number of kept words in a document, repetitions included
    n_candidates: int  # words within the limits of document frequency, before `max_words` cut the rarest off


@dataclass(frozen=True)
class WordCounts:
    """What some documents say of their words, which may be added to what others say."""

    words: list[str]  # by first sight, stop words before them
    document_frequency: Array  # (n_words,) int64
    frequency: Array  # (n_words,) int64, repetitions included; 0 for stop words
    n_documents: int

    def __add__(self, other: WordCounts) -> WordCounts:
        number = {word: at for at, word in enumerate(self.words)}
        at = np.array([number.setdefault(word, len(number)) for word in other.words], dtype=np.intp)
        totals = np.zeros((2, len(number)), np.int64)
        totals[:, : len(self.words)] = self.document_frequency, self.frequency
        totals[:, at] += other.document_frequency, other.frequency
        return WordCounts(list(number), totals[0], totals[1], self.n_documents + other.n_documents)


def learn(
    texts: Iterable[str], settings: VectorizerSettings, keep: Callable[[Counts], None] | None = None
) -> tuple[Vocabulary, Array]:
    """Read the texts once and return the vocabulary and the column of each word met, -1 for dropped words.

    ``keep`` is given the counts of successive blocks of documents; their columns are numbers in the order in
    which words were met, until `select` makes them positions in the vocabulary. InputError if none is left.
    """
    return choose(count_words(texts, settings, keep), settings)


def count_words(
    texts: Iterable[str], settings: VectorizerSettings, keep: Callable[[Counts], None] | None = None
) -> WordCounts:
    """Read the texts once and count their words; ``keep`` as for `learn`."""
    number: defaultdict[str, int] = defaultdict(count().__next__)
    look_up = number.__getitem__
    words = make_tokenizer(settings.pattern)
    stopped = [number[word] for word in sorted(_stop_words(settings, words))]
    document_frequency, frequency = np.zeros((2, len(stopped)), np.int64)
    n_documents = 0
    for block in count_blocks(texts, words, lambda tokens: map(look_up, tokens), first=len(stopped)):
        document_frequency = _add(document_frequency, np.bincount(block.indices, minlength=len(number)))
        per_word = np.bincount(block.indices, weights=block.data, minlength=len(number))
        frequency = _add(frequency, per_word.astype(np.int64))
        n_documents += len(block.indptr) - 1
        if keep is not None:
            keep(block)
    return WordCounts(list(number), document_frequency, frequency, n_documents)


def choose(counted: WordCounts, settings: VectorizerSettings) -> tuple[Vocabulary, Array]:
    """Return the vocabulary of what was counted, and the column of each word; errors as `learn`."""
    n, words = counted.n_documents, counted.words
    if n == 0:
        raise InputError("there is no document to learn words from", "give at least one text")
    chosen, n_candidates = _choose(counted, settings)
    columns = np.full(len(words), -1, np.int32)
    columns[chosen] = np.arange(len(chosen))
    mean_length = float(counted.frequency[chosen].sum()) / n
    kept, document_frequency = [words[at] for at in chosen], counted.document_frequency[chosen]
    if settings.pattern == WORD:
        _report_scripts(word for word in kept if not word.isascii())
    return Vocabulary(kept, document_frequency, n, mean_length, n_candidates), columns


def _stop_words(settings: VectorizerSettings, tokenize: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the stop words as they are met in texts, and report those that never are."""
    found, without_effect = yielded(stop_words(as_source(settings.stop_words)), tokenize)
    if without_effect and settings.stop_words != "english":
        some = ", ".join(map(repr, without_effect[:NAMED])) + ", ..." * (len(without_effect) > NAMED)
        what = "stop words that are never one word of a text have no effect"
        _log.warning("%d %s: %s", len(without_effect), what, some)
    return found


def _report_scripts(words: Iterable[str]) -> None:
    """Report that words of a script without spaces were made of pairs of its characters."""
    counts = Counter(name for word in words for name, find in _scripts.items() if find(word))
    for name, n_words in counts.items():
        if n_words >= FEWEST_PAIRS:
            _log.warning(
                "%s is written without spaces: words are found by pairs of their characters; better codes "
                "come from texts that another program has cut into words",
                name,
            )


def _add(totals: Array, more: Array) -> Array:
    """Add counts of a vocabulary that has grown since ``totals`` was made."""
    more[: len(totals)] += totals
    return more


def _choose(counted: WordCounts, settings: VectorizerSettings) -> tuple[Array, int]:
    """Return the numbers of the kept words, in the words' code-point order, and how many might have been."""
    n_documents, document_frequency = counted.n_documents, counted.document_frequency
    small = n_documents < SMALL_CORPUS
    least, share = settings.min_documents, settings.max_share
    least = (1 if small else 3) if least is None else least
    share = (1.0 if small else 0.8) if share is None else share
    # The frequency of stop words was never counted, so `least` >= 1 leaves them out as well.
    kept = np.flatnonzero((document_frequency >= least) & (document_frequency <= share * n_documents))
    if len(kept) == 0:
        raise InputError(
            f"no word is left of {np.count_nonzero(document_frequency)} in "
            f"{n_documents} document{'s' * (n_documents > 1)} "
            f"(kept are those in {least} or more and at most {share:.0%} of all documents)",
            "lower min_documents, raise max_share, choose other stop words, or give more text",
            parameter=("min_documents", "max_share"),
        )
    ordered = sorted(kept.tolist(), key=counted.words.__getitem__)
    if settings.max_words is not None and len(ordered) > settings.max_words:
        by_frequency = np.argsort(-counted.frequency[ordered], kind="stable")[: settings.max_words]
        ordered = [ordered[at] for at in np.sort(by_frequency)]
    return np.array(ordered, dtype=np.int64), len(kept)
