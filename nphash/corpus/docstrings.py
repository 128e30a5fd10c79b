"""The corpus every machine has: documentation strings of installed Python packages.

Sources are parsed with `ast`; nothing is imported or run. ``docstrings:`` reads the standard library,
NumPy, SciPy, Numba and click; ``docstrings:numpy,scipy`` reads the named packages, and any other
installed package will do. Each function, class and module with a docstring of ten words or more is
one document: id = its qualified name, labels = its package and its module (at most two levels:
``scipy.linalg``). Repeated texts and test folders are skipped.
"""

from __future__ import annotations

import ast
import gc
import importlib.util
import inspect
import os
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from nphash.corpus.records import Document, ReadOptions
from nphash.errors import CorpusError

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

PREFIX = "docstrings:"
DEFAULT_PACKAGES = ("stdlib", "numpy", "scipy", "numba", "click")

#: Shorter ones are mostly "See the base class" and the like.
MIN_WORDS = 10
#: Larger sources are generated tables, not documentation.
MAX_SOURCE_BYTES = 4 * 2**20

_SKIPPED_FOLDERS = {"test", "tests", "testing", "site-packages", "dist-packages", "__pycache__"}
_SKIPPED_FOLDERS |= {"idlelib", "lib2to3"}  # programs in the library's folder, not parts of it


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the documents in the same order every time; CorpusError for a package without Python source."""
    names = [name.strip() for name in source.removeprefix(PREFIX).split(",") if name.strip()]
    roots = {name: _locate(name) for name in names or DEFAULT_PACKAGES}
    ids: set[str] = set()
    texts: set[int] = set()
    for package, root in roots.items():
        for path in _sources(root):
            parts = path.relative_to(root if package == "stdlib" else root.parent).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            # scipy.linalg is the label of all below it, json in the standard library
            labels = (package, parts[0] if package == "stdlib" else ".".join(parts[:2]))
            for name, text in _docstrings(path, ".".join(parts)):
                key = hash(text)
                if name not in ids and key not in texts:
                    ids.add(name)
                    texts.add(key)
                    yield Document(name, text, labels)


def _locate(name: str) -> Path:
    """Return a package's folder or a module's file, without importing anything."""
    if name == "stdlib":
        return Path(sysconfig.get_paths()["stdlib"])
    if not name.isidentifier():  # find_spec would import the parent of a dotted name
        problem = f"{PREFIX}{name} names no package"
        raise CorpusError(problem, "name whole packages, such as docstrings:numpy,scipy")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise CorpusError(f"the package {name!r} of {PREFIX} is not installed", f"pip install {name}")
    folders = list(spec.submodule_search_locations or [])
    path = Path(folders[0] if folders else spec.origin or "")
    if not (path.is_dir() or path.suffix == ".py"):
        raise CorpusError(f"the package {name!r} of {PREFIX} has no Python source", "name another package")
    return path


def _sources(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - _SKIPPED_FOLDERS)
        for file in sorted(files):
            if file.endswith(".py") and not file.startswith(("test_", "conftest")):
                yield Path(folder, file)


def _docstrings(path: Path, module: str) -> list[tuple[str, str]]:
    """Return (qualified name, docstring) of everything in one file; unreadable files have none."""
    try:
        source = path.read_bytes() if path.stat().st_size <= MAX_SOURCE_BYTES else b""
    except OSError:
        return []
    if b'"""' not in source and b"'''" not in source:
        return []
    collecting = gc.isenabled()
    gc.disable()  # a syntax tree is many objects without a cycle: half the time would go to the collector
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's sources
            return list(_walk(ast.parse(source), module))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # a template, or a source for another Python
    finally:
        if collecting:
            gc.enable()


def _walk(node: ast.Module | _Definition, name: str) -> Iterator[tuple[str, str]]:
    text = ast.get_docstring(node, clean=False)
    if text and len(text.split()) >= MIN_WORDS:
        yield name, inspect.cleandoc(text)
    for child in node.body:
        if isinstance(child, _Definition):
            yield from _walk(child, f"{name}.{child.name}")
