"""Fitted hashers on disk: one JSON file and one ``.npy`` file an array, no pickle.

``model.json`` holds the method, the constructor's arguments and the learned values; learned
arrays are files of their own, so that they can be memory-mapped: encoding a single query then
reads only the rows of its words.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from nphash import schedules
from nphash.errors import CollectionError, InputError, NotFittedError
from nphash.hashers.base import Hasher
from nphash.hashers.methods import create, find, method_of

__all__ = ["load", "save"]

FORMAT = 1

# The only classes a model file can name beside its method's own grouped settings; all have plain fields.
SCHEDULES = (schedules.Constant, schedules.Linear, schedules.Exponential)


def save(hasher: Hasher, folder: Path | str) -> list[Path]:
    """Write a fitted hasher into a folder and return the files written.

    Raises
    ------
    NotFittedError
        If the hasher is not fitted.
    InputError
        If a parameter is a function of one's own, which no file without pickle can hold.

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
    folder.mkdir(parents=True, exist_ok=True)
    learned, arrays = _split({name: value for name, value in vars(hasher).items() if name.endswith("_")})
    params = {name: _plain(value) for name, value in hasher.get_params(deep=False).items()}
    files = []
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files.append(path)
    about = {
        "format": FORMAT,
        "method": method_of(hasher),
        "params": params,
        "learned": learned,
        "arrays": {name: {"dtype": str(array.dtype), "shape": array.shape} for name, array in arrays.items()},
    }
    path = folder / "model.json"
    path.write_text(json.dumps(about, indent=1), encoding="utf-8")
    return [path, *files]


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


def _plain(value: Any) -> Any:
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
        "give a number, a pair (first, last) or a schedule of nphash.schedules",
    )


def _from_plain(value: Any, settings: dict[str, Any]) -> Any:
    """Return a value from JSON; `settings` are the classes it may name."""
    if isinstance(value, dict) and "settings" in value:
        cls = settings.get(value["settings"])
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
    """Return the hasher saved in a folder, its arrays memory-mapped unless `mmap` is off.

    Raises
    ------
    CollectionError
        If the folder holds no model, one of a newer format, or damaged files.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["format"] > FORMAT:
            raise CollectionError(f"{folder} holds a model of format {about['format']}", "update nphash")
        hasher = _create(about["method"], about["params"])
        arrays = {name: _array(folder, name, entry, mmap) for name, entry in about["arrays"].items()}
        learned = about["learned"].items()
        if not all(_is_learned(name.partition(".")[0]) for name in [*about["learned"], *arrays]):
            raise ValueError("it sets something that no fit learns")
        if "n_features_in_" not in about["learned"]:
            raise ValueError("the number of words is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        if isinstance(error, CollectionError):
            raise
        if isinstance(error, FileNotFoundError) and error.filename == str(folder / "model.json"):
            raise CollectionError(
                f"{folder} holds no model: it has no model.json",
                "give a folder that save() wrote, or fit it again",
            ) from None
        reason = f"{type(error).__name__}: {error}"
        raise CollectionError(
            f"{folder} holds no model that can be read ({reason})", "fit it again"
        ) from None
    for name, value in learned:
        setattr(hasher, name, value)
    for name, array in arrays.items():
        attribute, _, key = name.partition(".")
        if key:
            vars(hasher).setdefault(attribute, {})[key] = array
        else:
            setattr(hasher, attribute, array)
    return hasher


def _is_learned(name: str) -> bool:
    return name.isidentifier() and name.endswith("_") and not name.startswith("_")


def _array(folder: Path, name: str, entry: dict[str, Any], mmap: bool) -> Any:
    if not name.replace(".", "").replace("_", "").isalnum():
        raise ValueError(f"{name!r} is no name of an array")
    array = np.load(folder / f"{name}.npy", mmap_mode="r" if mmap else None, allow_pickle=False)
    if list(array.shape) != list(entry["shape"]) or str(array.dtype) != entry["dtype"]:
        raise ValueError(
            f"{name}.npy is {array.dtype} {array.shape}, not {entry['dtype']} {tuple(entry['shape'])}"
        )
    return array
