import os
import re
import signal
import subprocess
import sys
from importlib import import_module

import click
import pytest

import nphash
from helpers.collecting import Stream, documents, fails, run, streams
from nphash.cli import COMMANDS, cli, main
from nphash.collection import Collection
from nphash.errors import CorpusError, Interrupted, UsageError
from nphash.hashers import Training

PROGRAM = [sys.executable, "-m", "nphash"]


def test_version_and_help():
    assert run("--version").out == f"nphash {nphash.__version__}\n"
    for option in ("-h", "--help"):
        result = run(option)
        assert result.code == 0 and result.err == ""
        assert all(f"\n  {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_short_help_is_the_commands_own_first_sentence(name):
    command = cli.get_command(click.Context(cli), name)
    first = " ".join(command.help.split("\n\n")[0].split())
    assert first == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name):
    result = run(name, "--help")
    assert result.code == 0 and COMMANDS[name].split(" ", 1)[0] in result.out
    command = cli.get_command(click.Context(cli), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def test_help_imports_no_command_and_nothing_heavy():
    program = (
        "import sys\nfrom nphash.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'sqlite3', 'nphash.cli.fit'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "[]"


@pytest.fixture
def real(tmp_path):
    """A collection of a method that other processes know."""
    hasher = nphash.Doc2Hash(8, hidden=(4,), training=Training(epochs=1), random_state=0)
    Collection.create(tmp_path / "c", hasher, documents(30)).close()
    return str(tmp_path / "c")


def test_search_loads_neither_numba_nor_more_of_scipy_than_sparse(real):
    """On the way of a real model: what a one-shot search may cost."""
    program = (
        "import sys, scipy.sparse\nloaded = set(sys.modules)\nfrom nphash.cli import main\n"
        f"try: main(['search', {real!r}, 'gold mine', '-k', '2'])\n"
        "except SystemExit as leave: code = leave.code\n"
        "known = {'numba', 'scipy.linalg', 'scipy.stats', 'scipy.io', 'sklearn'}\n"
        "heavy = known & set(sys.modules) - loaded\n"
        "print(code, sorted(heavy), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "0 []"
    assert len(found.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["serch"], "Did you mean 'search'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
        (["--nope"], "No such option"),
        (["search"], "Missing argument 'DIR'"),
        (["fit", "x"], "Missing option '-o'"),
        (["search", "x", "q", "-k", "0"], "0 is not in the range: give 1 or more."),
        (["search", "x", "q", "-k", "many"], "not a valid whole number"),
        (["fit", "x", "-o", "y", "--bits", "4097"], "4097 is not in the range: give from 1 to 4096."),
        (["fit", "x", "-o", "y", "--bits", "0"], "0 is not in the range: give from 1 to 4096."),
        (["fit", "x", "-o", "y", "--threads", "0"], "not in the range"),
    ],
)
def test_wrong_usage_is_2(arguments, says):
    fails(2, *arguments, says=says)


@pytest.mark.parametrize(
    "error, code, says",
    [
        (
            CorpusError("a.csv, line 3: no text", "name it"),
            1,
            "nphash: a.csv, line 3: no text\n  hint: name it\n",
        ),
        (CorpusError("two\nlines", ""), 1, "nphash: two lines\n"),
        (UsageError("no", "yes"), 2, "hint: yes"),
        (Interrupted("interrupted in epoch 2", "--resume"), 130, "interrupted in epoch 2"),
        (KeyboardInterrupt(), 130, "nphash: interrupted"),
        (MemoryError(), 1, "out of memory"),
        (PermissionError(13, "Permission denied", "/root/x"), 1, "nphash: /root/x: Permission denied"),
        (OSError("odd"), 1, "nphash: odd"),
        (ZeroDivisionError("x"), 1, "internal error: ZeroDivisionError: x"),
        (BrokenPipeError(), 0, ""),
        (click.UsageError("wrong"), 2, "wrong"),
    ],
)
def test_every_error_is_a_line_and_an_exit_code(monkeypatch, error, code, says):
    def command(*arguments, **options):
        raise error

    monkeypatch.setattr(import_module("nphash.cli.methods").command, "callback", command)
    monkeypatch.delenv("NPHASH_DEBUG", raising=False)
    result = run("methods")
    assert (result.code, result.out) == (code, "")
    assert says in result.err if says else result.err == ""
    assert "Traceback" not in result.err


def test_an_internal_error_can_be_looked_at(monkeypatch):
    def command(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(import_module("nphash.cli.methods").command, "callback", command)
    monkeypatch.setenv("NPHASH_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("methods")


def test_a_reader_that_has_seen_enough(real, tmp_path):
    (tmp_path / "queries.txt").write_text("gold ore\n" * 3000, encoding="utf-8")
    for arguments in (
        ["search", real, "-", "-k", "10"],
        ["search", real, "-", "-k", "10", "--format", "table"],
        ["search", real, "-", "-k", "10", "--format", "csv"],
        ["gradcheck", "dense", "--curve", "--format", "table"],
    ):
        with (
            (tmp_path / "queries.txt").open("rb") as queries,
            subprocess.Popen(
                [*PROGRAM, *arguments],
                stdin=queries,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait() == 0, arguments


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c(real):
    """While it waits for the next line of a pipe, and not before it has answered the first."""
    with subprocess.Popen(
        [*PROGRAM, "search", real, "-", "-k", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write("gold mine\n")
        process.stdin.flush()
        assert '"rank": 1' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "nphash: interrupted" in err and "Traceback" not in err


def test_output_never_fails_on_a_character():
    out = Stream(tty=True)
    out.reconfigure(encoding="ascii")
    with streams(Stream(), out, Stream()), pytest.raises(SystemExit):
        main(["--version"])
    assert out.errors == "backslashreplace"
    pipe = Stream()
    pipe.reconfigure(encoding="latin-1")
    with streams(Stream(), pipe, Stream()), pytest.raises(SystemExit):
        main(["--version"])
    assert pipe.encoding == "utf-8"


def test_python_m_nphash_is_the_command():
    found = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"nphash \d+\.\d+.*\n", found.stdout)


@pytest.mark.skipif(os.name == "nt", reason="completion for POSIX shells")
def test_shell_completion():
    words = {**os.environ, "_NPHASH_COMPLETE": "bash_complete", "COMP_WORDS": "nphash sea", "COMP_CWORD": "1"}
    program = "import sys; sys.argv = ['nphash']; from nphash.cli import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=words, check=False
    )
    assert "plain,search" in found.stdout


@pytest.mark.parametrize("closed", [[1], [2], [1, 2], [0, 1, 2]])
def test_closed_standard_streams_stop_nothing(tmp_path, real, closed):
    corpus = tmp_path / "t.txt"
    corpus.write_text("gold mine\nwheat ships\ngold ore\n" * 4, encoding="utf-8")
    commands = [
        ["fit", corpus, "-o", tmp_path / "new", "--method", "itq", "--bits", "2"],
        ["info", real],
        ["encode", real, corpus],
        ["encode", real, corpus, "-o", tmp_path / "codes.npy"],
        ["search", real, "gold"],
    ]
    for command in commands:
        arguments = [*PROGRAM, *map(str, command)]
        done = subprocess.run(arguments, preexec_fn=lambda: [os.close(one) for one in closed], check=False)
        assert done.returncode == 0, command
    assert (tmp_path / "codes.npy").exists()
    with Collection.open(tmp_path / "new") as collection:
        assert len(collection) == 12 and collection.verify() == []
