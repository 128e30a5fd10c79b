"""Progress of commands on standard error, where that is a terminal, and the profile of a fit's steps."""

from __future__ import annotations

import logging
import math
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nphash.cli.output import begin_line, chosen_format, echo_table, many, note, printable, write_records

if TYPE_CHECKING:
    from nphash.corpus import Document, Matrix
    from nphash.engine.profiling import Limits, Profile
    from nphash.hashers import Progress

T = TypeVar("T")

SECONDS_BETWEEN_UPDATES = 0.1
SILENCE = 1.0  # seconds after which a stage shows how long it takes

# Part of a fit's steps, the least number and seconds, after which the time left is estimated: the first step
# may compile kernels, and others wait for something once.
ENOUGH, LEAST, LEAST_SECONDS = 0.01, 3, 2.0

# Of the bar, in characters: on a terminal of so many columns all figures fit beside the longer one.
WIDTHS = (10, 24)
WIDE = 110

FIELDS = ("part", "ms", "share", "roofline_ms", "of_roofline")  # of a profile
REST = "everything else"


def counted(items: Iterable[T], what: str, quiet: bool = False) -> Iterator[T]:
    """Pass `items` on and show how many there were so far."""
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    shown = time.monotonic()
    number = 0
    for number, item in enumerate(items, start=1):
        if time.monotonic() - shown > SECONDS_BETWEEN_UPDATES:
            shown = time.monotonic()
            click.echo(f"\r{what}: {number:,}", err=True, nl=False)
        yield item
    click.echo(f"\r{what}: {number:,}", err=True)


def counted_documents(
    documents: Iterator[Document] | Matrix, quiet: bool, what: str = "documents read"
) -> Iterator[Document] | Matrix:
    """Count the documents of a stream as they are read; a matrix is read as a whole."""
    return counted(documents, what, quiet) if isinstance(documents, Iterator) else documents


def compared(
    quiet: bool, shows: str = "compared: {:,} of {:,} documents"
) -> Callable[[int, int], None] | None:
    """Return a callback that shows on a terminal how much of all was done, or None."""
    if quiet or not sys.stderr.isatty():
        return None
    shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > SECONDS_BETWEEN_UPDATES or done == total:
            shown = now
            click.echo(f"\r{shows.format(done, total)}", err=True, nl=done == total)

    return show


def _figures(progress: Progress) -> list[str]:
    """Return losses and validation figure of a fit, each in a few words."""
    parts = [f"loss {progress.terms['loss']:.4g}"]
    parts += [
        f"{name} {value:.3g}" for name, value in progress.terms.items() if name.lower() in {"kl", "label"}
    ]
    if progress.best_epoch and progress.validation_name != "epoch" and math.isfinite(progress.validation):
        parts.append(
            f"{progress.validation_name} {progress.validation:.4g} (best epoch {progress.best_epoch})"
        )
    return parts


def _fitting(progress: Progress, seconds_left: float, columns: int) -> str:
    """Return epoch, figures and time left in so many characters; the least of the figures go first."""
    figures = _figures(progress)
    left = [f"{_clock(seconds_left)} left"] if math.isfinite(seconds_left) else []
    while True:
        text = f"{progress.epoch}/{progress.epochs}  {', '.join(figures + left)}"
        if len(text) <= columns or not figures:
            return text[: max(columns, 0)]
        figures.pop(1 if len(figures) > 2 else 0)


def _columns() -> int:
    """Return how many characters of a line the terminal shows without beginning another."""
    return shutil.get_terminal_size().columns - 1


class _Stages(logging.Handler):
    """Shows what a fit logs: stages before its first step in one line of a terminal, all else a line each.

    Of a stage in place, the seconds it takes are shown too: a terminal is never silent for long.
    """

    def __init__(self, in_place: bool, quiet: bool) -> None:
        super().__init__(logging.INFO)
        self.in_place = in_place
        self.quiet = quiet
        self.width = 0  # of the line that stands on the terminal, unfinished
        self.below_bar = False  # a bar shows that something is going on
        self._stage, self._since, self._shown = "", 0.0, 0.0
        self._over = threading.Event()

    def begin(self) -> None:
        """Show the seconds of stages until `stop`."""
        if self.in_place:
            threading.Thread(target=self._tick, daemon=True).start()

    def stop(self) -> None:
        """Show none any more."""
        self._over.set()

    def _tick(self) -> None:
        while not self._over.wait(SILENCE / 2):
            with self.lock or nullcontext():
                now = time.monotonic()
                if self.width and now - self._shown > SILENCE and not self._over.is_set():
                    self._show(f"{self._stage}: {now - self._since:.0f} s")

    def emit(self, record: logging.LogRecord) -> None:
        text = printable(record.getMessage())
        if self.quiet or (self.below_bar and record.name == "nphash.core.jit"):
            return
        if not self.in_place or record.levelno > logging.INFO:
            begin_line()
            note(text)
            return
        self._stage, self._since = text, time.monotonic()
        self._show(text)

    def _show(self, text: str) -> None:
        text = text[: _columns()]
        click.echo(f"\r{text.ljust(self.width)}", err=True, nl=False)
        self.width, self._shown = max(self.width, len(text)), time.monotonic()

    def end_line(self) -> None:
        with self.lock or nullcontext():
            if self.width:
                click.echo(err=True)
            self.width = 0


class FitProgress:
    """A callback for `fit` and the context in which its bar is drawn.

    Its `first` and `last` reports are those after the fit's first and its last step so far; `verbose` writes
    a line for each epoch on any standard error, `profile` has the seconds of a step's parts added up.
    """

    def __init__(self, quiet: bool, verbose: bool = False, profile: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.draw = sys.stderr.isatty() and not quiet and not verbose
        self.profile: Profile | None = None
        if profile:
            from nphash.engine import profiling

            self.profile = profiling.Profile()
        self.first: Progress | None = None
        self.last: Progress | None = None
        self._bar: Any = None
        self._marks: list[tuple[int, float]] = []  # steps done and seconds, at doubling numbers of steps
        self._done = 0
        self._drawn = 0.0
        self._stages = _Stages(self.draw, quiet)
        self._level = logging.NOTSET

    def __enter__(self) -> FitProgress:
        log = logging.getLogger("nphash")
        self._level = log.level
        if self.draw or self.verbose:
            log.setLevel(logging.INFO)
        log.addHandler(self._stages)
        self._stages.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._stages.stop()
        self._end_bar()
        log = logging.getLogger("nphash")
        if self._stages in log.handlers:
            log.removeHandler(self._stages)
            log.setLevel(self._level)

    def _end_bar(self) -> None:
        self._stages.end_line()
        if self._bar is not None:
            self._bar.render_finish()
            click.echo(err=True)
        self._bar = None

    def __call__(self, progress: Progress) -> None:
        """Show how far the fit is; called by it after each step."""
        if self.first is None:
            self.first = progress
        self.last = progress
        if self.verbose and progress.step == progress.steps:
            said = ", ".join([*_figures(progress), f"{progress.seconds:.1f} s"])
            click.echo(f"epoch {progress.epoch}/{progress.epochs}: {said}", err=True)
        done = _steps(progress) - _steps(self.first)
        if not self._marks or done >= 2 * self._marks[-1][0]:
            self._marks.append((done, progress.seconds))
        if self.draw:
            self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            self._stages.end_line()
            self._stages.below_bar = True
            self._bar = click.progressbar(
                length=progress.epochs * progress.steps,
                label="fit",
                file=sys.stderr,
                show_eta=False,  # ours is shown: it knows of resumed epochs, and leaves compiling out
                item_show_func=lambda text: text,
                width=WIDTHS[_columns() >= WIDE],
            )
        done = _steps(progress)
        step, self._done = done - self._done, done
        now = time.monotonic()
        self._bar.pos += step
        if now - self._drawn > SECONDS_BETWEEN_UPDATES or done >= progress.epochs * progress.steps:
            self._drawn = now
            columns = _columns() - self._bar.width - len("fit  []  100%  ")
            self._bar.current_item = _fitting(progress, self._seconds_left(progress), columns)
            self._bar.render_progress()

    def _seconds_left(self, progress: Progress) -> float:
        """Return an estimate from the later half of the steps, NaN as long as they are too few."""
        assert self.first is not None
        total, before = progress.epochs * progress.steps, _steps(self.first)
        done, seconds = _steps(progress) - before, progress.seconds - self.first.seconds
        if done < max(LEAST, ENOUGH * (total - before)) or (
            seconds < LEAST_SECONDS and done < total - before
        ):
            return math.nan
        half, then = next(mark for mark in reversed(self._marks) if 2 * mark[0] <= done)
        return (progress.seconds - then) / (done - half) * (total - before - done)


def _steps(progress: Progress) -> int:
    """Return how many steps have been done, in epochs before a resumed fit too."""
    return (progress.epoch - 1) * progress.steps + progress.step


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02d}"


# ---------------------------------------------------------------------- fit --profile


def show_profile(
    first: Progress | None, last: Progress | None, method: str, form: str | None, quiet: bool = False
) -> None:
    """Write the parts of a fit's steps on standard output, without the first, which may compile kernels."""
    if first is None or last is None:
        note(f"no profile: {method} does not learn by steps, or was stopped before the first", quiet)
        return
    from nphash.engine.profiling import measure_limits, model_bytes

    assert last.step_size is not None
    limits = measure_limits(model_bytes(last.params), last.step_size.threads)
    rows = _rows(first, last, limits)
    if chosen_format(form) == "table":
        echo_table(
            [("part", "ms a step", "share", "roofline ms", "of roofline"), *map(_cells, rows)],
            [False] + 4 * [True],
        )
    else:
        write_records(rows, chosen_format(form), FIELDS)
    for line in _explanation(first, last, limits):
        note(line, quiet)


def _rows(first: Progress, last: Progress, limits: Limits) -> list[dict[str, Any]]:
    """Return the parts, the slowest first, then what is in no part, then the whole."""
    from nphash.engine.profiling import lower_bounds

    assert last.step_size is not None
    steps = _steps(last) - _steps(first)
    before, start = (first.profile, first.seconds) if steps else ({}, 0.0)
    steps = steps or 1
    whole = last.seconds - start
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in last.profile.items()}
    parts = sorted(spent.items(), key=lambda part: -part[1])
    parts += [(REST, max(0.0, whole - sum(spent.values()))), ("a step", whole)]
    least = {part: limits.seconds(work) for part, work in lower_bounds(last.params, last.step_size).items()}
    if least:
        least["a step"] = sum(least.values())
    return [
        {
            "part": part,
            "ms": 1e3 * seconds / steps,
            "share": seconds / whole,
            "roofline_ms": 1e3 * least[part] if part in least else None,
            "of_roofline": least[part] * steps / seconds if part in least and seconds > 0 else None,
        }
        for part, seconds in parts
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    least = "" if row["roofline_ms"] is None else f"{row['roofline_ms']:.3f}"
    limit = "" if row["of_roofline"] is None else f"{row['of_roofline']:.0%}"
    return row["part"], f"{row['ms']:.3f}", f"{row['share']:.1%}", least, limit


def _explanation(first: Progress, last: Progress, limits: Limits) -> list[str]:
    size = last.step_size
    assert size is not None
    steps = max(1, _steps(last) - _steps(first))
    return [
        f"means over {steps:,} step{'s' * (steps > 1)} of {size.documents:,} documents "
        f"({size.weights:,} word weights of {size.words:,} words), engine {size.engine}, "
        f"{many(limits.threads, 'thread')}; "
        "validation is spread over the steps, and with several threads part of the optimiser's work is done "
        "beside other parts",
        f"roofline: what a step must move and calculate, at the rates this machine has just shown: "
        f"{limits.bandwidth / 1e9:.0f} GB/s, {limits.flops / 1e9:.0f} GFLOP/s, "
        f"{limits.exponentials / 1e9:.1f} G exponentials/s",
    ]
