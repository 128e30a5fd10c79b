"""The comparison of samples: its figures are those of the codes, its table and picture come from them."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import samplers
from helpers import small
from nphash.hashers import Training

X, y = small.documents(n=120, words=30, topics=3)
UNIT = small.unit_rows(X).astype(np.float32)
CORPUS = SimpleNamespace(
    X_train=UNIT[:80],
    y_train=y[:80],
    X_valid=UNIT[80:100],
    y_valid=y[80:100],
    X_test=UNIT[100:],
    y_test=y[100:],
)


@pytest.fixture(scope="module")
def runs():
    few = {"n_bits": 8, "hidden": (6,), "training": Training(epochs=2)}
    return [samplers.measure(sample, CORPUS, seed, **few) for sample in samplers.SAMPLES for seed in (0, 1)]


def test_figures_are_shares_and_histograms_are_whole(runs):
    for run in runs:
        assert run["least of a bit"] <= run["share of ones"] <= run["most of a bit"]
        assert sum(run["p"]) == pytest.approx(1)
        assert sum(run["logits"]) == pytest.approx(1)
        above = sum(run["logits"][15:])  # the bins start at 0: a bit is set where its logit is above
        assert above == pytest.approx(run["share of ones"], abs=1e-6)
        assert sum(run["p"][2:18]) == pytest.approx(run["undecided"], abs=0.02)


def test_samples_differ_and_seeds_too(runs):
    assert len({(run["sample"], tuple(run["logits"])) for run in runs}) == len(runs)


def test_a_row_for_each_sample(runs):
    table = samplers.rows(runs)
    assert [row[0] for row in table[1:]] == list(samplers.SAMPLES)
    assert all(" ± " in row[1] for row in table[1:])
    assert samplers.rows(runs[:1])[1][1].count("±") == 0


def test_picture(runs, tmp_path):
    pytest.importorskip("matplotlib")
    samplers.draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
