"""The checks of the engines, run small, and their tables."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from benchmarks import training_checks


@pytest.fixture(autouse=True)
def result(tmp_path, monkeypatch):
    monkeypatch.setattr(training_checks, "RESULT", tmp_path / "checks.json")
    return tmp_path / "checks.json"


@pytest.mark.compiled
def test_gradients_are_compared_tensor_by_tensor(result):
    options = ["gradients", "--words", "300", "--bits", "8", "--steps", "0,2"]
    done = CliRunner().invoke(training_checks.main, options, catch_exceptions=False)
    found = json.loads(result.read_text(encoding="utf-8"))["gradients"]
    assert found["words"] == 300
    assert [(case["steps"], case["sampling"]) for case in found["cases"]] == [
        (steps, sampling) for steps in (0, 2) for sampling in training_checks.SAMPLINGS
    ]
    for case in found["cases"]:
        for engine in training_checks.ENGINES:
            assert set(case["errors"][engine]) == {"W_1", "b_1", "W_2", "b_2", "W_a", "b_a", "W_s", "b_s"}
            assert 0 < max(case["errors"][engine].values()) < 2e-6
    assert len(done.output.splitlines()) == 3 + 4 + 1  # header with two rules, cases, rule
    assert "(W_" in done.output or "(b_" in done.output


def test_a_first_step_in_a_process_of_its_own():
    command = [sys.executable, "-m", "benchmarks.training_checks", "one-step"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout) > 0


def test_seconds_in_words():
    training_checks.keep(**{"first step": {"empty": [9.0, 8.0, 10.04], "full": [0.4, 0.44]}})
    assert "9.0 s (8.0 to 10.0) where" in training_checks.waiting()
    assert "0.42 s (0.40 to 0.44) afterwards" in training_checks.waiting()
