"""Progress on standard error, when that is a terminal: documents read, rounds, then a bar for the fit."""

from __future__ import annotations

import logging
import math
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nphash.engine.profiling import Profile

if TYPE_CHECKING:
    from nphash.hashers import Progress

__all__ = ["FitProgress", "counted", "describe"]

T = TypeVar("T")

SECONDS_BETWEEN_UPDATES = 0.1

# Of the bar, in characters: on a terminal of so many columns the longer one leaves room for all figures.
WIDTHS = (10, 24)
WIDE = 110


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


def describe(progress: Progress) -> str:
    """Return losses and validation figure of a fit in a few words."""
    return ", ".join(_figures(progress))


def _figures(progress: Progress) -> list[str]:
    parts = [f"loss {progress.terms['loss']:.4g}"]
    parts += [
        f"{name} {value:.3g}" for name, value in progress.terms.items() if name.lower() in {"kl", "label"}
    ]
    if progress.best_epoch and progress.validation_name != "epoch" and math.isfinite(progress.validation):
        parts.append(
            f"{progress.validation_name} {progress.validation:.4g} (best epoch {progress.best_epoch})"
        )
    return parts


def _fitting(progress: Progress, room: int) -> str:
    """Return epoch, figures and time left in so many characters; the least of the figures go first."""
    figures = _figures(progress)
    left = [f"{_clock(progress.seconds_left)} left"] if math.isfinite(progress.seconds_left) else []
    while True:
        text = f"{progress.epoch}/{progress.epochs}  {', '.join(figures + left)}"
        if len(text) <= room or not figures:
            return text[: max(room, 0)]
        figures.pop(1 if len(figures) > 2 else 0)


def _columns() -> int:
    """Return how many characters of a line the terminal shows without beginning another."""
    return shutil.get_terminal_size().columns - 1


class _Stages(logging.Handler):
    """Shows what a fit logs: stages before its first step in one line of a terminal, all else a line each."""

    def __init__(self, in_place: bool, quiet: bool) -> None:
        super().__init__(logging.INFO)
        self.in_place = in_place
        self.quiet = quiet
        self.width = 0  # of the line that stands on the terminal, unfinished

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self.quiet:
            return
        if not self.in_place or record.levelno > logging.INFO:
            click.echo(f"\r{text}" if self.in_place else text, err=True)
            return
        text = text[: _columns()]
        click.echo(f"\r{text.ljust(self.width)}", err=True, nl=False)
        self.width = max(self.width, len(text))

    def end_line(self) -> None:
        if self.width:
            click.echo(err=True)
        self.width = 0


class FitProgress:
    """A callback for `fit` and the context in which its bar is drawn.

    Parameters
    ----------
    quiet
        Draw nothing; also an attribute.
    verbose
        Write a line for each epoch, on any kind of standard error.
    profile
        Have the seconds of a step's parts added up.

    Attributes
    ----------
    first, last
        What the fit said after its first and its last step so far; None before.
    """

    def __init__(self, quiet: bool, verbose: bool = False, profile: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.draw = sys.stderr.isatty() and not quiet and not verbose
        self.profile = Profile() if profile else None
        self.first: Progress | None = None
        self.last: Progress | None = None
        self._bar: Any = None
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            click.echo(
                f"epoch {progress.epoch}/{progress.epochs}: {describe(progress)}, {progress.seconds:.1f} s",
                err=True,
            )
        if self.draw:
            self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            self._stages.end_line()
            self._bar = click.progressbar(
                length=progress.epochs * progress.steps,
                label="fit",
                file=sys.stderr,
                show_eta=False,  # the fit's own estimate is shown: it knows of resumed epochs
                item_show_func=lambda text: text,
                width=WIDTHS[_columns() >= WIDE],
            )
        done = (progress.epoch - 1) * progress.steps + progress.step
        step, self._done = done - self._done, done
        now = time.monotonic()
        self._bar.pos += step
        if now - self._drawn > SECONDS_BETWEEN_UPDATES or done >= progress.epochs * progress.steps:
            self._drawn = now
            room = _columns() - self._bar.width - len("fit  []  100%  ")
            self._bar.current_item = _fitting(progress, room)
            self._bar.render_progress()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02d}"
