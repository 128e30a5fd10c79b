"""The ``nphash`` command. A subcommand's module is imported when it runs, so that help is quick."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from nphash._version import __version__
from nphash.cli.wording import in_words_of
from nphash.errors import NphashError

__all__ = ["COMMANDS", "cli", "main"]

# Help of all commands without importing one of them; a test compares it with each command's own.
COMMANDS = {
    "demo": "Fit on the documentation of this machine's Python packages and answer queries.",
    "fit": "Learn codes for a corpus and make it a searchable collection.",
    "search": "Find the documents of a collection nearest to queries.",
    "duplicates": "Find groups of documents with the same or nearly the same code.",
    "neighbours": "Write the neighbour graph: the nearest other documents of each document.",
    "add": "Add documents to a collection.",
    "remove": "Remove documents from a collection by id.",
    "encode": "Write the codes of a corpus under a collection's model.",
    "evaluate": "Measure how well codes find documents with the same labels.",
    "gradcheck": "Check every hand-written gradient against finite differences.",
    "lessons": "List the lessons that come with nphash.",
    "lesson": "Copy lesson NUMBER and its exercise into a folder.",
    "study": "Measure what the paper claims of gradient estimators.",
    "info": "Show what is in a collection, or what nphash runs on.",
    "methods": "List the hashing methods and their parameters.",
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
        module, name = ("lessons", cmd_name) if cmd_name == "lesson" else (cmd_name, "command")
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; let its errors name its options, and tell a reader that went away apart."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click would make it exit code 1
            raise _ReaderGone from error
        except NphashError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if command is not None:
                in_words_of(command, error)
            raise


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
    """Run the command line and leave with its exit code; errors become one line and a hint.

    Parameters
    ----------
    arguments
        None for those of the process.

    Raises
    ------
    SystemExit
        Always.
    """
    _make_output_safe()
    try:
        code = cli.main(list(arguments) if arguments is not None else None, "nphash", standalone_mode=False)
        sys.stdout.flush()
    except (_ReaderGone, BrokenPipeError):
        _forget_stdout()
        code = 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
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
        code = 1
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
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
    click.echo(f"nphash: {' '.join(problem.split())}", err=True)
    if hint:
        click.echo(f"  hint: {' '.join(hint.split())}", err=True)


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
