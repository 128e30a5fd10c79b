"""Exercises in a process of their own: whatever a student writes, grading ends and says what is wrong."""

from __future__ import annotations

import os
import sys

import pytest

from helpers.paths import SOLUTIONS
from nphash.teaching.exercises import all_right, grade_exercise
from nphash.teaching.isolation import grade_apart
from nphash.teaching.student import ExerciseError

SOLUTION = (SOLUTIONS / "solution_6.py").read_text(encoding="utf-8")
LIMIT = 3.0


def graded(tmp_path, source, seconds=LIMIT):
    file = tmp_path / "mine.py"
    file.write_text(source, encoding="utf-8")
    return {grade.part: grade for grade in grade_apart(file, seconds=seconds)}


def with_first_line(line):
    """The model solution, whose adam_step begins with this."""
    head, mark, rest = SOLUTION.partition("def adam_step")
    signature, colon, body = rest.partition(":\n")
    return f"{head}{mark}{signature}{colon}    {line}\n{body}"


def test_grades_are_those_of_this_process(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION.replace("return w - learning", "return w + learning"), encoding="utf-8")
    assert grade_apart(file) == grade_exercise(file)
    file.write_text(SOLUTION, encoding="utf-8")
    assert all_right(grade_apart(file))


def test_reports_of_the_checker_come_back_whole(tmp_path):
    source = (SOLUTIONS / "solution_1.py").read_text(encoding="utf-8")
    file = tmp_path / "mine.py"
    file.write_text(source.replace("- counts) / len(scores)", "- counts)"), encoding="utf-8")
    assert grade_apart(file, seed=3) == grade_exercise(file, seed=3)


def test_an_endless_loop_is_named_and_the_rest_graded(tmp_path):
    grades = graded(tmp_path, with_first_line("while True: pass"), seconds=1)
    assert list(grades) == ["adam_step", "clip"]
    assert grades["adam_step"].cause == "the function does not end"
    assert "stopped after 1 s" in grades["adam_step"].evidence and "loop" in grades["adam_step"].advice
    assert grades["clip"].passed


def test_what_calls_an_endless_loop_is_told_so(tmp_path):
    source = (SOLUTIONS / "solution_2.py").read_text(encoding="utf-8")
    grades = graded(
        tmp_path, source.replace("    y = np.tanh", "    while True: pass\n    y = np.tanh"), seconds=1
    )
    assert [grade.verdict for grade in grades.values()] == ["wrong", "wrong"]
    assert grades["residual"].advice == "it calls tanh_layer: mend that first"


def test_a_file_that_does_not_end(tmp_path):
    with pytest.raises(ExerciseError, match=r"mine\.py: stopped after 1 s"):
        graded(tmp_path, SOLUTION + "\nwhile True:\n    pass\n", seconds=1)


@pytest.mark.parametrize(
    ("line", "cause", "evidence"),
    [
        ("return adam_step(w, g, m, v, t, learning_rate)", "the function raises", "RecursionError"),
        ("raise SystemExit(0)", "the function raises", "leave sys.exit() and exit() out"),
        ("input('how fast? ')", "the function raises", "EOFError"),
        ("__import__('os')._exit(0)", "the program dies", "code 0"),
        ("raise KeyboardInterrupt", "the program dies", "code 130"),
    ],
    ids=["recursion", "exit", "input", "dies", "interrupt"],
)
def test_what_a_function_may_do(tmp_path, line, cause, evidence):
    grade = graded(tmp_path, with_first_line(line))["adam_step"]
    assert grade.cause == cause and evidence in grade.evidence


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_more_memory_than_there_should_be(tmp_path):
    grade = graded(tmp_path, with_first_line("g = np.ones(10**9)"), seconds=20)["adam_step"]
    assert grade.cause == "the function raises" and "MemoryError" in grade.evidence


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("EXERCISE = 6\nx = input()\n", r"mine\.py, line 2 waits for input"),
        ("import sys\nsys.exit()\n", "ends the program itself"),
        ("import os\nos._exit(3)\n", "code 3"),
        ("EXERCISE = 6\ndef f(:\n", "line 2: not Python"),
        ("def f(): f()\nf()\n", "line 1: RecursionError"),
        ("x = 1\n", "does not say which exercise"),
        ("EXERCISE = 77\n", "says it is exercise 77"),
    ],
)
def test_what_a_file_may_do(tmp_path, source, says):
    with pytest.raises(ExerciseError, match=says):
        graded(tmp_path, source)


def test_a_file_in_the_folder_does_not_stand_in_for_a_module(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not me')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert all(grade.passed for grade in graded(tmp_path, SOLUTION).values())


def test_what_a_student_prints_is_no_grade(tmp_path, capfd):
    noisy = with_first_line("__import__('os').system('echo from below'); print('hello')")
    assert graded(tmp_path, noisy)["adam_step"].passed
    captured = capfd.readouterr()
    assert captured.out == "" and "hello" in captured.err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs files that cannot be read")
def test_a_file_that_cannot_be_read(tmp_path):
    file = tmp_path / "mine.py"
    file.touch(mode=0)
    with pytest.raises(ExerciseError, match="Permission denied"):
        grade_apart(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ExerciseError, match="No such file"):
        grade_apart(tmp_path / "none.py")
