"""How good is the gradient checker? Planted mistakes, false alarms, and the time of a full check.

    python -m benchmarks.gradients run      # some minutes; writes benchmarks/results/gradients.json
    python -m benchmarks.gradients table    # prints what was measured

Every planted mistake is a real operation of the package with one piece of its source replaced
(`benchmarks.planted`); others are planted in operations that are not the package's
(`benchmarks.foreign_planted`). It is found if the check fails, and named if the likely cause is the one that
was planted, and no other. A false alarm is a failing check of an operation as it is, on random arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import click
import numpy as np

from benchmarks.foreign import OPERATIONS
from benchmarks.foreign_planted import FOREIGN, find_foreign, named
from benchmarks.planted import APPLIED, PLANTED, find
from benchmarks.records import RESULTS, environment, read, write
from nphash import gradcheck
from nphash.gradcheck import Settings
from nphash.gradcheck.check import check_problem
from nphash.gradcheck.models import operations

RESULT = RESULTS / "gradients.json"
UNNAMED = "not distinguished by the figures"
SEEDS = 40  # times some thirty operations: more than a thousand random cases


def planted() -> dict[str, list[int]]:
    """Return for each kind of mistake how many were planted, found, and named."""
    kinds: dict[str, list[int]] = {}
    for title, text, mistake, cause in PLANTED:
        kind = UNNAMED if cause is None else "a constant" + APPLIED if cause.endswith(APPLIED) else cause
        causes = {report.cause for report in find(title, text, mistake) if not report.passed}
        counts = kinds.setdefault(kind, [0, 0, 0])
        for column, hit in enumerate((True, bool(causes), causes == {cause})):
            counts[column] += hit
    return dict(sorted(kinds.items(), key=lambda item: (item[0] == UNNAMED, -item[1][0], item[0])))


def false_alarms(dtype: Any) -> list[int]:
    """Return the number of random cases of right operations, and of those among them that fail."""
    alarms = cases = 0
    for seed in range(SEEDS):
        for case in operations():
            reports = check_problem(case.problem(seed, dtype), Settings(seed=seed, sweep=False))
            alarms += not gradcheck.passed(reports)
            cases += 1
    return [cases, alarms]


def others() -> dict[str, Any]:
    """Return what is found and named of mistakes in others' operations, and false alarms there."""
    found = [(find_foreign(name, text, mistake), cause) for name, text, mistake, cause in FOREIGN]
    return {
        "operations": len(OPERATIONS),
        "planted": len(found),
        "found": sum(not gradcheck.passed(reports) for reports, _ in found),
        "named": sum(named(reports, cause) for reports, cause in found),
        "false alarms": {dtype: _alarms_of_others(dtype) for dtype in ("float64", "float32")},
    }


def _alarms_of_others(dtype: Any) -> list[int]:
    alarms = 0
    for seed in range(SEEDS):
        for operation in OPERATIONS:
            args = [_cast(value, dtype) for value in operation.draw(np.random.default_rng(seed))]
            settings = Settings(seed=seed, sweep=False)
            function, constants = operation.function(), operation.constants
            alarms += not gradcheck.passed(
                gradcheck.check(function, *args, constants=constants, settings=settings)
            )
    return [SEEDS * len(OPERATIONS), alarms]


def _cast(value: Any, dtype: Any) -> Any:
    return value.astype(dtype) if value.dtype == np.float64 else value


def full_check() -> dict[str, Any]:
    """Return the processor time of ``nphash gradcheck``, a process of its own, and count what it checks."""
    before = os.times()
    command = [sys.executable, "-m", "nphash", "gradcheck", "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    after = os.times()
    used = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        "seconds": round(used, 1),
        "gradients": len(records),
        "entries": sum(record["entries"] for record in records),
        "operations": len({record["operation"] for record in records if "." in record["operation"]}),
        "methods": len(
            {
                record["operation"].partition(" (")[0]
                for record in records
                if not set(".:") & set(record["operation"])
            }
        ),
    }


@click.group()
def main() -> None:
    """Measure the gradient checker."""


@main.command()
def run() -> None:
    """Measure everything and write the results file."""
    results = {
        "about": {"command": "python -m benchmarks.gradients run", **environment()},
        "planted": planted(),
        "others": others(),
        "false alarms": {name: false_alarms(name) for name in ("float64", "float32")},
        "full check": full_check(),
    }
    write(RESULT, results)
    click.echo(text(results))


@main.command()
def table() -> None:
    """Print the results file."""
    click.echo(text(read(RESULT)))


def rows(results: dict[str, Any]) -> list[list[str]]:
    """Return the table of planted mistakes as texts, with a header and a sum."""
    found = [[kind, *map(str, counts)] for kind, counts in results["planted"].items()]
    total = [str(sum(counts[column] for counts in results["planted"].values())) for column in range(3)]
    return [["mistake", "planted", "found", "named"], *found, ["all", *total]]


def sentence(results: dict[str, Any]) -> str:
    """Return the other figures in words."""
    (wide, wide_alarms), (single, single_alarms) = results["false alarms"].values()
    full, foreign = results["full check"], results["others"]
    cases = sum(cases for cases, _ in foreign["false alarms"].values())
    alarms = sum(alarms for _, alarms in foreign["false alarms"].values())
    return (
        f"In {foreign['operations']} operations as others write them (normalisations, recurrent cells, "
        f"convolutions, attention, pooling, losses; ``benchmarks/foreign.py``) {foreign['planted']} mistakes "
        f"were planted, {foreign['found']} found and {foreign['named']} named; false alarms: {alarms} in "
        f"{cases:,} random cases.\n\n"
        f"False alarms: {wide_alarms} in {wide:,} random cases in float64, {single_alarms} in {single:,} in "
        f"float32. A full ``nphash gradcheck`` ({full['operations']} operations, {full['methods']} methods, "
        f"{full['entries']:,} entries) takes {full['seconds']:.0f} s of processor time."
    )


def text(results: dict[str, Any]) -> str:
    """Return everything as text."""
    lines = [f"{row[0]:40}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in rows(results)]
    return "\n".join([*lines, sentence(results).replace("``", "")])


if __name__ == "__main__":
    main()
