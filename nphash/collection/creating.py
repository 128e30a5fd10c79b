"""Creation of a collection: read documents once, learn vocabulary and hasher, store text and codes.

Documents may also come as a matrix (svmlight, ``.npz``, Matrix Market, ...), which has words but no text.
Its rows are stored as words separated by spaces, each repeated as often as it was counted where weights are
whole numbers, else once; columns without names are ``w0``, ``w1``, ... Whole numbers are word counts and go
the way of text from there on. Other weights are the caller's own: the hasher learns from them and encodes
them as they are, and only queries given as text are weighed by us.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from nphash.codes import Codes
from nphash.collection.changes import Change, creating
from nphash.collection.documents import DocumentWriter, checked, writing
from nphash.collection.manifest import Manifest, SegmentFiles
from nphash.collection.state import State
from nphash.core.typing import CSR
from nphash.corpus import Document, Matrix, ReadOptions, Shards, label_matrix, vectorize
from nphash.corpus.read import kept_options
from nphash.corpus.shards import count_empty, counts_limit, rows_where
from nphash.errors import InputError
from nphash.hashers import Hasher, method_of, save
from nphash.hashers.inputs import check_documents
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

Callback: TypeAlias = Callable[[Any], None]  # is given a `Progress` of the hashers
Mask: TypeAlias = npt.NDArray[np.bool_]

HELD_OUT = frozenset({"test"})
VALIDATION = frozenset({"valid", "validation", "val", "dev", "cv"})
FEWEST_FOR_VALIDATION = 100
MOST_REPEATS = 1_000  # a count above this is stored as this: TF weights are logarithmic anyway


@dataclass(frozen=True)
class CreateSettings:
    """How a collection is made.

    Parameters
    ----------
    vectorizer
        Words and weights. For a matrix only its weighting and limits count.
    validation
        Share of the documents, chosen by a hash of their id, that choose the best epoch of an
        iterative hasher instead of training it; they are searchable like the others. Not used
        when documents are marked ``valid``, nor with fewer than 100 documents, nor by systems that keep
        the last epoch.
    force
        Replace the collection that is there.
    checkpoint
        Folder for the state of an interrupted fit.
    source
        Where the documents come from, for the record.
    reading
        The options they are read with, for the record: what they say, and what readers found out, counts for
        documents that come later.
    out_of_core
        Keep the word weights on the disk while fitting, in the directory to be made (about 8 bytes for each
        word of each document, twice that for a while). None does so where they are large for this machine's
        memory; a hasher that cannot learn from them there is then refused. What still grows with the
        documents in memory is their ids and labels, and some 200 bytes each.
    """

    vectorizer: VectorizerSettings = field(default_factory=VectorizerSettings)
    validation: float = 0.1
    force: bool = False
    checkpoint: Path | None = None
    source: str = ""
    reading: ReadOptions | None = None
    out_of_core: bool | None = None

    def limit(
        self, hasher: Hasher, documents: Iterable[Document] | Matrix
    ) -> tuple[int | None, InputError | None]:
        """Return up to how many bytes word counts are kept in memory, and what is raised beyond.

        No number stands for any number, no error for going to the disk. `InputError` if they are to be there,
        but the hasher or the corpus has them in memory anyway.
        """
        given, who = isinstance(documents, Matrix), type(hasher).__name__
        if self.out_of_core and given:
            raise InputError(
                "a matrix is read into memory as a whole",
                "give texts, or leave out_of_core out",
                parameter="out_of_core",
            )
        if self.out_of_core and not hasher.out_of_core:
            raise InputError(
                f"{who} needs the word weights in memory",
                "take a method that learns from the disk (doc2hash, nash, vdsh), or leave out_of_core out",
                parameter=(who, "out_of_core"),
            )
        if self.out_of_core is not None or given:
            return (0 if self.out_of_core else None), None
        if hasher.out_of_core:
            return counts_limit(), None
        return 2 * counts_limit(), InputError(  # what fits into half of the memory may well fit into all
            f"{who} needs the word weights in memory, and they are too large for this machine's",
            "take a method that learns from the disk (doc2hash, nash, vdsh), or try with out_of_core=False",
            parameter=(who, "out_of_core=False"),
        )

    def check(self) -> None:
        """Raise `InputError` for a share out of range."""
        if not 0 <= self.validation < 1:
            raise InputError(
                f"validation is {self.validation}",
                "give a share of the documents from 0 to below 1",
                parameter="validation",
            )


@dataclass
class _Intake:
    """What is kept in memory of the documents while their text goes to the disk."""

    ids: list[str] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # of the corpus: held-out documents leave gaps
    n_held_out: int = 0

    def take(self, documents: Iterable[Document], writer: DocumentWriter) -> Iterator[str]:
        """Store documents, except those held out, and yield their text."""
        seen = set()
        for row, document in enumerate(checked(documents)):
            if document.id in seen:
                raise InputError(
                    f"two documents have the id {document.id!r}", "give every document its own id"
                )
            seen.add(document.id)
            if document.split.lower() in HELD_OUT:
                self.n_held_out += 1
                continue
            writer.write(document)
            self.ids.append(document.id)
            self.labels.append(document.labels)
            self.splits.append(document.split)
            self.rows.append(row)
            yield document.text

    def validation(self, share: float) -> Mask:
        """Return which documents choose the best epoch, shape (n,): those marked, else a share."""
        marked = np.array([split.lower() in VALIDATION for split in self.splits], dtype=bool)
        if marked.any() or share == 0 or len(self.ids) < FEWEST_FOR_VALIDATION:
            return marked
        hashes = (hashlib.sha256(id_.encode("utf-8", "replace")).digest()[:4] for id_ in self.ids)
        return np.fromiter((int.from_bytes(digest, "big") for digest in hashes), np.uint32) < share * 2**32


def create(
    folder: Path,
    hasher: Hasher,
    documents: Iterable[Document] | Matrix,
    settings: CreateSettings | None = None,
    callback: Callback | None = None,
) -> State:
    """Do the work of `Collection.create`, where parameters and errors are described; return the state."""
    if not isinstance(hasher, Hasher):
        raise InputError(f"hasher is {hasher!r}", 'give a hasher, such as nphash.hashers.create("doc2hash")')
    settings = settings or CreateSettings()
    settings.check()
    if isinstance(documents, Matrix):
        documents = checked_matrix(documents)
    limit = settings.limit(hasher, documents)
    started = time.monotonic()
    with creating(folder, settings.force) as change, change.scratch("shards") as shards:
        intake = _Intake()
        vectorizer, X, text_path = _read(change, documents, settings, intake, (shards, *limit))
        valid = intake.validation(settings.validation if hasher.uses_validation else 0)
        _fit(hasher, X, intake, valid, settings, callback)
        codes = hasher.transform(X)
        with writing(folder):
            manifest = _store(change, hasher, vectorizer, codes, text_path)
            matrix, reading = documents if isinstance(documents, Matrix) else None, settings.reading
            manifest.corpus = {
                "source": settings.source,
                "matrix": matrix is not None,
                **({"reading": kept_options(settings.source, reading)} if reading is not None else {}),
                **({"n_columns": int(matrix.X.shape[1])} if matrix and matrix.vocabulary is None else {}),
                "weights_given": matrix is not None and not holds_counts(matrix),
                "n_held_out": intake.n_held_out,
                "n_validation": int(valid.sum()),
                "n_without_words": count_empty(X),
                "n_labelled": sum(bool(labels) for labels in intake.labels),
                "out_of_core": isinstance(X, Shards),
            }
            manifest.fit = {"seconds": round(time.monotonic() - started, 2), **_outcome(hasher)}
            change.commit(manifest)
    assert change.state is not None  # commit has made it
    return change.state


def _read(
    change: Change,
    documents: Iterable[Document] | Matrix,
    settings: CreateSettings,
    intake: _Intake,
    spill: tuple[Path, int | None, InputError | None],
) -> tuple[Vectorizer, CSR | Shards, Path]:
    """Store the text, learn the vocabulary, and return it with the weights of all stored documents.

    `spill`: where weights go whose counts take more than so many bytes, or what is raised then.
    """
    matrix = documents if isinstance(documents, Matrix) else None
    words = settings.vectorizer
    if matrix is not None:  # its words are taken as they are
        words = replace(words, pattern="whitespace", stop_words="none")
    vectorizer = Vectorizer(words)
    path = change.path("documents", ".sqlite")
    given = documents if matrix is None else matrix_documents(matrix)
    with DocumentWriter(path) as writer:
        texts = intake.take(given, writer)  # type: ignore[arg-type]
        shards, limit, beyond = spill
        try:
            if limit is None:
                X = vectorizer.fit_transform(texts)
            else:
                X = vectorize(texts, vectorizer, shards, limit, beyond=beyond)
        except InputError as error:
            if intake.ids or not intake.n_held_out:
                raise
            raise InputError(
                f"all documents ({intake.n_held_out:,}) are marked test, and those are held out",
                "mark those to learn from train, or none at all",
            ) from error
    if matrix is not None and not holds_counts(matrix):
        X = select_columns(matrix, vectorizer.vocabulary_)[intake.rows]
    if X.shape[0] < 2:
        held_out = f" ({intake.n_held_out:,} are marked test and held out)" if intake.n_held_out else ""
        raise InputError(
            f"there is {X.shape[0]} document to learn from{held_out}, but at least 2 are needed",
            "give more documents",
        )
    return vectorizer, X, path


def _fit(
    hasher: Hasher,
    X: CSR | Shards,
    intake: _Intake,
    valid: Mask,
    settings: CreateSettings,
    callback: Callback | None,
) -> None:
    y = label_matrix(intake.labels)[0] if any(intake.labels) else None
    if y is None and hasher.supervised:
        raise InputError(
            f"{type(hasher).__name__} learns from labels, but no document has one",
            "name the field that holds them with label_field, or take a method that needs none",
            parameter=(type(hasher).__name__, "label_field"),
        )
    options: dict[str, Any] = {"callback": callback, "checkpoint": settings.checkpoint}
    if valid.any() and not valid.all() and "training" in hasher.get_params(deep=False):
        y_train, y_valid = (None, None) if y is None else (y[~valid], y[valid])
        X_train, X_valid = rows_where(X, ~valid), rows_where(X, valid)
        hasher.fit(X_train, y_train, X_valid=X_valid, y_valid=y_valid, **options)
    else:
        valid[:] = False
        hasher.fit(X, y, **options)


def _store(change: Change, hasher: Hasher, vectorizer: Vectorizer, codes: Codes, text_path: Path) -> Manifest:
    model = change.path("model", "")
    change.take(text_path, *save(hasher, model))
    words = change.write_words(text_path, vectorizer.settings.pattern)
    written = change.write_array("codes", codes)
    vectorizer_name = change.write_text("vectorizer", json.dumps(vectorizer.to_json(), ensure_ascii=False))
    parameters = {
        name: value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
        for name, value in hasher.get_params().items()
        if name != "training"
    }
    return Manifest(
        generation=change.generation,
        n_bits=hasher.n_bits,
        method=method_of(hasher),
        parameters=parameters,
        corpus={},
        fit={},
        model=model.name,
        vectorizer=vectorizer_name,
        segments=[SegmentFiles(written, text_path.name, len(codes), words)],
        id=secrets.token_hex(16),
    )


def _outcome(hasher: Hasher) -> dict[str, Any]:
    """Return what an iterative hasher says of its fit: epochs, the best one if it was chosen, figures."""
    history = getattr(hasher, "history_", None)
    best = getattr(hasher, "best_epoch_", None)
    if not history or not best:
        return {}
    figures = {name: value for name, value in history[best - 1].items() if isinstance(value, (int, float))}
    chosen = figures.pop("epoch", None) is None  # the last epoch is kept where nothing judges them
    return {"epochs": len(history), **({"best_epoch": best} if chosen else {}), "figures": figures}


# ---------------------------------------------------------------------- matrices


def checked_matrix(matrix: Matrix) -> Matrix:
    """Return a matrix, perhaps made in Python, as readers make it; `InputError` for what does not fit."""
    X = check_documents(matrix.X, name="the matrix")
    rows, columns = X.shape
    vocabulary = matrix.vocabulary
    for what, size, needed in (
        ("ids", len(matrix.ids), rows),
        ("labels", len(matrix.labels), rows),
        ("splits", len(matrix.splits), rows),
        ("words", columns if vocabulary is None else len(vocabulary), columns),
    ):
        if size != needed:
            raise InputError(
                f"the matrix has {size} {what} for its shape {X.shape}", f"give {needed}, one for each"
            )
    return replace(matrix, X=X)


def column_names(matrix: Matrix) -> list[str]:
    """Return the words of the columns as they will be found again in the stored text."""
    if matrix.vocabulary is None:
        return [f"w{column}" for column in range(matrix.X.shape[1])]
    return ["_".join(word.lower().split()) or f"w{column}" for column, word in enumerate(matrix.vocabulary)]


def holds_counts(matrix: Matrix) -> bool:
    """Return whether all weights are whole numbers, that is, word counts."""
    data = matrix.X.data
    return bool((data == np.floor(data)).all())


def matrix_documents(matrix: Matrix) -> Iterator[Document]:
    """Yield each row as a document whose text is its words."""
    names, X = column_names(matrix), matrix.X
    counts = holds_counts(matrix)
    for row, id_ in enumerate(matrix.ids):
        span = slice(int(X.indptr[row]), int(X.indptr[row + 1]))
        words: list[str] = []
        for column, weight in zip(X.indices[span].tolist(), X.data[span].tolist(), strict=True):
            words += [names[column]] * (min(int(weight), MOST_REPEATS) if counts else int(weight > 0))
        yield Document(id_, " ".join(words), matrix.labels[row], matrix.splits[row], matrix.generated_id)


def select_columns(matrix: Matrix, vocabulary: Sequence[str]) -> CSR:
    """Return the weights as given, CSR float32 of shape (n, len(vocabulary)), columns in that order."""
    column = {word: number for number, word in enumerate(vocabulary)}
    targets = np.array([column.get(name, -1) for name in column_names(matrix)], dtype=np.int64)
    if (targets < 0).all():
        raise InputError(
            "the matrix has none of the collection's words",
            "give the vocabulary it was made with (--vocabulary)",
        )
    coo = matrix.X.tocoo()
    columns = targets[coo.col]
    known = (columns >= 0) & (coo.data != 0)
    shape = (matrix.X.shape[0], len(column))
    entries = coo.data[known].astype(np.float32), (coo.row[known], columns[known])
    selected: CSR = scipy.sparse.csr_matrix(entries, shape=shape)
    return selected


def weighed(
    documents: Iterable[Document] | Matrix, vectorizer: Vectorizer, at_once: int, n_columns: int | None = None
) -> Iterator[tuple[list[Document], CSR]]:
    """Yield blocks of documents with their weights, CSR (block, n_words): a matrix's own, or ours.

    `n_columns` is how many columns without a name the collection was made of; a matrix of others is refused.
    """
    given = None
    if isinstance(documents, Matrix):
        documents = checked_matrix(documents)
        width = documents.X.shape[1]
        if n_columns is not None and documents.vocabulary is None and width != n_columns:
            raise InputError(  # they could be any words
                f"the matrix has {width} columns, but the collection was made of {n_columns}",
                "give a matrix of the same columns, or name them (--vocabulary)",
            )
        if not holds_counts(documents):
            given = select_columns(documents, vectorizer.vocabulary_)
        documents = matrix_documents(documents)
    stream, start = checked(documents), 0
    while block := list(islice(stream, at_once)):
        if given is None:
            yield block, vectorizer.transform([document.text for document in block])
        else:
            yield block, given[start : start + len(block)]
        start += len(block)
