"""The tie-group formulas on cases whose answer is known by hand."""

import numpy as np
import pytest

from nphash.metrics.ties import figures, precision, rank_by_score, tie_groups


def ranking(ranks, hits, n_groups=4):
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
    assert precision(ranking([0, 1, 1, 1, 1], [1, 1, 1, 1, 0]), 3)[0] == pytest.approx(2.5 / 3)


def test_without_ties_expectation_worst_best_and_order_agree():
    found = figures(ranking([0, 1, 2, 3], [0, 1, 0, 1]), 2)
    assert {found[name][0] for name in found if name.startswith("precision")} == {0.5}
    assert found["recall"][0] == 0.5
    assert found["map"][0] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["ndcg"][0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_one_large_tie_is_the_average_precision_of_a_shuffle(rng):
    hits = np.array([1, 1, 0, 0, 0, 1], bool)
    found = figures(ranking([0] * 6, hits), 3)["map"][0]
    sample = [figures(ranking(rng.permutation(6), hits, 6), 3)["map"][0] for _ in range(4000)]
    assert found == pytest.approx(np.mean(sample), abs=4 * np.std(sample) / np.sqrt(4000))


def test_a_query_with_nothing_relevant_has_no_recall_map_or_ndcg():
    found = figures(ranking([0, 1], [0, 0]), 1)
    assert np.isnan([found[name][0] for name in ("recall", "map", "ndcg")]).all()
    assert found["precision"][0] == found["precision_best"][0] == 0
