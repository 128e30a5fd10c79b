"""The contract of every hasher: fit on sparse rows, transform to codes, behave like scikit-learn.

That is by duck typing (its ``check_estimator`` passes): scikit-learn itself is never needed.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from nphash.codes import Codes, check_n_bits, n_bytes, pack
from nphash.core.arguments import check_that
from nphash.core.typing import CSR, Array, LabelsLike, MatrixLike, Params, RandomState
from nphash.corpus.shards import Shards, blocks_of
from nphash.errors import InputError, not_fitted
from nphash.hashers.inputs import check_documents, check_labels
from nphash.hashers.training.settings import Training

if TYPE_CHECKING:
    from typing_extensions import Self

    from nphash.nn.schedules import Schedule


@contextmanager
def unchanged_on_error(hasher: Hasher) -> Iterator[None]:
    """Give a hasher its attributes back if the block ends with an error or Ctrl-C: half a fit looks fitted.

    Learned arrays are replaced, never changed in place, so that the old ones need no copies.
    """
    before = dict(vars(hasher))
    try:
        yield
    except BaseException:
        vars(hasher).clear()
        vars(hasher).update(before)
        raise


@dataclass(eq=False, repr=False)
class Hasher:
    """Base of all systems that turn documents into binary codes.

    A system stores its constructor's arguments under their own names, learns attributes that end
    in an underscore, and implements `_fit` and `_decision`. Everything else is here.

    Parameters
    ----------
    n_bits
        Length L of a code.
    random_state
        None, a number, a NumPy Generator or RandomState.
    threads
        Worker threads; None uses every processor. Results do not depend on it.

    Attributes
    ----------
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.
    """

    # Grouped settings: constructor arguments that are None or a frozen dataclass of this type.
    _groups: ClassVar[dict[str, Callable[[], Any]]] = {}

    n_bits: int = 32
    _: KW_ONLY
    random_state: RandomState = None
    threads: int | None = None

    supervised = False
    out_of_core = False  # whether `fit` can learn from `nphash.corpus.Shards`
    # whether documents are held out to choose an epoch, if there are epochs and none given
    uses_validation = True
    n_features_in_: int = field(init=False)
    n_bits_: int = field(init=False)
    n_labels_: int = field(init=False)
    params_: Params = field(init=False)
    history_: list[dict[str, float]] = field(init=False)
    best_epoch_: int = field(init=False)
    n_iter_: int = field(init=False)

    # ------------------------------------------------------------------ what a system implements

    def _fit(self, X: CSR, y: csr_matrix | Array | None, **options: object) -> None:
        """Learn from checked documents; set attributes that end in an underscore."""
        raise NotImplementedError

    def schedules(self) -> dict[str, Schedule]:
        """Return the numbers of a training batch that change over the epochs, by name: none."""
        return {}

    def _decision(self, X: CSR) -> Array:
        """Return one real number a document and bit, shape (n, n_bits); a bit is one above zero."""
        raise NotImplementedError

    # ------------------------------------------------------------------ fit and transform

    def fit(
        self,
        X: MatrixLike,
        y: LabelsLike = None,
        *,
        X_valid: MatrixLike | None = None,
        y_valid: LabelsLike = None,
        callback: Callable[[Any], None] | None = None,
        checkpoint: Path | str | None = None,
    ) -> Self:
        """Learn to hash documents like the rows of `X`.

        An error or Ctrl-C leaves the hasher as it was, with what an earlier fit has learned.

        Parameters
        ----------
        X
            Documents as rows of non-negative word weights: SciPy sparse or dense, shape
            (n_documents, n_words). Systems with ``out_of_core`` also take `nphash.corpus.Shards`,
            documents on the disk.
        y
            Labels: a vector of classes or a binary indicator matrix (n_documents, n_labels).
            Unsupervised systems use them only to choose the best epoch.
        X_valid, y_valid
            Documents on which the best epoch is chosen. Iterative systems hold some of `X` out
            when none are given; others need none.
        callback
            Called with a `Progress` after each step of an iterative system; others never call it. If its
            attribute ``profile`` is a `nphash.engine.profiling.Profile`, the seconds of a step's parts are
            added up there.
        checkpoint
            Folder in which an iterative system keeps its state after an epoch, and from which an
            interrupted fit goes on. Systems without epochs, such as ITQ, make no use of it.

        Returns
        -------
        Hasher
            This hasher.

        Raises
        ------
        InputError
            If the documents, labels or parameters cannot be used; says which and why.
        Interrupted
            On Ctrl-C when a checkpoint was kept.
        """
        check_n_bits(self.n_bits)
        if y_valid is not None and X_valid is None:
            raise InputError("y_valid is given without X_valid", "give the documents of these labels too")
        documents = self._check_fitting(X, minimum_rows=2)
        labels = check_labels(y, documents.shape[0], self, required=self.supervised)
        options = {"X_valid": X_valid, "y_valid": y_valid, "callback": callback, "checkpoint": checkpoint}
        if X_valid is not None:
            valid = check_documents(X_valid, self, n_features=documents.shape[1], name="X_valid")
            valid_labels = check_labels(y_valid, valid.shape[0], required=False, name="y_valid")
            options |= {"X_valid": valid, "y_valid": valid_labels}
        with unchanged_on_error(self):
            self.n_features_in_, self.n_bits_ = documents.shape[1], self.n_bits
            self._fit(documents, labels, **options)
        return self

    def _check_fitting(self, X: MatrixLike, n_features: int | None = None, minimum_rows: int = 1) -> Any:
        """Return documents to learn from, checked."""
        if isinstance(X, Shards) and not self.out_of_core:
            raise InputError(
                f"{type(self).__name__} learns from a matrix in memory, but X is {X!r}",
                "give rows that fit, such as X[::10], or take a system that learns from shards: "
                "doc2hash, nash, vdsh",
            )
        return check_documents(X, self, n_features=n_features, minimum_rows=minimum_rows)

    def decision_function(self, X: MatrixLike) -> Array:
        """Return the real-valued bits before thresholding.

        Parameters
        ----------
        X
            Documents as in `fit`, over the same words; `nphash.corpus.Shards` for any system.

        Returns
        -------
        ndarray of float, shape (n_documents, n_bits)
            A bit is one where it is above zero.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InputError
            If `X` has another number of words than the documents of `fit`, or cannot be used; if
            `n_bits` was changed since.
        """
        self._check_fitted()
        documents = check_documents(X, self, n_features=self.n_features_in_)
        decisions = [self._decision(block) for block in blocks_of(documents)]
        return decisions[0] if len(decisions) == 1 else np.concatenate(decisions)

    def transform(self, X: MatrixLike) -> Codes:
        """Return the packed codes of documents.

        Parameters
        ----------
        X
            Documents as in `fit`, over the same words. Any system takes `nphash.corpus.Shards` here, and
            reads some thousand rows at a time. A document without any word gets a code too, the same
            for all of them, which says nothing: ``np.diff(X.indptr) == 0`` finds them in a CSR matrix.

        Returns
        -------
        ndarray of uint8, shape (n_documents, 8 * ceil(n_bits / 64))
            Eight bits a byte, as `nphash.codes.unpack` reads them.

        Raises
        ------
        NotFittedError, InputError
            As `decision_function`.
        """
        if isinstance(X, Shards) and X.shape[0]:
            return np.concatenate([pack(self.decision_function(block) > 0) for block in X.blocks()])
        return pack(self.decision_function(X) > 0)

    def fit_transform(self, X: MatrixLike, y: LabelsLike = None, **options: Any) -> Codes:
        """Fit on documents and return their codes; `options` are those of `fit`."""
        codes: Codes = self.fit(X, y, **options).transform(X)
        return codes

    # ------------------------------------------------------------------ scikit-learn's conventions

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments; with `deep`, also grouped settings as ``group__name``."""
        params = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        if deep:
            for group in self._groups:
                settings = self._settings(group)
                if dataclasses.is_dataclass(settings):  # constructors only store: `fit` complains
                    names = [f.name for f in dataclasses.fields(settings)]
                    params |= {f"{group}__{name}": getattr(settings, name) for name in names}
        return params

    def _settings(self, group: str) -> Any:
        settings = getattr(self, group)
        return self._groups[group]() if settings is None else settings

    @property
    def _training(self) -> Training:
        training: Training = self._settings("training")
        return training

    def _check_training(self) -> None:
        settings = isinstance(self._training, Training)
        check_that(settings, "training", self._training, "give a nphash.hashers.Training or None")
        self._training.check()

    def set_params(self, **params: object) -> Self:
        """Set constructor arguments, or fields of grouped settings as ``group__name``.

        Parameters
        ----------
        **params
            Any of those that `get_params` returns. A whole group is set before its fields, in any order.

        Returns
        -------
        Hasher
            This hasher.

        Raises
        ------
        InputError
            For a name that is no parameter; lists those there are. Nothing is set then.
        """
        known = self.get_params()
        unknown = [name for name in params if name not in known]
        if unknown:
            who, choice = type(self).__name__, ", ".join(sorted(known))
            raise InputError(f"{who} has no parameter {unknown[0]!r}", f"there are {choice}")
        for name in sorted(params, key=lambda name: "__" in name):  # whole groups before their fields
            group, _, field = name.partition("__")
            value = params[name]
            if field:
                value = dataclasses.replace(self._settings(group), **{field: value})
            setattr(self, group, value)
        return self

    def get_feature_names_out(self, input_features: npt.ArrayLike | None = None) -> Array:
        """Return the names of the columns of `transform`: one a byte of the packed code."""
        self._check_fitted()
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(n_bytes(self.n_bits))], dtype=object)

    def _check_fitted(self) -> None:
        who = type(self).__name__
        if not self.__sklearn_is_fitted__():
            raise not_fitted(f"this {who} is not fitted yet")
        learned = getattr(self, "n_bits_", self.n_bits)  # files of before may not say
        if learned != self.n_bits:
            raise InputError(
                f"n_bits is {self.n_bits!r}, but this {who} has learned {learned} bits",
                f"call fit() again, or set n_bits={learned}",
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=self.supervised),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(sparse=True, positive_only=True),
        )

    def __repr__(self) -> str:
        defaults, params = inspect.signature(type(self)).parameters, self.get_params(deep=False)
        changed = [name for name, value in params.items() if not _same(value, defaults[name].default)]
        return f"{type(self).__name__}({', '.join(f'{name}={params[name]!r}' for name in changed)})"


def _same(value: object, default: object) -> bool:
    if value is default:
        return True
    try:
        return type(value) is type(default) and bool(value == default)
    except ValueError:  # arrays have no one answer
        return False
