"""The decoder of the compiled engine against the equations in float64."""

import numpy as np
import pytest
import scipy.sparse

from helpers.decoding import PRECISION, close, decoder, targets
from nphash.engine.compiled import CompiledEngine
from nphash.engine.select import Engine
from nphash.errors import InputError
from nphash.nn.losses import reconstruct

pytestmark = pytest.mark.usefixtures("one_blas_thread")


def reconstruct_both(z, W, b, target, threads=2, dloss=1.0):
    """Loss and gradients by the kernels, and by the equations in float64 from the same numbers."""
    loss, back = CompiledEngine(threads).reconstruct(z, W, b, target)
    exact, exact_back = reconstruct(*(a.astype(np.float64) for a in (z, W, b)), target.astype(np.float64))
    return (loss, *back(dloss)), (exact, *exact_back(dloss))


@pytest.mark.parametrize("scale", [1, 0.9], ids=["signs", "numbers"])
@pytest.mark.parametrize("kind", ["usual", "empty documents", "one word", "a word in every document"])
@pytest.mark.parametrize(
    ("rows", "bits", "words"),
    [(100, 16, 2000), (37, 64, 1111), (1, 8, 300), (2, 5, 513), (300, 128, 700), (1, 1, 9000)],
)
def test_reconstruct(rng, kind, rows, bits, words, scale):
    z, W, b = decoder(rng, rows, bits, words)
    got, exact = reconstruct_both(np.float32(scale) * z, W, b, targets(kind, rows, words, rng))
    assert got[0] == pytest.approx(exact[0], rel=1e-6, abs=1e-6)
    for gradient, wanted in zip(got[1:], exact[1:], strict=True):
        assert gradient.shape == wanted.shape
        longer = bits == 128 or (bits == 64 and scale != 1)  # more rounding
        close(gradient, wanted, 2e-6 if longer else PRECISION)


def test_it_says_whether_sums_were_looked_up(rng):
    engine, (z, W, b) = CompiledEngine(), decoder(rng, 3, 8, 40)
    target = targets("usual", 3, 40, rng)
    for scale, looked_up in ((1, True), (0.5, False), (1, True)):
        engine.reconstruct(np.float32(scale) * z, W, b, target)
        assert engine.looks_up == looked_up
    assert not Engine().looks_up


def test_a_vocabulary_of_one_word_has_nothing_to_learn(rng):
    loss, back = CompiledEngine().reconstruct(*decoder(rng, 3, 2, 1), targets("one word", 3, 1, rng))
    assert loss == pytest.approx(0, abs=1e-6)
    for gradient in back():
        assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize("offset", [0.0, 200.0, -200.0])
def test_scores_of_200_neither_overflow_nor_lose_precision(rng, offset):
    z, W, b = decoder(rng, 20, 8, 700)
    b = np.where(rng.random(700) < 0.5, offset + 200, offset - 200).astype(np.float32)
    got, exact = reconstruct_both(z, W, b, targets("usual", 20, 700, rng))
    assert got[0] == pytest.approx(exact[0], rel=1e-6)
    for gradient, wanted in zip(got[1:], exact[1:], strict=True):
        close(gradient, wanted, 5e-6)  # scores of 400 have an error of 1e-5 in float32


@pytest.mark.parametrize("scale", [1, 0.9], ids=["signs", "numbers"])
def test_the_largest_score_in_any_tile(rng, scale):
    z, W, b = decoder(rng, 5, 16, 2000)
    z *= np.float32(scale)
    for word in (0, 600, 1999):
        raised = b.copy()
        raised[word] += 90
        got, exact = reconstruct_both(z, W, raised, targets("usual", 5, 2000, rng))
        assert got[0] == pytest.approx(exact[0], rel=1e-6)
        for gradient, wanted in zip(got[1:], exact[1:], strict=True):
            close(gradient, wanted, 2e-6)


def test_other_arrays_than_the_kernels_take_are_refused(rng):
    z, W, b = decoder(rng, 2, 8, 40)
    target = targets("usual", 2, 40, rng)
    with pytest.raises(InputError, match="float32, float64, W in C order"):
        CompiledEngine().reconstruct(z, W.astype(np.float64), b, target)
    with pytest.raises(InputError, match="W not in C order"):
        CompiledEngine().reconstruct(z, np.asfortranarray(W), b, target)
    spread = np.repeat(b, 2)[::2]
    assert (
        CompiledEngine().reconstruct(z, W, spread, target)[0]
        == CompiledEngine().reconstruct(z, W, b, target)[0]
    )


@pytest.mark.parametrize(
    ("z", "W", "b", "target"),
    [
        ((2, 7), (8, 40), 40, (2, 40)),
        ((2, 8), (8, 39), 40, (2, 40)),
        ((2, 8), (8, 40), 41, (2, 40)),
        ((2, 8), (8, 40), 40, (2, 39)),
        ((2, 8), (8, 40), 40, (1, 40)),
        ((2, 8), (8, 40), 40, (3, 40)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(z, W, b, target):
    arrays = (np.ones(shape, np.float32) for shape in (z, W, b))
    with pytest.raises(InputError, match=r"the target \(\d+, \d+\): they are"):
        CompiledEngine().reconstruct(*arrays, scipy.sparse.csr_array(target, dtype=np.float32))


def test_the_order_of_one_batch_is_not_taken_for_that_of_another(rng):
    z, W, b = decoder(rng, 3, 8, 40)
    one = targets("usual", 3, 40, rng)
    indptr = one.indptr.copy()
    indptr[1] = 0  # the first document's words are the second one's
    other = scipy.sparse.csr_matrix((one.data, one.indices, indptr), shape=one.shape)
    engine = CompiledEngine()
    engine.reconstruct(z, W, b, one)
    assert engine.reconstruct(z, W, b, other)[0] == CompiledEngine().reconstruct(z, W, b, other)[0]


def test_nan_weights_give_a_nan_loss(rng):
    z, W, b = decoder(rng, 4, 8, 600)
    W[3, 500] = np.nan
    loss, _ = CompiledEngine().reconstruct(z, W, b, targets("one word", 4, 600, rng))
    assert np.isnan(loss)


def test_the_way_back_may_be_taken_again(rng):
    _, back = CompiledEngine().reconstruct(*decoder(rng, 6, 8, 200), targets("usual", 6, 200, rng))
    first, second, half = back(), back(), back(0.5)
    for a, b, c in zip(first, second, half, strict=True):
        assert np.array_equal(a, b)
        np.testing.assert_allclose(0.5 * a, c, rtol=1e-6, atol=1e-9)


def test_repeated_entries_of_the_target_add_up(rng):
    z, W, b = decoder(rng, 2, 4, 30)
    twice = scipy.sparse.csr_matrix(
        (np.ones(3, np.float32), np.array([5, 5, 7]), np.array([0, 2, 3])), shape=(2, 30)
    )
    got, exact = reconstruct_both(z, W, b, twice)
    for gradient, wanted in zip(got, exact, strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=1e-6)
