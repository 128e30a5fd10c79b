"""The planner: which strategy, and when compiled code or buckets pay."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.search import planner
from nphash.search.planner import Plan, Workload


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: True)


def best(n, n_bits, n_queries, candidates=None):
    return planner.choose(Workload(n, n_bits, n_queries), candidates, defaultdict(float)).strategy


def test_few_queries_are_scanned_one_by_one_and_many_in_bit_planes(loaded):
    assert best(1_000_000, 64, 1) == "popcount"
    assert best(1_000_000, 64, 1000) == "bit-sliced"
    assert best(1_000_000, 64, 100, candidates=200) == "multi-index"
    assert best(1_000_000, 64, 100, candidates=1e6) != "multi-index"
    assert best(1_000_000, 64, 1000, candidates=1e6) == "bit-sliced"
    assert best(1_000_000, 4096, 1000) == "popcount"  # too wide for tables
    assert best(1000, 64, 100, candidates=10) != "multi-index"  # too few rows


def test_where_ones_are_counted_in_vectors_planes_pay_for_more_queries_only(loaded, monkeypatch):
    chosen = []
    for costs in ((0.0, 1.1e-4), (5e-6, 2.6e-5)):
        monkeypatch.setattr(planner, "_POPCOUNT_CODE", costs[0])
        monkeypatch.setattr(planner, "_POPCOUNT_WORD", costs[1])
        planner.cost.cache_clear()
        chosen.append([best(1_000_000, 128, n_queries) for n_queries in (1, 50, 1000)])
    planner.cost.cache_clear()
    assert chosen == [["popcount", "bit-sliced", "bit-sliced"], ["popcount", "popcount", "bit-sliced"]]


def test_cold_small_searches_stay_in_numpy(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    assert best(100_000, 64, 1) == "numpy"
    assert best(2_000_000, 64, 1) == "numpy"
    assert best(10_000_000, 64, 1000) == "bit-sliced"  # seconds: worth loading at once


def test_what_is_slower_is_used_until_it_has_cost_the_price(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    work, ledger, chosen = Workload(1_000_000, 64, 1), defaultdict(float), []
    for _ in range(1000):
        plan = planner.choose(work, ledger=ledger)
        chosen.append(plan.strategy)
        planner.record(plan, ledger)
    switched = chosen.index("popcount")
    rent = sum(planner.cost(work)["numpy"] - planner.cost(work)["popcount"] for _ in range(switched))
    assert 0.9 < rent / planner._PRICE["popcount"] < 1.1
    assert set(chosen[switched:]) == {"popcount"}


def test_a_plan_says_why(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    plan = planner.choose(Workload(1000, 64, 1), ledger=defaultdict(float))
    assert str(plan).startswith(
        "numpy: for 1 query over 1,000 codes of 64 bits, loading the code of popcount"
    )
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: True)
    assert "the fastest for 500 queries over 1,000" in str(
        planner.choose(Workload(1000, 64, 500), ledger=defaultdict(float))
    )
    assert str(Plan("numpy", Workload(1, 1, 1), {}, because="asked for")) == "numpy: asked for"


def test_costs_grow_with_everything():
    small, large = (
        planner.cost(Workload(10**6, 64, 100), 10.0),
        planner.cost(Workload(10**7, 128, 200), 100.0),
    )
    assert small.keys() == large.keys() == set(planner.STRATEGIES)
    assert all(small[name] < large[name] for name in small)
    assert planner.build_price(Workload(10**7, 64, 1)) > planner.build_price(Workload(10**6, 64, 1))


@pytest.mark.parametrize(
    ("n_bits", "n", "m"),
    [(64, 10**6, 4), (64, 10**7, 3), (64, 10**8, 3), (128, 10**6, 7), (8, 100, 2), (1, 5, 1)],
)
def test_number_of_substrings(n_bits, n, m):
    assert planner.n_substrings(n_bits, n) == m
    assert n_bits / m <= 26


def test_expected_candidates_grow_with_the_radius_up_to_a_cap():
    work = Workload(1_000_000, 64, 100)
    candidates = [planner.expected_candidates(work, np.array([d])) for d in (0, 4, 8, 12, 64)]
    assert candidates == sorted(candidates) and candidates[0] < candidates[2]
    assert candidates[-1] == 2 * planner.candidates_per_scan(work)
    assert planner.expected_candidates(work, np.array([0, 0, 8, 8])) == pytest.approx(
        (candidates[0] + candidates[2]) / 2
    )


def test_what_counts_as_loaded(monkeypatch):
    monkeypatch.setattr(planner, "_loaded", set())
    assert planner.is_loaded("numpy", 64)
    assert not planner.is_loaded("popcount", 64)
    planner.record_loaded("popcount", 32)
    planner.record_loaded("bit-sliced", 64)
    assert planner.is_loaded("popcount", 500)
    assert planner.is_loaded("bit-sliced", 57) and not planner.is_loaded("bit-sliced", 65)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10**7), st.integers(1, 4096), st.integers(1, 2000), st.integers(1, 100))
def test_the_cheapest_is_chosen_when_everything_is_loaded(n, n_bits, n_queries, k):
    work = Workload(n, n_bits, n_queries, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "is_loaded", lambda strategy, n_bits: True)
        plan = planner.choose(work, 1000.0, defaultdict(float))
    assert plan.costs == planner.cost(work, 1000.0)
    assert plan.costs[plan.strategy] == min(plan.costs.values())
    ledger = defaultdict(float)
    planner.record(plan, ledger)
    assert not ledger  # nothing was missed


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(10**4, 3 * 10**6))
def test_no_sequence_of_searches_costs_twice_what_knowing_the_future_would(n_searches, n):
    work, ledger, spent, loaded = Workload(n, 64, 1), defaultdict(float), 0.0, {"numpy"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy in loaded)
        for _ in range(n_searches):
            plan = planner.choose(work, ledger=ledger)
            spent += plan.costs[plan.strategy] + (plan.strategy not in loaded) * planner._PRICE[plan.strategy]
            loaded.add(plan.strategy)
            planner.record(plan, ledger)
    costs = planner.cost(work)
    foresight = min(planner._PRICE[name] + n_searches * costs[name] for name in costs)
    assert spent <= 2 * foresight + costs["numpy"]
