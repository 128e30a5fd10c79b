"""nphash search, and the words of a query."""

import csv
import io
import shutil

import pytest

from helpers.collecting import fails, fresh, jsonl, opened, run
from helpers.paths import TESTS
from nphash.cli.search import QueryWords, query_words
from nphash.collection import Collection
from nphash.corpus import Document

QUERY = "gold silver mine"


@pytest.fixture
def path(tmp_path):
    return fresh(tmp_path)


def test_json_lines_in_a_pipe(path):
    result = run("search", path, QUERY, "-k", "3")
    assert result.code == 0 and result.err == ""
    records = jsonl(result.out)
    with Collection.open(path) as collection:
        hits = collection.search([QUERY], k=3)[0]
    assert [(r["rank"], r["id"], r["distance"]) for r in records] == [
        (h.rank, h.id, h.distance) for h in hits
    ]
    assert records[0]["labels"] == ["metal"] and records[0]["query"] == QUERY
    assert records[0]["score"] == pytest.approx(hits[0].score, abs=1e-6)
    assert records[0]["bm25"] == pytest.approx(hits[0].bm25, abs=1e-4)
    fields = [
        "query",
        "rank",
        "id",
        "score",
        "bm25",
        "distance",
        "labels",
        "fields",
        "unknown_words",
        "snippet",
        "marks",
    ]
    assert list(records[0]) == fields and records[0]["unknown_words"] == []
    marked = {records[0]["snippet"][start:stop] for start, stop in records[0]["marks"]}
    assert marked == set(QUERY.split()) & set(hits[0].document.text.split())


def test_a_table_on_a_terminal(path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "70")
    lines = run("search", path, QUERY, "-k", "2", tty=True).out.splitlines()
    assert lines[0] == QUERY
    assert lines[1].split() == ["rank", "score", "dist", "id", "labels"]
    assert lines[2].split()[0] == "1" and "metal" in lines[2]
    assert len(lines) == 6 and all(len(line) <= 70 for line in lines)


def test_colours_mark_the_words(path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = run("search", path, "gold", "-k", "1", tty=True).out
    assert "\x1b[1mgold\x1b[0m" in text
    assert "\x1b" not in run("search", path, "gold", "-k", "1", "--format", "table").out


def test_csv(path):
    rows = list(csv.DictReader(io.StringIO(run("search", path, QUERY, "-k", "2", "--format", "csv").out)))
    assert [row["rank"] for row in rows] == ["1", "2"] and rows[0]["labels"] == "metal"
    assert "marks" not in rows[0]


@pytest.mark.parametrize("arguments", [["-"], []])
def test_queries_from_a_pipe(path, arguments):
    result = run("search", path, *arguments, "-k", "1", stdin="gold\n\n  wheat  \n")
    assert [record["query"] for record in jsonl(result.out)] == ["gold", "wheat"]
    nothing = run("search", path, *arguments, stdin="")
    assert nothing.out == "" and "no query on standard input" in nothing.err


def test_several_arguments_are_several_queries(path):
    separate = [jsonl(run("search", path, query, "-k", "2").out) for query in ("gold", "wheat")]
    assert jsonl(run("search", path, "gold", "wheat", "-k", "2").out) == separate[0] + separate[1]
    table = run("search", path, "gold", "wheat", "-k", "1", "--format", "table").out
    assert "\n\nwheat\n" in table


def test_like_a_document(path):
    records = jsonl(run("search", path, "--like", "d4", "--like", "d5", "-k", "3").out)
    assert [record["query"] for record in records] == ["like d4"] * 3 + ["like d5"] * 3
    assert "d4" not in [record["id"] for record in records[:3]]
    fails(1, "search", path, "--like", "nobody", says=["no document 'nobody'", "hint"])


def test_k_larger_than_the_collection_gives_all_in_order(path):
    records = jsonl(run("search", path, QUERY, "-k", "1000").out)
    assert len(records) == 30
    scores = [record["score"] for record in records]
    assert scores == sorted(scores, reverse=True)


def test_default_is_ten(path):
    assert len(jsonl(run("search", path, QUERY).out)) == 10


def test_hamming_order_and_radius(path):
    plain = jsonl(run("search", path, QUERY, "--by", "codes", "-k", "30").out)
    distances = [record["distance"] for record in plain]
    assert distances == sorted(distances)
    words = jsonl(run("search", path, QUERY, "--by", "words", "-k", "30").out)
    assert 0 < len(words) < 30 and all(record["bm25"] > 0 for record in words)
    near = jsonl(run("search", path, QUERY, "--radius", "5").out)
    assert {r["id"] for r in near} == {r["id"] for r in plain if r["distance"] <= 5}
    assert len(jsonl(run("search", path, QUERY, "--radius", "16", "-k", "4").out)) == 4
    nothing = run("search", path, "--like", "d0", "--radius", "0", "--format", "table").out
    assert "no document within 0 bits" in nothing or "rank" in nothing


def test_explanations(path):
    [record] = jsonl(run("search", path, QUERY, "-k", "1", "--explain").out)
    assert set(record["shared_words"]) <= set(QUERY.split())
    assert sum(record["shared_words"].values()) == pytest.approx(record["bm25"], abs=1e-3)
    assert record["from_words"] + record["from_codes"] == pytest.approx(record["score"], abs=1e-5)
    assert len(record["differing_bits"]) == record["distance"]
    table = run("search", path, QUERY, "-k", "1", "--explain", "--format", "table").out
    assert "shared words: " in table and "differing bits: " in table
    like = jsonl(run("search", path, "--like", "d4", "-k", "1", "--explain").out)[0]
    assert len(like["differing_bits"]) == like["distance"]


def test_whole_texts(tmp_path):
    collection = opened(tmp_path)
    collection.add([Document("long", "gold " + "ore " * 200)])
    by_words = ["search", tmp_path / "c", "gold ore", "-k", "31"]
    [short] = [record for record in jsonl(run(*by_words).out) if record["id"] == "long"]
    [full] = [record for record in jsonl(run(*by_words, "--full-text").out) if record["id"] == "long"]
    assert full["text"] == "gold " + "ore " * 200
    assert "snippet" not in full and len(short["snippet"]) <= 200


def test_unknown_words_are_told(path):
    for form in ("jsonl", "csv"):
        result = run("search", path, "the xyzzy", "gold", "of", "-k", "1", "--format", form)
        assert result.code == 0 and len(result.out.splitlines()) == 1 + (form == "csv")
        assert result.err == (
            "note: no document holds a word of 'the xyzzy', so nothing is found\n"
            "note: no document holds a word of 'of', so nothing is found\n"
        )
    assert run("search", path, "xyzzy", "-k", "1", "-q").err == ""
    table = run("search", path, "xyzzy", "--radius", "3", "--format", "table")
    assert table.out == "xyzzy\n  no document\n" and "holds a word of 'xyzzy', so" in table.err


def test_some_unknown_words(path):
    result = run("search", path, "the gold of Whales, krill", "-k", "2")
    assert [record["unknown_words"] for record in jsonl(result.out)] == [["the", "of", "whales", "krill"]] * 2
    assert result.err == ""
    table = run("search", path, "the gold of Whales, krill", "gold", "-k", "2", "--format", "table")
    assert table.err == "note: in no document: the, of, whales, krill\n"


def test_words_that_only_texts_know(path):
    run("add", path, "-", stdin="xyzzy\nxyzzy plugh\n")
    assert [record["id"] for record in jsonl(run("search", path, "xyzzy").out)] == ["stdin:1", "stdin:2"]
    assert [record["id"] for record in jsonl(run("search", path, "--like", "stdin:1").out)] == ["stdin:2"]
    assert run("search", path, "xyzzy", "--by", "codes", "--format", "table").out == "xyzzy\n  no document\n"


def test_signs_in_queries(path):
    found = jsonl(run("search", path, "gold -silver", "-k", "30", "--by", "words").out)
    assert found and all("gold" in r["snippet"] and "silver" not in r["snippet"] for r in found)
    [record] = jsonl(run("search", path, "bul* AND gold", "-k", "1").out)
    start, stop = record["marks"][0]
    assert record["snippet"][start:stop] in {"bullion", "gold"}
    fails(1, "search", path, "gold AND", says=["nothing stands after AND", "small letters"])


def test_a_collection_without_an_index_says_so(tmp_path):
    old = tmp_path / "old"
    shutil.copytree(TESTS / "data" / "format_1" / "collection", old)
    result = run("search", old, "gold mine", "-k", "1")
    assert result.code == 0 and len(jsonl(result.out)) == 1
    assert f"'nphash compact {old}' keeps one" in result.err
    assert run("compact", old).code == 0 and run("search", old, "gold mine").err == ""


def test_an_empty_collection_is_reported(path):
    run("remove", path, *(f"d{i}" for i in range(30)))
    result = run("search", path, QUERY)
    assert (result.code, result.out) == (0, "") and result.err == f"note: the collection {path} is empty\n"


def test_documents_cannot_drive_the_terminal(tmp_path):
    collection = opened(tmp_path)
    collection.add([Document("evil\x1b[2J", "gold \x1b[31m\u202e ore\x07", ("a\x1b",))])
    table = run("search", tmp_path / "c", "gold ore", "-k", "31", "--format", "table").out
    assert "evil" in table and "\x1b" not in table and "\x07" not in table and "\u202e" not in table


def test_wide_characters_line_up(tmp_path, monkeypatch):
    from nphash.cli.output import width

    monkeypatch.setenv("COLUMNS", "60")
    collection = opened(tmp_path)
    collection.add([Document("\u6771\u4eac" * 20, "gold " + "\u6771\u4eac " * 60)])
    lines = run("search", tmp_path / "c", "gold", "-k", "3", "--format", "table").out.splitlines()
    assert all(width(line) <= 60 for line in lines)


def test_lone_surrogates_do_not_stop_the_output(tmp_path):
    collection = opened(tmp_path)
    collection.add([Document("s", "gold \ud800 ore ore")])
    assert run("search", tmp_path / "c", "gold ore \udcff", "-k", "1").code == 0


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["q", "--like", "d1"], "not both"),
        ([], "Give a query"),
        ([""], "A query is empty"),
        (["q", "--by", "rank"], "not one of"),
        (["q", "--radius", "-1"], "not in the range"),
        (["q", "--format", "xml"], "not one of"),
    ],
)
def test_wrong_usage(path, arguments, says):
    fails(2, "search", path, *arguments, says=says)


def test_threads_do_not_change_results(path):
    assert (
        run("search", path, QUERY, "--threads", "1").out == run("search", path, QUERY, "--threads", "3").out
    )


def test_known_and_unknown_words(tmp_path):
    with opened(tmp_path) as collection:
        found = query_words(collection, "The gold of whales: the Whales, and bul*")
        assert found == QueryWords(["gold", "bul*"], ["the", "of", "whales", "and"])
        assert query_words(collection, "gold -ore").known == ["gold"]
        assert query_words(collection, "gold -ore", is_plain=True).known == ["gold", "ore"]


def test_notes():
    assert QueryWords(["gold"], []).note("gold") == ""
    many = QueryWords(["gold"], list("abcdefg")).note("gold a b c d e f g")
    assert many == "note: in no document: a, b, c, d, e and 2 more"
    assert (
        QueryWords([], ["the"]).note("the") == "note: no document holds a word of 'the', so nothing is found"
    )
    assert "\x1b" not in QueryWords([], ["x\x1b"]).note("x\x1b")


def test_whole_texts_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = "gold ore " + "and more of it " * 30 + "the very end"
    with opened(tmp_path) as collection:
        collection.add([Document("long", text)])
    command = ["search", tmp_path / "c", "gold ore", "-k", "40", "--format", "table"]
    assert text in run(*command, "--full-text").out
    assert "the very end" not in run(*command).out


def test_filters(tmp_path):
    collection = opened(tmp_path)
    collection.add(
        [Document("x", "gold ore", ("metal",), fields={"title": "All that\x1b glitters", "year": "1999"})]
    )
    path = tmp_path / "c"
    for filters, expected in (
        (["label=metal", "year<2000"], {"x"}),
        (["id=d4"], {"d4"}),
        (["label=none"], set()),
    ):
        options = [part for one in filters for part in ("--where", one)]
        records = jsonl(run("search", path, "gold", *options).out)
        assert {record["id"] for record in records} == expected
    [record] = jsonl(run("search", path, "--like", "d4", "--where", "year>1998").out)
    assert record["fields"] == {"title": "All that\x1b glitters", "year": "1999"}
    table = run("search", path, "gold", "--where", "year=1999", "--format", "table").out
    assert "All that glitters" in table and "\x1b" not in table
    fails(1, "search", path, "gold", "--where", "yeer=1", says=["no document has the field 'yeer'", "year"])
    fails(1, "search", path, "gold", "--where", "1999", says=["is no filter", "label=sport"])


def test_facets(path):
    records = jsonl(run("info", path, "--facets", "label").out)
    assert records == [{"label": name, "documents": 10} for name in ("grain", "metal", "money")]
    table = run("info", path, "--facets", "label", "--format", "table").out.splitlines()
    assert [line.split() for line in table][:2] == [["label", "documents"], ["grain", "10"]]
    fails(1, "info", path, "--facets", "date", says="no document has the field 'date'")
    fails(2, "info", "--facets", "date", says="--facets needs a collection")
