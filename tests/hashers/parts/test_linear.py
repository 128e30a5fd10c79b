import numpy as np
import pytest
import scipy.sparse

from nphash.hashers.parts.linear import BLOCK, LinearHasher, product_in_blocks


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
def test_a_row_does_not_depend_on_the_others(rng, n):
    rows = rng.standard_normal((n, 33)).astype(np.float32)
    W = rng.standard_normal((33, 17)).astype(np.float32)
    together = product_in_blocks(rows, W)
    np.testing.assert_allclose(together, rows @ W, rtol=1e-4, atol=1e-5)
    some = rng.permutation(n)[:5]
    for i in some:
        assert product_in_blocks(rows[i : i + 1], W).tobytes() == together[i].tobytes()


def test_nothing_is_left_over_from_the_block_before(rng):
    rows = np.concatenate([np.full((BLOCK, 3), 9.0), np.ones((1, 3))])
    np.testing.assert_array_equal(product_in_blocks(rows, np.eye(3))[-1], 1)


def test_no_rows():
    assert product_in_blocks(np.ones((0, 3)), np.ones((3, 2))).shape == (0, 2)


def test_bits_are_thresholded_products():
    class Two(LinearHasher):
        n_bits = 2

        def __init__(self):
            pass

        def _fit(self, X, y, **options):
            self.components_ = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
            self.thresholds_ = np.array([1.0, 0.5], np.float32)

    hasher = Two().fit(np.eye(2))
    X = scipy.sparse.csr_matrix([[1.0, 1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(hasher.decision_function(X), [[0, 0.5], [1, -0.5]])
    np.testing.assert_array_equal(hasher.transform(X)[:, 0], [0b01000000, 0b10000000])
