import numpy as np
import pytest

from nphash.errors import InputError
from nphash.gradcheck import Model, check_model, passed
from nphash.nn.losses import bernoulli_kl
from nphash.teaching.study import problems
from nphash.teaching.study.problems import StudySettings

SMALL = StudySettings(
    bits=4, hidden=8, words=60, draws=50, instances=3, snapshots=(0, 5), corpus="docstrings:click"
)


def test_the_toys_and_the_model_at_each_snapshot():
    found = dict(problems.problems(SMALL, seed=0))
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
        return [one.logits for _, instances in problems.problems(SMALL, seed) for one in instances]

    np.testing.assert_array_equal(logits(3), logits(3))
    assert not np.array_equal(logits(3), logits(4))


def test_the_exact_gradient_is_that_of_the_exact_value(rng):
    one = next(problems.problems(SMALL, seed=0))[1][0]
    step = 1e-5 * rng.normal(size=4)
    ahead, behind = (problems.instance(one.logits + s, one.objective).value for s in (step, -step))
    assert ahead - behind == pytest.approx(2 * one.exact @ step, rel=1e-6)


def test_the_encoder_has_the_right_gradient(rng):
    X = problems.documents(SMALL)[:5]
    _, params = next(problems.train(X, SMALL, seed=0))
    encoder = {name: params[name] for name in ("W1", "b1", "W2", "b2")}
    encoder["b1"] += 0.1 * rng.normal(size=encoder["b1"].shape)  # of an empty document, the unit itself

    def loss(values):
        logits, back = problems.encode(values, X)
        kl, kl_back = bernoulli_kl(logits)
        return kl, lambda dloss=1.0: back(kl_back(dloss))

    assert passed(check_model(Model("encoder", encoder, loss)))


def test_training_lowers_the_loss():
    settings = StudySettings(bits=4, hidden=8, words=60, snapshots=(0, 300), corpus="docstrings:click")
    values = {
        name: np.mean([one.value for one in instances])
        for name, instances in problems.problems(settings, seed=0)
    }
    assert values["model after 300 steps"] < values["model after 0 steps"]


@pytest.mark.parametrize("wrong", [{"bits": 15}, {"bits": 0}, {"draws": 1}, {"instances": 1}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        StudySettings(**wrong).check()
