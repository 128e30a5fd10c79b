"""nphash duplicates: groups of nearly equal codes."""

import csv
import io

import numpy as np
import pytest
from collecting import fails, fresh, jsonl, run
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.cli.duplicates import groups_of
from nphash.cli.output import many
from nphash.codes import hamming_distances
from nphash.collection import Collection


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] != p[1]), max_size=20)
)
def test_groups_are_what_pairs_connect(pairs):
    groups = {i: {i} for pair in pairs for i in pair}
    for a, b in pairs:
        together = groups[a] | groups[b]
        for i in together:
            groups[i] = together
    expected = sorted({tuple(sorted(group)) for group in groups.values()})
    first, second = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    assert [tuple(group.tolist()) for group in groups_of(first, second)] == expected


@pytest.mark.parametrize("radius", [0, 2, 16])
def test_records(path, radius):
    result = run("duplicates", path, "--radius", radius)
    records = jsonl(result.out)
    with Collection.open(path) as collection:
        ids = [document.id for document in collection.documents]
        distances = hamming_distances(collection.codes, collection.codes)
        texts = {document.id: document.text for document in collection.documents}
    grouped = {}
    for record in records:
        grouped.setdefault(record["group"], []).append(record)
    for members in grouped.values():
        rows = [ids.index(record["id"]) for record in members]
        assert rows == sorted(rows) and len(rows) == members[0]["size"] > 1
        assert [record["distance"] for record in members] == distances[rows[0], rows].tolist()
        for i in range(1, len(rows)):  # each is near to some other of the group
            assert min(distances[rows[i], rows[:i] + rows[i + 1 :]]) <= radius
        assert all(texts[record["id"]].startswith(record["snippet"][:20]) for record in members)
    inside = {record["id"] for record in records}
    for i, id_ in enumerate(ids):
        others = np.delete(distances[i], i)
        assert (id_ in inside) == bool((others <= radius).any())
    assert (
        f"{many(len(grouped), 'group')}, {many(len(records) - len(grouped), 'document')} too many"
        in result.err
    )


def test_everything_is_one_group_at_the_width_of_the_codes(path):
    records = jsonl(run("duplicates", path, "--radius", 16, "-q").out)
    assert [record["id"] for record in records] == [f"d{i}" for i in range(30)]
    assert {record["group"] for record in records} == {1}


def test_table_and_csv(path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("duplicates", path, "--radius", 16, tty=True).out.splitlines()
    assert lines[0] == "group 1: 30 documents" and len(lines) == 31
    assert lines[1].split()[:2] == ["0", "d0"] and all(len(line) <= 60 for line in lines)
    texts = {line[7:].index("  ") for line in lines[11:]}  # d10, d11, ...
    assert lines[1][7:12] == "d0   " and texts == {3}
    rows = list(csv.DictReader(io.StringIO(run("duplicates", path, "--radius", 16, "--format", "csv").out)))
    assert len(rows) == 30 and rows[0]["labels"] == "grain"


def test_removed_documents_are_in_no_group(path):
    run("remove", path, "d1", "d2")
    records = jsonl(run("duplicates", path, "--radius", 16).out)
    assert [record["id"] for record in records] == [f"d{i}" for i in range(30) if i not in (1, 2)]


def test_nothing_found_is_no_error(tmp_path):
    path = fresh(tmp_path, n=3, n_bits=64)
    result = run("duplicates", path)
    assert result.code == 0 and result.out == "" and "0 groups" in result.err


def test_bad_use(path, tmp_path):
    fails(2, "duplicates", path, "--radius", "-1", says="--radius")
    fails(1, "duplicates", tmp_path / "none", says="none")
