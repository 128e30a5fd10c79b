"""Neighbours and teacher of the package's own method."""

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash.hashers.neighbours import rounds as module
from nphash.hashers.neighbours.eigenmap import laplacian_eigenmap
from nphash.hashers.neighbours.exact import knn_graph, top_cosine
from nphash.hashers.neighbours.rounds import FEWEST_DOCUMENTS, find_alike
from nphash.hashers.training.settings import NeighbourSettings

X, y = small.documents(n=200, words=40, topics=4)
UNIT = small.unit_rows(X).astype(np.float32)


def test_neighbours_share_topics_and_are_others():
    alike = find_alike(UNIT, NeighbourSettings(), seed=0)
    assert alike.neighbours.shape == (200, 5)
    assert (y[alike.neighbours] == y[:, None]).mean() > 0.9
    assert not (alike.neighbours == np.arange(200)[:, None]).any()


def test_teacher_rows_have_length_one_and_tell_topics_apart():
    alike = find_alike(UNIT, NeighbourSettings(graph_lsi=4, eigenmap=6), seed=0)
    assert alike.teacher.shape == (200, 6)
    np.testing.assert_allclose(np.linalg.norm(alike.teacher, axis=1), 1, rtol=1e-5)
    cosine = alike.teacher @ alike.teacher.T
    same = y[:, None] == y
    assert cosine[same].mean() > cosine[~same].mean() + 0.3


def test_one_round_by_hand():
    settings = NeighbourSettings(rounds=1, edges=4, eigenmap=5, lsi=9, graph_lsi=7, penalty=2.0)
    alike = find_alike(UNIT, settings, seed=3)
    _, _, components = np.linalg.svd(UNIT.toarray(), full_matrices=False)
    near, similarities = top_cosine([UNIT, UNIT @ components[:7].T], 4)
    graph = knn_graph(near, similarities, symmetry="mean", weighted=False)
    place = laplacian_eigenmap(graph, 5, 3).astype(np.float64)
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    dense = UNIT.toarray().astype(np.float64)
    W = np.linalg.solve(dense.T @ dense + 2 * np.eye(40), dense.T @ (place - place.mean(axis=0)))
    expected = dense @ W
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(alike.teacher, expected, atol=2e-3)
    assert alike.V_u.shape == (40, 9 + 5)
    lsi, predicted = np.split(dense @ alike.V_u, [9], axis=1)
    lengths = [np.linalg.norm(rows, axis=1).mean() for rows in (lsi[:, :7], predicted)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)  # both halves of the input weigh the same


def test_rounds_gather_documents_whose_words_agree():
    rng = np.random.default_rng(3)
    topics = rng.integers(0, 5, 600)
    rates = np.where(np.arange(80) % 5 == topics[:, None], 0.3, 0.1)  # (n, words)
    noisy = small.unit_rows(scipy.sparse.csr_matrix(rng.poisson(rates))).astype(np.float32)
    shares = [
        (
            topics[find_alike(noisy, NeighbourSettings(rounds=rounds), seed=0).neighbours] == topics[:, None]
        ).mean()
        for rounds in (1, 4)
    ]
    assert shares[1] > shares[0]


def test_rounds_end_when_they_hear_their_own_echo(monkeypatch):
    once = find_alike(UNIT, NeighbourSettings(rounds=1), seed=0)
    often = find_alike(UNIT, NeighbourSettings(rounds=3), seed=0)
    assert not np.array_equal(once.teacher, often.teacher)
    monkeypatch.setattr(module, "ECHO", -2.0)  # any second round counts as one
    ended = find_alike(UNIT, NeighbourSettings(rounds=3), seed=0)
    np.testing.assert_array_equal(once.teacher, ended.teacher)
    np.testing.assert_array_equal(once.V_u, ended.V_u)


def test_what_is_being_done_is_logged(caplog):
    with caplog.at_level("INFO", "nphash"):
        find_alike(UNIT, NeighbourSettings(rounds=2), seed=0)
    assert [record.getMessage() for record in caplog.records] == [
        "neighbours: LSI of 200 documents",
        "neighbours: round 1 of at most 2",
        "neighbours: round 2 of at most 2",
    ]


def test_empty_documents_lie_nowhere():
    empty = scipy.sparse.vstack([UNIT, scipy.sparse.csr_matrix((3, 40), dtype=np.float32)]).tocsr()
    alike = find_alike(empty, NeighbourSettings(), seed=0)
    assert np.isfinite(alike.teacher).all() and not alike.teacher[-3:].any()


def test_the_same_for_any_number_of_threads():
    one, many = (find_alike(UNIT, NeighbourSettings(), seed=0, threads=threads) for threads in (1, 8))
    np.testing.assert_array_equal(one.neighbours, many.neighbours)
    np.testing.assert_array_equal(one.teacher, many.teacher)
    np.testing.assert_array_equal(one.V_u, many.V_u)


@pytest.mark.parametrize("n", [1, 2, FEWEST_DOCUMENTS - 1])
def test_few_documents_are_their_own_neighbours(n):
    alike = find_alike(UNIT[:n], NeighbourSettings(), seed=0)
    np.testing.assert_array_equal(alike.neighbours, np.arange(n)[:, None])


def test_very_many_documents_are_compared_approximately(monkeypatch):
    exact = find_alike(UNIT, NeighbourSettings(), seed=0)
    monkeypatch.setattr(module, "MOST_EXACT", 100)
    rough = find_alike(UNIT, NeighbourSettings(), seed=0)
    assert (y[rough.neighbours] == y[:, None]).mean() > 0.85
    assert rough.teacher.shape == exact.teacher.shape


def test_the_graph_of_very_many_documents_has_nearly_the_same_edges(monkeypatch):
    rng = np.random.default_rng(5)
    X = small.unit_rows(scipy.sparse.csr_matrix(rng.poisson(0.4, (500, 60)))).astype(np.float32)
    place = rng.standard_normal((500, 6)).astype(np.float32)
    exact = module._graph(X, place, None, NeighbourSettings(), 0, 1)
    monkeypatch.setattr(module, "MOST_EXACT", 100)
    rough = module._graph(X, place, module._candidates(X, NeighbourSettings(), 1), NeighbourSettings(), 0, 1)
    assert rough.nnz < 500 * 499 / 4
    # words and place have nothing in common here, the hardest case, and 30 of 500 is few
    assert exact.multiply(rough > 0).sum() > 0.6 * exact.sum()
