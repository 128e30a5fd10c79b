"""Exercises are graded: blanks, model solutions, and typical mistakes that have to be named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from helpers.answers import ALTERNATIVES, MISTAKES
from helpers.styles import STYLES
from nphash.teaching import exercises
from nphash.teaching.exercises import (
    all_right,
    format_grades,
    format_grades_jsonl,
    grade_exercise,
    grade_in_subprocess,
    questions_of,
)
from nphash.teaching.grading import Grade, changed_solution
from nphash.teaching.lessons import LESSONS, copy_lessons, exercise_text, solution_text
from nphash.teaching.student import ExerciseError

NUMBERS = [lesson.number for lesson in LESSONS]


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("number", NUMBERS)
def test_a_blank_exercise_is_not_done(tmp_path, number):
    grades = grade_exercise(copy_lessons([number], tmp_path)[1])
    assert [grade.verdict for grade in grades] == ["not done"] * len(questions_of(number))
    assert all("still blank" in grade.evidence for grade in grades)
    assert not all_right(grades)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_solution_passes(tmp_path, number, seed):
    grades = grade_exercise(write(tmp_path, solution_text(number)), seed)
    assert [grade.function for grade in grades] == [question.name for question in questions_of(number)]
    assert all_right(grades), format_grades(grades)


@pytest.mark.parametrize(("number", "function", "old", "new", "cause"), MISTAKES)
def test_a_typical_mistake_is_named(tmp_path, number, function, old, new, cause):
    path = write(tmp_path, changed_solution(number, function, (old, new)))
    grades = {grade.function: grade for grade in grade_exercise(path)}
    assert grades[function].verdict == "wrong"
    assert grades[function].cause == cause, grades[function]


def test_every_exercise_has_mistakes():
    assert {number for number, *_ in MISTAKES} == set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_exercises_and_solutions_have_the_same_functions(number):
    text = exercise_text(number)
    for question in questions_of(number):
        assert f"def {question.name}(" in text
        assert f"def {question.name}(" in solution_text(number)
    assert f"EXERCISE = {number}\n" in text
    assert f"--exercise {LESSONS[number - 1].exercise}" in text


@pytest.mark.parametrize(("number", "function", "old", "new"), ALTERNATIVES)
def test_other_right_solutions_pass(tmp_path, number, function, old, new):
    path = write(tmp_path, changed_solution(number, function, (old, new)))
    grades = {grade.function: grade for grade in grade_exercise(path)}
    assert grades[function].passed, grades[function]


def in_style(folder, number, style):
    names = [question.name for question in questions_of(number)]
    lines = [f"{name} = STYLES[{style!r}]({name})" for name in names]
    return write(folder, "\n".join([solution_text(number), "from helpers.styles import STYLES", *lines, ""]))


STYLED = [(number, style) for number in NUMBERS for style in STYLES]


@pytest.mark.parametrize(
    ("number", "style"),
    # Each style once, each exercise twice or more; the others are slow together.
    [pytest.param(*pair, marks=[pytest.mark.slow] * (n % 10 != 0)) for n, pair in enumerate(STYLED)],
)
def test_right_answers_in_other_styles(tmp_path, number, style):
    grades = grade_exercise(in_style(tmp_path, number, style))
    assert all_right(grades), format_grades(grades)


@pytest.mark.parametrize(("held", "says"), [(True, "2 GiB of memory"), (False, "no limit on memory on this")])
def test_which_limits_hold_is_said(monkeypatch, held, says):
    monkeypatch.setattr(exercises, "LIMITS_MEMORY", held)
    assert exercises.limits(2.5).startswith(f"2.5 s for each function, {says}")


def test_there_are_twenty_styles_for_each_lesson():
    assert len(STYLES) >= 20


def test_epsilon_beside_the_root_of_v_is_right(tmp_path):
    """As in section 2 of Kingma & Ba (2015): the corrections in the step size."""
    old = "learning_rate * mhat / (np.sqrt(vhat) + EPSILON)"
    new = "(learning_rate * np.sqrt(1 - BETA2**t) / (1 - BETA1**t)) * m / (np.sqrt(v) + EPSILON)"
    path = write(tmp_path, changed_solution(6, "adam_step", (old, new)))
    assert all_right(grade_exercise(path))


def test_an_answer_that_calls_the_library_is_seen(tmp_path):
    text = solution_text(1).replace("import numpy as np", "import numpy as np\nfrom nphash.nn import ops")
    path = write(
        tmp_path, text.replace("return e / e.sum(axis=1, keepdims=True)", "return ops.softmax(scores)[0]")
    )
    softmax, word_loss = grade_exercise(path)
    assert softmax.passed and softmax.evidence == "it calls nphash.nn.ops.softmax, the library's own"
    assert "it calls nphash.nn.ops.softmax" in format_grades([softmax])
    assert word_loss.passed and word_loss.evidence == ""
    assert all(grade.evidence == "" for grade in grade_exercise(write(tmp_path, solution_text(7))))


def test_grades_as_text():
    grades = [Grade("softmax", "right"), Grade("loss", "wrong", "sign", "-2, 2 is right")]
    wanted = (
        "right     softmax\nWRONG     loss\n          likely mistake: sign (-2, 2 is right)\n1 of 2 right"
    )
    assert format_grades(grades) == wanted
    assert not all_right(grades) and all_right(grades[:1])
    wanted = {"function": "softmax", "verdict": "right", "cause": "", "evidence": "", "advice": ""}
    assert json.loads(format_grades_jsonl(grades[:1])) == wanted | {"place": "", "gradients": {}}


def test_half_done(tmp_path):
    text = solution_text(1).replace("return e / e.sum(axis=1, keepdims=True)", "return ...")
    grades = grade_exercise(write(tmp_path, text))
    assert [grade.verdict for grade in grades] == ["not done", "right"]
    assert "1 of 2 right" in format_grades(grades)


def test_a_missing_function(tmp_path):
    grades = grade_exercise(write(tmp_path, solution_text(1).replace("def softmax", "def soft_max")))
    assert grades[0].verdict == "not done" and "missing" in grades[0].cause


def test_there_is_no_such_exercise(tmp_path):
    with pytest.raises(ExerciseError, match="exercise 12"):
        grade_exercise(write(tmp_path, "EXERCISE = 12\n"))


def test_text_has_the_table_of_a_wrong_gradient(tmp_path):
    grades = grade_exercise(write(tmp_path, solution_text(2).replace("da = dy * (1 - y * y)", "da = dy")))
    text = format_grades(grades)
    assert "likely mistake: activation derivative missing" in text
    assert "think of this:" in text
    assert "analytic" in text and "numeric" in text
    assert "WRONG     tanh_layer" in text
    assert "likely cause" not in text


def test_a_function_that_calls_a_wrong_one(tmp_path):
    grades = grade_exercise(write(tmp_path, solution_text(2).replace("da = dy * (1 - y * y)", "da = dy")))
    assert "calls" not in grades[0].advice
    assert grades[1].verdict == "wrong" and grades[1].advice == "it calls tanh_layer: mend that first"


def test_jsonl(tmp_path):
    grades = grade_exercise(
        write(tmp_path, solution_text(5).replace("(1 - soft) / temperature", "(1 - soft)"))
    )
    records = [json.loads(line) for line in format_grades_jsonl(grades).splitlines()]
    assert [record["verdict"] for record in records] == ["wrong", "right"]
    assert records[0]["cause"] == "temperature missing in back"
    assert records[0]["gradients"]["logits"] > 0.01
    assert records[1]["gradients"]["logits"] < 1e-7


def test_the_table_below_a_mistake_has_no_remarks_of_its_own(tmp_path):
    source = solution_text(2)
    file = tmp_path / "mine.py"
    file.write_text(source.replace("db = da.sum(axis=0)", "db = da"), encoding="utf-8")
    text = format_grades(grade_exercise(file))
    assert text.count("add up the leading axes") == 2  # once for each function, not again below its table
    lines = [line[10:] for line in text.splitlines() if line.startswith(" " * 10)]
    tables = [line.split()[:2] for line in lines if line.startswith("WRONG")]
    assert tables == [["WRONG", "b"], ["WRONG", "b"]]
    assert [line for line in lines if line in {"tanh_layer", "residual"}] == ["tanh_layer", "residual"]
    assert max(len(line) for line in lines if line.startswith(("WRONG", "ok"))) <= 70
    assert "axes)\n" not in text.replace("leading axes)", "")


# --- in a process of their own: whatever a student writes, grading ends and says what is wrong


SOLUTION = solution_text(6)
LIMIT = 3.0


def graded(tmp_path, source, seconds=LIMIT):
    file = tmp_path / "mine.py"
    file.write_text(source, encoding="utf-8")
    return {grade.function: grade for grade in grade_in_subprocess(file, seconds=seconds)}


def with_first_line(line):
    """The model solution, whose adam_step begins with this."""
    head, mark, rest = SOLUTION.partition("def adam_step")
    signature, colon, body = rest.partition(":\n")
    return f"{head}{mark}{signature}{colon}    {line}\n{body}"


def test_grades_are_those_of_this_process(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION.replace("return w - learning", "return w + learning"), encoding="utf-8")
    assert grade_in_subprocess(file) == grade_exercise(file)
    file.write_text(SOLUTION, encoding="utf-8")
    assert all_right(grade_in_subprocess(file))


def test_reports_of_the_checker_come_back_whole(tmp_path):
    source = solution_text(1)
    file = tmp_path / "mine.py"
    file.write_text(source.replace("- counts) / len(scores)", "- counts)"), encoding="utf-8")
    assert grade_in_subprocess(file, seed=3) == grade_exercise(file, seed=3)


def test_an_endless_loop_is_named_and_the_rest_graded(tmp_path):
    grades = graded(tmp_path, with_first_line("while True: pass"), seconds=1)
    assert list(grades) == ["adam_step", "clip"]
    assert grades["adam_step"].cause == "the function does not end"
    assert "stopped after 1 s" in grades["adam_step"].evidence and "loop" in grades["adam_step"].advice
    assert grades["clip"].passed


def test_what_calls_an_endless_loop_is_warned(tmp_path):
    source = solution_text(2)
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
        ("EXERCISE = 6\nimport sys\nsys.exit()\n", "ends the program itself"),
        ("EXERCISE = 6\nimport os\nos._exit(3)\n", "code 3"),
        ("EXERCISE = 6\ndef f(:\n", "line 2: not Python"),
        ("EXERCISE = 6\ndef f(): f()\nf()\n", "line 2: RecursionError"),
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
        grade_in_subprocess(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ExerciseError, match="No such file"):
        grade_in_subprocess(tmp_path / "none.py")
