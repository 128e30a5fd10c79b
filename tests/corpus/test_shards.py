"""Shards stand for a matrix: every way to read them against the matrix they were made of.

Of texts they are made with the same bits as in memory, from any size on, and nothing is left behind.
"""

import errno
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, issparse, random

from nphash.corpus import shards as module
from nphash.corpus.shards import WINDOW, Shards, blocks_of, count_empty, rows_where, vectorize
from nphash.errors import CorpusError, InputError
from nphash.text import vocabulary
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

X = random(60, 12, 0.3, random_state=1, dtype=np.float32, format="csr").toarray()
X[5] = 0
X = csr_matrix(X)


@pytest.fixture(scope="module", params=[10**6, 25, 3], ids=["one shard", "many", "a row each"])
def shards(request, tmp_path_factory):
    return Shards.write(tmp_path_factory.mktemp("shards") / "s", [X], 12, entries=request.param)


def same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert (found.indptr == expected.indptr).all()
    assert (found.indices == expected.indices).all() and (found.data == expected.data).all()
    found.check_format(full_check=True)
    assert found.has_canonical_format


ROWS = [
    slice(None), slice(10, 20), slice(50, 100), slice(None, None, 7), slice(-5, None), slice(0, 0),
    np.arange(60), [3], [59, 0, 30, 30, 7], [-1, -60], np.arange(60) % 3 == 0, np.zeros(60, bool), [],
    np.array([2, 4], np.uint8), 4,
]  # fmt: skip


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows_are_those_of_the_matrix(shards, rows):
    same(shards[rows], X[np.array(rows, int)] if isinstance(rows, list) else X[rows])


@pytest.mark.parametrize("rows", [[60], [-61], [0.5], ["a"], np.zeros(59, bool), [[1, 2]]], ids=str)
def test_rows_that_there_are_not(shards, rows):
    with pytest.raises(IndexError):
        shards[rows]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 59), max_size=80), st.integers(0, 2**32))
def test_any_rows_of_any_selection(shards, rows, seed):
    mask = np.random.default_rng(seed).random(60) < 0.7
    part, expected = shards.where(mask), X[mask]
    assert part.shape == expected.shape
    rows = np.array(rows, int)[np.array(rows, int) < mask.sum()]
    same(part[rows], expected[rows])


def test_selections_of_selections(shards):
    first, second = np.arange(60) % 2 == 0, np.arange(30) % 3 == 0
    same(shards.where(first).where(second)[:], X[first][second])
    assert shards.shape == (60, 12)  # the first is left as it was
    same(rows_where(shards, first)[:], X[first])
    same(rows_where(X, first), X[first])


def test_other_weights(shards):
    same(shards.astype(np.float64)[5:9], X[5:9].astype(np.float64))
    ones = shards.astype(np.float64).binary()[5:9]
    assert ones.dtype == np.float64 and (ones.data == 1).all()
    assert (ones.indices == X[5:9].indices).all()
    assert shards[:].dtype == np.float32 and (shards[:].data == X.data).all()


def test_blocks_are_all_rows_in_order(shards):
    blocks = list(shards.blocks(25))
    assert [block.shape[0] for block in blocks] == [25, 25, 10]
    same(blocks[1], X[25:50])
    assert next(iter(blocks_of(X))) is X
    same(next(iter(blocks_of(shards))), X[:])


def test_rows_without_words_are_counted(shards):
    empty = np.diff(X.indptr) == 0
    assert empty[5]
    mask = np.arange(60) < 6
    assert count_empty(shards) == count_empty(X) == empty.sum()
    assert count_empty(shards.where(mask)) == empty[:6].sum() > 0
    assert count_empty(shards.where(np.arange(60) > 70)) == 0


# ---------------------------------------------------------------------- the order of an epoch


def order_of(n_shards, seed, each=4):
    class Counted:  # `shuffled` looks at row numbers only
        _offsets = np.arange(n_shards + 1) * each
        _rows = None
        shape = (n_shards * each, 1)

    return Shards.shuffled(Counted(), np.random.default_rng(seed))


@pytest.mark.parametrize("n_shards", [1, 2, WINDOW])
def test_few_shards_are_shuffled_like_a_matrix(n_shards):
    expected = np.random.default_rng(3).permutation(4 * n_shards)
    assert np.array_equal(order_of(n_shards, 3), expected)


@pytest.mark.parametrize("n_shards", [WINDOW + 1, 3 * WINDOW, 3 * WINDOW + 5])
def test_many_shards_are_shuffled_window_by_window(n_shards):
    order = order_of(n_shards, 0)
    assert sorted(order) == list(range(4 * n_shards))
    windows = [set(order[i : i + 4 * WINDOW] // 4) for i in range(0, len(order), 4 * WINDOW)]
    assert all(len(window) <= WINDOW for window in windows)
    assert sum(map(len, windows)) == n_shards  # no shard is opened twice
    assert not np.array_equal(order, order_of(n_shards, 1))
    assert set(order[: 4 * WINDOW] // 4) != set(range(WINDOW))  # nor always the same together


def test_a_selection_is_shuffled_whole(shards):
    part = shards.where(np.arange(60) % 3 > 0)
    assert sorted(part.shuffled(np.random.default_rng(0))) == list(range(40))


# ---------------------------------------------------------------------- files in use


def test_few_shards_are_mapped_at_a_time(tmp_path):
    shards = Shards.write(tmp_path / "s", [X], 12, entries=3)
    assert len(shards._offsets) - 1 > 2 * WINDOW
    same(shards[:], X)
    assert len(shards._mapped._mapped) == WINDOW
    assert shards.where(np.ones(60, bool))._mapped is shards._mapped


def test_threads_may_share_shards(shards):
    failures = []

    def read(seed):
        for _ in range(30):
            rows = np.random.default_rng(seed).integers(0, 60, 20)
            try:
                same(shards[rows], X[rows])
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_index_that_changes_while_in_use_is_caught_before_a_kernel_sees_it(tmp_path):
    shards = Shards.write(tmp_path / "s", [X], 12)
    same(shards[:], X)
    path = tmp_path / "s" / "shard-000000.indices.npy"
    with path.open("rb+") as file:
        file.seek(-4, 2)
        file.write(b"\xff\xff\xff\x7f")
    with pytest.raises(CorpusError, match="changed while in use"):
        shards[:]


def test_the_digest_tells_what_there_is_to_read(tmp_path, shards):
    kinds = [
        shards,
        shards.where(np.arange(60) < 30),
        shards.where(np.arange(60) >= 30),
        shards.astype(np.float64),
        shards.binary(),
        Shards.write(tmp_path / "s", [2 * X], 12, entries=25),
    ]
    assert len({kind.digest() for kind in kinds}) == len(kinds)
    assert Shards.open(shards.folder).digest() == shards.digest()


def test_it_says_what_it_is(shards):
    assert repr(shards) == f"<Shards {shards.folder} of shape (60, 12)>"
    assert module.AT_ONCE % 256 == 0


def test_integers_are_no_mask(tmp_path):
    X = Shards.write(tmp_path / "x", [csr_matrix(np.eye(3))], 3)
    for mask in (np.array([0, 1, 1]), [True, False, True]):
        with pytest.raises(IndexError, match="a mask is an array of bool"):
            X.where(mask)


# ---------------------------------------------------------------------- from texts

TEXTS = [" ".join(np.random.default_rng(i).choice([2 * c for c in "abcdefghij"], 12)) for i in range(80)] + [
    ""
]
OPEN = VectorizerSettings(stop_words="none", min_documents=2, max_share=1.0, max_words=8)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(vocabulary, "TOKENS_PER_BLOCK", 100)  # about nine documents


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("weighting", ["tfidf", "tf", "binary", "bm25"])
@pytest.mark.parametrize("limit", [0, 3000, 10**9])
def test_the_same_bits_wherever_the_counts_were(tmp_path, weighting, limit):
    settings = VectorizerSettings(**{**OPEN.__dict__, "weighting": weighting})
    one, other = Vectorizer(settings), Vectorizer(settings)
    expected = one.fit_transform(TEXTS)
    found = vectorize(iter(TEXTS), other, tmp_path / "w", limit, entries=60)
    assert isinstance(found, Shards) == (limit < 10**9)
    assert one.to_json() == other.to_json()
    found = found if issparse(found) else found[:]
    assert (found != expected).nnz == 0 and found.shape == expected.shape
    assert found.data.tobytes() == expected.data.tobytes() and found.dtype == np.float32


@pytest.mark.usefixtures("small_blocks")
def test_only_the_shards_stay(tmp_path):
    shards = vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert shards.shape == (81, 8)


@pytest.mark.usefixtures("small_blocks")
def test_in_memory_nothing_is_written(tmp_path):
    vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", limit=10**9)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_blocks")
def test_counts_move_to_the_disk_when_the_limit_is_passed(tmp_path):
    kept = module._Kept(tmp_path / "counts", limit=3000)
    blocks = list(vocabulary.count_blocks(TEXTS, str.split, lambda words: map(TEXTS[0].find, words)))
    for block in blocks:
        kept.append(block)
        assert kept.on_disk == (kept._size > 3000)
        assert not (kept.on_disk and kept._blocks)
    for found, expected in zip(kept.take(), blocks, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert not list((tmp_path / "counts").iterdir())  # freed as they were taken


@pytest.mark.usefixtures("small_blocks")
def test_where_nothing_may_go_to_the_disk_the_limit_is_an_error(tmp_path):
    beyond = InputError("too large")
    assert vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", 10**9, beyond=beyond).shape == (81, 8)
    with pytest.raises(InputError, match="too large"):
        vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", 3000, beyond=beyond)
    assert not list(tmp_path.iterdir())


def broken_texts():
    yield from TEXTS
    raise CorpusError("line 82 is broken")


@pytest.mark.usefixtures("small_blocks")
def test_an_error_leaves_no_counts(tmp_path):
    with pytest.raises(CorpusError, match="line 82"):
        vectorize(broken_texts(), Vectorizer(OPEN), tmp_path / "w")
    with pytest.raises(InputError, match="no word is left"):
        vectorize(["aa"] * 60, Vectorizer(VectorizerSettings(max_share=0.1)), tmp_path / "w")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_blocks")
def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nphash.core.store.write_to", full)
    with pytest.raises(CorpusError, match=r"disk is full.*make room"):
        vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_the_limit_is_a_share_of_the_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 8, "SC_PAGE_SIZE": 1 << 12}.get)
    assert module.counts_limit() == (1 << 20) // module.SHARE


def test_where_the_memory_is_not_told_a_usual_size_is_assumed(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert 0 < module.counts_limit() <= (1 << 33) // module.SHARE
