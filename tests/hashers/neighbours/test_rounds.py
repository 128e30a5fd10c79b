"""Neighbours and teacher of the package's own method."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.hashers import kernels
from nphash.hashers.neighbours import rounds as module
from nphash.hashers.neighbours.nearest import top_cosine
from nphash.hashers.neighbours.rounds import FEWEST_DOCUMENTS, neighbour_rounds
from nphash.hashers.neighbours.spectral import knn_graph, laplacian_eigenmap
from nphash.hashers.training.settings import NeighbourSettings
from nphash.nn.ops import normalise_rows

X, y = small.documents(n=200, words=40, topics=4)
UNIT = small.unit_rows(X).astype(np.float32)


def test_neighbours_share_topics_and_are_others():
    found = neighbour_rounds(UNIT, NeighbourSettings(), seed=0)
    assert found.neighbours.shape == (200, 5)
    assert (y[found.neighbours] == y[:, None]).mean() > 0.9
    assert not (found.neighbours == np.arange(200)[:, None]).any()


@pytest.fixture
def prediction_alone(monkeypatch):
    """A teacher that is the prediction, without LSI beside it."""
    monkeypatch.setattr(module, "SHARES", (1.0,))


def test_teacher_rows_have_length_one_and_separate_topics(prediction_alone):
    found = neighbour_rounds(UNIT, NeighbourSettings(graph_lsi=4, eigenmap=6), seed=0)
    assert found.teacher.shape == (200, 6)
    np.testing.assert_allclose(np.linalg.norm(found.teacher, axis=1), 1, rtol=1e-5)
    cosine = found.teacher @ found.teacher.T
    same = y[:, None] == y
    assert cosine[same].mean() > cosine[~same].mean() + 0.3


def test_one_round_by_hand(prediction_alone):
    settings = NeighbourSettings(rounds=1, edges=4, eigenmap=5, lsi=9, graph_lsi=7, penalty=2.0)
    found = neighbour_rounds(UNIT, settings, seed=3)
    _, _, components = np.linalg.svd(UNIT.toarray(), full_matrices=False)
    near, similarities = top_cosine([UNIT, UNIT @ components[:7].T], 4)
    graph = knn_graph(near, similarities, symmetry="mean", weighted=False)
    eigenmap = laplacian_eigenmap(graph, 5, 3).astype(np.float64)
    eigenmap /= np.linalg.norm(eigenmap, axis=1, keepdims=True)
    dense = UNIT.toarray().astype(np.float64)
    W = np.linalg.solve(dense.T @ dense + 2 * np.eye(40), dense.T @ (eigenmap - eigenmap.mean(axis=0)))
    expected = dense @ W
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.teacher, expected, atol=2e-3)
    assert found.V_u.shape == (40, 9 + 5)
    lsi, predicted = np.split(dense @ found.V_u, [9], axis=1)
    lengths = [np.linalg.norm(rows, axis=1).mean() for rows in (lsi[:, :7], predicted)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)  # both halves of the input weigh the same


def test_rounds_gather_documents_whose_words_agree():
    rng = np.random.default_rng(3)
    topics = rng.integers(0, 5, 600)
    rates = np.where(np.arange(80) % 5 == topics[:, None], 0.3, 0.1)  # (n, words)
    noisy = small.unit_rows(scipy.sparse.csr_matrix(rng.poisson(rates))).astype(np.float32)
    shares = [
        (
            topics[neighbour_rounds(noisy, NeighbourSettings(rounds=rounds), seed=0).neighbours]
            == topics[:, None]
        ).mean()
        for rounds in (1, 4)
    ]
    assert shares[1] > shares[0]


def test_the_teacher_has_lsi_beside_the_prediction(monkeypatch):
    monkeypatch.setattr(module, "SHARES", (0.75,))
    settings = NeighbourSettings(rounds=1, lsi=9, eigenmap=5)
    found = neighbour_rounds(UNIT, settings, seed=0)
    lsi, predicted = (normalise_rows(rows) for rows in np.split(UNIT @ found.V_u, [9], axis=1))
    expected = 0.25 * lsi @ lsi.T + 0.75 * predicted @ predicted.T
    np.testing.assert_allclose(found.teacher @ found.teacher.T, expected, atol=1e-4)


def test_what_is_being_done_is_logged(caplog):
    with caplog.at_level("INFO", "nphash"):
        neighbour_rounds(UNIT, NeighbourSettings(rounds=2), seed=0)
    assert [record.getMessage() for record in caplog.records] == [
        "neighbours: LSI of 200 documents",
        "neighbours: round 1 of at most 2",
        "neighbours: round 2 of at most 2",
    ]


def test_empty_documents_are_at_the_origin():
    empty = scipy.sparse.vstack([UNIT, scipy.sparse.csr_matrix((3, 40), dtype=np.float32)]).tocsr()
    found = neighbour_rounds(empty, NeighbourSettings(), seed=0)
    assert np.isfinite(found.teacher).all() and not found.teacher[-3:].any()


def test_the_same_for_any_number_of_threads():
    one, many = (neighbour_rounds(UNIT, NeighbourSettings(), seed=0, threads=threads) for threads in (1, 8))
    np.testing.assert_array_equal(one.neighbours, many.neighbours)
    np.testing.assert_array_equal(one.teacher, many.teacher)
    np.testing.assert_array_equal(one.V_u, many.V_u)


@pytest.mark.parametrize("n", [1, 2, FEWEST_DOCUMENTS - 1])
def test_few_documents_are_their_own_neighbours(n):
    found = neighbour_rounds(UNIT[:n], NeighbourSettings(), seed=0)
    np.testing.assert_array_equal(found.neighbours, np.arange(n)[:, None])


def test_very_many_documents_are_compared_approximately(monkeypatch, prediction_alone):
    exact = neighbour_rounds(UNIT, NeighbourSettings(), seed=0)
    monkeypatch.setattr(module, "MOST_COMPARED", 100)
    rough = neighbour_rounds(UNIT, NeighbourSettings(), seed=0)
    assert (y[rough.neighbours] == y[:, None]).mean() > 0.85
    assert rough.teacher.shape == exact.teacher.shape


def test_the_graph_of_very_many_documents_has_nearly_the_same_edges(monkeypatch):
    rng = np.random.default_rng(5)
    X = small.unit_rows(scipy.sparse.csr_matrix(rng.poisson(0.4, (500, 60)))).astype(np.float32)
    eigenmap = rng.standard_normal((500, 6)).astype(np.float32)
    exact = module._graph(X, eigenmap, None, NeighbourSettings(), 0, 1)
    monkeypatch.setattr(module, "MOST_COMPARED", 100)
    rough = module._graph(
        X, eigenmap, module._candidates(X, NeighbourSettings(), 1), NeighbourSettings(), 0, 1
    )
    assert rough.nnz < 500 * 499 / 4
    # words and eigenmap have nothing in common here, the hardest case, and 30 of 500 is few
    assert exact.multiply(rough > 0).sum() > 0.6 * exact.sum()


class Overlaps:
    """Halved documents whose overlaps are known: (rounds, documents, shares)."""

    def __init__(self, given):
        self.left = list(given)

    def overlaps(self, W, shares):
        return self.left.pop(0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 9), most=st.integers(1, 9), spread=st.floats(0, 0.2))
def test_the_last_round_is_the_one_before_halves_agree_clearly_less(seed, n, most, spread):
    rng = np.random.default_rng(seed)
    means = rng.random((n, 1, 3)) * 0.1
    overlaps = means + spread * rng.random((n, 40, 3))
    found = [module.Round(np.zeros(1), np.zeros(1), np.zeros(1), 1.0) for _ in range(n)]
    documents = Overlaps(overlaps)
    last, share = module._last_round(iter(found), documents, NeighbourSettings(rounds=most))
    best_share = overlaps.mean(axis=1).argmax(axis=1)  # (rounds,)
    own = [overlaps[i, :, best_share[i]] for i in range(min(n, most))]
    expected = 0
    for i in range(1, len(own)):
        difference = max(own[:i], key=np.mean) - own[i]
        if difference.mean() > module.CLEARLY * np.std(difference) / np.sqrt(40):
            break
        expected = i
    assert last is found[expected] and share == module.SHARES[best_share[expected]]
    assert n - len(documents.left) in (expected + 1, expected + 2)  # no round is computed in vain


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), words=st.integers(1, 30))
def test_halves_share_out_the_words_of_each_document(seed, words):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(20, words, 0.4, "csr", random_state=rng)
    first, second = module._halves(X, rng)
    np.testing.assert_allclose((first + second).toarray(), X.toarray())
    counts = [(half.toarray() != 0).sum(axis=1) for half in (first, second)]
    assert first.multiply(second).nnz == 0 and set(counts[0] - counts[1]) <= {0, 1}


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), m=st.integers(2, 90))
def test_overlap_by_hand(seed, m):
    first, second = np.random.default_rng(seed).random((2, 7, m))
    expected = []
    for a, b in zip(np.argsort(-first, axis=1), np.argsort(-second, axis=1), strict=True):
        counts = [max(1, m // scale) for scale in module.SCALES]
        expected.append(np.mean([len(set(a[:k]) & set(b[:k])) / k for k in counts]))
    np.testing.assert_allclose(module.overlap(first, second), expected)
    np.testing.assert_array_equal(module.overlap(first, first), 1)
    assert not module.overlap(first, np.zeros_like(first)).any()  # documents at the origin


def test_halves_agree_by_coordinates_that_follow_topics():
    rng = np.random.default_rng(0)
    lsi = rng.standard_normal((40, 3)).astype(np.float32)  # says nothing
    documents = module.HalvedDocuments(UNIT, lsi, seed=0, threads=1)
    by_topic = np.eye(4, dtype=np.float32)[np.arange(40) % 4] + 0.1 * rng.random((40, 4), np.float32)
    noise = rng.standard_normal((40, 4)).astype(np.float32)
    found = documents.overlaps(by_topic, module.SHARES)
    alone, some, half = found.mean(axis=0)
    assert alone > some > half and alone > 2 * documents.overlaps(noise, module.SHARES).mean(axis=0).max()
    again = module.HalvedDocuments(UNIT, lsi, seed=0, threads=3)
    np.testing.assert_array_equal(again.overlaps(by_topic, module.SHARES), found)


def test_documents_of_one_word_have_no_halves():
    X = scipy.sparse.csr_matrix(np.eye(60, dtype=np.float32))
    documents = module.HalvedDocuments(X, np.ones((60, 2), np.float32), seed=0)
    assert documents.overlaps(np.ones((60, 2), np.float32), [0.5, 1]).tolist() == [[0, 0]]
    found = [module.Round(np.zeros(1), np.ones((60, 2), np.float32), np.zeros(1), 1.0) for _ in range(2)]
    assert module._last_round(iter(found), documents, NeighbourSettings())[0] is found[1]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), share=st.floats(0.05, 1))
def test_cosines_of_joined_coordinates_are_the_mean(seed, share):
    rng = np.random.default_rng(seed)
    u, predicted = rng.standard_normal((20, 5)), normalise_rows(rng.standard_normal((20, 3)))
    teacher = module.joined(u, predicted, share)
    unit = normalise_rows(u)
    expected = share * predicted @ predicted.T + (1 - share) * unit @ unit.T
    np.testing.assert_allclose(teacher @ teacher.T, expected, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), length=st.floats(0.01, 100))
def test_rescaled_weights_give_coordinates_as_long_as_those_of_lsi(seed, length):
    rng = np.random.default_rng(seed)
    u, predicted = rng.standard_normal((20, 5)), rng.standard_normal((20, 3))
    predicted *= length / np.linalg.norm(predicted, axis=1).mean()
    rescaled = module._rescaled(predicted, length, u)  # of words that are documents themselves
    assert np.linalg.norm(rescaled, axis=1).mean() == pytest.approx(np.linalg.norm(u, axis=1).mean())


def test_weights_of_no_length_stay_nothing():
    assert not module._rescaled(np.zeros((4, 2), np.float32), 0.0, np.ones((3, 2))).any()


def test_new_documents_are_mapped_as_those_of_training(prediction_alone):
    found = neighbour_rounds(UNIT, NeighbourSettings(lsi=9, eigenmap=5), seed=0)
    coordinates = UNIT @ found.V_u[:, 9:]
    unit = coordinates / np.linalg.norm(coordinates, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, found.teacher, atol=1e-4)
    assert found.target is UNIT


def test_without_compiled_kernels_the_teacher_is_the_same(monkeypatch):
    compiled = neighbour_rounds(UNIT, NeighbourSettings(rounds=2), seed=0)
    monkeypatch.setattr(kernels, "COMPILED", False)
    plain = neighbour_rounds(UNIT, NeighbourSettings(rounds=2), seed=0)
    assert (compiled.neighbours == plain.neighbours).mean() > 0.9
    assert (compiled.teacher * plain.teacher).sum(axis=1).mean() > 0.99


def test_the_graph_of_a_round_is_symmetric_with_two_weights():
    coordinates = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    graph = module._graph(UNIT, coordinates, None, NeighbourSettings(edges=4), 0, 1)
    assert (graph != graph.T).nnz == 0 and not graph.diagonal().any()
    assert set(np.unique(graph.data)) == {0.5, 1.0}
    assert (np.asarray((graph > 0).sum(axis=1)) >= 4).all()
