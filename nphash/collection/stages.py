"""A stage over files: an output for each input, in parts that run anywhere and go on where they were stopped.

Beside each output lies a marker, ``NAME.done``: written before the output as begun, and after it with its
SHA-256. So a run that is repeated does only what is not done, or is no longer as it was written, and replaces
nothing else. An output depends on its input and the model alone, not on the parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from nphash.collection.encoding import Encoder
from nphash.core.checksums import record, seal, unseal
from nphash.core.disk import read_bytes, replace_text, replacing, writing
from nphash.errors import CorpusError, InputError, NphashError

FORMAT = "nphash stage"
ROWS = 10_000  # of a Parquet file in memory
MOST = 1 << 20  # bytes of a marker


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
        replace_text(marker, seal({"format": FORMAT, "of": wanted}))
        with replacing(target) as file:
            rows = _encode_parquet(encoder, source, file)
        replace_text(marker, seal({"format": FORMAT, "of": wanted, "output": record(target).to_json()}))
    return rows


def _read(marker: Path) -> dict[str, Any] | None:
    """Return what a marker says; None for none, or one that was not written in full."""
    try:
        body = unseal(json.loads((read_bytes(marker, MOST) or b"").decode("utf-8")))
    except (ValueError, AttributeError, TypeError):
        return None
    return body if body.get("format") == FORMAT and isinstance(body.get("of"), dict) else None


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
        raise InputError("Parquet needs pyarrow", 'install it: pip install "nphash[dask]"') from None
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
