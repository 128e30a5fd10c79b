"""The search benchmark keeps its results job by job, and its small form runs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import search, search_common, search_scale
from benchmarks.search import Cell, Job, Kept


def job(k, records):
    return Job("cells", {"n": 5, "k": k}, lambda: records)


def test_records_take_the_place_of_those_of_the_same_job(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "circumstances", dict)
    path = tmp_path / "results.json"
    kept = Kept(path, empty=False)
    for k in (1, 2, 3):
        kept.put(job(k, []), [{"n": 5, "k": k, "wall": 1.0}])
    kept = Kept(path, empty=False)
    assert kept.has(job(2, [])) and not kept.has(job(4, []))
    kept.put(job(2, []), [{"n": 5, "k": 2, "wall": 2.0}, {"n": 5, "k": 2, "wall": 3.0}])
    walls = [one["wall"] for one in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert walls == [1.0, 2.0, 3.0, 1.0]
    assert not Kept(path, empty=True).has(job(1, []))


def test_only_what_is_missing_is_measured(tmp_path, monkeypatch):
    measured = []

    def jobs(quick, threads, rounds):
        for n in (1, 2):
            yield Job("growth", {"n": n}, lambda n=n: measured.append(n) or [{"n": n, "plan": "numpy"}])
        yield Job("billion", {"n": 3}, lambda: measured.append(3) or [{"n": 3}], gigabytes=1e9)

    monkeypatch.setattr(search, "jobs", jobs)
    monkeypatch.setattr(search, "circumstances", dict)
    path = tmp_path / "results.json"
    for arguments, expected in (
        (["--only", "n=2"], [2]),
        ([], [1]),
        ([], []),
        (["--again", "--only", "n=1"], [1]),
        (["--again"], [1, 2]),
    ):
        measured.clear()
        result = CliRunner().invoke(search.cli, ["run", "-o", str(path), *arguments])
        assert result.exit_code == 0 and measured == expected, result.output
    assert "billion n=3: left out for want of memory" in result.output
    assert [one["n"] for one in json.loads(path.read_text(encoding="utf-8"))["growth"]] == [1, 2]


def test_everything_to_measure_is_named_differently():
    for quick in (True, False):
        names = [(one.section, *one.key.values()) for one in search.jobs(quick, [1, 2], 1)]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", ["random", "clustered"])
def test_codes_have_their_bits_and_are_the_same_each_time(kind):
    codes, queries = search_common.make_codes(kind, 500, 32, 7)
    assert codes.shape == (500, 8) and queries.shape == (7, 8) and not codes[:, 4:].any()
    assert np.array_equal(search_common.make_codes(kind, 500, 32, 7)[0], codes)


@pytest.mark.slow  # compiles each way of search with each number of threads
def test_a_cell():
    pytest.importorskip("faiss")
    (record,) = search.run_cell(Cell("random", 64, 3000, 1, 4), 2, 1)
    assert set(record["times"]) == {
        "nphash", "bit-sliced", "popcount", "faiss heap", "faiss counts", "reading",
    }  # fmt: skip
    assert record["ratio_wall"] > 0 and record["share_of_reading"] > 0


@pytest.mark.compiled
def test_growth_and_many_codes():
    records = search_scale.growth("clustered", 2000, 1)
    assert [one["k"] for one in records] == [1, 10, 100, 1000]
    assert all(one["bytes_per_code"] > 8 and one["build_per_second"] > 0 for one in records)
    (record,) = search_scale.billion(20_000)  # compares two answers with NumPy's
    assert record["n"] == 20_000


@pytest.mark.slow
def test_approximate_peers():
    pytest.importorskip("faiss")
    for name in search_scale.PEERS:
        for record in search_scale.approximate(name, 50_000, 1):
            assert 0.3 < record["recall"] <= 1
