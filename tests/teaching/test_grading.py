"""One function graded, for mistakes no exercise has in particular."""

from pathlib import Path

import numpy as np
import pytest

from nphash.teaching.grading import (
    Question,
    copy_of,
    equal,
    first_difference,
    flat,
    form,
    grade_question,
    kind_of,
    ratio_of,
    same,
)

PATH = Path("mine.py")


def reference(x, c):
    return float((c * x * x).sum()) / len(x), lambda dloss: dloss * 2 * c * x / len(x)


def draw(rng):
    return rng.normal(size=(4, 3)), rng.random((4, 3))


QUESTION = Question("loss", reference, (draw,), gradient=True, constants=("c",))
VALUES = Question("double", lambda x: 2 * x, (lambda rng: (rng.normal(size=4),),))


def grade(function, question=QUESTION):
    return grade_question(question, function, PATH)


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
        (lambda x, c: (reference(x, c)[0] / 2, abs), "not recognised"),  # one number always has a ratio
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
    assert grade(lambda x: 2 * x + 1, VALUES).cause == "not recognised"
    assert grade(lambda x: 2 * np.abs(x), VALUES).cause == "not recognised"
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
    question = Question("double", VALUES.reference, VALUES.draws, (("tripled", lambda x: 3 * x),))
    assert grade(lambda x: x + x + x, question).cause == "tripled"


def test_a_known_gradient_comes_before_what_the_checker_says():
    half = ("halved in back", lambda x, c: (reference(x, c)[0], lambda d: reference(x, c)[1](d) / 2))
    question = Question("loss", reference, (draw,), (half,), gradient=True, constants=("c",))
    found = grade(lambda x, c: (reference(x, c)[0], lambda d: d * c * x / 4), question)
    assert found.cause == "halved in back" and not found.reports[0].passed


def test_advice_of_the_part_comes_before_the_general_one():
    question = Question("double", VALUES.reference, VALUES.draws, advice={"sign": "my own words"})
    assert grade(lambda x: -2 * x, question).advice == "my own words"
    assert grade(lambda x: -2 * x, VALUES).advice.startswith("a loss is minus")


def test_every_draw_is_tried():
    def root(x):
        return np.sqrt(x)

    question = Question("root", root, (lambda rng: (np.ones(2),), lambda rng: (4 * np.ones(2),)))
    assert grade(root, question).passed
    assert grade(lambda x: x, question).verdict == "wrong"


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


# --- comparing values


@pytest.mark.parametrize(
    ("result", "wanted", "cause"),
    [
        (None, 1.0, "wrong form"),
        ("x", 1.0, "wrong form"),
        (1.0, (1.0, 2.0), "wrong form"),
        ((1.0,), (1.0, 2.0), "wrong form"),
        ((1.0, None), (1.0, 2.0), "wrong form"),
        ([[1], [1, 2]], np.ones((2, 2)), "wrong form"),
        ({"a": 1.0}, {"b": 1.0}, "wrong form"),
        (1.0, {"b": 1.0}, "wrong form"),
        (np.ones(3), np.ones(2), "wrong shape"),
        (np.ones((2, 3)), np.ones((3, 2)), "transposed"),
        ({"a": np.ones(3)}, {"a": 1.0}, "wrong shape"),
    ],
)
def test_form(result, wanted, cause):
    found = form(result, wanted)
    assert found is not None and found[0] == cause and found[1]


@pytest.mark.parametrize("value", [1.0, np.ones((2, 3)), (1, np.ones(2)), [1.0, 2.0], {"a": 1.0}])
def test_a_value_has_its_own_form(value):
    assert form(value, value) is None
    assert same(value, value) and equal(value, copy_of(value))
    assert first_difference(value, value) == ""


def test_lists_and_arrays_have_one_form():
    assert form([1.0, 2.0], np.ones(2)) is None
    assert form((np.ones(2), 1), [np.ones(2), 1.0]) is None


def test_copies_are_deep():
    given = ([np.zeros(2)], {"a": np.zeros(2)}, 3)
    copied = copy_of(given)
    copied[0][0] += 1
    copied[1]["a"] += 1
    assert not any(array.any() for array in flat(given[:2]))
    assert copied[2] == 3


def test_equal_is_exact_and_same_is_not():
    a = np.array([1.0, np.nan])
    assert equal(a, a.copy()) and not equal(a, a + 1e-12)
    assert not equal((1, 2), (1,))
    assert same(np.array([1.0, 1e-12]), np.array([1.0, 0.0]))
    assert not same(np.array([1.0, 1e-8]), np.array([1.0, 0.0]))
    assert same(np.array([True]), np.array([1.0])) and not same(np.array([2]), np.array([1]))
    assert not same(np.array([np.nan]), np.array([1.0]))
    assert same(np.array([np.nan]), np.array([np.nan]))
    assert same(1.0, 1.0 + 1e-15) and same([1.0, 2.0], np.array([1.0, 2.0]))
    assert not same((1, 2.0), (2, 2.0))


def test_the_worst_place_is_told():
    wanted = np.zeros((2, 3))
    result = wanted.copy()
    result[1, 2], result[0, 0] = 5.0, 1.0
    assert first_difference(result, wanted) == "the value at (1, 2) is 5, 0 is right"
    result[0, 1] = np.nan
    assert "at (0, 1) is nan" in first_difference(result, wanted)
    assert first_difference((1.0, 2.0), (1.0, 3.0)) == "value 2 is 2, 3 is right"
    assert "is 1, 0 is right" in first_difference(np.array([True]), np.array([False]))


@pytest.mark.parametrize(
    ("result", "wanted"),
    [(16.18690005, 16.1869), (1.0 + 3e-9, 1.0), (np.float32(0.1), 0.3), ([np.inf, 1.0], [np.inf, 2.0])],
)
def test_evidence_does_not_contradict_itself(result, wanted):
    got, right = first_difference(np.asarray(result), np.asarray(wanted)).split(" is ")[1].split(", ")
    assert got != right.removesuffix(" is right")


def test_ratio():
    x = np.array([1.0, -2.0, 0.0])
    assert ratio_of(-3 * x, x) == pytest.approx(-3)
    assert np.isnan(ratio_of(x + 1, x))
    assert np.isnan(ratio_of(x, 0 * x)) and np.isnan(ratio_of(0 * x, x))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        ((1, 2), "2 values"),
        ({}, "a dictionary of nothing"),
        ({"a": 1}, "a dictionary of a"),
        (..., "a ellipsis"),
        (1.5, "a float"),
    ],
)
def test_kinds(value, words):
    assert kind_of(value) == words


@pytest.mark.parametrize("kind", [list, tuple, np.asarray, lambda x: x.tolist(), np.float64, np.float32])
def test_whatever_counts_as_an_array_is_right(kind):
    wanted = np.array([16.186934501, -2.5, 1e-3])
    assert grade(lambda x: kind(wanted), Question("f", lambda x: wanted, VALUES.draws)).passed


def test_whole_numbers_are_right_where_floats_are_wanted():
    question = Question("f", lambda x: np.array([3.0, 1.0]), VALUES.draws)
    assert grade(lambda x: [3, 1], question).passed
    assert not grade(lambda x: [3, 2], question).passed


def test_lists_with_a_mistake_are_wrong_and_their_mistake_is_named():
    question = Question("double", VALUES.reference, VALUES.draws, (("tripled", lambda x: 3 * x),))
    assert grade(lambda x: (3 * x).tolist(), question).cause == "tripled"
    assert grade(lambda x: list(-2 * x), question).cause == "sign"
    assert grade(lambda x: list(5 * x), question).cause == "constant factor"
    assert grade(lambda x: (3 * x).astype(np.float32), question).cause == "tripled"


def test_what_is_wrong_does_not_read_like_what_is_right():
    """A value off by less than is shown gets more digits: never "16.1869, 16.1869 is right"."""
    seen = first_difference(16.1869345, 16.1869347)
    assert seen == "the value is 16.1869345, 16.1869347 is right"
    assert first_difference(np.float32(16.18693), 16.186934501) == ""


def test_what_is_said_of_values():
    evidence = "it has shape (2, 3), but (3, 2) is needed"
    assert form(np.ones((2, 3)), np.ones((3, 2))) == ("transposed", evidence)
    assert [int(array) for array in flat({"b": 2, "a": (1, [3])})] == [1, 3, 2]
    assert equal(np.nan, np.nan) and not equal(1.0, 1.0 + 1e-15)
    assert (
        first_difference(np.array([1.0, 5.0]), np.array([1.0, 2.0])) == "the value at (1,) is 5, 2 is right"
    )
    assert ratio_of((2.0, np.array([4.0])), (1.0, np.array([2.0]))) == 2.0
    assert np.isnan(ratio_of((2.0, 4.0), (1.0, 3.0)))
    words = [kind_of(value) for value in (np.ones(2), {"W": 1}, "x")]
    assert words == ["an array of shape (2,)", "a dictionary of W", "a str"]
