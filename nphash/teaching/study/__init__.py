"""Claims about gradient estimators, measured: `run` a study, read its `answer`.

The exact gradient of the expected reconstruction loss is a sum over all codes, for codes short enough, so
that bias, variance and direction of every estimator can be measured against it: on two toys, and on a small
Doc2hash fitted on the docstrings of installed packages, at several points of its training. The answer to the
paper's sentence is made of the figures alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nphash.teaching.study.measuring import FIGURES, RIVAL, UNBIASED, Row, StudyResults, StudySettings, run

__all__ = [
    "FIGURES",
    "Row",
    "StudyResults",
    "StudySettings",
    "answer",
    "draw",
    "format_table",
    "records",
    "run",
]

SENTENCE = (
    "Gumbel-softmax 'produces low-variance biased gradients' (Zhang & Zhu 2019) and straight-through is worse"
)
FAMILIES = ("Gumbel-softmax", "straight-through Gumbel")

# Smaller biases are taken for none: a twentieth of the gradient's length turns its direction by 3 degrees.
_BIASED = 0.05
_HEADER = f"{'':33}{'bias':>24}{'variance':>30}{'error':>10}{'cosine':>8}{'of mean':>9}"


def format_table(results: StudyResults) -> str:
    """Return one table for each problem, and its best estimator of one draw."""
    lines = []
    for problem, rows in results.items():
        lines += [f"\n{problem}", _HEADER]
        for name, row in rows.items():
            bias, variance = (_interval(*row[key]) for key in ("bias", "variance"))
            error, cosine, of_mean = (row[key][0] for key in FIGURES[2:5])
            lines.append(f"{name:33}{bias:>24}{variance:>30}{error:10.3g}{cosine:8.3f}{of_mean:9.3f}")
        best = min(rows, key=lambda name: rows[name]["mean_squared_error"][0])
        lines.append(f"smallest mean squared error: {best}")
    return "\n".join(lines).lstrip("\n")


def records(results: StudyResults) -> Iterator[dict[str, object]]:
    """Yield one flat record for each problem and estimator: each figure with its interval."""
    for problem, rows in results.items():
        for name, row in rows.items():
            yield {"problem": problem, "estimator": name, **row}


def answer(results: StudyResults) -> str:
    """Return what the figures say about the paper's sentence, for both forms of Gumbel-softmax."""
    lines = [f"{SENTENCE}.", "What the figures say:"]
    for family in FAMILIES:
        lines += ["", *_about(family, results)]
    return "\n".join(lines)


def _about(family: str, results: StudyResults) -> list[str]:
    cases = [
        (problem, row)
        for problem, rows in results.items()
        for name, row in rows.items()
        if re.fullmatch(rf"{family}, tau .+", name)
    ]
    rows = [row for _, row in cases]
    suited = _at_the_best_temperature(cases)
    n, most = len(rows), len(suited)
    biased = sum(row["bias"][1] > _BIASED for row in rows)
    low = sum(row["variance_ratio"][2] < 1 for row in rows)
    worse = sum(row["error_ratio"][2] < 1 for row in rows)
    better = sum(row["error_ratio"][1] > 1 for row in rows)
    suited_worse = sum(row["error_ratio"][2] < 1 for row in suited)
    rival_biased = sum(results[problem][RIVAL]["bias"][1] > row["bias"][2] for problem, row in cases)
    bias, variance, error = (
        _range([row[key][0] for row in rows]) for key in ("bias", "variance_ratio", "error_ratio")
    )
    return [
        f"{family}, {n} cases: {most} problems, each at {n // most} temperatures",
        f"  biased: in {biased} of {n} cases; the bias is {bias} of the gradient's length",
        f"  low-variance: in {low} of {n} cases below {UNBIASED}, which has no bias;",
        f"    the variance is {variance} times as large as that of {UNBIASED}",
        f"  straight-through is worse: in {worse} of {n} cases by its error in one draw, in {better} better;",
        f"    the error of {family} is {error} times that of straight-through;",
        f"    at the temperature that suits each problem best, worse in {suited_worse} of {most};",
        f"    by its bias, which is what many draws leave, in {rival_biased} of {n}",
        f"  so: biased, {_verdict(biased, n)}; low-variance, {_verdict(low, n)}; "
        f"straight-through worse, {_verdict(worse, n)}",
    ]


def _at_the_best_temperature(cases: list[tuple[str, Row]]) -> list[Row]:
    best: dict[str, Row] = {}
    for problem, row in cases:
        error = row["mean_squared_error"][0]
        if problem not in best or error < best[problem]["mean_squared_error"][0]:
            best[problem] = row
    return list(best.values())


def _range(values: list[float]) -> str:
    least, most, median = (
        f"{value:.2g}" if value < 100 else f"{value:,.0f}"
        for value in (min(values), max(values), float(np.median(values)))
    )
    return f"{least} to {most} (median {median})"


def _verdict(part: int, whole: int) -> str:
    if part >= 0.9 * whole:
        return "yes"
    return "no" if part <= 0.1 * whole else ("mostly" if 2 * part > whole else "in the smaller part of cases")


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3g} ({low:.2g} to {high:.2g})" if value > 1e-12 else "0"


def draw(results: StudyResults, path: Path) -> None:
    """Draw variance against bias, one panel a problem, into a picture file; matplotlib must be there.

    The distance from the lower left corner is the error: lines of equal error are curved.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(results), 3.6), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (problem, rows) in zip(panels, results.items(), strict=True):
        for family, style in (*((family, "o-") for family in FAMILIES), (RIVAL, "s"), (UNBIASED, "^")):
            chosen = [row for name, row in rows.items() if name.partition(", tau ")[0] == family]
            bias = [max(row["bias"][0], 1e-2) for row in chosen]
            axes.plot(bias, [row["variance"][0] for row in chosen], style, label=family, markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="bias (0.01 or less at the left)", title=problem)
        axes.title.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("variance")
    panels[0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)
