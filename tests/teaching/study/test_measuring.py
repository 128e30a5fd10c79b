import numpy as np
import pytest

from nphash.teaching.study import estimators, measuring
from nphash.teaching.study.measuring import FIGURES, RIVAL, UNBIASED
from nphash.teaching.study.problems import StudySettings, instance

SETTINGS = StudySettings(bits=4, draws=400, instances=6, temperatures=(0.1, 2.0))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    loss = estimators.document_loss(rng.normal(size=(4, 20)), rng.normal(size=20), rng.random(20))
    instances = [instance(rng.normal(size=4), loss) for _ in range(SETTINGS.instances)]
    return measuring.measure(instances, measuring.methods(SETTINGS), seed=0)


def test_every_estimator_has_every_figure_with_its_interval(rows):
    assert set(rows) == set(measuring.methods(SETTINGS))
    for row in rows.values():
        assert tuple(row) == FIGURES
        for value, low, high in row.values():
            assert low <= high and low - 1e-9 <= value <= high + 1e-9


def test_unbiased_estimators_have_no_bias_and_biased_ones_have(rows):
    for name in (UNBIASED, "REINFORCE, exact mean as baseline"):
        assert rows[name]["bias"][1] < 0.1
    assert rows["Gumbel-softmax, tau 2"]["bias"][1] > 0.1
    assert rows["straight-through, deterministic"]["variance"][0] < 1e-20


def test_temperature_trades_bias_for_variance(rows):
    for family in ("Gumbel-softmax", "straight-through Gumbel"):
        cold, hot = (rows[f"{family}, tau {tau}"] for tau in ("0.1", "2"))
        assert cold["bias"][0] < hot["bias"][0] and cold["variance"][0] > hot["variance"][0]


def test_ratios_are_to_their_rivals(rows):
    assert rows[UNBIASED]["variance_ratio"] == [1.0, 1.0, 1.0]
    assert rows[RIVAL]["error_ratio"] == [1.0, 1.0, 1.0]
    ratio = rows["Gumbel-softmax, tau 2"]["variance"][0] / rows[UNBIASED]["variance"][0]
    assert rows["Gumbel-softmax, tau 2"]["variance_ratio"][0] == pytest.approx(ratio)


def test_error_is_squared_bias_and_variance(rows):
    for row in rows.values():
        assert row["mean_squared_error"][0] == pytest.approx(row["bias"][0] ** 2 + row["variance"][0])


def test_run_tells_of_each_problem_and_repeats():
    small = StudySettings(bits=3, draws=20, instances=2, words=40, snapshots=(0,), corpus="docstrings:click")
    told = []
    found = measuring.run(small, seed=1, callback=told.append)
    assert told == list(found)
    assert found == measuring.run(small, seed=1)
