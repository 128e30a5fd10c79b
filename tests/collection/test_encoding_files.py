"""Stages over files: the same outputs in any parts and after any interruption; nothing of others replaced."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nphash
from helpers.collecting import documents, fails, fresh, run
from nphash import errors
from nphash.collection import Collection, encoding

arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


@pytest.fixture
def files(tmp_path):
    """Five files of 0 to 40 documents."""
    (tmp_path / "in").mkdir()
    made = []
    for number in range(5):
        some = documents(10 * number, start=100 * number)
        table = arrow.table({
            "more": arrow.array([1] * len(some), arrow.int8()),
            "text": arrow.array([one.text for one in some], arrow.string()),
            "id": arrow.array([one.id for one in some], arrow.large_string()),
        })  # fmt: skip
        made.append(tmp_path / "in" / f"{number}.parquet")
        parquet.write_table(table, made[-1], row_group_size=7)
    return made


def encode(path, files, folder, force=False):
    return list(encoding.encode_files(nphash.encoder(path), files, folder, force))


def contents(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix == ".parquet"}


def test_each_input_becomes_an_output(path, files, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "ROWS", 9)
    done = encode(path, files, tmp_path / "out")
    assert [(one.name, rows) for one, rows in done] == [(f"{i}.parquet", 10 * i) for i in range(5)]
    with Collection.open(path) as collection:
        for number in range(5):
            table = parquet.read_table(tmp_path / "out" / f"{number}.parquet")
            some = documents(10 * number, start=100 * number)
            assert table.column_names == ["id", "code"]
            assert table["id"].type == arrow.large_string() and table["code"].type == arrow.binary(8)
            assert table["id"].to_pylist() == [one.id for one in some]
            codes = collection.encode([one.text for one in some]) if some else np.zeros((0, 8), np.uint8)
            assert b"".join(table["code"].to_pylist()) == codes.tobytes()
            assert json.loads(table.schema.metadata[b"nphash"]) == {"n_bits": 16}


def test_what_is_done_is_not_done_again(path, files, tmp_path):
    out = tmp_path / "out"
    encode(path, files[:3], out)
    before = contents(out)
    assert [rows for _, rows in encode(path, files, out)] == [None, None, None, 30, 40]
    (out / "1.parquet").write_bytes(before["1.parquet"][:-1])  # cut
    (out / "2.parquet").unlink()
    os.utime(files[3], ns=(1, 1))  # perhaps another content
    (out / "4.parquet.done").write_text("{", encoding="utf-8")  # a power cut
    with pytest.raises(errors.InputError, match=r"4\.parquet exists already, and was not made by this"):
        encode(path, files, out)
    (out / "4.parquet").unlink()
    assert [rows for _, rows in encode(path, files, out)] == [None, None, None, None, 40]
    assert {name: contents(out)[name] for name in before} == before


@pytest.mark.parametrize("name", ["replace_text", "replacing", "record", "_encode_parquet"])
@pytest.mark.parametrize("call", [1, 3])
def test_a_run_stopped_anywhere_goes_on(path, files, tmp_path, monkeypatch, name, call):
    whole, out = tmp_path / "whole", tmp_path / "out"
    encode(path, files, whole)
    real, calls = getattr(encoding, name), []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(encoding, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            encode(path, files, out)
    encode(path, files, out)
    assert contents(out) == contents(whole)
    assert not [one for one in out.iterdir() if one.suffix not in {".parquet", ".done"}]


@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True), st.integers(1, 6))
def test_parts_are_all_the_files_once(names, n):
    files = [Path(name) for name in names]
    parts = [encoding.part_of(files, f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(one for part in parts for one in part) == sorted(files)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "/", "1/0", "-1/2", "a/b", "1/2/3", ""])
def test_parts_that_are_none(part):
    with pytest.raises(errors.InputError, match="part is"):
        encoding.part_of([], part)


def test_any_parts_give_the_same_outputs(path, files, tmp_path):
    encode(path, files, tmp_path / "whole")
    for part in ("2/3", "1/3", "3/3"):
        code = run("encode", path, *files, "-o", tmp_path / "out", "--part", part).code
        assert code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_the_command_says_what_it_did(path, files, tmp_path):
    first = run("encode", path, *files[:2], "-o", tmp_path / "out")
    assert first.out == "" and "2 files encoded, 0 done before" in first.err
    again = run("encode", path, *files[:3], "-o", tmp_path / "out")
    assert "0.parquet: done before" in again.err and "1 file encoded, 2 done before" in again.err
    assert run("encode", path, *files, "-o", tmp_path / "out", "-q").err == ""
    fails(2, "encode", path, *files, says=["-o is a folder"])
    fails(2, "encode", path, *files, "-o", tmp_path / "codes.npy", says=["-o is a folder"])
    fails(2, "encode", path, files[0], "-o", tmp_path / "out", "--bits", says=["--bits"])
    fails(2, "encode", path, files[0], "-o", tmp_path / "out", "--text-field", "a", "--text-field", "b",
          says=["one --text-field"])  # fmt: skip
    fails(1, "encode", path, files[0], "-o", tmp_path / "out", "--part", "2/1", says=["--part is '2/1'"])
    fails(1, "encode", path, files[1], "-o", tmp_path / "new", "--text-field", "body",
          says=["1.parquet: there is no column 'body'", "--text-field"])  # fmt: skip
    assert not (tmp_path / "new" / "1.parquet").exists()


def test_files_of_others_are_not_replaced(path, files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "1.parquet").write_text("mine", encoding="utf-8")
    with pytest.raises(errors.InputError, match="was not made by this"):
        encode(path, files, out)
    assert (out / "1.parquet").read_text(encoding="utf-8") == "mine" and (out / "0.parquet").exists()
    assert encode(path, files[:2], out, force=True)[1][1] == 10
    other = fresh(tmp_path, n_bits=24, name="other")
    with pytest.raises(errors.InputError, match="made by another model"):
        encode(other, files[:2], out)
    assert [rows for _, rows in encode(other, files[:2], out, force=True)] == [0, 10]


def test_bad_inputs_are_named(path, files, tmp_path):
    with pytest.raises(errors.CorpusError, match=r"cannot read .*nothing\.parquet"):
        encode(path, [tmp_path / "nothing.parquet"], tmp_path / "out")
    files[0].write_bytes(b"PAR1 no more")
    with pytest.raises(errors.CorpusError, match=r"0\.parquet is no Parquet file"):
        encode(path, files[:1], tmp_path / "out")
    parquet.write_table(arrow.table({"id": [1], "text": [2]}), files[1])
    with pytest.raises(errors.InputError, match=r"1\.parquet: document 0 is of type int"):
        encode(path, files[1:2], tmp_path / "out")
    assert contents(tmp_path / "out") == {}
    (tmp_path / "more").mkdir()
    twice = tmp_path / "more" / files[2].name
    twice.write_bytes(files[2].read_bytes())
    with pytest.raises(errors.InputError, match="would both become"):
        encode(path, [files[2], twice], tmp_path / "out")
