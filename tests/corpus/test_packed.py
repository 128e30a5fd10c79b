import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from helpers.corpora import failure, standard_input, write
from nphash.corpus import ReadOptions, read_documents
from nphash.corpus.packed import packing_of, unpack_head

TEXT = b"".join(b'{"text": "the whale ship %d"}\n' % number for number in range(50))


def archive(name="a.jsonl"):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr(name, TEXT)
    return made.getvalue()


UNPACKED = {
    "a.jsonl.gz": gzip.compress(TEXT),
    "a.jsonl.bz2": bz2.compress(TEXT[:9]) + bz2.compress(TEXT[9:]) + bytes(5),
    "a.jsonl.xz": lzma.compress(TEXT),
    "a.jsonl.zip": archive(),
    "b.zip": archive(),  # the name of the only file in it shows its format
}


@pytest.mark.parametrize("name", UNPACKED)
def test_packed_files_are_unpacked(tmp_path, name, monkeypatch):
    expected = [document.text for document in read_documents(write(tmp_path / "plain.jsonl", TEXT))]
    source = write(tmp_path / name, UNPACKED[name])
    assert [document.text for document in read_documents(source)] == expected
    assert next(iter(read_documents(write(tmp_path / "odd", UNPACKED[name]), ReadOptions("jsonl"))))
    if not name.endswith("zip"):
        standard_input(monkeypatch, UNPACKED[name])
        assert [document.text for document in read_documents("-")] == expected


@pytest.mark.parametrize("name", UNPACKED)
def test_damaged_packed_files(tmp_path, name):
    for cut in (12, -9):
        source = write(tmp_path / name, UNPACKED[name][:cut])
        message = failure(lambda source=source: list(read_documents(source, ReadOptions("lines"))))
        assert "is a damaged" in message and "fetch or pack it again" in message


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_line_ends_without_end(tmp_path, compress):
    source = write(tmp_path / "a.jsonl.gz", compress(b"\n" * 2**25))
    assert "unpacks to more than 300 times its size" in failure(lambda: list(read_documents(source)))
    source = write(tmp_path / "b.txt", b"a\n" + b"\n" * 2**20 + b"b\n\nc\n")
    assert [document.id for document in read_documents(source)] == [
        "b.txt:1",
        f"b.txt:{2**20 + 2}",
        f"b.txt:{2**20 + 4}",
    ]


def test_an_xz_file_that_claims_memory(tmp_path, monkeypatch):
    source = write(tmp_path / "a.txt.xz", lzma.compress(b"text", preset=9))
    monkeypatch.setattr("nphash.corpus.packed.MOST_MEMORY", 2**20)
    assert "is a damaged xz file (Memory usage limit" in failure(lambda: list(read_documents(source)))


def test_a_locked_archive_is_refused(tmp_path):
    raw = bytearray(archive())
    for at in (6, raw.rindex(b"PK\x01\x02") + 8):  # the flag of encryption
        raw[at] |= 1
    source = write(tmp_path / "a.jsonl.zip", bytes(raw))
    assert "is encrypted, password required" in failure(lambda: list(read_documents(source)))


def test_zstd_where_python_reads_it(tmp_path):
    zstd = pytest.importorskip("backports.zstd", reason="Python reads zstd from 3.14 on")
    source = write(tmp_path / "a.jsonl.zst", zstd.compress(TEXT))
    assert list(read_documents(source))


def test_first_bytes_show_how_a_file_is_packed():
    assert [packing_of(raw) for raw in UNPACKED.values()] == ["gzip", "bzip2", "xz", "zip", "zip"]
    assert packing_of(b"BZhang wrote") == packing_of(b"PKW") == packing_of(b"") == ""
    assert unpack_head(gzip.compress(TEXT), 20) == TEXT[:20] == unpack_head(lzma.compress(TEXT), 20)
    assert unpack_head(TEXT, 20) == TEXT and unpack_head(b"\x1f\x8b broken", 20) == b""
