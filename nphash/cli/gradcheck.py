"""``nphash gradcheck``: the gradient checker as a command, for students and whoever changed an equation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from nphash.cli.options import Whole
from nphash.cli.output import chosen_format, note

if TYPE_CHECKING:
    from nphash.gradcheck import Model

__all__ = ["WRONG_GRADIENT", "command", "models"]

WRONG_GRADIENT = 3  # the exit code, so that a script can grade

# The others train through a straight-through sample, whose numeric gradient is zero; the relaxed
# sample of doc2hash is the one whose gradient they borrow.
MODELS = ("doc2hash", "vdsh")
DOCUMENTS, WORDS = 6, 12
SMALL = {"n_bits": 4, "hidden": (6, 5), "sampling": "relaxed", "training__dtype": "float64"}


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seed", type=Whole(min=0), default=0, show_default=True, help="Draws arguments and entries.")
@click.option("--curve", is_flag=True, help="Also draw the error against the step of the differences.")
@click.option("--list", "list_names", is_flag=True, help="List what can be checked.")
@click.option(
    "--exercise",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Grade an exercise of 'nphash lesson' instead. FILE is run as a Python program.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl"]),
    help="[default: table on a terminal, jsonl in a pipe]",
)
def command(
    names: tuple[str, ...],
    seed: int,
    curve: bool,
    list_names: bool,
    exercise: Path | None,
    form: str | None,
) -> None:
    """Check every hand-written gradient against finite differences.

    NAMES are operations, modules or models (see --list); without any, everything is checked. One
    line for each operation and parameter: its worst entry, the gradient by formula and by
    differences, and their relative error. The exit code is 3 if a gradient is wrong, or an exercise
    not right.
    """
    if exercise is not None:
        if names or curve or list_names:
            raise click.UsageError("--exercise stands alone, with --seed and --format at most.")
        _grade(exercise, seed, form)
        return
    from nphash import gradcheck

    if list_names:
        for name in dict.fromkeys(case.title for case in gradcheck.operations()):
            click.echo(name)
        for model in models(seed):
            click.echo(model.name)
        return
    reports = gradcheck.run(names or None, seed=seed, models=models(seed))
    if chosen_format(form) == "jsonl":
        click.echo(gradcheck.format_jsonl(reports))
    else:
        click.echo(gradcheck.format_text(reports))
        if curve:
            for report in reports:
                click.echo(f"\n{report.operation} {report.parameter}")
                click.echo(gradcheck.format_curve(report))
    if not gradcheck.passed(reports):
        note("nphash: a gradient is wrong")
        sys.exit(WRONG_GRADIENT)


def _grade(file: Path, seed: int, form: str | None) -> None:
    from nphash.lessons.exercises import all_right, format_grades, format_grades_jsonl, grade_exercise

    grades = grade_exercise(file, seed)
    click.echo((format_grades_jsonl if chosen_format(form) == "jsonl" else format_grades)(grades))
    if not all_right(grades):
        sys.exit(WRONG_GRADIENT)


def models(seed: int) -> list[Model]:
    """Return whole losses, small and with fixed noise, of the methods whose samples can be differentiated."""
    import scipy.sparse

    from nphash.gradcheck import Model
    from nphash.hashers import create
    from nphash.hashers.training import Batch, Params

    counts = np.random.default_rng(seed).poisson(0.6, (DOCUMENTS, WORDS)).astype(np.float64)
    counts[:, 0] += 1  # no empty document
    X = scipy.sparse.csr_matrix(counts)
    found = []
    for method in MODELS:
        hasher: Any = create(method)
        hasher.set_params(**{name: value for name, value in SMALL.items() if name in hasher.get_params()})

        def loss(params: Params, hasher: Any = hasher) -> tuple[float, Any]:
            batch = Batch(X, X, None, np.random.default_rng([seed, 1]), 0.0)
            terms, back = hasher.loss(params, batch)
            return terms["loss"], back

        params = hasher.start_params(X, X, seed)
        found.append(Model(method, params, loss))
    return found
