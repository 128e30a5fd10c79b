"""``nphash fit``: from a corpus to a searchable collection."""

from __future__ import annotations

import difflib
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import nphash
from nphash.cli import options as shared
from nphash.cli.methods import parameter_types, parse
from nphash.cli.output import format_option, many, note, note_wordless
from nphash.cli.progress import FitProgress, counted_documents, show_profile
from nphash.errors import CollectionError, Interrupted, UsageError

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.collection.creating import CreateSettings
    from nphash.corpus import ReadOptions
    from nphash.hashers import Hasher
    from nphash.text.vectorizer import VectorizerSettings

# Shown in the help; the options themselves are None where they are not given.
DEFAULT_BITS = 32
DEFAULT_VALIDATION = 0.1
CHECKPOINT_FILES = {"checkpoint.npz", "checkpoint.new"}  # the second from versions before

# Options that are short for a parameter of the method: their last words.
_PARAMETERS = {"bits": "n_bits", "seed": "random_state"}
_PARAMETERS |= {name: name for name in ("threads", "epochs", "batch_size", "learning_rate")}

HELP = """Learn codes for a corpus and make it a searchable collection.

CORPUS is a file (.jsonl, .csv, .tsv, .txt with one document a line, .svm, .npz, .mtx, .mat,
docword.*; also .gz), a folder of text files, a collection (whose documents are learned from anew),
- for standard input, or docstrings: for the documentation of the installed Python packages.

Documents marked test are held out, so that 'nphash evaluate DIR CORPUS' can ask for them.
Interrupted with Ctrl-C, a fit goes on with --resume.

--profile writes on standard output, part by part, how long a step takes, and how long this
machine would take at the rates it copies memory and multiplies matrices.
"""


@click.command(cls=shared.Sectioned, help=HELP)
@click.argument("corpus")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Directory to make.")
@click.option("--force", is_flag=True, help="Replace the collection, or drop the checkpoint, that is there.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted fit of the same corpus and options.")
@click.option("--method", default="nphash", show_default=True, help="See 'nphash methods'.")
@click.option("--bits", type=shared.Whole(1, 4096), help="Length of a code.  [default: 32]")
@click.option(
    "--epochs",
    type=shared.Whole(min=1),
    help="Passes over the documents.  [default: by corpus size with nphash]",
)
@click.option("--batch-size", type=shared.Whole(min=1), help="Documents a step.")
@click.option("--learning-rate", type=float, help="Step size of Adam.")
@click.option("--seed", type=shared.Whole(min=0), help="Same seed, same codes.  [default: 0]")
@click.option("-p", "parameters", metavar="NAME=VALUE", multiple=True, help="Any parameter of the method.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of documents that choose the best epoch, if none are marked valid; not with nphash.  "
    "[default: 0.1]",
)
@partial(shared.threads_option, expose_value=True)
@click.option(
    "--preset", type=click.Choice(["default", "vdsh"]), default="default", help="Named word settings."
)
@click.option("--weighting", type=click.Choice(["tfidf", "tf", "binary", "bm25"]), help="[default: tfidf]")
@click.option(
    "--min-documents",
    type=shared.Whole(min=1),
    help="Drop words in fewer documents.  [default: 3; below 50 documents 1]",
)
@click.option(
    "--max-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Drop words in a larger share of documents.  [default: 0.8; below 50 documents 1]",
)
@click.option("--max-words", type=shared.Whole(min=1), help="Most frequent words to keep.  [default: 10000]")
@click.option("--stop-words", metavar="NAME|FILE", help="english, none, or a file.  [default: english]")
@click.option("--pattern", metavar="NAME|REGEX", help="unicode, vdsh, whitespace, or a pattern of words.")
@shared.reader_options
@shared.quiet_option
@click.option("-v", "--verbose", is_flag=True, help="A line for every epoch instead of the bar.")
@click.option(
    "--out-of-core/--in-memory",
    default=None,
    help="Keep word weights on the disk while fitting.  [default: if they are large for this memory]",
)
@click.option(
    "--profile", is_flag=True, help="Show where the time of a step went, and what this machine allows."
)
@format_option
def command(corpus: str, output: Path, reading: ReadOptions, **options: Any) -> None:
    """Run ``nphash fit``."""
    if options["quiet"] and options["verbose"]:
        raise click.UsageError("-q and -v contradict each other.")
    hasher = _hasher(options)
    progress = FitProgress(options["quiet"], options["verbose"], options["profile"])
    settings = nphash.collection.CreateSettings(
        _vectorizer(options),
        _validation(hasher, options),
        options["force"],
        out_of_core=options["out_of_core"],
    )
    with _terminable(), _profiled(progress, options):
        collection = fit_collection(corpus, output, hasher, reading, settings, progress, options["resume"])
    note(f"search it: nphash search {output} {_example_query(collection)}", options["quiet"])


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: the checkpoint is kept, the half-made directory goes."""
    if threading.current_thread() is not threading.main_thread():  # only that one hears of signals
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _compiling(hasher: Hasher) -> Iterator[None]:
    """Let other processes compile the slowest kernels of the fit's steps, where none is kept yet."""
    settings = hasher.get_params()
    if settings.get("training__engine") in ("auto", "numba") and settings["training__dtype"] == "float32":
        from nphash.core import jit

        if jit.COMPILED:
            from nphash.core.jit.cache import compiling_beside
            from nphash.engine.compiled import PROGRAMS

            with compiling_beside(PROGRAMS):
                yield
            return
    yield


@contextmanager
def _profiled(progress: FitProgress, options: dict[str, Any]) -> Iterator[None]:
    """Show the profile, if asked for, of the fit inside the block, also when that is interrupted."""
    stopped: BaseException | None = None
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        stopped = error
    if options["profile"]:
        how = options["method"], options["output_format"], options["quiet"]
        show_profile(progress.first, progress.last, *how)
    if stopped is not None:
        raise stopped


def _example_query(collection: Collection) -> str:
    """Return what can be asked: not words, if the columns of a matrix have no names."""
    if all(word[0] == "w" and word[1:].isdecimal() for word in collection.vectorizer.vocabulary_):
        return f"--like {shlex.quote(next(iter(collection.documents)).id)}"
    return '"some words"'


def _hasher(options: dict[str, Any]) -> Hasher:
    method, methods = options["method"], nphash.hashers.METHODS
    if method not in methods:
        near = difflib.get_close_matches(method, methods, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(methods)}"
        raise UsageError(f"--method {method}: there is no such method", hint)
    known = parameter_types(method)
    values = {"n_bits": DEFAULT_BITS, **({"random_state": 0} if "random_state" in known else {})}
    parsed = parse(method, options["parameters"])
    for option, short in _PARAMETERS.items():
        if options[option] is None:
            continue
        shown = f"--{option.replace('_', '-')}"
        name = next((full for full in known if full.split("__")[-1] == short), None)
        if name is None and option != "threads":  # these count for everything
            raise UsageError(f"method {method} has no {shown}", "'nphash methods' lists its parameters")
        if name in parsed:
            raise UsageError(f"{shown} and -p {name} both set {name}", "give one of them")
        values |= {name: options[option]} if name else {}
    return nphash.hashers.create(method, **{**values, **parsed})


def _validation(hasher: Hasher, options: dict[str, Any]) -> float:
    """Return the share of documents that choose an epoch, if the method has epochs to choose from."""
    given = options["validation"]
    if given and not (hasher.uses_validation and "training" in hasher.get_params(deep=False)):
        raise UsageError(
            f"method {options['method']} has no --validation", "it holds no documents out to choose an epoch"
        )
    return DEFAULT_VALIDATION if given is None else float(given)


def _vectorizer(options: dict[str, Any]) -> VectorizerSettings:
    given = {
        name: options[name] for name in shared.WORD_NAMES if name != "preset" and options[name] is not None
    }
    return replace(nphash.VectorizerSettings.preset(options["preset"]), **given)


def fit_collection(
    corpus: str,
    output: Path,
    hasher: Hasher,
    reading: ReadOptions,
    settings: CreateSettings,
    progress: FitProgress,
    resume: bool = False,
) -> Collection:
    """Fit with a source and a checkpoint, say what came of it on standard error, return the collection."""
    quiet = progress.quiet
    nphash.collection.changes.check_target(output, settings.force or resume)
    checkpoint = _checkpoint(output, settings.force, resume, quiet)
    documents = counted_documents(shared.read(corpus, reading), quiet)
    settings = replace(settings, checkpoint=checkpoint, source=corpus, reading=reading)
    try:
        with progress, _compiling(hasher):
            collection = nphash.Collection.create(output, hasher, documents, settings, progress)
    except Interrupted as error:
        hint = f"{error.hint}; the same command with --resume goes on" if checkpoint.exists() else error.hint
        raise Interrupted(error.problem, hint) from None
    _drop(checkpoint)
    note_wordless(collection.manifest.corpus["n_without_words"], quiet)
    for line in summary(collection, output):
        note(line, quiet)
    return collection


def _checkpoint(output: Path, force: bool, resume: bool, quiet: bool) -> Path:
    """Return the folder of the fit's checkpoint, beside its output; use or drop an old one as asked."""
    folder = Path(f"{os.path.abspath(output)}.checkpoint")  # noqa: PTH100  "." has a name then, links stay
    if folder.exists():
        if not (folder.is_dir() and {path.name for path in folder.iterdir()} <= CHECKPOINT_FILES):
            raise CollectionError(f"{folder} is in the way of the fit's checkpoint", "move it, or change -o")
        if not resume and not force:
            raise CollectionError(
                f"{folder} holds an interrupted fit", "go on with it with --resume, or drop it with --force"
            )
        if not resume:
            _drop(folder)
    elif resume:
        note(f"there is no checkpoint {folder}: the fit starts from the beginning", quiet)
    return folder


def _drop(folder: Path) -> None:
    """Delete a checkpoint, and its folder if nothing else is in it."""
    with suppress(OSError):  # what stays is in nobody's way
        for name in CHECKPOINT_FILES:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def summary(collection: Collection, output: Path) -> list[str]:
    """Return in a few lines what a fit has made at `output`."""
    corpus, fit = collection.manifest.corpus, collection.manifest.fit
    lines = ["the word weights were on the disk while fitting"] if corpus.get("out_of_core") else []
    if corpus["n_held_out"]:
        are = "is" if corpus["n_held_out"] == 1 else "are"
        held_out = many(corpus["n_held_out"], "document")
        lines.append(f"{held_out} {are} marked test: neither learned from nor stored")
    kept, n_words = len(collection.vectorizer.vocabulary_), collection.vectorizer.n_candidates_
    if n_words > kept:
        lines.append(f"kept the {kept:,} most frequent of {n_words:,} words (--max-words)")
    distinct, n = collection.distinct_codes(), len(collection)
    if 2 * distinct < min(n, 2**collection.n_bits):
        ways = "more --bits" + (", other --epochs or another --learning-rate" if fit.get("epochs") else "")
        lines.append(
            f"the {many(n, 'document')} have only {many(distinct, 'different code')}, and search cannot "
            f"distinguish those with the same one: try {ways}"
        )
    lines.append(
        f"{many(n, 'document')}, {many(kept, 'word')}, {collection.n_bits} bits, "
        f"{many(distinct, 'different code')}{_outcome(fit)}; {fit['seconds']:.0f} s -> {output}"
    )
    return lines


def _outcome(fit: dict[str, Any]) -> str:
    if not fit.get("epochs"):
        return ""
    if not fit.get("best_epoch"):
        return f"; {many(fit['epochs'], 'epoch')}"
    figures = {
        name: value for name, value in fit["figures"].items() if name.startswith("P@") or name == "bound"
    }
    shown = "".join(f", validation {name} {value:.4g}" for name, value in figures.items())
    return f"; best epoch {fit['best_epoch']} of {fit['epochs']}{shown}"
