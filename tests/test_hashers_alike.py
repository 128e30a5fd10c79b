"""Neighbours and teacher of the package's own method."""

import numpy as np
import pytest
import small

from nphash.hashers.alike import FEWEST_DOCUMENTS, find_alike
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
