import numpy as np
import pytest

from helpers import planted
from nphash import gradcheck
from nphash.errors import InputError
from nphash.gradcheck import Model
from nphash.nn import losses, ops


def only(reports):
    (report,) = reports
    return report


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((np.arange(3),), "integer arrays have no derivative"),
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
