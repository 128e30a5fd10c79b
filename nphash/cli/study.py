"""``nphash study``: claims of the paper, measured on this machine."""

from __future__ import annotations

import time
from pathlib import Path

import click

from nphash.cli.options import Whole, quiet_option
from nphash.cli.output import Writer, chosen_format, format_option, note, refuse_existing
from nphash.errors import InputError

__all__ = ["command"]


@click.group()
def command() -> None:
    """Measure what the paper claims of gradient estimators."""


@command.command()
@click.option("--bits", type=Whole(min=1, max=14), default=8, show_default=True, help="Length of the codes.")
@click.option("--seed", type=Whole(min=0), default=0, show_default=True, help="Draws everything random.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw variance against bias into this file (.png, .svg, .pdf); needs matplotlib.",
)
@click.option("--force", is_flag=True, help="Overwrite the file that is there.")
@format_option
@quiet_option
def estimators(
    bits: int, seed: int, output: Path | None, force: bool, output_format: str | None, quiet: bool
) -> None:
    """Compare gradient estimators with the exact gradient.

    Straight-through, Gumbel-softmax, straight-through Gumbel, REINFORCE and ARM on two toys and on a
    small Doc2hash, fitted on NumPy's documentation strings, at three points of its training. The exact
    gradient is a sum over all codes. Bias and variance are relative to its size, with 95 % intervals;
    what they say about the paper's sentence stands below. It takes less than a minute.
    """
    from nphash.gradcheck.page import require_matplotlib
    from nphash.teaching import study

    if output is not None:
        if output.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise InputError(f"{output} is no picture", "name a file .png, .svg or .pdf")
        require_matplotlib()
        refuse_existing(output, force)
    start = time.monotonic()

    def done(problem: str) -> None:
        note(f"{time.monotonic() - start:5.1f} s  {problem}", quiet)

    found = study.run(study.StudySettings(bits=bits), seed, done)
    form = chosen_format(output_format)
    if form == "table":
        click.echo(study.format_table(found))
        click.echo(f"\n{study.answer(found)}")
    else:
        writer = Writer(form, ["problem", "estimator", *study.FIGURES])
        for record in study.records(found):
            writer.write(record)
    if output is not None:
        study.draw(found, output)
        note(f"written: {output}", quiet)
