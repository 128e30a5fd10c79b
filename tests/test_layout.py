"""The package keeps its shape: imports point downwards, Numba in one package, nothing prints or pickles."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nphash"
# Lessons and exercises are scripts for students, not modules; tests/test_lessons.py runs them.
SCRIPTS = tuple(PACKAGE.glob("teaching/lessons/lesson_*.py")) + tuple(
    PACKAGE.glob("teaching/questions/solution_*.py")
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path not in SCRIPTS)

# The rooms, lowest first: a module imports from its own room (without a cycle) and from those before it.
ROOMS = [
    {"errors", "_version"},
    {"core"},
    {"codes"},
    {"nn", "text"},
    {"metrics"},
    {"search", "engine", "corpus"},
    {"hashers"},
    {"gradcheck", "collection"},
    {"teaching", "dask"},
    {"cli"},
    {"__init__", "__main__"},
]
OPTIONAL = {
    "sklearn",
    "matplotlib",
    "waitress",
    "dask",
    "pyarrow",
    "threadpoolctl",
    "autograd",
    "faiss",
    "torch",
}
RUNTIME = {"numpy", "numba", "llvmlite", "scipy", "click", "nphash"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def level(module: str) -> int:
    part = module.split(".")[1] if "." in module else "__init__"
    return next(i for i, names in enumerate(ROOMS) if part in names)


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every import of a file as (module, whether it stands inside a function)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    checking = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    skip = {id(node) for block in checking for node in ast.walk(block)}
    found = []
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(name, id(node) in inside) for name in names]
    return found


def internal(path: Path) -> list[str]:
    known = {name_of(other) for other in MODULES}
    targets = [target for target, _ in imports(path) if target.split(".")[0] == "nphash"]
    return [target if target in known | {"nphash"} else target.rpartition(".")[0] for target in targets]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    own = name_of(path)
    for target in internal(path):
        if target == "nphash":  # from the top the version is taken; commands are above it
            bare = "nphash" in [name for name, _ in imports(path)]
            assert not bare or own.startswith("nphash.cli"), f"{own} imports the whole package"
            continue
        assert level(target) <= level(own), f"{own} imports {target} from above"


def test_no_import_cycles() -> None:
    edges = {name_of(path): {t for t in internal(path) if t != name_of(path)} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done:
            return
        for target in edges.get(module, ()):
            visit(target, (*trail, module))
        done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_imports(path: Path) -> None:
    own = name_of(path)
    for target, inside in imports(path):
        package = target.split(".")[0]
        if package in {"numba", "llvmlite"}:
            assert own.startswith("nphash.core.jit"), f"{path} imports {package}"
        if package in OPTIONAL:
            assert inside, f"{path} imports the optional {package} at module level"
        elif package not in RUNTIME:
            assert package in sys.stdlib_module_names, f"{path} imports {package}"
            assert package not in {"pickle", "shelve", "marshal"}, f"{path} imports {package}"


def test_the_equations_are_numpy_and_scipy_alone() -> None:
    allowed = {"nphash.core.typing", "nphash.core.arguments", "nphash.errors"}
    for path in (PACKAGE / "nn").glob("*.py"):
        own = {target for target in internal(path) if not target.startswith("nphash.nn")}
        assert own <= allowed, f"{path} imports {own - allowed}"
        foreign = {target.split(".")[0] for target, _ in imports(path)} - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "scipy", "nphash"}, f"{path} imports {foreign}"


def test_a_test_file_for_each_module() -> None:
    missing = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] in {"__init__", "__main__", "_version", "typing"}:  # nothing to run
            continue
        *rooms, name = (part.strip("_") for part in parts)
        test = ROOT / "tests" / Path(*rooms) / f"test_{name}.py"
        if not test.exists():
            missing.append(str(test))
    assert not missing


@pytest.mark.parametrize(
    "module", ["nphash", "nphash.cli", "nphash.search", "nphash.text.tokenizer", "nphash.nn.ops"]
)
def test_import_does_not_load_numba(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'numba', 'sklearn'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_import_nphash_loads_nothing_heavy() -> None:
    program = "import sys, nphash; print(sorted({'numpy', 'scipy', 'click'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    import nphash

    for name in nphash.__all__:
        assert getattr(nphash, name) is not None
    assert set(nphash.__all__) <= set(dir(nphash))
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = nphash.nothing_like_this
