"""The profile of a fit: arithmetic on two reports, then through the command."""

import json

import numpy as np
import pytest

from helpers.collecting import documents, jsonl, run, write_jsonl
from nphash.cli import profiling
from nphash.engine.profiling import Limits, StepSize
from nphash.hashers.training import trainer as training
from nphash.hashers.training.trainer import Progress

LIMITS = Limits(bandwidth=1e9, flops=1e9, exponentials=1e9, threads=2)
WEIGHTS = {"W_1": np.zeros((50, 4), np.float32), "W_s": np.zeros((2, 50), np.float32)}
SIZE = StepSize("numba", 2, 10, 60, 30)
SMALL = ["-p", "hidden=8", "--bits", "16", "--epochs", "2", "--batch-size", "20"]


def report(epoch, step, seconds, profile, params=WEIGHTS):
    return Progress(epoch, 3, step, 5, {}, "P@100", 0.5, 1, seconds, 0.0, params, profile, SIZE)


def test_the_first_step_is_left_out_and_the_rest_is_shown():
    first = report(1, 1, 10.0, {"decoder": 6.0})
    last = report(2, 5, 19.0, {"decoder": 9.0, "optimiser": 4.5})
    rows = profiling._rows(first, last, LIMITS)  # 9 steps in 9 seconds
    assert [row["part"] for row in rows] == ["optimiser", "decoder", profiling.REST, "a step"]
    assert [row["ms"] for row in rows] == pytest.approx([500, 1000 / 3, 500 / 3, 1000])
    assert [row["share"] for row in rows] == pytest.approx([1 / 2, 1 / 3, 1 / 6, 1])
    decoder = rows[1]
    # 4 B L V products and B V exponentials at 1e9 a second
    assert decoder["least_ms"] == pytest.approx(1e-6 * (4 * 10 * 2 * 50 + 10 * 50))
    assert decoder["of_limit"] == pytest.approx(decoder["least_ms"] / decoder["ms"])
    assert rows[2]["least_ms"] is None and rows[3]["least_ms"] > decoder["least_ms"]


def test_a_single_step_is_shown_as_it_is():
    only = report(1, 1, 2.0, {"decoder": 0.5})
    rows = profiling._rows(only, only, LIMITS)
    assert [row["ms"] for row in rows] == [500.0, 1500.0, 2000.0]


def test_without_a_known_model_there_are_times_only():
    first, last = report(1, 1, 0.0, {}, {}), report(1, 3, 2.0, {"batch": 2.0}, {})
    assert all(row["least_ms"] is None for row in profiling._rows(first, last, LIMITS))


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", documents(120))


@pytest.mark.parametrize("method", ["doc2hash", "nphash"])
def test_records_in_a_pipe(method, corpus, tmp_path):
    hidden = ["-p", "hidden=8,"] if method == "nphash" else []
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, *hidden, "--method", method, "--profile")
    assert result.code == 0, result.err
    records = {record["part"]: record for record in jsonl(result.out)}
    assert {"batch", "first layer", "decoder", "optimiser", "validation", "a step"} <= records.keys()
    shares = [record["share"] for part, record in records.items() if part != "a step"]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert records["decoder"]["of_limit"] > 0 and records["validation"]["of_limit"] is None
    assert "GFLOP/s" in result.err and "documents" in result.err


def test_a_table_for_people_and_csv(corpus, tmp_path):
    told = ["--profile", "--format"]
    table = run("fit", corpus, "-o", tmp_path / "c", *SMALL, *told, "table").out.splitlines()
    assert table[0].split() == ["part", "ms", "a", "step", "share", "least", "ms", "of", "limit"]
    assert table[-1].startswith("a step") and "100.0%" in table[-1]
    csv = run("fit", corpus, "-o", tmp_path / "d", *SMALL, *told, "csv").out
    assert csv.startswith("part,ms,share,least_ms,of_limit\n")


def test_quiet_is_quiet(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--profile", "--quiet")
    assert result.err == "" and jsonl(result.out)[-1]["part"] == "a step"


def test_a_method_without_steps_says_so(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "itq", "--bits", "8", "--profile")
    assert (result.code, result.out) == (0, "")
    assert "no profile: itq does not learn by steps" in result.err


def test_an_interrupted_fit_shows_what_it_did(corpus, tmp_path, monkeypatch):
    report = training._Loop._report

    def stop(self, params, step, terms):
        report(self, params, step, terms)
        if (self.state.epoch, step) == (0, 4):
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Loop, "_report", stop)
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--profile")
    assert result.code == 130 and "interrupted in epoch 1" in result.err
    assert "means over 3 steps" in result.err
    assert json.loads(result.out.splitlines()[-1])["part"] == "a step"
    assert not (tmp_path / "c").exists()
