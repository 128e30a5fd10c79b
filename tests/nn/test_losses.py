import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special

import nphash
from nphash.errors import InputError
from nphash.gradcheck import assert_gradients
from nphash.nn import losses

FEW = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)


def documents(rng, b, v):
    return sparse.csr_array(rng.random((b, v)) * (rng.random((b, v)) < 0.5))


@FEW
@given(seeds, st.integers(1, 5), st.integers(1, 8))
def test_reconstruction_is_the_word_likelihood(seed, b, v):
    rng = np.random.default_rng(seed)
    scores, target = rng.normal(size=(b, v)), documents(rng, b, v)
    expected = -(target.toarray() * special.log_softmax(scores, axis=1)).sum() / b
    assert losses.reconstruction(scores, target)[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@FEW
@given(seeds, st.floats(-500, 500))
def test_reconstruction_ignores_a_common_shift_of_the_scores(seed, shift):
    rng = np.random.default_rng(seed)
    scores, target = rng.normal(size=(3, 6)), documents(rng, 3, 6)
    (loss, back), (moved, moved_back) = (losses.reconstruction(s, target) for s in (scores, scores + shift))
    assert moved == pytest.approx(loss, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(moved_back(), back(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(back().sum(axis=1), 0, atol=1e-12)


def test_reconstruction_survives_huge_scores():
    target = sparse.csr_array([[1.0, 0.0]])
    loss, back = losses.reconstruction(np.array([[-1e4, 1e4]], dtype=np.float32), target)
    assert loss == 2e4
    assert back().tolist() == [[-1.0, 1.0]]


def test_a_document_without_words_costs_nothing():
    loss, back = losses.reconstruction(np.ones((2, 3)), sparse.csr_array((2, 3)))
    assert loss == 0
    assert not back().any()


def test_repeated_target_entries_count_together(rng):
    scores = rng.normal(size=(1, 3))
    repeated = sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    once = sparse.csr_array([[0.0, 3.0, 0.0]])
    (loss, back), (expected, expected_back) = (losses.reconstruction(scores, t) for t in (repeated, once))
    assert loss == pytest.approx(expected)
    np.testing.assert_allclose(back(), expected_back())
    assert repeated.nnz == 2  # the caller's matrix is left alone


@pytest.mark.parametrize("make", [sparse.csc_matrix, sparse.csc_array, sparse.coo_array, np.asarray])
def test_a_target_in_another_format_is_refused(make, rng):
    # The arrays of a square CSC matrix would be read as its transpose.
    with pytest.raises(InputError, match=r"target is a .*csr_array\(target\)"):
        losses.reconstruction(rng.normal(size=(3, 3)), make(np.eye(3)))


def test_a_target_of_another_shape_is_refused(rng):
    for shape in ((2, 4), (3, 3), (1, 4)):
        with pytest.raises(InputError, match=r"shape of target is .* need \(3, 4\)"):
            losses.reconstruction(rng.normal(size=(3, 4)), sparse.csr_array(shape))


def test_loss_is_added_up_in_float64(rng):
    scores = np.zeros((4000, 2), dtype=np.float32)
    target = sparse.csr_array(np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (4000, 1)))
    assert losses.reconstruction(scores, target)[0] == pytest.approx(np.log(2), rel=1e-12)


def test_target_may_be_of_another_dtype(rng):
    scores = rng.normal(size=(2, 3)).astype(np.float32)
    counts = sparse.csr_array(np.array([[1, 0, 2], [0, 1, 0]]))
    assert losses.reconstruction(scores, counts)[1]().dtype == np.float32


def test_the_bound_is_minus_the_loss_without_weight():
    assert losses.lower_bound(3.0, 0.5)[0] == -losses.bound_loss(3.0, 0.5)[0]
    assert losses.bound_loss(3.0, 0.5, 0.0)[0] == 3.0


def test_the_bound_holds(rng):
    """The bound lies below log p(x), here the sum over all codes, and meets it at the posterior."""
    W, target = rng.normal(size=(2, 5)), documents(rng, 1, 5)
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    log_joint = np.array([-losses.reconstruction(c[None] @ W, target)[0] for c in codes]) - 2 * np.log(2)
    log_p = special.logsumexp(log_joint)
    for logits in rng.normal(size=(20, 1, 2)):
        p = special.expit(logits[0])
        q = np.prod(np.where(codes == 1, p, 1 - p), axis=1)
        expected_loss = -(q * (log_joint + 2 * np.log(2))).sum()
        assert losses.lower_bound(expected_loss, losses.bernoulli_kl(logits)[0])[0] <= log_p
    posterior = np.exp(log_joint - log_p)
    kl = (posterior * np.log(posterior * 4)).sum()
    reconstruction = -(posterior * (log_joint + 2 * np.log(2))).sum()
    assert losses.lower_bound(reconstruction, kl)[0] == pytest.approx(log_p)


@FEW
@given(seeds)
def test_label_losses(seed):
    rng = np.random.default_rng(seed)
    scores, y = rng.normal(size=(4, 3)), rng.integers(0, 3, 4)
    hot = np.eye(3)[y]
    expected = -(hot * special.log_softmax(scores, axis=1)).sum() / 4
    assert losses.cross_entropy(scores, y)[0] == pytest.approx(expected)
    p = special.expit(scores)
    expected = -(hot * np.log(p) + (1 - hot) * np.log(1 - p)).sum() / 4
    assert losses.logistic_loss(scores, hot)[0] == pytest.approx(expected)
    assert losses.logistic_loss(scores, hot.astype(bool))[0] == pytest.approx(expected)


def test_label_losses_of_certain_scores_stay_finite():
    scores = np.array([[1e4, -1e4]])
    assert losses.logistic_loss(scores, np.array([[0, 1]]))[0] == 2e4
    assert losses.cross_entropy(scores, np.array([1]))[0] == 2e4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(4), r"shape of labels is \(4,\), but .* need \(4, 1\)"),
        (np.ones((1, 1)), "shape of labels"),
        (sparse.csr_array(np.ones((4, 1))), r"give labels\.toarray"),
        (np.array([[1], [-1], [1], [-1]]), "between 0 and 1"),
        (np.array([[0], [2], [0], [0]]), "between 0 and 1"),
        (np.full((4, 1), np.nan), "between 0 and 1"),
    ],
)
def test_labels_that_would_give_the_loss_of_something_else_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        losses.logistic_loss(np.zeros((4, 1)), labels)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.zeros((3, 1), int), r"shape of classes is \(3, 1\), but .* need \(3,\)"),
        (np.array([0, 1]), "shape of classes"),
        (np.array([0, -1, 1]), "integers from 0 to 1"),
        (np.array([0, 2, 1]), "integers from 0 to 1"),
        (np.array([0.0, 1.0, 1.0]), "integers from 0 to 1"),
        (np.array([False, True, True]), "integers from 0 to 1"),
    ],
)
def test_classes_that_would_give_the_loss_of_something_else_are_refused(classes, message):
    with pytest.raises(InputError, match=message):
        losses.cross_entropy(np.zeros((3, 2)), classes)


def test_label_losses_take_lists():
    assert losses.cross_entropy(np.zeros((1, 2)), [1])[0] == pytest.approx(np.log(2))
    assert losses.logistic_loss(np.zeros((1, 2)), [[1, 0]])[0] == pytest.approx(2 * np.log(2))


def test_weight_decay():
    loss, back = losses.l2_penalty(np.array([[3.0, 4.0]], dtype=np.float32), 0.5)
    assert loss == 6.25
    assert back().tolist() == [[1.5, 2.0]]


def test_every_loss_is_a_python_float(rng):
    logits = rng.normal(size=(2, 3)).astype(np.float32)
    found = [
        losses.reconstruction(logits, documents(rng, 2, 3)),
        losses.categorical_kl(logits[..., None]),
        losses.pooled_categorical_kl(logits[..., None]),
        losses.bernoulli_kl(logits),
        losses.gaussian_kl(logits, logits),
        losses.logistic_loss(logits, np.ones((2, 3))),
        losses.cross_entropy(logits, np.array([0, 1])),
        losses.l2_penalty(logits, 0.1),
    ]
    assert {type(loss) for loss, _ in found} == {float}


def test_each_equation_of_the_paper_stands_in_one_docstring():
    import ast

    found = []
    for path in Path(inspect.getfile(nphash)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                found += re.findall(r"^Eq\. \((\d+)\)(?!,)", ast.get_docstring(node) or "", re.MULTILINE)
    assert sorted(map(int, found)) == list(range(1, 11))


# --- divergences


@FEW
@given(seeds, st.integers(2, 5))
def test_categorical_divergence_is_that_of_scipy(seed, k):
    rng = np.random.default_rng(seed)
    logits, prior = rng.normal(size=(3, 4, k)), rng.dirichlet(np.full(k, 5.0))
    q = special.softmax(logits, axis=-1)
    assert losses.categorical_kl(logits, prior)[0] == pytest.approx(special.rel_entr(q, prior).sum() / 3)
    assert losses.categorical_kl(logits)[0] == pytest.approx(special.rel_entr(q, np.full(k, 1 / k)).sum() / 3)


@FEW
@given(seeds)
def test_divergences_are_zero_at_the_prior_and_positive_elsewhere(seed):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(3, 5.0))
    at_prior, back = losses.categorical_kl(np.broadcast_to(np.log(prior), (2, 4, 3)), prior)
    assert at_prior == pytest.approx(0, abs=1e-12)
    assert np.abs(back()).max() < 1e-12
    assert losses.categorical_kl(rng.normal(size=(2, 4, 3)), prior)[0] > 0
    assert losses.bernoulli_kl(rng.normal(size=(2, 4)))[0] > 0
    r = rng.uniform(0.1, 0.9)
    assert losses.bernoulli_kl(np.full((2, 4), np.log(r / (1 - r))), r)[0] == pytest.approx(0, abs=1e-12)
    assert losses.gaussian_kl(np.zeros((2, 4)), np.zeros((2, 4)))[0] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_of_certain_bits_is_log_two_each(dtype):
    logits = np.array([[300.0, -300.0, 1e4]], dtype=dtype)
    loss, back = losses.bernoulli_kl(logits)
    assert loss == pytest.approx(3 * np.log(2), rel=1e-6)
    assert np.isfinite(back()).all()


@FEW
@given(seeds)
def test_one_softmax_over_all_bits_is_another_divergence(seed):
    """For bits of equal mass it is the true one divided by L, less log L; it is never below -log L."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(3, 5, 2))
    logits -= special.logsumexp(logits, axis=-1, keepdims=True)  # equal masses
    true, pooled = losses.categorical_kl(logits)[0], losses.pooled_categorical_kl(logits)[0]
    assert pooled == pytest.approx(true / 5 - np.log(5))
    assert losses.pooled_categorical_kl(rng.normal(size=(3, 5, 2)))[0] >= -np.log(5) - 1e-12


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ([0.3, 0.3], "no distribution"),  # its divergence may be negative
        ([1.5, -0.5], "no distribution"),
        ([1.0, 0.0], "no distribution"),
        ([1.0], "no distribution"),  # of one category, it would count for each
        ([np.nan, 0.5], "no distribution"),
        ([0.2, 0.3, 0.5], "does not broadcast"),
        (np.full((5, 1, 1, 2), 0.5), "does not broadcast"),
        ("half", "no distribution"),
    ],
)
def test_a_prior_is_a_distribution_over_the_categories(prior, message):
    with pytest.raises(InputError, match=message):
        losses.categorical_kl(np.zeros((3, 4, 2)), prior)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_priors_of_every_kind_that_broadcasts(dtype):
    logits = np.zeros((3, 4, 2), dtype)
    of_each_bit = np.random.default_rng(0).dirichlet(np.ones(2), 4).astype(dtype)  # (L, K)
    for prior in (0.5, [0.5, 0.5], of_each_bit, np.broadcast_to(of_each_bit, logits.shape)):
        loss, back = losses.categorical_kl(logits, prior)
        assert loss >= 0
        assert back().dtype == dtype


@pytest.mark.parametrize("prior", [1.5, 0.0, 1, -0.1, np.nan, "0.5", None])
def test_the_probability_of_a_one_lies_between_0_and_1(prior):
    with pytest.raises(InputError, match="prior is"):
        losses.bernoulli_kl(np.zeros((1, 2)), prior)


def test_mean_and_variance_have_one_shape():
    with pytest.raises(InputError, match=r"mu has shape \(3, 2\), log_variance \(2,\)"):
        losses.gaussian_kl(np.zeros((3, 2)), np.zeros(2))


# --- distillation


def naive(z, P, temperature):
    n, n_bits = z.shape
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        scores = np.array([z[i] @ z[j] / (n_bits * temperature) for j in others])
        log_q = scores - np.log(np.exp(scores).sum())
        total -= sum(P[i, j] * log for j, log in zip(others, log_q, strict=True))
    return total / n


def teacher(rng, n):
    P = rng.random((n, n)) * (1 - np.eye(n))
    return P / P.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "n_bits"), [(2, 1), (5, 3), (12, 16)])
def test_agrees_with_its_definition(n, n_bits):
    rng = np.random.default_rng(n)
    z, P = rng.choice([-1.0, 1.0], (n, n_bits)), teacher(rng, n)
    loss, _ = losses.similarity_distillation(z, P, 0.3)
    assert loss == pytest.approx(naive(z, P, 0.3))


def test_gradient():
    rng = np.random.default_rng(0)
    P = teacher(rng, 6)
    assert_gradients(lambda z: losses.similarity_distillation(z, P, 0.7), rng.normal(size=(6, 4)))


def test_the_loss_is_least_where_codes_say_what_the_teacher_says():
    z = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    scores = z @ z.T / (2 * 0.5)
    np.fill_diagonal(scores, -np.inf)
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    _, back = losses.similarity_distillation(z, P, 0.5)
    np.testing.assert_allclose(back(), 0, atol=1e-12)


def test_float32_stays_float32():
    rng = np.random.default_rng(1)
    P = teacher(rng, 5).astype(np.float32)
    loss, back = losses.similarity_distillation(rng.normal(size=(5, 4)).astype(np.float32), P, 0.3)
    assert back().dtype == np.float32
    assert np.isfinite(loss)


def test_a_teacher_of_another_shape_and_temperatures_that_cannot_be_are_refused():
    z = np.ones((3, 2), np.float32)
    for P in (np.ones(3), np.ones((3, 1)), np.ones((2, 2))):
        with pytest.raises(InputError, match=r"P has shape .* need \(3, 3\)"):
            losses.similarity_distillation(z, P, 0.3)
    for temperature in (0, -1.0, np.nan, "1"):
        with pytest.raises(InputError, match="temperature is"):
            losses.similarity_distillation(z, np.ones((3, 3), np.float32), temperature)
    assert (
        losses.similarity_distillation(z, np.ones((3, 3), np.float32), np.float64(0.3))[1]().dtype
        == np.float32
    )
