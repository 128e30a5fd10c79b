"""What a stranger wrote - ids, texts, names, messages - neither drives the terminal nor becomes a formula."""

import csv
import io
import json
import os
import unicodedata

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from helpers.collecting import documents, fresh, jsonl, opened, run, write_jsonl
from nphash.cli.output import Writer, printable
from nphash.collection.manifest import MANIFEST
from nphash.core.checksums import seal
from nphash.corpus import Document
from nphash.teaching.lessons import solution_text

# ESC, BEL, DEL, a C1 control, an override of the direction, an isolate, a line separator, something invisible
DRIVING = "\x1b[2J\x07\x7f\x9b\u202e\u2066\u2028\u200b\U000e0041"


def drives(text):
    """Characters of an output that a terminal would obey or not show."""
    return sorted(
        {char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl"}}
    )


def shows(*arguments, code=0, says=None, **options):
    """Run a command on a terminal; nothing that drives it may come, and something of the stranger must."""
    result = run(*arguments, tty=True, **options)
    assert result.code == code, result
    assert drives(result.out) == drives(result.err) == []
    if says is not None:
        assert says in result.out + result.err, result
    return result


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with opened(tmp_path) as collection:
        collection.add(
            [
                Document(f"evil{DRIVING}", f"gold {DRIVING} ore", (f"label{DRIVING}",)),
                Document(f"worse{DRIVING}", f"gold {DRIVING} ore", (f"label{DRIVING}",)),
            ]
        )
    return tmp_path / "c"


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
@pytest.mark.parametrize(
    "command, says",
    [
        (["search", "gold ore", "-k", "40"], "evil"),
        (["search", "gold ore", "-k", "40", "--explain", "--full-text"], "label"),
        (["search", f"gold {DRIVING}"], "gold"),
        (["duplicates", "--radius", "1"], "evil"),
        (["neighbours"], "worse"),
        (["evaluate"], "precision"),
    ],
)
def test_documents(path, command, says, form):
    found = shows(command[0], path, *command[1:], "--format", form)
    assert says in found.out or (form == "table" and command[0] == "evaluate")


def test_documents_by_id(path):
    shows("search", path, "--like", f"evil{DRIVING}", says="like evil")
    shows("search", path, "--like", DRIVING, code=1, says="no document")
    shows("remove", path, f"x{DRIVING}", code=1, says="no document")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_ids_of_codes(path, tmp_path, form):
    corpus = write_jsonl(tmp_path / "x.jsonl", [Document(f"evil{DRIVING}", "gold ore")])
    shows("encode", path, corpus, "--format", form, says="evil")
    before = shows("add", path, corpus, code=1, says="already")
    assert "evil" in before.err


def test_names_of_fields(path, tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps({f"te{DRIVING}xt": "gold"}) + "\n", encoding="utf-8")
    shows("add", path, tmp_path / "x.jsonl", code=1, says="'text'")
    (tmp_path / "x.csv").write_text(f"te{DRIVING}xt,id\ngold,1\n", encoding="utf-8")
    shows("add", path, tmp_path / "x.csv", code=1, says="'text'")


def test_members_of_an_archive(path, tmp_path):
    np.savez(tmp_path / "x.npz", **{f"da{DRIVING}ta": np.ones(3)})
    shows("add", path, tmp_path / "x.npz", code=1, says="x.npz")
    scipy.io.savemat(tmp_path / "x.mat", {"other": np.ones(3)})
    shows("add", path, tmp_path / "x.mat", code=1, says="x.mat")


@pytest.mark.skipif(os.name == "nt", reason="names that Windows refuses")
def test_names_of_files(path, tmp_path):
    folder = tmp_path / f"folder{DRIVING}"
    folder.mkdir()
    (folder / f"a{DRIVING}.txt").write_bytes(b"\xe9 gold")
    shows("add", path, folder, "--encoding", "ascii", code=1, says="folder")
    shows("add", path, tmp_path / f"missing{DRIVING}.jsonl", code=1, says="does not exist")
    shows("search", tmp_path / f"missing{DRIVING}", "gold", code=1, says="no collection")
    shows("gradcheck", "--exercise", f"missing{DRIVING}.py", code=2, says="missing")
    (folder / f"a{DRIVING}.txt").write_text("gold ore\n" * 3, encoding="utf-8")
    write_jsonl(folder / "c.jsonl", documents(6))
    assert run("fit", folder / "c.jsonl", "-o", folder / "c", "--method", "sign", "--bits", "8").code == 0
    shows("info", folder / "c", says="folder")


def test_names_of_methods_and_options(tmp_path):
    shows("methods", f"x{DRIVING}", code=1, says="there is no method")
    shows("fit", "x", "-o", tmp_path / "c", "--method", f"x{DRIVING}", code=2, says="there is no such method")
    shows("fit", "x", "-o", tmp_path / "c", "-p", f"x{DRIVING}=1", code=2, says="no parameter")
    shows("search", "x", f"--x{DRIVING}", code=2, says="No such option")
    shows(f"x{DRIVING}", code=2, says="No such command")


def test_what_a_manifest_says(path):
    body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    body["corpus"]["source"] = body["nphash_version"] = body["changed"] = f"text{DRIVING}"
    body.pop("checksum")
    (path / MANIFEST).write_text(seal(body), encoding="utf-8")
    for form in ("table", "jsonl", "csv"):
        shows("info", path, "--format", form, says="text")
    (path / MANIFEST).write_text(seal({**body, "format_version": 99}), encoding="utf-8")
    shows("info", path, code=1, says="format 99")
    (path / MANIFEST).write_text(seal({**body, "vectorizer": f"../{DRIVING}"}), encoding="utf-8")
    shows("info", path, code=1)


def test_exceptions(tmp_path, monkeypatch):
    from nphash.cli import methods

    def fail(*arguments, **options):
        raise ZeroDivisionError(f"text{DRIVING}")

    monkeypatch.setattr(methods.command, "callback", fail)
    monkeypatch.delenv("NPHASH_DEBUG", raising=False)
    shows("methods", code=1, says="internal error: ZeroDivisionError: text")
    text = solution_text(3)
    (tmp_path / "mine.py").write_text(
        text.replace(
            "def gumbel_noise(uniform):\n",
            f"def gumbel_noise(uniform):\n    raise ValueError('text{DRIVING}')\n",
        ),
        encoding="utf-8",
    )
    for form in ("table", "jsonl"):
        shows("gradcheck", "--exercise", tmp_path / "mine.py", "--format", form, code=3, says="ValueError")


@given(st.text())
def test_printable_text_keeps_what_can_be_seen(text):
    shown = printable(text)
    assert printable(shown) == shown
    assert not {char for char in shown if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}} - {
        "\n",
        "\t",
    }
    if all(char.isprintable() for char in text):
        assert shown == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_lines_say_the_same_in_escapes(record):
    file = io.StringIO()
    Writer("jsonl", [], file).write(record)
    line = file.getvalue()
    assert json.loads(line) == record
    assert printable(line) == line and "\t" not in line and line.count("\n") == 1


# ---------------------------------------------------------------------- formulas


@given(
    st.lists(st.one_of(st.text(max_size=5), st.sampled_from(["=1", "+1", "-1", "@x", "\t=1"])), min_size=1)
)
def test_no_cell_begins_a_formula(cells):
    file, fields = io.StringIO(newline=""), [f"f{i}" for i in range(len(cells))]
    Writer("csv", fields, file).write(dict(zip(fields, cells, strict=True)))
    [_, row] = csv.reader(io.StringIO(file.getvalue(), newline=""))
    for cell, given_ in zip(row, cells, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell.removeprefix("'") == given_ or cell == given_


def test_formulas_in_ids_and_raw_cells(tmp_path):
    path = fresh(tmp_path)
    corpus = write_jsonl(tmp_path / "x.jsonl", [Document("=1+1", "gold"), Document("plain", "gold")])
    assert run("add", path, corpus).code == 0
    rows = csv.DictReader(io.StringIO(run("encode", path, corpus, "--format", "csv").out))
    assert [row["id"] for row in rows] == ["'=1+1", "plain"]
    rows = csv.DictReader(io.StringIO(run("encode", path, corpus, "--format", "csv", "--raw").out))
    assert [row["id"] for row in rows] == ["=1+1", "plain"]
    found = run("search", path, "gold", "-k", "40", "--format", "csv").out
    assert "'=1+1" in found and "'=1+1" not in run("search", path, "gold", "--format", "csv", "--raw").out
    assert {row["id"] for row in jsonl(run("search", path, "gold", "-k", "40").out)} > {"=1+1"}


@pytest.mark.parametrize("cell", ["a\rb", "\r", "a\nb", "a\r\nb"])
def test_line_ends_inside_a_cell_are_quoted(cell):
    file = io.StringIO(newline="")
    Writer("raw csv", ["a", "b"], file).write({"a": cell, "b": "c"})
    assert list(csv.reader(io.StringIO(file.getvalue(), newline=""))) == [["a", "b"], [cell, "c"]]


def test_numbers_are_no_formulas():
    file = io.StringIO()
    Writer("csv", ["loss"], file).write({"loss": -1.5})
    assert file.getvalue() == "loss\n-1.5\n"


@pytest.mark.parametrize("command", [["search", "gold"], ["encode", "x.txt"]])
def test_raw_is_for_csv(tmp_path, command):
    path = fresh(tmp_path)
    result = run(command[0], path, *command[1:], "--raw")
    assert result.code == 2 and "--raw is for CSV" in result.err


def test_labels_in_csv_are_cut_where_readers_cut_them(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document("x", "gold ore", ("new york", "sea"))])
    result = run("search", tmp_path / "c", "--like", "x", "-k", "40", "--format", "csv").out
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(result))}
    assert "x" not in rows  # it is what was asked with
    result = run("search", tmp_path / "c", "gold ore", "-k", "40", "--format", "csv").out
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(result))}
    assert rows["x"]["labels"] == "new york;sea"
