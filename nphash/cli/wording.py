"""Errors of the library name Python's arguments; on the command line they name its options."""

from __future__ import annotations

import re

import click

from nphash.errors import InputError, NphashError, UsageError

__all__ = ["in_words_of"]

# Arguments whose options are not simply their names with hyphens.
_OPTIONS = {
    "CreateSettings(force=True)": "--force",
    "ignore_missing=True": "--ignore-missing",
    "n_bits": "--bits",
    "on_duplicate": "--if-exists",
    "out_of_core=False": "--in-memory",
    "random_state": "--seed",
}


def in_words_of(command: click.Command, error: NphashError) -> None:
    """Put the options of a command, and its method's name, for Python's names in an error.

    Only whole words that no text of a person would hold by chance, and that do not stand in quotes or paths:
    names with an underscore, and at the beginning the class of a method.

    Examples
    --------
    >>> error = InputError("learning_rate is -1.0", "it must be positive")
    >>> in_words_of(click.Command("fit", params=[click.Option(["--learning-rate"])]), error)
    >>> error.problem
    '--learning-rate is -1.0'
    """
    if isinstance(error, UsageError):  # raised by the command line itself, in its own words
        return
    given = [option for parameter in command.params for option in parameter.opts + parameter.secondary_opts]
    names = {option[2:].replace("-", "_"): option for option in given if "-" in option[2:]}
    names |= {name: option for name, option in _OPTIONS.items() if option in given}
    if isinstance(error, InputError):  # the problems of others are files and what stands in them
        if "--method" in given:
            error.problem = _with_method(error.problem)
        error.problem = _replaced(error.problem, names)
    error.hint = _replaced(error.hint, names)


def _replaced(text: str, names: dict[str, str]) -> str:
    if not names:
        return text
    any_name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w./'\"-])({any_name})(?![\w/'\"-]|\.\w)", lambda match: names[match[1]], text)


def _with_method(problem: str) -> str:
    from nphash.hashers.methods import METHODS

    classes = {home.partition(":")[2]: method for method, home in METHODS.items()}
    who, space, rest = problem.partition(" ")
    return f"method {classes[who]} {rest}" if who in classes and space else problem
