import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.hashers.neighbours import eigenmap
from nphash.hashers.neighbours.eigenmap import knn_graph, laplacian_eigenmap
from nphash.hashers.neighbours.nearest import top_cosine


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
def test_same_seed_same_bytes(rng, n):
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
def test_the_order_of_the_documents_does_not_matter(seed, n):
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


def test_the_large_solver_agrees_with_the_small_one(monkeypatch, rng):
    graph = (random_graph(rng, 120, 4) + ring(120)).tocsr()
    whole = laplacian_eigenmap(graph, 2, 0)
    monkeypatch.setattr(eigenmap, "SMALL", 50)
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
