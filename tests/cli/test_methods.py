"""Methods, their parameters, and texts as values of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.collecting import fails, jsonl, run
from nphash.cli.methods import convert, described_parameters, parameter_types, parse, type_name
from nphash.errors import UsageError
from nphash.hashers import METHODS, create
from nphash.nn.schedules import Exponential, Linear, ScheduleLike


def test_all_methods_are_listed():
    records = jsonl(run("methods").out)
    assert [record["method"] for record in records] == list(METHODS)
    assert all(record["description"] for record in records)
    assert run("methods", "--format", "table").out.startswith("method")


def test_parameters_of_one():
    records = {record["parameter"]: record for record in jsonl(run("methods", "doc2hash").out)}
    assert records["n_bits"] == {
        "parameter": "n_bits",
        "type": "whole number",
        "default": "32",
        "meaning": "Length L of a code.",
    }
    assert records["training__epochs"]["type"] == "whole number"
    assert run("methods", "doc2hash", "--format", "csv").out.startswith("parameter,type,default,meaning\n")


def test_epochs_that_follow_the_corpus_say_so():
    records = {record["parameter"]: record for record in jsonl(run("methods", "nphash").out)}
    assert records["training__epochs"]["default"] == "by corpus size"


def test_an_unknown_one():
    fails(1, "methods", "doc3hash", says=["no method 'doc3hash'", "doc2hash"])


@given(st.integers(), st.floats(allow_nan=False), st.booleans())
def test_values_come_back(whole, number, flag):
    assert convert(str(whole), int) == whole
    assert convert(str(number), float) == number
    assert convert(str(flag), bool) is flag
    assert convert(f"{whole},{whole}", tuple[int, ...]) == (whole, whole)
    assert convert(str((number, number)), tuple[float, float]) == (number, number)


@pytest.mark.parametrize(
    "text, kind, value",
    [
        ("5", int | None, 5),
        ("None", int | None, None),
        ("0.5", float | tuple[float, float], 0.5),
        ("1,0.3", float | tuple[float, float], (1.0, 0.3)),
        ("500", tuple[int, ...], (500,)),
        ("input", str, "input"),
        ("7", str, "7"),
        ("off", bool, False),
        ("3", Any, 3),
        ("1e-3", Any, 0.001),
        ("word", Any, "word"),
        ("none", Any, None),
        ("Linear(0, 30, epochs=5)", ScheduleLike, Linear(0, 30, 5)),
        ("exponential(1, 0.5)", ScheduleLike, Exponential(1, 0.5)),
    ],
)
def test_types(text, kind, value):
    found = convert(text, kind)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("x", int),
        ("1.5", int),
        ("maybe", bool),
        ("1", tuple[float, float]),
        ("x", int | None),
        ("1", list),
        ("open('x')", ScheduleLike),
        ("Linear(x)", ScheduleLike),
        ("Linear", ScheduleLike),
        ("(", ScheduleLike),
        ("x", type(None)),
    ],
)
def test_values_of_another_type(text, kind):
    with pytest.raises(ValueError):
        convert(text, kind)


@pytest.mark.parametrize(
    "pairs, says",
    [
        (["dropout"], "NAME=VALUE"),
        (["=1"], "no parameter ''"),
        (["drop=1"], "no parameter 'drop'"),
        (["dropout=x"], "-p dropout=x: this is no number"),
        (["hidden=a,b"], "this is no list such as 1,2"),
        (["training__epochs=2.5"], "this is no whole number"),
    ],
)
def test_wrong_parameters(pairs, says):
    with pytest.raises(UsageError, match=says) as caught:
        parse("doc2hash", pairs)
    assert caught.value.exit_code == 2 and caught.value.hint


@pytest.mark.parametrize(
    "name, meant", [("epochs", "training__epochs"), ("n_bit", "n_bits"), ("drop_out", "dropout")]
)
def test_a_near_miss_is_understood(name, meant):
    with pytest.raises(UsageError) as caught:
        parse("doc2hash", [f"{name}=1"])
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].startswith("nphash.")])
def test_every_default_can_be_typed(method):
    defaults = create(method).get_params()
    for name, kind in parameter_types(method).items():
        value = defaults[name]
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert convert(text, kind) == value, name


def test_dashes_are_underscores():
    assert parse("doc2hash", ["kl-weight = 0.2"]) == {"kl_weight": 0.2}


def test_names_of_types():
    assert type_name(ScheduleLike).endswith("or schedule such as Linear(0,1,5)")
    assert type_name(float | tuple[float, float]) == "number or list such as 1,2"
    assert type_name(Any) == "value"


@pytest.mark.parametrize(
    "method", [name for name in METHODS if METHODS[name].startswith("nphash.") and "sign" not in name]
)
def test_every_parameter_has_a_meaning(method):
    for record in jsonl(run("methods", method).out):
        assert len(record["meaning"]) > 5 and "As in" not in record["meaning"], record
    table = run("methods", method, "--format", "table").out
    assert "n_bits  whole number  [default: 32]\n    Length L of a code" in table


def test_meanings_are_those_of_docstrings():
    docstring = """A summary.

    Parameters
    ----------
    first, second
        Of both, in
        two lines.

        And a paragraph.
    third : int, optional
        With ``code``.

    Attributes
    ----------
    fourth
        No parameter.
    """
    both = "Of both, in two lines. And a paragraph."
    assert described_parameters(docstring) == {"first": both, "second": both, "third": "With code."}
    assert described_parameters("") == {}


def test_texts_as_parameters():
    given = ["dropout=0.1", "hidden=300,300", "training__epochs=5"]
    assert parse("doc2hash", given) == {"dropout": 0.1, "hidden": (300, 300), "training__epochs": 5}
    assert parameter_types("doc2hash")["training__epochs"] is int
    assert type_name(int | None) == "whole number or none"
