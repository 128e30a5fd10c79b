import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.hashers.neighbours import approximate
from nphash.hashers.neighbours.approximate import approximate_cosine, neighbours_of_any_number
from nphash.hashers.neighbours.exact import top_cosine


def clustered(rng, n, clusters=20, d=8):
    return (
        rng.standard_normal((clusters, d))[rng.integers(0, clusters, n)] + 0.3 * rng.standard_normal((n, d))
    ).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(2, 40), k=st.integers(1, 50), cells=st.integers(1, 12))
def test_with_every_cell_it_is_exact(seed, n, k, cells):
    rows = np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)
    indices, similarities = approximate_cosine(rows, k, seed, cells=cells, probes=cells)
    expected, near = top_cosine(rows, k)
    assert indices.dtype == np.int32 and similarities.dtype == np.float32
    np.testing.assert_allclose(similarities, near, atol=1e-5)
    assert (indices == expected).mean() > 0.95  # rounding may swap neighbours that are as near


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), n=st.integers(2, 40), k=st.integers(1, 8), cells=st.integers(1, 12))
def test_words_and_coordinates_with_every_cell(seed, n, k, cells):
    rng = np.random.default_rng(seed)
    place = rng.standard_normal((n, 4)).astype(np.float32)
    words = scipy.sparse.csr_matrix(rng.poisson(0.5, (n, 12)), dtype=np.float32)
    indices, similarities = approximate_cosine([words, place], k, seed, by=place, cells=cells, probes=cells)
    expected, near = top_cosine([words, place], k)
    np.testing.assert_allclose(similarities, near, atol=1e-5)
    assert (indices == expected).mean() > 0.9


def test_large_cells_are_compared_piece_by_piece(rng, monkeypatch):
    rows = clustered(rng, 90)
    whole = approximate_cosine(rows, 5, 0, cells=3)
    monkeypatch.setattr(approximate, "COMPARED", 7)
    pieces = approximate_cosine(rows, 5, 0, cells=3)
    np.testing.assert_array_equal(whole[0], pieces[0])
    np.testing.assert_allclose(whole[1], pieces[1], atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), probes=st.integers(1, 3), k=st.integers(1, 30))
def test_always_k_different_neighbours_and_never_itself(seed, probes, k):
    rows = clustered(np.random.default_rng(seed), 60, clusters=3)
    indices, similarities = approximate_cosine(rows, k, seed, cells=20, probes=probes)
    assert indices.shape == (60, k)
    for i in range(60):
        assert len(set(indices[i].tolist())) == k and i not in indices[i]
    assert (np.diff(similarities, axis=1) <= 0).all()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(similarities, np.einsum("id,ikd->ik", unit, unit[indices]), atol=1e-5)


def test_finds_most_and_more_with_more_probes(rng):
    rows = clustered(rng, 3000, clusters=200)
    expected, _ = top_cosine(rows, 10)
    recall = []
    for probes in (1, 4, 16):
        found, _ = approximate_cosine(rows, 10, 0, probes=probes)
        recall.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, expected, strict=True)]))
    assert recall[0] < recall[1] < recall[2]
    assert recall[2] > 0.9


def test_threads_do_not_change_bytes(rng):
    rows = clustered(rng, 500)
    results = [approximate_cosine(rows, 5, 0, threads=threads) for threads in (1, 2, 5)]
    for indices, similarities in results[1:]:
        assert indices.tobytes() == results[0][0].tobytes()
        assert similarities.tobytes() == results[0][1].tobytes()


def test_equal_rows_and_zeros():
    rows = np.zeros((30, 4), np.float32)
    rows[:20, 0] = 1
    indices, similarities = approximate_cosine(rows, 3, 0)
    np.testing.assert_allclose(similarities[:20], 1)
    assert (indices[:20] < 20).all() and (similarities[20:] == 0).all()


def test_the_number_of_documents_decides(rng, monkeypatch):
    X = scipy.sparse.csr_matrix(rng.random((80, 30)) * (rng.random((80, 30)) < 0.4))
    np.testing.assert_array_equal(neighbours_of_any_number(X, 4, 0)[0], top_cosine(X, 4)[0])
    monkeypatch.setattr(approximate, "MOST_EXACT", 50)
    monkeypatch.setattr(approximate, "DIMS", 5)
    search, asked = approximate_cosine, []

    def few_cells(rows, k, seed, **options):
        asked.append((rows is X, options["by"].shape))
        return search(rows, k, seed, **options, probes=2)

    monkeypatch.setattr(approximate, "approximate_cosine", few_cells)
    found, near = neighbours_of_any_number(X, 4, 0)
    assert asked == [(True, (80, 5))]  # words are compared, LSI says with which documents
    exact, nearest = top_cosine(X, 4)
    assert 0.4 < np.mean([len(set(a) & set(b)) / 4 for a, b in zip(found, exact, strict=True)]) < 1
    assert (near <= nearest + 1e-6).all()


@pytest.mark.parametrize("wrong", [{"k": 0}, {"cells": 0}, {"probes": 0}])
def test_wrong_numbers(rng, wrong):
    with pytest.raises(InputError, match="were asked for"):
        approximate_cosine(rng.random((5, 2)), **{"k": 1, "seed": 0, **wrong})
    with pytest.raises(InputError, match="among 1 documents"):
        approximate_cosine(rng.random((1, 2)), 1, 0)
