import numpy as np
import pytest
from collecting import jsonl, run

from nphash import ops
from nphash.cli.gradcheck import MODELS, models
from nphash.gradcheck import check_model, passed


def test_one_operation():
    result = run("gradcheck", "dense", "--format", "table")
    assert result.code == 0 and "ops.dense" in result.out and "agree with central differences" in result.out
    records = jsonl(run("gradcheck", "dense").out)
    assert {record["verdict"] for record in records} == {"ok"}


def test_a_wrong_gradient_is_3(monkeypatch):
    right = ops.dense

    def wrong(x, W, b):
        y, back = right(x, W, b)
        return y, lambda dy: [2 * gradient for gradient in back(dy)]

    monkeypatch.setattr("nphash.gradcheck.run", lambda names, seed, models: _check(wrong))
    result = run("gradcheck", "--format", "table", "--curve")
    assert result.code == 3
    assert "WRONG" in result.out and "likely cause" in result.out
    assert "a gradient is wrong" in result.err


def _check(function):
    from nphash.gradcheck import check

    rng = np.random.default_rng(0)
    return check(function, rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=2))


def test_curves_and_the_list():
    assert "step 1e-05" in run("gradcheck", "relu", "--curve", "--format", "table").out
    names = run("gradcheck", "--list").out.split("\n")
    assert "ops.relu" in names and set(MODELS) <= set(names)


def test_an_unknown_name():
    result = run("gradcheck", "densee")
    assert result.code == 1 and "did you mean" in result.err


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_whole_models_agree(number):
    assert passed(check_model(models(0)[number]))
