import numpy as np
import pytest

from helpers import planted
from helpers.planted import CASES, find
from nphash import gradcheck
from nphash.errors import InputError
from nphash.gradcheck import Model
from nphash.gradcheck.problem import other_values, wrong_sample
from nphash.nn import gumbel, losses, ops


def only(reports):
    (report,) = reports
    return report


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((np.arange(3),), "integer arrays have no derivative"),
        ((np.ones(3) * 1j,), "complex arrays are not differentiated"),
        ((np.ones(3, dtype=bool),), "integer arrays have no derivative"),
        ((np.array(["a"]),), "convert to numbers"),
        ((3.0,), r"argument 1: float.*np\.array\(3\.0\)"),
        ((2,), r"np\.array\(2\.0\)"),
        (([1.0, 2.0],), r"argument 1: list.*np\.array\(argument 1, dtype=float\)"),
        ((), "none"),
    ],
)
def test_nothing_to_differentiate(args, said):
    with pytest.raises(InputError, match=said):
        gradcheck.check(lambda *x: (1.0, lambda d: d), *args)


def test_a_constant_that_is_no_argument(rng):
    with pytest.raises(InputError, match="maks"):
        gradcheck.check(ops.dropout, rng.normal(size=3), np.ones(3), constants=("maks",))


def test_a_forgotten_constant_is_explained(rng):
    report = only(gradcheck.check(ops.dropout, rng.normal(size=3), np.ones(3)))
    assert report.verdict == "invalid"
    assert "constants=('mask',)" in report.evidence


def test_a_whole_model_passes_and_its_terms_apart():
    reports = gradcheck.run(["doc2hash"], models=[planted.small_model()])
    assert gradcheck.passed(reports)
    assert {r.operation for r in reports} == {
        "doc2hash: reconstruction",
        "doc2hash: kl",
        "doc2hash: weight decay",
        "doc2hash",
    }
    assert [r.parameter for r in reports if r.operation == "doc2hash"] == ["b2", "W2", "b1", "W1"]


@pytest.mark.parametrize(
    ("mistake", "wrong", "cause"),
    [
        ({"kl_in_gradient": 0.3}, {"b1", "W1"}, "kl not applied the same way"),
        ({"kl_in_gradient": 0.0}, {"b1", "W1"}, "branch not propagated"),
        ({"kl_in_gradient": -0.1}, {"b1", "W1"}, "sign"),
        ({"decay_in_gradient": 0.0}, {"W1"}, "weight decay missing"),
        ({"lose": ("W2",)}, {"W2"}, "branch not propagated"),
    ],
)
def test_mistakes_in_a_whole_model(mistake, wrong, cause):
    reports = gradcheck.check_model(planted.small_model(**mistake))
    failed = [r for r in reports if not r.passed]
    assert {r.parameter for r in failed} == wrong
    assert {r.operation for r in failed} == {"doc2hash"}  # its terms are right
    assert {r.cause for r in failed} == {cause}


def test_half_precision_is_refused():
    """Its rounding is larger than most mistakes: a right gradient would be called wrong."""
    x = np.ones(3, np.float16)
    with pytest.raises(InputError, match=r"float16 array.*argument 1\.astype\(float\)"):
        gradcheck.check(lambda *x: (x[0] ** 2, lambda d: 2 * x[0] * d), x)
    with pytest.raises(InputError, match="float16"):
        gradcheck.check_model(Model("m", {"w": x}, lambda p: (0.0, lambda: {"w": p["w"]})))


def test_a_model_of_integers_is_refused():
    model = Model("m", {"w": np.arange(3)}, lambda p: (0.0, lambda: {"w": p["w"]}))
    with pytest.raises(InputError, match="int64"):
        gradcheck.check_model(model)


def test_a_model_whose_back_returns_no_dict(rng):
    model = Model("m", {"w": rng.normal(size=3)}, lambda p: (float(p["w"].sum()), lambda: np.ones(3)))
    assert only(gradcheck.check_model(model)).verdict == "invalid"


def test_equation_tags():
    assert gradcheck.equation_of(losses.reconstruction) == "(1)"
    assert gradcheck.equation_of(ops.dense) == ""


def test_terms_may_be_values_without_weights():
    """The divergence is given without its weight and without gradient: a wrong one is still seen."""
    import dataclasses

    model = planted.small_model(kl_in_gradient=0.3)
    kl, decay = model.terms["kl"], model.terms["weight decay"]
    values = {
        "reconstruction": lambda p: model.terms["reconstruction"](p)[0],
        "kl": lambda p: kl(p)[0] / 0.1,
        "weight decay": lambda p: decay(p)[0],
    }
    reports = gradcheck.check_model(dataclasses.replace(model, terms=values))
    assert {r.operation for r in reports} == {"doc2hash"}
    failed = [r for r in reports if not r.passed]
    assert {r.cause for r in failed} == {"kl not applied the same way"}
    assert "3 times kl" in failed[0].evidence


# --- a straight-through sample has to be the hard form of the relaxed one whose gradient it borrows


STEPS = ["straight_through_gumbel", "straight_through_bits", "straight_through_bernoulli"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_as_they_are(name, seed, dtype):
    problem = CASES[f"gumbel.{name}"].problem(seed, dtype)
    assert wrong_sample(problem, problem.evaluate(problem.params)[0]) is None


@pytest.mark.parametrize(
    ("name", "text", "mistake", "cause"),
    [
        ("straight_through_bits", "logits + noise > 0", "logits - noise > 0", "noise not applied"),
        ("straight_through_bits", "logits + noise > 0", "noise > 0", "disagree"),
        ("straight_through_bernoulli", "p > uniform", "p < uniform", "turned round"),
        ("straight_through_gumbel", "max_one_hot(logits, noise)", "max_one_hot(logits, -noise)", "noise not"),
        ("straight_through_gumbel", "max_one_hot(logits, noise)", "max_one_hot(noise, noise)", "disagree"),
    ],
)
def test_a_comparison_turned_round_is_found(name, text, mistake, cause):
    for seed in range(3):
        (report,) = find(f"gumbel.{name}", text, mistake, seed)
        assert report.verdict == "wrong" and cause in report.cause, report
        assert "relaxed one is" in report.evidence


def test_a_sample_of_another_shape():
    problem = CASES["gumbel.straight_through_bits"].problem(0)
    assert wrong_sample(problem, np.zeros(3))[0] == "wrong shape"


def test_what_borrows_no_gradient_is_no_sample():
    problem = CASES["ops.relu"].problem(0)
    assert wrong_sample(problem, np.zeros(3)) is None


def test_a_sample_of_ones_own_needs_no_hard_form(rng):
    step = lambda x: ((x > 0).astype(float), lambda dy: dy)  # noqa: E731
    (report,) = gradcheck.check(step, rng.normal(size=4), relaxed=lambda x: (x, lambda dy: dy))
    assert report.verdict == "straight-through"


def test_other_values_of_integers_and_text():
    assert list(other_values(3)) == [] == list(other_values("x"))


def test_straight_through_is_stated_and_its_relaxed_path_checked(rng):
    args = rng.normal(size=(3, 4)), gumbel.logistic_noise(rng, (3, 4)), 0.7
    report = only(
        gradcheck.check(
            gumbel.straight_through_bits, *args, constants=("noise",), relaxed=gumbel.relaxed_bits
        )
    )
    assert report.verdict == "straight-through"
    assert "no numeric gradient by construction" in report.note
    assert "0 as it is" in report.note
    lines = gradcheck.format_text([report]).splitlines()
    assert report.note in " ".join(line.strip() for line in lines)
    assert max(map(len, lines)) <= 118


def test_surrogate_has_the_value_of_the_hard_and_the_slope_of_the_relaxed_sample(rng):
    args = rng.normal(size=(3, 4)), gumbel.logistic_noise(rng, (3, 4)), 0.7
    sample = gradcheck.straight_through_surrogate(gumbel.straight_through_bits, gumbel.relaxed_bits)
    z, _ = sample(*args)
    np.testing.assert_allclose(z, gumbel.straight_through_bits(*args)[0], atol=1e-15)
    assert only(gradcheck.check(sample, *args, constants=("argument 2",))).verdict == "ok"


def test_a_straight_through_model_is_checked_through_its_surrogate():
    surrogate = gradcheck.straight_through_surrogate(gumbel.straight_through_bits, gumbel.relaxed_bits)
    assert gradcheck.passed(gradcheck.check_model(planted.small_model(sample=surrogate)))
    assert not gradcheck.passed(
        gradcheck.check_model(planted.small_model(sample=gumbel.straight_through_bits))
    )


def test_other_values_of_a_number():
    assert [what for what, _ in other_values(0.7)] == ["0.5", "1", "0", "2", "its reciprocal"]


def test_a_sample_turned_round():
    problem = CASES["gumbel.straight_through_bits"].problem(0)
    z, _ = problem.evaluate(problem.params)
    assert wrong_sample(problem, z) is None and wrong_sample(problem, 1 - z)[0] == "sample turned round"
