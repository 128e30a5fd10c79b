import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from nphash.errors import InputError
from nphash.hashers import kernels
from nphash.hashers.neighbours import nearest as module
from nphash.hashers.neighbours.nearest import (
    approximate_cosine,
    nearest_by_words,
    top_cosine,
    top_of_candidates,
)


def small_rows(seed, n, d):
    """Rows of small whole numbers: many equal similarities, some empty rows."""
    return np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 25),
    d=st.integers(1, 6),
    k=st.integers(1, 30),
    block=st.integers(1, 30),
    sparse=st.booleans(),
    compiled=st.booleans(),
)
def test_agrees_with_the_twin(seed, n, d, k, block, sparse, compiled):
    rows = small_rows(seed, n, d)
    A = scipy.sparse.csr_matrix(rows) if sparse else rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(kernels, "COMPILED", compiled)
        indices, similarities = top_cosine(A, k, threads=1)
    expected = naive.top_cosine(rows, rows, k, exclude_self=True)
    assert indices.shape == similarities.shape == (n, min(k, n - 1))
    for i in range(n):
        np.testing.assert_allclose(similarities[i], [s for s, _ in expected[i]], atol=1e-6)
        # rounding may swap neighbours of equal similarity, but each has the similarity it is given
        exact = [naive.cosine(rows[i], rows[j]) for j in indices[i]]
        np.testing.assert_allclose(similarities[i], exact, atol=1e-6)
        assert len(set(indices[i].tolist())) == indices.shape[1] and i not in indices[i]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 20), k=st.integers(1, 3), c=st.integers(0, 12))
def test_among_candidates_as_among_all(seed, n, k, c):
    rng, k = np.random.default_rng(seed), min(k, n - 1)
    A = [scipy.sparse.csr_matrix(small_rows(seed, n, 7)), rng.standard_normal((n, 3)).astype(np.float32)]
    some = np.array([rng.permutation(n)[: k + 1] for _ in range(n)])  # at least k others
    candidates = np.hstack([some, some[:, rng.integers(0, k + 1, c)]])  # with repetitions
    indices, similarities = top_of_candidates(A, candidates, k)
    for i in range(n):
        own = np.setdiff1d(candidates[i], [i])
        cosines = [np.mean([naive.cosine(u[i], u[j]) for u in (A[0].toarray(), A[1])]) for j in own]
        np.testing.assert_allclose(similarities[i], np.sort(cosines)[::-1][:k], atol=1e-6)
        assert set(indices[i]) <= set(own) and len(set(indices[i])) == k
    everyone = np.tile(np.arange(n), (n, 1))
    np.testing.assert_allclose(top_of_candidates(A, everyone, k)[1], top_cosine(A, k)[1], atol=1e-6)


def test_candidates_of_words_in_any_order():
    rows = small_rows(3, 12, 9)
    X = scipy.sparse.csr_matrix(rows)
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in zip(X.indptr, X.indptr[1:], strict=False)])
    mixed = scipy.sparse.csr_matrix((X.data[order], X.indices[order], X.indptr), shape=X.shape)
    everyone = np.tile(np.arange(12), (12, 1))
    np.testing.assert_array_equal(top_of_candidates(mixed, everyone, 4)[0], top_cosine(X, 4)[0])
    assert not mixed.has_sorted_indices  # what was given stays as it is


def test_candidates_in_blocks_and_threads(monkeypatch, rng):
    A, candidates = rng.random((50, 6)), np.array([rng.permutation(50)[:9] for _ in range(50)])
    whole = top_of_candidates(A, candidates, 4, threads=1)
    monkeypatch.setattr(module, "CANDIDATE_ROWS", 7)
    pieces = top_of_candidates(A, candidates, 4, threads=3)
    np.testing.assert_array_equal(whole[0], pieces[0])
    np.testing.assert_array_equal(whole[1], pieces[1])


def test_ties_keep_the_order_of_rows():
    rows = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1]], np.float32)
    for A in (rows, scipy.sparse.csr_matrix(rows)):
        indices, _ = top_cosine(A, 4)
        np.testing.assert_array_equal(indices[0], [2, 3, 1, 4])
        np.testing.assert_array_equal(indices[4], [1, 0, 2, 3])


@pytest.mark.parametrize("sparse", [False, True])
def test_threads_do_not_change_bytes(rng, sparse):
    rows = (rng.random((900, 30)) * (rng.random((900, 30)) < 0.3)).astype(np.float32)
    A = scipy.sparse.csr_matrix(rows) if sparse else rows
    results = [top_cosine(A, 10, threads=threads) for threads in (1, 2, 5)]
    for indices, similarities in results[1:]:
        assert indices.tobytes() == results[0][0].tobytes()
        assert similarities.tobytes() == results[0][1].tobytes()


def test_errors(rng):
    with pytest.raises(InputError, match="0 neighbours"):
        top_cosine(rng.random((5, 2)), 0)
    with pytest.raises(InputError, match="among 0 documents"):
        top_cosine(rng.random((1, 2)), 1)


def test_unit_rows():
    rows = module._unit_rows(scipy.sparse.csr_matrix([[3.0, 4.0], [0.0, 0.0]])).toarray()
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_cosines_of_several_parts_are_averaged(rng):
    words = scipy.sparse.csr_matrix(rng.poisson(0.5, (30, 12)).astype(float))
    places = rng.normal(size=(30, 4))
    indices, similarities = top_cosine([words, places], 5)
    unit = [
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (words.toarray(), places)
    ]
    mean = sum(rows @ rows.T for rows in unit) / 2
    np.fill_diagonal(mean, -np.inf)
    np.testing.assert_allclose(similarities, -np.sort(-mean, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(mean, indices, axis=1), similarities, atol=1e-6)


# --- inverted file ---------------------------------------------------------------------------


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
    monkeypatch.setattr(module, "BLOCK", 7)
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


def test_threads_do_not_change_bytes_of_cells(rng):
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
    np.testing.assert_array_equal(nearest_by_words(X, 4, 0)[0], top_cosine(X, 4)[0])
    monkeypatch.setattr(module, "MOST_EXACT", 50)
    monkeypatch.setattr(module, "DIMS", 5)
    search, asked = approximate_cosine, []

    def few_cells(rows, k, seed, **options):
        asked.append((rows is X, options["by"].shape))
        return search(rows, k, seed, **options, probes=2)

    monkeypatch.setattr(module, "approximate_cosine", few_cells)
    found, near = nearest_by_words(X, 4, 0)
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


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(2, 60), cells=st.integers(1, 12))
def test_every_row_is_assigned_to_one_cell_whose_centre_is_nearest(seed, n, cells):
    rows = np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cells = min(cells, n)
    members, order = module._inverted_file(unit, cells, seed, 1)
    assert len(members) == cells
    np.testing.assert_array_equal(np.sort(np.concatenate(members)), np.arange(n))
    assert all((np.diff(own) > 0).all() for own in members)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(cells), (cells, 1)))
    centres = module._centres(unit, cells, seed)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)
    scores = unit @ centres.T
    for cell, own in enumerate(members):
        np.testing.assert_allclose(scores[own, cell], scores[own].max(axis=1), atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), probes=st.integers(1, 6), k=st.integers(1, 20))
def test_candidates_are_the_own_cell_first_and_enough(seed, probes, k):
    rng = np.random.default_rng(seed)
    members = module._members(rng.integers(0, 8, 30), 8)
    order = rng.permutation(8)
    for home in range(8):
        candidates = module._candidates(members, home, order, probes, k)
        own = members[home]
        np.testing.assert_array_equal(candidates[: len(own)], own)
        assert len(set(candidates.tolist())) == len(candidates) > k


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(3, 30), k=st.integers(1, 6), sparse=st.booleans())
def test_lengths_of_rows_do_not_matter(seed, n, k, sparse):
    rng = np.random.default_rng(seed)
    rows, powers = small_rows(seed, n, 5), 2.0 ** rng.integers(-4, 5, n)  # exact in floating point
    scaled = (rows * powers[:, None]).astype(np.float32)
    pair = (scipy.sparse.csr_matrix(rows), scipy.sparse.csr_matrix(scaled)) if sparse else (rows, scaled)
    (first, near), (second, also) = (top_cosine(A, k) for A in pair)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(near, also)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(3, 25), k=st.integers(1, 5))
def test_without_compiled_kernels_the_neighbours_are_the_same(seed, n, k):
    A = [scipy.sparse.csr_matrix(small_rows(seed, n, 7)), small_rows(seed + 1, n, 3)]
    candidates = np.tile(np.arange(n), (n, 1))
    k = min(k, n - 1)
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for compiled in (True, False):
            patch.setattr(kernels, "COMPILED", compiled)
            found.append((top_cosine(A, k), top_of_candidates(A, candidates, k)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)
        assert (one[0] == other[0]).mean() > 0.5  # rounding may swap neighbours that are as near


def test_similarities_are_symmetric():
    rows = small_rows(5, 30, 6)
    indices, similarities = top_cosine(rows, 29)
    dense = np.zeros((30, 30))
    np.put_along_axis(dense, indices.astype(np.int64), similarities, axis=1)
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    assert dense.max() <= 1 + 1e-6


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(1, 20))
def test_unit_rows_keep_directions_and_empty_rows(seed, n):
    rows = small_rows(seed, n, 5)
    X = scipy.sparse.csr_matrix(rows)
    unit = module._unit_rows(X).toarray()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(unit * lengths, rows, atol=1e-5)
    np.testing.assert_array_equal(X.toarray(), rows)  # what was given stays as it is
