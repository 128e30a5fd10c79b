"""README.rst says what is true: its generated parts are current, its Python runs, its markup is valid."""

from __future__ import annotations

import importlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.rst"


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))


def test_generated_parts_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    cogapp = pytest.importorskip("cogapp")
    status = cogapp.Cog().main(["cog", "-I", str(ROOT), "--check", str(README)])
    assert status == 0, f"run: python -m cogapp -I . -r README.rst\n{capsys.readouterr()}"


def test_every_equation_of_the_paper_has_one_function() -> None:
    from benchmarks.tables import equation_rows

    assert [int(number) for number, _, _ in equation_rows()] == list(range(1, 11))


def test_every_equation_is_derived_in_a_lesson() -> None:
    from benchmarks.tables import equation_rows, equations, lesson_of
    from nphash.teaching.lessons import FOLDER, find_lesson

    table = equations()
    for number, function, _ in equation_rows():
        lesson = lesson_of(int(number))
        assert lesson.isdigit(), f"equation {number} has no lesson, or more than one"
        assert f"Eq. ({number})" in (FOLDER / find_lesson(int(lesson)).file).read_text(encoding="utf-8")
        row = next(line for line in table.splitlines() if line.startswith(f"({number}) "))
        assert row.split()[1:3] == [f"``{function}``", lesson]


def run_example(what: str, names: dict[str, object]) -> None:
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if what in block]
    exec(compile(re.sub(r"^    ", "", block, flags=re.M), "README.rst", "exec"), names)


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nphash

    names: dict[str, object] = {}
    run_example("vectorizer.fit_transform(texts)", names)
    assert names["distances"].shape == (1, 3)  # type: ignore[attr-defined]
    before = nphash.Doc2Hash(n_bits=16, random_state=0).fit_transform(names["X"])
    monkeypatch.chdir(tmp_path)
    run_example("vectorize(", names)
    assert (names["codes"] == before).all()  # type: ignore[attr-defined]


def test_the_first_example_finds_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    run_example("vectorizer.fit_transform(texts)", {})
    found = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"^    \d+ (.+)$", text[text.index("print(distance, texts[i])") :], flags=re.M)[:3]
    # Which of the whales comes first hangs on the last digits of this machine's arithmetic.
    assert len(found) == len(shown) == 3 and all("whale" in line for line in found + shown)


def test_what_the_examples_keep_is_what_they_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    run_example("vectorizer.fit_transform(texts)", names)
    before, distances = names["hasher"], names["distances"]
    monkeypatch.chdir(tmp_path)
    run_example("to_json()", names)
    assert names["hasher"] is not before
    codes = names["hasher"].transform(names["vectorizer"].transform(["a whale asleep in the sea"]))
    assert (names["index"].search(codes, k=3)[0] == distances).all()


def test_the_search_over_parameters_runs() -> None:
    names: dict[str, Any] = {}
    run_example("vectorizer.fit_transform(texts)", names)
    run_example("GridSearchCV(", names)
    search = names["search"]
    assert search.best_params_.keys() == {"doc2hash__n_bits", "doc2hash__training__epochs"}
    assert search.best_score_ > 0.9


def test_the_table_names_what_there_is() -> None:
    text = README.read_text(encoding="utf-8")
    table = text[text.index("``nphash.``") : text.index("Corpora larger than memory")]
    rows = [line.partition("  ")[0] for line in table.splitlines()[2:] if line.startswith("``")]
    names = [name for row in rows for name in re.findall(r"``([\w.]+)``", row)]
    assert len(names) > 15
    for name in names:
        module, _, attribute = f"nphash.{name}".rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is not None


def test_gradient_example_runs() -> None:
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if "assert_gradients(" in block]
    exec(compile(re.sub(r"^    ", "", block, flags=re.M), "README.rst", "exec"), {})


def test_markup_is_valid() -> None:
    core = pytest.importorskip("docutils.core")
    warnings = io.StringIO()
    settings = {"warning_stream": warnings, "report_level": 2, "syntax_highlight": "none"}
    core.publish_string(README.read_text(encoding="utf-8"), writer="html", settings_overrides=settings)
    assert warnings.getvalue() == ""


def test_two_set_up_commands_are_single_lines() -> None:
    lines = [
        line
        for line in README.read_text(encoding="utf-8").splitlines()
        if line.startswith("    python3 -m venv")
    ]
    assert len(lines) == 2
    assert lines[0].endswith("nphash demo")
    assert lines[1].endswith("pytest")


def test_every_command_has_its_help() -> None:
    from benchmarks.tables import command_names
    from nphash.cli import COMMANDS

    with_help = re.findall(r"^``nphash ([\w ]*)--help``", README.read_text(encoding="utf-8"), flags=re.M)
    assert [name.strip() for name in with_help] == ["", *command_names()]
    assert {name.split()[0] for name in command_names()} == set(COMMANDS)


def test_environment_variables_are_those_of_the_code() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "nphash").rglob("*.py"))
    read = {name for text in sources for name in re.findall(r"""environ(?:\.get\(|\[)"(\w+)""", text)}
    table = re.findall(r"^``([A-Z]+_[A-Z_]+)``", README.read_text(encoding="utf-8"), flags=re.M)
    assert set(table) == read - {"TERM"}


def test_names_of_splits_are_those_of_the_code() -> None:
    from nphash.collection.creating import HELD_OUT, VALIDATION

    text = README.read_text(encoding="utf-8")
    row = text[text.index("``split``   ") :].partition("====")[0].partition("all others")[0]
    assert set(re.findall(r"``(\w+)``", row)) == {"split", "evaluate", *HELD_OUT, *VALIDATION}


def test_parameters_among_the_letters_are_those_of_the_code() -> None:
    from nphash.hashers import create

    X, y = np.random.default_rng(0).poisson(0.3, (30, 40)), np.arange(30) % 3
    known: set[str] = set()
    for method in ("nphash", "doc2hash-s", "nash-dn", "vdsh"):
        known |= create(method, n_bits=8, random_state=0, training__epochs=1).fit(X, y).params_.keys()
    text = README.read_text(encoding="utf-8")
    table = text[text.index("letter       ") : text.index("Checking gradients\n")]
    named = set(re.findall(r"\b[WbV]_\w+", table))
    assert len(named) > 12 and named <= known
    assert {name for name in known if not name.endswith("2")} - {"median"} <= named


def test_the_check_of_the_project_finds_its_two_commands() -> None:
    """`.ci/run` takes them from here by these patterns."""
    lines = README.read_text(encoding="utf-8").splitlines()
    for pattern in ("pytest", "nphash demo"):
        (line,) = [line for line in lines if re.fullmatch(f"    python3 -m venv .*{pattern}", line)]
        assert line.count(".venv") >= 3
