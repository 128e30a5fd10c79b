"""The one decorator, which releases the GIL and works where nothing can be cached; switches of devices."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.devices import DEVICES
from helpers.paths import ROOT
from nphash.core.jit import compiler, emitted, jit, uses

WITHOUT_CACHE = shutil.ignore_patterns("__pycache__")
PROGRAM = """
import numpy as np
from nphash.engine.kernels import rows
print(rows.csr_times_dense(np.array([0, 1]), np.array([0]), np.array([2.0]), np.ones((1, 3)))[0].tolist())
"""


def add(a, b):
    return a + b


def run(program, **environment):
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_a_kernel_gives_what_the_function_gives():
    kernel = jit()(add)
    assert kernel(2, 3) == 5
    np.testing.assert_array_equal(kernel(np.arange(3.0), 1.0), [1, 2, 3])


@pytest.mark.compiled
def test_options_reach_the_compiler():
    options = jit(fastmath={"contract"})(add).targetoptions
    assert options["nogil"] and options["nopython"] and options["error_model"] == "numpy"
    assert options["fastmath"] == {"contract"}


@pytest.mark.compiled
def test_no_folder_to_cache_in_is_only_slower(monkeypatch):
    calls = []

    def refuse(*args, cache=False, **options):
        calls.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiler.numba, "jit", refuse)
    monkeypatch.setattr(compiler, "_use_cache", True)
    assert jit()(add)(2, 3) == 5
    assert calls == [True, False]


@pytest.mark.parametrize(
    "environment", [{"NPHASH_CACHE": "0"}, {"NPHASH_JIT": "0"}, {"NUMBA_DISABLE_JIT": "1"}]
)
def test_kernels_run_without_cache_and_without_compilation(environment):
    done = run(PROGRAM, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[2.0, 2.0, 2.0]"


def test_the_cache_can_be_switched_off(tmp_path):
    program = "from nphash.core.jit.compiler import _use_cache; print(_use_cache)"
    assert run(program, NPHASH_CACHE="0").stdout.strip() == "False"
    assert run(program, NPHASH_CACHE="1").stdout.strip() == "True"


COPY = """
import numpy as np
from nphash.engine.kernels import rows
x = np.array([-1.0, 2.0], dtype=np.float32)
out = np.empty_like(x)
rows.copy_row(out, x)
print(out.tolist())
"""


@pytest.mark.compiled
def test_a_change_of_any_kernel_makes_all_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # else the programs would import what is here
    shutil.copytree(Path(compiler.__file__).parent.parent.parent, tmp_path / "nphash", ignore=WITHOUT_CACHE)
    folder = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NPHASH_CACHE": "1"}

    def compiled():
        assert run(COPY, **folder).stdout.strip() == "[-1.0, 2.0]"
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*copy_row*.nbc")}

    first = compiled()
    assert len(first) == 1 and compiled() == first
    other = tmp_path / "nphash" / "engine" / "kernels" / "sign_tables.py"
    other.write_text(other.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert compiled() != first


def test_no_parallel_kernel():
    for path in Path(compiler.__file__).parents[2].rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "parallel=True" not in text.replace("``parallel=True``", ""), path
        assert "prange" not in text, path


BLOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise RuntimeError("no such processor\\nand more")

sys.meta_path.insert(0, Refuse())
"""


@pytest.mark.parametrize(
    ("before", "environment", "reason"),
    [
        (BLOCKED, {}, "Numba cannot be imported: no such processor"),
        ("import sys; sys.modules['numba'] = None", {}, "Numba cannot be imported: "),
        ("import sys", {"NPHASH_JIT": "0"}, "switched off by NPHASH_JIT=0"),
        ("import sys", {"NUMBA_DISABLE_JIT": "1"}, "switched off by NUMBA_DISABLE_JIT=1"),
    ],
)
def test_kernels_stay_python_functions_where_nothing_can_be_compiled(before, environment, reason):
    program = f"""{before}
from nphash.core.jit import COMPILED, WHY_NOT, emitted, jit
def one(): return 1
assert jit()(one) is one and emitted(print)(one) is one
print(COMPILED, sys.modules.get("numba") is None, WHY_NOT)
"""
    switched_on = {"NPHASH_JIT": "1", "NUMBA_DISABLE_JIT": "0"}
    done = run(program, **{**switched_on, **environment})
    assert done.stdout.strip().startswith(f"False True {reason}"), done.stderr


def emit_seven(out, array, n):
    return out.builder.add(n, array.lengths[0])


@emitted(emit_seven)
def seven(array, n) -> int:
    return n + len(array)


@jit()
def compiled_seven(array, n):
    return seven(array, n)


def test_compiled_code_runs_the_instructions_and_python_the_function():
    assert seven(np.zeros(3), 4) == compiled_seven(np.zeros(3), 4) == 7


def test_a_device_is_used_unless_the_environment_says_otherwise():
    assert uses("background")
    program = "from nphash.core.jit import uses; print(uses('background'), uses('cache'), uses('fused'))"
    environment = {**os.environ, "NPHASH_WITHOUT": "background,fused"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert run.stdout.split() == [b"False", b"True", b"False"]


def test_the_switches_of_the_package_are_those_that_are_measured():
    asked = {
        name
        for path in (ROOT / "nphash").rglob("*.py")
        for name in re.findall(r'uses\("([a-z-]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert asked == set(DEVICES)


@pytest.mark.compiled
@pytest.mark.parametrize("device", [name for name in DEVICES if name != "cache"])
def test_without_a_device_training_ends_where_it_ends_with_it(device, tmp_path):
    program = """
import numpy as np
from helpers import small
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training.settings import Training

X = small.unit_rows(small.documents(200, 300)[0]).astype(np.float32)
how = Training(epochs=3, batch_size=5, engine="numba", validation_share=0.0)
print(repr(Doc2Hash(16, hidden=(20,), training=how, random_state=0, threads=2).fit(X).history_[-1]["loss"]))
"""
    losses = []
    for switched_off in ("", device):
        environment = {**os.environ, "NPHASH_WITHOUT": switched_off, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        losses.append(float(run.stdout))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
