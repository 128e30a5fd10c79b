import numpy as np
import pytest

from nphash import gradcheck
from nphash.nn import gumbel, losses, ops


def test_all_operations_pass_for_any_seed():
    for seed in (0, 1):
        reports = gradcheck.run(seed=seed)
        assert gradcheck.passed(reports)
        assert not any(report.first for report in reports)
        assert {report.seed for report in reports} == {seed}
        assert max(report.relative_error for report in reports) <= 1e-7


def test_every_differentiable_public_function_has_a_case():
    plain = {"Array", "Back", "Backs", "dropout_mask", "gumbel_max", "gumbel_max_one_hot"}
    plain |= {
        "NUMPY",
        "Operations",
        "gumbel_noise",
        "gumbel_softmax_jacobian",
        "logistic_noise",
        "normal_noise",
        "normalise_rows",
        "scale_rows",
    }
    public = {name for module in (ops, gumbel, losses) for name in module.__all__} - plain
    assert {case.function.__name__ for case in gradcheck.operations()} == public


@pytest.mark.parametrize("case", gradcheck.operations(), ids=lambda case: case.title)
def test_arguments_repeat_with_their_seed_and_come_in_both_dtypes(case):
    first, again, other = (case.problem(seed).params for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    assert {value.dtype for value in case.problem(1, np.float32).params.values()} == {np.dtype(np.float32)}


def test_sizes_and_constants_can_be_told_apart():
    for case in gradcheck.operations():
        problem = case.problem(0)
        sizes = {size for value in problem.params.values() for size in value.shape}
        for constant in problem.constants.values():
            if isinstance(constant, float):
                assert constant not in (1.0, 0.5, 2.0)
                assert all(abs(constant * size - 1) > 1e-3 and constant != size for size in sizes)
