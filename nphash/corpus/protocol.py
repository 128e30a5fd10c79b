"""The preparation that the semantic-hashing papers share, as one named recipe for each corpus.

1. Words are ``[A-Za-z0-9_]{2,}`` in lower case without English stop words; the vocabulary comes
   from the training documents: in at least 3 documents and at most 80 % of them, the 10,000 most
   frequent.
2. Documents with 5 or fewer, or more than 500, remaining word occurrences are dropped.
3. Labels: those of the recipe, the most frequent in what remains of the training part. Training
   documents without one stay (and are never relevant); such test documents are dropped.
4. Weights: ``(1 + ln(tf)) (ln((1 + n) / (1 + df)) + 1)``, rows of unit L2 norm, with n and df of
   the remaining training part.
5. A test document is for validation when the SHA-256 of its id is even, else for testing.

Word sets (``tmc-500words``) keep all their words, weigh 1 each, and drop only empty documents.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.typing import CSR
from nphash.corpus.read import read_documents
from nphash.corpus.records import Document, ReadOptions, label_matrix, show
from nphash.errors import CorpusError
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

__all__ = ["RECIPES", "Prepared", "Recipe", "is_validation", "prepare"]


@dataclass(frozen=True)
class Recipe:
    """Choices that differ between the corpora."""

    settings: VectorizerSettings
    n_labels: int | None = None  # how many of the most frequent labels count; None: all of the training part
    least: int = 6  # word occurrences a document must have
    most: int = 500


_WORD_SETS = VectorizerSettings("whitespace", "none", min_documents=1, max_share=1.0, weighting="binary")

#: Recipes by the name of the file (without suffixes) or by request.
RECIPES: dict[str, Recipe] = {
    "vdsh": Recipe(VectorizerSettings.preset("vdsh")),
    "reuters-r90": Recipe(VectorizerSettings.preset("vdsh"), n_labels=20),
    "20ng-bydate": Recipe(VectorizerSettings.preset("vdsh"), n_labels=20),
    "tmc-500words": Recipe(_WORD_SETS, n_labels=22, least=1, most=2**31 - 1),
}


@dataclass
class Prepared:
    """A corpus ready for training and evaluation, in three parts."""

    X_train: Any  # scipy.sparse.csr_matrix, float32 of shape (n_documents, n_words)
    y_train: Any  # scipy.sparse.csr_matrix, bool of shape (n_documents, n_labels)
    X_valid: Any
    y_valid: Any
    X_test: Any
    y_test: Any
    vectorizer: Vectorizer  # its statistics are those of the remaining training part
    label_names: list[str]  # of the columns of y
    ids_train: list[str]  # of the rows
    ids_valid: list[str]
    ids_test: list[str]


def prepare(
    path: str | Path, recipe: str | Recipe | None = None, options: ReadOptions | None = None
) -> Prepared:
    """Read a corpus with ``train`` and ``test`` parts and prepare it as the papers do.

    ``path`` is any text source of `nphash.corpus`, ``recipe`` a name in `RECIPES` or one of your own (None:
    by the file's name, otherwise ``"vdsh"``). CorpusError where the source cannot be read or lacks a part.
    """
    chosen = _recipe(path, recipe)
    parts: dict[str, list[Document]] = {"train": [], "test": []}
    for document in read_documents(str(path), options):
        if document.split not in parts:
            problem = f"{show(path)}: the document {document.id!r} is of the part {document.split!r}"
            raise CorpusError(problem, 'give each document a split, "train" or "test"')
        parts[document.split].append(document)
    for name, documents in parts.items():
        if not documents:
            raise CorpusError(f"{show(path)} has no {name} part", f'give documents the split "{name}"')
    return _assemble(parts["train"], parts["test"], chosen)


def is_validation(id: str) -> bool:
    """Return whether a held-out document is for validation: whether the SHA-256 of its id is even."""
    return hashlib.sha256(id.encode()).digest()[-1] % 2 == 0


def _recipe(path: str | Path, recipe: str | Recipe | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if recipe is None:
        return RECIPES.get(Path(path).name.split(".")[0], RECIPES["vdsh"])
    if recipe not in RECIPES:
        raise CorpusError(f"{recipe!r} is no recipe", f"choose one of {', '.join(RECIPES)}")
    return RECIPES[recipe]


def _assemble(train: list[Document], test: list[Document], recipe: Recipe) -> Prepared:
    vectorizer = Vectorizer(recipe.settings)
    counts = vectorizer.fit_counts(document.text for document in train)
    train, counts = _drop_by_length(train, counts, recipe)
    held_counts = vectorizer.counts(document.text for document in test)
    held_out, held_counts = _drop_by_length(test, held_counts, recipe)
    names = _frequent_labels(train, recipe.n_labels)
    y_held, _ = label_matrix([document.labels for document in held_out], names)
    labelled = np.diff(y_held.indptr) > 0
    validation = np.array([is_validation(document.id) for document in held_out], dtype=bool)
    X_held = vectorizer.refit_frequencies(counts).weigh(held_counts)
    valid, final = np.flatnonzero(labelled & validation), np.flatnonzero(labelled & ~validation)
    return Prepared(
        vectorizer.weigh(counts),
        label_matrix([document.labels for document in train], names)[0],
        X_held[valid],
        y_held[valid],
        X_held[final],
        y_held[final],
        vectorizer,
        names,
        [document.id for document in train],
        [held_out[at].id for at in valid],
        [held_out[at].id for at in final],
    )


def _drop_by_length(documents: list[Document], counts: CSR, recipe: Recipe) -> tuple[list[Document], CSR]:
    rows = np.repeat(np.arange(len(documents)), np.diff(counts.indptr))
    lengths = np.bincount(rows, weights=counts.data, minlength=len(documents))
    kept = np.flatnonzero((lengths >= recipe.least) & (lengths <= recipe.most))
    if len(kept) == 0:
        problem = f"none of {len(documents)} documents has {recipe.least} to {recipe.most} known words"
        raise CorpusError(problem, "give longer texts, or another recipe")
    return [documents[at] for at in kept], counts[kept]


def _frequent_labels(documents: list[Document], n_labels: int | None) -> list[str]:
    """Return the most frequent labels (ties in alphabetical order), sorted by name."""
    found = Counter(label for document in documents for label in document.labels)
    ranked = sorted(found, key=lambda label: (-found[label], label))
    return sorted(ranked[:n_labels])
