"""The reading path: how many files and functions one training step enters, and which equations."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from helpers.paths import ROOT, TESTS

# Fits doc2hash and prints what was entered from the end of one step to the end of the next: a batch, forward
# pass, backward pass, update; but for the report, which is made only because it is waited for here. In a
# process of its own, so that the threads of the pool are watched.
PROGRAM = """
import json, sys, threading
from helpers import small
from nphash.hashers import Training
from nphash.hashers.doc2hash import Doc2Hash

engine, threads, package = sys.argv[1], int(sys.argv[2]), sys.argv[3]
entered, whole, watching = set(), set(), False

def watch(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(package):
        whole.add(code)
        if watching and code.co_name != "_report":
            entered.add((code.co_filename[len(package):], code.co_qualname, code.co_firstlineno))

def callback(progress):
    global watching
    watching = (progress.epoch, progress.step) == (2, 30)

X, _ = small.documents(600, 400, topics=20)
hasher = Doc2Hash(16, hidden=(9, 8), random_state=0, threads=threads)
hasher.set_params(training__epochs=2, training__batch_size=5, training__engine=engine)
threading.setprofile(watch)
sys.setprofile(watch)
hasher.fit(small.unit_rows(X), callback=callback)
sys.setprofile(None)
print(json.dumps({"entered": sorted(entered), "numba": "numba" in sys.modules, "whole": [
    [code.co_filename[len(package):], code.co_name, code.co_firstlineno] for code in whole]}))
"""


@cache
def traced(engine: str, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-c", PROGRAM, engine, str(threads), str(ROOT / "nphash")]
    path = os.pathsep.join([str(TESTS), str(ROOT)])
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def files(entered: list[list[Any]]) -> set[str]:
    return {name for name, *_ in entered}


def test_a_step_by_the_equations_enters_few_files_and_functions() -> None:
    entered = traced("numpy", 1)["entered"]
    assert len(files(entered)) <= 8, files(entered)
    assert len(entered) <= 35, entered


def test_a_step_by_the_equations_needs_no_numba() -> None:
    assert not traced("numpy", 1)["numba"]


@pytest.mark.compiled
def test_a_step_by_kernels_enters_few_files_of_trainer_and_model() -> None:
    entered = traced("numba", 2)["entered"]
    ours = {name for name in files(entered) if not name.startswith(("/engine", "/core"))}
    assert len(ours) <= 7, ours


@pytest.mark.compiled
def test_a_step_by_kernels_enters_few_files() -> None:
    entered = traced("numba", 2)["entered"]
    assert len(files(entered)) <= 16, files(entered)


def test_a_fit_enters_half_of_the_equations() -> None:
    found = set()
    for name, function, line in traced("numpy", 1)["whole"]:
        lines = (ROOT / f"nphash{name}").read_text(encoding="utf-8").splitlines()
        heading = " ".join(lines[line - 1 : line + 12]).partition('"""')[2].partition('"""')[0]
        if function != "<module>":
            found |= {int(number) for number in re.findall(r"Eq\. \((\d+)\)", heading[:120])}
    assert len(found) >= 5, found
