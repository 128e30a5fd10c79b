"""The least work of a step, against counting it in the shapes."""

import numpy as np
import pytest

from nphash.engine.costs import StepSize, least_work, model_bytes
from nphash.engine.timing import Profile

V, H1, H2, L, B, E, U = 1000, 20, 10, 8, 100, 700, 300
PARAMS = {
    name: np.zeros(shape, np.float32)
    for name, shape in {
        "W_1": (V, H1), "b_1": (H1,), "W_2": (H1, H2), "b_2": (H2,),
        "W_a": (H2, L), "b_a": (L,), "W_s": (L, V), "b_s": (V,),
    }.items()
}  # fmt: skip
SIZE = sum(array.size for array in PARAMS.values())


def scale(engine):
    return StepSize(engine, 2, B, E, U)


def test_the_compiled_engine_leaves_weight_gradients_to_the_optimiser():
    work = least_work(PARAMS, scale("numba"))
    assert work["first layer"].flops == 2 * E * H1
    assert work["first layer"].bytes == 4 * (U + B) * H1
    assert work["hidden layers"].flops == 2 * B * H1 * H2
    assert work["decoder"].flops == 4 * B * L * V and work["decoder"].exponentials == B * V
    assert work["optimiser"].flops == 2 * E * H1 + 2 * B * H1 * H2 + 2 * B * L * V
    assert work["optimiser"].bytes == 6 * 4 * (SIZE - (V - U) * H1)


def test_looking_up_takes_an_addition_for_four_bits():
    work = least_work(PARAMS, StepSize("numba", 2, B, E, U, looks_up=True))
    assert work["decoder"].flops == (2 + 0.5) * B * L * V  # E W' remains a product
    assert work["optimiser"].flops == 2 * E * H1 + 2 * B * H1 * H2 + 0.5 * B * L * V


def test_both_engines_multiply_as_much():
    compiled, written = (
        sum(part.flops for part in least_work(PARAMS, scale(name)).values()) for name in ("numba", "numpy")
    )
    assert compiled == written


def test_as_written_the_optimiser_reads_whole_gradients():
    work = least_work(PARAMS, scale("numpy"))
    assert work["optimiser"].bytes == 7 * 4 * SIZE and work["optimiser"].flops == 0
    assert work["first layer, backward"].bytes == 4 * V * H1


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_first_layer_that_is_not_trained_has_no_gradient(engine):
    frozen = {
        "V_u": np.zeros((V, 5), np.float32),
        "W_1": np.zeros((5, H1), np.float32),
        "W_a": np.zeros((H1, L), np.float32),
        "W_s": np.zeros((L, V), np.float32),
    }
    work = least_work(frozen, scale(engine))
    assert work["first layer"].flops == 2 * E * 5
    assert work["hidden layers"].flops == 2 * B * 5 * H1
    trained = 5 * H1 + H1 * L + L * V
    assert work["optimiser"].bytes == (6 if engine == "numba" else 7) * 4 * trained
    assert sum(part.flops for part in work.values()) == 2 * E * 5 + 3 * 2 * B * (5 * H1 + L * V)


def test_other_systems_have_no_least_work():
    assert least_work({"W": np.zeros(3)}, scale("numpy")) == {}


def test_the_model_is_weights_and_two_moments():
    assert model_bytes(PARAMS) == 12 * SIZE


def test_parts_are_those_a_fit_names():
    from helpers import small

    class Callback(list):
        profile = Profile()
        __call__ = list.append

    seen = Callback()
    X, _ = small.documents()
    for engine in ("numba", "numpy"):
        small.quick("doc2hash", training__engine=engine).fit(X, callback=seen)
        assert least_work(seen[-1].params, seen[-1].step_size).keys() <= seen[-1].profile.keys()
