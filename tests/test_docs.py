"""The pages under docs/ say what is true: generated parts, names, commands, paths and markup."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.rst") if not {"api", "_build", "_templates"} & set(path.parts))
TEXTS = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
EVERYTHING = "\n".join(TEXTS.values())


def test_generated_parts_are_current() -> None:
    """All of README.rst and docs/, and the picture of the rooms; if not: ``python -m benchmarks.tables``."""
    pytest.importorskip("cogapp")
    command = [sys.executable, "-m", "benchmarks.tables", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"run: python -m benchmarks.tables\n{done.stdout}{done.stderr}"


def test_every_page_with_a_table_is_generated() -> None:
    from benchmarks.tables import generated_pages

    generated = {path.name for path in generated_pages()}
    assert {"README.rst", "commands.rst", "equations.rst", "quality.rst", "speed.rst"} <= generated
    for path in generated_pages():
        text = path.read_text(encoding="utf-8")
        assert text.count("[[[cog") == text.count("[[[end]]]"), path


def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("furo") is None:
        pytest.skip('needs Sphinx and its theme: pip install -e ".[docs]"')
    source = tmp_path / "repository" / "docs"
    source.mkdir(parents=True)
    for path in [*PAGES, DOCS / "conf.py", *DOCS.rglob("*.svg"), *(DOCS / "_templates").rglob("*.rst")]:
        copy = source / path.relative_to(DOCS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for name in ("CHANGELOG.rst", "CONTRIBUTING.rst"):
        (source.parent / name).write_bytes((ROOT / name).read_bytes())
    options = ["-W", "--keep-going", "-q", "-b", "dummy"]  # everything but the writing of files
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def test_every_command_and_its_help_are_there() -> None:
    from benchmarks.tables import command_names
    from nphash.cli import COMMANDS

    with_help = re.findall(r"^``nphash ([\w ]*)--help``", TEXTS["commands.rst"], flags=re.M)
    assert [name.strip() for name in with_help] == ["", *command_names()]
    assert {name.split()[0] for name in command_names()} == set(COMMANDS)


def test_every_public_name_is_there() -> None:
    from benchmarks.tables import public_names

    for module, names in public_names().items():
        for name in names:
            assert re.search(rf"(?<![\w.]){re.escape(module)}\.{name}\b", TEXTS["python.rst"]), (module, name)


def test_every_method_is_there() -> None:
    from nphash.hashers import METHODS

    named = re.findall(r"^``([\w-]+)`` +`nphash\.hashers\.\w+`", TEXTS["methods.rst"], flags=re.M)
    assert named == list(METHODS)


def test_every_format_is_there() -> None:
    from nphash.corpus import FORMATS

    table = TEXTS["corpora.rst"].partition("Fields\n")[0]
    rows = [row.partition("  ")[0] for row in table.splitlines() if row.startswith("``")]
    assert {name for row in rows for name in re.findall(r"``(\w+)``", row)} == set(FORMATS)


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


def test_environment_variables_are_those_of_the_code() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "nphash").rglob("*.py"))
    pattern = r"""environ(?:\.get\(|\[)"(\w+)|"(NPHASH_\w+)\""""
    read = {"".join(names) for text in sources for names in re.findall(pattern, text)}
    table = re.findall(r"^``([A-Z]+_[A-Z_]+)``", TEXTS["install.rst"], flags=re.M)
    assert set(table) == read - {"TERM"}


def test_names_of_splits_are_those_of_the_code() -> None:
    from nphash.collection.creating import HELD_OUT, VALIDATION

    text = TEXTS["corpora.rst"]
    row = text[text.index("``split``   ") :].partition("====")[0]
    assert set(re.findall(r"``(\w+)``", row)) == {"split", "evaluate", *HELD_OUT, *VALIDATION}


def test_parameters_among_the_letters_are_those_of_the_code() -> None:
    from nphash.hashers import create

    X, y = np.random.default_rng(0).poisson(0.3, (30, 40)), np.arange(30) % 3
    known: set[str] = set()
    for method in ("nphash", "doc2hash-s", "nash-dn", "vdsh"):
        known |= create(method, n_bits=8, random_state=0, training__epochs=1).fit(X, y).params_.keys()
    text = TEXTS["equations.rst"]
    named = set(re.findall(r"\b[WbV]_\w+", text[text.index("letter       ") :]))
    assert len(named) > 12 and named <= known
    assert {name for name in known if not name.endswith("2")} - {"median"} <= named


def test_extras_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = project[project.index("[project.optional-dependencies]") :].partition("\n[")[0]
    extras = re.findall(r"^(\w+) = \[", section, flags=re.M)
    assert set(
        re.findall(r"^``(\w+)``  ", TEXTS["install.rst"].partition("Compiled kernels")[0], flags=re.M)
    ) == set(extras)


@pytest.mark.parametrize("page", TEXTS)
def test_files_and_modules_that_are_named_exist(page: str) -> None:
    for name in re.findall(r"``((?:nphash|tests|docs|benchmarks)/[\w/.]+)``", TEXTS[page]):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"(?<![\w.])(?:``|`)(nphash(?:\.\w+)+)(?:``|`)", TEXTS[page]):
        assert _found(name), name


def _found(name: str) -> bool:
    """Return whether a dotted name is a module or something in one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part, None)
        return thing is not None
    return False


def test_every_promise_names_the_tests_that_keep_it() -> None:
    promises = re.split(r"^\* ", TEXTS["promises.rst"].partition("What is not safe")[0], flags=re.M)[1:]
    assert len(promises) > 20
    for promise in promises:
        assert "``tests/" in promise.replace("\n", " "), promise


@pytest.mark.parametrize("page", TEXTS)
def test_modules_to_be_run_exist(page: str) -> None:
    for name in re.findall(r"python -m (benchmarks\.\w+)", TEXTS[page]):
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file(), name
    for name in re.findall(r"^    (?:.*\| )?nphash (\w+)", TEXTS[page], flags=re.M):
        from nphash.cli import COMMANDS

        assert name in COMMANDS, name
