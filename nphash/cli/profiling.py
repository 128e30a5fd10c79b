"""``nphash fit --profile``: where the time of a step goes, and how near that is to the machine's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nphash.cli.output import Writer, chosen_format, echo_table, note

if TYPE_CHECKING:
    from nphash.engine.profiling import Limits
    from nphash.hashers.training.trainer import Progress

__all__ = ["show_profile"]

FIELDS = ("part", "ms", "share", "least_ms", "of_limit")
REST = "everything else"


def show_profile(
    first: Progress | None, last: Progress | None, method: str, form: str | None, quiet: bool = False
) -> None:
    """Write the profile of a fit on standard output, a table for people and records for programs.

    Parameters
    ----------
    first, last
        What the fit said after its first step and last. The first step, in which kernels are
        compiled, is left out, unless there was no other.
    method
        Of the fit, for messages.
    form
        ``"table"``, ``"jsonl"``, ``"csv"``; None for what suits standard output.
    quiet
        Nothing on standard error.
    """
    if first is None or last is None:
        note(f"no profile: {method} does not learn by steps, or was stopped before the first", quiet)
        return
    from nphash.engine.profiling import measure_limits, model_bytes

    assert last.step_size is not None
    limits = measure_limits(model_bytes(last.params), last.step_size.threads)
    rows = _rows(first, last, limits)
    if chosen_format(form) == "table":
        echo_table(
            [("part", "ms a step", "share", "least ms", "of limit"), *map(_cells, rows)], [False] + 4 * [True]
        )
    else:
        writer = Writer(chosen_format(form), FIELDS)
        for row in rows:
            writer.write(row)
    for line in _explanation(first, last, limits):
        note(line, quiet)


def _steps(progress: Progress) -> int:
    """Return how many steps have been done, in epochs before a resumed fit too."""
    return (progress.epoch - 1) * progress.steps + progress.step


def _rows(first: Progress, last: Progress, limits: Limits) -> list[dict[str, Any]]:
    """Return the parts, the slowest first, then what is in no part, then the whole."""
    from nphash.engine.profiling import least_work

    assert last.step_size is not None
    steps = _steps(last) - _steps(first)
    before, start = (first.profile, first.seconds) if steps else ({}, 0.0)
    steps = steps or 1
    whole = last.seconds - start
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in last.profile.items()}
    parts = sorted(spent.items(), key=lambda part: -part[1])
    parts += [(REST, max(0.0, whole - sum(spent.values()))), ("a step", whole)]
    least = {part: limits.seconds(work) for part, work in least_work(last.params, last.step_size).items()}
    if least:
        least["a step"] = sum(least.values())
    return [
        {
            "part": part,
            "ms": 1e3 * seconds / steps,
            "share": seconds / whole,
            "least_ms": 1e3 * least[part] if part in least else None,
            "of_limit": least[part] * steps / seconds if part in least and seconds > 0 else None,
        }
        for part, seconds in parts
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    least = "" if row["least_ms"] is None else f"{row['least_ms']:.3f}"
    limit = "" if row["of_limit"] is None else f"{row['of_limit']:.0%}"
    return row["part"], f"{row['ms']:.3f}", f"{row['share']:.1%}", least, limit


def _explanation(first: Progress, last: Progress, limits: Limits) -> list[str]:
    size = last.step_size
    assert size is not None
    steps = max(1, _steps(last) - _steps(first))
    threads = f"{limits.threads} thread" + "s" * (limits.threads > 1)
    return [
        f"means over {steps:,} step{'s' * (steps > 1)} of {size.documents:,} documents "
        f"({size.weights:,} word weights of {size.words:,} words), engine {size.engine}, {threads}; "
        "validation is spread over the steps, and with several threads part of the optimiser's work is done "
        "beside other parts",
        f"least: what a step must move and calculate, at the rates this machine has just shown: "
        f"{limits.bandwidth / 1e9:.0f} GB/s, {limits.flops / 1e9:.0f} GFLOP/s, "
        f"{limits.exponentials / 1e9:.1f} G exponentials/s",
    ]
