"""Without Numba everything works through NumPy and SciPy, and it is said so."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ImportError("Numba needs another Python")

sys.meta_path.insert(0, Refuse())

from nphash.cli import main

def run(*words):
    sys.argv = ["nphash", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)

for command in COMMANDS:
    print("#", *command, flush=True)
    run(*command)
assert not {"numba", "llvmlite"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A hundred documents of four topics as JSON lines."""
    path = tmp_path_factory.mktemp("corpus") / "documents.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i in range(120):
            words = " ".join(f"word{(7 * i * k + k * k) % 15 + 15 * (i % 4)}x" for k in range(1, 30))
            print(json.dumps({"id": f"d{i}", "text": words, "label": f"topic {i % 4}"}), file=file)
    return path


def run(commands, **environment):
    program = PROGRAM.replace("COMMANDS", repr(commands))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "NPHASH_JIT": "1",
            "NUMBA_DISABLE_JIT": "0",
            **environment,
        },  # Numba alone is missing
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "method",
    [["nphash", "-p", "training__epochs=1"], ["doc2hash", "-p", "training__epochs=2"], ["itq"]],
    ids=lambda method: method[0],
)
def test_fit_search_and_evaluate(tmp_path, corpus, method):
    folder = str(tmp_path / "collection")
    out = run(
        [
            ["fit", str(corpus), "-o", folder, "--bits", "16", "--quiet", "--method", *method],
            ["search", folder, "word3x word7x word9x", "--format", "jsonl"],
            ["evaluate", folder, "--format", "jsonl"],
        ]
    )
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert len(found) > 3 and "distance" in found[0]


def test_gradients_and_information():
    out = run([["gradcheck", "doc2hash"], ["info", "--format", "jsonl"]])
    info = json.loads(out.splitlines()[-1])
    assert info["compiled_kernels"].startswith("no (Numba cannot be imported: Numba needs another Python)")


def test_the_numba_engine_is_refused_for_a_reason(tmp_path, corpus):
    program = """
from nphash.engine.select import create_engine
from nphash.errors import InputError
assert create_engine("auto").name == "numpy"
try:
    create_engine("numba")
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NPHASH_JIT": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "switched off by NPHASH_JIT=0" in done.stdout and "numpy" in done.stdout
