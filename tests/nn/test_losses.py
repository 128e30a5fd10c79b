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
                found += re.findall(r"^Eq\. \((\d+)\)", ast.get_docstring(node) or "", re.MULTILINE)
    assert sorted(map(int, found)) == list(range(1, 11))
