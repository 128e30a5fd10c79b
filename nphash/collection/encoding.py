"""Codes under a collection's model of batches, for any engine that maps a function, and of Parquet files.

Each file becomes another. Beside it lies a marker, ``NAME.done``: written before the output as begun, after
it with its SHA-256. So a run that is repeated does only what is not done, or is no longer as it was, and
replaces nothing else. An output depends on its input and the model alone, not on the parts of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

from nphash._version import __version__
from nphash.codes import Codes, n_bytes
from nphash.collection.manifest import Manifest, model_identity, read_manifest
from nphash.collection.state import Learned
from nphash.core.checksums import record, seal, unseal
from nphash.core.disk import read_bytes, replace_text, replacing, writing
from nphash.core.threads import count_threads
from nphash.errors import CollectionError, CorpusError, DamagedError, InputError, NphashError

__all__ = ["Encoder", "encode_files", "encoder", "part_of"]

MODELS = 4  # kept open in a process
MARKER = "nphash stage"  # the format of markers
MOST = 1 << 20  # bytes of one
ROWS = 10_000  # of a Parquet file in memory

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


# ---------------------------------------------------------------------- files


def part_of(files: Sequence[Path], part: str) -> list[Path]:
    """Return part ``"i/n"`` of files, in the order of their names: every n-th from the i-th on.

    Raises
    ------
    InputError
        Unless i is from 1 to n.

    Examples
    --------
    >>> [path.name for path in part_of([Path("c"), Path("a"), Path("b")], "1/2")]
    ['a', 'c']
    """
    number, slash, of = part.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise InputError(f"part is {part!r}", "give i/n, such as 3/64, with i from 1 to n", parameter="part")
    return sorted(files)[int(number) - 1 :: int(of)]


def encode_files(
    encoder: Encoder, files: Sequence[Path], folder: Path, force: bool = False
) -> Iterator[tuple[Path, int | None]]:
    """Encode Parquet files, each to one of its name in a folder: columns of ids and codes.

    Parameters
    ----------
    encoder
        Made by `nphash.encoder`, with the names of the columns.
    files
        Parquet files of different names.
    folder
        Where outputs and markers are written.
    force
        Replace files that were not made by this, or were made by another model.

    Yields
    ------
    tuple
        Each output, and how many rows were encoded; None if that was done before.

    Raises
    ------
    InputError
        If two inputs have one name, an output is in the way, or a text cannot be encoded: names the file.
    CorpusError
        If an input cannot be read.
    CollectionError
        If an output cannot be written; those before it are done.
    """
    names: dict[str, Path] = {}
    for path in files:
        if names.setdefault(path.name, path) is not path:
            raise InputError(
                f"{names[path.name]} and {path} would both become {folder / path.name}",
                "encode one elsewhere",
            )
    how = {"model": encoder.model, "text": encoder.text, "id": encoder.id}
    for source in files:
        yield folder / source.name, _once(encoder, source, folder / source.name, how, force)


def _once(encoder: Encoder, source: Path, target: Path, how: dict[str, Any], force: bool) -> int | None:
    try:
        about = source.stat()
    except OSError as error:
        raise CorpusError(f"cannot read {source}: {error.strerror}", "check the path") from None
    wanted = {**how, "size": about.st_size, "changed": about.st_mtime_ns}
    marker = target.with_name(f"{target.name}.done")
    known = _read(marker)
    if known is not None and known["of"] == wanted and known.get("output", "begun") == _record(target):
        return None
    ours = known is not None and {name: known["of"].get(name) for name in how} == how
    if target.exists() and not ours and not force:
        whose = "was not made by this" if known is None else "was made by another model or of other columns"
        raise InputError(
            f"{target} exists already, and {whose}", "choose another folder, or replace it: --force"
        )
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_text(marker, seal({"format": MARKER, "of": wanted}))
        with replacing(target) as file:
            rows = _encode_parquet(encoder, source, file)
        replace_text(marker, seal({"format": MARKER, "of": wanted, "output": record(target).to_json()}))
    return rows


def _read(marker: Path) -> dict[str, Any] | None:
    """Return what a marker says; None for none, or one that was not written in full."""
    try:
        body = unseal(json.loads((read_bytes(marker, MOST) or b"").decode("utf-8")))
    except (ValueError, AttributeError, TypeError):
        return None
    return body if body.get("format") == MARKER and isinstance(body.get("of"), dict) else None


def _record(path: Path) -> dict[str, Any] | None:
    try:
        return record(path).to_json()
    except OSError:
        return None


def _check_columns(names: list[str], columns: list[str]) -> None:
    for name in columns:
        if name not in names:
            raise InputError(
                f"there is no column {name!r}, but {', '.join(map(repr, names)) or 'none'}",
                "name the columns of texts and ids (--text-field, --id-field)",
            )


def _encode_parquet(encoder: Encoder, source: Path, target: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError("Parquet needs pyarrow", 'install it: pip install "nphash[parquet]"') from None
    columns = [name for name in (encoder.text, encoder.id) if name is not None]
    try:
        with parquet.ParquetFile(source) as file:
            _check_columns(file.schema_arrow.names, columns)
            empty = encoder(pa.RecordBatch.from_pylist([], schema=file.schema_arrow))
            schema = empty.schema.with_metadata({"nphash": json.dumps({"n_bits": encoder.n_bits})})
            with parquet.ParquetWriter(target, schema) as writer:
                for batch in file.iter_batches(ROWS, columns=columns):
                    writer.write_batch(encoder(batch))
            return int(file.metadata.num_rows)
    except NphashError as error:
        raise InputError(f"{source}: {error.problem}", error.hint) from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorpusError(
            f"{source} is no Parquet file that can be read ({error})", "write it again"
        ) from None
