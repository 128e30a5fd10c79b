"""The planner: which strategy, and when compiled code or buckets pay."""

import numpy as np
import pytest

from nphash.search import planner
from nphash.search.planner import Ledger, Plan, Task


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: True)


def best(n, n_bits, n_queries, looks=None):
    return planner.choose(Task(n, n_bits, n_queries), looks, Ledger()).strategy


def test_few_queries_are_scanned_one_by_one_and_many_in_bit_planes(loaded):
    assert best(1_000_000, 64, 1) == "popcount"
    assert best(1_000_000, 64, 1000) == "bit-sliced"
    assert best(1_000_000, 64, 100, looks=200) == "multi-index"
    assert best(1_000_000, 64, 100, looks=1e6) == "bit-sliced"
    assert best(1_000_000, 4096, 1000) == "popcount"  # too wide for tables
    assert best(1000, 64, 100, looks=10) != "multi-index"  # too few rows


def test_cold_small_searches_stay_in_numpy(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    assert best(100_000, 64, 1) == "numpy"
    assert best(2_000_000, 64, 1) == "numpy"
    assert best(10_000_000, 64, 1000) == "bit-sliced"  # seconds: worth loading at once


def test_what_is_slower_is_used_until_it_has_cost_the_price(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    task, ledger, chosen = Task(1_000_000, 64, 1), Ledger(), []
    for _ in range(1000):
        plan = planner.choose(task, ledger=ledger)
        chosen.append(plan.strategy)
        planner.note(task, plan, ledger)
    switched = chosen.index("popcount")
    rent = sum(planner.cost(task)["numpy"] - planner.cost(task)["popcount"] for _ in range(switched))
    assert 0.9 < rent / planner._PRICE["popcount"] < 1.1
    assert set(chosen[switched:]) == {"popcount"}


def test_a_plan_says_why(monkeypatch):
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: strategy == "numpy")
    plan = planner.choose(Task(1000, 64, 1), ledger=Ledger())
    assert str(plan).startswith(
        "numpy: for 1 query over 1,000 codes of 64 bits, loading the code of popcount"
    )
    monkeypatch.setattr(planner, "is_loaded", lambda strategy, n_bits: True)
    assert "the fastest for 500 queries over 1,000" in str(
        planner.choose(Task(1000, 64, 500), ledger=Ledger())
    )
    assert str(Plan("numpy", Task(1, 1, 1), {}, asked_for=True)) == "numpy: asked for"


def test_costs_grow_with_everything():
    small, large = planner.cost(Task(10**6, 64, 100), 10.0), planner.cost(Task(10**7, 128, 200), 100.0)
    assert small.keys() == large.keys() == set(planner.STRATEGIES)
    assert all(small[name] < large[name] for name in small)
    assert planner.build_price(Task(10**7, 64, 1)) > planner.build_price(Task(10**6, 64, 1))


@pytest.mark.parametrize(
    ("n_bits", "n", "m"),
    [(64, 10**6, 4), (64, 10**7, 3), (64, 10**8, 3), (128, 10**6, 7), (8, 100, 2), (1, 5, 1)],
)
def test_number_of_substrings(n_bits, n, m):
    assert planner.n_substrings(n_bits, n) == m
    assert n_bits / m <= 26


def test_expected_looks_grow_with_the_radius_up_to_a_cap():
    task = Task(1_000_000, 64, 100)
    looks = [planner.expected_looks(task, np.array([d])) for d in (0, 4, 8, 12, 64)]
    assert looks == sorted(looks) and looks[0] < looks[2]
    assert looks[-1] == 2 * planner.looks_per_scan(task)
    assert planner.expected_looks(task, np.array([0, 0, 8, 8])) == pytest.approx((looks[0] + looks[2]) / 2)


def test_what_counts_as_loaded():
    assert planner.is_loaded("numpy", 64)
    from nphash.search import scans

    before = set(scans.used)
    scans.used.clear()
    assert not planner.is_loaded("popcount", 64)
    scans.used.update({("popcount", 0), ("bit-sliced", 8)})
    assert planner.is_loaded("popcount", 500)
    assert planner.is_loaded("bit-sliced", 57) and not planner.is_loaded("bit-sliced", 65)
    scans.used.clear()
    scans.used.update(before)
