"""Lessons run, offline and from an empty folder, and their list is true."""

from __future__ import annotations

import ast
import builtins
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.claims import CLAIMS
from helpers.paths import ROOT
from nphash.errors import InputError
from nphash.teaching.exercises import format_grades, grade_exercise, questions_of
from nphash.teaching.lessons import FOLDER, LESSONS, copy_lessons, draw, find_lesson, solution_text

SECONDS = 30  # of processor time, for each lesson
SLOW = {9}  # takes several seconds of processor time; the others, one or two
NUMBERS = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in range(1, 10) if n != 7]


def run(script: Path, *, plot: bool = True) -> str:
    """Run a script in its folder, without a network and with one thread; return what it prints."""
    before = "" if plot else "import sys; sys.modules['matplotlib'] = None\n"
    program = f"{before}{NO_NETWORK}\nimport runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NPHASH_THREADS": "1"}
    times = os.times()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=script.parent,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    used = os.times()
    seconds = used.children_user - times.children_user + used.children_system - times.children_system
    assert seconds < SECONDS, f"{seconds:.1f} s of processor time"
    return done.stdout


NO_NETWORK = """
import socket
def refuse(*arguments, **names):
    raise OSError("lessons work offline")
socket.socket.connect = refuse
socket.create_connection = refuse
"""


def copied(number: int, folder: Path) -> Path:
    lesson, exercise = copy_lessons([number], folder)
    assert exercise.exists()
    return lesson


@pytest.mark.parametrize("number", NUMBERS)
def test_a_lesson_runs_from_an_empty_folder(number, tmp_path):
    out = run(copied(number, tmp_path))
    assert len(out.splitlines()) >= 15
    assert "nan" not in out.replace("p log 2p + ...", "").lower() or number in (1, 4)  # where it is shown
    CLAIMS[number](out)
    left = {path.name for path in tmp_path.iterdir()}
    pictures = set(re.findall(r"^figure: (.+)$", out, flags=re.M))
    assert left == {LESSONS[number - 1].file, LESSONS[number - 1].exercise} | pictures


@pytest.mark.slow
def test_lesson_7_is_as_good_as_the_library(tmp_path):
    out = run(copied(7, tmp_path))
    own, library = map(float, re.findall(r"^P@100 of .*: mean ([\d.]+) \(", out, flags=re.M))
    by_chance, untrained = map(
        float, re.search(r"by chance ([\d.]+), initial weights ([\d.]+)", out).groups()
    )
    assert abs(own - library) <= 0.02
    assert own > untrained + 0.2 > by_chance


def test_lesson_7_has_at_most_150_lines():
    text = (FOLDER / LESSONS[6].file).read_text(encoding="utf-8")
    own, _, _ = text.partition("# The library with the same settings")
    code = [line for line in own.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 150


def test_figures_are_left_out_without_matplotlib(tmp_path):
    out = run(copied(6, tmp_path), plot=False)
    assert "pip install matplotlib" in out and "figure: " not in out.replace("no figure: ", "")
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_made_of_cells(lesson):
    text = (FOLDER / lesson.file).read_text(encoding="utf-8")
    assert text.startswith(f"# %% [markdown]\n# Lesson {lesson.number}: ")
    cells = re.split(r"^# %%", text, flags=re.M)[1:]
    texts = [cell for cell in cells if cell.startswith(" [markdown]")]
    assert len(texts) >= 5 and len(cells) - len(texts) >= 5
    for cell in texts:  # text cells hold nothing but comments
        lines = cell.splitlines()[1:]
        assert all(line.startswith("#") or not line.strip() for line in lines), cell
    assert f"nphash gradcheck --exercise {lesson.exercise}" in text
    assert "Things to break" in text


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_derives_the_equations_it_claims(lesson):
    text = (FOLDER / lesson.file).read_text(encoding="utf-8")
    for number in lesson.equations:
        assert f"Eq. ({number})" in text


def test_every_equation_has_one_lesson():
    assert sorted(number for lesson in LESSONS for number in lesson.equations) == list(range(1, 11))


def test_numbers_and_files():
    assert [lesson.number for lesson in LESSONS] == list(range(1, 10))
    scripts = {path.name for path in FOLDER.glob("*_[0-9]_*.py")}
    assert scripts == {lesson.file for lesson in LESSONS}
    assert all(10 <= lesson.minutes <= 180 for lesson in LESSONS)


def test_there_is_no_other_lesson():
    with pytest.raises(InputError, match="no lesson 10"):
        find_lesson(10)


def test_copying_all_into_one_folder(tmp_path):
    for lesson in LESSONS:
        copy_lessons([lesson.number], tmp_path)
    assert len(list(tmp_path.iterdir())) == 18
    with pytest.raises(InputError, match="exists already"):
        copy_lessons([4], tmp_path)
    for path in tmp_path.iterdir():
        ast.parse(path.read_text(encoding="utf-8"))


def test_the_page_names_every_lesson_and_what_its_exercise_asks_for():
    page = (ROOT / "docs" / "lessons.rst").read_text(encoding="utf-8")
    _, _, page = page.partition("What each lesson teaches\n")
    items = re.split(r"^(\d)\. ", page.partition("Exercises and their grades\n")[0], flags=re.M)[1:]
    assert [int(number) for number in items[::2]] == [lesson.number for lesson in LESSONS]
    for lesson, text in zip(LESSONS, items[1::2], strict=True):
        title = re.search(r"\*\*(.+?)\.\*\*", text, flags=re.S)[1]
        assert lesson.title.startswith(title.partition(",")[0])
        asked = re.findall(r"``(\w+)``", text.partition("*Exercise:*")[2])
        assert asked == [question.name for question in questions_of(lesson.number)]


def test_what_the_page_shows_of_grading_is_what_is_printed(tmp_path):
    page = (ROOT / "docs" / "lessons.rst").read_text(encoding="utf-8")
    shown = [
        [line.strip() for line in block.splitlines() if line.strip()]
        for block in re.findall(r"(?<=::\n\n)(?:(?:    .*)?\n)+", page)
    ]
    blank = format_grades(grade_exercise(copy_lessons([1], tmp_path)[1])).splitlines()
    assert [line.strip() for line in blank] == shown[2][1:]
    source = solution_text(2)
    file = tmp_path / "mine.py"
    file.write_text(source.replace("da = dy * (1 - y * y)", "da = dy"), encoding="utf-8")
    wrong = [line.strip() for line in format_grades(grade_exercise(file)).splitlines() if line.strip()]
    assert wrong[: len(shown[3])] == shown[3]


# --- figures

CURVES = {"a": (np.arange(1, 4), [1, 2, 3]), "b": (np.arange(1, 4), [3, 2, 1])}


def test_a_figure(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "curves.png"
    figure = draw(str(path), CURVES, "step", "loss", "xy", "o-")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"figure: {path}\n"
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_one_curve_needs_no_legend(tmp_path):
    pytest.importorskip("matplotlib")
    figure = draw(str(tmp_path / "x.png"), {"a": CURVES["a"]}, "x", "y")
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_xscale() == "linear"


def test_a_folder_that_does_not_exist(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert draw(str(tmp_path / "none" / "x.png"), CURVES, "x", "y") is None
    assert "cannot be written" in capsys.readouterr().out


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    right = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return right(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert draw(str(tmp_path / "x.png"), CURVES, "x", "y") is None
    assert "pip install matplotlib" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
