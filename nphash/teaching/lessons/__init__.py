"""Nine lessons from counting words to a searchable code, shipped so that they work offline.

A lesson is a script of cells (``# %%``): editors run it cell by cell, ``python lesson_1_bag_of_words.py``
runs it whole. With each comes an exercise, a file with blanks that ``nphash gradcheck --exercise FILE``
grades. `copy_lessons` copies both out of the package.

An exercise is made of its model solution (``questions/solution_1_bag_of_words.py``), where a comment
``#: ...`` is a line of the exercise alone, and a line that ends in ``#:`` belongs to the solution alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from nphash.errors import InputError
from nphash.teaching.lessons.notebooks import from_exercise, from_lesson

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Lesson:
    """One lesson; ``minutes`` is what text and exercise take, ``name`` the common part of its files."""

    number: int
    title: str
    minutes: int
    name: str
    equations: tuple[int, ...] = ()  # numbers of those of the paper that are derived in it

    @property
    def file(self) -> str:
        """Name of the script."""
        return f"lesson_{self.number}_{self.name}.py"

    @property
    def exercise(self) -> str:
        """Name of the file with blanks."""
        return f"exercise_{self.number}_{self.name}.py"


LESSONS = (
    Lesson(1, "Bag of words, softmax likelihood and its gradient", 60, "bag_of_words", (1,)),
    Lesson(2, "Backpropagation as functions that return functions", 60, "backpropagation", (9, 10)),
    Lesson(3, "The Gumbel-max trick and the Gumbel-softmax Jacobian", 75, "gumbel", (6, 7, 8)),
    Lesson(4, "The bound and the categorical KL divergence", 75, "bound", (2, 3, 4)),
    Lesson(5, "Straight-through against relaxation", 75, "straight_through", (5,)),
    Lesson(6, "Adam by hand", 45, "adam"),
    Lesson(7, "The whole of Doc2hash on a few screens", 120, "doc2hash"),
    Lesson(8, "From codes to search: popcount, counting sort, ties", 60, "search"),
    Lesson(9, "Measuring honestly", 75, "measuring"),
)


def find_lesson(number: int) -> Lesson:
    """Return a lesson by its number; raise `InputError` if there is none."""
    if not 1 <= number <= len(LESSONS):
        raise InputError(f"there is no lesson {number}", f"they are numbered 1 to {len(LESSONS)}")
    return LESSONS[number - 1]


def copy_lessons(
    numbers: Iterable[int],
    folder: Path | str,
    force: bool = False,
    form: Literal["py", "ipynb"] = "py",
    solution: bool = False,
) -> list[Path]:
    """Copy lessons with their exercises into a folder, which is made if need be; return the files.

    With ``form`` they are scripts or notebooks; with ``solution`` the model solutions come along.
    """
    folder, texts = Path(folder), {}
    for lesson in map(find_lesson, numbers):
        texts[folder / lesson.file] = from_lesson, (FOLDER / lesson.file).read_text(encoding="utf-8")
        texts[folder / lesson.exercise] = from_exercise, exercise_text(lesson.number)
        if solution:
            name = lesson.exercise.replace("exercise", "solution")
            texts[folder / name] = from_exercise, solution_text(lesson.number)
    targets = [path.with_suffix(f".{form}") for path in texts]
    for target in targets:
        if target.exists() and not force:  # it may hold somebody's solution
            hint = "choose another folder, or overwrite it with --force"
            raise InputError(f"{target} exists already", hint)
    folder.mkdir(parents=True, exist_ok=True)
    for target, (as_notebook, text) in zip(targets, texts.values(), strict=True):
        target.write_text(text if form == "py" else as_notebook(text), encoding="utf-8", newline="\n")
    return targets


def exercise_text(number: int) -> str:
    """Return an exercise with its blanks."""
    text = re.sub(r"\n\n(?=[^\n]*  #:$)", "\n", _marked(number), flags=re.M)  # blank lines of a solution
    text = re.sub(r"^( *)#: ", r"\1", re.sub(r".*  #:\n", "", text), flags=re.M)
    title, _, rest = text.partition("\n\n")
    return f"""{title}

Fill in the blanks (`...` and `raise NotImplementedError`), keep the names, then

    nphash gradcheck --exercise {find_lesson(number).exercise}

which runs this file. {rest}"""


def solution_text(number: int) -> str:
    """Return the model solution of an exercise."""
    text = _marked(number).replace('"""Exercise', '"""Model solution of exercise', 1)
    return re.sub(r"  #:$", "", re.sub(r" *#: .*\n", "", text), flags=re.M)


def _marked(number: int) -> str:
    file = f"solution_{number}_{find_lesson(number).name}.py"
    return (FOLDER.parent / "questions" / file).read_text(encoding="utf-8")


def draw(
    file: str,
    curves: Mapping[str, tuple[Any, Any]],
    x_label: str,
    y_label: str,
    logarithmic: str = "",
    marker: str = "",
) -> Any:
    """Draw curves, (x, y) by name, into a picture file and say so; without matplotlib say how to get it.

    Axes in ``logarithmic`` are "x", "y" or "xy"; ``marker`` is matplotlib's sign for each point, such as "o",
    lines if empty. Return the figure or None; a notebook shows it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        click.echo(f"no figure: {file} needs matplotlib (pip install matplotlib)")
        return None
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, (x, y) in curves.items():
        axes.plot(x, y, marker, label=name)
    if "x" in logarithmic:
        axes.set_xscale("log")
    if "y" in logarithmic:
        axes.set_yscale("log")
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1:
        axes.legend(frameon=False)
    try:
        figure.savefig(file, dpi=120)
    except OSError as error:
        click.echo(f"no figure: {file} cannot be written ({error.strerror})")
        return None
    click.echo(f"figure: {file}")
    shell = sys.modules.get("IPython")  # the notebook's, which shows pictures by itself after a magic only
    if shell is None or not hasattr(shell.get_ipython(), "kernel"):
        return figure
    shell.display.display(shell.display.Image(file))
    return None
