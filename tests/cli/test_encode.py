import csv
import errno
import io

import numpy as np
import pytest

from helpers.collecting import documents, fails, fresh, jsonl, run, write_jsonl
from nphash.codes import unpack
from nphash.collection import Collection


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


@pytest.fixture
def source(tmp_path):
    return write_jsonl(tmp_path / "in.jsonl", documents(7))


@pytest.fixture
def codes(path):
    with Collection.open(path) as collection:
        return collection.encode([d.text for d in documents(7)])


def test_hex_and_bits(path, source, codes):
    records = jsonl(run("encode", path, source).out)
    assert [record["id"] for record in records] == [f"d{i}" for i in range(7)]
    assert [bytes.fromhex(record["code"]) for record in records] == [row[:2].tobytes() for row in codes]
    bits = jsonl(run("encode", path, source, "--bits").out)
    assert [record["code"] for record in bits] == [
        "".join(map(str, row)) for row in unpack(codes, 16).astype(int).tolist()
    ]


def test_a_suffix_of_no_format_is_asked_about(path, source, tmp_path):
    fails(2, "encode", path, source, "-o", tmp_path / "codes.bin", says=[".bin", "--format"])
    assert not (tmp_path / "codes.bin").exists()
    run("encode", path, source, "-o", tmp_path / "codes.bin", "--format", "csv")
    assert (tmp_path / "codes.bin").read_text(encoding="utf-8").startswith("id,code")


def test_csv_and_npy_by_suffix(path, source, codes, tmp_path):
    assert run("encode", path, source, "-o", tmp_path / "c.csv").out == ""
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text(encoding="utf-8"))))
    assert [row["id"] for row in rows] == [f"d{i}" for i in range(7)]
    assert run("encode", path, source, "-o", tmp_path / "c.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), codes)
    assert run("encode", path, source, "--format", "csv").out.startswith("id,code\n")


def test_many_documents_come_in_blocks(path, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", documents(1500))
    run("encode", path, source, "-o", tmp_path / "c.npy")
    assert np.load(tmp_path / "c.npy").shape == (1500, 8)


def test_a_matrix_can_be_encoded(path, tmp_path):
    (tmp_path / "words.txt").write_text("gold\nsilver\nunknown\n", encoding="utf-8")
    (tmp_path / "in.svm").write_text("a 1:2 2:1\nb 3:1\n", encoding="utf-8")
    result = run("encode", path, tmp_path / "in.svm", "--vocabulary", tmp_path / "words.txt")
    with Collection.open(path) as collection:
        code = collection.encode(["gold gold silver"])
    assert bytes.fromhex(jsonl(result.out)[0]["code"]) == code[0, :2].tobytes()
    assert "1 document holds no word" in result.err


def test_nothing_is_overwritten(path, source, tmp_path):
    target = tmp_path / "c.npy"
    target.write_bytes(b"mine")
    fails(1, "encode", path, source, "-o", target, says=["exists already", "--force"])
    assert target.read_bytes() == b"mine"
    assert run("encode", path, source, "-o", target, "--force").code == 0
    assert np.load(target).shape == (7, 8)


@pytest.mark.parametrize("name", ["c.npy", "c.jsonl"])
def test_a_full_disk_or_a_bad_line_leaves_the_old_file(path, source, tmp_path, monkeypatch, name):
    target = tmp_path / name
    target.write_bytes(b"mine")
    with source.open("a", encoding="utf-8") as file:
        file.write("{\n")
    fails(1, "encode", path, source, "-o", target, "--force", says="line 8")
    write_jsonl(source, documents(7))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    fails(1, "encode", path, source, "-o", target, "--force", says="the disk is full")
    assert target.read_bytes() == b"mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["c", "in.jsonl", name])


def test_npy_needs_a_file(path, source):
    fails(2, "encode", path, source, "--format", "npy", says="needs -o FILE")


def test_a_dash_is_standard_output(path, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = run("encode", path, source).out
    assert run("encode", path, source, "-o", "-").out == plain != ""
    assert run("encode", path, source, "-o", "-", "--format", "csv").out.startswith("id,code\n")
    fails(2, "encode", path, source, "-o", "-", "--format", "npy", says="-o FILE")
    assert not (tmp_path / "-").exists()
