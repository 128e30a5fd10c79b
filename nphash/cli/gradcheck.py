"""``nphash gradcheck``: the gradient checker as a command, for students and whoever changed an equation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from nphash.cli.options import Whole
from nphash.cli.output import chosen_format, note, refuse_existing
from nphash.errors import InputError

__all__ = ["WRONG_GRADIENT", "command"]

WRONG_GRADIENT = 3  # the exit code, so that a script can grade


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seed", type=Whole(min=0), default=0, show_default=True, help="Draws arguments and entries.")
@click.option("--curve", is_flag=True, help="Also draw the error against the step of the differences.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also write a page with all figures (.html) or a picture (.png); needs matplotlib.",
)
@click.option("--force", is_flag=True, help="Overwrite the file that is there.")
@click.option("--list", "list_names", is_flag=True, help="List what can be checked.")
@click.option(
    "--exercise",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Grade an exercise of 'nphash lesson' instead. FILE is run as a Python program.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="For each function of an exercise.  [default: 30]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl"]),
    help="[default: table on a terminal, jsonl in a pipe]",
)
def command(names: tuple[str, ...], exercise: Path | None, **options: Any) -> None:
    """Check every hand-written gradient against finite differences.

    NAMES are operations, modules or methods (see --list); without any, everything is checked: each
    operation alone, in backward order, then the whole loss of each method with its noise held fixed, its
    terms alone, also with other settings and, "(kernels)", as the engine that trains computes it in
    float32. One line for each operation and parameter: its worst entry, the gradient by formula and by
    differences, and their relative error; a method whose gradients are all right takes one line if no
    NAMES are given. The exit code is 3 if a gradient is wrong or could not be judged, or an exercise not
    right.
    """
    if exercise is not None:
        if names or options["curve"] or options["list_names"] or options["output"]:
            raise click.UsageError("--exercise stands alone, with --seed, --time-limit and --format at most.")
        _grade(exercise, options["seed"], options["time_limit"], options["form"])
    elif options["time_limit"] is not None:
        raise click.UsageError("--time-limit is for --exercise.")
    elif options["list_names"]:
        _list()
    else:
        _check(names, options)


def _check(names: tuple[str, ...], options: dict[str, Any]) -> None:
    from nphash import gradcheck
    from nphash.gradcheck import models as checking
    from nphash.gradcheck.page import check_target

    output: Path | None = options["output"]
    if output is not None:
        check_target(output)
        refuse_existing(output, options["force"])
    for name in checking.WITHOUT_GRADIENT.keys() & set(names):
        reason = f"{name} has no gradient to check ({checking.WITHOUT_GRADIENT[name]})"
        raise InputError(reason, "'nphash gradcheck --list' prints what there is")
    seed = options["seed"]
    kernels = checking.kernel_models(seed)
    models = [*checking.models(seed), *kernels]
    reports = gradcheck.run(names or None, seed, models, checking.operations())
    if chosen_format(options["form"]) == "jsonl":
        click.echo(gradcheck.format_jsonl(reports))
    else:
        click.echo(gradcheck.format_text(reports, brief=not names))
        for report in reports if options["curve"] else ():
            click.echo(f"\n{report.operation} {report.parameter}\n{gradcheck.format_curve(report)}")
    if output is not None:
        gradcheck.write_page(reports, output)
        note(f"written: {output}")
    if not kernels:
        note(checking.NOT_COMPILED)
    if not gradcheck.passed(reports):
        wrong = any(report.wrong for report in reports)
        note(f"nphash: a gradient {'is wrong' if wrong else 'could not be judged'}")
        sys.exit(WRONG_GRADIENT)


def _list() -> None:
    from nphash.gradcheck import models as checking
    from nphash.hashers import METHODS

    for name in dict.fromkeys(case.title for case in checking.operations()):
        click.echo(name)
    others = (*checking.VARIANTS, *checking.KERNELS)
    for name in METHODS:
        if name not in checking.WITHOUT_GRADIENT:
            click.echo("\n".join([name, *(title for title in others if title.partition(" (")[0] == name)]))
    for name, reason in checking.WITHOUT_GRADIENT.items():
        note(f"{name} has no gradient: {reason}")


def _grade(file: Path, seed: int, seconds: float | None, form: str | None) -> None:
    from nphash.teaching import exercises

    grades = exercises.grade_in_subprocess(file, seed, exercises.SECONDS if seconds is None else seconds)
    jsonl = chosen_format(form) == "jsonl"
    click.echo(exercises.format_grades_jsonl(grades) if jsonl else exercises.format_grades(grades))
    if not exercises.all_right(grades):
        sys.exit(WRONG_GRADIENT)
