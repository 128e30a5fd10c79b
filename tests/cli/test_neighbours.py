"""nphash neighbours: the neighbour graph."""

import csv
import io

import numpy as np
import pytest

from helpers.collecting import fails, fresh, jsonl, run
from nphash.codes import hamming_distances
from nphash.collection import Collection


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


def expected(path, k):
    """For each id the k nearest other (distance, id) by (distance, order)."""
    with Collection.open(path) as collection:
        ids = [document.id for document in collection.documents]
        distances = hamming_distances(collection.codes, collection.codes)
    graph = {}
    for i, id_ in enumerate(ids):
        order = [j for j in np.argsort(distances[i], kind="stable").tolist() if j != i][:k]
        graph[id_] = [(int(distances[i, j]), ids[j]) for j in order]
    return graph


@pytest.mark.parametrize("k", [1, 4, 29, 100])
def test_records(path, k):
    found = {}
    for record in jsonl(run("neighbours", path, "-k", k).out):
        found.setdefault(record["id"], []).append((record["distance"], record["neighbour"]))
        assert record["rank"] == len(found[record["id"]])
    assert found == expected(path, k)


def test_after_removals(path):
    run("remove", path, "d0", "d7")
    records = jsonl(run("neighbours", path, "-k", 3).out)
    found = {}
    for record in records:
        found.setdefault(record["id"], []).append((record["distance"], record["neighbour"]))
    assert found == expected(path, 3) and "d7" not in found


def test_npz(path, tmp_path):
    output = tmp_path / "graph.npz"
    result = run("neighbours", path, "-k", 2, "-o", output)
    assert result.code == 0 and result.out == "" and "30 documents, 2 neighbours each" in result.err
    with np.load(output, allow_pickle=False) as arrays:
        ids, rows, distances = arrays["ids"], arrays["neighbours"], arrays["distances"]
    found = {
        str(ids[i]): [(int(d), str(ids[row])) for d, row in zip(distances[i], rows[i], strict=True)]
        for i in range(30)
    }
    assert found == expected(path, 2)
    fails(1, "neighbours", path, "-o", output, says=["exists already", "--force"])
    assert run("neighbours", path, "-k", 5, "-o", output, "--force", "-q").err == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "graph.npz"]


def test_a_dash_is_standard_output(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("neighbours", path, "-k", 1, "-o", "-").out == run("neighbours", path, "-k", 1).out != ""
    assert not (tmp_path / "-").exists()


def test_table_and_csv(path):
    lines = run("neighbours", path, "-k", 1, "--format", "table").out.splitlines()
    assert lines[0].split() == ["id", "rank", "neighbour", "distance"] and len(lines) == 31
    rows = list(csv.DictReader(io.StringIO(run("neighbours", path, "-k", 1, "--format", "csv").out)))
    assert rows[0]["id"] == "d0" and rows[0]["rank"] == "1"


def test_one_document_has_none(path):
    run("remove", path, *(f"d{i}" for i in range(1, 30)))
    result = run("neighbours", path)
    assert result.code == 0 and result.out == "" and "no neighbours" in result.err


def test_bad_use(path, tmp_path):
    fails(2, "neighbours", path, "-k", "0", says="-k")
    fails(2, "neighbours", path, "-o", tmp_path / "graph.csv", says=".npz")
    fails(1, "neighbours", path, "-o", tmp_path / "no" / "graph.npz", says="No such file")
