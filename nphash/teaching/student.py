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
from typing import Any

from nphash.errors import InputError
from nphash.teaching.lessons import LESSONS

__all__ = ["ExerciseError", "Student", "own_output", "read_student", "where"]

_NUMBER = "EXERCISE"


class ExerciseError(InputError):
    """A file that cannot be graded at all: says in which line and why."""

    def __init__(self, problem: str, hint: str = "", exit_code: int = 3) -> None:
        super().__init__(problem, hint)
        self.exit_code = exit_code  # 2 for a file that is none of the exercises: the wrong one was given


@dataclass(frozen=True)
class Student:
    """What a student handed in.

    Attributes
    ----------
    path
        The file.
    number
        Which exercise it is: the value of ``EXERCISE`` in it.
    functions
        Everything the file defines, by name.
    blanks
        Line of the first blank of each function that has one.
    """

    path: Path
    number: int
    functions: dict[str, Callable[..., Any]]
    blanks: dict[str, int]


def read_student(path: Path | str) -> Student:
    """Read and run a file.

    Raises
    ------
    ExerciseError
        If it is not Python, fails when it is run, or does not say which exercise it is.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    source = _source(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes
            tree = ast.parse(source, str(path))
            code = compile(tree, str(path), "exec")
    except SyntaxError as error:
        raise ExerciseError(
            f"{path}, line {error.lineno}: not Python: {error.msg}", _excerpt(error.text)
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExerciseError(f"{path} is not Python: {error}", "give the file with your solution") from None
    names = _run(path, code)
    number = names.get(_NUMBER)
    if type(number) is not int:
        raise ExerciseError(
            f"{path} does not say which exercise it is",
            f"the exercises are {LESSONS[0].exercise} to {LESSONS[-1].exercise}, as 'nphash lesson N' copies "
            f"them; keep their line {_NUMBER} = ...",
            exit_code=2,
        )
    functions = {name: value for name, value in names.items() if callable(value)}
    return Student(path, number, functions, _blanks(tree))


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ExerciseError(
            f"{path} is not a text file in UTF-8", "save it as UTF-8 in your editor"
        ) from None


def _excerpt(text: str | None) -> str:
    return f"look at: {text.strip()}" if text and text.strip() else "look at the end of the line before, too"


def _run(path: Path, code: types.CodeType) -> dict[str, Any]:
    module = types.ModuleType("exercise")
    module.__file__ = str(path)
    sys.path.insert(0, str(path.parent.resolve()))  # as `python FILE` does
    try:
        with own_output():
            exec(code, module.__dict__)
    except SystemExit:
        raise ExerciseError(
            f"{path} ends the program itself", "leave sys.exit() and exit() out of it"
        ) from None
    except EOFError as error:
        raise ExerciseError(
            f"{path}{where(error, path)} waits for input",
            "nobody is there to answer: leave input() out of it",
        ) from None
    except Exception as error:
        line = where(error, path)
        raise ExerciseError(
            f"{path}{line}: {type(error).__name__}: {error}", "it fails when it is run: python shows more"
        ) from None
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


def where(error: BaseException, path: Path) -> str:
    """Return ``", line 7"``, the last line of the student's file that an exception came through."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f", line {lines[-1]}" if lines else ""


def _blanks(tree: ast.Module) -> dict[str, int]:
    found = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            lines = [node.lineno for node in _walk(function) if _is_blank(node)]
            if lines:
                found[function.name] = min(lines)
    return found


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
