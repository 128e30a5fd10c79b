import numpy as np
import pytest

from nphash.errors import InputError
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training.trainer import Batch
from nphash.nn.losses import NUMPY
from nphash.teaching.study import estimators, measuring
from nphash.teaching.study.measuring import FIGURES, RIVAL, UNBIASED, StudySettings, instance

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


def test_run_reports_each_problem_and_repeats():
    small = StudySettings(bits=3, draws=20, instances=2, words=40, snapshots=(0,), corpus="docstrings:click")
    reported = []
    found = measuring.run(small, seed=1, callback=reported.append)
    assert reported == list(found)
    assert reported == ["toy: squared distance to 0.45", "toy: random decoder", "model after 0 steps"]
    value, low, high = found["toy: random decoder"]["ARM"]["variance"]
    assert low <= value <= high
    assert found == measuring.run(small, seed=1)


# --- problems


SMALL = StudySettings(
    bits=4, hidden=8, words=60, draws=50, instances=3, snapshots=(0, 5), corpus="docstrings:click"
)


def test_the_toys_and_the_model_at_each_snapshot():
    found = dict(measuring.problems(SMALL, seed=0))
    assert list(found) == [
        "toy: squared distance to 0.45",
        "toy: random decoder",
        "model after 0 steps",
        "model after 5 steps",
    ]
    for instances in found.values():
        assert len(instances) == 3
        for one in instances:
            assert one.logits.shape == one.exact.shape == (4,)
            assert np.isfinite(one.value) and one.exact.any()


def test_the_same_seed_gives_the_same_problems():
    def logits(seed):
        return [one.logits for _, instances in measuring.problems(SMALL, seed) for one in instances]

    np.testing.assert_array_equal(logits(3), logits(3))
    assert not np.array_equal(logits(3), logits(4))


def test_the_exact_gradient_is_that_of_the_exact_value(rng):
    one = next(measuring.problems(SMALL, seed=0))[1][0]
    step = 1e-5 * rng.normal(size=4)
    ahead, behind = (measuring.instance(one.logits + s, one.objective).value for s in (step, -step))
    assert ahead - behind == pytest.approx(2 * one.exact @ step, rel=1e-6)


def test_logits_and_losses_are_those_of_the_library():
    """The sum over all codes is that of the model the library trains: same bits, same reconstruction."""
    X = measuring.documents(SMALL)[:5]
    _, params = next(measuring.train(X, SMALL, seed=0))
    z = (measuring.logits(params, X) > 0).astype(float)
    seen = []

    def watched(signs, *others):
        seen.append(signs)
        return NUMPY.reconstruct(signs, *others)

    batch = Batch(X, X, operations=NUMPY._replace(reconstruct=watched))
    terms, _ = Doc2Hash(4, hidden=(8,), dropout=0.0).loss(params, batch)
    np.testing.assert_array_equal(2 * z - 1, seen[0])
    values = [
        measuring.code_loss(params, t)(code[None])[0][0] for code, t in zip(z, X.toarray(), strict=True)
    ]
    assert np.mean(values) == pytest.approx(terms["reconstruction"], rel=1e-12)


def test_training_lowers_the_loss():
    settings = StudySettings(bits=4, hidden=8, words=60, snapshots=(0, 300), corpus="docstrings:click")
    values = {
        name: np.mean([one.value for one in instances])
        for name, instances in measuring.problems(settings, seed=0)
    }
    assert values["model after 300 steps"] < values["model after 0 steps"]


@pytest.mark.parametrize("wrong", [{"bits": 15}, {"bits": 0}, {"draws": 1}, {"instances": 1}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        StudySettings(**wrong).check()
