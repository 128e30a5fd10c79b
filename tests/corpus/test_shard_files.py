"""Shards on the disk: what is written, and what of it is refused when it was altered."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random

from nphash.core.checksums import record, seal
from nphash.corpus import shard_files
from nphash.corpus.shard_files import KINDS, MANIFEST, map_shard, read_manifest, write_shards
from nphash.corpus.shards import Shards
from nphash.errors import CorpusError, InputError

X = csr_matrix(random(40, 12, 0.3, random_state=1, dtype=np.float32, format="csr"))


@pytest.fixture
def folder(tmp_path):
    Shards.write(tmp_path / "s", [X], 12, entries=30)
    return tmp_path / "s"


def rewrite(folder, number, kind, change, honest=True):
    """Alter an array of a shard; an honest writer gives it its checksum and size."""
    path = folder / f"shard-{number:06d}.{kind}.npy"
    array = np.load(path)
    np.save(path, change(array))
    if honest:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["shards"][number]["sizes"][kind] = path.stat().st_size
        manifest["shards"][number]["sha256"][kind] = record(path).sha256
        manifest.pop("checksum")
        (folder / MANIFEST).write_text(seal(manifest), encoding="utf-8")


def refused(folder, match):
    with pytest.raises(CorpusError, match=match) as caught:
        Shards.open(folder)[:]
    assert caught.value.hint


def put(array, at, value):
    array = array.copy()
    array[at] = value
    return array


def test_a_shard_has_up_to_so_many_entries(folder):
    n_words, records = read_manifest(folder)
    assert n_words == 12
    assert sum(record.rows for record in records) == 40
    assert sum(record.entries for record in records) == X.nnz
    assert all(record.entries <= 30 for record in records)
    assert len(records) < X.nnz / 30 + 3
    assert {path.name for path in folder.iterdir()} == {MANIFEST} | {
        f"shard-{i:06d}.{kind}.npy" for i in range(len(records)) for kind in KINDS
    }


@pytest.mark.parametrize("rows", [1, 3, 7, 40])
def test_shards_do_not_depend_on_the_blocks(folder, tmp_path, rows):
    blocks = [X[start : start + rows] for start in range(0, 40, rows)]
    again = Shards.write(tmp_path / "again", blocks, 12, entries=30)
    assert (again.folder / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def test_a_document_larger_than_a_shard_has_its_own(tmp_path):
    large = csr_matrix(np.ones((3, 12), np.float32))
    shards = Shards.write(tmp_path / "s", [large], 12, entries=5)
    assert [record.rows for record in read_manifest(shards.folder)[1]] == [1, 1, 1]
    assert np.array_equal(shards[:].toarray(), large.toarray())


def test_nothing_follows_a_large_document_into_its_shard(tmp_path):
    large, small = csr_matrix(np.ones((1, 12), np.float32)), csr_matrix(np.eye(4, 12, dtype=np.float32))
    shards = Shards.write(tmp_path / "s", [large, small], 12, entries=5)
    assert [record.rows for record in read_manifest(shards.folder)[1]] == [1, 4]
    assert np.array_equal(shards[:].toarray(), np.vstack([large.toarray(), small.toarray()]))


def test_no_rows_and_empty_rows(tmp_path):
    assert Shards.write(tmp_path / "none", [], 5)[:].shape == (0, 5)
    assert Shards.write(tmp_path / "empty", [csr_matrix((4, 5))], 5)[:].nnz == 0


def test_blocks_are_brought_into_form(tmp_path):
    untidy = csr_matrix((np.array([1.0, 2, 0, 4]), np.array([3, 1, 2, 3]), np.array([0, 4])), shape=(1, 5))
    found = Shards.write(tmp_path / "s", [untidy], 5)[:]
    assert found.indices.tolist() == [1, 3] and found.data.tolist() == [2, 5]
    assert untidy.nnz == 4  # the caller's own


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 1e30])
def test_weights_that_no_model_can_take_are_refused(tmp_path, bad):
    with pytest.raises(InputError, match="weights that are"):
        Shards.write(tmp_path / "s", [np.array([[1.0, bad]])], 2)


def test_another_width_is_refused(tmp_path):
    with pytest.raises(InputError, match="has 3 words, the shards 2"):
        Shards.write(tmp_path / "s", [np.ones((1, 3))], 2)


def test_a_folder_in_use_is_refused(folder):
    with pytest.raises(CorpusError, match="not empty"):
        write_shards(folder, [], 12)


def test_an_interrupted_writer_leaves_no_shards(tmp_path):
    def interrupted():
        yield X
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "s", interrupted(), 12, entries=30)
    assert any((tmp_path / "s").iterdir())
    refused(tmp_path / "s", f"holds no shards: it has no {MANIFEST}")


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError("152000 requested and 38880 written")],
    ids=["by the system", "by NumPy"],
)
def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr("nphash.core.store.write_to", full)
    with pytest.raises(CorpusError, match=r"disk is full.*make room"):
        Shards.write(tmp_path / "s", [X], 12)


def test_a_missing_file(folder):
    (folder / "shard-000001.data.npy").unlink()
    refused(folder, r"shard-000001\.data\.npy is missing")


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file(folder, kind):
    path = folder / f"shard-000002.{kind}.npy"
    path.write_bytes(path.read_bytes()[:-4])
    refused(folder, f"has {path.stat().st_size} bytes instead of")


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte(folder, kind):
    path = folder / f"shard-000000.{kind}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    refused(folder, "checksum differs")


@pytest.mark.parametrize(
    ("kind", "change", "match"),
    [
        ("indices", lambda a: put(a, 3, 12), "a word outside of the 12"),
        ("indices", lambda a: put(a, 3, -1), "a word outside of the 12"),
        ("indices", lambda a: a[::-1], "ascending"),
        ("indptr", lambda a: put(a, -1, 10**6), "do not follow"),
        ("indptr", lambda a: put(a, 0, -5), "do not follow"),
        ("indptr", lambda a: put(a, 2, a[-1] + 1), "do not follow"),
        ("data", lambda a: put(a, 3, np.nan), "a weight"),
        ("data", lambda a: put(a, 3, -1), "a weight"),
        ("data", lambda a: put(a, 3, 0), "a weight"),
        ("data", lambda a: a.astype(np.float64), "float64"),
        ("indices", lambda a: a[:-1], "int32"),
        ("indices", lambda a: a.astype(object), "it holds object"),  # never unpickled
    ],
)
def test_contents_that_would_lead_a_kernel_astray(folder, kind, change, match):
    rewrite(folder, 1, kind, change)
    refused(folder, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: {**m, "format": 99}, "format 99"),
        (lambda m: {**m, "n_words": -1}, "cannot be read"),
        (lambda m: {**m, "n_words": 2**40}, "cannot be read"),
        (lambda m: {**m, "shards": "many"}, "cannot be read"),
        (lambda m: [], "cannot be read"),
        (lambda m: {**m, "shards": [{**m["shards"][0], "sizes": {}}]}, "three files"),
        (lambda m: {**m, "shards": [{**m["shards"][0], "rows": 2}]}, "int64"),
        (lambda m: {**m, "n_words": 3}, "a word outside of the 3"),
    ],
)
def test_a_manifest_that_does_not_fit(folder, change, match):
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["checksum"]  # as the first versions wrote it
    (folder / MANIFEST).write_text(json.dumps(change(manifest)), encoding="utf-8")
    refused(folder, match)


def test_a_manifest_with_a_changed_number(folder):
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["n_words"] += 1
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    refused(folder, "checksum is wrong")


def test_a_manifest_that_is_no_json(folder):
    (folder / MANIFEST).write_bytes(b"\xff{")
    refused(folder, "cannot be read")


def test_what_was_checked_is_not_hashed_again_until_it_changes(folder, monkeypatch):
    n_words, records = read_manifest(folder)
    hashed, checked = [], set()
    monkeypatch.setattr(shard_files, "record_of", lambda path: hashed.append(path) or record(path))
    for _ in range(3):
        map_shard(folder, 0, records[0], n_words, checked)
    assert len(hashed) == 3
    os.utime(folder / "shard-000000.data.npy", ns=(1, 1))
    map_shard(folder, 0, records[0], n_words, checked)
    assert len(hashed) == 6


def test_only_row_pointers_are_read_into_memory(folder):
    n_words, records = read_manifest(folder)
    shard = map_shard(folder, 0, records[0], n_words, set())
    assert isinstance(shard.indices.base, np.memmap) and isinstance(shard.data.base, np.memmap)
    assert not isinstance(shard.indptr.base, np.memmap)


def test_nothing_is_written_but_through_the_guard(tmp_path, monkeypatch):
    """A folder that cannot be made is told like a full disk."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CorpusError, match="Permission denied"):
        write_shards(tmp_path / "s", [], 3)
