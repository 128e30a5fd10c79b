"""One function graded, for mistakes no exercise has in particular."""

from pathlib import Path

import numpy as np
import pytest

from nphash.teaching.grading import Mistake, Part, grade_part

PATH = Path("mine.py")


def reference(x, c):
    return float((c * x * x).sum()) / len(x), lambda dloss: dloss * 2 * c * x / len(x)


def draw(rng):
    return rng.normal(size=(4, 3)), rng.random((4, 3))


PART = Part("loss", reference, (draw,), gradient=True, constants=("c",))
VALUES = Part("double", lambda x: 2 * x, (lambda rng: (rng.normal(size=4),),))


def grade(function, part=PART):
    return grade_part(part, function, PATH)


def test_right():
    found = grade(reference)
    assert found.passed and found.verdict == "right" and found.cause == ""
    assert [report.parameter for report in found.reports] == ["x"]
    assert grade(lambda x: x + x, VALUES).passed


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda x, c: (-reference(x, c)[0], None), "wrong form"),
        (lambda x, c: (-reference(x, c)[0], abs), "sign"),
        (lambda x, c: (4 * reference(x, c)[0], abs), "sum instead of mean"),
        (lambda x, c: (reference(x, c)[0] / 4, abs), "divided twice"),
        (lambda x, c: (reference(x, c)[0] / 2, abs), "only located"),  # one number always has a ratio
        (lambda x, c: (np.nan, abs), "not finite"),
        (lambda x, c: (c * x, abs), "wrong shape"),
        (lambda x, c: reference(x, c)[0], "wrong form"),
        (lambda x: 0, "the function raises"),
        (lambda x, c: (reference(x, c)[0], lambda d: -reference(x, c)[1](d)), "sign"),
        (lambda x, c: (reference(x, c)[0], lambda d: 4 * reference(x, c)[1](d)), "sum instead of mean"),
        (lambda x, c: (reference(x, c)[0], lambda d: 2 * c * x / 4), "upstream gradient ignored"),
        (lambda x, c: (reference(x, c)[0], lambda d: 2 * d * x / 4), "c not applied the same way"),
        (lambda x, c: (reference(x, c)[0], lambda d: reference(x, c)[1](d).T), "transposed"),
        (lambda x, c: (reference(x, c)[0], lambda: 0), "the gradients cannot be used"),
    ],
)
def test_causes(function, cause):
    found = grade(function)
    assert found.verdict == "wrong" and found.cause == cause
    assert found.evidence


def test_values_alone():
    assert grade(lambda x: 3 * x, VALUES).cause == "constant factor"
    assert grade(lambda x: 2 * x + 1, VALUES).cause == "only located"
    assert grade(lambda x: 2 * np.abs(x), VALUES).cause == "only located"
    assert grade(lambda x: 2 * x + np.random.default_rng().random(), VALUES).cause == "noise redrawn"


def test_state_between_calls_is_seen():
    calls = []

    def counting(x):
        calls.append(1)
        return 2 * x + len(calls)

    assert grade(counting, VALUES).cause == "noise redrawn"


def test_a_second_result_of_another_form():
    results = [reference(*draw(np.random.default_rng([0, 0]))), None]
    assert grade(lambda x, c: results.pop(0) if results else None).cause == "noise redrawn"


def test_arguments_changed_in_place():
    def careless(x):
        x *= 2
        return x

    found = grade(careless, VALUES)
    assert found.cause == "an argument is changed in place" and found.evidence.startswith("x ")
    assert "make a new one" in found.advice


def test_a_known_mistake_comes_first():
    part = Part("double", VALUES.reference, VALUES.draws, (Mistake("tripled", lambda x: 3 * x),))
    assert grade(lambda x: x + x + x, part).cause == "tripled"


def test_a_known_gradient_comes_before_what_the_checker_says():
    half = Mistake("halved in back", lambda x, c: (reference(x, c)[0], lambda d: reference(x, c)[1](d) / 2))
    part = Part("loss", reference, (draw,), (half,), gradient=True, constants=("c",))
    found = grade(lambda x, c: (reference(x, c)[0], lambda d: d * c * x / 4), part)
    assert found.cause == "halved in back" and not found.reports[0].passed


def test_advice_of_the_part_comes_before_the_general_one():
    part = Part("double", VALUES.reference, VALUES.draws, advice={"sign": "my own words"})
    assert grade(lambda x: -2 * x, part).advice == "my own words"
    assert grade(lambda x: -2 * x, VALUES).advice.startswith("a loss is minus")


def test_every_draw_is_tried():
    def root(x):
        return np.sqrt(x)

    part = Part("root", root, (lambda rng: (np.ones(2),), lambda rng: (4 * np.ones(2),)))
    assert grade(root, part).passed
    assert grade(lambda x: x, part).verdict == "wrong"


def test_prints_do_not_reach_standard_output(capsys):
    def talkative(x):
        print("x =", x)  # noqa: T201
        return 2 * x

    assert grade(talkative, VALUES).passed
    assert capsys.readouterr().out == ""


def test_leaving_the_program_is_no_way_out():
    def leave(x):
        raise SystemExit(0)

    found = grade(leave, VALUES)
    assert found.verdict == "wrong" and "ends the program" in found.evidence
    found = grade(lambda x, c: (reference(x, c)[0], leave))
    assert found.verdict == "wrong" and "ends the program" in found.evidence
