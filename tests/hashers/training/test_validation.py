"""Which documents choose the best epoch, and by what figure."""

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash.codes import pack
from nphash.hashers.training import validation
from nphash.hashers.training.validation import held_out_rows, precision_validator, subset
from nphash.metrics import precision_at_k


def test_below_100_documents_none_are_held_out():
    assert not held_out_rows(99, 0.5).any()
    assert held_out_rows(100, 0.5).any()
    assert not held_out_rows(1000, 0).any()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_about_the_share_asked_for_is_held_out(share):
    assert abs(held_out_rows(20_000, share).mean() - share) < 0.01


def test_a_rows_fate_depends_on_its_number_only():
    assert held_out_rows(1000, 0.1).sum() == 106  # the same in every version
    few, many = held_out_rows(500, 0.1), held_out_rows(2000, 0.1)
    assert np.array_equal(few, many[:500])
    assert (many <= held_out_rows(2000, 0.3)).all()


def test_a_subset_is_evenly_spaced_and_keeps_rows_together():
    X, y = np.arange(100)[:, None], np.arange(100)
    same_X, same_y = subset(X, y, 100)
    assert same_X is X and same_y is y
    some_X, some_y = subset(X, y, 10)
    assert some_X[:, 0].tolist() == some_y.tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


def test_the_figure_is_precision_of_queries_against_the_documents():
    X, y = small.documents(150, 40)
    X_valid, y_valid = small.documents(20, 40, seed=1)

    def encode(threshold, X):
        return pack(X.toarray()[:, :16] > threshold)

    name, value = precision_validator(encode, X, y, X_valid, y_valid, 16)(0.5)
    expected = precision_at_k(encode(0.5, X_valid), y_valid, encode(0.5, X), y, 16, k=100)
    assert (name, value) == ("P@100", expected)
    name, _ = precision_validator(encode, X[:30], y[:30], X_valid, y_valid, 16)(0.5)
    assert name == "P@30"


def test_large_sets_are_thinned_out(monkeypatch):
    monkeypatch.setattr(validation, "MOST_QUERIES", 5)
    monkeypatch.setattr(validation, "MOST_DATABASE", 50)
    X, y = small.documents(150, 40)
    indicator = scipy.sparse.csr_matrix(np.eye(3, dtype=bool)[y])
    seen = []

    def encode(params, X):
        seen.append(X.shape[0])
        return pack(X.toarray()[:, :8] > 0)

    precision_validator(encode, X, indicator, X, indicator, 8)(None)
    assert sorted(seen) == [5, 50]
