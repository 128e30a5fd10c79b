"""The training race: who takes part, what a race and a fit give, what is kept of it."""

import sys

import numpy as np
import pytest

from benchmarks import training, training_data, training_growth


def test_what_was_measured_is_not_measured_again(tmp_path):
    def keep(again=False, turns=3):
        kept = training.Kept(tmp_path / "training.json", again)
        kept.once("cells", {"words": 5}, turns, lambda: {"turns": turns, "results": measured.append(turns)})
        return kept.found["cells"]

    measured = []
    assert [cell["turns"] for cell in keep()] == [3]
    assert [cell["turns"] for cell in keep()] == [3]
    assert measured == [3]
    assert [cell["turns"] for cell in keep(turns=12)] == [12]  # more turns than there are: in its place
    keep(again=True)
    assert measured == [3, 12, 3]


def test_a_corpus_that_is_not_at_hand_is_left_out(tmp_path, capsys):
    kept = training.Kept(tmp_path / "training.json", again=False)
    kept.once("cells", {"data": "none"}, 1, lambda: training_data.documents("none", 10, 10))
    assert kept.found["cells"] == []
    assert "left out, there is no" in capsys.readouterr().err


def test_everyone_races_in_the_main_cases_only():
    main, large = training.QUICK[0], training.Case("zipf", 20_000, 64, 100, 2)
    assert {"nphash", "torch-two", "torch-dense", "jax", "nphash-numpy"} <= set(main.contestants())
    assert "torch-compiled-malloc" in large.contestants()
    assert "jax" not in large.contestants()
    assert len(set(training.ALL)) == len(training.ALL)


def test_documents_follow_zipfs_law():
    X = training_data.documents("zipf", 300, 1000)
    assert X.shape == (300, 1000)
    assert 30 < X.nnz / 300 < 90
    counts = np.bincount(X.indices, minlength=1000)
    assert counts[:10].mean() > 10 * counts[500:].mean()


def test_turns_are_compared_one_by_one():
    ours = [{"wall": [0.010], "cpu": [0.02], "peak": 1024, "start": 512}] * 3
    slower = {"wall": [0.020, 0.030, 0.090], "cpu": [0.04], "peak": 2048, "start": 1024}
    figures = training.summary([slower, slower, slower | {"wall": [0.010]}], ours)
    assert figures["wall_ms"] == 30
    assert figures["wall_ratio"] == 3
    assert (figures["wall_ms_min"], figures["wall_ms_max"]) == (10, 30)
    assert figures["cpu_ratio"] == 2
    assert figures["peak_mb"] == 2


@pytest.mark.slow
def test_a_race_of_those_that_run_here(capsys):
    case = training.Case("zipf", 300, 8, 20, 1)
    results = training.race(case, 1, ["nphash", "no-such-contestant", "nphash-numpy"], sys.executable)
    assert set(results) == {"nphash", "nphash-numpy"}
    assert results["nphash"]["wall_ratio"] == 1
    assert 0 < results["nphash-numpy"]["cpu_ms"] < 10_000
    assert "no-such-contestant: left out" in capsys.readouterr().err


@pytest.mark.slow
def test_an_epoch_is_timed():
    figures = training_growth.measure(600, 200, 8, 1)
    assert figures["documents_a_second"] == pytest.approx(600 / figures["seconds"], rel=0.1)
    assert figures["peak_mb"] >= figures["start_mb"] > 0
