"""Grade an exercise in a process of its own: a student's endless loop or crash ends that, not the grading.

The child writes what it is about to run, and each grade, line by line into a file; the clock starts anew with
every line. Where it is stopped or dies, the function it was running gets its grade from that, and another
child goes on with the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nphash.gradcheck import Report
from nphash.teaching.exercises import grade_student, mend_first, parts_of, student_of
from nphash.teaching.grading import ADVICE, Grade
from nphash.teaching.student import ExerciseError

__all__ = ["SECONDS", "grade_apart", "main"]

SECONDS = 30.0  # for each function: the checker calls it some hundred times

# Isolated, so that no file in the student's folder stands in for a module before it has to.
_PROGRAM = (
    "import sys, json; job = json.loads(sys.argv[1]); sys.path[:] = job.pop('path'); "
    "from nphash.teaching.isolation import main; main(**job)"
)
_MEMORY = 2 << 30  # bytes a student's program may take, where the system can tell it so
_LOOK_AGAIN = 0.02


def grade_apart(file: Path | str, seed: int = 0, seconds: float = SECONDS) -> list[Grade]:
    """Grade a student's file as `nphash.teaching.exercises.grade_exercise` does, in a process of its own.

    Parameters
    ----------
    file
        One of the exercises, filled in.
    seed
        Draws the arguments.
    seconds
        How long the file itself and each function in it may take.

    Raises
    ------
    ExerciseError
        If the file cannot be run, does not end, or is no exercise.
    """
    grades: list[Grade] = []
    with tempfile.TemporaryDirectory(prefix="nphash-") as folder:
        while True:
            told = Path(folder) / f"{len(grades)}.jsonl"
            wrong = [grade.part for grade in grades if not grade.passed]
            job = {"file": str(file), "seed": seed, "told": str(told), "first": len(grades), "wrong": wrong}
            ending = _run(job, told, seconds)
            running = advice = ""
            for line in _lines(told):
                running, advice = line.get("running", running), line.get("advice", advice)
                if "error" in line:
                    raise ExerciseError(*line["error"])
                if "grade" in line:
                    grades.append(_grade_of(line["grade"]))
                if "finished" in line:
                    return grades
            if not running:
                raise ExerciseError(f"{file}: {ending[1]}", ADVICE[ending[0]])
            grades.append(Grade(running, "wrong", *ending, advice=advice or ADVICE[ending[0]]))


def _run(job: dict[str, Any], told: Path, seconds: float) -> tuple[str, str]:
    """Run a child until it ends or has been at the same thing for too long; return how it ended."""
    told.touch()
    command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps({**job, "path": sys.path})]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        size, since = 0, time.monotonic()
        while child.poll() is None:
            time.sleep(_LOOK_AGAIN)
            if told.stat().st_size != size:
                size, since = told.stat().st_size, time.monotonic()
            elif size and time.monotonic() - since > seconds:  # before the first line it is still loading
                return "the function does not end", f"stopped after {seconds:g} s; --time-limit gives more"
    finally:
        child.kill()
        child.wait()
    return "the program dies", f"its process ended with code {child.returncode}"


def _lines(told: Path) -> Iterator[dict[str, Any]]:
    for line in told.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # cut off when the child was stopped
            yield json.loads(line)


def _grade_of(record: dict[str, Any]) -> Grade:
    reports = tuple(
        Report(**{**report, "shape": tuple(report["shape"]), "worst": tuple(report["worst"]), "sweep": ()})
        for report in record.pop("reports")
    )
    return Grade(**record, reports=reports)


def main(file: str, seed: int, told: str, first: int, wrong: list[str]) -> None:
    """Be the child: grade from function number `first` on and write down how it goes."""
    with Path(told).open("a", encoding="utf-8") as out:

        def tell(**line: Any) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        try:
            _limit_memory()
            tell(running="")
            student = student_of(file)
            for part in parts_of(student.number)[first:]:
                tell(running=part.name, advice=mend_first(student, part, wrong))
                grade = grade_student(student, part, wrong, seed)
                wrong = wrong if grade.passed else [*wrong, grade.part]
                tell(grade=asdict(grade))
            tell(finished=True)
        except ExerciseError as error:
            tell(error=[error.problem, error.hint, error.exit_code])
        except OSError as error:
            tell(error=[f"{error.filename or file}: {error.strerror}", "give the file with your solution"])
        except KeyboardInterrupt:
            os._exit(130)


def _limit_memory() -> None:
    """Make too large arrays an error of the student's program; where that cannot be, nothing is done."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):  # not Linux
        return
    most = pages * resource.getpagesize() + _MEMORY
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
