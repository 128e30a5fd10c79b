"""Texts to weights on the disk: the same as in memory, from any size on, and nothing left behind."""

import errno
import os

import numpy as np
import pytest
from scipy.sparse import issparse

from nphash.corpus import Shards, spilling, vectorize
from nphash.errors import CorpusError, InputError
from nphash.text import vocabulary
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

TEXTS = [" ".join(np.random.default_rng(i).choice([2 * c for c in "abcdefghij"], 12)) for i in range(80)] + [
    ""
]
OPEN = VectorizerSettings(stop_words="none", min_documents=2, max_share=1.0, max_words=8)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(vocabulary, "TOKENS_PER_BLOCK", 100)  # about nine documents


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


def test_only_the_shards_stay(tmp_path):
    shards = vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert shards.shape == (81, 8)


def test_in_memory_nothing_is_written(tmp_path):
    vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", limit=10**9)
    assert not list(tmp_path.iterdir())


def test_counts_move_to_the_disk_when_the_limit_is_passed(tmp_path):
    kept = spilling._Kept(tmp_path / "counts", limit=3000)
    blocks = list(vocabulary.count_blocks(TEXTS, str.split, lambda words: map(TEXTS[0].find, words)))
    for block in blocks:
        kept.append(block)
        assert kept.on_disk == (kept._size > 3000)
        assert not (kept.on_disk and kept._blocks)
    for found, expected in zip(kept.take(), blocks, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert not list((tmp_path / "counts").iterdir())  # freed as they were taken


def test_where_nothing_may_go_to_the_disk_the_limit_is_an_error(tmp_path):
    beyond = InputError("too large")
    assert vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", 10**9, beyond=beyond).shape == (81, 8)
    with pytest.raises(InputError, match="too large"):
        vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w", 3000, beyond=beyond)
    assert not list(tmp_path.iterdir())


def broken_texts():
    yield from TEXTS
    raise CorpusError("line 82 is broken")


def test_an_error_leaves_no_counts(tmp_path):
    with pytest.raises(CorpusError, match="line 82"):
        vectorize(broken_texts(), Vectorizer(OPEN), tmp_path / "w")
    with pytest.raises(InputError, match="no word is left"):
        vectorize(["aa"] * 60, Vectorizer(VectorizerSettings(max_share=0.1)), tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nphash.core.store.write_to", full)
    with pytest.raises(CorpusError, match=r"disk is full.*make room"):
        vectorize(TEXTS, Vectorizer(OPEN), tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_the_limit_is_a_share_of_the_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 8, "SC_PAGE_SIZE": 1 << 12}.get)
    assert spilling.counts_limit() == (1 << 20) // spilling.SHARE


def test_where_the_memory_is_not_told_a_usual_size_is_assumed(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert 0 < spilling.counts_limit() <= (1 << 33) // spilling.SHARE
