"""Grade an exercise: every function a student had to write, each with the likely mistake.

The file is run to get at its functions, as ``python FILE`` would: grade only what you would run.
`grade_exercise` runs it in this process; `nphash.teaching.isolation` in one of its own, which can be stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from nphash.gradcheck import Report, format_text
from nphash.teaching.grading import Grade, Part, grade_part
from nphash.teaching.lessons import LESSONS
from nphash.teaching.student import ExerciseError, Student, read_student

__all__ = [
    "all_right",
    "format_grades",
    "format_grades_jsonl",
    "grade_exercise",
    "grade_student",
    "mend_first",
    "parts_of",
    "student_of",
]

# Where the parts of each exercise stand: an exercise needs only its own references.
_HOMES = {
    1: "words",
    2: "words",
    3: "bits",
    4: "bits",
    5: "bits",
    6: "steps",
    7: "model",
    8: "retrieval",
    9: "retrieval",
}


def parts_of(number: int) -> tuple[Part, ...]:
    """Return the functions that exercise ``number`` asks for.

    Examples
    --------
    >>> [part.name for part in parts_of(6)]
    ['adam_step', 'clip']
    """
    module = import_module(f"nphash.teaching.parts.{_HOMES[number]}")
    parts: tuple[Part, ...] = module.PARTS[number]
    return parts


def grade_exercise(path: Path | str, seed: int = 0) -> list[Grade]:
    """Run a student's file and grade its functions.

    Parameters
    ----------
    path
        The file: one of the exercises, filled in.
    seed
        Draws the arguments.

    Returns
    -------
    list of Grade
        One for each function that was to be written.

    Raises
    ------
    ExerciseError
        If the file cannot be run or is no exercise.
    OSError
        If it cannot be read.
    """
    student = student_of(path)
    grades: list[Grade] = []
    for part in parts_of(student.number):
        grades.append(
            grade_student(student, part, [grade.part for grade in grades if not grade.passed], seed)
        )
    return grades


def student_of(path: Path | str) -> Student:
    """Read and run a student's file, and see that it is one of the exercises.

    Raises
    ------
    ExerciseError
        If the file cannot be run or is no exercise.
    OSError
        If it cannot be read.
    """
    student = read_student(path)
    if student.number not in _HOMES:
        raise ExerciseError(
            f"{student.path} says it is exercise {student.number}",
            f"there are 1 to {len(LESSONS)}: {LESSONS[0].exercise} to {LESSONS[-1].exercise}",
            exit_code=2,
        )
    return student


def grade_student(student: Student, part: Part, wrong: Sequence[str], seed: int) -> Grade:
    """Grade one function; say if it calls one of those found wrong before: that has to be mended first."""
    grade = _grade(part, student, seed)
    hint = mend_first(student, part, wrong)
    return replace(grade, advice=hint) if grade.verdict == "wrong" and hint else grade


def mend_first(student: Student, part: Part, wrong: Sequence[str]) -> str:
    """Return what to say of a function that calls one of those found wrong before; empty if it does not."""
    code = getattr(student.functions.get(part.name), "__code__", None)
    called = [name for name in wrong if code is not None and name in code.co_names]
    return f"it calls {called[0]}: mend that first" if called else ""


def _grade(part: Part, student: Student, seed: int) -> Grade:
    if part.name in student.blanks:
        return Grade(part.name, "not done", evidence=f"line {student.blanks[part.name]} is still blank")
    if part.name not in student.functions:
        advice = "keep the names of the functions as they were"
        return Grade(part.name, "not done", "the function is missing", advice=advice)
    return grade_part(part, student.functions[part.name], student.path, seed)


def all_right(grades: list[Grade]) -> bool:
    """Return whether every part is done and right.

    Examples
    --------
    >>> all_right([Grade("f", "right"), Grade("g", "not done")])
    False
    """
    return all(grade.passed for grade in grades)


def format_grades(grades: list[Grade]) -> str:
    """Return one line for each part, and below those that are not right what is wrong with them.

    Examples
    --------
    >>> print(format_grades([Grade("softmax", "right"), Grade("loss", "wrong", "sign", "-2, 2 is right")]))
    right     softmax
    WRONG     loss
              likely mistake: sign (-2, 2 is right)
    1 of 2 right
    """
    lines = []
    for grade in grades:
        verdict = grade.verdict.upper() if grade.verdict == "wrong" else grade.verdict
        lines.append(f"{verdict:<10}{grade.part}")
        lines += [" " * 10 + text for text in _remarks(grade)]
    right = sum(grade.passed for grade in grades)
    return "\n".join([*lines, f"{right} of {len(grades)} right"])


def _remarks(grade: Grade) -> list[str]:
    texts = []
    if grade.cause:
        evidence = f" ({grade.evidence})" if grade.evidence else ""
        texts.append(f"likely mistake: {grade.cause}{evidence}")
    elif grade.evidence:
        texts.append(grade.evidence)
    if grade.advice:
        texts.append(f"think of this: {grade.advice}")
    if any(not report.passed for report in grade.reports):
        texts += _table(grade.reports)
    return texts


def _table(reports: tuple[Report, ...]) -> list[str]:
    """Return the checker's table without its own remarks: the likely mistake stands above already."""
    bare = [replace(report, cause="", note="", first=False) for report in reports]
    return ["", *format_text(bare).splitlines()[:-1], ""]


def format_grades_jsonl(grades: list[Grade]) -> str:
    """Return one JSON object a line, for scripts that collect grades.

    Examples
    --------
    >>> format_grades_jsonl([Grade("softmax", "right")])
    '{"part": "softmax", "verdict": "right", "cause": "", "evidence": "", "advice": "", "gradients": {}}'
    """
    return "\n".join(json.dumps(_record(grade), ensure_ascii=False) for grade in grades)


def _record(grade: Grade) -> dict[str, object]:
    errors = {report.parameter: report.relative_error for report in grade.reports}
    return {
        "part": grade.part,
        "verdict": grade.verdict,
        "cause": grade.cause,
        "evidence": grade.evidence,
        "advice": grade.advice,
        "gradients": {name: error if np.isfinite(error) else None for name, error in errors.items()},
    }
