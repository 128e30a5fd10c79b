"""The whole journey with every format of a corpus, and with every method, as a stranger would take it."""

import csv
import json

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from helpers.collecting import TOPICS, contents, documents, jsonl, run
from nphash.hashers import METHODS

DOCS = documents(24)
WORDS = sorted({word for words in TOPICS.values() for word in words})


def counts():
    column = {word: at for at, word in enumerate(WORDS)}
    X = np.zeros((len(DOCS), len(WORDS)), dtype=np.float64)
    for row, document in enumerate(DOCS):
        for word in document.text.split():
            X[row, column[word]] += 1
    return scipy.sparse.csr_matrix(X)


def write_csv(folder, suffix, delimiter):
    path = folder / f"x{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["id", "text", "label"])
        writer.writerows([d.id, d.text, d.labels[0]] for d in DOCS)
    return [path]


def make_jsonl(folder):
    path = folder / "x.jsonl"
    rows = [json.dumps({"id": d.id, "text": d.text, "label": d.labels[0]}) for d in DOCS]
    path.write_text("\n".join(rows), encoding="utf-8")
    return [path]


def make_folder(folder):
    for document in DOCS:
        place = folder / "x" / document.labels[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{document.id}.txt").write_text(document.text, encoding="utf-8")
    return [folder / "x"]


def make_lines(folder):
    path = folder / "x.txt"
    path.write_text("".join(f"__label__{d.labels[0]} {d.text}\n" for d in DOCS), encoding="utf-8")
    return [path]


def vocabulary(folder):
    path = folder / "words.txt"
    path.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return ["--vocabulary", path]


def make_svmlight(folder):
    path, X = folder / "x.svm", counts()
    rows = [
        f"{d.labels[0]} " + " ".join(f"{c + 1}:{v:g}" for c, v in zip(row.indices, row.data, strict=True))
        for d, row in zip(DOCS, X, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [path, *vocabulary(folder)]


def make_npz(folder):
    scipy.sparse.save_npz(folder / "x.npz", counts())
    return [folder / "x.npz", *vocabulary(folder)]


def make_mtx(folder):
    scipy.io.mmwrite(folder / "x.mtx", counts())
    return [folder / "x.mtx", *vocabulary(folder)]


def make_uci(folder):
    X = counts().tocoo()
    rows = [f"{r + 1} {c + 1} {int(v)}" for r, c, v in zip(X.row, X.col, X.data, strict=True)]
    text = "\n".join([str(X.shape[0]), str(X.shape[1]), str(X.nnz), *rows])
    (folder / "docword.x.txt").write_text(text + "\n", encoding="utf-8")
    (folder / "vocab.x.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return [folder / "docword.x.txt"]


CORPORA = {
    "jsonl": make_jsonl,
    "csv": lambda folder: write_csv(folder, ".csv", ","),
    "tsv": lambda folder: write_csv(folder, ".tsv", "\t"),
    "folder": make_folder,
    "lines": make_lines,
    "svmlight": make_svmlight,
    "npz": make_npz,
    "mtx": make_mtx,
    "uci": make_uci,
}


@pytest.mark.parametrize("kind", CORPORA)
def test_from_any_format_to_an_answer(tmp_path, kind):
    corpus = CORPORA[kind](tmp_path)
    target = tmp_path / "c"
    options = ["--method", "sign", "--bits", "32", "--stop-words", "none"]
    result = run("fit", *corpus, "-o", target, *options)
    assert result.code == 0, result.err
    assert "24 documents" in result.err
    stored = contents(target)[0]
    assert [sorted(d.text.split()) for d in sorted(stored, key=lambda d: sorted(d.text.split()))] == sorted(
        sorted(d.text.split()) for d in DOCS
    )
    text = DOCS[4].text
    best = jsonl(run("search", target, text, "-k", "1", "--full-text").out)[0]
    assert best["score"] == pytest.approx(1.2) and best["distance"] == 0
    assert sorted(best["text"].split()) == sorted(text.split())
    if any(d.labels for d in stored):
        assert jsonl(run("evaluate", target, "-k", "5").out)[0]["n_queries"] == 24
    codes = jsonl(run("encode", target, *corpus).out)
    assert [bytes.fromhex(c["code"]).ljust(8, b"\0") for c in codes] == [
        bytes(row) for row in contents(target)[1]
    ]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "watching"])
def test_every_method_makes_a_collection(tmp_path, method):
    from nphash.cli.methods import parameter_types

    [corpus] = make_jsonl(tmp_path)
    known = parameter_types(method)
    options = ["--epochs", "1"] if "training__epochs" in known else []
    options += ["-p", "hidden=8"] if "hidden" in known else []
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", method, "--bits", "8", *options)
    assert result.code == 0, result.err
    assert len(jsonl(run("search", tmp_path / "c", "gold mine", "-k", "3").out)) == 3
    assert jsonl(run("info", tmp_path / "c").out)[0]["method"] == method
