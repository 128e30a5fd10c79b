"""The comparison of engines: its verdict, and that a measurement begun goes on."""

import json

import pytest
from click.testing import CliRunner

from benchmarks import engines


@pytest.mark.parametrize(
    ("numba", "numpy", "within"),
    [
        ([0.80, 0.82], [0.80, 0.82], True),
        ([0.80, 0.82], [0.81, 0.83], True),
        ([0.80, 0.81], [0.82, 0.83], False),
        ([0.82, 0.83], [0.80, 0.81], False),
    ],
)
def test_means_are_compared_by_the_spread_of_seeds(numba, numpy, within):
    found = engines.verdict(numba, numpy)
    assert found["within one standard deviation"] is within
    assert found["difference"] == pytest.approx(sum(numba) / 2 - sum(numpy) / 2)


def test_what_has_been_measured_is_kept_beside_what_it_was_measured_on(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "RESULT", tmp_path / "engines.json")
    engines.keep(quality={"precision": {"numba": {"0": 0.8}}})
    found = json.loads((tmp_path / "engines.json").read_text(encoding="utf-8"))
    assert found["quality"]["precision"]["numba"] == {"0": 0.8} and "nphash" in found
    engines.keep(journeys={})
    again = json.loads((tmp_path / "engines.json").read_text(encoding="utf-8"))
    assert again["quality"] == found["quality"] and again["journeys"] == {}


def test_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "RESULT", tmp_path / "engines.json")
    quality = {
        "settings": {"method": "doc2hash", "bits": 32},
        "precision": {"numba": {"0": 0.80, "1": 0.82}, "numpy": {"0": 0.80, "1": 0.80}},
        **engines.verdict([0.80, 0.82], [0.80, 0.80]),
    }
    twice = {
        "seconds": {"numba": [2.0, 4.0], "numpy": [4.0]},
        "medians": {"numba": 3.0, "numpy": 4.0},
        "medians of processors": {"numba": 5, "numpy": 6},
    }
    engines.keep(quality=quality, journeys={"nphash fit a": twice})
    text, *table = CliRunner().invoke(engines.main, ["table"]).output.splitlines()
    assert "2 seeds: 0.8100 ± 0.0141 with" in text and "0.8000 ± 0.0000 with" in text
    rows = [line.replace("``nphash fit a``", "").split() for line in table if "nphash fit a" in line]
    assert rows == [["numba", "3.0", "2.0", "to", "4.0", "5.0"], ["numpy", "4.0", "\\", "6.0"]]
