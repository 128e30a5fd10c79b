"""The table of the suites: a row for each, with the figures of its file."""

from benchmarks import torture_table
from benchmarks.records import read, write
from torture import SUITES


def test_a_row_for_each_suite(tmp_path, monkeypatch):
    assert list(torture_table.TITLES) == SUITES
    one = {"what": "kills", "asked": 10_000, "reached": 12_345, "failures": ["a"], "seconds": 600}
    write(tmp_path / "t.json", {"suites": {"kills": one}})
    monkeypatch.setattr(torture_table, "RESULT", tmp_path / "t.json")
    rows = torture_table.suites().splitlines()
    assert len(rows) == 5
    assert rows[3].split()[-5:] == ["10,000", "kills", "12,345", "1", "10"]


def test_the_figures_in_the_documentation_are_those_of_suites_that_found_nothing():
    found = read(torture_table.RESULT)["suites"]
    assert found.keys() == set(SUITES)
    for name, one in found.items():
        assert one["failures"] == [] and one["reached"] > 0, name
