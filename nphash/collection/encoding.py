"""Codes of batches under a collection's model, for engines that map a function over partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from nphash._version import __version__
from nphash.codes import Codes, n_bytes
from nphash.collection.manifest import Manifest, model_identity, read_manifest
from nphash.collection.state import Learned
from nphash.core.threads import count_threads
from nphash.errors import CollectionError, DamagedError, InputError

__all__ = ["Encoder", "encoder"]

MODELS = 4  # kept open in a process

_opening = Lock()


class Encoder:
    """A function of a batch of texts, by the model of a collection; made by `encoder`.

    Pickled, it is a path and the identity of the model there, some hundred bytes: each process opens the
    files once, by memory map, and takes no other model for the one that the encoder was made for.
    """

    def __init__(self, path: Path, text: str, id: str | None, threads: int | None) -> None:
        manifest = read_manifest(path)
        self.path, self.text, self.id, self.threads = path, text, id, threads
        self.n_bits, self.model, self.version = manifest.n_bits, model_identity(manifest), __version__
        count_threads(threads)

    def __repr__(self) -> str:
        return f"<Encoder of {self.path}, {self.n_bits} bits>"

    def __call__(self, batch: Any) -> Any:
        """Return ids and codes of a batch, in a batch of the same kind.

        Parameters
        ----------
        batch
            A dict of columns (Ray), a pyarrow RecordBatch or Table, a pandas DataFrame (Dask); or an iterator
            of any of these (Spark's ``mapInArrow``), of which the answer is one too. It may be empty. A text
            that is missing has no words, like an empty one.

        Returns
        -------
        dict, RecordBatch, Table, DataFrame or iterator
            The column of ids as it was, and ``code``: uint8 (n, bytes) in a dict, fixed-size binary in Arrow,
            bytes in pandas.

        Raises
        ------
        InputError
            If a column is missing, or a text is no string; if this is another version of nphash.
        CollectionError
            If the model is not there, is damaged, or is another one by now.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        arrow = hasattr(batch, "column_names") and hasattr(batch, "schema")
        names = batch.column_names if arrow else batch if isinstance(batch, Mapping) else _columns_of(batch)
        for name in (self.text, self.id):
            if name is not None and name not in names:
                raise InputError(
                    f"the batch has no column {name!r}, but {', '.join(map(repr, names)) or 'none'}",
                    "name the columns: nphash.encoder(path, text=..., id=...)",
                )
        kept = {} if self.id is None else {self.id: batch[self.id]}
        texts = batch[self.text]
        if hasattr(texts, "fillna"):  # Dask tries functions on a frame with one that is missing
            texts = texts.fillna("")
        texts = texts.to_pylist() if arrow else texts
        codes = self.codes(["" if text is None else text for text in texts])
        if isinstance(batch, Mapping):
            return {**kept, "code": codes}
        if arrow:
            return type(batch).from_arrays([*kept.values(), _binary(codes)], names=[*kept, "code"])
        return batch[list(kept)].assign(code=[row.tobytes() for row in codes])

    def codes(self, texts: Any) -> Codes:
        """Return the packed codes of texts, uint8 of shape (n, bytes): `Hasher.transform` of their words.

        Raises
        ------
        InputError, CollectionError
            As a call of the encoder.
        """
        if self.version != __version__:
            raise InputError(
                f"the encoder is of nphash {self.version}, but this process has nphash {__version__}",
                "install one version everywhere",
            )
        learned = _open(self.path, self.model)
        if not len(texts):
            return np.zeros((0, n_bytes(self.n_bits)), np.uint8)
        hasher = copy(learned.hasher)
        hasher.threads = self.threads
        codes: Codes = hasher.transform(learned.vectorizer.transform(texts))
        return codes


def encoder(
    path: Path | str, *, text: str = "text", id: str | None = "id", threads: int | None = 1
) -> Encoder:
    """Return a picklable function that gives batches of texts their codes, by the model of a collection.

    It works as it is in ``ds.map_batches(encode)`` of Ray Data, ``frame.mapInArrow(encode, schema)`` of
    Spark and ``frame.map_partitions(encode)`` of Dask, and needs none of them. `nphash.dask.transform` is
    for collections of Dask and hashers without a collection.

    Parameters
    ----------
    path
        The collection's directory, which every worker must see under this path.
    text, id
        Names of the columns; ``id=None`` for codes alone.
    threads
        Threads of a call: one, as engines run a call for each processor. None uses every processor.

    Returns
    -------
    Encoder
        Called with a batch, it returns ids and codes.

    Raises
    ------
    CollectionError
        If the directory is no collection.

    Examples
    --------
    >>> import tempfile, nphash
    >>> from nphash.corpus import Document
    >>> documents = [Document(str(i), text) for i, text in enumerate(["wheat ships", "gold mine"])]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hasher = nphash.Doc2Hash(8, hidden=(4,), random_state=0)
    ...     collection = nphash.Collection.create(folder + "/c", hasher, documents)
    ...     encode = nphash.encoder(folder + "/c")
    ...     batch = encode({"id": ["a"], "text": ["gold mine"]})
    >>> batch["id"], (batch["code"] == collection.codes[1]).all()
    (['a'], np.True_)
    """
    return Encoder(Path(path).absolute(), text, id, threads)


@lru_cache(maxsize=MODELS)
def _opened(path: Path, model: str) -> Learned:
    manifest = read_manifest(path)
    _check_model(path, manifest, model)
    names = [name for name in manifest.named_files() if name.startswith(f"{manifest.model}/")]
    problems = manifest.check(path, names=[*names, manifest.vectorizer])
    if problems:
        _check_model(path, read_manifest(path), model)  # perhaps another collection has taken its place
        raise DamagedError(f"the model of {path} is damaged: {problems[0]}", "restore it from a copy")
    return Learned(path, manifest)


def _open(path: Path, model: str) -> Learned:
    with _opening:  # threads of a worker wait for the first of them
        return _opened(path, model)


def _check_model(path: Path, manifest: Manifest, model: str) -> None:
    if model_identity(manifest) != model:
        raise CollectionError(
            f"the model of {path} is not the one that the encoder was made for",
            "make it again with nphash.encoder(), or bring back the collection",
        )


def _columns_of(frame: Any) -> list[Any]:
    if not hasattr(frame, "columns") or not hasattr(frame, "assign"):
        raise InputError(
            f"the batch is of type {type(frame).__name__}",
            "give a dict of columns, a pyarrow RecordBatch or Table, or a pandas DataFrame",
        )
    return list(frame.columns)


def _binary(codes: Codes) -> Any:
    """Return codes as an array of Arrow, fixed-size binary, in the same memory."""
    import pyarrow as pa

    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(codes.shape[1]), len(codes), [None, pa.py_buffer(codes)]
    )
