"""Exercises graded: every function a student had to write, each with the likely mistake.

The file is run to get at its functions, as ``python FILE`` would: grade only what you would run.
`grade_exercise` runs it in this process; `grade_in_subprocess` in one of its own, where an endless loop or
a crash ends that, not the grading. The child writes what it is about to run, and each grade, line by line
into a file; the clock starts anew with every line. Where it is stopped or dies, the function it was running
gets its grade from that, and another child goes on with the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from nphash.gradcheck import Report, format_text
from nphash.teaching.grading import ADVICE, Grade, Question, grade_question
from nphash.teaching.lessons import LESSONS, exercise_text
from nphash.teaching.questions import model, practice
from nphash.teaching.student import ExerciseError, Student, is_of, own_output, read_student

SECONDS = 30.0  # for each function: the checker calls it some hundred times

# Isolated, so that no file in the student's folder stands in for a module before it has to.
_PROGRAM = (
    "import sys, json; job = json.loads(sys.argv[1]); sys.path[:] = job.pop('path'); "
    "from nphash.teaching.exercises import main; main(**job)"
)
_MEMORY = 2 << 30  # bytes a student's program may take, where the system can be asked to limit it
MEND_FIRST = "mend that first"
LIMITS_MEMORY = sys.platform == "linux"
_LOOK_AGAIN = 0.02
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # arrays are small, and so are machines


def questions_of(number: int) -> tuple[Question, ...]:
    """Return the functions that exercise ``number`` asks for."""
    found: tuple[Question, ...] = {**model.QUESTIONS, **practice.QUESTIONS}[number]
    return found


def grade_exercise(path: Path | str, seed: int = 0) -> list[Grade]:
    """Run a student's file, an exercise filled in, and grade each function that was to be written.

    Raise `ExerciseError` if the file cannot be run or is no exercise. The seed draws the arguments.
    """
    student = _student(path)
    grades: list[Grade] = []
    for question in questions_of(student.number):
        grades.append(_grade(student, question, _not_right(grades), seed))
    return grades


def _not_right(grades: Iterable[Grade]) -> list[str]:
    return [grade.function for grade in grades if not grade.passed]


def _student(path: Path | str) -> Student:
    """Read and run a student's file, and see that it is one of the exercises."""
    student = read_student(path)
    if not 1 <= student.number <= len(LESSONS):
        raise ExerciseError(
            f"{student.path} says it is exercise {student.number}",
            f"there are 1 to {len(LESSONS)}: {LESSONS[0].exercise} to {LESSONS[-1].exercise}",
            exit_code=2,
        )
    return student


def _grade(student: Student, question: Question, wrong: Sequence[str], seed: int) -> Grade:
    """Grade one function; say if it calls one of those found wrong before: that has to be mended first."""
    name = question.name
    if name in student.blanks:
        blank = student.blanks[name]
        return Grade(name, "not done", evidence=f"{blank} is still blank", place=blank)
    if name not in student.functions:
        advice = "keep the names of the functions as they were"
        return Grade(name, "not done", "the function is missing", advice=advice)
    start = time.monotonic()
    grade = grade_question(question, student.functions[name], student.path, seed)
    hint = _mend_first(student, question, wrong) if grade.verdict == "wrong" else ""
    seconds = round(time.monotonic() - start, 3)
    if grade.passed and (borrowed := _borrowed(student, question)):
        grade = replace(grade, evidence=f"it calls {borrowed}, the library's own")
    return replace(grade, advice=hint or grade.advice, place=student.places.get(name, ""), seconds=seconds)


def _borrowed(student: Student, question: Question) -> str:
    """Return which function of this package an answer calls that is not given with the exercise."""
    given = re.findall(r"^from nphash.* import (.*)", exercise_text(student.number), re.M)
    allowed = {name for names in given for name in names.split(", ")}
    found: dict[str, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back.f_code.co_filename if frame.f_back is not None else ""
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("nphash.") and is_of(student.path, caller):
            name = frame.f_code.co_qualname.partition(".")[0]
            found.update({} if name in allowed else {f"{module}.{name}": None})

    args = question.draws[0](np.random.default_rng(0))
    before = sys.getprofile()
    with np.errstate(all="ignore"), own_output():
        sys.setprofile(watch)
        try:
            student.functions[question.name](*args)
        finally:
            sys.setprofile(before)
    return next(iter(found), "")


def _mend_first(student: Student, question: Question, wrong: Sequence[str]) -> str:
    """Return what to say of a function that calls one of those found wrong before; empty if it does not."""
    code = getattr(student.functions.get(question.name), "__code__", None)
    called = [name for name in wrong if code is not None and name in code.co_names]
    return f"it calls {called[0]}: {MEND_FIRST}" if called else ""


# ---------------------------------------------------------------------- in a process of its own


def grade_in_subprocess(
    file: Path | str, seed: int = 0, seconds: float = SECONDS, stop: threading.Event | None = None
) -> list[Grade]:
    """Grade a student's file as `grade_exercise` does, in a process of its own.

    The file itself and each function in it may take so many seconds; a file that does not end is an
    `ExerciseError` too. Once ``stop`` is set, the process is ended and `KeyboardInterrupt` raised.
    """
    grades: list[Grade] = []
    with tempfile.TemporaryDirectory(prefix="nphash-") as folder:
        while True:
            journal = Path(folder) / f"{len(grades)}.jsonl"
            job = {"file": str(file), "seed": seed, "journal": str(journal)}
            job |= {"first": len(grades), "wrong": _not_right(grades)}
            ending, spent = _run(job, journal, seconds, stop)
            running = advice = place = ""
            for line in _lines(journal):
                running, advice = line.get("running", running), line.get("advice", advice)
                place = line.get("place", place)
                if "error" in line:
                    raise ExerciseError(*line["error"])
                if "grade" in line:
                    grades.append(grade_from(line["grade"]))
                if "finished" in line:
                    return grades
            if not running:
                raise ExerciseError(f"{file}: {ending[1]}", ADVICE[ending[0]])
            hint = advice or ADVICE[ending[0]]
            grades.append(Grade(running, "wrong", *ending, hint, place=place, seconds=spent))


def _run(
    job: dict[str, Any], journal: Path, seconds: float, stop: threading.Event | None
) -> tuple[tuple[str, str], float]:
    """Run a child until it ends or has been at the same thing for too long; return how it ended, and when."""
    journal.touch()
    command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps({**job, "path": sys.path})]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, **_ONE_THREAD}
    )
    try:
        size, since = 0, time.monotonic()
        while child.poll() is None:
            time.sleep(_LOOK_AGAIN)
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            if journal.stat().st_size != size:
                size, since = journal.stat().st_size, time.monotonic()
            elif size and time.monotonic() - since > seconds:  # before the first line it is still loading
                stopped = f"stopped after {seconds:g} s; --time-limit gives more"
                return ("the function does not end", stopped), seconds
    finally:
        child.kill()
        child.wait()
    spent = round(time.monotonic() - since, 3)
    return ("the program dies", f"its process ended with code {child.returncode}"), spent


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    for line in journal.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # cut off when the child was stopped
            yield json.loads(line)


def grade_from(record: dict[str, Any]) -> Grade:
    """Return a grade that was written as JSON."""
    reports = tuple(
        Report(**{**report, "shape": tuple(report["shape"]), "worst": tuple(report["worst"]), "sweep": ()})
        for report in record.pop("reports")
    )
    return Grade(**record, reports=reports)


def main(file: str, seed: int, journal: str, first: int, wrong: list[str]) -> None:
    """Be the child: grade from function number `first` on and write down how it goes."""
    with Path(journal).open("a", encoding="utf-8") as out:

        def write(**line: object) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        try:
            _limit_memory()
            write(running="")
            student = _student(file)
            for question in questions_of(student.number)[first:]:
                hint = _mend_first(student, question, wrong)
                write(running=question.name, advice=hint, place=student.places.get(question.name, ""))
                grade = _grade(student, question, wrong, seed)
                wrong = wrong if grade.passed else [*wrong, grade.function]
                write(grade=asdict(grade))
            write(finished=True)
        except ExerciseError as error:
            write(error=[error.problem, error.hint, error.exit_code])
        except OSError as error:
            write(error=[f"{error.filename or file}: {error.strerror}", "give the file with your solution"])
        except KeyboardInterrupt:
            os._exit(130)


def _limit_memory() -> None:
    """Make too large arrays an error of the student's program; where that cannot be, nothing is done."""
    if not LIMITS_MEMORY:
        return
    import resource  # not on Windows

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + _MEMORY
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def limits(seconds: float) -> str:
    """Return which limits hold on this system for what is graded in a process of its own."""
    memory = f"{_MEMORY >> 30} GiB of memory" if LIMITS_MEMORY else "no limit on memory on this system"
    return f"{seconds:g} s for each function, {memory}"


# ---------------------------------------------------------------------- grades as text


def all_right(grades: Iterable[Grade]) -> bool:
    """Return whether every function is written and right."""
    return all(grade.passed for grade in grades)


def format_grades(grades: Sequence[Grade]) -> str:
    """Return one line for each function, and below those that are not right what is wrong with them."""
    lines = []
    for grade in grades:
        verdict = grade.verdict.upper() if grade.verdict == "wrong" else grade.verdict
        lines.append(f"{verdict:<10}{grade.function}")
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
        # The checker's table without its own remarks: the likely mistake stands above already.
        bare = [replace(report, cause="", note="", first=False) for report in grade.reports]
        texts += ["", *format_text(bare, width=70).splitlines()[:-1], ""]
    return texts


def format_grades_jsonl(grades: Iterable[Grade]) -> str:
    """Return one JSON object a line, for scripts that collect grades."""
    return "\n".join(json.dumps(_record(grade), ensure_ascii=False) for grade in grades)


def _record(grade: Grade) -> dict[str, object]:
    record: dict[str, object] = asdict(replace(grade, reports=()))
    del record["reports"], record["seconds"]
    errors = {report.parameter: report.relative_error for report in grade.reports}
    return record | {"gradients": {name: e if np.isfinite(e) else None for name, e in errors.items()}}
