import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.hashers.neighbours import spectral
from nphash.hashers.neighbours.nearest import top_cosine
from nphash.hashers.neighbours.spectral import (
    fit_lsi,
    fix_signs,
    knn_graph,
    laplacian_eigenmap,
    top_eigenvectors,
)


def documents(rng, n, n_words, dtype=np.float32, share=0.1):
    dense = rng.random((n, n_words)) * (rng.random((n, n_words)) < share)
    return scipy.sparse.csr_matrix(dense.astype(dtype))


@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (600, 420), (420, 600)])
@pytest.mark.parametrize("centred", [False, True])
def test_agrees_with_the_dense_decomposition(rng, shape, centred):
    X = documents(rng, *shape)
    result = fit_lsi(X, 5, 0, centred=centred)
    dense = X.toarray().astype(np.float64)
    dense -= dense.mean(axis=0) * centred
    _, s, vt = np.linalg.svd(dense, full_matrices=False)
    np.testing.assert_allclose(result.singular_values, s[:5], rtol=1e-4)
    cosines = np.abs((result.components * vt[:5].T).sum(axis=0))
    # neighbouring singular values of random matrices are close: compare the subspaces' energy
    energy = np.linalg.norm(dense @ result.components) ** 2
    assert energy == pytest.approx((s[:5] ** 2).sum(), rel=1e-4)
    assert cosines[0] > 0.999
    assert result.components.dtype == result.mean.dtype == np.float32
    assert (result.mean != 0).any() == centred


def test_components_are_orthonormal_with_fixed_signs(rng):
    components = fit_lsi(documents(rng, 600, 500), 20, 3).components
    np.testing.assert_allclose(components.T @ components, np.eye(20), atol=2e-5)
    assert (components[np.abs(components).argmax(axis=0), np.arange(20)] > 0).all()


@pytest.mark.parametrize("shape", [(80, 50), (600, 450)])
def test_same_seed_same_bytes(rng, shape):
    X = documents(rng, *shape)
    first, second = fit_lsi(X, 8, 1), fit_lsi(X, 8, 1)
    assert first.components.tobytes() == second.components.tobytes()
    assert first.singular_values.tobytes() == second.singular_values.tobytes()


def test_other_seed_same_subspace(rng):
    X = documents(rng, 600, 450)
    first, second = fit_lsi(X, 3, 1), fit_lsi(X, 3, 2)
    np.testing.assert_allclose(first.singular_values, second.singular_values, rtol=1e-4)


@pytest.mark.parametrize("shape", [(20, 30), (700, 600)])
def test_a_smaller_rank_gives_fewer_dimensions(rng, shape):
    left, right = rng.random((shape[0], 3)), rng.random((3, shape[1]))
    X = scipy.sparse.csr_matrix((left @ right).astype(np.float32))
    result = fit_lsi(X, 10, 0)
    assert result.components.shape == (shape[1], 3)
    approximation = X @ result.components @ result.components.T
    np.testing.assert_allclose(approximation, X.toarray(), rtol=1e-3, atol=1e-3)


def test_never_more_dimensions_than_documents_or_words(rng):
    assert fit_lsi(documents(rng, 12, 40, share=0.9), 100, 0).components.shape == (40, 12)
    assert fit_lsi(documents(rng, 40, 12, share=0.9), 100, 0).components.shape == (12, 12)


def test_constant_words_do_not_matter_when_centred(rng):
    X = documents(rng, 50, 20)
    constant = scipy.sparse.csr_matrix(np.full((50, 1), 3.0, np.float32))
    result = fit_lsi(scipy.sparse.hstack([constant, X]).tocsr(), 4, 0, centred=True)
    np.testing.assert_allclose(result.components[0], 0, atol=1e-5)
    np.testing.assert_allclose(
        result.singular_values, fit_lsi(X, 4, 0, centred=True).singular_values, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("X", "centred", "words"),
    [
        (np.zeros((5, 4)), False, "empty"),
        (np.ones((5, 4)), True, "the same"),
        (np.zeros((5, 4)), True, "same"),
    ],
)
def test_nothing_to_learn_from(X, centred, words):
    with pytest.raises(InputError, match=words):
        fit_lsi(scipy.sparse.csr_matrix(X.astype(np.float32)), 2, 0, centred=centred)


def test_dims_below_one(rng):
    with pytest.raises(InputError, match="dims is 0"):
        fit_lsi(documents(rng, 5, 4), 0, 0)


def test_column_mean(rng):
    X = documents(rng, 30, 20)
    mean = fit_lsi(X, 1, 0, centred=True).mean
    np.testing.assert_allclose(mean, X.toarray().mean(axis=0), rtol=1e-6)


def test_top_eigenvectors_of_a_known_operator(rng):
    basis = np.linalg.qr(rng.standard_normal((500, 500)))[0]
    values = np.linspace(1, 0, 500)
    matrix = (basis * values) @ basis.T
    found, vectors = top_eigenvectors(lambda v: matrix @ v, 500, 6, 0, np.float64)
    np.testing.assert_allclose(found, values[:6], rtol=1e-6)
    np.testing.assert_allclose(matrix @ vectors, vectors * found, atol=1e-3)


def test_top_eigenvectors_of_a_matrix_of_one_value():
    values, vectors = top_eigenvectors(lambda v: 2 * v, 500, 3, 0, np.float64)
    np.testing.assert_allclose(values, 2)
    np.testing.assert_allclose(2 * vectors, vectors * values)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), n=st.integers(1, 30), d=st.integers(1, 6))
def test_fixed_signs(seed, n, d):
    rows = np.random.default_rng(seed).standard_normal((n, d))
    rows[::3] = 0
    fixed = fix_signs(rows)
    np.testing.assert_array_equal(np.abs(fixed), np.abs(rows))
    np.testing.assert_array_equal(fix_signs(-rows), fixed)


def test_signs_do_not_hang_on_rounding():
    vectors = np.array([[-1.0], [1.0 + 1e-9]])
    assert fix_signs(vectors)[0, 0] == 1


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(3, 25), words=st.integers(3, 25), centred=st.booleans())
def test_all_dimensions_give_the_documents_back(seed, n, words, centred):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.csr_matrix(rng.integers(0, 4, (n, words)) + np.eye(n, words))
    result = fit_lsi(X, 25, 0, centred=centred)
    W, rows = result.components, X.toarray() - result.mean
    np.testing.assert_allclose(W.T @ W, np.eye(W.shape[1]), atol=1e-4)
    # what is beyond the tolerated rank is a thousandth of the first singular value
    left = np.linalg.norm(rows - rows @ W @ W.T, 2)
    assert left <= 1.1 * spectral.RANK_TOLERANCE * np.linalg.norm(rows, 2) + 1e-4 * result.singular_values[0]
    assert (np.diff(result.singular_values) <= 1e-4).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.125, 2.0, 64.0]))
def test_heavier_weights_change_the_values_only(seed, factor):
    X = documents(np.random.default_rng(seed), 20, 12, share=0.5)
    first, second = fit_lsi(X, 3, 0), fit_lsi(X * np.float32(factor), 3, 0)
    np.testing.assert_allclose(second.components, first.components, atol=1e-4)
    np.testing.assert_allclose(second.singular_values, factor * first.singular_values, rtol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), centred=st.booleans())
def test_the_order_of_the_documents_does_not_matter(seed, centred):
    rng = np.random.default_rng(seed)
    X = documents(rng, 25, 12, share=0.5)
    first, second = (fit_lsi(rows, 3, 0, centred=centred) for rows in (X, X[rng.permutation(25)]))
    np.testing.assert_allclose(second.singular_values, first.singular_values, rtol=1e-4)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", [(90, 60), (60, 90)])
def test_the_large_solver_agrees_with_the_small_one(monkeypatch, rng, shape, centred):
    X = documents(rng, *shape, share=0.3)
    whole = fit_lsi(X, 1, 0, centred=centred)
    monkeypatch.setattr(spectral, "SMALL", 10)
    iterated = fit_lsi(X, 1, 0, centred=centred)
    np.testing.assert_allclose(iterated.singular_values, whole.singular_values, rtol=1e-4)
    np.testing.assert_allclose(np.abs((iterated.components * whole.components).sum()), 1, atol=1e-2)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), size=st.integers(30, 60), dims=st.integers(1, 5))
def test_top_eigenvectors_are_orthonormal_and_fall(seed, size, dims):
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    matrix = matrix + matrix.T
    values, vectors = top_eigenvectors(lambda v: matrix @ v, size, dims, 0, np.float64)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1][:dims], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(dims), atol=1e-6)


def test_importing_it_does_not_load_the_eigensolvers():
    program = (
        "import sys, nphash.hashers.itq\n"
        "print([name for name in sys.modules if name in ('scipy.linalg', 'scipy.sparse.linalg', 'numba')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- eigenmap ---------------------------------------------------


def ring(n, shift=0):
    """A cycle of n documents; its Laplacian's eigenvectors are sines."""
    rows = np.arange(n)
    W = scipy.sparse.csr_matrix((np.ones(n), (rows, (rows + 1) % n)), shape=(n, n))
    return (W + W.T).tocsr()


def random_graph(rng, n, degree=6):
    rows = np.repeat(np.arange(n), degree)
    W = scipy.sparse.csr_matrix(
        (rng.random(n * degree), (rows, rng.integers(0, n, n * degree))), shape=(n, n)
    )
    return (W + W.T).tocsr()


def residual(graph, coordinates):
    """How far scaled=False coordinates are from (D - W) y = mu D y, relative."""
    D = scipy.sparse.diags_array(np.asarray(graph.sum(axis=1)).ravel())
    y = coordinates.astype(np.float64)
    mu = ((D - graph) @ y * y).sum(axis=0) / (D @ y * y).sum(axis=0)
    return np.abs((D - graph) @ y - mu * (D @ y)).max() / np.abs(y).max(), mu


@pytest.mark.parametrize("n", [30, 700])
def test_solves_the_generalised_eigenproblem(rng, n):
    graph = random_graph(rng, n)
    y = laplacian_eigenmap(graph, 5, 0, scaled=False)
    error, mu = residual(graph, y)
    assert error < 1e-2 * graph.sum() / n
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    N = graph.toarray() / np.sqrt(degrees[:, None] * degrees)
    np.testing.assert_allclose(mu, 1 - np.linalg.eigvalsh(N)[::-1][1:6], atol=1e-4)
    np.testing.assert_allclose(y.T @ (degrees[:, None] * y), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(degrees @ y, 0, atol=1e-2)  # orthogonal to the constant solution


def test_scaled_by_eigenvalues(rng):
    graph = random_graph(rng, 50)
    plain, scaled = (laplacian_eigenmap(graph, 3, 0, scaled=flag) for flag in (False, True))
    _, mu = residual(graph, plain)
    np.testing.assert_allclose(scaled, plain * (1 - mu), rtol=1e-4, atol=1e-6)


def test_a_ring_becomes_a_circle():
    radius = np.linalg.norm(laplacian_eigenmap(ring(60), 2, 0), axis=1)
    np.testing.assert_allclose(radius, radius[0], rtol=1e-4)


@pytest.mark.parametrize("sizes", [(40, 30, 20), (500, 400, 300)])
def test_pieces_are_told_apart(sizes):
    graph = scipy.sparse.block_diag([ring(size) for size in sizes]).tocsr()
    y = laplacian_eigenmap(graph, 4, 0)
    piece = np.repeat(range(3), sizes)
    for i in range(3):  # the first two coordinates are constant on each piece ...
        assert np.ptp(y[piece == i, :2], axis=0).max() < 1e-6
    centres = np.array([y[piece == i, :2][0] for i in range(3)])
    gaps = [np.linalg.norm(centres[i] - centres[j]) for i in range(3) for j in range(i)]
    assert min(gaps) > 0.01  # ... and differ between them
    assert np.ptp(y[:, 2:], axis=0).min() > 0


def test_more_pieces_than_dimensions():
    graph = scipy.sparse.block_diag([ring(5)] * 30).tocsr()
    y = laplacian_eigenmap(graph, 4, 0)
    assert len(np.unique(y.round(6), axis=0)) == 30


def test_small_pieces_and_lone_documents_are_at_the_origin():
    graph = scipy.sparse.block_diag([ring(100), ring(3), scipy.sparse.csr_matrix((2, 2))]).tocsr()
    y = laplacian_eigenmap(graph, 3, 0)
    assert (y[:100] != 0).any(axis=1).all()
    assert (y[100:] == 0).all()


@pytest.mark.parametrize("n", [50, 600])
def test_same_seed_same_bytes_of_eigenmaps(rng, n):
    graph = random_graph(rng, n)
    assert laplacian_eigenmap(graph, 4, 1).tobytes() == laplacian_eigenmap(graph, 4, 1).tobytes()


def test_too_few_documents():
    with pytest.raises(InputError, match="8 dimensions need 9"):
        laplacian_eigenmap(ring(8), 8, 0)
    assert laplacian_eigenmap(ring(9), 8, 0).shape == (9, 8)


def test_no_edges():
    with pytest.raises(InputError, match="no document has a neighbour"):
        laplacian_eigenmap(scipy.sparse.csr_matrix((5, 5)), 2, 0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(3, 20), k=st.integers(1, 6), weighted=st.booleans())
def test_the_graph_is_symmetric_and_has_every_edge(seed, n, k, weighted):
    rows = np.random.default_rng(seed).integers(0, 3, (n, 4)).astype(np.float32)  # many equal similarities
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


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(12, 40), dims=st.integers(1, 4))
def test_coordinates_are_orthonormal_in_the_degrees(seed, n, dims):
    """The graph holds a ring, so it is in one piece."""
    graph = (random_graph(np.random.default_rng(seed), n, 3) + ring(n)).tocsr()
    y = laplacian_eigenmap(graph, dims, 0, scaled=False).astype(np.float64)
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    np.testing.assert_allclose(y.T @ (degrees[:, None] * y), np.eye(dims), atol=1e-4)
    np.testing.assert_allclose(degrees @ y, 0, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(12, 40))
def test_the_order_of_the_documents_does_not_matter_for_eigenmaps(seed, n):
    rng = np.random.default_rng(seed)
    graph, order = (random_graph(rng, n, 3) + ring(n)).tocsr(), rng.permutation(n)
    y, moved = laplacian_eigenmap(graph, 3, 0), laplacian_eigenmap(graph[order][:, order], 3, 0)
    # of eigenvectors whose values are close any rotation will do: distances in all of them stay
    np.testing.assert_allclose(np.abs((moved * y[order]).sum(axis=0)), (y**2).sum(axis=0), rtol=0.05)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.25, 2.0, 16.0]))
def test_heavier_edges_shrink_all_coordinates_alike(seed, factor):
    """N stays and D grows, so that D^-1/2 u falls with the root of the factor."""
    graph = (random_graph(np.random.default_rng(seed), 30, 3) + ring(30)).tocsr()
    y, other = laplacian_eigenmap(graph, 2, 0), laplacian_eigenmap(graph * factor, 2, 0)
    np.testing.assert_allclose(other * np.sqrt(factor), y, atol=1e-5)


def test_the_large_solver_agrees_with_the_small_one_on_graphs(monkeypatch, rng):
    graph = (random_graph(rng, 120, 4) + ring(120)).tocsr()
    whole = laplacian_eigenmap(graph, 2, 0)
    monkeypatch.setattr(spectral, "SMALL", 50)
    np.testing.assert_allclose(laplacian_eigenmap(graph, 2, 0), whole, atol=2e-3)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(2, 20), k=st.integers(1, 5))
def test_edges_weigh_between_nothing_and_the_similarity(seed, n, k):
    rng, k = np.random.default_rng(seed), min(k, n - 1)
    indices = np.array([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)])
    similarities = rng.uniform(-0.5, 1, (n, k))
    strongest = knn_graph(indices, similarities)
    mean = knn_graph(indices, similarities, symmetry="mean")
    assert strongest.dtype == mean.dtype == np.float32
    assert (strongest.data > 0).all() and strongest.data.max(initial=0) <= 1
    assert strongest.nnz == mean.nnz and not strongest.diagonal().any()
    assert ((strongest - mean).toarray() >= -1e-6).all()
    ones = knn_graph(indices, similarities, weighted=False)
    assert set(np.unique(ones.data)) <= {1.0} and ones.nnz == strongest.nnz
