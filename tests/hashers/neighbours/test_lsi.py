import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.hashers.neighbours import lsi


def documents(rng, n, n_words, dtype=np.float32, share=0.1):
    dense = rng.random((n, n_words)) * (rng.random((n, n_words)) < share)
    return scipy.sparse.csr_matrix(dense.astype(dtype))


@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (600, 420), (420, 600)])
@pytest.mark.parametrize("centred", [False, True])
def test_agrees_with_the_dense_decomposition(rng, shape, centred):
    X = documents(rng, *shape)
    result = lsi.fit_lsi(X, 5, 0, centred=centred)
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
    components = lsi.fit_lsi(documents(rng, 600, 500), 20, 3).components
    np.testing.assert_allclose(components.T @ components, np.eye(20), atol=2e-5)
    assert (components[np.abs(components).argmax(axis=0), np.arange(20)] > 0).all()


@pytest.mark.parametrize("shape", [(80, 50), (600, 450)])
def test_same_seed_same_bytes(rng, shape):
    X = documents(rng, *shape)
    first, second = lsi.fit_lsi(X, 8, 1), lsi.fit_lsi(X, 8, 1)
    assert first.components.tobytes() == second.components.tobytes()
    assert first.singular_values.tobytes() == second.singular_values.tobytes()


def test_other_seed_same_subspace(rng):
    X = documents(rng, 600, 450)
    first, second = lsi.fit_lsi(X, 3, 1), lsi.fit_lsi(X, 3, 2)
    np.testing.assert_allclose(first.singular_values, second.singular_values, rtol=1e-4)


@pytest.mark.parametrize("shape", [(20, 30), (700, 600)])
def test_a_smaller_rank_gives_fewer_dimensions(rng, shape):
    left, right = rng.random((shape[0], 3)), rng.random((3, shape[1]))
    X = scipy.sparse.csr_matrix((left @ right).astype(np.float32))
    result = lsi.fit_lsi(X, 10, 0)
    assert result.components.shape == (shape[1], 3)
    approximation = X @ result.components @ result.components.T
    np.testing.assert_allclose(approximation, X.toarray(), rtol=1e-3, atol=1e-3)


def test_never_more_dimensions_than_documents_or_words(rng):
    assert lsi.fit_lsi(documents(rng, 12, 40, share=0.9), 100, 0).components.shape == (40, 12)
    assert lsi.fit_lsi(documents(rng, 40, 12, share=0.9), 100, 0).components.shape == (12, 12)


def test_constant_words_do_not_matter_when_centred(rng):
    X = documents(rng, 50, 20)
    constant = scipy.sparse.csr_matrix(np.full((50, 1), 3.0, np.float32))
    result = lsi.fit_lsi(scipy.sparse.hstack([constant, X]).tocsr(), 4, 0, centred=True)
    np.testing.assert_allclose(result.components[0], 0, atol=1e-5)
    np.testing.assert_allclose(
        result.singular_values, lsi.fit_lsi(X, 4, 0, centred=True).singular_values, rtol=1e-4
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
        lsi.fit_lsi(scipy.sparse.csr_matrix(X.astype(np.float32)), 2, 0, centred=centred)


def test_dims_below_one(rng):
    with pytest.raises(InputError, match="dims is 0"):
        lsi.fit_lsi(documents(rng, 5, 4), 0, 0)


def test_column_mean(rng):
    X = documents(rng, 30, 20)
    mean = lsi.fit_lsi(X, 1, 0, centred=True).mean
    np.testing.assert_allclose(mean, X.toarray().mean(axis=0), rtol=1e-6)


def test_top_eigenvectors_of_a_known_operator(rng):
    basis = np.linalg.qr(rng.standard_normal((500, 500)))[0]
    values = np.linspace(1, 0, 500)
    matrix = (basis * values) @ basis.T
    found, vectors = lsi.top_eigenvectors(lambda v: matrix @ v, 500, 6, 0, np.float64)
    np.testing.assert_allclose(found, values[:6], rtol=1e-6)
    np.testing.assert_allclose(matrix @ vectors, vectors * found, atol=1e-3)


def test_top_eigenvectors_of_a_matrix_of_one_value():
    values, vectors = lsi.top_eigenvectors(lambda v: 2 * v, 500, 3, 0, np.float64)
    np.testing.assert_allclose(values, 2)
    np.testing.assert_allclose(2 * vectors, vectors * values)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), n=st.integers(1, 30), d=st.integers(1, 6))
def test_fixed_signs(seed, n, d):
    rows = np.random.default_rng(seed).standard_normal((n, d))
    rows[::3] = 0
    fixed = lsi.fix_signs(rows)
    np.testing.assert_array_equal(np.abs(fixed), np.abs(rows))
    np.testing.assert_array_equal(lsi.fix_signs(-rows), fixed)


def test_signs_do_not_hang_on_rounding():
    vectors = np.array([[-1.0], [1.0 + 1e-9]])
    assert lsi.fix_signs(vectors)[0, 0] == 1


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(3, 25), words=st.integers(3, 25), centred=st.booleans())
def test_all_dimensions_give_the_documents_back(seed, n, words, centred):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.csr_matrix(rng.integers(0, 4, (n, words)) + np.eye(n, words))
    result = lsi.fit_lsi(X, 25, 0, centred=centred)
    W, rows = result.components, X.toarray() - result.mean
    np.testing.assert_allclose(W.T @ W, np.eye(W.shape[1]), atol=1e-4)
    # what is beyond the tolerated rank is a thousandth of the first singular value
    left = np.linalg.norm(rows - rows @ W @ W.T, 2)
    assert left <= 1.1 * lsi.RANK_TOLERANCE * np.linalg.norm(rows, 2) + 1e-4 * result.singular_values[0]
    assert (np.diff(result.singular_values) <= 1e-4).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.125, 2.0, 64.0]))
def test_heavier_weights_change_the_values_only(seed, factor):
    X = documents(np.random.default_rng(seed), 20, 12, share=0.5)
    first, second = lsi.fit_lsi(X, 3, 0), lsi.fit_lsi(X * np.float32(factor), 3, 0)
    np.testing.assert_allclose(second.components, first.components, atol=1e-4)
    np.testing.assert_allclose(second.singular_values, factor * first.singular_values, rtol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), centred=st.booleans())
def test_the_order_of_the_documents_does_not_matter(seed, centred):
    rng = np.random.default_rng(seed)
    X = documents(rng, 25, 12, share=0.5)
    first, second = (lsi.fit_lsi(rows, 3, 0, centred=centred) for rows in (X, X[rng.permutation(25)]))
    np.testing.assert_allclose(second.singular_values, first.singular_values, rtol=1e-4)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", [(90, 60), (60, 90)])
def test_the_large_solver_agrees_with_the_small_one(monkeypatch, rng, shape, centred):
    X = documents(rng, *shape, share=0.3)
    whole = lsi.fit_lsi(X, 1, 0, centred=centred)
    monkeypatch.setattr(lsi, "SMALL", 10)
    iterated = lsi.fit_lsi(X, 1, 0, centred=centred)
    np.testing.assert_allclose(iterated.singular_values, whole.singular_values, rtol=1e-4)
    np.testing.assert_allclose(np.abs((iterated.components * whole.components).sum()), 1, atol=1e-2)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), size=st.integers(30, 60), dims=st.integers(1, 5))
def test_top_eigenvectors_are_orthonormal_and_fall(seed, size, dims):
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    matrix = matrix + matrix.T
    values, vectors = lsi.top_eigenvectors(lambda v: matrix @ v, size, dims, 0, np.float64)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1][:dims], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(dims), atol=1e-6)


def test_importing_it_does_not_load_the_eigensolvers():
    program = (
        "import sys, nphash.hashers.itq\n"
        "print([name for name in sys.modules if name in ('scipy.linalg', 'scipy.sparse.linalg', 'numba')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
