"""A student's file: read it, find the blanks, run it. Running is what it says: the file is a program."""

from __future__ import annotations

import ast
import contextlib
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nphash.errors import InputError
from nphash.teaching.lessons import LESSONS
from nphash.teaching.lessons.notebooks import code_of

_NUMBER = "EXERCISE"


class ExerciseError(InputError):
    """A file that cannot be graded at all: says in which line and why."""

    def __init__(self, problem: str, hint: str = "", exit_code: int = 3) -> None:
        super().__init__(problem, hint)
        self.exit_code = exit_code  # 2 for a file that is none of the exercises: the wrong one was given


@dataclass(frozen=True)
class Student:
    """What a student handed in."""

    path: Path
    number: int  # of the exercise: the value of EXERCISE in the file
    functions: dict[str, Callable[..., Any]]  # everything the file defines, by name
    places: dict[str, str]  # where each function begins, such as "line 7" or "cell 3, line 1"
    blanks: dict[str, str]  # place of the first blank of each function that has one, such as "line 7"


def read_student(path: Path | str) -> Student:
    """Read and run a file, a script or a notebook; raise if it is none, fails, or is no exercise.

    A file without the word EXERCISE, such as a lesson, is refused before it is run.
    """
    path = Path(path)
    cells = _parse(path)
    if not any(_NUMBER in cell.source for cell in cells):
        raise _no_exercise(path)
    names = _run(path, [cell.code for cell in cells])
    number = names.get(_NUMBER)
    if type(number) is not int:
        raise _no_exercise(path)
    functions = {name: value for name, value in names.items() if callable(value)}
    return Student(path, number, functions, *_places([(cell.name, cell.tree) for cell in cells], path))


def _no_exercise(path: Path) -> ExerciseError:
    return ExerciseError(
        f"{path} does not say which exercise it is",
        f"the exercises are {LESSONS[0].exercise} to {LESSONS[-1].exercise}, as 'nphash lesson N' copies "
        f"them; keep their line {_NUMBER} = ...",
        exit_code=2,
    )


class _Cell(NamedTuple):
    """Code of a notebook's cell, or of a whole script."""

    name: str  # that of the file, or "mine.ipynb, cell 3"
    source: str
    tree: ast.Module
    code: types.CodeType


def _parse(path: Path) -> list[_Cell]:
    """Read and compile a file without running it; raise if it is neither a script nor a notebook."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        sources = [(str(path), text)]
        if _is_notebook(path):
            sources = [(f"{path}, {cell}", code) for cell, code in code_of(text)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes
            trees = [(name, source, ast.parse(source, name)) for name, source in sources]
            return [_Cell(name, source, tree, compile(tree, name, "exec")) for name, source, tree in trees]
    except SyntaxError as error:
        text = (error.text or "").strip()
        look = f"look at: {text}" if text else "look at the end of the line before, too"
        raise ExerciseError(f"{error.filename}, line {error.lineno}: not Python: {error.msg}", look) from None
    except UnicodeDecodeError:
        raise ExerciseError(
            f"{path} is not a text file in UTF-8", "save it as UTF-8 in your editor"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        kind = "a notebook" if _is_notebook(path) else "Python"
        raise ExerciseError(f"{path} is not {kind}: {error}", "give the file with your solution") from None


def _is_notebook(path: Path) -> bool:
    return path.suffix.lower() == ".ipynb"


def _run(path: Path, codes: list[types.CodeType]) -> dict[str, Any]:
    module = types.ModuleType("exercise")
    module.__file__ = str(path)
    sys.path.insert(0, str(path.parent.resolve()))  # as `python FILE` does
    try:
        with own_output():
            for code in codes:
                exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        line = where(error, path)
        found = f"{path}{line}: {type(error).__name__}: {error}", "it fails when it is run: python shows more"
        if isinstance(error, SystemExit):
            found = f"{path} ends the program itself", "leave sys.exit() and exit() out of it"
        elif isinstance(error, EOFError):
            found = f"{path}{line} waits for input", "nobody is there to answer: leave input() out of it"
        raise ExerciseError(*found) from None
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(path.parent.resolve()))
    return dict(module.__dict__)


@contextlib.contextmanager
def own_output() -> Iterator[None]:
    """Send what a student's program prints to standard error; keep its warnings to itself."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_of(path: Path, filename: str) -> bool:
    """Return whether code of this file name is that of a student's file, or of a cell of it."""
    return filename.partition(", cell ")[0] == str(path)


def where(error: BaseException, path: Path) -> str:
    """Return ``", line 7"``, the last line of the student's file that an exception came through.

    Of a notebook it is ``", cell 3, line 7"``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_of(path, frame.filename)]
    return f"{own[-1].filename.removeprefix(str(path))}, line {own[-1].lineno}" if own else ""


def _places(trees: list[tuple[str, ast.Module]], path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return where each function begins, and where the first blank is of those that have one."""
    begins: dict[str, str] = {}
    blanks: dict[str, str] = {}
    for name, tree in trees:
        cell = name.removeprefix(str(path)).removeprefix(", ")
        for function in tree.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            lines = [node.lineno for node in _walk(function) if _is_blank(node)]
            begins[function.name] = ", ".join(filter(None, [cell, f"line {function.lineno}"]))
            blanks.pop(function.name, None)  # of one that is defined again
            if lines:
                blanks[function.name] = ", ".join(filter(None, [cell, f"line {min(lines)}"]))
    return begins, blanks


def _walk(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield everything below a node but subscripts: the dots of ``x[..., None]`` are no blank."""
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Subscript) and child is node.slice:
            continue
        if isinstance(child, (ast.expr, ast.stmt)):
            yield child
        yield from _walk(child)


def _is_blank(node: ast.expr | ast.stmt) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is Ellipsis
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
