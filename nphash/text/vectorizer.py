"""Rows of a sparse matrix for documents: learn a vocabulary in one pass, then weigh its words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nphash.core import store
from nphash.core.typing import CSR, Array
from nphash.errors import CollectionError, DamagedError, InputError, not_fitted
from nphash.text.settings import VectorizerSettings, as_source, is_path, stop_words, yielded
from nphash.text.tokenizer import ENDLESS, WORD, WORD_1, make_tokenizer, may_be_endless
from nphash.text.vocabulary import (
    Vocabulary,
    WordCounts,
    checked_counts,
    choose,
    count_blocks,
    join_blocks,
    learn,
    select,
)
from nphash.text.weighting import Counts, Statistics, weigh

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Vectorizer", "VectorizerSettings"]


class Vectorizer:
    """Turn texts into rows of word weights; an estimator of scikit-learn by duck typing.

    Parameters
    ----------
    settings
        None stands for ``VectorizerSettings()``.

    Attributes
    ----------
    vocabulary_ : list of str
        The kept words in code-point order; a word's position is its column.
    document_frequency_ : ndarray of int64, shape (n_words,)
        In how many training documents each word occurs.
    n_documents_ : int
        Number of training documents.
    mean_length_ : float
        Mean number of counted words in a training document.
    n_candidates_ : int
        Number of words within the limits of document frequency: more than were kept, if ``max_words`` cut
        some off.
    stop_words_ : set of str
        The stop words as the tokenizer writes them.

    Examples
    --------
    >>> vectorizer = Vectorizer().fit(["ships carry wheat", "wheat prices rise"])
    >>> vectorizer.vocabulary_
    ['carry', 'prices', 'rise', 'ships', 'wheat']
    >>> X = vectorizer.transform(["wheat, wheat and gold"])
    >>> X.shape, X.indices.tolist(), X.data.tolist()
    ((1, 5), [4], [1.0])
    """

    def __init__(self, settings: VectorizerSettings | None = None) -> None:
        self.settings = VectorizerSettings() if settings is None else settings

    def fit(self, texts: Iterable[str], y: object = None) -> Self:
        """Learn the vocabulary and document frequencies in one pass and return this vectorizer.

        Memory follows the distinct words.

        Parameters
        ----------
        texts
            Strings, one a document; read once. Of a data frame, a dict or an array of two dimensions its
            only column.
        y
            Not used; pipelines of scikit-learn give it.

        Raises
        ------
        InputError
            When no document or no word is left, an item is not a string, or the settings are none.
        """
        self._learn(texts)
        return self

    def fit_transform(self, texts: Iterable[str], y: object = None) -> Any:
        """Do `fit` and `transform` while reading ``texts`` only once: it may be a generator."""
        return self._weigh(self.fit_counts(texts))

    def fit_counts(self, texts: Iterable[str]) -> Any:
        """Do `fit` and `counts` while reading ``texts`` only once."""
        blocks: list[Counts] = []
        columns = self._learn(texts, blocks.append)
        for at, block in enumerate(blocks):  # one at a time: old and new never both exist whole
            blocks[at] = select(block, columns)
        return self._sorted(join_blocks(blocks))

    def fit_blocks(self, texts: Iterable[str], keep: Callable[[Counts], None]) -> Callable[[Counts], Any]:
        """Do `fit` and hand the word counts of successive blocks of documents on, for a corpus too large.

        The function that is returned turns a block that `keep` was given into its rows of weights.
        """
        columns = self._learn(texts, keep)
        return lambda block: self._weigh(self._sorted(select(block, columns)))

    def transform_blocks(self, texts: Iterable[str]) -> Iterator[Any]:
        """Yield the rows of `transform` in blocks of some thousand documents, as the texts are read."""
        for block in self._count(texts):
            yield self._weigh(self._matrix(block))

    def transform(self, texts: Iterable[str]) -> Any:
        """Return the weights of the vocabulary's words in each text, read once; other words are dropped.

        Returns
        -------
        scipy.sparse.csr_matrix
            float32 of shape (n_texts, n_words); a text without any known word is an empty row, whose code
            says nothing: ``X.getnnz(axis=1) == 0`` finds them.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InputError
            When an item is not a string.
        """
        return self._weigh(self.counts(texts))

    def counts(self, texts: Iterable[str]) -> Any:
        """Return how often each word of the vocabulary occurs in each text, as `transform` but int32."""
        return self._matrix(join_blocks(list(self._count(texts))))

    def weigh(self, counts: CSR) -> Any:
        """Weight a CSR matrix of counts with the training corpus's frequencies: float32 of the same pattern.

        InputError for another number of columns, or an index out of range.
        """
        self._check_fitted()
        return self._weigh(checked_counts(counts, len(self.vocabulary_)))

    def _weigh(self, counts: CSR) -> Any:
        arrays = Counts(counts.data, counts.indices, counts.indptr)
        weights = weigh(self.settings.weighting, arrays, self.statistics)
        return self._matrix(Counts(weights, counts.indices, counts.indptr))

    def encode_text(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the row of one text as (columns, weights): the bits of `transform`, without SciPy.

        Both have shape (n_known_words,), int32 and float32; columns ascend.

        Examples
        --------
        >>> columns, weights = Vectorizer().fit(["wheat ships", "gold"]).encode_text("gold mine")
        >>> columns.tolist(), weights.tolist()
        ([0], [1.0])
        """
        counts = join_blocks(list(self._count([text])))
        return counts.indices, weigh(self.settings.weighting, counts, self.statistics)

    @property
    def stop_words_(self) -> set[str]:
        """The stop words, as the tokenizer writes them."""
        self._check_fitted()
        source = as_source(self._stored.stop_words)
        return yielded(stop_words(source), make_tokenizer(self._stored.pattern))[0]

    @property
    def statistics(self) -> Statistics:
        """Document frequencies and sizes of the training corpus, as the weightings want them."""
        self._check_fitted()
        return Statistics(self.document_frequency_, self.n_documents_, self.mean_length_)

    def refit_frequencies(self, counts: CSR) -> Self:
        """Take document frequencies and sizes from other counts, checked as by `weigh`.

        For protocols that choose the words on one set of documents and weigh them on another.
        """
        self._check_fitted()
        counts = checked_counts(counts, len(self.vocabulary_))
        self.n_documents_, n_words = counts.shape
        self.document_frequency_ = np.bincount(counts.indices, minlength=n_words).astype(np.int64)
        self.mean_length_ = float(counts.data.sum()) / max(self.n_documents_, 1)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted state to one JSON file with a checksum; a vectorizer that is there is replaced.

        CollectionError if it cannot be, or the file is another program's: it is then as it was.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Vectorizer().fit(["gold"]).save(f"{folder}/words.json")
        ...     Vectorizer.load(f"{folder}/words.json").vocabulary_
        ['gold']
        """
        store.save(Path(path), store.VECTORIZER, self.to_json(), {})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the vectorizer that `save` wrote; CollectionError if there is none, or it is damaged."""
        state = store.read_about(Path(path), store.VECTORIZER)
        if state is None:
            raise CollectionError(f"there is no file {path}", "give one that Vectorizer.save() wrote")
        try:
            return cls.from_json(state)
        except InputError as error:
            raise DamagedError(f"{path} is damaged: {error.problem}", store.RESTORE) from None

    def to_json(self) -> dict[str, Any]:
        """Return the fitted state as a dict that the json module can write, for `from_json`."""
        self._check_fitted()
        return {
            "tokenizer": 2,
            "settings": asdict(self._stored),
            "vocabulary": list(self.vocabulary_),
            "document_frequency": self.document_frequency_.tolist(),
            "n_documents": self.n_documents_,
            "mean_length": self.mean_length_,
            "n_candidates": self.n_candidates_,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted vectorizer from `to_json`'s dict; InputError for what is none."""
        try:
            settings = dict(state["settings"])
            if may_be_endless(str(settings.get("pattern"))):  # perhaps a stranger's
                problem = f"the token pattern {settings['pattern']!r} {ENDLESS}"
                raise CollectionError(problem, "fit the documents anew with another pattern")
            if "tokenizer" not in state and settings.get("pattern", WORD) == WORD:  # as version 0.1 wrote it
                settings["pattern"] = WORD_1
            if is_path(settings.get("stop_words")):  # it might name any file of the reader's machine
                settings["stop_words"] = []
            vectorizer = cls(VectorizerSettings(**settings))
            words = state["vocabulary"]
            frequency = np.array(state["document_frequency"], dtype=np.int64)
            vectorizer.n_documents_ = int(state["n_documents"])
            vectorizer.mean_length_ = float(state["mean_length"])
            # not known of what the first versions wrote
            vectorizer.n_candidates_ = int(state.get("n_candidates", frequency.size))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the state of the vectorizer is damaged ({error!r})") from error
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError("the vocabulary in the state of the vectorizer is no list of words")
        if frequency.shape != (len(set(words)),):
            raise InputError(
                f"the state of the vectorizer has {len(set(words))} distinct words "
                f"and {frequency.size} document frequencies"
            )
        vectorizer.vocabulary_, vectorizer.document_frequency_ = list(words), frequency
        vectorizer._number, vectorizer._stored = {}, vectorizer.settings
        return vectorizer

    def fit_counted(self, counted: WordCounts) -> Self:
        """Do `fit` with what `nphash.text.vocabulary.count_words` has counted in parts, added up.

        Raises
        ------
        InputError
            As `fit`.
        """
        self._take(choose(counted, self._settings_to_store())[0])
        return self

    def _learn(self, texts: Iterable[str], keep: Callable[[Counts], None] | None = None) -> Array:
        found, columns = learn(texts, self._settings_to_store(), keep)
        self._take(found)
        return columns

    def _settings_to_store(self) -> VectorizerSettings:
        """Return the settings of a fit, with the words of a file of stop words in place of its path."""
        settings = _checked(self.settings)
        if is_path(settings.stop_words):  # which may be gone, or another's, when the words are asked for
            settings = replace(settings, stop_words=sorted(stop_words(settings.stop_words)))
        self._stored = settings
        return settings

    def _take(self, found: Vocabulary) -> None:
        self.vocabulary_, self.document_frequency_ = found.words, found.document_frequency
        self.n_documents_, self.mean_length_ = found.n_documents, found.mean_length
        self.n_candidates_ = found.n_candidates
        self._number: dict[str, int] = {}

    def _count(self, texts: Iterable[str]) -> Iterator[Counts]:
        self._check_fitted()
        if not self._number:
            self._number = {word: at for at, word in enumerate(self.vocabulary_)}
        find = self._number.get
        unknown = repeat(-1)
        words = make_tokenizer(self.settings.pattern)
        return count_blocks(texts, words, lambda tokens: map(find, tokens, unknown))

    def _matrix(self, counts: Counts) -> Any:
        from scipy.sparse import csr_matrix  # not at the top: `encode_text` is to start without SciPy

        shape = (len(counts.indptr) - 1, len(self.vocabulary_))
        return csr_matrix((counts.data, counts.indices, counts.indptr), shape=shape)

    def _sorted(self, counts: Counts) -> Any:
        """Return a matrix of words that were numbered by first sight; columns are alphabetical."""
        matrix = self._matrix(counts)
        matrix.sort_indices()
        return matrix

    # ------------------------------------------------------------------ as an estimator of scikit-learn

    def __repr__(self) -> str:
        settings = self.settings
        if not isinstance(settings, VectorizerSettings):  # the constructor only stores: `fit` complains
            return f"Vectorizer({settings!r})"
        given = ", ".join(
            f"{field.name}={getattr(settings, field.name)!r}"
            for field in fields(settings)
            if getattr(settings, field.name) != field.default
        )
        return f"Vectorizer(VectorizerSettings({given}))" if given else "Vectorizer()"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return ``settings`` and, with `deep`, each of them as ``settings__name``."""
        single = asdict(self.settings) if deep and isinstance(self.settings, VectorizerSettings) else {}
        return {"settings": self.settings} | {f"settings__{name}": value for name, value in single.items()}

    def set_params(self, **params: Any) -> Self:
        """Set ``settings``, or single ones as ``settings__name``; return this vectorizer.

        Nothing is set where one is unknown or out of range, which raises InputError.
        """
        names = ["settings", *(f"settings__{field.name}" for field in fields(VectorizerSettings))]
        unknown = sorted(params.keys() - names)
        if unknown:
            problem = f"the vectorizer has no parameter {unknown[0]!r}"
            raise InputError(problem, f"there are {', '.join(names)}")
        settings = params.pop("settings", self.settings)
        settings = VectorizerSettings() if settings is None else settings
        given = {name.removeprefix("settings__"): value for name, value in params.items()}
        self.settings = replace(_checked(settings), **given) if given else settings
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Return this vectorizer; InputError for frames, which pipelines of scikit-learn may ask for."""
        if transform not in {None, "default"}:
            problem = f"the vectorizer's rows are sparse, and {transform} holds each of their zeros"
            raise InputError(problem, "leave set_output out, or name the columns by get_feature_names_out()")
        return self

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the words of the vocabulary, the names of the columns, as an array of str objects.

        `input_features`, which pipelines give, are not used.
        """
        self._check_fitted()
        return np.array(self.vocabulary_, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "vocabulary_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(string=True, two_d_array=False),
        )

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise not_fitted("the vectorizer has no vocabulary yet", "call fit first")


def _checked(settings: object) -> VectorizerSettings:
    if not isinstance(settings, VectorizerSettings):
        problem = f"the vectorizer's settings are {settings!r}"
        raise InputError(problem, "give nphash.VectorizerSettings(...), or None")
    return settings
