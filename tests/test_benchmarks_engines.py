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
    assert engines.load() == {}
    engines.keep({"quality": {"precision": {"numba": {"0": 0.8}}}})
    found = json.loads((tmp_path / "engines.json").read_text(encoding="utf-8"))
    assert found["quality"]["precision"]["numba"] == {"0": 0.8} and "nphash" in found
    engines.keep({**engines.load(), "journey": {}})
    assert engines.load()["quality"] == found["quality"]


def test_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "RESULT", tmp_path / "engines.json")
    precision = {"numba": {"0": 0.80, "1": 0.82}, "numpy": {"0": 0.80, "1": 0.80}}
    journey = {"medians": {"numba": 3.0, "numpy": 4}, "medians of processors": {"numba": 5, "numpy": 6}}
    engines.keep({"quality": {"precision": precision}, "journey": journey})
    out = CliRunner().invoke(engines.main, ["table"]).output
    rows = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    assert rows["numba"] == ["numba", "0.8100", "±", "0.0141", "3.0", "5.0"]
    assert rows["numpy"] == ["numpy", "0.8000", "±", "0.0000", "4.0", "6.0"]
