"""What is no text is said to be none, whatever encoding is given."""

import bz2
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest

from helpers.corpora import failure, write
from nphash.corpus import ReadOptions, read_documents
from nphash.corpus.binary import check_text, has_controls

TEXT = b'{"text": "the whale sleeps in the sea"}\n' * 200


def archive(kind):
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as file:
            file.writestr("a.jsonl", TEXT)
    else:
        with tarfile.open(fileobj=made, mode=kind) as file:
            file.addfile(tarfile.TarInfo("empty"))
            info = tarfile.TarInfo("a.jsonl")
            info.size = len(TEXT)
            file.addfile(info, io.BytesIO(TEXT))
    return made.getvalue()


PACKED = {
    "a.jsonl.bz2": (bz2.compress(TEXT), "is packed with bzip2: unpack it first"),
    "a.jsonl.xz": (lzma.compress(TEXT), "is packed with xz: unpack it first"),
    "a.zst": (b"\x28\xb5\x2f\xfd" + TEXT, "is packed with zstd"),
    "a.zip": (archive("zip"), "is a zip archive: unpack it"),
    "a.tar.gz": (archive("w:gz"), "is a tar archive: unpack it"),
    "a.parquet": (b"PAR1\x15\x04" + TEXT, "is a Parquet file: write it as CSV"),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("form", [None, "lines", "csv", "jsonl"])
def test_packed_files_are_never_read_as_text(tmp_path, name, form):
    raw, problem = PACKED[name]
    source = write(tmp_path / name, raw)
    assert problem in failure(lambda: list(read_documents(source, ReadOptions(form, encoding="latin-1"))))
    source = write(tmp_path / "a.txt", raw)
    assert problem in failure(lambda: list(read_documents(source, ReadOptions(form, encoding="latin-1"))))


def test_packed_files_are_left_out_of_a_folder(tmp_path):
    for name, (raw, _) in PACKED.items():
        write(tmp_path / f"{name}.txt", raw)
    write(tmp_path / "noise", np.random.default_rng(0).bytes(5000))
    write(tmp_path / "text", b"caf\xe9")
    found = list(read_documents(str(tmp_path), ReadOptions(encoding="latin-1", tell=str)))
    assert [document.id for document in found] == ["text"]


def test_bytes_that_any_encoding_takes(tmp_path):
    noise = write(tmp_path / "a.txt", np.random.default_rng(0).bytes(5000).replace(b"\0", b"\1"))
    message = failure(lambda: list(read_documents(noise, ReadOptions(encoding="latin-1"))))
    assert "is full of control characters, read as" in message and "looks like no text file" in message
    assert not has_controls("a\1" * 10) and has_controls("a\1" * 1000)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_noticed(tmp_path, encoding):
    source = write(tmp_path / "a.txt", "whale ship 1\nwhale ship 2\n".encode(encoding))
    assert f"looks like UTF-16: try --encoding {encoding}" in failure(lambda: list(read_documents(source)))
    found = list(read_documents(source, ReadOptions(encoding=encoding)))
    assert [document.text for document in found] == ["whale ship 1", "whale ship 2"]


@pytest.mark.parametrize("text", ["BZhang wrote", "PAR1S is a city", "PKW", "a" * 257 + "ustar"[:3]])
def test_texts_that_begin_alike(text):
    check_text(text.encode(), "f", "utf-8")
