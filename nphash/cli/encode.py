"""``nphash encode``: codes of a corpus for other programs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

import nphash
from nphash.cli import options as shared
from nphash.cli.output import RAW_CSV, Writer, many, note, note_wordless, output_file, refuse_existing
from nphash.cli.progress import counted_documents
from nphash.core.disk import replacing, writing

if TYPE_CHECKING:
    from nphash.codes import Codes
    from nphash.collection import Collection
    from nphash.corpus import ReadOptions

    Blocks = Iterator[tuple[list[str], Codes]]  # ids and codes of documents
    Texts = Callable[[Codes], list[str]]

AT_ONCE = 1_000
FORMS = ("jsonl", "csv", "npy")
PARQUET = ".parquet"

HELP = """Write the codes of a corpus under a collection's model.

jsonl and csv hold id and code; the code is text, in hex or, with --bits, as zeros and ones. npy is
the array of packed codes, uint8 (n, 8 * ceil(bits / 64)), in the order of the corpus.

Of Parquet files, as many as there are, each becomes one of the same name in the folder -o, with
the columns of ids and codes. A run that was stopped goes on where it was; with --part i/n, n runs
share the files, on any machines that see them.
"""


@click.command(cls=shared.Sectioned, help=HELP)
@shared.collection_argument
@click.argument("corpus", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write (.npy, .jsonl, .csv), or folder."
)
@click.option("--part", metavar="I/N", help="Encode the I-th of N parts of the Parquet files.")
@click.option("--format", "form", type=click.Choice(FORMS), help="[default: by the suffix of -o, else jsonl]")
@click.option(
    "--bits", "as_bits", is_flag=True, help="Codes as 0101... (PostgreSQL's bit(n)) instead of hex."
)
@click.option("--raw", is_flag=True, help="CSV cells as they are: none is kept from being a formula.")
@shared.force_option
@shared.threads_option
@shared.reader_options
@shared.quiet_option
def command(
    directory: Path, corpus: tuple[str, ...], output: Path | None, reading: ReadOptions, **options: Any
) -> None:
    """Run ``nphash encode``."""
    output = output_file(output)
    folder = output is not None and (output.is_dir() or not output.suffix)
    if output is not None and folder and all(name.endswith(PARQUET) for name in corpus):
        _encode_files(directory, corpus, output, reading, options)
        return
    if len(corpus) > 1 or options["part"]:
        raise click.UsageError(
            "Several files, or a --part of them, are Parquet files, and -o is a folder; else give one CORPUS."
        )
    form = options["form"] or _form(output)
    if form == "npy" and output is None:
        raise click.UsageError("--format npy needs -o FILE.")
    if options["raw"]:
        if form != "csv":
            raise click.UsageError("--raw is for CSV.")
        form = RAW_CSV
    if output is not None:
        refuse_existing(output, options["force"])
    with nphash.Collection.open(directory) as collection:
        blocks = _encode(collection, corpus[0], reading, options["quiet"])
        texts_of = partial(_texts, n_bits=collection.n_bits, as_bits=options["as_bits"])
        if output is None:
            _write_text(blocks, form, texts_of)
        else:
            _write_file(blocks, output, form, texts_of)


def _encode_files(
    directory: Path, corpus: tuple[str, ...], folder: Path, reading: ReadOptions, options: dict[str, Any]
) -> None:
    encoding, quiet = nphash.collection.encoding, options["quiet"]
    if options["form"] or options["as_bits"] or options["raw"]:
        raise click.UsageError(
            "Parquet files become Parquet files: --format, --bits and --raw are for others."
        )
    if not isinstance(reading.text_field, str):
        raise click.UsageError("Of Parquet files, one --text-field is encoded.")
    files = encoding.part_of([Path(name) for name in corpus], options["part"] or "1/1")
    encode = nphash.encoder(directory, text=reading.text_field, id=reading.id_field, threads=None)
    done = 0
    for target, rows in encoding.encode_files(encode, files, folder, options["force"]):
        done += rows is not None
        note(f"{target}: " + ("done before" if rows is None else many(rows, "document")), quiet)
    note(f"{many(done, 'file')} encoded, {len(files) - done:,} done before", quiet)


def _form(output: Path | None) -> str:
    suffix = "" if output is None else output.suffix.lower()[1:]
    if suffix and suffix not in FORMS:
        raise click.UsageError(f".{suffix} names none of the formats {', '.join(FORMS)}: give --format.")
    return suffix or "jsonl"


def _encode(collection: Collection, corpus: str, reading: ReadOptions, quiet: bool) -> Blocks:
    """Yield ids and codes by the thousand, and say in the end how many documents had no known word."""
    known = collection.manifest.corpus
    documents = counted_documents(shared.read(corpus, reading, known), quiet)
    without = 0
    for block, X in nphash.collection.creating.weighed(
        documents, collection.vectorizer, AT_ONCE, known.get("n_columns")
    ):
        without += int((X.indptr[1:] == X.indptr[:-1]).sum())
        yield [document.id for document in block], collection.hasher.transform(X)
    note_wordless(without, quiet)


def _write_text(blocks: Blocks, form: str, texts_of: Texts, file: IO[str] | None = None) -> None:
    writer = Writer(form, ["id", "code"], file)
    for ids, codes in blocks:
        for id_, code in zip(ids, texts_of(codes), strict=True):
            writer.write({"id": id_, "code": code})


def _texts(codes: Codes, n_bits: int, as_bits: bool) -> list[str]:
    """Return codes as text: only the bytes that hold bits, without the zeros up to the 64-bit word."""
    if as_bits:
        bits = nphash.codes.unpack(codes, n_bits).astype(int)
        return ["".join("01"[bit] for bit in row) for row in bits.tolist()]
    return [row.tobytes().hex() for row in codes[:, : -(-n_bits // 8)]]


def _write_file(blocks: Blocks, output: Path, form: str, texts_of: Texts) -> None:
    """Replace the target by a file when that is complete."""
    import numpy as np

    from nphash.core import store

    codes = np.concatenate([codes for _, codes in blocks]) if form == "npy" else None
    with writing(output), replacing(output) as raw:
        if codes is not None:
            store.write_to(raw, codes)
        else:
            file = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="\n")
            _write_text(blocks, form, texts_of, file)
            file.detach()
