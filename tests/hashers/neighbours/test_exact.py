import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from nphash.errors import InputError
from nphash.hashers.neighbours import exact as module
from nphash.hashers.neighbours.exact import knn_graph, top_cosine, top_of_candidates, unit_rows


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
)
def test_agrees_with_the_twin(seed, n, d, k, block, sparse):
    rows = small_rows(seed, n, d)
    A = scipy.sparse.csr_matrix(rows) if sparse else rows
    indices, similarities = top_cosine(A, k, block=block, threads=1)
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
def test_among_other_rows(rng, sparse):
    queries, database = rng.random((7, 5)), rng.random((40, 5))
    if sparse:
        indices, similarities = top_cosine(
            scipy.sparse.csr_matrix(queries), 3, B=scipy.sparse.csr_matrix(database)
        )
    else:
        indices, similarities = top_cosine(queries, 3, B=database)
    expected = naive.top_cosine(queries, database, 3, exclude_self=False)
    np.testing.assert_array_equal(indices, [[j for _, j in row] for row in expected])
    np.testing.assert_allclose(similarities, [[s for s, _ in row] for row in expected], rtol=1e-5)


def test_may_find_itself(rng):
    indices, similarities = top_cosine(rng.random((30, 4)), 1, exclude_self=False)
    np.testing.assert_array_equal(indices.ravel(), np.arange(30))
    np.testing.assert_allclose(similarities, 1, rtol=1e-5)


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
    with pytest.raises(InputError, match="2 and 3 columns"):
        top_cosine(rng.random((5, 2)), 1, B=rng.random((5, 3)))


def test_unit_rows():
    rows = unit_rows(scipy.sparse.csr_matrix([[3.0, 4.0], [0.0, 0.0]])).toarray()
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(3, 20), k=st.integers(1, 6), weighted=st.booleans())
def test_the_graph_is_symmetric_and_has_every_edge(seed, n, k, weighted):
    rows = small_rows(seed, n, 4)
    indices, similarities = top_cosine(rows, k)
    strongest = knn_graph(indices, similarities, weighted=weighted).toarray()
    mean = knn_graph(indices, similarities, symmetry="mean", weighted=weighted).toarray()
    np.testing.assert_array_equal(strongest, strongest.T)
    np.testing.assert_array_equal(mean, mean.T)
    directed = np.zeros((n, n))
    for i in range(n):
        for j, s in zip(indices[i], similarities[i], strict=True):
            directed[i, j] = max(s, 0) if weighted else float(s > 0)
    np.testing.assert_allclose(strongest, np.maximum(directed, directed.T), rtol=1e-6)
    np.testing.assert_allclose(mean, (directed + directed.T) / 2, rtol=1e-6)


def test_unknown_symmetry():
    with pytest.raises(InputError, match="symmetry"):
        knn_graph(np.array([[1], [0]]), np.ones((2, 1)), symmetry="min")


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
