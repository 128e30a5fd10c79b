import errno
import json
import os
import re
import signal
import subprocess
import sys
from importlib import import_module

import click
import pytest

import nphash
from helpers.collecting import Stream, documents, fails, fresh, run, streams, write_jsonl
from nphash.cli import COMMANDS, _names, cli, main
from nphash.collection import Collection
from nphash.corpus import Document
from nphash.errors import CollectionError, CorpusError, InputError, Interrupted, UsageError
from nphash.hashers import Training, create

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
        (["search", "x", "-why"], "come last, after --: nphash search ... -- -w"),
        (["remove", "x", "--old-id"], "after --: nphash remove ... -- --old-id"),
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
        (
            OSError(errno.EROFS, "Read-only file system", "/mnt/x"),
            1,
            "nphash: /mnt/x: Read-only file system\n  hint: take a folder on another file system\n",
        ),
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


@pytest.mark.compiled  # else gradcheck says that kernels are not checked
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


@pytest.mark.parametrize(
    ("error", "problem", "hint"),
    [
        (
            InputError("learning_rate is -1.0", "raise max_share", parameter=("learning_rate", "max_share")),
            "--learning-rate is -1.0",
            "raise --max-share",
        ),
        (
            InputError("n_bits is 0", "give random_state.", parameter=("n_bits", "random_state")),
            "--bits is 0",
            "give --seed.",
        ),
        (
            InputError("NpHash fits", "try out_of_core=False", parameter=("NpHash", "out_of_core=False")),
            "method nphash fits",
            "try --in-memory",
        ),
        (
            CollectionError(
                "no", "replace it with CreateSettings(force=True)", parameter="CreateSettings(force=True)"
            ),
            "no",
            "replace it with --force",
        ),
        # An id that is called so, what is no option of the command, and errors that are about no parameter.
        (InputError("id 'max_share'", "lower it", parameter="max_share"), None, None),
        (InputError("clip_norm is 0", "on_duplicate", parameter=("clip_norm", "on_duplicate")), None, None),
        (InputError("max_share of NpHash", "max_share"), None, None),
        (CorpusError("NpHash is not UTF-8", ""), None, None),
        (UsageError("no parameter 'x'", "there are n_bits, learning_rate"), None, None),
    ],
)
def test_names_of_python_become_options(error, problem, hint):
    before = error.problem, error.hint
    error.rename(_names(cli.get_command(click.Context(cli), "fit")))
    assert (error.problem, error.hint) == (before if problem is None else (problem, hint))


def test_a_command_without_such_options():
    error = InputError("NpHash needs n_bits", "max_share", parameter=("NpHash", "max_share"))
    error.rename(_names(cli.get_command(click.Context(cli), "info")))
    assert (error.problem, error.hint) == ("NpHash needs n_bits", "max_share")


def corpus_of(tmp_path, made):
    return write_jsonl(tmp_path / "corpus.jsonl", made)


def test_errors_of_a_fit_name_its_options(tmp_path):
    corpus, to = corpus_of(tmp_path, documents(6)), ["-o", tmp_path / "new"]
    fails(
        1,
        "fit",
        corpus,
        *to,
        "--min-documents",
        100,
        says=("hint: lower --min-documents, raise --max-share,"),
    )
    fails(1, "fit", corpus, *to, "--learning-rate", -1, says="nphash: --learning-rate is -1.0")
    says = ("nphash: method nphash needs the word weights in memory", "or leave --out-of-core out")
    fails(1, "fit", corpus, *to, "--out-of-core", says=says)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    fails(1, "fit", corpus, *to, says="new")


def test_a_collection_in_the_way(tmp_path):
    path, corpus = fresh(tmp_path), corpus_of(tmp_path, documents(3))
    fails(1, "fit", corpus, "-o", path, says="or replace it with --force\n")
    fails(1, "add", path, corpus, says="such documents with --if-exists, or add them under other ids")
    fails(1, "remove", path, "nobody", says="pass over such ids with --ignore-missing\n")


def test_labels_are_asked_for_where_a_method_needs_them(tmp_path):
    bare = [Document(document.id, document.text) for document in documents(6)]
    corpus, new = corpus_of(tmp_path, bare), tmp_path / "new"
    says = ("nphash: method doc2hash-s learns from labels, but no document has one", "with --label-field,")
    fails(1, "fit", corpus, "-o", new, "--method", "doc2hash-s", "--min-documents", 1, says=says)
    with pytest.raises(InputError, match=r"^Doc2HashS learns .* with label_field, or take a method"):
        Collection.create(new, create("doc2hash-s", n_bits=8), bare)
    assert not new.exists() and json.loads(corpus.read_text(encoding="utf-8").splitlines()[0])["id"] == "d0"


def test_words_with_a_leading_dash_are_found_after_two(tmp_path):
    path = fresh(tmp_path)
    assert '"query": "-gold"' in run("search", path, "-k", "1", "--", "-gold").out
    assert "hint" not in fails(2, "search", path, "--radus", "1", says="--radius").err  # a slip of the pen
    assert "hint" not in fails(2, "info", "-w", says="No such option").err


def test_a_read_only_file_system(tmp_path, monkeypatch):
    """Every way of making a file or folder fails as it does there."""
    corpus = write_jsonl(tmp_path / "x.jsonl", documents(6))
    path = fresh(tmp_path)

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))

    for call in ("open", "mkdir", "rename", "replace", "link"):
        real = getattr(os, call)

        def only_reading(name, *arguments, real=real, **options):
            writes = arguments and isinstance(arguments[0], int) and arguments[0] & (os.O_RDWR | os.O_WRONLY)
            return (refuse if writes or real.__name__ != "open" else real)(name, *arguments, **options)

        monkeypatch.setattr(os, call, only_reading)
    for command in (
        ["fit", corpus, "-o", tmp_path / "new", "--method", "sign"],
        ["add", path, corpus, "--id-prefix", "n"],
        ["encode", path, corpus, "-o", tmp_path / "codes.npy"],
        ["neighbours", path, "-o", tmp_path / "graph.npz"],
        ["lesson", "1", "-o", tmp_path / "course"],
    ):
        says = fails(1, *command).err.lower()
        assert "read-only" in says and "take a folder on another file system" in says, command
        assert "owner" not in says and "damaged" not in says


@pytest.mark.parametrize("name", COMMANDS)
def test_help_does_not_depend_on_docstrings(name):
    """As with ``python -OO``: what help says does not come from them."""
    command = cli.get_command(click.Context(cli), name)
    for one in [command, *getattr(command, "commands", {}).values()]:
        assert len(one.help) > len(one.callback.__doc__) and one.help != one.callback.__doc__


def test_without_docstrings():
    """One process of Python with -OO: help, the list of methods, and one of them."""
    program = (
        "from nphash.cli import main\n"
        "for words in (['fit', '--help'], ['methods', '--format', 'csv'], ['methods', 'doc2hash']):\n"
        "    try: main(words)\n"
        "    except SystemExit as leave: assert_(leave.code)\n"
    ).replace("assert_(leave.code)", "print('code', leave.code)")
    command = [sys.executable, "-OO", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout.count("code 0") == 3
    assert COMMANDS["fit"] in done.stdout and '"parameter": "dropout"' in done.stdout
