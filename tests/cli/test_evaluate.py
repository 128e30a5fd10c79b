import pytest

from helpers.collecting import documents, fails, fresh, jsonl, opened, run, write_jsonl
from nphash.collection import Collection
from nphash.collection.evaluation import QuerySample, evaluate_own


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


def test_own_documents(path):
    [record] = jsonl(run("evaluate", path, "-k", "9").out)
    with Collection.open(path) as collection:
        expected = evaluate_own(collection, 9)
    assert record["precision"] == expected.figures["precision"]
    assert (record["k"], record["n_queries"], record["n_documents"]) == (9, 30, 29)
    assert 0 <= record["balance"] <= 1 and record["distinct"] <= 30


def test_a_sample(path):
    [record] = jsonl(run("evaluate", path, "--sample", "10", "--seed", "3").out)
    with Collection.open(path) as collection:
        expected = evaluate_own(collection, 100, QuerySample(10, 3))
    assert record["precision"] == expected.figures["precision"] and record["n_queries"] == 10


def test_the_table_says_what_is_what(path):
    lines = run("evaluate", path, "--format", "table").out.splitlines()
    assert lines[0].startswith("P@29, expected over ties")
    assert any(line.startswith("queries") and line.endswith("30") for line in lines)


def test_marked_documents_of_a_corpus_are_asked(path, tmp_path):
    corpus = documents(30) + documents(6, start=40, split="test")
    result = run("evaluate", path, write_jsonl(tmp_path / "all.jsonl", corpus))
    [record] = jsonl(result.out)
    assert (record["n_queries"], record["n_documents"]) == (6, 30)
    assert "6 of 36 documents are marked test" in result.err


def test_unmarked_documents_are_all_asked(path, tmp_path):
    result = run("evaluate", path, write_jsonl(tmp_path / "q.jsonl", documents(6, start=28)))
    assert jsonl(result.out)[0]["n_queries"] == 6
    assert "2 queries are documents of the collection, each excluded" in result.err


def test_it_is_always_the_hamming_order(path, tmp_path, monkeypatch):
    def never(*arguments):
        raise AssertionError("words were scored")

    monkeypatch.setattr("nphash.collection.ranking.Words.score", never)
    assert run("evaluate", path, write_jsonl(tmp_path / "q.jsonl", documents(6, start=40))).code == 0
    assert run("evaluate", path).code == 0


def test_labels_are_needed(path, tmp_path):
    queries = tmp_path / "q.jsonl"
    queries.write_text('{"id": "a", "text": "gold"}\n', encoding="utf-8")
    fails(1, "evaluate", path, queries, says=["no query has a label", "--label-field"])
    collection = opened(tmp_path / "second", n=30) if (tmp_path / "second").mkdir() is None else None
    collection.remove([f"d{i}" for i in range(30)])
    run("add", collection.path, queries)
    fails(1, "evaluate", collection.path, says=["has a label", "hint"])
    collection.remove(["a"])
    collection.close()
    for arguments in ([], [write_jsonl(tmp_path / "l.jsonl", documents(3))]):
        fails(1, "evaluate", tmp_path / "second" / "c", *arguments, says=["is empty", "hint"])


def test_unlabelled_queries_are_left_out(path, tmp_path):
    queries = write_jsonl(tmp_path / "q.jsonl", documents(3, start=40))
    with queries.open("a", encoding="utf-8") as file:
        file.write('{"id": "x", "text": "gold"}\n')
    result = run("evaluate", path, queries)
    assert "1 query has no label and was skipped" in result.err and jsonl(result.out)[0]["n_queries"] == 3


def test_labels_of_another_kind_are_said(path, tmp_path):
    queries = tmp_path / "q.jsonl"
    queries.write_text('{"id": "x", "text": "gold", "labels": "elsewhere"}\n', encoding="utf-8")
    result = run("evaluate", path, queries)
    assert "no query shares a label" in result.err and jsonl(result.out)[0]["precision"] == 0


def test_a_query_does_not_find_itself(path, tmp_path):
    """Whether it is in the collection or not: the figures are those before it was added."""
    corpus = write_jsonl(tmp_path / "all.jsonl", documents(30) + documents(1, start=40, split="test"))
    before = jsonl(run("evaluate", path, corpus, "-k", "10").out)[0]
    run("add", path, write_jsonl(tmp_path / "test.jsonl", documents(1, start=40, split="test")))
    result = run("evaluate", path, corpus, "-k", "10")
    after = jsonl(result.out)[0]
    for name in ("precision", "precision_by_order", "recall", "map", "ndcg", "precision_radius_2"):
        assert after[name] == pytest.approx(before[name]), name
    assert "1 query is a document of the collection, each excluded" in result.err


def test_a_line_of_another_file_is_another_document(path, tmp_path):
    for folder, text in (("one", "gold"), ("two", "wheat")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "q.txt").write_text(f"__label__metal {text}\n", encoding="utf-8")
    run("add", path, tmp_path / "one" / "q.txt")
    assert "are documents" not in (other := run("evaluate", path, tmp_path / "two" / "q.txt")).err
    assert "is a document" not in other.err
    assert "1 query is a document" in run("evaluate", path, tmp_path / "one" / "q.txt").err


def test_progress_is_shown_on_a_terminal(path, monkeypatch):
    from helpers.collecting import Stream, streams
    from nphash.cli.evaluate import ASKED
    from nphash.cli.progress import compared

    err = Stream(tty=True)
    with streams(Stream(), Stream(), err):
        show = compared(False, ASKED)
        assert compared(True, ASKED) is None
        show(7, 7)
    assert err.text() == "\rasked: 7 of 7 queries\n"
