"""Neighbours and teacher of the package's own method."""

import numpy as np
import pytest
import small

from nphash.hashers import alike as module
from nphash.hashers.alike import FEWEST_DOCUMENTS, alike_by_codes, find_alike
from nphash.hashers.lsi import fit_lsi, project
from nphash.hashers.settings import Similarity

X, y = small.documents(n=200, words=40, topics=4)
UNIT = small.unit_rows(X).astype(np.float32)
U = project(UNIT, fit_lsi(UNIT, 12, seed=0).components)


def test_neighbours_share_topics_and_are_others():
    alike = find_alike(UNIT, U, Similarity(), seed=0)
    assert alike.neighbours.shape == (200, 5)
    assert (y[alike.neighbours] == y[:, None]).mean() > 0.9
    assert not (alike.neighbours == np.arange(200)[:, None]).any()


def test_teacher_rows_have_length_one_and_tell_topics_apart():
    alike = find_alike(UNIT, U, Similarity(teacher_lsi=4, eigenmap=6), seed=0)
    assert alike.teacher.shape == (200, 10)
    np.testing.assert_allclose(np.linalg.norm(alike.teacher, axis=1), 1, rtol=1e-5)
    cosine = alike.teacher @ alike.teacher.T
    same = y[:, None] == y
    assert cosine[same].mean() > cosine[~same].mean() + 0.3


def test_the_same_for_any_number_of_threads():
    one, many = (find_alike(UNIT, U, Similarity(), seed=0, threads=threads) for threads in (1, 8))
    np.testing.assert_array_equal(one.neighbours, many.neighbours)
    np.testing.assert_array_equal(one.teacher, many.teacher)


@pytest.mark.parametrize("n", [1, 2, FEWEST_DOCUMENTS - 1])
def test_few_documents_are_their_own_neighbours(n):
    alike = find_alike(UNIT[:n], U[:n], Similarity(), seed=0)
    np.testing.assert_array_equal(alike.neighbours, np.arange(n)[:, None])


def test_by_a_model_neighbours_and_teacher_follow_its_values_and_lsi():
    a = np.eye(4, dtype=np.float32)[y] * 3 + np.random.default_rng(0).normal(0, 0.1, (200, 4)).astype("f4")
    alike = alike_by_codes(UNIT, U, a, Similarity(teacher_lsi=5), seed=0)
    assert (y[alike.neighbours] == y[:, None]).all()
    own, lsi = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, U[:, :5]))
    expected = (0.49 * lsi @ lsi.T + own @ own.T) / 1.49
    np.testing.assert_allclose(alike.teacher @ alike.teacher.T, expected, atol=1e-5)


def test_very_many_documents_are_compared_approximately(monkeypatch):
    exact = find_alike(UNIT, U, Similarity(), seed=0)
    monkeypatch.setattr(module, "MOST_EXACT", 100)
    rough = find_alike(UNIT, U, Similarity(), seed=0)
    assert (y[rough.neighbours] == y[:, None]).mean() > 0.85
    assert rough.teacher.shape == exact.teacher.shape
