import pytest
from collecting import contents, documents, fails, files, fresh, jsonl, run, write_jsonl


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


def test_added_documents_are_found(path, tmp_path):
    new = documents(5, start=30)
    result = run("add", path, write_jsonl(tmp_path / "new.jsonl", new))
    assert (result.code, result.out) == (0, "")
    assert result.err == f"5 added; 35 documents in {path}\n"
    assert contents(path)[0] == documents(35)
    assert jsonl(run("search", path, new[2].text, "-k", "1").out)[0]["similarity"] == pytest.approx(1)


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
