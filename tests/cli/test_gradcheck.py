import re
import sys

import numpy as np
import pytest

from helpers.collecting import fails, jsonl, run
from nphash.core.jit import COMPILED
from nphash.gradcheck.models import WITHOUT_GRADIENT
from nphash.nn import ops


def test_one_operation():
    result = run("gradcheck", "dense", "--format", "table")
    assert result.code == 0 and "ops.dense" in result.out and "agree with central differences" in result.out
    records = jsonl(run("gradcheck", "dense").out)
    assert {record["verdict"] for record in records} == {"ok"}


def test_a_wrong_gradient_is_3(monkeypatch):
    right = ops.dense

    def wrong(x, W, b):
        y, back = right(x, W, b)
        return y, lambda dy: [2 * gradient for gradient in back(dy)]

    monkeypatch.setattr("nphash.gradcheck.run", lambda names, seed, models, cases: _check(wrong))
    result = run("gradcheck", "--format", "table", "--curve")
    assert result.code == 3
    assert "WRONG" in result.out and "likely cause" in result.out
    assert "a gradient is wrong" in result.err


def _check(function):
    from nphash.gradcheck import check

    rng = np.random.default_rng(0)
    return check(function, rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=2))


def test_curves():
    assert "step 1e-05" in run("gradcheck", "relu", "--curve", "--format", "table").out


def test_the_list_has_all_that_can_be_checked_and_says_why_others_cannot():
    result = run("gradcheck", "--list")
    names = result.out.split("\n")
    assert {"ops.relu", "ksh.smooth_objective", "nphash", "vdsh-sp", "s-rbm", "ksh"} <= set(names)
    for name, reason in WITHOUT_GRADIENT.items():
        assert name not in names and f"{name} has no gradient: {reason}" in result.err


def test_kernels_are_checked_or_it_is_said_why_not(monkeypatch):
    names = {record["operation"] for record in jsonl(run("gradcheck", "vdsh").out)}
    assert {"vdsh", "vdsh (sigmoid, no dropout)"} <= names
    assert ("vdsh (kernels)" in names) == COMPILED
    monkeypatch.setattr("nphash.gradcheck.models.COMPILED", False)
    result = run("gradcheck", "relu")
    assert result.code == 0 and "the kernels are not checked" in result.err


def test_what_could_not_be_judged_is_3_and_not_called_wrong(monkeypatch):
    from nphash.gradcheck import check

    monkeypatch.setattr(
        "nphash.gradcheck.run", lambda *_: check(lambda x: (np.abs(x), lambda dy: dy), np.zeros(2))
    )
    result = run("gradcheck", "--format", "table")
    assert result.code == 3
    assert "a gradient could not be judged" in result.err and "WRONG" not in result.out


def test_an_unknown_name():
    result = run("gradcheck", "densee")
    assert result.code == 1 and "did you mean dense" in result.err
    result = run("gradcheck", "qqqq")
    assert result.code == 1 and "nphash gradcheck --list" in result.err and "did you mean" not in result.err


def test_a_method_without_gradient():
    result = run("gradcheck", "relu", "itq")
    assert result.code == 1 and "closed form" in result.err and result.out == ""


def test_a_method_with_its_operations_and_terms():
    records = jsonl(run("gradcheck", "nash").out)
    operations = list(dict.fromkeys(record["operation"] for record in records))
    of_method = [name for name in operations if name.startswith("nash")]
    assert of_method[:3] == ["nash: reconstruction", "nash: KL", "nash"]
    assert of_method[3:] == [f"nash (deterministic){term}" for term in (": reconstruction", ": KL", "")]
    assert operations.index("losses.reconstruction") < operations.index("ops.sparse_dense")
    assert {record["verdict"] for record in records} == {"ok", "straight-through"}
    assert {record["seed"] for record in records} == {0}


@pytest.mark.slow
def test_everything_is_right():
    result = run("gradcheck", "--format", "table", "--seed", "1")
    assert result.code == 0, result.out
    assert "gradients agree with central differences (seed 1)" in result.out
    for name in ("nphash", "doc2hash-s", "nash-dn-s", "vdsh-sp", "ammi", "s-rbm", "ksh"):
        assert re.search(
            rf"^{name}\n(ok|through) +\d+ parameters? |^{name}\nok +\w+ ", result.out, flags=re.M
        )
    assert max(map(len, result.out.splitlines())) <= 80


def test_page_and_picture(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.html", "a.png"):
        result = run("gradcheck", "relu", "-o", tmp_path / name)
        assert result.code == 0 and f"written: {tmp_path / name}" in result.err and jsonl(result.out)
        before = (tmp_path / name).read_bytes()
        fails(1, "gradcheck", "dense", "-o", tmp_path / name, says=("exists already", "--force"))
        assert (tmp_path / name).read_bytes() == before
        assert run("gradcheck", "dense", "-o", tmp_path / name, "--force").code == 0
        assert (tmp_path / name).read_bytes() != before


def test_a_page_that_cannot_be(tmp_path, monkeypatch):
    fails(1, "gradcheck", "-o", tmp_path / "a.txt", says=(".html or .png",))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(1, "gradcheck", "-o", tmp_path / "a.png", says=("matplotlib", "pip install matplotlib"))


def test_an_endless_loop_in_an_exercise(tmp_path):
    file = tmp_path / "e.py"
    file.write_text("EXERCISE = 6\nwhile True:\n    pass\n", encoding="utf-8")
    says = ("e.py", "stopped after 0.3 s", "--time-limit")
    fails(3, "gradcheck", "--exercise", file, "--time-limit", "0.3", says=says)


@pytest.mark.parametrize("options", [["relu"], ["--list"], ["-o", "x.html"], ["--curve"]])
def test_an_exercise_stands_alone(tmp_path, options):
    file = tmp_path / "e.py"
    file.write_text("", encoding="utf-8")
    fails(2, "gradcheck", "--exercise", file, *options, says="--exercise stands alone")


def test_a_time_limit_is_for_exercises():
    fails(2, "gradcheck", "relu", "--time-limit", "3", says="--exercise")
    fails(2, "gradcheck", "--exercise", __file__, "--time-limit", "0", says="--time-limit")
