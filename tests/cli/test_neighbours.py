"""All documents compared with each other: nphash duplicates, nphash neighbours."""

import csv
import errno
import io
from itertools import pairwise

import numpy as np
import pytest

from helpers.collecting import SignHash, documents, fails, fresh, jsonl, naive_cosine, opened, run
from nphash.cli.neighbours import LEAST
from nphash.cli.output import many
from nphash.codes import hamming_distances
from nphash.collection import Collection, grouping
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
        cosines = {d.id: naive_cosine(collection.vectorizer, first, d.text) for d in collection.documents}
    assert records["d0"]["similarity"] == 1 and not records["d0"]["same_text"]
    assert {id_: record["similarity"] for id_, record in records.items()} == pytest.approx(cosines, abs=1e-6)
    table = run("duplicates", copied, "--radius", 16, "--format", "table").out
    assert table.startswith("group 1: 33 documents, 4 with the same text as another\n")
    assert " with the same code; " in run("duplicates", copied, "--radius", 0).err


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


def groups_in(result):
    groups = {}
    for record in jsonl(result.out):
        groups.setdefault(record["group"], []).append(record["id"])
    return list(groups.values())


def test_texts_decide_unless_a_radius_is_given(copied):
    result = run("duplicates", copied)
    assert result.out == run("duplicates", copied, "--min-similarity", grouping.LEAST).out
    assert groups_in(result) == [["d3", "c3"], ["d4", "t4"], ["d5", "c5"]]
    assert result.err.startswith("3 groups with texts of similarity 0.95 or more; 4 documents have")
    assert LEAST == grouping.LEAST and f"[default: {LEAST}" in run("duplicates", "--help").out
    both = run("duplicates", copied, "--radius", 0, "--min-similarity", 0.3)
    assert " with the same code and texts of similarity 0.3 or more; " in both.err
    texts = groups_in(run("duplicates", copied, "--min-similarity", 0.3))
    assert len(texts) < len(groups_in(both)) and sum(map(len, texts)) > sum(map(len, groups_in(both)))


def test_a_preview_counts_what_each_threshold_gives(copied):
    records = jsonl(run("duplicates", copied, "--preview").out)
    assert [record.pop("min_similarity") for record in records] == list(grouping.THRESHOLDS)
    for record, least in zip(records, grouping.THRESHOLDS, strict=True):
        sizes = [len(group) for group in groups_in(run("duplicates", copied, "--min-similarity", least))]
        assert record == {"groups": len(sizes), "documents": sum(sizes), "largest": max(sizes)}
    by_codes = jsonl(run("duplicates", copied, "--preview", "--radius", 2).out)
    assert [record.pop("radius") for record in by_codes] == [0, 1, 2]
    for radius, record in enumerate(by_codes):
        sizes = [len(group) for group in groups_in(run("duplicates", copied, "--radius", radius))]
        assert record == {"groups": len(sizes), "documents": sum(sizes), "largest": max(sizes)}
    table = run("duplicates", copied, "--preview", tty=True).out.splitlines()
    assert "min_similarity  groups  documents  largest" in table[0] and len(table) == 8


def test_what_is_not_kept_can_be_removed(copied):
    result = run("duplicates", copied, "--keep", "first")
    assert result.out.split() == ["c3", "t4", "c5"]
    assert result.err == "3 documents to drop: 2 with the same text as one that stays\n"
    assert run("duplicates", copied, "--keep", "newest", "-q").out.split() == ["d3", "d4", "d5"]
    records = jsonl(run("duplicates", copied, "--keep", "longest", "--format", "jsonl").out)
    assert records[1] == {"id": "t4", "kept": "d4", "similarity": 1.0, "same_text": False}
    assert [record["kept"] for record in records] == ["d3", "d4", "d5"]
    table = run("duplicates", copied, "--keep", "first", "--format", "table").out.splitlines()
    assert table[1].split() == ["c3", "d3", "1.0", "True"] and len(table) == 4
    assert run("remove", copied, "-", stdin=result.out).code == 0
    assert run("duplicates", copied).out == run("duplicates", copied, "--keep", "first").out == ""


def test_the_longest_is_kept(tmp_path):
    with opened(tmp_path) as collection:
        text = next(iter(collection.documents)).text
        collection.add(
            [Document("long", f"{text} {'unheard ' * 9}"), Document("longer", f"{text} {'un ' * 99}")]
        )
    assert run("duplicates", tmp_path / "c", "--keep", "longest", "-q").out.split() == ["long", "d0"]


def test_codes_alone_decide_what_is_dropped(path):
    with Collection.open(path) as collection:
        codes = {
            document.id: code for document, code in zip(collection.documents, collection.codes, strict=True)
        }
    records = jsonl(run("duplicates", path, "--radius", 2, "--keep", "first", "--format", "jsonl").out)
    dropped = {record["id"] for record in records}
    for record in records:
        assert record["kept"] not in dropped
        assert hamming_distances(codes[record["id"]][None], codes[record["kept"]][None])[0, 0] <= 2
    stay = np.array([code for id_, code in codes.items() if id_ not in dropped])
    assert (hamming_distances(stay, stay) <= 2).sum() == len(stay) < len(codes)


def test_ids_reach_a_pipe_as_they_are_and_a_terminal_as_escapes(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document("\x1b]0;x", next(iter(collection.documents)).text)])
    assert run("duplicates", tmp_path / "c", "--keep", "first").out == "\x1b]0;x\n"
    assert run("duplicates", tmp_path / "c", "--keep", "first", tty=True).out == "\\x1b]0;x\n"


@pytest.mark.parametrize("id_", ["d1\nd2", " d1", "d1\r", "d1\u2028d2"])
def test_an_id_that_would_be_read_as_another_is_no_line(tmp_path, id_):
    with opened(tmp_path) as collection:
        collection.add([Document(id_, next(iter(collection.documents)).text)])
    result = run("duplicates", tmp_path / "c", "--keep", "first")
    assert result.out == "" and "1 id cannot stand on a line" in result.err
    [record] = jsonl(run("duplicates", tmp_path / "c", "--keep", "first", "--format", "jsonl").out)
    assert record["id"] == id_


def test_against_another_collection(copied, tmp_path):
    other = fresh(tmp_path, n=4, n_bits=64, name="other")
    with Collection.open(other) as collection:
        collection.add([Document("again", next(iter(collection.documents)).text)])
    result = run("duplicates", copied, "--against", other)
    records = {record["id"]: record for record in jsonl(result.out)}
    assert {id_: record["match"] for id_, record in records.items()} == {
        "d0": "d0", "d1": "d1", "d2": "d2", "d3": "d3", "c3": "d3"
    }  # fmt: skip
    assert all(record["same_text"] and record["similarity"] == 1 for record in records.values())
    assert list(records["c3"]) == ["id", "match", "similarity", "same_text", "labels", "snippet"]
    assert (
        result.err == f"5 of 33 documents are in {other}, of similarity 0.95 or more: 5 with the same text\n"
    )
    ids = run("duplicates", copied, "--against", other, "--keep", "first", "-q").out.split()
    assert ids == ["d0", "d1", "d2", "d3", "c3"]
    lines = run("duplicates", copied, "--against", other, tty=True).out.splitlines()
    assert all(name in lines[0] for name in records["c3"]) and len(lines) == 6
    assert run("duplicates", other, "--against", copied, "--min-similarity", 1, "-q").out.count("\n") == 5


def test_options_that_contradict_each_other(copied, tmp_path):
    fails(2, "duplicates", copied, "--preview", "--keep", "first", says="--preview")
    fails(2, "duplicates", copied, "--against", copied, says="is the collection itself")
    fails(1, "duplicates", copied, "--against", tmp_path / "none", says="there is no collection")
    fails(2, "duplicates", copied, "--against", copied, "--radius", "1", says="--against")
    fails(2, "duplicates", copied, "--against", copied, "--keep", "newest", says="--keep")


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
