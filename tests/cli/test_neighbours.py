"""All documents compared with each other: nphash duplicates, nphash neighbours."""

import csv
import errno
import io
from itertools import pairwise

import numpy as np
import pytest

from helpers.collecting import SignHash, documents, fails, fresh, jsonl, opened, run
from nphash.cli.output import many
from nphash.codes import hamming_distances
from nphash.collection import Collection
from nphash.corpus import Document


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


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
    assert result.err.startswith(many(len(grouped), "group") + " ")
    assert "too many" not in result.err and "the same text as another of the group" in result.err


def test_everything_is_one_group_at_the_width_of_the_codes(path):
    records = jsonl(run("duplicates", path, "--radius", 16, "-q").out)
    assert [record["id"] for record in records] == [f"d{i}" for i in range(30)]
    assert {record["group"] for record in records} == {1}


def test_table_and_csv(path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("duplicates", path, "--radius", 16, tty=True).out.splitlines()
    assert lines[0] == "group 1: 30 documents" and len(lines) == 31
    assert lines[1].split()[:3] == ["0", "1.00", "d0"] and all(len(line) <= 60 for line in lines)
    texts = {line[13:].index("  ") for line in lines[11:]}  # d10, d11, ...
    assert lines[1][13:18] == "d0   " and texts == {3}
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


@pytest.fixture
def copied(tmp_path):
    """All within 16 bits; d3 and d5 each with a copy, d4 with other words in other order."""
    with opened(tmp_path) as collection:
        texts = [document.text for document in documents(6)]
        turned = " ".join(reversed(texts[4].split()))
        collection.add([Document("c3", texts[3]), Document("c5", texts[5]), Document("t4", turned)])
        return collection.path


def test_same_texts_are_told_from_shared_codes(copied, monkeypatch):
    result = run("duplicates", copied, "--radius", 16)
    assert result.err == (
        "1 group with codes within 16 bits; 4 documents have the same text as another of the group\n"
    )
    records = {record["id"]: record for record in jsonl(result.out)}
    assert {id_ for id_, record in records.items() if record["same_text"]} == {"d3", "c3", "d5", "c5"}
    with Collection.open(copied) as collection:
        first = collection.documents["d0"].text
        hits = collection.search([first], k=None)[0]
    assert records["d0"]["similarity"] == 1 and not records["d0"]["same_text"]
    assert {id_: record["similarity"] for id_, record in records.items()} == pytest.approx(
        {hit.id: hit.similarity for hit in hits}, abs=1e-6
    )
    table = run("duplicates", copied, "--radius", 16, "--format", "table").out
    assert table.startswith("group 1: 33 documents, 4 with the same text as another\n")
    assert " with the same code; " in run("duplicates", copied).err


def test_groups_of_like_texts_alone(copied):
    result = run("duplicates", copied, "--radius", 16, "--min-similarity", 1)
    groups = {}
    for record in jsonl(result.out):
        assert (record["size"], record["similarity"]) == (2, 1)
        assert record["same_text"] is ("4" not in record["id"])
        groups.setdefault(record["group"], []).append(record["id"])
    assert groups == {1: ["d3", "c3"], 2: ["d4", "t4"], 3: ["d5", "c5"]}
    assert "3 groups with codes within 16 bits and texts of similarity 1 or more; 4 doc" in result.err
    fails(2, "duplicates", copied, "--min-similarity", "0", says="--min-similarity")


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
def test_records_neighbours(path, k):
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


def test_table_and_csv_neighbours(path):
    lines = run("neighbours", path, "-k", 1, "--format", "table").out.splitlines()
    assert lines[0].split() == ["id", "rank", "neighbour", "distance"] and len(lines) == 31
    rows = list(csv.DictReader(io.StringIO(run("neighbours", path, "-k", 1, "--format", "csv").out)))
    assert rows[0]["id"] == "d0" and rows[0]["rank"] == "1"


def test_one_document_has_none(path):
    run("remove", path, *(f"d{i}" for i in range(1, 30)))
    result = run("neighbours", path)
    assert result.code == 0 and result.out == "" and "no neighbours" in result.err


def test_bad_use_neighbours(path, tmp_path):
    fails(2, "neighbours", path, "-k", "0", says="-k")
    fails(2, "neighbours", path, "-o", tmp_path / "graph.csv", says=".npz")
    fails(1, "neighbours", path, "-o", tmp_path / "no" / "graph.npz", says="No such file")


def test_one_long_id_does_not_widen_all_of_them(tmp_path):
    path, docs = tmp_path / "c", documents(9)
    docs[3] = Document("\u00e9" * 50_000, docs[3].text)
    Collection.create(path, SignHash(16), docs).close()
    assert run("neighbours", path, "-k", 2, "-o", tmp_path / "n.npz").code == 0
    assert (tmp_path / "n.npz").stat().st_size < 150_000
    with np.load(tmp_path / "n.npz") as file:
        text, ends = file["ids_utf8"].tobytes(), [0, *file["ids_end"].tolist()]
    assert [text[a:b].decode() for a, b in pairwise(ends)] == [doc.id for doc in docs]


def test_what_cannot_be_written_is_named(path, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    fails(1, "neighbours", path, "-o", tmp_path / "n.npz", says=["n.npz: the disk is full", "make room"])
