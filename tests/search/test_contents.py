"""Pickles and copies of an index; adding, removing and files are tested with `HammingIndex`."""

import copy
import pickle

import numpy as np
import pytest

from nphash.codes import pack
from nphash.search import HammingIndex


def unpickled(data, buffers=()):
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - made here


COPIES = {
    "pickle": lambda index: unpickled(pickle.dumps(index)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def an_index(rng, kind, strategy="auto"):
    index = HammingIndex(70, threads=2, strategy=strategy)
    codes = pack(rng.random((400, 70)) < 0.5)
    ids = {"insertion": None, "integer": np.arange(400) * 3, "text": [f"d{i}" for i in range(400)]}[kind]
    index.add(codes[:300], None if ids is None else ids[:300])
    index.add(codes[300:], None if ids is None else ids[300:])
    index.remove(index.ids[[0, 17, 350]])
    return index, codes


def same(one, other, queries):
    for a, b in zip(one.search(queries, 9), other.search(queries, 9), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    assert one.ids.tolist() == other.ids.tolist() and np.array_equal(one.codes, other.codes)


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", ["insertion", "integer", "text"])
def test_a_copy_is_the_same_and_goes_its_own_way(rng, kind, how):
    index, codes = an_index(rng, kind)
    other = COPIES[how](index)
    assert type(other) is HammingIndex
    assert (other.n_bits, other.threads, other.strategy) == (70, 2, "auto")
    same(index, other, codes[:20])
    other.remove(other.ids[:5])
    other.add(codes[:1], ["new"] if kind == "text" else None)
    assert len(index) == 397 and len(other) == 393
    same(index, COPIES[how](index), codes[:20])


def test_buckets_go_along(rng):
    index, codes = an_index(rng, "integer", strategy="multi-index")
    index.build()
    other = unpickled(pickle.dumps(index))
    assert other._engine.buckets is not None
    same(index, other, codes[:20])


def test_an_index_mapped_from_a_file_and_an_empty_one(rng, tmp_path):
    index, codes = an_index(rng, "text")
    index.save(tmp_path / "index")
    other = unpickled(pickle.dumps(HammingIndex.load(tmp_path / "index")))
    (tmp_path / "index").unlink()
    same(index, other, codes[:20])
    assert len(unpickled(pickle.dumps(HammingIndex(8)))) == 0


def test_threads_that_were_not_given_are_those_of_the_machine_it_comes_to(monkeypatch):
    data = pickle.dumps(HammingIndex(8))
    monkeypatch.setenv("NPHASH_THREADS", "3")
    assert unpickled(data).threads == 3


def test_buffers_that_may_not_be_written(rng):
    """joblib maps large arrays that way."""
    index, codes = an_index(rng, "insertion")
    buffers = []
    data = pickle.dumps(index, protocol=5, buffer_callback=buffers.append)
    other = unpickled(data, buffers=[bytes(buffer) for buffer in buffers])
    same(index, other, codes[:20])
    other.add(codes[:2])
    assert len(other) == len(index) + 2
