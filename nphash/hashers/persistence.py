"""Fitted hashers on disk: one JSON file and one ``.npy`` file an array, no pickle.

``model.json`` holds the method, the constructor's arguments and the learned values; learned
arrays are files of their own, so that they can be memory-mapped: encoding a single query then
reads only the rows of its words.

Files are written once. A model that replaces another is written beside it; ``model.json``, which names the
arrays' files with their checksums, is replaced last and in one step: see `nphash.core.store`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.disk import read_bytes
from nphash.core.store import MODEL, Saved, read
from nphash.core.store import save as write
from nphash.errors import CollectionError, DamagedError, InputError, NotFittedError
from nphash.hashers.base import Hasher
from nphash.hashers.methods import create, find, method_of
from nphash.hashers.training.settings import FORMER_NAMES
from nphash.nn import schedules

FILE = "model.json"

# The only classes a model file can name beside its method's own grouped settings; all have plain fields.
SCHEDULES = (schedules.Constant, schedules.Linear, schedules.Exponential)


def save(hasher: Hasher, folder: Path | str) -> list[Path]:
    """Write a fitted hasher into a folder, completely or not at all; a model that is there is replaced.

    Files of the old model are never written to: hashers that were loaded from them go on with what they
    have. They are deleted when the new model is complete.

    Parameters
    ----------
    hasher
        One of nphash's own.
    folder
        Made where it is missing.

    Returns
    -------
    list of pathlib.Path
        The files written, ``model.json`` first.

    Raises
    ------
    NotFittedError
        If the hasher is not fitted.
    InputError
        If a parameter is a function of one's own, which no file without pickle can hold.
    CollectionError
        If the files cannot be written. The old model, if any, is then still there.

    Examples
    --------
    >>> import tempfile, numpy as np, nphash
    >>> from nphash.hashers import Training
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> hasher = nphash.Doc2Hash(8, hidden=(4,), training=Training(epochs=1), random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = save(hasher, folder)
    ...     same = load(folder)
    ...     bool((same.transform(X) == hasher.transform(X)).all())
    True
    """
    if not hasher.__sklearn_is_fitted__():
        raise NotFittedError(f"this {type(hasher).__name__} is not fitted yet", "call fit() before saving")
    folder = Path(folder)
    learned, arrays = _split({name: value for name, value in vars(hasher).items() if name.endswith("_")})
    about = {
        "method": method_of(hasher),
        "params": {name: _plain(value) for name, value in hasher.get_params(deep=False).items()},
        "learned": learned,
    }
    return write(folder / FILE, MODEL, about, arrays)


def _split(attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part learned attributes into plain values and arrays; a dict of arrays becomes ``name.key``."""
    learned, arrays = {}, {}
    for name, value in attributes.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif (
            isinstance(value, dict) and value and all(isinstance(item, np.ndarray) for item in value.values())
        ):
            arrays |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            learned[name] = _plain(value)
    return learned, arrays


def _plain(value: object) -> Any:
    """Return a value as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"settings": type(value).__name__, **fields}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return None  # its state has moved on: it could not give the same fit again
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputError(
        f"{value!r} cannot be saved without pickle",
        "give a number, a pair (first, last) or a schedule of nphash.nn.schedules",
    )


def _from_plain(value: object, settings: dict[str, type]) -> Any:
    """Return a value from JSON; `settings` are the classes it may name."""
    if isinstance(value, dict) and "settings" in value:
        name = str(value["settings"])
        cls = settings.get(FORMER_NAMES.get(name, name))
        if cls is None:
            raise InputError(f"settings {value['settings']!r} are unknown", "update nphash")
        fields = {name: _from_plain(item, settings) for name, item in value.items() if name != "settings"}
        return cls(**fields)
    return tuple(_from_plain(item, settings) for item in value) if isinstance(value, list) else value


def _create(method: str, params: dict[str, Any]) -> Hasher:
    groups = [type(make()) for make in find(method)._groups.values()]
    settings = {cls.__name__: cls for cls in (*SCHEDULES, *groups)}
    return create(method, **{name: _from_plain(value, settings) for name, value in params.items()})


def load(folder: Path | str, *, mmap: bool = True) -> Hasher:
    """Return the hasher saved in a folder.

    Parameters
    ----------
    folder
        Written by `save`.
    mmap
        Map arrays into memory instead of reading them. Another model may be saved there meanwhile.

    Returns
    -------
    Hasher
        Of the class that was saved, with its parameters and all it has learned.

    Raises
    ------
    CollectionError
        If the folder holds no model, one of a newer format, or damaged files.
    """
    folder = Path(folder)
    path = folder / FILE
    while True:
        before = read_bytes(path)
        try:
            return build(_read(folder, mmap), folder)
        except DamagedError as error:
            if read_bytes(path) == before:  # else a new model took the place of the one being read
                reason = f"{type(error).__name__}: {error.problem}"
                raise DamagedError(
                    f"{folder} holds no model that can be read ({reason})", "fit it again"
                ) from None


def _read(folder: Path, mmap: bool) -> Saved:
    """Return what `save` wrote, from which `build` makes a hasher."""
    saved = read(folder / FILE, MODEL, mmap=mmap)
    if saved is None:
        raise CollectionError(
            f"{folder} holds no model: it has no {FILE}", "give a folder that save() wrote, or fit it again"
        )
    return saved


def build(saved: Saved, folder: Path) -> Hasher:
    """Return the hasher that was saved.

    Raises
    ------
    DamagedError
        If it makes no sense.
    """
    saved.check()
    learned = saved.about.get("learned", {})
    try:
        hasher = _create(saved.about["method"], saved.about["params"])
        if not all(_is_learned(name.partition(".")[0]) for name in [*learned, *saved.arrays]):
            raise ValueError("it sets something that no fit learns")
        if "n_features_in_" not in learned:
            raise ValueError("the number of words is missing")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"the model in {folder} is damaged: {error}", "fit it again") from None
    for name, value in learned.items():
        setattr(hasher, name, value)
    for name, array in saved.arrays.items():
        attribute, _, key = name.partition(".")
        if key:
            vars(hasher).setdefault(attribute, {})[key] = array
        else:
            setattr(hasher, attribute, array)
    return hasher


def _is_learned(name: str) -> bool:
    return name.isidentifier() and name.endswith("_") and not name.startswith("_")
