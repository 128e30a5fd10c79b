"""A class graded: every exercise in a folder, each in a process of its own, and what is to be said of it.

Each student has a folder of their own below it, or the student's name stands in front of the file's:
``ada/exercise_1_bag_of_words.py``, ``ada_exercise_1_bag_of_words.ipynb``. What is graded is written to a
journal at once, by the contents of the file: after an interruption, or when others hand in later, only what
is new or changed is graded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from nphash._version import __version__
from nphash.core.disk import replace_text
from nphash.errors import InputError
from nphash.teaching.exercises import MEND_FIRST, format_grades, grade_from, grade_in_subprocess, questions_of
from nphash.teaching.grading import Grade
from nphash.teaching.lessons import LESSONS, find_lesson
from nphash.teaching.student import ExerciseError

JOURNAL = "graded.jsonl"
FIELDS: tuple[str, ...] = ("student", "exercise", "part", "points", "of", "verdict", "mistake", "evidence")
FIELDS += ("advice", "file", "place", "seconds")
_MARK = re.compile(r"""^(?:\s*")?EXERCISE\s*=\s*(\d+)\b""", re.M)  # of a script, or in the text of a notebook
_STUDENT = re.compile(r"[\W_]*(?:exercise|solution|lesson)[\W_]*\d.*$", re.I)


@dataclass(frozen=True)
class Submission:
    """A file that was handed in."""

    student: str
    exercise: int
    file: Path


@dataclass(frozen=True)
class Result:
    """What became of a submission: a grade for each function, or the reason why there is none."""

    student: str
    exercise: int
    file: str  # below the folder
    grades: tuple[Grade, ...]
    problem: str = ""

    @property
    def points(self) -> int:
        """One for each function that is right."""
        return sum(grade.passed for grade in self.grades)

    @property
    def most(self) -> int:
        """Number of functions that were asked for."""
        return len(questions_of(self.exercise))


def find_submissions(folder: Path) -> list[Submission]:
    """Return all exercises below a folder, by student and number; raise `InputError` if there is none."""
    found = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith((".", "__")) for part in parts)  # .ipynb_checkpoints, __MACOSX
        if hidden or file.suffix.lower() not in (".py", ".ipynb") or not file.is_file():
            continue
        mark = _MARK.search(file.read_text(encoding="utf-8", errors="replace"))
        if mark and 1 <= int(mark[1]) <= len(LESSONS):
            student = parts[0] if len(parts) > 1 else _STUDENT.sub("", file.stem) or file.stem
            found.append(Submission(student, int(mark[1]), file))
    if not found:
        hint = "it holds a folder for each student, with exercises as 'nphash lesson' copies them"
        raise InputError(f"{folder} holds no exercise", hint)
    return sorted(found, key=lambda one: (one.student, one.exercise, one.file))


def grade_class(
    folder: Path,
    journal: Path,
    seed: int = 0,
    seconds: float = 10.0,
    workers: int | None = None,
    done: Callable[[Result, int, int], None] | None = None,
) -> list[Result]:
    """Grade all exercises below a folder and return the results, by student and exercise.

    ``journal`` is a file of results, read and written; ``seconds`` is the limit for each function; ``done``
    receives each new result, how many there are by now, and of how many.
    """
    submissions = find_submissions(folder)
    known = dict(_read(journal))
    keys = {one: _key(one, folder, seed, seconds) for one in submissions}
    results = {one: known[key] for one, key in keys.items() if key in known}
    journal.parent.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    with journal.open("a", encoding="utf-8") as out, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        waiting = {
            pool.submit(_grade, one, folder, seed, seconds, stop): one
            for one in submissions
            if one not in results
        }
        try:
            for future in as_completed(waiting):
                one, result = waiting[future], future.result()
                results[one] = result
                out.write(json.dumps({"key": keys[one], "result": asdict(result)}) + "\n")
                out.flush()
                if done is not None:
                    done(result, len(results), len(submissions))
        finally:  # also after Ctrl-C: what runs is ended, what waits is not begun
            stop.set()
            pool.shutdown(cancel_futures=True)
    return [results[one] for one in submissions]


def _grade(one: Submission, folder: Path, seed: int, seconds: float, stop: threading.Event) -> Result:
    file = one.file.relative_to(folder).as_posix()
    try:
        grades = tuple(grade_in_subprocess(one.file, seed, seconds, stop))
    except ExerciseError as error:
        problem = str(error).replace(str(one.file), one.file.name)
        return Result(one.student, one.exercise, file, (), problem)
    return Result(one.student, one.exercise, file, grades)


def _key(one: Submission, folder: Path, seed: int, seconds: float) -> str:
    """Return what a result depends on: the file, its place, how it was graded and by which version."""
    place = one.file.relative_to(folder).as_posix()
    settings = json.dumps([place, seed, seconds, __version__]).encode()
    return hashlib.sha256(settings + one.file.read_bytes()).hexdigest()


def _read(journal: Path) -> Iterator[tuple[str, Result]]:
    """Yield what a journal holds, but for lines that were cut off or are none of ours."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
            values = entry["result"]
            grades = tuple(map(grade_from, values.pop("grades")))
            yield entry["key"], Result(**values, grades=grades)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


# ---------------------------------------------------------------------- as records


def records(results: Iterable[Result]) -> Iterator[dict[str, object]]:
    """Yield one flat record for each function of each submission; of one that cannot be run, one with why."""
    for result in results:
        for grade in result.grades or [Grade("", "not graded", evidence=result.problem)]:
            yield {
                "student": result.student,
                "exercise": result.exercise,
                "part": grade.function,
                "points": int(grade.passed),
                "of": 1 if grade.function else result.most,
                "verdict": grade.verdict,
                "mistake": grade.cause,
                "evidence": grade.evidence,
                "advice": grade.advice,
                "file": result.file,
                "place": grade.place,
                "seconds": grade.seconds,
            }


def by_student(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each student; of an exercise that was handed in twice, the better one."""
    best: dict[tuple[str, int], Result] = {}
    for result in results:
        key = result.student, result.exercise
        if key not in best or result.points >= best[key].points:
            best[key] = result
    found: dict[str, list[Result]] = {}
    for (student, _), result in sorted(best.items()):
        found.setdefault(student, []).append(result)
    return found


def gradescope(results: Iterable[Result]) -> dict[str, Any]:
    """Return results as Gradescope's autograder reads them: of one student, or for each student by name."""
    found = {
        student: {
            "score": sum(result.points for result in own),
            "max_score": sum(result.most for result in own),
            "execution_time": round(sum(grade.seconds for result in own for grade in result.grades)),
            "tests": [test for result in own for test in _tests(result)],
        }
        for student, own in by_student(results).items()
    }
    return next(iter(found.values())) if len(found) == 1 else found


def _tests(result: Result) -> Iterator[dict[str, Any]]:
    if not result.grades:
        whole = {"score": 0, "max_score": result.most, "status": "failed", "output": result.problem}
        yield {"name": f"exercise {result.exercise}", **whole, "output_format": "text"}
    for grade in result.grades:
        yield {
            "name": f"exercise {result.exercise}: {grade.function}",
            "score": int(grade.passed),
            "max_score": 1,
            "status": "passed" if grade.passed else "failed",
            "output": format_grades([grade]).rpartition("\n")[0],
            "output_format": "text",
        }


# ---------------------------------------------------------------------- as pages

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
td + td, th + th { text-align: right; } pre { background: #f6f6f6; padding: .7rem; white-space: pre-wrap; }
.all { color: #0072b2; } .some { color: #d55e00; }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>{style}</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def write_pages(results: Iterable[Result], folder: Path) -> Path:
    """Write a page for each student and one of the class, ``index.html``, which is returned."""
    students = by_student(results)
    names: dict[str, str] = {}
    for student in students:
        plain = re.sub(r"[^\w.-]+", "_", student).strip("._") or "student"
        taken = {"index.html", *map(str.lower, names.values())}
        tries = (f"{plain}{number}.html" for number in ("", *(f"_{n}" for n in range(2, len(students) + 3))))
        names[student] = next(name for name in tries if name.lower() not in taken)
    for student, own in students.items():
        replace_text(folder / names[student], student_page(student, own))
    replace_text(folder / "index.html", class_page(students, names))
    return folder / "index.html"


def student_page(student: str, results: list[Result]) -> str:
    """Return the page of one student: points of each exercise, and what is to be said of each function."""
    rows = [[_title(result), _points(result.points, result.most)] for result in results]
    total = sum(result.points for result in results), sum(result.most for result in results)
    parts = [_table([["exercise", "points"], *rows, ["all", _points(*total)]])]
    for result in results:
        seconds = sum(grade.seconds for grade in result.grades)
        places = ", ".join(f"{grade.function} {grade.place}" for grade in result.grades if grade.place)
        source = ": ".join(filter(None, [result.file, places]))
        parts.append(f"<h2>{escape(_title(result))}</h2>\n<p>{escape(source)} ({seconds:.1f} s)</p>")
        parts.append(f"<pre>{escape(result.problem or format_grades(result.grades))}</pre>")
    return _PAGE.format(title=escape(student), style=_STYLE, body="\n".join(parts))


def class_page(students: dict[str, list[Result]], names: dict[str, str]) -> str:
    """Return the page of a class: points of each student and exercise, and the most frequent mistakes."""
    numbers = sorted({result.exercise for own in students.values() for result in own})
    rows = [["student", *map(str, numbers), "all"]]
    for student, own in students.items():
        points = {result.exercise: result for result in own}
        cells = [_points(points[n].points, points[n].most) if n in points else "-" for n in numbers]
        total = _points(sum(one.points for one in own), sum(one.most for one in own))
        rows.append([f'<a href="{escape(names[student])}">{escape(student)}</a>', *cells, total])
    mistakes = Counter(
        (result.exercise, grade.function, grade.cause)
        for own in students.values()
        for result in own
        for grade in result.grades
        if grade.cause and MEND_FIRST not in grade.advice  # of its own
    )
    seen = [
        [escape(f"{number}, {function}: {cause}"), str(count)]
        for (number, function, cause), count in mistakes.most_common(30)
    ]
    counted = _table([["exercise, function: likely mistake", "students"], *seen])
    body = f"{_table(rows)}\n<h2>Mistakes</h2>\n{counted}"
    return _PAGE.format(title="Class", style=_STYLE, body=body)


def _title(result: Result) -> str:
    return f"{result.exercise}: {find_lesson(result.exercise).title}"


def _points(points: int, most: int) -> str:
    return f'<span class="{"all" if points == most else "some"}">{points} / {most}</span>'


def _table(rows: list[list[str]]) -> str:
    """Return a table of cells that are HTML already."""
    head, *others = rows
    lines = ["".join(f"<th>{cell}</th>" for cell in head)]
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in others]
    return "<table>" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</table>"
