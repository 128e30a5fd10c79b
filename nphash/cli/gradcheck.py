"""``nphash gradcheck``: the gradient checker as a command, for students and whoever changed an equation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

import nphash
from nphash.cli.options import force_option, seed_option
from nphash.cli.output import chosen_format, note, refuse_existing, write_line
from nphash.errors import InputError

WRONG_GRADIENT = 3  # the exit code, so that a script can grade

HELP = """Check every hand-written gradient against finite differences.

NAMES are operations, modules or methods (see --list); without any, everything is checked: each
operation alone, in backward order, then the whole loss of each method with its noise held fixed, its
terms alone, also with other settings and, "(kernels)", as the engine that trains computes it in
float32. One line for each operation and parameter: its worst entry, the gradient by formula and by
differences, and their relative error; a method whose gradients are all right takes one line if no
NAMES are given. The exit code is 3 if a gradient is wrong or could not be judged, or an exercise not
right.
"""


@click.command(help=HELP)
@click.argument("names", nargs=-1)
@seed_option("Draws arguments and entries.")
@click.option("--curve", is_flag=True, help="Also draw the error against the step of the differences.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also write a page with all figures (.html) or a picture (.png); needs matplotlib.",
)
@force_option
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
    """Run ``nphash gradcheck``."""
    if exercise is not None:
        if names or options["curve"] or options["list_names"] or options["output"]:
            raise click.UsageError("--exercise stands alone, with --seed, --time-limit and --format at most.")
        _grade(exercise, options["seed"], options["time_limit"], options["form"])
    elif options["time_limit"] is not None:
        raise click.UsageError("--time-limit is for --exercise.")
    else:
        _check(names, options)


def _check(names: tuple[str, ...], options: dict[str, Any]) -> None:
    from nphash.gradcheck import models

    if options["list_names"]:
        titles = (*models.VARIANTS, *models.KERNELS)
        return _list([case.title for case in models.operations()], titles, models.WITHOUT_GRADIENT)
    output: Path | None = options["output"]
    if output is not None:
        nphash.gradcheck.page.check_target(output)
        refuse_existing(output, options["force"])
    for name in names:
        if name in models.WITHOUT_GRADIENT:
            raise InputError(
                f"{name} has no gradient to check ({models.WITHOUT_GRADIENT[name]})",
                "'nphash gradcheck --list' prints what there is",
            )
    seed = options["seed"]
    compiled = models.kernel_models(seed)
    reports = nphash.gradcheck.run(
        names or None, seed, [*models.models(seed), *compiled], models.operations()
    )
    if chosen_format(options["form"]) == "jsonl":
        click.echo(nphash.gradcheck.format_jsonl(reports))
    else:
        click.echo(nphash.gradcheck.format_text(reports, brief=not names))
        for report in reports if options["curve"] else ():
            click.echo(f"\n{report.operation} {report.parameter}\n{nphash.gradcheck.format_curve(report)}")
    if output is not None:
        nphash.gradcheck.write_page(reports, output)
        note(f"written: {output}")
    if not compiled:
        note(models.NOT_COMPILED)
    if not nphash.gradcheck.passed(reports):
        wrong = any(report.wrong for report in reports)
        note(f"nphash: a gradient {'is wrong' if wrong else 'could not be judged'}")
        sys.exit(WRONG_GRADIENT)


def _list(operations: Iterable[str], variants: Iterable[str], without: Mapping[str, str]) -> None:
    """Write what can be checked: operations, then each method with its variants; say what cannot."""
    for name in dict.fromkeys(operations):
        click.echo(name)
    for name in nphash.hashers.METHODS:
        if name not in without:
            click.echo("\n".join([name, *(one for one in variants if one.partition(" (")[0] == name)]))
    for name, reason in without.items():
        note(f"{name} has no gradient: {reason}")


def _grade(file: Path, seed: int, seconds: float | None, form: str | None) -> None:
    from nphash.teaching import exercises

    grades = exercises.grade_in_subprocess(file, seed, exercises.SECONDS if seconds is None else seconds)
    jsonl = chosen_format(form) == "jsonl"
    write_line(exercises.format_grades_jsonl(grades) if jsonl else exercises.format_grades(grades))
    if not exercises.all_right(grades):
        sys.exit(WRONG_GRADIENT)
