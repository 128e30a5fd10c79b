"""Functions that misbehave: a report, never an exception."""

import numpy as np
import pytest

from nphash import gradcheck


def only(reports):
    (report,) = reports
    return report


def drawing(x):
    noise = np.random.default_rng().normal(size=x.shape)
    return x * noise, lambda dy: dy * noise


def drawing_back(x):
    return x * 1.0, lambda dy: dy * np.random.default_rng().normal(size=x.shape)


def changing(x):
    x *= 2
    return x.copy(), lambda dy: 2 * dy


def changing_dout(x):
    def back(dy):
        dy *= 2
        return dy

    return 2 * x, back


def accumulating(x):
    total = np.zeros_like(x)

    def back(dy):
        total[:] += 2 * x * dy
        return total

    return x * x, back


def failing_beside(x):
    if x[0] != 1.0:
        raise ZeroDivisionError("only here")
    return x, lambda dy: dy


@pytest.mark.parametrize(
    ("function", "verdict", "said"),
    [
        (drawing, "wrong", "noise redrawn"),
        (drawing_back, "wrong", "noise redrawn"),
        (changing, "wrong", "changed in place"),
        (changing_dout, "wrong", "changed in place"),
        (accumulating, "wrong", "accumulate"),
        (lambda x: (2 * x, lambda dy: np.full(3, 2.0)), "wrong", "upstream gradient ignored"),
        (lambda x: (2 * x, lambda dy: np.full(3, np.nan)), "wrong", "not finite"),
        (lambda x: (2 * x, lambda dy: dy[:2]), "wrong", "wrong shape"),
        (lambda x: (2 * x, lambda dy: np.ones((4, 3)) * dy), "wrong", "sum over the batch missing"),
        (lambda x: (x / 0, lambda dy: dy), "invalid", "not finite"),
        (lambda x: (np.sign(x).astype(int), lambda dy: dy), "invalid", "not floating-point"),
        (lambda x: 2 * x, "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: (dy, dy)), "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: dy @ np.ones((7, 7))), "invalid", "raises"),
        (lambda x: 1 / 0, "invalid", "raises"),
        (failing_beside, "invalid", "raises"),
    ],
)
def test_misbehaviour_is_reported(function, verdict, said):
    report = only(gradcheck.check(function, np.array([1.0, 2.0, 3.0])))
    assert report.verdict == verdict
    assert said in report.cause
    assert report.evidence
    assert not gradcheck.passed([report])
    assert said in gradcheck.format_text([report])
