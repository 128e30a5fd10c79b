"""Documents that come and go: nphash add, update, remove, compact."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.sparse

from helpers.collecting import contents, documents, fails, files, fresh, jsonl, run, write_jsonl
from nphash.collection import Collection
from nphash.collection.manifest import write_lock
from nphash.corpus import Document


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


def test_added_documents_are_found(path, tmp_path):
    new = documents(5, start=30)
    result = run("add", path, write_jsonl(tmp_path / "new.jsonl", new))
    assert (result.code, result.out) == (0, "")
    assert result.err == f"5 added; 35 documents in {path}\n"
    assert contents(path)[0] == documents(35)
    assert jsonl(run("search", path, new[2].text, "-k", "1").out)[0]["id"] == new[2].id


def test_from_a_pipe(path):
    assert run("add", path, "-", "-q", stdin='{"id": "a", "text": "gold"}\n').err == ""
    assert run("add", path, "-", stdin="a line of wheat\n").code == 0
    assert len(contents(path)[0]) == 32


def test_unknown_words_are_told(path):
    result = run("add", path, "-", stdin='{"id": "a", "text": "xyzzy"}\n')
    assert "1 of them holds no word of the vocabulary" in result.err


def test_ids_that_are_taken(path, tmp_path):
    source = write_jsonl(tmp_path / "new.jsonl", documents(3, start=28))
    before = files(path)
    fails(1, "add", path, source, says=["has a document 'd28' already", "--if-exists"])
    assert files(path) == before
    assert "1 added, 2 skipped" in run("add", path, source, "--if-exists", "skip").err
    assert "3 added, 3 of them replaced older ones" in run("add", path, source, "--if-exists", "replace").err
    assert len(contents(path)[0]) == 31


@pytest.mark.parametrize(
    "text, says",
    [
        ('{"id": "a", "text": "x"}\n{"id": "b", "te', "line 2"),
        ('{"id": "a", "body": "x"}\n', "line 1"),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', "line 2"),
        (b'{"id": "a", "text": "\xff"}\n', "line 1"),
        ("", "no document"),
    ],
)
def test_a_broken_corpus_adds_nothing(path, tmp_path, text, says):
    source = tmp_path / "bad.jsonl"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = files(path)
    fails(1, "add", path, source, says=["bad.jsonl", says, "hint"])
    assert files(path) == before


def test_another_file_of_the_same_name_replaces_and_loses_nothing(path, tmp_path):
    for folder, texts in (
        ("one", ["gold ore", "wheat", "silver"]),
        ("two", ["gold ore", "corn", "bank", "loans"]),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    assert run("add", path, tmp_path / "one" / "notes.txt").code == 0
    before, other = files(path), tmp_path / "two" / "notes.txt"
    for choice in ("error", "skip", "replace"):
        says = ["'notes.txt:2' already, with another text", "file name and line", "--id-prefix", "--id-field"]
        fails(1, "add", path, other, "--if-exists", choice, says=says)
        assert files(path) == before
    assert "4 added" in run("add", path, other, "--id-prefix", "two/").err
    assert [d.id for d in contents(path)[0][-2:]] == ["two/notes.txt:3", "two/notes.txt:4"]


def test_a_prefix_is_a_name_by_which_to_skip_and_replace(path):
    named = ("add", path, "-", "--id-prefix", "monday ")
    assert run(*named, stdin="gold\nwheat\n").code == 0
    assert "1 added, 1 of them replaced" in run(*named, "--if-exists", "replace", stdin="silver\n").err
    assert {d.id: d.text for d in contents(path)[0][30:]} == {
        "monday stdin:1": "silver",
        "monday stdin:2": "wheat",
    }
    assert "1 added" in run("add", path, "-", stdin="gold\n").err
    fails(1, "add", path, "-", stdin="silver\n", says=["'stdin:1' already, with another text", "--id-prefix"])


def test_the_same_file_again_can_be_skipped(path, tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("gold\nwheat\n", encoding="utf-8")
    run("add", path, source)
    source.write_text("gold\nwheat\nore\n", encoding="utf-8")
    assert "1 added, 2 skipped" in run("add", path, source, "--if-exists", "skip").err


def test_paths_in_a_folder_are_ids(path, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("gold", encoding="utf-8")
    run("add", path, folder)
    (folder / "a.txt").write_text("wheat", encoding="utf-8")
    assert "1 of them replaced" in run("add", path, folder, "--if-exists", "replace").err


def test_rows_of_a_matrix_have_ids_that_are_made_up(path, tmp_path):
    words = tmp_path / "words"
    words.write_text("gold\nwheat\n", encoding="utf-8")
    source = tmp_path / "x.svm"
    for content in ("1 1:1\n", "1 2:1\n"):
        source.write_text(content, encoding="utf-8")
        result = run("add", path, source, "--vocabulary", words, "--if-exists", "replace")
    assert result.code == 1 and "with another text" in result.err
    assert run("add", path, source, "--vocabulary", words, "--id-prefix", "new ").code == 0
    assert contents(path)[0][-1].id == "new x.svm:1"


def test_writers_at_once_can_wait_for_each_other(path):
    """In threads: the lock belongs to a descriptor, and each opens its own."""

    def add(number):
        with Collection.open(path) as collection:
            collection.add([Document(f"n{number}", "gold")], wait=60)

    with write_lock(path):
        fails(1, "add", path, "-", stdin="gold\n", says=["another process", "--wait"])
        fails(1, "remove", path, "d1", "--wait", "0.1", says="another process")
        threads = [threading.Thread(target=add, args=[number]) for number in range(6)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert {d.id for d in contents(path)[0][30:]} == {f"n{number}" for number in range(6)}
    assert run("add", path, "-", "--wait", "1", stdin="gold\n").code == 0
    assert run("remove", path, "d1", "--compact", "--wait", "1").code == 0


def test_later_documents_are_read_as_the_first_ones_were(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="latin-1")
        return tmp_path / name

    first = write("a.jsonl", '{"body": "wheat caf\xe9"}\n{"body": "gold caf\xe9"}\n')
    how = ["--text-field", "body", "--encoding", "latin-1"]
    assert run("fit", first, "--method", "sign", "-o", tmp_path / "c", *how).code == 0
    later = write("b.jsonl", '{"body": "wheat caf\xe9"}\n')
    assert run("add", tmp_path / "c", later).code == 0
    assert "caf\xe9" in run("search", tmp_path / "c", "caf\xe9", "--format", "jsonl").out
    assert run("encode", tmp_path / "c", later).code == 0
    failed = run("add", tmp_path / "c", later, "--encoding", "utf-8", "--id-prefix", "x")
    assert failed.code == 1 and "is not utf-8" in failed.err


def test_columns_keep_their_numbers_and_their_width(tmp_path):
    (tmp_path / "a.svm").write_text("1 0:1 1:2\n1 1:1 2:1 3:4\n", encoding="utf-8")
    (tmp_path / "b.svm").write_text("1 1:2\n", encoding="utf-8")
    (tmp_path / "wide.svm").write_text("1 1:2 4:1\n", encoding="utf-8")
    assert run("fit", tmp_path / "a.svm", "--method", "sign", "-o", tmp_path / "c").code == 0
    auto = run("encode", tmp_path / "c", tmp_path / "b.svm").out
    assert auto == run("encode", tmp_path / "c", tmp_path / "b.svm", "--index-base", "0").out
    assert auto != run("encode", tmp_path / "c", tmp_path / "b.svm", "--index-base", "1").out
    failed = run("add", tmp_path / "c", tmp_path / "wide.svm")
    assert failed.code == 1 and "the last of 4 columns is 3" in failed.err
    scipy.sparse.save_npz(tmp_path / "d.npz", scipy.sparse.csr_matrix([[0.0, 1.0, 2.0]]))
    failed = run("add", tmp_path / "c", tmp_path / "d.npz")
    assert failed.code == 1 and "the matrix has 3 columns, but the collection was made of 4" in failed.err


def test_remove_by_id(tmp_path):
    path = fresh(tmp_path)
    result = run("remove", path, "d3", "d4")
    assert (result.code, result.out, result.err) == (0, "", f"2 removed; 28 documents in {path}\n")
    assert "d3" not in [document.id for document in contents(path)[0]]


def test_ids_from_a_pipe(tmp_path):
    path = fresh(tmp_path)
    assert run("remove", path, "-", "-q", stdin="d1\n\nd2\n").err == ""
    assert len(contents(path)[0]) == 28


def test_unknown_ids_remove_nothing(tmp_path):
    path = fresh(tmp_path)
    before = files(path)
    fails(1, "remove", path, "d1", "nobody", says=["no document 'nobody'", "nothing was removed"])
    assert files(path) == before
    assert "1 removed" in run("remove", path, "d1", "nobody", "--ignore-missing").err


def test_compacting(tmp_path):
    path = fresh(tmp_path)
    assert "compacted: 29 documents" in run("remove", path, "d1", "--compact").err
    assert run("remove", path, "--compact").code == 0
    assert not list(path.glob("removed-*"))
    assert len(contents(path)[0]) == 29


def test_something_must_be_asked_for(tmp_path):
    fails(2, "remove", fresh(tmp_path), says="Give IDS")


def test_the_command_compact(tmp_path):
    path = fresh(tmp_path)
    run("remove", path, "d1", "d2")
    result = run("compact", path)
    assert (result.code, result.out, result.err) == (0, "", f"compacted: 28 documents in {path}\n")
    with Collection.open(path) as collection:
        assert collection.manifest.n_removed == 0 and len(collection) == 28
    assert run("compact", path, "-q").err == ""


def test_ids_with_blanks_and_a_dash_are_removed_by_a_pipe(tmp_path):
    ids = [" a ", "-", "b ", "\tc", "d"]
    source = write_jsonl(tmp_path / "a.jsonl", [Document(id_, "whale ship") for id_ in ids])
    run("fit", source, "--method", "sign", "-o", tmp_path / "c", "-q")
    assert fails(1, "remove", tmp_path / "c", "-", stdin="a\n", says=["no document 'a'"])
    assert run("remove", tmp_path / "c", "-", stdin=" a \n\n-\r\nb \n\tc\n").code == 0
    with Collection.open(tmp_path / "c") as collection:
        assert [document.id for document in collection.documents] == ["d"]


def test_names_of_files_meet_however_they_are_spelled(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    names = [b"caf\xe9.txt", b"caf\xe8.txt", "nai\u0308ve.txt".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("whale ship", encoding="utf-8")
    fitted = run("fit", folder, "--method", "sign", "-o", tmp_path / "c", "-q")
    assert fitted.code == 0, fitted
    found = [row["id"] for row in jsonl(run("search", tmp_path / "c", "whale", "--format", "jsonl").out)]
    encoded = [row["id"] for row in jsonl(run("encode", tmp_path / "c", folder, "--format", "jsonl").out)]
    assert sorted(found) == sorted(encoded) == ["caf\\xe8.txt", "caf\\xe9.txt", "nai\u0308ve.txt"]
    for spelling in ("na\u00efve.txt", "nai\u0308ve.txt", os.fsdecode(b"caf\xe9.txt"), "caf\\xe9.txt"):
        assert run("search", tmp_path / "c", "--like", spelling).code == 0
    assert fails(1, "add", tmp_path / "c", folder, says=["already"])
    again = run("add", tmp_path / "c", folder, "--if-exists", "skip")
    assert "0 added, 3 skipped" in again.err
    removed = run("remove", tmp_path / "c", "-", stdin=b"caf\xe8.txt\n" + "na\u00efve.txt\n".encode())
    assert "2 removed" in removed.err


def test_update_says_what_it_did(tmp_path):
    path = fresh(tmp_path)
    corpus = [replace(documents(1)[0], text="gold"), *documents(28, start=1), *documents(2, start=40)]
    source = write_jsonl(tmp_path / "now.jsonl", corpus)
    said = run("update", path, source).err
    assert said.endswith(f"2 added, 1 changed, 1 removed; 31 documents in {path}\n")
    assert {document.id: document for document in contents(path)[0]} == {d.id: d for d in corpus}
    before = files(path)
    assert "0 added, 0 changed, 0 removed" in run("update", path, source).err
    assert files(path) == before
    (tmp_path / "none.jsonl").write_text("\n", encoding="utf-8")
    fails(1, "update", path, tmp_path / "none.jsonl", says="holds no document")
    part = write_jsonl(tmp_path / "part.jsonl", corpus[:9])
    fails(1, "update", path, part, says=["22 of the 31 documents are not in the corpus", "--force"])
    assert files(path) == before
    assert "22 removed; 9 documents" in run("update", path, part, "--force").err


def test_fields_are_kept_where_they_are_asked_for(tmp_path):
    source = tmp_path / "a.jsonl"
    rows = [{"id": str(i), "text": "gold ore", "year": str(2000 + i), "author": "x"} for i in range(9)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name, options, kept in [
        ("one", ["--field", "year"], {"year"}),
        ("all", ["--fields", "all"], {"year", "author"}),
        ("none", [], set()),
    ]:
        run("fit", source, "--method", "sign", "-o", tmp_path / name, "-q", *options)
        with Collection.open(tmp_path / name) as collection:
            assert all(set(document.fields) == kept for document in collection.documents)
    found = jsonl(run("search", tmp_path / "one", "gold", "--where", "year>=2006", "--format", "jsonl").out)
    assert sorted(record["id"] for record in found) == ["6", "7", "8"]
    # what fit was asked to keep, add keeps
    source.write_text(json.dumps({**rows[0], "id": "new"}) + "\n", encoding="utf-8")
    run("add", tmp_path / "one", source)
    with Collection.open(tmp_path / "one") as collection:
        assert collection.documents["new"].fields == {"year": "2000"}
    fails(2, "fit", source, "-o", tmp_path / "x", "--field", "a", "--fields", "all", says="not both")
