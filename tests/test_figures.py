"""The shape of the package in figures: how much there is, how it is spread, what is typed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.paths import ROOT, TESTS

PACKAGE = ROOT / "nphash"
FILES = sorted(PACKAGE.rglob("*.py"))
# Texts for students, whose code stands without annotations
SCRIPTS = tuple((PACKAGE / "teaching" / "lessons").glob("*_[0-9]_*.py"))


def lines(files: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    a = function.args
    for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
        if argument is not None and argument.annotation is not None:
            yield ast.unparse(argument.annotation)


def imports_inside(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    own = 0
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom):
            own += (node.module or "").split(".")[0] == "nphash"
        elif isinstance(node, ast.Import):
            own += any(alias.name.split(".")[0] == "nphash" for alias in node.names)
    return own


def test_few_rooms_stand_side_by_side() -> None:
    names = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert len(names - {"__init__", "__main__", "_version", "dask"}) <= 14  # dask is an extra


def test_the_package_stays_small() -> None:
    """These bounds go up with a capability that a user asked for, and with nothing else."""
    assert len(FILES) <= 186
    assert lines(FILES) <= 38_200


def test_there_is_nearly_as_much_test_as_source() -> None:
    assert lines(sorted(TESTS.rglob("*.py"))) >= 0.9 * lines(FILES)


def test_functions_are_short_and_take_few_arguments() -> None:
    found = [function for path in FILES for function in functions(path)]
    lengths = sorted((f.end_lineno or f.lineno) - f.lineno + 1 for f in found)
    assert lengths[-1] <= 70
    assert lengths[int(0.95 * len(lengths))] <= 35
    assert max(len(f.args.args) + len(f.args.kwonlyargs) for f in found) <= 11


def test_imports_inside_functions_are_those_that_buy_start_up() -> None:
    # Nested functions are counted with their outer one as well: an upper bound.
    assert sum(imports_inside(function) for path in FILES for function in functions(path)) <= 60


def test_few_parameters_are_typed_any() -> None:
    typed = [a for path in FILES if path not in SCRIPTS for f in functions(path) for a in annotations(f)]
    assert sum(a == "Any" for a in typed) <= 0.05 * len(typed)


def test_compilers_are_imported_in_one_package() -> None:
    def imports_compiler(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = [
            name
            for node in nodes
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in (
                [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
        ]
        return any(name.split(".")[0] in {"numba", "llvmlite"} for name in names)

    found = [path for path in FILES if imports_compiler(path)]
    assert len(found) <= 6
    assert {path.parent for path in found} == {PACKAGE / "core" / "jit"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_hold_one_idea(path: Path) -> None:
    assert lines([path]) <= 500
