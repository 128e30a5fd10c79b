"""Figures of the lessons, for those who have matplotlib; everything else works without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

__all__ = ["draw"]


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
    lines if empty. Return the figure, which a notebook shows, or None.
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
    return figure
