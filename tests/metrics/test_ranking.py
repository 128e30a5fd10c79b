"""Retrieval figures against averages over every order that ties allow, and on cases known by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix, random_array

from helpers import naive
from nphash import metrics
from nphash.codes import hamming_distances, pack
from nphash.errors import InputError
from nphash.metrics import ranking
from nphash.metrics.ranking import rank_by_score, ranking_figures, ranking_precision, tie_groups


@st.composite
def small_problems(draw):
    """A query and up to 6 documents with 3-bit codes (many ties), classes and k."""
    n = draw(st.integers(1, 6))
    bits = draw(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=n + 1, max_size=n + 1))
    classes = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return pack(bits), np.array(classes), draw(st.integers(1, 8))


def same(found, expected):
    assert found.keys() >= expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@settings(deadline=None, max_examples=150)
@given(small_problems())
def test_expectations_over_ties_equal_the_average_over_all_orders(problem):
    codes, classes, k = problem
    distances = hamming_distances(codes[:1], codes[1:])[0].tolist()
    expected = naive.retrieval(distances, classes == 1, k)
    found = metrics.retrieval(codes[:1], [1], codes[1:], classes, 3, k=k)
    same(found, expected)
    assert all(math.isnan(found[name]) for name in found.keys() - expected.keys())
    assert found["precision"] == metrics.precision_at_k(codes[:1], [1], codes[1:], classes, 3, k=k)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=1, max_size=6), st.integers(1, 8))
def test_similarities_are_ranked_from_large_to_small(documents, k):
    scores, relevant = map(list, zip(*documents, strict=True))
    expected = naive.retrieval([-score for score in scores], relevant, k)
    del expected["precision_radius_2"]  # a radius means nothing here
    found = metrics.retrieval_by_similarity([scores], [1], relevant, k=k)
    same(found, expected)
    assert "precision_radius_2" not in found


def test_many_blocks_give_the_average_of_single_queries(rng, monkeypatch):
    codes, classes = pack(rng.random((60, 5)) < 0.5), rng.integers(0, 3, 60)
    whole = metrics.retrieval(codes[:20], classes[:20], codes[20:], classes[20:], 5, k=7)
    monkeypatch.setattr(ranking, "_BLOCK", 1)
    same(metrics.retrieval(codes[:20], classes[:20], codes[20:], classes[20:], 5, k=7), whole)
    single = [
        metrics.precision_at_k(codes[i : i + 1], classes[i : i + 1], codes[20:], classes[20:], 5, k=7)
        for i in range(20)
    ]
    assert whole["precision"] == pytest.approx(np.mean(single))


def test_queries_without_relevant_documents_are_left_out_of_recall_map_and_ndcg():
    database = pack([[0, 0], [0, 1]])
    queries = pack([[0, 0], [1, 1]])
    figures = metrics.retrieval(queries, [1, 9], database, [1, 2], 2, k=1)
    assert figures["precision"] == 0.5
    assert figures["recall"] == figures["map"] == figures["ndcg"] == 1


def test_similarities_in_blocks_dense_or_sparse(rng):
    scores = random_array((9, 12), density=0.4, rng=rng, format="csr")
    y_query, y_database = rng.integers(0, 2, 9), rng.integers(0, 2, 12)
    expected = metrics.retrieval_by_similarity(scores.toarray(), y_query, y_database, k=5)
    by_block = metrics.retrieval_by_similarity(
        lambda start, stop: scores[start:stop], y_query, y_database, k=5
    )
    assert by_block == expected


@pytest.mark.parametrize("container", [np.asarray, csr_array, csr_matrix, lambda y: np.asarray(y, bool)])
def test_labels_may_be_dense_or_sparse_indicators(rng, container):
    codes = pack(rng.random((30, 4)) < 0.5)
    y = (rng.random((30, 3)) < 0.4).astype(int)
    expected = metrics.precision_at_k(codes[:10], y[:10], codes[10:], y[10:], 4, k=5)
    found = metrics.precision_at_k(codes[:10], container(y[:10]), codes[10:], container(y[10:]), 4, k=5)
    assert found == expected


def test_one_class_each_is_the_same_as_an_indicator(rng):
    codes, classes = pack(rng.random((30, 4)) < 0.5), rng.integers(0, 3, 30)
    one_hot = np.eye(3)[classes]
    by_class = metrics.retrieval(codes[:10], classes[:10], codes[10:], classes[10:], 4, k=5)
    assert metrics.retrieval(codes[:10], one_hot[:10], codes[10:], one_hot[10:], 4, k=5) == by_class
    named = np.array(["c", "a", "b"])[classes]
    assert metrics.retrieval(codes[:10], named[:10], codes[10:], named[10:], 4, k=5) == by_class


def test_code_statistics_of_known_bits():
    bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 1], [1, 0, 1, 1]])
    statistics = metrics.code_statistics(pack(bits), 4)
    assert statistics["balance"].tolist() == [0.5, 0.5, 0.5, 1]
    assert statistics["entropy"].tolist() == [1, 1, 1, 0]
    assert statistics["distinct"] == statistics["n"] == 4
    assert statistics["correlation"] == pytest.approx(2 / 12)  # bits 1 and 2 are opposites, no others


def test_code_statistics_agree_with_numpy_in_many_blocks(rng):
    bits = rng.random((3000, 40)) < rng.uniform(0.1, 0.9, 40)
    codes = pack(bits)
    statistics = metrics.code_statistics(codes, 40)
    np.testing.assert_allclose(statistics["balance"], bits.mean(axis=0))
    expected = np.abs(np.corrcoef(bits.T) - np.eye(40)).sum() / (40 * 39)
    assert statistics["correlation"] == pytest.approx(expected)
    assert statistics["distinct"] == len({row.tobytes() for row in codes})


def test_one_bit_has_no_pairs():
    assert metrics.code_statistics(pack([[1], [0]]), 1)["correlation"] == 0


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_k_is_a_positive_whole_number(k):
    codes = pack([[1, 0]])
    with pytest.raises(InputError, match="k is"):
        metrics.precision_at_k(codes, [1], codes, [1], 2, k=k)


def test_bad_input_names_what_is_wrong():
    codes = pack([[1, 0], [0, 1]])
    with pytest.raises(InputError, match="labels of 1 and 2"):
        metrics.retrieval(codes, [1], codes, [1, 2], 2)
    with pytest.raises(InputError, match="two class vectors or two indicators"):
        metrics.retrieval(codes, [1, 2], codes, [[1, 0], [0, 1]], 2)
    with pytest.raises(InputError, match="0 queries"):
        metrics.retrieval(codes[:0], [], codes, [1, 2], 2)
    with pytest.raises(InputError, match="100 bits need"):
        metrics.retrieval(codes, [1, 2], codes, [1, 2], 100)
    with pytest.raises(InputError, match="no codes"):
        metrics.code_statistics(codes[:0], 2)
    with pytest.raises(InputError, match="hold NaN"):
        metrics.retrieval_by_similarity([[1.0, np.nan]], [1], [1, 2])
    with pytest.raises(InputError, match=r"shape \(1, 2\)"):
        metrics.retrieval_by_similarity([[1.0, 2.0]], [1], [1, 2, 3])
    with pytest.raises(InputError, match=r"y_query contains NaN"):
        metrics.precision_at_k(codes, [1, np.nan], codes, [1, 2], 2)
    with pytest.raises(InputError, match=r"y_query has shape"):
        metrics.precision_at_k(codes, 1, codes, [1, 2], 2)


def test_similarities_of_another_kind_are_refused_with_what_is_expected():
    for wrong, message in (
        (csr_array([[0.9, 0.1]]), "sparse csr_array.*a function of start and stop"),
        ([0.9, 0.1], r"shape \(2,\).*reshape"),
        (0.9, r"shape \(\)"),
        ([["a", "b"]], "no numbers"),
        ([[1.0], [1.0, 2.0]], "no numbers"),
    ):
        with pytest.raises(InputError, match=message):
            metrics.retrieval_by_similarity(wrong, [1], [1, 2])


def test_labels_in_a_column_are_labels_in_a_row(rng):
    codes, y = pack(rng.random((60, 16)) < 0.5), rng.integers(0, 3, 60)
    expected = metrics.precision_at_k(codes[:20], y[:20], codes, y, 16, 10)
    assert metrics.precision_at_k(codes[:20], y[:20, None], codes, y[:, None], 16, 10) == expected


def one_ranking(ranks, hits, n_groups=4):
    return tie_groups(np.array([ranks]), np.array([hits], bool), n_groups)


def test_groups_are_counted_for_each_query():
    both = tie_groups(np.array([[0, 0, 2], [1, 1, 1]]), np.array([[1, 0, 1], [0, 0, 1]], bool), 3)
    assert both.total.tolist() == [[2, 0, 1], [0, 3, 0]]
    assert both.relevant.tolist() == [[1, 0, 1], [0, 1, 0]]


def test_equal_scores_share_a_group_and_the_largest_comes_first():
    ranked = rank_by_score(np.array([[0.1, 0.9, 0.1, 0.5]]), np.array([[1, 1, 0, 0]], bool))
    assert ranked.rank.tolist() == [[2, 0, 2, 1]]
    assert ranked.total.tolist() == [[1, 1, 2, 0]]


def test_the_protocols_example_of_a_straddling_group():
    # 1 relevant in front, then s = 2 places for a group of t = 4 with r = 3: 1 + 2 * 3 / 4 of 3
    assert ranking_precision(one_ranking([0, 1, 1, 1, 1], [1, 1, 1, 1, 0]), 3)[0] == pytest.approx(2.5 / 3)


def test_without_ties_expectation_worst_best_and_order_agree():
    found = ranking_figures(one_ranking([0, 1, 2, 3], [0, 1, 0, 1]), 2)
    assert {found[name][0] for name in found if name.startswith("precision")} == {0.5}
    assert found["recall"][0] == 0.5
    assert found["map"][0] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["ndcg"][0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_one_large_tie_is_the_average_precision_of_a_shuffle(rng):
    hits = np.array([1, 1, 0, 0, 0, 1], bool)
    found = ranking_figures(one_ranking([0] * 6, hits), 3)["map"][0]
    sample = [ranking_figures(one_ranking(rng.permutation(6), hits, 6), 3)["map"][0] for _ in range(4000)]
    assert found == pytest.approx(np.mean(sample), abs=4 * np.std(sample) / np.sqrt(4000))


def test_a_query_with_nothing_relevant_has_no_recall_map_or_ndcg():
    found = ranking_figures(one_ranking([0, 1], [0, 0]), 1)
    assert np.isnan([found[name][0] for name in ("recall", "map", "ndcg")]).all()
    assert found["precision"][0] == found["precision_best"][0] == 0


@settings(deadline=None, max_examples=60)
@given(small_problems())
def test_expected_precision_lies_between_the_worst_and_the_best_order(problem):
    codes, classes, k = problem
    found = metrics.retrieval(codes[:1], [1], codes[1:], classes, 3, k=k)
    for name in ("precision", "precision_by_order"):
        assert found["precision_worst"] - 1e-12 <= found[name] <= found["precision_best"] + 1e-12
    if k >= len(classes):  # everything counts: the share of relevant documents, in any order
        assert found["precision"] == found["precision_worst"] == pytest.approx((classes == 1).mean())


@settings(deadline=None, max_examples=60)
@given(small_problems(), st.randoms())
def test_only_the_figure_by_order_depends_on_the_order_of_the_database(problem, random):
    codes, classes, k = problem
    order = list(range(len(classes)))
    random.shuffle(order)
    figures = metrics.retrieval(codes[:1], [1], codes[1:], classes, 3, k=k)
    shuffled = metrics.retrieval(codes[:1], [1], codes[1:][order], classes[order], 3, k=k)
    for name in figures.keys() - {"precision_by_order"}:
        assert shuffled[name] == pytest.approx(figures[name], nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 10**6))
def test_statistics_follow_their_bits_and_do_not_tell_ones_from_zeros(n_bits, n, seed):
    rng = np.random.default_rng(seed)
    bits, order = rng.random((n, n_bits)) < 0.5, rng.permutation(n_bits)
    plain = metrics.code_statistics(pack(bits), n_bits)
    moved, inverse = (metrics.code_statistics(pack(one), n_bits) for one in (bits[:, order], ~bits))
    np.testing.assert_allclose(moved["balance"], plain["balance"][order])
    np.testing.assert_allclose(inverse["balance"], 1 - plain["balance"])
    np.testing.assert_allclose(inverse["entropy"], plain["entropy"], atol=1e-12)
    for other in (moved, inverse):
        assert other["correlation"] == pytest.approx(plain["correlation"], abs=1e-9)
        assert (other["distinct"], other["n"]) == (plain["distinct"], n)


def test_any_increasing_function_of_similarities_ranks_alike(rng):
    scores, y = rng.integers(-3, 4, (5, 20)), rng.integers(0, 3, 20)
    expected = metrics.retrieval_by_similarity(scores, y[:5], y, k=6)
    for change in (np.exp, lambda x: x**3, lambda x: 7 * x - 1):
        assert metrics.retrieval_by_similarity(change(scores), y[:5], y, k=6) == expected
