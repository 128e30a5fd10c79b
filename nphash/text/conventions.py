"""What scikit-learn expects of a vectorizer, by duck typing: it is imported only where it calls itself."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nphash.errors import InputError, not_fitted
from nphash.text.settings import VectorizerSettings

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Conventions"]


class Conventions:
    """Parameters, names of columns and tags of `Vectorizer`."""

    settings: VectorizerSettings
    vocabulary_: list[str]

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
        params: dict[str, Any] = {"settings": self.settings}
        if deep and isinstance(self.settings, VectorizerSettings):
            params |= {
                f"settings__{field.name}": getattr(self.settings, field.name)
                for field in fields(self.settings)
            }
        return params

    def set_params(self, **params: Any) -> Self:
        """Set ``settings``, or single ones as ``settings__name``; return this vectorizer.

        Raises
        ------
        InputError
            If there is no such parameter, or its value is out of range. Nothing is set then.
        """
        names = ["settings", *(f"settings__{field.name}" for field in fields(VectorizerSettings))]
        unknown = sorted(params.keys() - names)
        if unknown:
            raise InputError(
                f"the vectorizer has no parameter {unknown[0]!r}", f"there are {', '.join(names)}"
            )
        settings = params.pop("settings", self.settings)
        settings = VectorizerSettings() if settings is None else settings
        given = {name.removeprefix("settings__"): value for name, value in params.items()}
        self.settings = replace(checked(settings), **given) if given else settings
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the words of the vocabulary, the names of the columns.

        Parameters
        ----------
        input_features
            Not used; pipelines of scikit-learn give it.

        Returns
        -------
        ndarray of str objects, shape (n_words,)
            In the order of the columns.

        Raises
        ------
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> from nphash import Vectorizer
        >>> Vectorizer().fit(["wheat ships", "gold"]).get_feature_names_out().tolist()
        ['gold', 'ships', 'wheat']
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


def checked(settings: Any) -> VectorizerSettings:
    """Return settings that are some.

    Raises
    ------
    InputError
        For anything else, such as a dict.

    Examples
    --------
    >>> checked({"weighting": "tf"})
    Traceback (most recent call last):
    nphash.errors.InputError: the vectorizer's settings are {'weighting': 'tf'}: give ...
    """
    if not isinstance(settings, VectorizerSettings):
        raise InputError(
            f"the vectorizer's settings are {settings!r}", "give nphash.VectorizerSettings(...), or None"
        )
    return settings
