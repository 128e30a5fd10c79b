import numpy as np
import planted
import pytest

from nphash import gradcheck, ops
from nphash.errors import InputError


def scaled(factor):
    """y = x^2 with the gradient times a factor, an array or a number."""
    return lambda x: (x * x, lambda dy: 2 * x * dy * factor)


def test_operations_come_in_backward_order():
    titles = [report.operation for report in gradcheck.run(["sparse_dense", "relu", "reconstruction"])]
    assert titles == ["losses.reconstruction", "ops.relu", "ops.sparse_dense", "ops.sparse_dense"]


@pytest.mark.parametrize("name", ["reconstruction", "losses.reconstruction"])
def test_names_choose_operations(name):
    report = gradcheck.run([name])[0]
    assert (report.operation, report.equation) == ("losses.reconstruction", "(1)")


def test_a_module_name_chooses_all_its_operations():
    assert {r.operation.partition(".")[0] for r in gradcheck.run(["gumbel"])} == {"gumbel"}


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean reconstruction"):
        gradcheck.run(["reconstructoin"])


def test_first_wrong_report_is_marked():
    reports = gradcheck.run(["relu", "doc2hash"], models=[planted.small_model(lose=("W2",))])
    assert [r.parameter for r in reports if r.first] == ["W2"]
    assert "first wrong operation" in gradcheck.format_text(reports)


def test_assert_gradients(rng):
    gradcheck.assert_gradients(
        ops.dense, rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    )
    with pytest.raises(AssertionError, match="likely cause: constant factor"):
        gradcheck.assert_gradients(scaled(1.5), np.ones(3))
