"""A class graded: every exercise in a folder, each in a process of its own, and what is to be said of it.

Each student has a folder of their own below it, or the student's name stands in front of the file's:
``ada/exercise_1_bag_of_words.py``, ``ada_exercise_1_bag_of_words.ipynb``. What was meant as an exercise and
cannot be read is a result too, with the reason, and so is a folder that holds none: nobody is left out. Of
several files of one exercise by one student, the best counts. What is graded is written to a
journal at once, by the contents of the file: after an interruption, or when others hand in later, only what
is new or changed is graded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from nphash.teaching.lessons.notebooks import code_of
from nphash.teaching.student import ExerciseError

JOURNAL = "graded.jsonl"
FIELDS: tuple[str, ...] = ("student", "exercise", "part", "points", "of", "verdict", "mistake", "evidence")
FIELDS += ("advice", "file", "place", "seconds")
NOTHING = "no script (.py) or notebook (.ipynb) was found in this folder"
UNKNOWN = 0  # number of an exercise where neither the file nor its name says it
_SUFFIXES = (".py", ".ipynb")
# The line of a script, or in the text of a notebook; without a number, one that cannot be read.
_MARK = re.compile(r"""^(?:\s*")?EXERCISE\b[^=\n]*=(?:\s*(\d{1,9})\b)?""", re.M)
_NAMED = re.compile(r"(?:exercise|solution)[\W_]*(\d*)", re.I)
_STUDENT = re.compile(r"[\W_]*(?:exercise|solution|lesson)[\W_]*\d.*$", re.I)


@dataclass(frozen=True)
class Submission:
    """A file that was handed in, or the folder of a student who handed in none."""

    student: str
    exercise: int  # or UNKNOWN
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
        """Number of functions that were asked for; 0 of an unknown exercise."""
        return 0 if self.exercise == UNKNOWN else len(questions_of(self.exercise))

    @property
    def name(self) -> str:
        """Which exercise it is, in words."""
        return "unknown exercise" if self.exercise == UNKNOWN else f"exercise {self.exercise}"


def find_submissions(folder: Path) -> list[Submission]:
    """Return all exercises below a folder, by student and number; raise `InputError` if there is none.

    An exercise is what has a line ``EXERCISE = ...`` or is named like one. Where a student's folder holds
    none, its other scripts and notebooks are returned instead, or the folder itself if there are none.
    """
    found, others = [], []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if _is_hidden(parts) or file.suffix.lower() not in _SUFFIXES or not file.is_file():
            continue
        number = _number_of(file)
        student = parts[0] if len(parts) > 1 else _STUDENT.sub("", file.stem) or file.stem
        if number is not None:
            found.append(Submission(student, number, file))
        elif len(parts) > 1:
            others.append(Submission(student, UNKNOWN, file))
    if not found:
        hint = "it holds a folder for each student, with exercises as 'nphash lesson' copies them"
        raise InputError(f"{folder} holds no exercise", hint)
    found += _without_exercise(folder, {one.student for one in found}, others)
    return sorted(found, key=lambda one: (one.student, one.exercise, one.file))


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith((".", "__")) for part in parts)  # .ipynb_checkpoints, __MACOSX


def _number_of(file: Path) -> int | None:
    """Return which exercise a file says it is, else its name, else UNKNOWN; None if it is evidently none."""
    mark, named = _mark(file), _NAMED.search(file.stem)
    if mark is None and named is None:
        return None
    numbers = [int(match[1]) for match in (mark, named) if match and match[1]]
    return next((number for number in numbers if 1 <= number <= len(LESSONS)), UNKNOWN)


def _mark(file: Path) -> re.Match[str] | None:
    text = code = file.read_text(encoding="utf-8-sig", errors="replace")
    if file.suffix.lower() == ".ipynb":
        with contextlib.suppress(ValueError, RecursionError):  # broken: grading says so
            code = "\n".join(source for _, source in code_of(text))
    return _MARK.search(code) or _MARK.search(text)


def _without_exercise(
    folder: Path, students: Iterable[str], others: Iterable[Submission]
) -> Iterator[Submission]:
    """Yield what stands for students with a folder but no exercise: other files, else the folder."""
    rest = [one for one in others if one.student not in students]
    yield from rest
    seen = {*students, *(one.student for one in rest)}
    for path in folder.iterdir():
        ours = (path / JOURNAL).exists()  # pages and results of a class
        if path.is_dir() and path.name not in seen and not ours and not _is_hidden([path.name]):
            yield Submission(path.name, UNKNOWN, path)


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
    if one.file.is_dir():
        return Result(one.student, one.exercise, file, (), NOTHING)
    try:
        grades = tuple(grade_in_subprocess(one.file, seed, seconds, stop))
    except ExerciseError as error:
        problem = str(error).replace(str(one.file), one.file.name)
        return Result(one.student, one.exercise, file, (), problem)
    return Result(one.student, _number_graded(grades, one.exercise), file, grades)


def _number_graded(grades: Iterable[Grade], exercise: int) -> int:
    """Return the number of the exercise that was graded, which a file may say only when it is run."""
    names = [grade.function for grade in grades]
    numbers = range(1, len(LESSONS) + 1)
    return next((n for n in numbers if [question.name for question in questions_of(n)] == names), exercise)


def _key(one: Submission, folder: Path, seed: int, seconds: float) -> str:
    """Return what a result depends on: the file, its place, how it was graded and by which version."""
    place = one.file.relative_to(folder).as_posix()
    settings = json.dumps([place, seed, seconds, __version__]).encode()
    content = b"" if one.file.is_dir() else one.file.read_bytes()
    return hashlib.sha256(settings + content).hexdigest()


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
    """Yield one flat record for each function of what counts; of a file that cannot be run, one with why."""
    for result in counted(results):
        for grade in result.grades or [Grade("", "not graded", evidence=result.problem)]:
            yield {
                "student": result.student,
                "exercise": result.exercise or None,
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


def counted(results: Iterable[Result]) -> list[Result]:
    """Return the results that count, by student: of an exercise that was handed in twice, the better one."""
    best: dict[tuple[str, int, str], Result] = {}
    for result in results:
        file = result.file if result.exercise == UNKNOWN else ""  # those are not one exercise
        key = result.student, result.exercise, file
        if key not in best or _quality(result) >= _quality(best[key]):
            best[key] = result
    return [result for _, result in sorted(best.items())]


def _quality(result: Result) -> tuple[int, bool]:
    return result.points, not result.problem


def by_student(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each student that count."""
    found: dict[str, list[Result]] = {}
    for result in counted(results):
        found.setdefault(result.student, []).append(result)
    return found


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """Yield what a teacher should know: which files could not be graded, and which do not count."""
    counting = counted(results)
    failed = [result.file for result in counting if result.problem]
    if failed:
        yield f"warning: not graded, 0 points (the output says why): {', '.join(failed)}"
    others = sorted({result.file for result in results} - {result.file for result in counting})
    if others:
        yield f"not counted, as another file of the exercise is as good or better: {', '.join(others)}"


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
        yield {"name": result.name, **whole, "output_format": "text"}
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
    numbers = sorted({result.exercise for own in students.values() for result in own} - {UNKNOWN})
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
    causes = _table([["exercise, function: likely mistake", "students"], *seen])
    body = f"{_table(rows)}\n<h2>Mistakes</h2>\n{causes}{_not_graded(students)}"
    return _PAGE.format(title="Class", style=_STYLE, body=body)


def _not_graded(students: dict[str, list[Result]]) -> str:
    """Return the part of a class's page that says which files were not graded and why, if there are any."""
    rows = [
        f"<dt>{escape(result.file)}</dt><dd>{escape(result.problem)}</dd>\n"
        for own in students.values()
        for result in own
        if result.problem
    ]
    return f"\n<h2>Not graded</h2>\n<dl>{''.join(rows)}</dl>" if rows else ""


def _title(result: Result) -> str:
    if result.exercise == UNKNOWN:
        return result.name
    return f"{result.exercise}: {find_lesson(result.exercise).title}"


def _points(points: int, most: int) -> str:
    return f'<span class="{"all" if 0 < points == most else "some"}">{points} / {most}</span>'


def _table(rows: list[list[str]]) -> str:
    """Return a table of cells that are HTML already."""
    head, *others = rows
    lines = ["".join(f"<th>{cell}</th>" for cell in head)]
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in others]
    return "<table>" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</table>"
