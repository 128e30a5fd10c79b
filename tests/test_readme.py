"""README.rst says what is true: two commands set it up, its Python runs, its links lead somewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from helpers.paths import ROOT

README = ROOT / "README.rst"
TEXT = README.read_text(encoding="utf-8")
LINES = TEXT.splitlines()


def test_it_is_short() -> None:
    assert len(LINES) <= 200


def test_two_set_up_commands_are_single_lines_and_come_first() -> None:
    commands = [line for line in LINES if line.startswith("    python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("nphash demo")
    assert commands[1].endswith("pytest -n auto")
    literal = [line for line in LINES if line.startswith("    ")]
    assert literal[:2] == commands


def test_the_check_of_the_project_finds_its_two_commands() -> None:
    """`.ci/run` takes them from here by these patterns."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert r"s/^    \(python3 -m venv .*$1.*\)\$/\1/p" in script
    for pattern in ("pytest", "nphash demo"):
        (line,) = [line for line in LINES if re.fullmatch(f"    python3 -m venv .*{pattern}.*", line)]
        assert line.count(".venv") >= 3


def test_it_says_how_plain_nphash_is_found_before_using_it() -> None:
    before = TEXT[: TEXT.index("    nphash fit")]
    assert ". .venv/bin/activate" in before and r".venv\Scripts\activate" in before


def test_the_test_extra_has_what_the_test_command_needs() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = project[project.index("\ntest = [") :].partition("\n]")[0]
    assert '"pytest-xdist' in extra and '"pytest>=' in extra


def test_links_lead_to_files_of_the_repository() -> None:
    targets = re.findall(r"`[^`]+ <([^>]+)>`_", TEXT)
    assert len(targets) > 10
    for target in targets:
        assert (ROOT / target).is_file(), target


def test_markup_is_valid() -> None:
    core = pytest.importorskip("docutils.core")
    warnings = io.StringIO()
    settings = {"warning_stream": warnings, "report_level": 2, "syntax_highlight": "none"}
    core.publish_string(TEXT, writer="html", settings_overrides=settings)
    assert warnings.getvalue() == ""


def test_the_example_finds_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", TEXT)[0]
    code = re.sub(r"^    ", "", block, flags=re.M)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    exec(compile(code, "README.rst", "exec"), {})
    shown = re.search(r"^    (\[.+\])$", TEXT[TEXT.index("print([texts[i]") :], flags=re.M)
    assert shown is not None and capsys.readouterr().out.strip() == shown[1]


def test_the_gradient_of_the_model_fits_on_a_screen() -> None:
    shown = TEXT[TEXT.index("Every gradient on one screen") :]
    code = [line for line in shown.partition("[[[end]]]")[0].splitlines() if line.startswith("   ")]
    assert sum("def back(" in line for line in code) >= 1
    assert len(code) <= 60


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.rst").read_text(encoding="utf-8")
    for name in re.findall(r"``((?:nphash|tests|docs|benchmarks)/[\w/.]+)``", text):
        if "NAME" not in name:
            assert (ROOT / name).exists(), name
    assert Path(ROOT / ".pre-commit-config.yaml").is_file()
