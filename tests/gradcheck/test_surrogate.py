import numpy as np

from helpers import planted
from nphash import gradcheck
from nphash.nn import gumbel


def only(reports):
    (report,) = reports
    return report


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
