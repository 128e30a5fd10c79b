"""Choose the words to keep: one pass over the texts, memory that follows the distinct words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

import numpy as np

from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.text.counting import count_blocks
from nphash.text.settings import SMALL_CORPUS, VectorizerSettings
from nphash.text.stop_words import as_source, stop_words
from nphash.text.tokenizer import make_tokenizer
from nphash.text.weighting import Counts

__all__ = ["Vocabulary", "learn", "select", "survey"]


@dataclass(frozen=True)
class Vocabulary:
    """The kept words in code-point order and what was counted of them.

    Parameters
    ----------
    words
        The kept words.
    document_frequency
        (n_words,) number of documents that hold each word, int64.
    n_documents
        Number of documents read.
    mean_length
        Mean number of kept words in a document, repetitions included.
    n_candidates
        Number of words within the limits of document frequency, before ``max_words`` cut the rarest off.
    """

    words: list[str]
    document_frequency: Array
    n_documents: int
    mean_length: float
    n_candidates: int


def learn(
    texts: Iterable[str], settings: VectorizerSettings, keep: bool = False
) -> tuple[Vocabulary, list[Counts]]:
    """Read the texts once and return the vocabulary and, if ``keep``, the counts of its words.

    The columns of the counts are positions in the vocabulary, in no order within a row.

    Raises
    ------
    InputError
        When no document or no word is left, or an item is not a string.

    Examples
    --------
    >>> vocabulary, _ = learn(["wheat ships", "wheat"], VectorizerSettings())
    >>> vocabulary.words, vocabulary.document_frequency.tolist()
    (['ships', 'wheat'], [1, 2])
    """
    blocks: list[Counts] = []
    vocabulary, columns = survey(texts, settings, blocks.append if keep else None)
    for at, block in enumerate(blocks):  # one at a time: old and new never both exist whole
        blocks[at] = select(block, columns)
    return vocabulary, blocks


def survey(
    texts: Iterable[str], settings: VectorizerSettings, keep: Callable[[Counts], None] | None = None
) -> tuple[Vocabulary, Array]:
    """Read the texts once and return the vocabulary and the column of each word met, -1 for dropped words.

    Parameters
    ----------
    texts, settings
        As for `learn`.
    keep
        Is given the counts of successive blocks of documents; their columns are numbers in the order
        in which words were met, until `select` makes them positions in the vocabulary.

    Raises
    ------
    InputError
        As `learn`.
    """
    number: defaultdict[str, int] = defaultdict(count().__next__)
    stopped = [number[word] for word in sorted(stop_words(as_source(settings.stop_words)))]
    look_up = number.__getitem__
    words = make_tokenizer(settings.pattern)
    document_frequency = np.zeros(0, np.int64)
    frequency = np.zeros(0, np.int64)
    n_documents = 0
    for block in count_blocks(texts, words, lambda tokens: map(look_up, tokens), first=len(stopped)):
        document_frequency = _add(document_frequency, np.bincount(block.indices, minlength=len(number)))
        per_word = np.bincount(block.indices, weights=block.data, minlength=len(number))
        frequency = _add(frequency, per_word.astype(np.int64))
        n_documents += len(block.indptr) - 1
        if keep is not None:
            keep(block)
    if n_documents == 0:
        raise InputError("there is no document to learn words from", "give at least one text")
    chosen, n_candidates = _choose(list(number), document_frequency, frequency, n_documents, settings)
    columns = np.full(len(number), -1, np.int32)
    columns[chosen] = np.arange(len(chosen))
    names = list(number)
    vocabulary = Vocabulary(
        [names[at] for at in chosen],
        document_frequency[chosen],
        n_documents,
        float(frequency[chosen].sum()) / n_documents,
        n_candidates,
    )
    return vocabulary, columns


def _add(totals: Array, more: Array) -> Array:
    """Add counts of a vocabulary that has grown since ``totals`` was made."""
    more[: len(totals)] += totals
    return more


def _choose(
    words: list[str],
    document_frequency: Array,
    frequency: Array,
    n_documents: int,
    settings: VectorizerSettings,
) -> tuple[Array, int]:
    """Return the numbers of the kept words, in the words' code-point order, and how many might have been."""
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
    ordered = sorted(kept.tolist(), key=lambda at: words[at])
    if settings.max_words is not None and len(ordered) > settings.max_words:
        by_frequency = np.argsort(-frequency[ordered], kind="stable")[: settings.max_words]
        ordered = [ordered[at] for at in np.sort(by_frequency)]
    return np.array(ordered, dtype=np.int64), len(kept)


def select(block: Counts, columns: Array) -> Counts:
    """Keep the entries of chosen words, renumbered.

    Examples
    --------
    >>> block = Counts(np.array([3, 4]), np.array([0, 1]), np.array([0, 2]))
    >>> select(block, np.array([-1, 0])).data.tolist()
    [4]
    """
    indices = columns[block.indices]
    keep = indices >= 0
    kept_before = np.concatenate(([0], np.cumsum(keep)))
    return Counts(block.data[keep], indices[keep], kept_before[block.indptr])
