"""Fitted hashers on disk: one JSON file and one ``.npy`` file an array, no pickle.

``model.json`` holds the method, the constructor's arguments and the learned values; learned
arrays are files of their own, so that they can be memory-mapped: encoding a single query then
reads only the rows of its words.

Files are written once. A model that replaces another is written beside it, its arrays with the number of
the edition in their names; ``model.json``, which says which edition counts, is replaced last and in one step.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.arguments import is_count
from nphash.core.disk import flush, flush_folder, replace_text, writing
from nphash.errors import CollectionError, InputError, NotFittedError
from nphash.hashers.base import Hasher
from nphash.hashers.methods import create, find, method_of
from nphash.hashers.training.settings import FORMER_NAMES
from nphash.nn import schedules

__all__ = ["load", "save"]

FORMAT = 1
MODEL = "model.json"

_ARRAY_FILE = re.compile(r"(\w+_(?:\.\w+)?)(?:-(\d+))?\.npy")  # params_.W_1.npy, params_.W_1-2.npy

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
        "format": FORMAT,
        "method": method_of(hasher),
        "params": {name: _plain(value) for name, value in hasher.get_params(deep=False).items()},
        "learned": learned,
        "arrays": {name: {"dtype": str(array.dtype), "shape": array.shape} for name, array in arrays.items()},
    }
    with writing(folder):
        return _replace(folder, about, arrays)


def _replace(folder: Path, about: dict[str, Any], arrays: dict[str, Any]) -> list[Path]:
    """Write the files under names that nobody uses, then `MODEL` in one step, then delete the old ones."""
    folder.mkdir(parents=True, exist_ok=True)
    edition = 1 + max((number for _, number, _ in _array_files(folder)), default=0)
    known = {*arrays, *_names_in(folder)}
    files: list[Path] = []
    try:
        for name, array in arrays.items():
            path = folder / _file_name(name, edition)
            with path.open("xb") as file:
                files.append(path)
                np.save(file, array, allow_pickle=False)
            flush(path)
        flush_folder(folder)
        replace_text(folder / MODEL, json.dumps({**about, "edition": edition}, indent=1))
    finally:
        if _edition_in(folder) == edition:  # also where Ctrl-C came just then
            old = [entry for entry in _array_files(folder) if entry[1] < edition]
            _delete(path for name, number, path in old if number > 1 or name in known)
        else:
            _delete([*files, folder / f"{MODEL}.new"])
    return [folder / MODEL, *files]


def _file_name(name: str, edition: int) -> str:
    return f"{name}.npy" if edition == 1 else f"{name}-{edition}.npy"


def _array_files(folder: Path) -> list[tuple[str, int, Path]]:
    """Return array, edition and path of all files in a folder that have names like ours."""
    matches = [(_ARRAY_FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    return [(match[1], int(match[2] or 1), path) for match, path in matches if match]


def _names_in(folder: Path) -> set[str]:
    """Return the arrays of the model in a folder, none where there is no model that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return set(_about(folder)["arrays"])
    return set()


def _edition_in(folder: Path) -> int | None:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return _edition(_about(folder))
    return None


def _about(folder: Path) -> Any:
    return json.loads((folder / MODEL).read_text(encoding="utf-8"))


def _edition(about: dict[str, Any]) -> int:
    edition = about.get("edition", 1)
    if not is_count(edition):
        raise ValueError(f"edition {edition!r} is no number")
    return int(edition)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # Windows keeps what is mapped; the next save tries again
            path.unlink(missing_ok=True)


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
        "give a number, a pair (first, last) or a schedule of nphash.nn.schedules",
    )


def _from_plain(value: Any, settings: dict[str, Any]) -> Any:
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
    while True:
        edition = _edition_in(folder)
        try:
            return _load(folder, mmap)
        except CollectionError:
            if _edition_in(folder) == edition:  # else a new model took the place of the one being read
                raise


def _load(folder: Path, mmap: bool) -> Hasher:
    try:
        about = _about(folder)
        if about["format"] > FORMAT:
            raise CollectionError(f"{folder} holds a model of format {about['format']}", "update nphash")
        hasher = _create(about["method"], about["params"])
        edition = _edition(about)
        arrays = {
            name: _array(folder / _file_name(name, edition), name, entry, mmap)
            for name, entry in about["arrays"].items()
        }
        learned = about["learned"].items()
        if not all(_is_learned(name.partition(".")[0]) for name in [*about["learned"], *arrays]):
            raise ValueError("it sets something that no fit learns")
        if "n_features_in_" not in about["learned"]:
            raise ValueError("the number of words is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        if isinstance(error, CollectionError):
            raise
        if isinstance(error, FileNotFoundError) and error.filename == str(folder / MODEL):
            raise CollectionError(
                f"{folder} holds no model: it has no {MODEL}",
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


def _array(path: Path, name: str, entry: dict[str, Any], mmap: bool) -> Any:
    if not name.replace(".", "").replace("_", "").isalnum():
        raise ValueError(f"{name!r} is no name of an array")
    array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    if list(array.shape) != list(entry["shape"]) or str(array.dtype) != entry["dtype"]:
        raise ValueError(
            f"{path.name} is {array.dtype} {array.shape}, not {entry['dtype']} {tuple(entry['shape'])}"
        )
    return array
