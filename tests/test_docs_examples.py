"""The Python of the pages runs, and finds what the pages show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT


def run_example(what: str, names: dict[str, Any], page: str = "python") -> None:
    text = (ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    (block,) = [block for block in blocks if what in block]
    exec(compile(re.sub(r"^    ", "", block, flags=re.M), f"{page}.rst", "exec"), names)


@pytest.fixture
def whales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the first example, and go to a folder where others may write."""
    names: dict[str, Any] = {}
    run_example("vectorizer.fit_transform(texts)", names)
    monkeypatch.chdir(tmp_path)
    return names


def test_the_first_example_finds_what_it_shows(
    whales: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("vectorizer.fit_transform(texts)", {})
    text = (ROOT / "docs" / "python.rst").read_text(encoding="utf-8")
    shown = re.search(r"^    (\[.+\])$", text[text.index("print([texts[i]") :], flags=re.M)
    assert shown is not None and capsys.readouterr().out.strip().splitlines()[-1] == shown[1]
    assert whales["distances"].shape == (1, 3)


def test_a_fit_from_shards_is_that_of_memory(whales: dict[str, Any]) -> None:
    before = whales["nphash"].Doc2Hash(n_bits=16, random_state=0).fit_transform(whales["X"])
    run_example("vectorize(", whales, "corpora")
    assert (whales["codes"] == before).all()


def test_what_the_examples_keep_is_what_they_load(whales: dict[str, Any]) -> None:
    before, distances = whales["hasher"], whales["distances"]
    run_example("to_json()", whales)
    assert whales["hasher"] is not before
    codes = whales["hasher"].transform(whales["vectorizer"].transform(["the market today"]))
    assert (whales["index"].search(codes, k=3)[0] == distances).all()


def test_the_search_over_parameters_runs(whales: dict[str, Any]) -> None:
    pytest.importorskip("sklearn")
    run_example("GridSearchCV(", whales)
    search = whales["search"]
    assert search.best_params_.keys() == {"doc2hash__n_bits", "doc2hash__training__epochs"}
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("what", ["assert_gradients(square", "assert_gradients(gradient_of_cubes"])
def test_the_examples_of_gradients_run(what: str) -> None:
    run_example(what, {}, "gradients")


def test_the_collection_of_the_tutorial_opens_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the tutorial in their order, on a corpus as it shows one."""
    import json

    from click.testing import CliRunner

    from nphash.cli import cli

    monkeypatch.chdir(tmp_path)
    kinds = {"sea": "whales sleep deep in the sea", "market": "prices fall on the market"}
    lines = [
        {"text": f"{text} today {i}", "labels": [kind], "split": "test" if i > 25 else "train"}
        for i in range(32)
        for kind, text in kinds.items()
    ]
    Path("articles.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for command in (
        ["fit", "articles.jsonl", "-o", "articles.hash", "--bits", "64", "--epochs", "2", "-q"],
        ["evaluate", "articles.hash", "articles.jsonl", "-q"],
        ["search", "articles.hash", "how do whales sleep", "-k", "1", "--full-text", "--format", "jsonl"],
        ["search", "articles.hash", "--like", "articles.jsonl:17"],
        ["neighbours", "articles.hash", "-k", "10", "-o", "graph.npz"],
        ["duplicates", "articles.hash"],
        ["duplicates", "articles.hash", "--preview"],
        ["duplicates", "articles.hash", "--keep", "longest"],
        ["report", "articles.hash", "-o", "report.html"],
        ["encode", "articles.hash", "articles.jsonl", "-o", "codes.npy"],
    ):
        done = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    run_example("Collection.open", {"nphash": __import__("nphash")})
    assert "whales sleep" in capsys.readouterr().out
