import sys

import pytest

from helpers.collecting import fails, jsonl, run
from nphash.teaching import study
from nphash.teaching.study import StudySettings

SMALL = {
    "draws": 20,
    "instances": 2,
    "words": 40,
    "hidden": 5,
    "snapshots": (0,),
    "corpus": "docstrings:click",
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(study, "StudySettings", lambda bits: StudySettings(bits=bits, **SMALL))


def test_tables_and_an_answer():
    result = run("study", "estimators", "--bits", "3", "--format", "table")
    assert result.code == 0
    assert "toy: random decoder" in result.out and "smallest mean squared error" in result.out
    assert "produces low-variance biased gradients" in result.out and "  so: biased, " in result.out
    assert "model after 0 steps" in result.err


def test_json_lines_and_seed():
    first = run("study", "estimators", "--bits", "3", "--seed", "2", "-q")
    assert first.err == ""
    records = jsonl(first.out)
    assert len(records) == 3 * 13
    assert {record["estimator"] for record in records} >= {"ARM", "REINFORCE", "Gumbel-softmax, tau 0.5"}
    assert all(len(record["bias"]) == 3 for record in records)
    assert run("study", "estimators", "--bits", "3", "--seed", "2", "-q").out == first.out


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    assert run("study", "estimators", "--bits", "2", "-o", picture).code == 0
    assert picture.exists()
    fails(1, "study", "estimators", "-o", picture, says=("exists already", "--force"))


def test_pictures_that_cannot_be(tmp_path, monkeypatch):
    fails(1, "study", "estimators", "-o", tmp_path / "a.txt", says=(".png, .svg or .pdf",))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(1, "study", "estimators", "-o", tmp_path / "a.png", says="pip install matplotlib")


def test_too_many_bits():
    fails(2, "study", "estimators", "--bits", "15", says="from 1 to 14")


def test_the_group_lists_its_studies():
    assert "estimators" in run("study", "--help").out
