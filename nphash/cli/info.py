"""``nphash info``: a collection, and what nphash runs on."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import nphash
from nphash._version import __version__
from nphash.cli.output import Writer, chosen_format, echo_table, format_option, note, write_records
from nphash.errors import CollectionError

if TYPE_CHECKING:
    from nphash.collection import Collection

HELP = """Show what is in a collection, or what nphash runs on.

Without DIR: versions, processor, threads and linear algebra library, for bug reports. With
--verify the exit code is 1 if anything in the collection is damaged. Of an older collection without
an index the words in it are 0; 'nphash compact DIR' makes one.
"""


@click.command(help=HELP)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Check every file and every document of the collection in full.")
@click.option(
    "--facets", metavar="NAME", help="Count the documents with each label, split, or value of a field."
)
@format_option
def command(directory: Path | None, verify: bool, facets: str | None, output_format: str | None) -> None:
    """Run ``nphash info``."""
    if directory is None:
        if verify or facets:
            raise click.UsageError(f"{'--verify' if verify else '--facets'} needs a collection.")
        _show(describe_system(), chosen_format(output_format))
        return
    if verify:
        problems = _verify(directory)
        if problems:
            for problem in problems[1:]:
                note(problem)
            raise CollectionError(
                f"the collection {directory} is damaged: {problems[0]}", "restore it from a copy"
            )
        note(f"every file and document of {directory} is as it was written")
    with nphash.Collection.open(directory) as collection:
        if facets:
            counts = collection.facets(facets).items()
            records = ({facets: value, "documents": count} for value, count in counts)
            write_records(records, chosen_format(output_format), [facets, "documents"], [False, True])
            return
        _show(describe_collection(collection), chosen_format(output_format))


def _verify(directory: Path) -> list[str]:
    """Return all that is wrong, also where the collection cannot even be opened."""
    problems = nphash.collection.manifest.read_manifest(directory).check(directory, everything=True)
    if problems:
        return problems
    try:
        with nphash.Collection.open(directory) as collection:
            return collection.verify()
    except CollectionError as error:
        return [error.problem]


def describe_collection(collection: Collection) -> dict[str, Any]:
    """Return what is in a collection, by name."""
    manifest, vectorizer, count = collection.manifest, collection.vectorizer, len(collection)
    sizes = {name: manifest.files[name].size for name in manifest.named_files()}
    code_bytes = sum(sizes[segment.codes] for segment in manifest.segments)
    text_bytes = sum(sizes[segment.documents] for segment in manifest.segments)
    word_bytes = sum(sizes[segment.words] for segment in manifest.segments if segment.words)
    model_bytes = sum(sizes.values()) - code_bytes - text_bytes - word_bytes
    rows = max(manifest.n_rows, 1)
    parameters = {name: value for name, value in manifest.parameters.items() if value is not None}
    parts = f"(code {code_bytes / rows:.1f}, text {text_bytes / rows:.1f}, words {word_bytes / rows:.1f})"
    described: dict[str, Any] = {
        "collection": str(collection.path),
        "documents": count,
        "removed, still stored": manifest.n_removed,
        "different codes": collection.distinct_codes(),
        "bits": manifest.n_bits,
        "words": len(vectorizer.vocabulary_),
        "words in the index": collection.state.words.n_words() if collection.segments.are_indexed else 0,
        "words cut off": vectorizer.n_candidates_ - len(vectorizer.vocabulary_),
        "method": manifest.method,
        "parameters": " ".join(f"{name}={value}" for name, value in parameters.items()),
        "corpus": manifest.corpus.get("source", ""),
        "held out (test)": manifest.corpus.get("n_held_out", 0),
        "without a known word": manifest.corpus.get("n_without_words", 0),
        "bytes": sum(sizes.values()),
        "bytes of model and words": model_bytes,
        "bytes a document": f"{(code_bytes + text_bytes + word_bytes) / rows:.1f} {parts}",
        "segments": len(manifest.segments),
        "generation": manifest.generation,
        "changed": manifest.changed,
        "written by": f"nphash {manifest.nphash_version}",
    }
    fit = manifest.fit
    if fit:
        described["fit seconds"] = fit.get("seconds", 0)
    if fit.get("epochs"):
        # first versions kept the epoch among the figures
        best = fit.get("best_epoch") if "epoch" not in fit["figures"] else None
        described |= {"best epoch": f"{best} of {fit['epochs']}"} if best else {"epochs": fit["epochs"]}
        figures = {name: value for name, value in fit["figures"].items() if name != "epoch"}
        described |= {f"fit {name}": round(value, 4) for name, value in figures.items()}
    return described


def describe_system() -> dict[str, Any]:
    """Return versions, processor, threads, BLAS and whether kernels are compiled, by name."""
    from nphash.core import jit, threads

    found: dict[str, Any] = {
        "nphash": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
    }
    for package in ("numpy", "numba", "llvmlite", "scipy", "click"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    found["processor"] = _processor()
    found["processors"] = os.cpu_count() or 1
    found["threads"] = threads.count_threads()
    libraries = [f"{library.path.name} ({library.get()} threads)" for library in threads.blas_libraries()]
    found["blas"] = ", ".join(libraries) or "not one bundled with NumPy"
    why_not = jit.WHY_NOT
    found["compiled kernels"] = f"no ({why_not}); all works through NumPy, slower" if why_not else "yes"
    cached = not why_not and os.environ.get("NPHASH_CACHE") != "0"
    found["kernel cache"] = _cache_folder() if cached else "off"
    found["executable"] = sys.executable
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith(("model name", "cpu model")):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or "unknown"


def _cache_folder() -> str:
    """Return where Numba keeps compiled kernels: a folder beside the package, if that can be written."""
    beside = Path(__file__).parent.parent / "core" / "jit"
    usual = str(beside / "__pycache__") if os.access(beside, os.W_OK) else ""
    return os.environ.get("NUMBA_CACHE_DIR") or usual or "in the user's cache folder, if writable"


def _show(record: dict[str, Any], form: str) -> None:
    if form == "table":
        shown = {
            name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in record.items()
        }
        echo_table(shown.items(), [False, False], header=False)
        return
    plain = {re.sub(r"\W+", "_", name).strip("_"): value for name, value in record.items()}
    Writer(form, list(plain)).write(plain)
