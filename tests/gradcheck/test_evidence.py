import numpy as np
import pytest

from nphash.gradcheck.check import try_out
from nphash.gradcheck.evidence import factors, multiple, numbers, same, sizes
from nphash.gradcheck.problem import from_function


def test_relations_are_distinguished_from_accidents():
    a = np.array([1.0, 2.0, 3.0])
    assert same(a, a * (1 + 1e-8))
    assert not same(a, a * (1 + 1e-3))
    assert multiple(2 * a, a) == pytest.approx(2)
    assert np.isnan(multiple(a, np.zeros(3)))
    assert np.isnan(multiple(np.zeros(3), a))
    assert np.isnan(multiple(a, a[::-1]))


def test_zero_is_like_zero_only():
    assert same(np.zeros(2), np.zeros(2))
    assert not same(np.zeros(2), np.array([0.0, 1e-9]))


def problem(rng):
    def function(x, W, mask, rate, flag):
        return float((x @ W * rate).sum()), lambda d: (x, W)

    args = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.random((5, 3)), 0.3, True
    return from_function(function, args, constants=("mask",))


def test_batch_comes_first_among_the_sizes(rng):
    found = problem(rng)
    listed = list(sizes(found, try_out(found, 0).out))
    assert listed[0] == (5, "the number of rows of x")
    assert {size for size, _ in listed} == {5, 3, 4, 15, 12}
    assert len({size for size, _ in listed}) == len(listed)


def test_numbers_by_name(rng):
    found = problem(rng)
    trial = try_out(found, 0)
    assert list(numbers(found, trial.dout)) == [(0.3, "rate"), (float(trial.dout), "the upstream gradient")]


def test_arrays_of_the_same_shape_come_before_known_functions(rng):
    found = problem(rng)
    listed = list(factors(found, try_out(found, 0).out, "x"))
    assert listed[0][0] == "mask"
    assert {array.shape for _, array, _ in listed} == {(5, 3)}
    names = [name for name, _, _ in listed]
    assert {"[x > 0]", "sigmoid'(x)", "tanh'(x)", "softmax(x)"} <= set(names)
    whole = {name for name, _, is_whole in listed if is_whole}
    assert whole == {"[x > 0]", "sigmoid'(x)", "tanh'(x)", "softmax(x)"}


def test_known_functions_are_what_they_are_called(rng):
    found = problem(rng)
    x = found.params["x"]
    known = {name: array for name, array, _ in factors(found, try_out(found, 0).out, "x")}
    step = 1e-6
    for name, function in {"sigmoid'(x)": lambda t: 1 / (1 + np.exp(-t)), "tanh'(x)": np.tanh}.items():
        np.testing.assert_allclose(
            known[name], (function(x + step) - function(x - step)) / (2 * step), rtol=1e-6
        )
    np.testing.assert_allclose(known["sigmoid(x)"] + known["(1 - sigmoid(x))"], 1)
