"""The ``nphash`` command. A subcommand's module is imported when it runs, so that help is quick.

For the same reason these modules reach the library as ``nphash.corpus``, ``nphash.hashers``, ..., packages
that load on first use: ``nphash COMMAND --help`` imports none of them.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

import nphash
from nphash._version import __version__
from nphash.errors import NphashError

__all__ = ["COMMANDS", "cli", "main"]

# Help of all commands without importing one of them; a test compares it with each command's own.
COMMANDS = {
    "demo": "Fit on the documentation of this machine's Python packages and answer queries.",
    "fit": "Learn codes for a corpus and make it a searchable collection.",
    "search": "Find the documents of a collection that fit queries.",
    "duplicates": "Find groups of documents with the same or nearly the same text.",
    "neighbours": "Write the neighbour graph: the nearest other documents of each document.",
    "add": "Add documents to a collection.",
    "update": "Make a collection hold what a corpus holds now.",
    "remove": "Remove documents from a collection by id.",
    "compact": "Rewrite the files of a collection as one run, without removed documents.",
    "encode": "Write the codes of a corpus under a collection's model.",
    "evaluate": "Measure how well codes find documents with the same labels.",
    "gradcheck": "Check every hand-written gradient against finite differences.",
    "lessons": "List the lessons that come with nphash.",
    "lesson": "Copy lesson NUMBER, or all of them, with the exercise into a folder.",
    "grade": "Grade the exercises of a class.",
    "study": "Measure what the paper claims of gradient estimators.",
    "report": "Write a page about a collection: one HTML file that needs no network.",
    "serve": "Serve a search page and a JSON API for a collection, for reading only.",
    "info": "Show what is in a collection, or what nphash runs on.",
    "methods": "List the hashing methods and their parameters.",
}

# Commands that share a module with another one.
_HOMES = {
    "duplicates": "neighbours:duplicates",
    "add": "changing:add",
    "update": "changing:update",
    "remove": "changing:remove",
    "compact": "changing:compact",
    "lesson": "lessons:lesson",
    "grade": "lessons:grade",
    "study": "lessons:study",
}

# Names of Python in messages whose options are not the same with hyphens.
_OPTIONS = {
    "CreateSettings(force=True)": "--force",
    "force=True": "--force",
    "ignore_missing=True": "--ignore-missing",
    "n_bits": "--bits",
    "on_duplicate": "--if-exists",
    "out_of_core=False": "--in-memory",
    "random_state": "--seed",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = _HOMES.get(cmd_name, f"{cmd_name}:command").partition(":")
        command: click.Command = getattr(import_module(f"nphash.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; for a slip of the pen say which one may have been."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; let its errors name its options, and distinguish a reader that went away."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click would make it exit code 1
            raise _ReaderGone from error
        except NphashError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if command is not None:
                error.rename(_names(command))
            raise


def _names(command: click.Command) -> dict[str, str]:
    """Return what a command calls the parameters of Python, and the class of a method."""
    given = [option for parameter in command.params for option in parameter.opts + parameter.secondary_opts]
    names = {option[2:].replace("-", "_"): option for option in given}
    names |= {name: option for name, option in _OPTIONS.items() if option in given}
    if "--method" in given:
        names |= {
            home.partition(":")[2]: f"method {method}" for method, home in nphash.hashers.METHODS.items()
        }
    return names


class _ReaderGone(Exception):
    """Whoever read our output has seen enough (``| head``)."""


_HELP = """Short binary codes for documents, and search by Hamming distance.

\b
nphash demo                            see it work, no data needed
nphash fit texts/ -o my.nphash         learn from a folder, .jsonl, .csv, ...
nphash search my.nphash "some words"   ask

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 3 gradient check failed, 130 interrupted.
"""


@click.group(
    cls=LazyGroup,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="nphash", message="%(prog)s %(version)s")
def cli() -> None:
    """Short binary codes for documents, and search by Hamming distance."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code (SystemExit); errors become one line and a hint."""
    _make_output_safe()
    try:
        code = cli.main(list(arguments) if arguments is not None else None, "nphash", standalone_mode=False)
        sys.stdout.flush()
    except (_ReaderGone, BrokenPipeError):
        _forget_stdout()
        code = 0
    except click.ClickException as error:
        code = error.exit_code
        shown = io.StringIO()
        error.show(shown)
        _say(shown.getvalue().rstrip("\n"), _about_dashes(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("nphash: interrupted", err=True)
        code = 130
    except NphashError as error:
        code = error.exit_code
        _complain(error.problem, error.hint)
    except MemoryError:
        code = 1
        _complain("out of memory", "use fewer words (--max-words), or a smaller corpus")
    except OSError as error:
        from nphash.core.disk import advice

        code = 1
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error), advice(error))
    except Exception as error:
        if os.environ.get("NPHASH_DEBUG"):
            raise
        code = 1
        _complain(
            f"internal error: {type(error).__name__}: {error}",
            "this is a mistake in nphash; NPHASH_DEBUG=1 shows where",
        )
    sys.exit(code if isinstance(code, int) else 0)


def _complain(problem: str, hint: str = "") -> None:
    _say(f"nphash: {' '.join(problem.split())}", hint)


def _say(message: str, hint: str) -> None:
    from nphash.cli.output import note

    note(message)
    if hint:
        note(f"  hint: {' '.join(hint.split())}")


def _about_dashes(error: click.ClickException) -> str:
    """Return how words with a leading dash are given to a command that takes any words."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and not error.possibilities:
        arguments = [one for one in error.ctx.command.params if isinstance(one, click.Argument)]
        if any(argument.nargs == -1 for argument in arguments):
            example = f"nphash {error.ctx.info_name} ... -- {error.option_name}"
            return f"words that begin with a dash come last, after --: {example}"
    return ""


def _make_output_safe() -> None:
    """Let no character stop the output: pipes carry UTF-8, terminals what they can show.

    Where there is no output (a daemon, ``>&-``, ``pythonw``) a stream is None: it goes nowhere then. Opened
    first of all, it also keeps the number of a standard stream from a file of ours.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            if stream.isatty():
                reconfigure(errors="backslashreplace")
            else:
                reconfigure(encoding="utf-8", errors="backslashreplace")


def _forget_stdout() -> None:
    """Point standard output at nothing, so that Python's own flush at exit does not complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # no real file behind it
        pass
