"""Errors that a user can meet: what was given, what was expected, what to do next.

The command line prints such an error as one line and leaves with ``exit_code``; in Python each
class is also the built-in exception a caller would expect (``ValueError`` for bad data, ...).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = [
    "CollectionError", "CorpusError", "DamagedError", "InputError", "InputTypeError", "Interrupted",
    "NewerFormatError", "NotFittedError", "NphashError", "UnsupportedError", "UsageError",
]  # fmt: skip


#: Characters of a problem or a hint; both and a long path are still a screen of 24 lines.
LONGEST = 800


def _on_a_screen(text: str) -> str:
    """Return a message without the middle of what is too long for it, such as the repr of all documents."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: 2 * LONGEST // 3]} ... {text[-LONGEST // 3 :]}"


class NphashError(Exception):
    """Base of all errors that nphash raises on purpose.

    Whatever was given may stand in a message as its ``repr``: of a long one the middle is left out.

    Parameters
    ----------
    problem
        What was given and what was expected, naming the file, line or argument.
    hint
        What to do next.
    parameter
        The name, or names, of Python that the message says and a command line has another one for: it begins
        the problem, or stands in the hint.

    Examples
    --------
    >>> print(NphashError("k is 0, but at least 1 is needed", "ask for one neighbour or more"))
    k is 0, but at least 1 is needed: ask for one neighbour or more
    """

    exit_code = 1

    def __init__(self, problem: str, hint: str = "", parameter: str | tuple[str, ...] = ()) -> None:
        problem, hint = _on_a_screen(problem), _on_a_screen(hint)
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint
        self.parameters = (parameter,) if isinstance(parameter, str) else parameter

    def rename(self, names: Mapping[str, str]) -> None:
        """Say other names, such as a command's options, for the parameters this error is about.

        Examples
        --------
        >>> error = InputError("n_bits is 0", "32 or 64 are usual", parameter="n_bits")
        >>> error.rename({"n_bits": "--bits"})
        >>> error.problem
        '--bits is 0'
        """
        for parameter in self.parameters:
            if parameter in names:
                if self.problem.startswith(parameter):
                    self.problem = names[parameter] + self.problem.removeprefix(parameter)
                self.hint = self.hint.replace(parameter, names[parameter])

    def __str__(self) -> str:
        return f"{self.problem}: {self.hint}" if self.hint else self.problem


class InputError(NphashError, ValueError):
    """An array, matrix or parameter given in Python that cannot be used."""


class InputTypeError(InputError, TypeError):
    """Something of a kind that cannot be used at all, such as words where numbers are needed."""


class UnsupportedError(InputError, AttributeError):
    """A method that this system cannot have, though its relatives do: ``hasattr`` says so too."""


class CorpusError(NphashError, ValueError):
    """A text or matrix file that cannot be read; names the file and, where there is one, the line."""


class CollectionError(NphashError, OSError):
    """A directory that is no collection, or whose files are missing, altered or of a newer format."""


class DamagedError(CollectionError):
    """Files whose bytes are not those that were written, or that are gone: nothing but a copy helps."""


class NewerFormatError(CollectionError):
    """Files in a format that only a newer version reads."""


class NotFittedError(NphashError, ValueError, AttributeError):
    """A hasher was asked for codes before it was fitted."""


def not_fitted(problem: str, hint: str = "call fit() first") -> NotFittedError:
    """Return a `NotFittedError`; where scikit-learn is in use, one that is its exception of that name too.

    Its pipelines look for that. The error can be pickled, and is read back in either case.

    Examples
    --------
    >>> not_fitted("this Doc2Hash is not fitted yet").hint
    'call fit() first'
    """
    exceptions = sys.modules.get("sklearn.exceptions")
    return (_joint(exceptions.NotFittedError) if exceptions else NotFittedError)(problem, hint)


@cache
def _joint(theirs: type[Exception]) -> type[NotFittedError]:
    def reduce(self: NotFittedError) -> tuple[Any, ...]:
        return not_fitted, (self.problem, self.hint)

    return type("NotFittedError", (NotFittedError, theirs), {"__reduce__": reduce})


class UsageError(NphashError):
    """A command line that contradicts itself; leaves with exit code 2."""

    exit_code = 2


class Interrupted(NphashError):
    """Ctrl-C during a fit; the last checkpoint was kept."""

    exit_code = 130
