import numpy as np
import pytest

from helpers import planted
from helpers.paths import ROOT
from nphash import gradcheck
from nphash.errors import InputError
from nphash.nn import ops


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


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: (np.maximum(x, 0), lambda dy: 5 * dy), np.zeros(4)),
        (lambda x: (np.sin(1e6 * x), lambda dy: 0 * dy), np.ones(4)),
    ],
    ids=["at a kink", "too steep"],
)
def test_a_check_that_compared_nothing_fails(function, x):
    (report,) = gradcheck.check(function, x)
    assert report.verdict == "kinks only" and not gradcheck.passed([report])
    with pytest.raises(AssertionError, match="choose other arguments"):
        gradcheck.assert_gradients(function, x)


def test_what_could_not_be_judged_is_not_the_first_wrong_one(monkeypatch):
    cases = [
        gradcheck.Case(scaled(2.0), lambda rng: (np.ones(2),), name="f"),
        gradcheck.Case(ops.relu, lambda rng: (np.zeros(2),)),
    ]
    reports = gradcheck.run(cases=cases)
    assert [(report.verdict, report.first) for report in reports] == [("kinks only", False), ("wrong", True)]


def test_assert_gradients(rng):
    gradcheck.assert_gradients(
        ops.dense, rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    )
    with pytest.raises(AssertionError, match="likely cause: constant factor"):
        gradcheck.assert_gradients(scaled(1.5), np.ones(3))


def test_methods_know_nothing_of_the_checker():
    """The check is made of the methods, also for type checkers."""
    for path in sorted((ROOT / "nphash" / "hashers").rglob("*.py")):
        assert "gradcheck" not in path.read_text(encoding="utf-8"), path


def test_no_module_of_the_checker_needs_another_for_its_types_only():
    for path in sorted((ROOT / "nphash" / "gradcheck").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        _, mark, guarded = text.partition("if TYPE_CHECKING:\n")
        assert not mark or "nphash" not in guarded.partition("\n\n")[0], path


@pytest.mark.parametrize("factor", [6, 5])
def test_a_hessian_is_the_backward_pass_of_the_gradient(factor):
    def gradient_of_cubes(x):
        return 3 * x**2, lambda d: factor * x * d

    reports = gradcheck.check(gradient_of_cubes, np.array([1.0, -2.0]))
    assert gradcheck.passed(reports) == (factor == 6)
